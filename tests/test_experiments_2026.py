"""The experiments of 2024 to 2026, and electrons in CsI, against golden numbers and plain twins."""

from functools import lru_cache

import numpy as np
import pytest
from independent_2026 import (
    NATURAL,
    ConusPlus,
    Xenon2Only,
    Xenon8B,
    boron8,
    golden_radius,
    read,
    xenon_rate,
)
from independent_csi_electrons import UNITS, Csi2017, Csi2021

import nuhf
from nuhf.constants import SIN2_THETA_W
from nuhf.library import read_nuclides

RISE = 2.705543454095404


def ends(name, parameter, analysis="default"):
    """Ends of the 90 % interval, all pieces in a row."""
    (found,) = nuhf.limit(name, parameter, analysis=analysis)
    return [end for piece in found.intervals for end in piece]


def events(name, analysis="default"):
    """SM events by region and process."""
    return {
        region: {process: row.sum() for process, row in rows.items()}
        for region, rows in nuhf.rate(name, analysis=analysis).items()
    }


def significance(name, analysis="default"):
    """Standard deviations by which the strength of the signal is away from zero."""
    scan = nuhf.scan(nuhf.model(name, "norm_cevns", analysis=analysis), points=21)
    assert scan.values[0] == 0.0
    return np.sqrt(scan.delta[0])


# ------------------------------------------------------------------ XENONnT, 8B


def signal_sums(name):
    return [
        sum(n for process, n in rows.items() if process.startswith("cevns"))
        for rows in events(name).values()
    ]


def test_xenonnt_8b_expects_the_golden_events():
    found = signal_sums("xenonnt-8b")
    np.testing.assert_allclose(found, [3.2387, 5.9731, 7.1859], rtol=5e-3)
    # with the radii of nuclides.toml and straight lines of the response alone, as the engine has
    # them; the golden numbers have other radii (+0.49 %) and the trapezoidal rule (-0.54 %)
    search, fine = Xenon8B(), np.linspace(0.5, 5.0, 4501)
    weight = np.full(fine.size, fine[1] - fine[0])
    weight[[0, -1]] /= 2
    rate = xenon_rate(fine * 1e-3, boron8()) * weight
    coarse = np.full(46, 0.1)
    coarse[[0, -1]] = 0.05
    twin = [
        np.interp(fine, search.energies * 1e3, (r[:, 0] / coarse).sum(0)) @ rate
        for r in search.responses
    ]
    np.testing.assert_allclose(found, twin, rtol=2e-4)


@pytest.mark.parametrize(("analysis", "golden"), [("sr0-sr1", 2.75), ("default", 3.31)])
def test_xenonnt_8b_sees_neutrinos(analysis, golden):
    # two independent codes: 2.754 and 3.314; published for the first two runs: 2.73
    assert significance("xenonnt-8b", analysis) == pytest.approx(golden, abs=0.02)


def test_xenonnt_8b_bounds_are_those_of_the_golden_numbers():
    # 1.287e-9, 2.246e-9 with straight lines between the yields and the radii of the golden
    # numbers; here HistFactory's interpolation and other radii
    assert ends("xenonnt-8b", "munu_eff")[-1] == pytest.approx(1.287e-9, rel=0.02)
    assert ends("xenonnt-8b", "munu_e")[-1] == pytest.approx(2.246e-9, rel=0.02)
    found = ends("xenonnt-8b", "sin2thetaW")
    np.testing.assert_allclose(found, [-0.649, -0.320, 0.104, 0.434], atol=0.008)


def test_xenonnt_without_light_has_the_template_of_the_collaboration():
    theirs = np.array([20.566, 29.444, 32.306])
    ratio = np.array(signal_sums("xenonnt-s2-only")) / theirs
    assert sum(signal_sums("xenonnt-s2-only")) == pytest.approx(theirs.sum(), rel=0.01)
    np.testing.assert_allclose(ratio - 1, [-0.0121, -0.0096, -0.0003], atol=5e-4)


