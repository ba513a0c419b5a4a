"""Neutrinos of the SNS: spectra, arrival times and flux moments against direct integrals."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from nuhf.constants import MUON_LIFETIME, MUON_MASS, PION_MASS
from nuhf.errors import InputError
from nuhf.library import read_nuclides
from nuhf.physics import sns
from nuhf.physics.cevns import maximum_recoil, minimum_energy
from nuhf.physics.spectra import Spectrum, histogram_spectrum
from nuhf.rates.quadrature import flux_moments
from nuhf.resources import find, write_text
from nuhf.tables import read_table

MASS = read_nuclides()["Cs133"].mass
SMOOTH = ["nue", "numubar"]


@pytest.fixture(scope="module")
def tabulated():
    columns = ["e_lo_mev", "e_hi_mev", *sns.SPECIES]
    return sns.tabulated_spectra(read_table(find("sns/flux_energy.csv"), columns))


@pytest.fixture(scope="module")
def times():
    table = read_table(find("sns/flux_time.csv"), ["t_lo_us", "t_hi_us", *sns.SPECIES])
    return sns.time_profiles(table)


# ------------------------------------------------------------------- spectra


def test_prompt_line_is_at_29_79_mev():
    # DESIGN section 1; two-body kinematics p = (m_pi^2 - m_mu^2)/(2 m_pi)
    assert pytest.approx(29.79, abs=0.005) == sns.PROMPT_ENERGY
    muon_energy = np.hypot(MUON_MASS, sns.PROMPT_ENERGY)
    assert pytest.approx(PION_MASS, rel=1e-14) == muon_energy + sns.PROMPT_ENERGY
    assert sns.decay_at_rest()["numu"].lines == ((sns.PROMPT_ENERGY, 1.0),)


@pytest.mark.parametrize(("name", "mean"), [("nue", 3 / 5), ("numubar", 7 / 10)])
def test_michel_spectra_are_normalised_with_the_exact_mean(name, mean):
    # x = E/(m_mu/2): nu_e 12 x^2 (1-x), mean 3/5; nubar_mu 2 x^2 (3-2x), mean 7/10
    spectrum = sns.decay_at_rest()[name]
    end = MUON_MASS / 2
    number = quad(spectrum.density, 0, end)[0]
    energy = quad(lambda e: e * spectrum.density(e), 0, end)[0]
    assert number == pytest.approx(1.0, rel=1e-13)
    assert energy / end == pytest.approx(mean, rel=1e-12)
    assert spectrum.endpoint == pytest.approx(52.83, abs=0.005)


def test_muon_decay_conserves_energy():
    # The electron of mu -> e nu nu carries 7/20 m_mu, the two neutrinos the rest.
    spectra = sns.decay_at_rest()
    energy = sum(
        quad(lambda e, s=s: e * spectra[s].density(e), 0, MUON_MASS / 2)[0] for s in SMOOTH
    )
    assert energy == pytest.approx(13 / 20 * MUON_MASS, rel=1e-12)


def test_michel_shapes_at_the_endpoint():
    spectra = sns.decay_at_rest()
    end = np.array([MUON_MASS / 2])
    assert spectra["nue"].density(end)[0] == pytest.approx(0.0, abs=1e-15)  # falls to zero
    # 2/(m_mu/2) at x = 1
    assert spectra["numubar"].density(end)[0] == pytest.approx(4 / MUON_MASS, rel=1e-12)


def test_tabulated_spectra_follow_the_analytic_ones(tabulated):
    # README of the release: the simulated edge is 52.32 MeV and the shapes agree to about 1 %
    analytic = sns.decay_at_rest()
    for name in SMOOTH:
        for low in (10, 20, 30, 40):
            expected = quad(analytic[name].density, low, low + 10)[0]
            found = quad(tabulated[name].density, low, low + 10, points=range(low, low + 10))[0]
            assert found == pytest.approx(expected, rel=0.04)
    ((energy, line),) = tabulated["numu"].lines
    assert energy == sns.PROMPT_ENERGY
    assert 0.99 < line < 1  # the pion line, with a little decay in flight elsewhere
    assert quad(tabulated["numu"].density, 29, 30)[0] == 0


def test_flavours_of_the_species():
    spectra = sns.decay_at_rest()
    assert dict(sns.SPECIES) == {name: s.flavour for name, s in spectra.items()}
    assert sns.SPECIES == {"numu": "mu", "nue": "e", "numubar": "mu"}


def test_histogram_density_and_its_edges():
    spectrum = histogram_spectrum("e", [1.0, 2.0, 4.0], [3.0, 8.0])
    energies = np.array([0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 4.5])
    np.testing.assert_array_equal(spectrum.density(energies), [0, 3, 3, 4, 4, 4, 0])
    assert spectrum.endpoint == 4.0
    np.testing.assert_array_equal(spectrum.kinks, [1, 2, 4])
    with pytest.raises(InputError, match="3 edges do not fit 3 bins"):
        histogram_spectrum("e", [1.0, 2.0, 4.0], [1.0, 2.0, 3.0])


# ------------------------------------------------------------- arrival times


def test_time_profiles_are_normalised(times):
    for profile in times.values():
        assert profile.fraction.sum() == pytest.approx(1.0, abs=1e-5)
        assert profile.edges_us[0] == 0.0


def test_delayed_neutrinos_follow_the_muon_lifetime(times):
    # After the pulse N(t) falls as exp(-t/tau); PDG tau = 2.197 us
    for name in SMOOTH:
        edges, fraction = times[name].edges_us, times[name].fraction
        middle = 0.5 * (edges[1:] + edges[:-1])
        late = (middle > 3) & (middle < 10)
        slope = np.polyfit(middle[late], np.log(fraction[late]), 1, w=np.sqrt(fraction[late]))[0]
        assert -1 / slope == pytest.approx(MUON_LIFETIME * 1e6, rel=0.02)


def test_prompt_neutrinos_come_first(times):
    mean = {
        name: (p.fraction * 0.5 * (p.edges_us[1:] + p.edges_us[:-1])).sum()
        for name, p in times.items()
    }
    # the muon lives 2.197 us longer than the pion (26 ns)
    for name in SMOOTH:
        assert mean[name] - mean["numu"] == pytest.approx(MUON_LIFETIME * 1e6, rel=0.05)


def test_broken_flux_table_is_refused(tmp_path):
    good = find("sns/flux_time.csv").read_text().splitlines()
    first = next(i for i, s in enumerate(good) if s.startswith("0,"))
    path = tmp_path / "times.csv"
    write_text(path, "\n".join([*good[: first + 1], *good[first + 2 :]]))
    with pytest.raises(InputError, match="leave a gap"):
        sns.time_profiles(read_table(path, ["t_lo_us", "t_hi_us"]))
    cells = good[first].split(",")
    write_text(path, "\n".join([*good[:first], ",".join([*cells[:2], "-1", *cells[3:]])]))
    with pytest.raises(InputError, match=r"'numu', row 0: -1\.0 is negative"):
        sns.time_profiles(read_table(path, ["t_lo_us", "t_hi_us"]))


# ------------------------------------------------------------------- moments

RECOILS = np.array([1e-4, 1e-3, 5e-3, 1.2e-2, 2e-2, 3e-2, 4.4e-2])


def direct_moments(spectrum, recoil):
    """The slow twin: scipy.quad piece by piece above the threshold, lines added."""
    threshold = float(minimum_energy(recoil, MASS))
    found = np.zeros(3)
    for n in range(3):
        for low, high in zip(spectrum.edges[:-1], spectrum.edges[1:], strict=True):
            if high > threshold:
                # the density of a histogram belongs to the inside of the piece
                start = max(low, threshold)
                found[n] += quad(
                    lambda e, n=n: float(spectrum.density(e)) / e**n, start, np.nextafter(high, 0),
                    epsabs=0, epsrel=1e-12,
                )[0]  # fmt: skip
        found[n] += sum(k * e**-n for e, k in spectrum.lines if e > threshold)
    return found


@pytest.mark.parametrize("name", [*SMOOTH, "numu"])
def test_moments_of_analytic_spectra_against_quad(name):
    spectrum = sns.decay_at_rest()[name]
    found = flux_moments(spectrum, RECOILS, MASS)
    expected = np.array([direct_moments(spectrum, t) for t in RECOILS]).T
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("name", [*SMOOTH, "numu"])
def test_moments_of_histograms_against_quad(tabulated, name):
    found = flux_moments(tabulated[name], RECOILS, MASS)
    expected = np.array([direct_moments(tabulated[name], t) for t in RECOILS]).T
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-15)


def test_line_counts_up_to_its_largest_recoil_and_no_further():
    line = sns.decay_at_rest()["numu"]
    top = float(maximum_recoil(np.array(sns.PROMPT_ENERGY), MASS))
    found = flux_moments(line, top * np.array([1 - 1e-9, 1 + 1e-9]), MASS)
    np.testing.assert_allclose(found[:, 0], sns.PROMPT_ENERGY ** -np.arange(3.0), rtol=1e-13)
    assert (found[:, 1] == 0).all()


def test_moments_of_the_michel_spectrum_in_closed_form():
    # x = E/W: int_y^1 12 x^(2-n) (1-x) dx W^-n
    end = mpmath.mpf(MUON_MASS) / 2
    for recoil in RECOILS:
        y = mpmath.mpf(float(minimum_energy(recoil, MASS))) / end
        if y >= 1:
            continue
        for n in range(3):

            def primitive(x, n=n):
                return 12 * (x ** (3 - n) / (3 - n) - x ** (4 - n) / (4 - n))

            exact = float((primitive(mpmath.mpf(1)) - primitive(y)) * end**-n)
            found = flux_moments(sns.decay_at_rest()["nue"], np.array([recoil]), MASS)[n, 0]
            assert found == pytest.approx(exact, rel=1e-11, abs=1e-17)


@pytest.mark.parametrize("name", list(sns.SPECIES))
def test_zeroth_moment_starts_at_the_number_of_neutrinos(tabulated, name):
    tiny = np.array([1e-12])
    assert flux_moments(sns.decay_at_rest()[name], tiny, MASS)[0, 0] == pytest.approx(1.0)
    assert flux_moments(tabulated[name], tiny, MASS)[0, 0] == pytest.approx(1.0, abs=1e-5)


@settings(deadline=None)
@given(
    contents=st.lists(st.floats(0, 10), min_size=1, max_size=8),
    line=st.tuples(st.floats(5, 60), st.floats(0, 3)),
    recoils=st.lists(st.floats(1e-6, 0.1), min_size=2, max_size=20),
)
def test_moments_fall_with_the_recoil_and_vanish_beyond_the_endpoint(contents, line, recoils):
    edges = np.linspace(2.0, 50.0, len(contents) + 1)
    bins = histogram_spectrum("e", edges, contents)
    spectrum = Spectrum("e", bins.edges, bins.density, (line,), bins.order)
    recoil = np.sort(recoils)
    moments = flux_moments(spectrum, recoil, MASS)
    assert (np.diff(moments, axis=1) <= 1e-12 * moments[:, :1]).all()
    assert (moments >= 0).all()
    beyond = recoil > maximum_recoil(np.array(spectrum.endpoint), MASS) * (1 + 1e-9)
    assert (moments[:, beyond] == 0).all()


@settings(deadline=None)
@given(factor=st.floats(1e-3, 1e3))
def test_moments_are_linear_in_the_flux(factor):
    base = histogram_spectrum("e", [10.0, 20.0, 50.0], [1.0, 2.0])
    more = histogram_spectrum("e", [10.0, 20.0, 50.0], [factor, 2.0 * factor])
    np.testing.assert_allclose(
        flux_moments(more, RECOILS, MASS), factor * flux_moments(base, RECOILS, MASS), rtol=1e-12
    )


def test_moments_scale_with_the_unit_of_energy():
    # E -> k E, T -> k T, M -> k M: m_n -> k^-n m_n
    k = 1.7
    edges, content = np.array([10.0, 20.0, 50.0]), [1.0, 2.0]
    one = flux_moments(histogram_spectrum("e", edges, content), RECOILS, MASS)
    two = flux_moments(histogram_spectrum("e", k * edges, content), k * RECOILS, k * MASS)
    np.testing.assert_allclose(two * k ** np.arange(3.0)[:, None], one, rtol=1e-12)
