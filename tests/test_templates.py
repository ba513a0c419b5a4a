"""Templates: exact morphing, honest quadrature, symmetries, and the text form."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from variables import at, events_at

import nuhf
from nuhf.constants import AVOGADRO, SIN2_THETA_W
from nuhf.couplings import parameters
from nuhf.couplings.electromagnetic import RADIUS_SHIFT
from nuhf.detector import quenching as curves
from nuhf.detector.efficiency import logistic_efficiency
from nuhf.detector.smearing import GammaSmearing, rebin
from nuhf.errors import InputError
from nuhf.library import read_nuclides
from nuhf.physics import sns
from nuhf.physics.cevns import differential_cross_section, minimum_energy
from nuhf.physics.couplings import tree_level
from nuhf.physics.settings import Physics
from nuhf.rates import build, signal
from nuhf.rates.quadrature import Grid
from nuhf.rates.signal import asked_for, check_together, fit_values, flavour_polynomial
from nuhf.rates.templates import Axis, TemplateSet, read_templates, to_json
from nuhf.resources import find, read_json, write_json
from nuhf.tables import read_table

NAME, ANALYSIS = "coherent-csi-2021", "cevns-only"
LOADED = nuhf.load(NAME, ANALYSIS).loaded
PE_EDGES, T_EDGES = map(np.array, LOADED.experiment.regions["main"].axes.values())
DETECTOR = LOADED.experiment.responses["nuclear"]
LOW = DETECTOR.recoil_min_kev * 1e-3
FORMULA = ("Cs133", "I127")
DIGESTS = {"sns/flux_time.csv": "0" * 64}
VARIATIONS = [None] + [
    (name, direction)
    for name in ("qf_csi_syst0", "qf_csi_syst1", "eff_coherent_csi_2021")
    for direction in ("up", "down")
]


@pytest.fixture(scope="module")
def templates():
    (found,) = nuhf.templates(NAME, ANALYSIS)
    return found


# ------------------------------------ the experiment put together once more, by hand


def detector_response(variation):
    coefficients, part = DETECTOR.quenching.coefficients, DETECTOR.efficiency
    logistic = {key: getattr(part, key) for key in "abcd"}
    if variation is not None:
        name, direction = variation
        changes = getattr(LOADED.experiment.nuisances[name], direction)["responses"]["nuclear"]
        if name.startswith("qf"):
            coefficients = changes["quenching"]["coefficients"]
        else:
            logistic = changes["efficiency"]
    quenching = curves.polynomial(coefficients, (0.0, 80e-3))
    smearing = GammaSmearing(DETECTOR.smearing.a0_kev_ee, DETECTOR.smearing.b0_per_kev_ee)
    efficiency = logistic_efficiency(**logistic)
    return lambda t: smearing.response(PE_EDGES, quenching(t), efficiency)


@pytest.fixture(scope="module")
def setup():
    """Targets and sources of the experiment."""
    nuclides = read_nuclides()
    formula = [nuclides[name] for name in FORMULA]
    molecules = 14.6e3 / sum(n.atomic_mass_u for n in formula) * AVOGADRO
    source = LOADED.experiment.sources["sns"]
    fluence = source.pot * source.neutrinos_per_flavour_per_pot
    fluence /= 4 * np.pi * (source.baseline_m * 100) ** 2
    columns = ["t_lo_us", "t_hi_us", *sns.SPECIES]
    profiles = sns.time_profiles(read_table(find(source.time_table), columns))
    sources = [
        build.FluxComponent(
            name, spectrum, fluence,
            rebin(
                profiles[name].edges_us,
                profiles[name].fraction * DETECTOR.time.mean(profiles[name].edges_us),
                T_EDGES,
            ),
        )
        for name, spectrum in sns.decay_at_rest().items()
    ]  # fmt: skip
    return [build.nucleus(n, molecules, Physics()) for n in formula], sources


def built(targets, sources, response, low=LOW, refine=1):
    """Nominal templates, from a grid of their own."""
    grid = build.recoil_grid(targets, sources, low, refine=refine)
    axes = (Axis("photoelectrons", tuple(PE_EDGES)), Axis("time_us", tuple(T_EDGES)))
    label = build.Label("one", "cevns", "cevns", axes)
    return build.template_set(label, targets, sources, response, grid)


# ---------------------------------------------------------------- exact morphing


def folded_section(grid, source, nuclide, values):
    """int dE phi(E) dsigma/dT with the couplings inside: line, or Gauss-Legendre over Michel."""
    recoil = grid.nodes
    if source.spectrum.lines:
        ((energy, number),) = source.spectrum.lines
        return number * differential_cross_section(
            recoil, np.full_like(recoil, energy), nuclide, source.spectrum.flavour, Physics(),
            *at(**values),
        )  # fmt: skip
    low = minimum_energy(recoil, nuclide.mass)
    high = np.maximum(source.spectrum.endpoint, low)
    x, w = np.polynomial.legendre.leggauss(10)
    half = 0.5 * (high - low)[:, None]
    energy = 0.5 * (high + low)[:, None] + half * x
    section = differential_cross_section(
        np.broadcast_to(recoil[:, None], energy.shape), energy, nuclide, source.spectrum.flavour,
        Physics(), *at(**values),
    )  # fmt: skip
    return (section * source.spectrum.density(energy) * half * w).sum(1)


def random_couplings(count):
    rng = np.random.default_rng(20211007)
    for _ in range(count):
        yield {
            "q": rng.normal(0, 3e-7),
            "r": rng.normal(0, 3e-31),
            "munu2": rng.exponential(1e-17),
            "qt2": rng.exponential(1e-14),
            "rt2": rng.exponential(1e-62),
        }


@pytest.mark.parametrize("variation", VARIATIONS, ids=lambda v: "-".join(v or ("nominal",)))
def test_templates_equal_a_full_recomputation_with_couplings_inside(templates, setup, variation):
    targets, sources = setup
    grid = build.recoil_grid(targets, sources, LOW)
    matrix = detector_response(variation)(grid.nodes) * grid.fine
    nuclides = read_nuclides()
    for source in sources:
        polynomial = templates.polynomial(source.name, variation)
        for values in random_couplings(50):
            rate = sum(
                t.number * source.fluence * folded_section(grid, source, nuclides[name], values)
                for t, name in zip(targets, FORMULA, strict=True)
            )
            full = np.outer(matrix @ rate, source.time_fractions).ravel()
            found = events_at(polynomial, **values)
            assert np.abs(found - full).max() <= 1e-10 * full.max()


@settings(max_examples=40, deadline=None)
@given(
    qnu_ee=st.floats(-1e-6, 1e-6), r2nu_mumu=st.floats(-1e-30, 1e-30),
    munu_e=st.floats(0, 1e-8), abs_qnu_emu=st.floats(0, 1e-6), s2w=st.floats(-0.4, 0.6),
)  # fmt: skip
def test_named_parameters_reach_the_right_monomials(qnu_ee, r2nu_mumu, munu_e, abs_qnu_emu, s2w):
    templates = nuhf_templates()
    values = {
        "qnu_ee": qnu_ee, "r2nu_mumu": r2nu_mumu, "munu_e": munu_e,
        "abs_qnu_emu": abs_qnu_emu, "sin2thetaW": s2w,
    }  # fmt: skip
    moving = [parameters.get(n) for n in values]
    theta = fit_values(values)
    shift = 2 * (s2w - SIN2_THETA_W) / RADIUS_SHIFT
    direct = {
        "e": {"q": qnu_ee, "r": shift, "munu2": munu_e**2, "qt2": abs_qnu_emu**2},
        "mu": {"r": r2nu_mumu + shift, "qt2": abs_qnu_emu**2},
    }
    for flavour, given_values in direct.items():
        polynomial = flavour_polynomial(templates, moving, flavour)
        found = polynomial.evaluate({n: v for n, v in theta.items() if n in polynomial.names})
        expected = sum(
            events_at(templates.polynomial(s), **given_values)
            for s, f in templates.flavours.items() if f == flavour
        )  # fmt: skip
        size = np.abs(expected).max() + templates.nominal["nue"]["1"].max()
        np.testing.assert_allclose(found, expected, atol=1e-10 * size, rtol=1e-9)


def nuhf_templates(cache={}):  # noqa: B006
    if not cache:
        (cache["made"],) = nuhf.templates(NAME, ANALYSIS)
    return cache["made"]


@pytest.mark.parametrize("s2w", [0.1, 0.25, 0.4])
def test_mixing_angle_equals_templates_built_with_it(templates, setup, s2w):
    targets, sources = setup
    nuclides = read_nuclides()
    moved = [
        build.nucleus(nuclides[name], t.number, Physics(tree_level(s2w)))
        for t, name in zip(targets, FORMULA, strict=True)
    ]
    direct = built(moved, sources, detector_response(None))
    angle = parameters.get("sin2thetaW")
    for flavour in ("e", "mu"):
        found = flavour_polynomial(templates, [angle], flavour).evaluate(
            fit_values({"sin2thetaW": s2w})
        )
        expected = sum(
            direct.nominal[s]["1"] for s, f in templates.flavours.items() if f == flavour
        )
        np.testing.assert_allclose(found, expected, atol=1e-10 * expected.max())


def counts(values, **options):
    (rates,) = nuhf.rate(NAME, values, analysis=ANALYSIS, **options).values()
    return {n: row for n, row in rates.items() if n.startswith("cevns")}


@pytest.mark.parametrize("convention", ["standard", "khan"])
def test_anapole_moment_is_a_radius_in_its_convention(convention):
    factor = {"standard": -6.0, "khan": -1 / 6}[convention]
    ours = counts({"anu_ee": 1e-32}, anapole=convention)
    radius = counts({"r2nu_ee": factor * 1e-32})
    for name in ours:
        np.testing.assert_allclose(ours[name], radius[name], rtol=1e-10)


def test_common_moment_is_the_moment_of_each_flavour():
    together = counts({"munu_eff": 2e-9})
    apart = counts({"munu_e": 2e-9, "munu_mu": 2e-9})
    for name in together:
        np.testing.assert_allclose(together[name], apart[name], rtol=1e-12)


def test_transition_couplings_feed_the_right_flavours():
    # DESIGN section 1: emu feeds all three SNS fluxes, etau only nu_e, mutau only nu_mu
    sm = counts({})
    for pair, fed in (("emu", {"cevns_e", "cevns_mu"}), ("etau", {"cevns_e"}),
                      ("mutau", {"cevns_mu"})):  # fmt: skip
        for stem, value in (("abs_qnu", 2e-7), ("abs_r2nu", 2e-31)):
            moved = counts({f"{stem}_{pair}": value})
            changed = {n for n in sm if moved[n].sum() > sm[n].sum() * (1 + 1e-6)}
            assert changed == fed
            assert all((moved[n] >= sm[n]).all() for n in sm)  # no interference


@pytest.mark.parametrize(
    ("name", "flavour"), [("qnu_ee", "e"), ("r2nu_mumu", "mu"), ("munu_e", "e"), ("munu_mu", "mu")]
)
def test_diagonal_couplings_feed_their_flavour_only(name, flavour):
    sm, moved = counts({}), counts({name: {"q": 1e-7, "r": 1e-31, "m": 1e-8}[name[0]]})
    changed = {n for n in sm if not np.allclose(moved[n], sm[n], rtol=1e-9)}
    assert changed == {f"cevns_{flavour}"}


# ----------------------------------------------------------- errors and quadrature


def test_claimed_error_of_the_templates_is_honest_and_small(templates, setup):
    # four times as many panels: neighbouring edges differ by 6 % instead of 25 %
    fine = built(*setup, detector_response(None), refine=4)
    worst = 0.0
    for source, monomials in fine.nominal.items():
        for name, refined in monomials.items():
            ours = templates.nominal[source][name]
            change = np.abs(refined - ours)
            rounding = 1e-12 * np.abs(ours).max()
            assert (change <= templates.errors[source][name] + rounding).all()
            worst = max(worst, change.max() / np.abs(ours).max())
    assert worst < 1e-6
    assert worst <= templates.relative_error()
    assert templates.relative_error() < 1e-6


def test_lower_end_of_the_recoil_integral_does_not_matter(templates, setup):
    lower = built(*setup, detector_response(None), LOW / 3)
    for source, monomials in lower.nominal.items():
        for name, more in monomials.items():
            ours = templates.nominal[source][name]
            change = np.abs(more - ours)
            assert (change <= templates.errors[source][name] + 1e-11 * np.abs(ours).max()).all()


def test_claimed_error_covers_what_lies_below_the_grid(setup):
    # a detector that sees everything: the recoils below 1 keV are lost, and the error says so
    def everything(recoil):
        return np.ones((1, recoil.size))

    cut, full = (built(*setup, everything, low) for low in (1e-3, 1e-6))
    assert set(cut.nominal) == set(sns.SPECIES)
    for source in cut.nominal:
        lost = full.nominal[source]["1"] - cut.nominal[source]["1"]
        ratio = cut.errors[source]["1"] / lost
        # the SM spectrum rises there by some per cent, the estimate takes it as flat
        assert (ratio > 0.9).all()
        assert (ratio < 1.2).all()


def test_templates_against_a_plain_riemann_sum(templates, setup):
    # no panels, no kinks: 200 000 midpoints in log T; the magnetic term of the line ends in a
    # step, which costs half a cell, 1.5e-5 of it
    targets, sources = setup
    u = np.log(LOW) + (np.arange(200_000) + 0.5) * (np.log(0.048 / LOW) / 200_000)
    recoil = np.exp(u)
    weight = recoil * (np.log(0.048 / LOW) / 200_000)
    source = next(s for s in sources if s.name == "numu")
    grid = Grid(recoil, weight, weight)
    values, nuclides = {"q": 1e-7, "munu2": 1e-18}, read_nuclides()
    rate = sum(
        t.number * source.fluence * folded_section(grid, source, nuclides[name], values)
        for t, name in zip(targets, FORMULA, strict=True)
    )
    response = detector_response(None)
    total = 0.0
    for part in np.array_split(np.arange(recoil.size), 20):
        total = total + response(recoil[part]) @ (rate[part] * weight[part])
    found = events_at(templates.polynomial("numu"), **values).reshape(9, 11).sum(1)
    np.testing.assert_allclose(found, total * source.time_fractions.sum(), rtol=5e-5)


def test_unreachable_recoils_are_refused(setup):
    targets, sources = setup
    with pytest.raises(InputError, match="no neutrino gives a recoil above 60 keV"):
        build.recoil_grid(targets, sources, 60e-3)


# ------------------------------------------------------------ physical properties


def test_signal_is_never_negative(templates):
    for source in templates.flavours:
        for values in random_couplings(50):
            expected = events_at(templates.polynomial(source), **values)
            assert expected.min() >= -1e-10 * expected.max()


def test_squares_are_positive_and_cauchy_schwarz_holds(templates):
    # per bin: t_q^2 <= 4 t_1 t_q2, t_r^2 <= 4 t_1 t_r2, t_qr^2 <= 4 t_q2 t_r2
    for m in templates.nominal.values():
        for square in ("1", "q^2", "r^2", "munu^2"):
            assert (m[square] >= 0).all()
        for cross, one, two in (("q", "1", "q^2"), ("r", "1", "r^2"), ("q*r", "q^2", "r^2")):
            bound = 4 * m[one] * m[two]
            assert (m[cross] ** 2 <= bound * (1 + 1e-9) + 1e-300).all()


def test_time_shape_is_common_to_all_monomials_of_a_source(templates):
    for monomials in templates.nominal.values():
        shapes = [m.reshape(9, 11).sum(0) / m.sum() for m in monomials.values()]
        for shape in shapes[1:]:
            np.testing.assert_allclose(shape, shapes[0], rtol=1e-10)


def test_charge_prefers_low_recoils(templates):
    # 1/T: mean photoelectrons of q^2 below q below SM
    middle = 0.5 * (PE_EDGES[1:] + PE_EDGES[:-1])
    for m in templates.nominal.values():
        mean = {k: m[k].reshape(9, 11).sum(1) @ middle / m[k].sum() for k in ("1", "q", "q^2")}
        assert mean["q^2"] < mean["q"] < mean["1"]


def test_variations_move_the_counts_in_opposite_directions(templates):
    def total(t):
        return sum(m["1"].sum() for m in t.values())

    nominal = total(templates.nominal)
    for name in {n for n, _ in templates.varied}:
        up, down = (total(templates.varied[name, d]) - nominal for d in ("up", "down"))
        assert up * down < 0
        assert 0.001 < abs(up) / nominal < 0.2


# ------------------------------------------------------------ sets of parameters


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["r2nu_ee", "anu_ee"], "r2nu_ee and anu_ee are the same direction"),
        (["munu_eff", "munu_e"], "munu_eff already stands for munu_e, munu_mu, munu_tau"),
        (["abs_qnu_emu", "abs_r2nu_emu"], "need a relative phase"),
        (["qnu_ee", "qnu_ee"], "given twice"),
    ],
)
def test_undefined_sets_are_refused(names, words):
    with pytest.raises(InputError, match=words):
        check_together([parameters.get(n) for n in names])


def test_defined_sets_are_allowed():
    for names in (["r2nu_ee", "anu_mumu"], ["qnu_ee", "r2nu_ee"], ["abs_qnu_emu", "abs_qnu_etau"]):
        check_together([parameters.get(n) for n in names])
        moving = [parameters.get(n) for n in names]
        assert set(flavour_polynomial(nuhf_templates(), moving, "e").names)


def test_unknown_anapole_convention_is_refused():
    with pytest.raises(InputError, match="unknown anapole convention 'giunti'; allowed: standard"):
        flavour_polynomial(nuhf_templates(), [parameters.get("anu_ee")], "e", anapole="giunti")


# ------------------------------------------------------------------ the text form


def test_template_file_round_trip(tmp_path, templates):
    path = tmp_path / "t.json"
    write_json(path, to_json(NAME, "default", [templates], DIGESTS))
    (again,) = read_templates(path)
    assert (again.region, again.process, again.interaction, again.axes) == (
        templates.region, templates.process, templates.interaction, templates.axes
    )  # fmt: skip
    assert again.flavours == templates.flavours
    content = read_json(path)
    assert (content["experiment"], content["analysis"]) == (NAME, "default")
    assert content["digests"] == DIGESTS
    assert again.varied.keys() == templates.varied.keys()
    for one, two in [
        (again.nominal, templates.nominal),
        *((again.varied[key], templates.varied[key]) for key in templates.varied),
    ]:
        for source, monomials in two.items():
            assert list(one[source]) == list(templates.monomials)
            for name, row in monomials.items():
                np.testing.assert_allclose(one[source][name], row, rtol=1e-9, atol=0)
    # rows of energy times the shares in time: 9 numbers for 99 bins
    assert len(content["sets"][0]["shares"]["nue"]) == 11
    assert len(content["sets"][0]["nominal"]["nue"]["1"]) == 9
    for source, monomials in templates.errors.items():
        for name, row in monomials.items():
            assert again.errors[source][name].max() == pytest.approx(row.max(), rel=0.06)
    # what was read is written the same
    write_json(tmp_path / "again.json", to_json(NAME, "default", [again], DIGESTS))
    (third,) = read_templates(tmp_path / "again.json")
    for source, monomials in again.nominal.items():
        for name, row in monomials.items():
            np.testing.assert_allclose(third.nominal[source][name], row, rtol=1e-9)
    assert again.bins == templates.bins == 99


def small_set():
    zero = {"numu": {name: np.array([1.0, 2.0]) for name in ("1", "q", "q^2")}}
    axis = Axis("photoelectrons", (0.0, 1.0, 2.0))
    return TemplateSet(
        "x", "cevns", "cevns", (axis,), {"numu": "mu"}, zero, {("n", "up"): zero}, zero
    )


def test_rows_of_zeros_are_left_out_of_the_file(tmp_path):
    made, nothing = small_set(), {"numu": {"1": np.array([1.0, 2.0]), "q": np.zeros(2)}}
    made = replace(made, nominal=nothing, varied={}, errors=nothing)
    content = to_json("x", "default", [made], {})
    assert content["sets"][0]["nominal"] == {"numu": {"1": [1.0, 2.0]}}
    write_json(tmp_path / "t.json", content)
    (again,) = read_templates(tmp_path / "t.json")
    assert again.monomials == made.monomials
    np.testing.assert_array_equal(again.nominal["numu"]["q"], np.zeros(2))


def test_rows_are_shortened_only_if_the_last_axis_has_the_same_shares_in_all(tmp_path):
    axes = (Axis("energy_kev_nr", (0.0, 1.0, 2.0)), Axis("time_us", (0.0, 1.0, 2.0, 3.0)))
    share, other = np.array([0.5, 0.3, 0.2]), np.array([0.5, 0.2, 0.3])
    rows = {"1": np.outer([3.0, 1.0], share).ravel(), "q": np.outer([-2.0, 0.5], share).ravel()}
    made = replace(small_set(), axes=axes, nominal={"numu": rows}, varied={}, errors={"numu": rows})
    varied = {("n", "up"): {"numu": rows | {"q": np.outer([-2.0, 0.5], other).ravel()}}}
    for one, shortened in ((made, True), (replace(made, varied=varied), False)):
        content = to_json("x", "default", [one], {})
        assert ("shares" in content["sets"][0]) is shortened
        write_json(tmp_path / "t.json", content)
        (again,) = read_templates(tmp_path / "t.json")
        for name, row in rows.items():
            np.testing.assert_allclose(again.nominal["numu"][name], row, rtol=1e-12)


def test_templates_of_a_question_are_all_that_moves_with_it(templates):
    """Rates of the question's parameters, together and at other values, are those of all rows."""
    floated = [parameters.get(name) for name in ("qnu_ee", "r2nu_mumu")]
    kept = asked_for(templates, [[one] for one in floated])
    assert kept.monomials == ("1", "q", "r", "q^2", "r^2")
    assert set(kept.nominal["nue"]) == set(kept.nominal["numu"])
    assert not kept.nominal["nue"]["r"].any()
    assert not kept.nominal["numu"]["q"].any()
    assert "q*r" in asked_for(templates, [[floated[0], parameters.get("r2nu_ee")]]).monomials
    for values in ({"qnu_ee": 3e-8}, {"r2nu_mumu": -2e-31}):
        ours, theirs = signal.expected(kept, values), signal.expected(templates, values)
        for flavour, row in theirs.items():
            np.testing.assert_allclose(ours[flavour], row, rtol=1e-14)


