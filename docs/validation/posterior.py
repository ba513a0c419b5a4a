"""Compare nuhf.posterior with NUTS and nested sampling: docs/validation/posterior.csv.

python docs/validation/posterior.py [CASE ...]    (needs pip install -e '.[samplers]'; 20 minutes)

Each row is an end of a region of highest density, the probability of one of its pieces, or the
share of a mode, as nuhf.posterior has it and as the draws of the reference have it, with their
statistical errors. The ends of the reference are those of a kernel estimate of its draws.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

import nuhf
from nuhf import resources
from nuhf.bayes.results import Posterior
from nuhf.likelihood.evaluate import expected_counts, poisson_twice_nll, row_weights
from nuhf.stats.log_density import LogDensity
from nuhf.stats.marginal import Density, densest
from nuhf.stats.priors import CouplingAxis
from nuhf.tables import format_csv

FloatArray = NDArray[np.float64]
TABLE = Path(__file__).with_suffix(".csv")


@dataclass(frozen=True)
class Case:
    """What is sampled, and by what."""

    experiment: str
    parameters: tuple[str, ...]
    sampler: str
    prior: str = "flat"
    analysis: str = "default"


CASES = {
    "qnu_ee": Case("coherent-csi-2021", ("qnu_ee",), "nested", analysis="cevns-only"),
    "qnu_mumu": Case("coherent-csi-2021", ("qnu_mumu",), "nested", analysis="cevns-only"),
    "r2nu_ee": Case("coherent-csi-2021", ("r2nu_ee",), "nested", analysis="cevns-only"),
    "sin2thetaW": Case("coherent-csi-2021", ("sin2thetaW",), "nested", analysis="cevns-only"),
    "munu_eff": Case("xenonnt-sr0", ("munu_eff",), "NUTS"),
    "munu_eff-flat": Case("xenonnt-sr0", ("munu_eff",), "NUTS", "flat-magnitude"),
    "munu_e": Case("dresden-2", ("munu_e",), "NUTS"),
    "radii": Case("coherent-csi-2021", ("r2nu_ee", "r2nu_mumu"), "nested", analysis="cevns-only"),
}


@dataclass(frozen=True)
class Reference:
    """Draws (n, N) of a sampler in parts, whose scatter is the error.

    Nested sampling: its runs, whose shares of modes differ by more than resampling says. NUTS:
    consecutive blocks of the chains.
    """

    parts: tuple[FloatArray, ...]

    def estimate(self, quantity: Callable[[FloatArray], float]) -> tuple[float, float]:
        """Return a number of the draws and its error."""
        scatter = np.nanstd([quantity(draws) for draws in self.parts], ddof=1)
        return quantity(np.concatenate(self.parts)), float(scatter / np.sqrt(len(self.parts)))


def nested(density: LogDensity, seed: int, live: int = 1500, runs: int = 8) -> Reference:
    """Draw with the nested slice sampler of blackjax (arXiv:2601.23252): several runs."""
    import jax
    from blackjax import nss
    from blackjax.ns.utils import finalise, sample

    jax.config.update("jax_enable_x64", True)
    jnp, size = jax.numpy, len(density.names)
    algorithm = nss(*parts_of_density(density), num_inner_steps=2 * size, num_delete=live // 10)
    step = jax.jit(algorithm.step)
    found = []
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        state = algorithm.init(jnp.asarray(density.prior_transform(rng.random((live, size)))))
        key, dead = jax.random.key(rng.integers(2**32)), []
        while state.integrator.logZ_live - state.integrator.logZ > -4.0:
            key, one = jax.random.split(key)
            state, info = step(one, state)
            dead.append(info)
        drawn = sample(jax.random.fold_in(key, 1), finalise(state, dead), shape=3 * live)
        found.append(np.asarray(drawn.position))
    return Reference(tuple(found))


def parts_of_density(density: LogDensity) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return the log of the prior, constraints included, and that of the counts, for jax."""
    import jax.numpy as jnp

    compiled, (low, high) = density.compiled, density.bounds.T
    counts, index = density.data[: compiled.n_main], np.flatnonzero(density.free)
    whole = density.to_jax()

    def of_counts(theta: Any) -> Any:
        inside = jnp.clip(theta, low, high)
        column = jnp.asarray(compiled.inits).at[index].set(inside)[:, None]
        rows = row_weights(compiled.tables, column, jnp)
        expected = expected_counts(compiled.tables, column.T, rows, jnp)[0]
        return -0.5 * poisson_twice_nll(counts, expected, jnp)

    def of_prior(theta: Any) -> Any:
        # where the counts are impossible the difference is no number, and never asked for
        return whole(theta) - of_counts(theta)

    return of_prior, of_counts