def test_template_of_the_collaboration_is_met_in_each_run_with_the_radii_of_the_golden_numbers(
    tmp_path,
):
    """Of -1.2 % in SR0, 0.4 % are neutron radii: equal to those of protons, all runs are met.

    The golden numbers (one radius for protons and neutrons, sum over cells of the release) are
    -0.75, -0.58, +0.22 %; straight lines from 0.5 keV on make that -0.83, -0.57, +0.37 %.
    """
    nuclides = read_nuclides()
    rows = []
    for name in NATURAL["Xe"]:
        n = nuclides[name]
        radius = golden_radius(n.nucleons)
        values = {"protons": n.protons, "nucleons": n.nucleons, "atomic_mass_u": n.atomic_mass_u}
        values |= {"rp_fm": radius, "rn_fm": radius}
        rows += [f"[{name}]", *(f"{key} = {value}" for key, value in values.items())]
    (tmp_path / "nuclides.toml").write_text("\n".join(rows))
    path = tmp_path / "equal-radii.toml"
    path.write_text('format = 2\nname = "equal-radii"\nextends = "xenonnt-s2-only"\n')
    theirs = np.array([20.566, 29.444, 32.306])
    found = np.array(signal_sums(path)) / theirs - 1
    np.testing.assert_allclose(found, [-0.0083, -0.0057, 0.0037], atol=3e-4)
    search = Xenon2Only()
    cells = search.signal(xenon_rate(search.energies, boron8(), golden_radius))[..., 0].sum(1)
    np.testing.assert_allclose(cells / theirs, [0.9925, 0.9942, 1.0022], atol=1e-4)


def test_recoils_below_the_release_are_what_the_template_has_more():
    """The cause of -1.2 %: the template has the recoils from 0.45 to 0.5 keV, the response not.

    For three runs and three charge yields our sums miss 3 % to nothing, more where smaller recoils
    are seen. With a response continued to 0.45 keV, where the rate tables of the collaboration
    begin (2024 release), all nine are 0.2 to 0.7 % above the template: the rate, whose
    total there is 0.6 % below the golden one.
    """
    search = Xenon2Only()
    fine, low = np.linspace(0.5, 5.0, 2001), np.linspace(0.45, 0.5, 51)
    energies = search.energies / 1e-3
    rate, below = (xenon_rate(e * 1e-3, boron8()) for e in (fine, low))
    plain, continued = [], []
    for k, exposure in enumerate(search.exposures):
        table = read(f"xenonnt-s2-only/templates_sr{k}.csv")
        for i, name in enumerate(("cevns_0", "cevns_p1", "cevns_m1")):
            response, theirs = search.responses[k][:, i].sum(0), exposure * table[name].sum()
            ours = np.trapezoid(np.interp(fine, energies, response) * rate, fine)
            slope = np.polyfit(np.log(energies[:5]), np.log(response[:5]), 1)
            more = np.trapezoid(np.exp(np.polyval(slope, np.log(low))) * below, low)
            plain.append(exposure * ours / theirs)
            continued.append(exposure * (ours + more) / theirs)
    assert np.ptp(plain) > 0.03
    assert np.ptp(continued) < 0.005
    np.testing.assert_allclose(continued, 1.004, atol=0.003)


def test_xenonnt_without_light_bounds_the_moment():
    (found,) = nuhf.limit("xenonnt-s2-only", "munu_eff")
    # 9.89e-10 with the shapes of the cathode; yields by HistFactory's interpolation
    assert found.intervals[-1][1] == pytest.approx(9.886e-10, rel=0.02)
    assert any("prefer no neutrinos" in note for note in found.notes)


# ------------------------------------------------------------------------ CONUS+


