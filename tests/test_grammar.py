"""Experiments that are composed of parts: six examples, extensions from outside, traps.

Expected events of the examples are compared with integrals of a few lines that share nothing
with nuhf but constants and tables (`independent_2026`).
"""

import re
from pathlib import Path

import independent_2026
import numpy as np
import pytest
from independent_2026 import NATURAL, Flux, boron8, cevns, eves, line, nucleus, panels, read, z_eff
from scipy.special import expit, ndtr
from scipy.stats import poisson

import nuhf
from nuhf import constants as c
from nuhf.errors import Caveat, InputError
from nuhf.experiments import catalogue
from nuhf.experiments.prepare import prepare
from nuhf.rates.signal import expected

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
KEV = 1e-3
DAY = 86400.0


def built(name, analysis="default"):
    return prepare(catalogue.load(str(EXAMPLES / f"{name}.toml"), analysis))


def events(prepared, process, values=None):
    """Events of a signal by bin of the first axis, all flavours and times together."""
    (region,) = prepared.regions
    (signal,) = [s for s in region.signals if s.process == process]
    total = sum(expected(signal, values or {}).values())
    return total.reshape(region.axes[0].bins, -1).sum(axis=1)


# ------------------------------------------------------------- independent integrals


def decay_at_rest(pot, per_pot, baseline_m):
    """Fluxes per cm2 of nu_mu, nu_e, nubar_mu in 5 keV bins."""
    fluence = pot * per_pot / (4 * np.pi * (baseline_m * 100) ** 2)
    m = c.MUON_MASS
    edges = np.linspace(0, m / 2, 10567)
    low, high = edges[:-1], edges[1:]
    nue = lambda e: 32 * e**3 / m**3 - 48 * e**4 / m**4  # noqa: E731
    numubar = lambda e: 16 * e**3 / m**3 - 16 * e**4 / m**4  # noqa: E731
    prompt = (c.PION_MASS**2 - m**2) / (2 * c.PION_MASS)
    return {
        "numu": line(prompt, fluence),
        "nue": Flux(low, high, fluence * (nue(high) - nue(low))),
        "numubar": Flux(low, high, fluence * (numubar(high) - numubar(low))),
    }


def in_time(start=0.0, rate=0.0, end=6.0):
    """Share of each species that arrives from 0 to ``end`` us, exponential loss included."""
    table = read("sns/flux_time.csv")
    low, high = table["t_lo_us"], table["t_hi_us"]
    middle = np.linspace(low, high, 21).T
    mean = np.exp(-rate * np.maximum(middle - start, 0)).mean(axis=1)
    inside = (low > -1e-9) & (high < end + 1e-9)
    return {name: (table[name] * mean * inside).sum() for name in ("numu", "nue", "numubar")}


def bestiole(captures=0.6):
    """Antineutrinos per fission in the bins of the table."""
    table = read("reactor/bestiole2023.csv")
    fuel = {"u235": 0.58, "u238": 0.08, "pu239": 0.29, "pu241": 0.05}
    density = sum(share * table[name] for name, share in fuel.items())
    density = density + captures * (table["u239"] + table["np239"])
    low, high = table["e_lo_mev"], table["e_hi_mev"]
    return low, high, density * (high - low)


def number(formula_mass_u, grams, atoms=1.0):
    return atoms * grams / formula_mass_u * c.AVOGADRO


def fold(rate, t, weights, probabilities):
    """Events by bin of rates (n,) on nodes."""
    return probabilities @ (rate * weights)


def gaussian(edges, mean, sigma, positive=False):
    p = np.diff(ndtr((edges[:, None] - mean) / sigma), axis=0)
    return p / ndtr(mean / sigma) if positive else p


def lindhard(t, k, z):
    eps = 11.5 * z ** (-7 / 3) * t / KEV
    g = k * (3 * eps**0.15 + 0.7 * eps**0.6 + eps)
    return t * g / (1 + g)


def fano(e, noise, pair, factor):
    return np.sqrt((noise * KEV) ** 2 + pair * KEV * factor * e)


# ---------------------------------------------------------------------- the examples


