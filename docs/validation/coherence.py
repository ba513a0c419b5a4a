"""Print the tables of docs/validation/coherence.md: python docs/validation/coherence.py."""

import nuhf

EXPERIMENTS = ("xenonnt-sr0", "darwin-30ty", "darwin-300ty")
PAIRS = ("emu", "etau", "mutau")


def main() -> None:
    """Print limits of transitions by phase, and of the moments of mass states."""
    print("| experiment | coupling | square alone | phase 0 | phase pi | phase free |")
    print("|---|---|---|---|---|---|")
    for name in EXPERIMENTS:
        for stem in ("r2nu", "qnu"):
            for pair in PAIRS:
                modulus, real = nuhf.limit(name, [f"abs_{stem}_{pair}", f"{stem}_{pair}"])
                low, high = -real.intervals[0][0], real.intervals[-1][1]
                ends = (modulus.intervals[-1][1], high, low, max(low, high))
                numbers = " | ".join(f"{end:.2e}" for end in ends)
                print(f"| {name} | `{stem}_{pair}` [{real.unit}] | {numbers} |")
    print("\n| experiment | munu_eff | munu_1 | munu_2 | munu_3 |\n|---|---|---|---|---|")
    for name in EXPERIMENTS:
        found = nuhf.limit(name, ["munu_eff", "munu_1", "munu_2", "munu_3"])
        print(f"| {name} | " + " | ".join(f"{r.intervals[-1][1]:.3g}" for r in found) + " |")


if __name__ == "__main__":
    main()