def test_several_sets_in_one_file(tmp_path):
    sets = [small_set(), replace(small_set(), region="y"), replace(small_set(), process="eves_pp")]
    write_json(tmp_path / "t.json", to_json("x", "default", sets, {}))
    again = read_templates(tmp_path / "t.json")
    assert [(t.region, t.process) for t in again] == [
        ("x", "cevns"), ("y", "cevns"), ("x", "eves_pp"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c, s: c.update(format=1), "not a nuhf template file of format 4"),
        (lambda c, s: s["nominal"]["numu"].update(q=[1.0]), r"nominal\.numu\.q: needs 2 numbers"),
        (lambda c, s: s["monomials"].remove("q^2"), r"numu: q\^2 is not in 'monomials'"),
        (lambda c, s: s.pop("monomials"), "broken template file: KeyError.*monomials"),
        (lambda c, s: s.pop("axes"), "broken template file: KeyError.*axes"),
        (lambda c, s: s.update(nominal=3), "broken template file"),
        (
            lambda c, s: s.update(varied={"n": {}}),
            "sources differ: numu in nominal, none elsewhere",
        ),
        (lambda c, s: s["nominal"]["numu"].update(q=["a", 1]), "broken template file"),
        (lambda c, s: c.pop("sets"), "broken template file: KeyError.*sets"),
        (lambda c, s: c.update(sets=[{"as_in": "t"}]), "broken template file: KeyError"),
        (lambda c, s: c.update(sets=3), "broken template file"),
    ],
)
def test_broken_template_files_are_refused(tmp_path, change, words):
    content = json.loads(json.dumps(to_json("x", "default", [small_set()], {})))
    path = tmp_path / "t.json"
    write_json(path, content)
    assert read_templates(path)[0].bins == 2
    change(content, content["sets"][0])
    write_json(path, content)
    with pytest.raises(InputError, match=words) as error:
        read_templates(path)
    assert "t.json" in str(error.value)
    write_json(path, [])
    with pytest.raises(InputError, match="not a nuhf template file"):
        read_templates(path)