def test_conus_plus_has_the_golden_numbers():
    ((rows),) = events("conus-plus").values()
    assert rows["cevns_e"] == pytest.approx(137.415, rel=1e-4)
    assert rows["eves_e"] == pytest.approx(0.0532, rel=1e-3)
    twin = ConusPlus()
    chi2 = twin.chi2(0 * twin.excess) - twin.chi2(twin.nuclear() + twin.electrons())
    assert np.sqrt(chi2) == pytest.approx(3.65, abs=0.01)
    assert significance("conus-plus") == pytest.approx(3.68, abs=0.01)  # of the free norm
    weak = ends("conus-plus", "sin2thetaW")
    np.testing.assert_allclose(weak, [-0.487, -0.306, 0.172, 0.354], atol=1e-3)
    np.testing.assert_allclose(ends("conus-plus", "qnu_ee"), [-1.975e-12, 2.069e-12], rtol=2e-3)
    assert ends("conus-plus", "munu_e")[-1] == pytest.approx(1.229e-10, rel=2e-3)
    alone = ends("conus-plus", "munu_e", "cevns-only")[-1]
    assert alone == pytest.approx(5.15e-10, rel=2e-3)
    radius = np.array(ends("conus-plus", "r2nu_ee"))
    np.testing.assert_allclose(radius, [-6.10e-31, -4.57e-31, -5.6e-32, 9.7e-32], rtol=0.01)


def test_conus_plus_says_what_is_not_settled():
    (found,) = nuhf.limit("conus-plus", "munu_e")
    assert any("DIGITISED" in note and "not verified" in note for note in found.notes)
    (alone,) = nuhf.limit("conus-plus", "munu_e", analysis="cevns-only")
    assert any("electrons" in note and "left out" in note for note in alone.notes)


# ------------------------------------------------------- measurements of one number

NUMBERS = {"coherent-ge-2026": 1.0, "pandax-4t-8b": 1.6, "lz-8b": 0.5905}


@pytest.mark.parametrize("name", list(NUMBERS))
def test_one_number_is_a_ratio_to_the_standard_model(name):
    (rows,) = events(name).values()
    assert sum(rows.values()) == pytest.approx(1.0, abs=1e-9)
    (found,) = nuhf.limit(name, "r2nu_mumu")
    assert any("no energy shape" in note for note in found.notes)


def test_germanium_bounds_the_radius_of_numu():
    """Linear estimate: 23.3 % of the events, share 0.681, 2 Z d/A0 per 1e-32 cm2."""
    inner = ends("coherent-ge-2026", "r2nu_mumu")[-2:]
    slope = 2 * 0.681 * 32 * 0.023796 / 19.622  # relative change per 1e-32 cm2
    estimate = RISE**0.5 * np.hypot(0.10, 0.10) / slope * 1e-32
    np.testing.assert_allclose(inner, [-estimate, estimate], rtol=0.05)


def test_numbers_combine():
    """Two measurements of the flux with independent errors: the mean by inverse squares."""
    alone = [ends(n, "sin2thetaW")[-1] for n in ("pandax-4t-8b", "lz-8b")]
    both = ends(["pandax-4t-8b", "lz-8b"], "sin2thetaW")[-1]
    assert min(alone) < both < max(alone)


# --------------------------------------------------------------- electrons in CsI

TWINS = {"coherent-csi-2021": Csi2021, "coherent-csi-2017": Csi2017}
BOUNDED = ("qnu_ee", "qnu_mumu", "munu_e", "munu_mu", "r2nu_ee", "r2nu_mumu", "sin2thetaW")
QUICK = {"coherent-csi-2021": BOUNDED, "coherent-csi-2017": ("qnu_mumu", "munu_e")}
CSI_BOUNDS = [
    pytest.param(name, parameter, marks=() if parameter in QUICK[name] else pytest.mark.slow)
    for name in TWINS
    for parameter in BOUNDED
]


@lru_cache
def twin_of(name):
    return TWINS[name]()


@lru_cache
def bounds(name):
    return {r.parameter: r for r in nuhf.limit(name, list(QUICK[name]))}


def bound(name, parameter):
    found = bounds(name).get(parameter)
    return found or nuhf.limit(name, parameter)[0]