def test_csi_counts_nuclei_and_electrons():
    """Golden numbers of two codes written apart from nuhf, for this target and the SNS flux."""
    one = built("csi-electrons")
    assert events(one, "cevns").sum() == pytest.approx(324.40, rel=1e-3)
    assert events(one, "eves").sum() == pytest.approx(7.553e-5, rel=1e-3)
    charge = 1e-10
    for name, quadratic in (("qnu_ee", 3.125), ("qnu_mumu", 3.678 + 3.127)):
        up, down = (events(one, "eves", {name: s * charge}).sum() for s in (1, -1))
        assert 0.5 * (up + down) - 7.553e-5 == pytest.approx(quadratic, rel=1e-3)
    moment = events(one, "eves", {"munu_eff": 1e-9}).sum()
    assert moment - 7.553e-5 == pytest.approx(1.7066, rel=1e-3)
    alone = built("csi-electrons", "cevns-only")
    assert events(alone, "cevns") == pytest.approx(events(one, "cevns"), rel=1e-14)


def test_germanium_at_the_sns():
    one = built("germanium-sns")
    edges = np.array([1.5, 2, 3, 4, 5, 6, 8, 10]) * KEV
    share, total = in_time(), 0.0
    mass = sum(s * nucleus(n)[3]["atomic_mass_u"] for n, s in NATURAL["Ge"].items())
    t, w = panels(1e-5, 0.12, [])
    light = lindhard(t, 0.162, 32)
    fine = np.linspace(edges[0], edges[-1], 8501)  # 1 eV: the efficiency is smooth
    middle = 0.5 * (fine[1:] + fine[:-1])
    accepted = expit(6.0 * (middle / KEV - 1.0))[:, None]
    probability = accepted * gaussian(fine, light, fano(light, 0.07, 0.00296, 0.11))
    for species, flux in decay_at_rest(2.25e23, 0.0848, 19.2).items():
        for name, part in NATURAL["Ge"].items():
            rate = cevns(t, flux, name) * number(mass, 1e4, part) * share[species]
            total = total + fold(rate, t, w, probability)
    bins = np.searchsorted(edges, middle) - 1
    ours = events(one, "cevns")
    assert ours == pytest.approx(np.bincount(bins, total, minlength=7), rel=1e-3)


@pytest.mark.parametrize("process", ["cevns", "eves"])
def test_silicon_at_a_reactor(process):
    edges = np.array([0.015, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5]) * KEV
    low, high, per_fission = bestiole()
    fissions = 3.9e9 / (205.24 * 1.602176634e-13) * 365 * DAY / (4 * np.pi * 3000.0**2)
    flux = Flux(low, high, per_fission * fissions)
    mass = sum(s * nucleus(n)[3]["atomic_mass_u"] for n, s in NATURAL["Si"].items())
    start = 0.0037 * KEV
    if process == "cevns":
        t, w = panels(1e-6, 0.02, [])
        light = lindhard(t, 0.146, 14)
        rate = sum(cevns(t, flux, n) * number(mass, 1e3, s) for n, s in NATURAL["Si"].items())
    else:
        shells = read("electrons/Si_shells.csv")["edge_kev"] * KEV
        t, w = panels(start, 0.6 * KEV, shells)
        light, rate = t, eves(t, flux, "e", anti=True) * z_eff(t, "Si") * number(mass, 1e3)
    probability = gaussian(edges, light, fano(light, 0.002, 0.0037, 0.119))
    ours = events(built("silicon-reactor"), process)
    theirs = fold(rate * (light >= start), t, w, probability)
    assert ours == pytest.approx(theirs, rel=1e-3)


def test_argon_at_a_reactor():
    low, high, per_fission = bestiole()
    flux = Flux(low, high, per_fission / per_fission.sum() * 6e12 * 180 * DAY)
    mass = sum(s * nucleus(n)[3]["atomic_mass_u"] for n, s in NATURAL["Ar"].items())
    points = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0])
    t, w = panels(0.01 * KEV, 3 * KEV, points * KEV)
    light = t * np.interp(t / KEV, points, np.round(0.16 * points**0.22, 4))
    rate = sum(cevns(t, flux, n) * number(mass, 2e4, s) for n, s in NATURAL["Ar"].items())
    spans = [range(4, 5), range(5, 6), range(6, 7), range(7, 9), range(9, 13), range(13, 21)]
    probability = 0.9 * np.array(
        [sum(poisson.pmf(n, 51.3 * light / KEV) for n in span) for span in spans]
    )
    assert events(built("argon-reactor"), "cevns") == pytest.approx(
        fold(rate, t, w, probability), rel=1e-3
    )