def nuts(density: LogDensity, seed: int, number: int = 40_000) -> Reference:
    """Draw with numpyro's NUTS: four chains."""
    import jax
    import numpyro
    from numpyro import distributions

    jax.config.update("jax_enable_x64", True)
    logpdf, (low, high) = density.to_jax(), density.bounds.T

    def model() -> None:
        theta = numpyro.sample("theta", distributions.Uniform(low, high).to_event(1))
        numpyro.factor("logpdf", logpdf(theta))

    kernel = numpyro.infer.NUTS(
        model, init_strategy=numpyro.infer.init_to_value(values={"theta": density.initial})
    )
    chains = numpyro.infer.MCMC(
        kernel, num_warmup=1500, num_samples=number // 4, num_chains=4, progress_bar=False,
        chain_method="sequential",
    )  # fmt: skip
    chains.run(jax.random.PRNGKey(seed))
    draws = np.asarray(chains.get_samples()["theta"])
    return Reference(tuple(np.array_split(draws, 20)))


def kernel_density(z: FloatArray, low: float | None, width: float) -> Density:
    """Density of draws, each a normal, mirrored at a physical bound."""
    edges = np.linspace(z.min() - 5 * width if low is None else low, z.max() + 5 * width, 4001)
    counts, _ = np.histogram(z, edges)
    step = float(edges[1] - edges[0])
    smooth = gaussian_filter1d(counts.astype(float), width / step, mode="reflect", truncate=6.0)
    return Density(0.5 * (edges[1:] + edges[:-1]), smooth)


def rows_of(name: str, case: Case, seed: int) -> list[dict[str, object]]:
    """Compare one case."""
    prior = dict.fromkeys(case.parameters, case.prior)
    begin = time.process_time()
    first, *others = case.parameters
    model = nuhf.model(case.experiment, first, profiled=others, analysis=case.analysis)
    ours = nuhf.posterior(model, case.parameters, prior=prior)
    density = nuhf.log_density(model, prior=prior)
    middle = time.process_time()
    reference = (nested if case.sampler == "nested" else nuts)(density, seed)
    seconds = middle - begin, time.process_time() - middle
    print(f"{name}: nuhf {seconds[0]:.1f} s, {case.sampler} {seconds[1]:.0f} s", flush=True)
    rows: list[dict[str, object]] = []

    def add(what: str, mine: tuple[float, float], theirs: tuple[float, float]) -> None:
        pull = (mine[0] - theirs[0]) / np.hypot(mine[1], theirs[1])
        row: dict[str, object] = {"experiment": case.experiment, "prior": case.prior}
        row |= {"quantity": what, "nuhf": f"{mine[0]:.4g}", "error": f"{mine[1]:.1g}"}
        row |= {"reference": case.sampler, "value": f"{theirs[0]:.4g}"}
        row |= {"value_error": f"{theirs[1]:.1g}", "pull": round(float(pull), 1)}
        row |= {"seconds": round(seconds[0], 1), "reference_seconds": round(seconds[1])}
        rows.append(row)

    for axis, column in zip(density.axes, density.columns(), strict=True):
        for what, mine, quantity in quantities(ours, axis, column, reference):
            add(what, mine, reference.estimate(quantity))
    if len(density.axes) > 1:
        for what, mine, quantity in shares(ours, density):
            add(what, mine, reference.estimate(quantity))
    return rows