@pytest.mark.parametrize("name", list(TWINS))
@pytest.mark.parametrize(("parameter", "value"), [("qnu_ee", -1.0), ("munu_mu", 3.0)])
def test_electrons_in_csi_have_the_events_of_the_twin(name, parameter, value):
    (rows,) = nuhf.rate(name, {parameter: value * UNITS[parameter.split("_")[0]]}).values()
    ours = sum(row for process, row in rows.items() if process.startswith("eves"))
    terms = twin_of(name).terms("eves", parameter)[:, 0].reshape(3, -1)
    theirs = terms[0] + value * terms[1] + value**2 * terms[2]
    np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1e-3 * theirs.max())
    assert ours.sum() == pytest.approx(theirs.sum(), rel=1e-3)


@pytest.mark.parametrize(("name", "parameter"), CSI_BOUNDS)
def test_ends_of_the_bounds_of_csi_are_those_of_the_twin(name, parameter):
    """The twin crosses its own minimum + 2.7055 within 1 % of every end.

    Of an end near zero within 1 % of its distance from the far end of the interval.
    """
    twin, result = twin_of(name), bound(name, parameter)
    unit = UNITS[parameter.split("_")[0]]
    origin = SIN2_THETA_W if parameter == "sin2thetaW" else 0.0
    low, high = ((x - origin) / unit for x in (result.intervals[0][0], result.intervals[-1][1]))
    best, span = (result.best_fit - origin) / unit, (high - low) / 4
    floor = 0.0 if parameter.startswith("munu") else -np.inf
    least = twin.best(parameter, max(best - span, floor), best + span, count=3)
    for piece in result.intervals:
        for end, outward in zip(piece, (-1, 1), strict=True):
            at = (end - origin) / unit
            if parameter.startswith("munu") and at == 0.0:
                continue  # the physical bound
            step = outward * 0.01 * max(abs(at), (high - low) / 2)
            inside, outside = (twin.profile(parameter, at + s * step).fun for s in (-1, 1))
            assert inside - least < RISE < outside - least, (end, inside, outside, least)


@pytest.mark.parametrize("parameter", ["qnu_ee", "qnu_mumu"])
@pytest.mark.parametrize(
    "name", ["coherent-csi-2021", pytest.param("coherent-csi-2017", marks=pytest.mark.slow)]
)
def test_nothing_is_allowed_beyond_the_narrow_range_of_charges(name, parameter):
    """From the limit to 1e-6 e the profile of the twin only rises, on both sides."""
    twin, result = twin_of(name), bound(name, parameter)
    ((low, high),) = result.intervals
    least = twin.best(parameter, low / 1e-10, high / 1e-10, count=3)
    for end in (low, high):
        far = np.sign(end) * np.geomspace(1.02 * abs(end) / 1e-10, 1e4, 5)
        heights = np.array([twin.profile(parameter, value).fun for value in far])
        assert heights[0] > least + RISE
        assert np.all(np.diff(heights) > 0)


@pytest.mark.parametrize("name", list(TWINS))
def test_csi_without_electrons_is_left_out_with_a_note(name):
    (found,) = nuhf.limit(name, "munu_mu", analysis="cevns-only")
    assert any("electrons" in note and "left out" in note for note in found.notes)
    assert not any("left out" in note for note in bounds(name)["qnu_mumu"].notes)
    # what this analysis gave before there were electrons (0.1.0)
    golden = {"coherent-csi-2021": 1.70e-9, "coherent-csi-2017": 2.48e-9}[name]
    assert found.intervals[-1][1] == pytest.approx(golden, rel=3e-3)


# ------------------------------------------------------------------ golden radii


def test_golden_radii_are_worth_half_a_per_cent():
    search = Xenon2Only()
    one, two = (
        search.signal(xenon_rate(search.energies, boron8(), radius))[..., 0].sum()
        for radius in (golden_radius, None)
    )
    assert two / one - 1 == pytest.approx(-0.004, abs=1e-3)