def test_boron_8_neutrinos_in_xenon():
    table = read("one-number/acceptance_lz_8b.csv")
    t, w = panels(0.1 * KEV, 12 * KEV, table["t_kev_nr"] * KEV)
    per_second = boron8()
    flux = Flux(per_second.low, per_second.high,
                per_second.density * (per_second.high - per_second.low) * 365.25 * DAY)  # fmt: skip
    mass = sum(s * nucleus(n)[3]["atomic_mass_u"] for n, s in NATURAL["Xe"].items())
    rate = sum(cevns(t, flux, n) * number(mass, 1e7, s) for n, s in NATURAL["Xe"].items())
    accepted = np.interp(t / KEV, table["t_kev_nr"], table["p_0"])
    inside = gaussian(np.array([0, 10]) * KEV, t, 0.2 * np.sqrt(t / KEV) * KEV)
    one = built("xenon-b8")
    assert events(one, "cevns") == pytest.approx(fold(rate * accepted, t, w, inside), rel=1e-3)
    # coherent scattering does not know flavours: oscillation changes nothing
    fast = one.loaded.changed({"sources": {"sun": {"survival": {"b8": 0.9}}}})
    assert events(prepare(fast), "cevns") == pytest.approx(events(one, "cevns"), rel=1e-6)


@pytest.mark.parametrize(("process", "name", "factor"),
                         [("cevns_na", "Na23", 0.2), ("cevns_i", "I127", 0.06)])  # fmt: skip
def test_sodium_and_iodine_have_their_own_light(process, name, factor):
    edges = np.array([3.0, 4, 5, 6, 8, 10, 15, 20]) * KEV
    mass = sum(nucleus(n)[3]["atomic_mass_u"] for n in ("Na23", "I127"))
    share, total = in_time(), 0.0
    t, w = panels(5e-4, 0.4, [])
    light = factor * t
    fine = np.unique(np.concatenate([np.linspace(3, 20, 8501)]) * KEV)
    middle = 0.5 * (fine[1:] + fine[:-1])
    accepted = 0.95 * expit(4.0 * (middle / KEV - 3.0))[:, None]
    probability = accepted * gaussian(fine, light, 0.3 * np.sqrt(light / KEV) * KEV)
    for species, flux in decay_at_rest(2e23, 0.09, 22.0).items():
        rate = cevns(t, flux, name) * number(mass, 3e6) * share[species]
        total = total + fold(rate, t, w, probability)
    theirs = np.bincount(np.searchsorted(edges, middle) - 1, total, minlength=7)
    ours = events(built("sodium-iodide"), process)
    assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-6 * theirs.sum())


def test_a_nuclide_and_a_spectrum_of_ones_own(tmp_path, monkeypatch):
    """Tellurium, which nuhf does not have, in tables beside the file."""
    te = {"protons": 52, "nucleons": 130, "atomic_mass_u": 129.906222745,
          "rp_fm": 4.7423, "rn_fm": 4.89}  # fmt: skip
    monkeypatch.setitem(independent_2026.NUCLIDES, "Te130", te)
    lines = "\n".join(f"{key} = {value}" for key, value in te.items())
    (tmp_path / "nuclides.toml").write_text(f"[Te130]\n{lines}\n")
    low = np.linspace(10.0, 49.0, 40)
    flux = Flux(low, low + 1.0, 1e6 * np.exp(-low / 20.0))
    rows = [f"{a},{a + 1.0},{d}" for a, d in zip(low, flux.density, strict=True)]
    (tmp_path / "own.csv").write_text(
        "\n".join(["# source: made up", "e_lo_mev,e_hi_mev,nue", *rows])
    )
    path = tmp_path / "te.toml"
    path.write_text(TELLURIUM)
    t, w = panels(1e-4, 0.05, [])
    rate = cevns(t, flux.times(30 * DAY), "Te130") * number(te["atomic_mass_u"], 1e6)
    seen = gaussian(np.array([1.0, 2, 4, 8, 16]) * KEV, 0.2 * t, 0.3 * np.sqrt(0.2 * t * KEV))
    ours = events(prepare(catalogue.load(str(path))), "cevns")
    assert ours == pytest.approx(fold(rate, t, w, seen), rel=1e-3)