def test_json_states_units_and_error(templates):
    content = to_json(NAME, "default", [templates], {})
    assert content["units"]["q"] == "e"
    assert content["units"]["r"] == "cm2"
    assert content["sets"][0]["relative_error"] == pytest.approx(
        templates.relative_error(), rel=0.1
    )
    worse = replace(templates, errors={
        s: {m: 10 * row for m, row in rows.items()} for s, rows in templates.errors.items()
    })  # fmt: skip
    assert worse.relative_error() == pytest.approx(10 * templates.relative_error())


def test_relative_error_is_the_worst_of_all_templates():
    """Largest error over largest bin of each; templates of nothing but zeros do not count."""
    rows = {"1": np.array([10.0, 100.0]), "q": np.array([-8.0, 2.0]), "r": np.zeros(2)}
    errors = {"1": np.array([5.0, 1.0]), "q": np.array([0.1, 0.4]), "r": np.array([0.0, 9.0])}
    axes = (Axis("energy_kev_ee", (0.0, 1.0, 2.0)),)
    made = TemplateSet("a", "eves", "eves", axes, {"s": "e"}, {"s": rows}, {}, {"s": errors})
    assert made.relative_error() == pytest.approx(0.05, rel=1e-15)
    nothing = {"s": {"1": np.zeros(2)}}
    assert replace(made, nominal=nothing, errors=nothing).relative_error() == 0.0


def test_templates_are_the_same_bytes_twice(tmp_path, templates):
    write_json(tmp_path / "a.json", to_json(NAME, "default", [templates], DIGESTS))
    write_json(
        tmp_path / "b.json", to_json(NAME, "default", nuhf.templates(NAME, ANALYSIS), DIGESTS)
    )
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert read_json(tmp_path / "a.json")["format"] == 4