Compared = tuple[str, tuple[float, float], Callable[[FloatArray], float]]


def binomial(fraction: float, ours: Posterior) -> tuple[float, float]:
    """Return a fraction of weighted draws and its error."""
    return fraction, float(np.sqrt(fraction * (1 - fraction) / ours.effective_size))


def quantities(
    ours: Posterior, axis: CouplingAxis, column: int, reference: Reference
) -> Iterator[Compared]:
    """Ends and probabilities of the pieces of one coupling."""
    found = ours[axis.name]
    root = found.variable.startswith("|")
    floor = 0.0 if axis.low == 0.0 else None

    def coordinate(theta: FloatArray) -> FloatArray:
        return np.sqrt(theta[:, column]) if root else theta[:, column]

    # a 90 % piece is about 3.3 standard deviations wide: the kernel moves its ends by 0.5 %
    ends = axis.to_fit(np.array(found.pieces))
    ends = np.sqrt(ends) if root else ends
    width = 0.03 * float(np.diff(ends, axis=1).min())
    borders = np.concatenate([[-np.inf], 0.5 * (ends[1:, 0] + ends[:-1, 1]), [np.inf]])
    for i, (piece, error) in enumerate(zip(found.pieces, found.piece_errors, strict=True)):
        for side, word in enumerate(("lower", "upper")):

            def end(theta: FloatArray, i: int = i, side: int = side) -> float:
                pieces = densest(kernel_density(coordinate(theta), floor, width), ours.cl)
                middles = np.mean(pieces, axis=1)
                # few draws make gaps: the hull of what is nearest to this piece
                near = np.ravel(pieces)[np.repeat(
                    (middles > borders[i]) & (middles < borders[i + 1]), 2
                )]  # fmt: skip
                value = (near.max() if side else near.min()) if near.size else np.nan
                return float(axis.from_fit(value**2 if root else value))

            if not piece[side] == axis.ends[0] == 0.0:
                yield f"{axis.name} piece {i + 1} {word} end", (piece[side], error[side]), end

        def share(theta: FloatArray, piece: tuple[float, float] = piece) -> float:
            values = axis.from_fit(theta[:, column])
            return float(((values >= piece[0]) & (values <= piece[1])).mean())

        yield f"{axis.name} piece {i + 1} probability", binomial(found.fractions[i], ours), share


def shares(ours: Posterior, density: LogDensity) -> Iterator[Compared]:
    """Probability on each side of the middle of the modes, in two couplings at once."""
    names = [axis.name for axis in density.axes[:2]]
    columns = density.columns()[:2]
    values = np.array([[mode.values[name] for name in names] for mode in ours.modes])
    middle = 0.5 * (values.min(axis=0) + values.max(axis=0))
    mine = ours.draws[:, [ours.names.index(name) for name in names]]
    for at in values:
        side = at > middle
        here = ((mine > middle) == side).all(axis=1)

        def share(theta: FloatArray, side: NDArray[np.bool_] = side) -> float:
            points = density.to_base(theta)[:, columns]
            return float(((points > middle) == side).all(axis=1).mean())

        label = " and ".join(f"{name} = {v:.2g}" for name, v in zip(names, at, strict=True))
        yield (
            f"share of the mode at {label}",
            binomial(float(ours.weights[here].sum()), ours),
            share,
        )


def main(chosen: list[str]) -> None:
    """Compare the chosen cases, all by default, and write the table."""
    rows = [row for name in chosen or CASES for row in rows_of(name, CASES[name], 1)]
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    out = TABLE if not chosen else TABLE.with_stem(f"posterior-{'-'.join(chosen)}")
    resources.write_text(out, format_csv(columns))


if __name__ == "__main__":
    main(sys.argv[1:])