TELLURIUM = """
format = 2
name = "te"
title = "an element of one's own"
[sources.own]
kind = "table"
source = "made up"
table = "own.csv"
species = { nue = { flavour = "e" } }
[target]
source = "made up"
mass_kg = 1000.0
formula = { Te130 = 1 }
[responses.nuclear]
recoil_min_kev = 0.5
quenching = { kind = "polynomial", coefficients = [0.2], recoil_range_kev = [0, 400] }
smearing = { kind = "gaussian", coefficients = [0.3], powers = [0.5] }
[signals.cevns]
interaction = "cevns"
source = "own"
response = "nuclear"
[regions.main]
live_days = 30.0
axes = { energy_kev_ee = [1.0, 2.0, 4.0, 8.0, 16.0] }
data = { kind = "asimov" }
[analyses.default]
title = "one region"
parameters = ["qnu_ee"]
"""


# -------------------------------------------------------------------- what extends what


def text_of(name):
    return (EXAMPLES / f"{name}.toml").read_text(encoding="utf-8")


def write(folder, name, text):
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_an_experiment_extends_another_by_a_few_lines(tmp_path):
    path = write(
        tmp_path,
        "heavy",
        """
format = 2
extends = "coherent-csi-2021"
name = "heavy"
title = "ten times the mass"
[target]
mass_kg = 146.0
""",
    )
    one, ten = (prepare(catalogue.load(n, "cevns-only")) for n in ("coherent-csi-2021", path))
    (a,), (b,) = one.templates, ten.templates
    for source, rows in a.nominal.items():
        for monomial, row in rows.items():
            assert b.nominal[source][monomial] == pytest.approx(10.0 * row, rel=1e-13)
    assert ten.name == "heavy"
    assert {"heavy.toml", "coherent-csi-2021.toml"} <= set(ten.digests)


def test_files_that_extend_each_other_are_refused(tmp_path):
    for one, other in (("a", "b"), ("b", "a")):
        write(tmp_path, one, f'format = 2\nextends = "./{other}.toml"\n')
    with pytest.raises(InputError, match="circle"):
        catalogue.load(str(tmp_path / "a.toml"))


def test_each_table_is_opened_once(monkeypatch):
    opened = []
    from nuhf import resources

    original = resources.read_bytes
    monkeypatch.setattr(resources, "read_bytes", lambda p: opened.append(p) or original(p))
    one = prepare(catalogue.load("xenonnt-sr0"))
    # the publications that the tables name are no input of a number
    assert [path.name for path in opened].count("bibliography.bib") == 1
    assert len(opened) == len(set(opened)) == len(one.records) + 1


# ------------------------------------------------------------------------- nuisances


def varied_file(tmp_path, nuisance):
    text = text_of("csi-electrons") + f"\n[nuisances.extra]\n{nuisance}\n"
    return prepare(catalogue.load(write(tmp_path, "varied", text)))


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ("responses.nuclear.quenching.scale", (1.1, 0.9)),
        ("responses.nuclear.smearing.a0_kev_ee", (0.08, 0.07)),
        ("responses.nuclear.efficiency.factor", (1.02, 0.98)),
        ("physics.form_factor", ("klein-nystrand", "helm")),
        ("sources.sns.pot", (3.3e23, 3.1e23)),
        ("sources.sns.energy_table", ("sns/flux_energy.csv", "")),
    ],
)
def test_a_nuisance_varies_any_part(tmp_path, changes, value):
    up, down = (f'"{v}"' if isinstance(v, str) else v for v in value)
    text = f'kind = "variation"\nup.{changes} = {up}\ndown.{changes} = {down}'
    one = varied_file(tmp_path, text)
    signal = one.templates[0]
    assert signal.process == "cevns"
    for direction, new in zip(("up", "down"), value, strict=True):
        table = new
        for key in reversed(changes.split(".")):
            table = {key: table}
        same = prepare(one.loaded.changed(table)).templates[0]
        for source, rows in signal.varied["extra", direction].items():
            for monomial, row in rows.items():
                assert row == pytest.approx(same.nominal[source][monomial], rel=1e-6)


def test_errors_of_single_bins_and_their_covariance(tmp_path):
    one = built("csi-electrons")
    bins = one.regions[0].observed.size
    rng = np.random.default_rng(1)
    factors = rng.normal(size=(bins, 3)) * 0.05
    matrix = factors @ factors.T
    names = [f"b{i}" for i in range(bins)]
    rows = "\n".join(",".join(f"{x:.17g}" for x in row) for row in matrix)
    (tmp_path / "cov.csv").write_text(f"# source: made up\n{','.join(names)}\n{rows}\n")
    columns = ", ".join(f'"{n}"' for n in names)
    text = f'kind = "bins"\nprocess = "cevns"\ntable = "cov.csv"\ncovariance = [{columns}]'
    signal = varied_file(tmp_path, text).templates[0]
    total = np.zeros((bins, bins))
    nominal = sum(rows["1"] for rows in signal.nominal.values())
    for name, direction in signal.varied:
        if direction == "up":
            varied = sum(rows["1"] for rows in signal.varied[name, "up"].values())
            total += np.outer(varied / nominal - 1, varied / nominal - 1)
    assert total == pytest.approx(matrix, abs=1e-9)


def pair(tmp_path, *correlations):
    """Three nuisances on the same signal, correlated or not."""
    text = text_of("csi-electrons")
    for name, size in (("one", 0.05), ("two", 0.1)):
        text += f'\n[nuisances.{name}]\nkind = "norm"\nsize = {size}\nprocesses = ["cevns"]\n'
    text += '\n[nuisances.qf_csi]\nkind = "variation"\n'
    text += "up.responses.nuclear.quenching.scale = 1.01\n"
    text += "down.responses.nuclear.quenching.scale = 0.99\n"
    for names, matrix in correlations:
        text += f"\n[[analyses.default.correlations]]\nnames = {names}\nmatrix = {matrix}\n"
    return nuhf.load(write(tmp_path, "pair", text))


@pytest.mark.parametrize("rho", [0.5, -0.5, 1.0])
def test_nuisances_are_correlated_in_part(tmp_path, rho):
    """A norm of 5 % and one of 10 % on the same events, as if both were pulled together."""
    plain, mixed = (
        nuhf.model(pair(tmp_path, *groups), "munu_e", analysis="cevns-only")
        for groups in ((), [(["one", "two"], [[1.0, rho], [rho, 1.0]])])
    )
    for u, v in ((0.3, 0.0), (0.0, 0.5), (-0.4, 0.2)):
        rest = {"two": v} if abs(rho) < 1 else {}
        values = {"one": u, "two": rho * u + np.sqrt(1 - rho**2) * v * bool(rest)}
        ours, theirs = (
            model.expected(at)["csi_electrons"]["cevns"]
            for model, at in ((mixed, {"one": u, **rest}), (plain, values))
        )
        # code4 inside one standard deviation is no exact power
        np.testing.assert_allclose(ours, theirs, rtol=2e-3)
    assert ("two" in {p.name for p in mixed.parameters}) is (abs(rho) < 1)


def test_a_shape_is_correlated_with_a_norm(tmp_path):
    """The shape moves by its weight times its shift, to either side."""
    group = (["one", "qf_csi"], [[1.0, -0.6], [-0.6, 1.0]])
    plain, mixed = (nuhf.model(pair(tmp_path, *groups), "munu_e") for groups in ((), (group,)))
    nominal = plain.expected()["csi_electrons"]["cevns"]
    for u, v in ((0.0, 0.5), (0.0, -0.5), (0.4, 0.3)):
        ours = mixed.expected({"one": u, "qf_csi": v})["csi_electrons"]["cevns"] - nominal
        theirs = plain.expected({"one": u, "qf_csi": -0.6 * u + 0.8 * v})
        shift = theirs["csi_electrons"]["cevns"] - nominal
        np.testing.assert_allclose(ours, shift, atol=0.03 * np.abs(shift).max())


@pytest.mark.parametrize(
    ("names", "matrix", "words"),
    [
        (["one", "three"], [[1.0, 0.5], [0.5, 1.0]], "'three' is no constrained nuisance"),
        (["one", "two"], [[1.0, 0.5], [0.4, 1.0]], "symmetric, with 1 on the diagonal"),
        (["one", "two"], [[1.0, 0.5]], "2 x 2"),
        (["one", "two"], [[1.0, 1.5], [1.5, 1.0]], "no such matrix is possible"),
    ],
)
def test_correlations_that_are_none(tmp_path, names, matrix, words):
    with pytest.raises(InputError, match=words):
        nuhf.model(pair(tmp_path, (names, matrix)), "munu_e")


# ----------------------------------------------------------------------------- traps


def test_a_quenching_table_that_starts_above_counted_recoils_is_refused(tmp_path):
    """It cut half of the signal in silence: 685 to 353 events."""
    table = "# source: made up\nt_kev_nr,qf\n15,0.08\n80,0.08\n"
    (tmp_path / "late.csv").write_text(table)
    quenching = 'quenching = { kind = "polynomial"'
    old = next(s for s in text_of("csi-electrons").splitlines() if s.startswith(quenching))
    text = text_of("csi-electrons").replace(
        old, 'quenching = { kind = "table", table = "late.csv" }'
    )
    with pytest.raises(InputError, match=r"start of its quenching \(15 keV\) cuts up to .* %"):
        prepare(catalogue.load(write(tmp_path, "late", text), "cevns-only"))
    meant = text.replace("[responses.nuclear]\n", "[responses.nuclear]\ncut_recoils = true\n")
    assert prepare(catalogue.load(write(tmp_path, "meant", meant), "cevns-only"))


@pytest.mark.parametrize("name", ["conus-plus", "silicon-reactor"])
def test_the_ionisation_of_one_pair_is_no_threshold(tmp_path, name):
    """Taken for the threshold of the analysis, the first bin's edge, it cut 27 and 3 % unsaid."""
    file = name if name == "conus-plus" else str(EXAMPLES / f"{name}.toml")
    loaded = catalogue.load(file)
    whole = prepare(loaded)
    edge = whole.regions[0].axes[0].edges[0]
    low = {"responses": {"nuclear": {"ionisation_min_kev_ee": float(edge)}}}
    with pytest.raises(InputError) as caught:
        prepare(loaded.changed(low))
    low["responses"]["nuclear"]["cut_recoils"] = True
    left = events(prepare(loaded.changed(low)), "cevns").sum() / events(whole, "cevns").sum()
    said = re.search(r"ionisation_min_kev_ee \([0-9.]+ keV\) cuts ([0-9.]+) %", str(caught.value))
    assert float(said[1]) == pytest.approx(100 * (1 - left), rel=0.05)
    assert left < 0.98


def test_whoever_leaves_electrons_out_is_told(tmp_path):
    text = text_of("csi-electrons").replace(
        'signals = ["cevns"]', 'signals = ["cevns"]\nnotes = ["mine"]'
    )
    loaded = catalogue.load(write(tmp_path, "mine", text), "cevns-only")
    assert any("scattering on electrons" in note for note in loaded.notes)
    assert not any("is left out" in note for note in built("csi-electrons").loaded.notes)
    told_apart = text.replace("format = 2\n", "format = 2\nseparates_electrons = true\n")
    loaded = catalogue.load(write(tmp_path, "apart", told_apart), "cevns-only")
    assert not any("scattering on electrons" in note for note in loaded.notes)


def test_sensitivities_need_no_invented_counts():
    one = built("silicon-reactor")
    (region,) = one.regions
    total = sum(region.backgrounds.values()) + events(one, "cevns") + events(one, "eves")
    assert region.observed == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        (EXAMPLES / "silicon-reactor.toml", "at the SM"),
        ("darwin-30ty", "with r2nu_ee = -8.3e-33"),
        (EXAMPLES / "made-up-csi.toml", None),
    ],
)
def test_a_file_without_a_measurement_says_so(name, truth):
    said = [n for n in catalogue.load(str(name)).notes if "Asimov data" in n]
    assert len(said) == (truth is not None)
    assert all(isinstance(n, Caveat) and truth in n for n in said)
