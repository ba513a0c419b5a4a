"""The search for intervals: on functions with known answers, then on the real likelihood."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from conftest import EXPERIMENT, PARAMETERS
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import erfinv

import nuhf
from nuhf.errors import FitError, InputError
from nuhf.likelihood.fit import fit
from nuhf.stats.intervals import ScanRange, intervals, threshold

RISE = threshold(0.9)


@dataclass(frozen=True)
class Curve:
    """A polynomial as a profile; its minima by walking downhill to the next critical point."""

    poly: np.polynomial.Polynomial
    low: float = -np.inf

    def at(self, values):
        return self.poly(np.asarray(values, dtype=float))

    def minima(self, starts):
        slope = self.poly.deriv()
        critical = slope.roots()
        critical = np.sort(critical[np.abs(critical.imag) < 1e-7].real)
        found = []
        for start in starts:
            down = -np.sign(slope(start))
            lowest = critical[self.poly.deriv(2)(critical) > 0]
            ahead = lowest[(lowest - start) * down > 0]
            # none ahead: the start is a minimum up to rounding
            ahead = ahead if ahead.size and down else lowest
            end = ahead[np.argmin(np.abs(ahead - start))]
            found.append(max(end, self.low))
        return np.array(found), self.at(found)


def parabola(centre, sigma=1.0, offset=123.0):
    return np.polynomial.Polynomial([offset + (centre / sigma) ** 2, -2 * centre / sigma**2,
                                     sigma**-2])  # fmt: skip


# ---------------------------------------------------------------------------- known answers


@pytest.mark.parametrize("cl", [0.1, 0.6827, 0.9, 0.95, 0.9973])
def test_threshold_equals_its_closed_forms(cl):
    """1 dof: 2 erfinv(cl)^2; 2 dof: -2 ln(1 - cl)."""
    assert threshold(cl) == pytest.approx(2 * erfinv(cl) ** 2, rel=1e-12)
    assert threshold(cl, 2) == pytest.approx(-2 * np.log1p(-cl), rel=1e-12)


@pytest.mark.parametrize("cl", [0.0, 1.0, -0.1, 1.5, np.nan, np.inf])
def test_threshold_refuses(cl):
    with pytest.raises(InputError, match="between 0 and 1"):
        threshold(cl)


@pytest.mark.parametrize("cl", [0.6827, 0.9, 0.99])
@pytest.mark.parametrize(("centre", "sigma"), [(0.0, 1.0), (0.3, 0.01), (-7.0, 2.0), (2.0, 1e-4)])
def test_parabola(centre, sigma, cl):
    found = intervals(Curve(parabola(centre, sigma)), ScanRange(-20.0, 20.0), cl)
    half = sigma * np.sqrt(threshold(cl))
    assert found.best.value == pytest.approx(centre, abs=1e-9)
    assert found.best.twice_nll == pytest.approx(123.0)
    assert len(found.minima) == 1
    (piece,) = found.pieces
    assert piece == pytest.approx((centre - half, centre + half), abs=1e-7 * 20)


@pytest.mark.parametrize("tilt", [3e-9, -3e-9])
def test_of_minima_of_one_depth_the_best_fit_is_nearest_to_zero(tilt):
    """Rounding, here a tilt, does not choose; a difference that counts does."""
    well = np.polynomial.Polynomial.fromroots([-1.0, -1.0, 2.0, 2.0])
    span = ScanRange(-5.0, 5.0)
    found = intervals(Curve(well + np.polynomial.Polynomial([0.0, tilt / 3.0])), span, 0.9)
    assert found.best.value == pytest.approx(-1.0, abs=1e-6)
    assert len(found.minima) == 2
    tilted = intervals(Curve(well - np.polynomial.Polynomial([0.0, 1e-3])), span, 0.9)
    assert tilted.best.value == pytest.approx(2.0, abs=1e-3)


def double_well(separation, depth):
    """depth ((x/s)^2 - 1)^2: minima 0 at +-s, barrier ``depth`` at 0."""
    unit = np.polynomial.Polynomial([-1.0, 0.0, separation**-2])
    return depth * unit**2


def test_double_well_with_known_crossings():
    found = intervals(Curve(double_well(2.0, 10.0)), ScanRange(-9.0, 9.0), 0.9)
    inner, outer = 2 * np.sqrt(1 - np.sqrt(RISE / 10)), 2 * np.sqrt(1 + np.sqrt(RISE / 10))
    expected = [-outer, -inner, inner, outer]
    np.testing.assert_allclose(np.ravel(found.pieces), expected, rtol=1e-6)
    assert sorted(m.value for m in found.minima) == pytest.approx([-2.0, 2.0])


def test_one_piece_if_the_barrier_is_low():
    found = intervals(Curve(double_well(2.0, 0.5 * RISE)), ScanRange(-9.0, 9.0), 0.9)
    assert len(found.pieces) == 1
    assert len(found.minima) == 2


def test_a_second_minimum_above_the_level_is_listed_but_no_piece():
    tilted = double_well(3.0, 20.0) + np.polynomial.Polynomial([0.0, 1.0])
    found = intervals(Curve(tilted), ScanRange(-9.0, 9.0), 0.9)
    assert len(found.minima) == 2
    ((low, high),) = found.pieces
    assert low < found.best.value < high < 0
    assert found.minima[1].twice_nll - found.best.twice_nll > RISE


def test_a_piece_narrower_than_the_grid_is_found():
    """The second minimum dips below the level by 1e-4 only: far narrower than the grid there."""
    well = double_well(6.0, 1e5)
    # a small tilt lifts the right minimum to just below the level
    slope = (RISE - 1e-4) / 12.0
    tilted = Curve(well + np.polynomial.Polynomial([0.0, slope]))
    found = intervals(tilted, ScanRange(-19.0, 19.0), 0.9)
    assert len(found.pieces) == 2
    low, high = found.pieces[1]
    assert low < 6.0 < high + 1e-3
    assert 0 < high - low < 0.05
    np.testing.assert_allclose(tilted.at([low, high]) - found.best.twice_nll, RISE, atol=1e-3)


def test_a_gap_narrower_than_the_grid_is_found():
    """The barrier rises above the level by a millionth: the gap is 0.003, the grid there 0.5."""
    shifted = double_well(2.0, RISE * (1 + 1e-6))(np.polynomial.Polynomial([-4.3, 1.0]))
    found = intervals(Curve(shifted), ScanRange(-12.0, 12.0), 0.9)
    assert len(found.pieces) == 2
    gap = found.pieces[1][0] - found.pieces[0][1]
    inner = 2 * np.sqrt(1 - np.sqrt(1 / (1 + 1e-6)))
    assert gap == pytest.approx(2 * inner, rel=0.02)


@pytest.mark.parametrize(
    ("centre", "closed"), [(-1.0, True), (0.0, True), (1.0, True), (3.0, False)]
)
def test_physical_bound_at_zero(centre, closed):
    """Intervals start at 0 unless 0 is excluded; the minimum may be at the bound."""
    curve = Curve(parabola(centre), low=0.0)
    found = intervals(curve, ScanRange(0.0, 30.0, physical_low=True), 0.9)
    assert found.best.value == pytest.approx(max(centre, 0.0), abs=1e-9)
    ((low, high),) = found.pieces
    lowest = curve.at(found.best.value)
    expected = centre + np.sqrt(lowest - 123.0 + RISE)
    assert high == pytest.approx(expected, rel=1e-6)
    assert (low == 0.0) is closed
    if not closed:
        assert low == pytest.approx(3.0 - np.sqrt(RISE), rel=1e-6)


@pytest.mark.parametrize(("span", "end"), [((-20.0, 0.5), "0.5"), ((-0.5, 20.0), "-0.5")])
def test_a_region_that_reaches_the_end_is_an_error(span, end):
    with pytest.raises(FitError, match=f"not closed.* reaches {end}"):
        intervals(Curve(parabola(0.0)), ScanRange(*span), 0.9)


def test_a_bound_that_is_not_physical_is_an_error():
    with pytest.raises(FitError, match="not closed"):
        intervals(Curve(parabola(0.5), low=0.0), ScanRange(0.0, 30.0), 0.9)


def test_a_minimum_outside_the_range_is_an_error():
    with pytest.raises(FitError, match=r"no minimum inside 1 to 9; it is lowest at -2"):
        intervals(Curve(parabola(-2.0)), ScanRange(1.0, 9.0), 0.9)


def test_nothing_finite_is_an_error():
    class Nowhere:
        def at(self, values):
            return np.full(np.shape(values), np.inf)

        def minima(self, starts):
            return np.asarray(starts), np.full(len(starts), np.inf)

    with pytest.raises(FitError, match="not defined"):
        intervals(Nowhere(), ScanRange(-1.0, 1.0), 0.9)


def test_infinite_on_one_side():
    """A profile that has no number for x < -0.5: where it stops, the region does not end."""

    class Half(Curve):
        def at(self, values):
            return np.where(np.asarray(values) < -0.5, np.inf, super().at(values))

    with pytest.raises(FitError, match=r"near -0\.5, where no fit converges"):
        intervals(Half(parabola(0.0)), ScanRange(-20.0, 20.0), 0.9)
    found = intervals(Half(parabola(3.0)), ScanRange(-20.0, 20.0), 0.9)
    assert np.ravel(found.pieces) == pytest.approx(3.0 + np.sqrt(RISE) * np.array([-1, 1]))
    assert found.lost == (ScanRange(-20.0, 20.0).grid() < -0.5).sum()


def test_an_end_that_no_second_look_finds_has_a_place():
    """Fits that converged in the scan and not again: "near nan"; the crossing is at -1.645."""
    curve = Curve(parabola(0.0))

    class Fickle:
        looks = 0

        def at(self, values):
            self.looks += 1
            good = (self.looks == 1) | (np.abs(values) < 1.0)
            return np.where(good, curve.at(values), np.inf)

        def minima(self, starts):
            return curve.minima(starts)

    with pytest.raises(FitError, match=r"an end of the region is near -1\.[567].*no fit converges"):
        intervals(Fickle(), ScanRange(-5.0, 5.0), 0.9)


# A gap between two pieces is seen if the grid has a point in it; the barrier must stand out.
@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.floats(0.05, 5), st.floats(0.3, 8), st.floats(-3, 3), st.floats(-4, 4),
    st.sampled_from([0.6827, 0.9, 0.95, 0.99]),
)  # fmt: skip
def test_crossings_of_random_quartics_agree_with_numpy_roots(scale, separation, tilt, shift, cl):
    poly = double_well(separation, scale * 20) + np.polynomial.Polynomial([50.0, tilt])
    poly = poly(np.polynomial.Polynomial([-shift, 1.0]))
    critical = poly.deriv().roots()
    critical = critical[np.abs(critical.imag) < 1e-9].real
    level = poly(critical).min() + threshold(cl)
    assume((np.abs(poly(critical) - level) > 0.25).all())
    roots = (poly - level).roots()
    crossings = np.sort(roots[np.abs(roots.imag) < 1e-9].real)
    assert len(crossings) in (2, 4)
    reach = 2.0 * np.abs(crossings).max() + 1.0
    found = intervals(Curve(poly), ScanRange(-reach, reach), cl)
    np.testing.assert_allclose(np.ravel(found.pieces), crossings, rtol=1e-5, atol=1e-6 * reach)


def test_grid_covers_the_range_and_has_zero():
    for span in (ScanRange(-2.0, 5.0), ScanRange(0.0, 3.0, True), ScanRange(1.0, 3.0)):
        grid = span.grid()
        assert (grid[0], grid[-1]) == (span.low, span.high)
        assert (np.diff(grid) > 0).all()
    assert 0.0 in ScanRange(-2.0, 5.0).grid()


# -------------------------------------------------------------------------- the real likelihood


def found_by(profiler, problem):
    return intervals(profiler, problem.span(), 0.9)


def random_starts(problem, rng, number, feasible=True):
    """Starts of all nuisances with (or without) positive counts over the range of the coupling."""
    profiler, compiled = problem.profiler(), problem.engine.compiled
    grid = problem.span().grid()
    found = []
    while len(found) < number:
        start = np.clip(1.5 * rng.normal(size=len(compiled.names)), *(0.9 * compiled.bounds.T))
        points = np.repeat(start[np.newaxis], len(grid), axis=0)
        points[:, profiler.index] = grid
        if (compiled.expected(points) > 0).all() == feasible:
            found.append(start)
    return np.array(found)


@pytest.mark.parametrize("number", [20, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("parameter", ["qnu_ee", "r2nu_mumu"])
def test_no_limit_depends_on_the_start(nuclei_problem_of, parameter, number):
    """Random starts of all nuisances give the same four ends to 1e-6."""
    problem = nuclei_problem_of(parameter)
    profiler = problem.profiler()
    reference = np.ravel(found_by(profiler, problem).pieces)
    assert len(reference) == 4
    rng = np.random.default_rng(11)
    worst = 0.0
    for start in random_starts(problem, rng, number):
        moved = replace(profiler, starts=start[np.newaxis])
        ends = np.ravel(found_by(moved, problem).pieces)
        worst = max(worst, np.abs(ends - reference).max() / np.abs(reference).max())
    assert worst < 1e-6


@pytest.mark.parametrize("parameter", ["qnu_ee", "r2nu_mumu"])
def test_a_start_outside_the_domain_gives_the_right_answer(problem_of, parameter):
    """Negative counts at the start: the fit finds its way out, or says that it did not."""
    problem = problem_of(parameter)
    profiler, compiled = problem.profiler(), problem.engine.compiled
    grid = problem.span().grid(41)
    reference = profiler.at(grid)
    free = profiler.free.copy()
    free[profiler.index] = False
    failed = tried = 0
    for start in random_starts(problem, np.random.default_rng(13), 20, feasible=False):
        points = np.repeat(start[np.newaxis], len(grid), axis=0)
        points[:, profiler.index] = grid
        done = fit(compiled, problem.data, starts=points, free=free)
        np.testing.assert_allclose(
            done.twice_nll[done.converged], reference[done.converged], rtol=0, atol=1e-5
        )
        failed += (~done.converged).sum()
        tried += len(grid)
    assert failed < 0.01 * tried


def test_random_starts_of_two_couplings(nuclei_problem_of):
    """qnu_ee with qnu_mumu free: random starts of the free coupling, several tried together."""
    problem = nuclei_problem_of("qnu_ee", profiled=("qnu_mumu",))
    profiler = problem.profiler()
    reference = np.ravel(found_by(profiler, problem).pieces)
    rng = np.random.default_rng(14)
    other = problem.engine.compiled.index("qnu_mumu_em8")
    for _ in range(5):
        starts = np.repeat(profiler.starts[:1], 6, axis=0)
        starts[:, other] = rng.uniform(-80, 80, size=6)
        ends = np.ravel(found_by(replace(profiler, starts=starts), problem).pieces)
        np.testing.assert_allclose(ends, reference, rtol=0, atol=1e-6 * np.abs(reference).max())


def test_random_starts_of_the_coupling_end_in_the_minima_found(nuclei_problem_of):
    problem = nuclei_problem_of("qnu_ee")
    profiler = problem.profiler()
    minima = np.array([m.value for m in found_by(profiler, problem).minima])
    rng = np.random.default_rng(12)
    values, heights = profiler.minima(rng.uniform(-100, 100, size=100))
    assert np.isfinite(heights).all()
    distance = np.abs(values[:, np.newaxis] - minima).min(axis=1)
    assert distance.max() < 1e-3
    assert all((np.abs(values - m) < 1e-3).any() for m in minima)


@pytest.mark.parametrize("parameter", ["qnu_ee", "r2nu_ee", "r2nu_mumu", "sin2thetaW"])
def test_second_minima_are_found(nuclei_problem_of, parameter):
    """Two minima with higher ground on both sides and between, and a piece around each."""
    problem = nuclei_problem_of(parameter)
    profiler = problem.profiler()
    found = found_by(profiler, problem)
    one, two = sorted(m.value for m in found.minima)
    width = two - one
    probes = [one - 0.05 * width, one, one + 0.05 * width, 0.5 * (one + two),
              two - 0.05 * width, two, two + 0.05 * width]  # fmt: skip
    heights = profiler.at(probes)
    assert (heights[[0, 2, 3]] > heights[1] + 0.05).all()
    assert (heights[[3, 4, 6]] > heights[5] + 0.05).all()
    assert len(found.pieces) == 2
    for piece, minimum in zip(found.pieces, (one, two), strict=True):
        assert piece[0] < minimum < piece[1]
    np.testing.assert_allclose(
        profiler.at(np.ravel(found.pieces)) - found.best.twice_nll, RISE, atol=1e-4
    )


def test_a_second_minimum_needs_no_luck_with_the_first(nuclei_problem_of):
    """Searching only around the second minimum of qnu_ee finds that minimum."""
    problem = nuclei_problem_of("qnu_ee", bracket=(3e-7, 1.2e-6))
    found = found_by(problem.profiler(), problem)
    whole = nuclei_problem_of("qnu_ee")
    second = found_by(whole.profiler(), whole).minima[1].value
    assert found.best.value == pytest.approx(second, rel=1e-5)


def ends_of(parameter, **options):
    (found,) = nuhf.limit(EXPERIMENT, parameter, **options)
    return np.ravel(found.intervals)


@pytest.mark.slow
def test_engine_pyhf_gives_the_same_ends(problem_of):
    theirs = ends_of("munu_mu", engine="pyhf", bracket=(0.0, 3e-9))
    np.testing.assert_allclose(theirs, ends_of("munu_mu"), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("parameter", PARAMETERS)
def test_engine_pyhf_gives_the_same_ends_for_every_parameter(parameter):
    """Relative to the width of the region: an end may happen to be near 0."""
    ours = ends_of(parameter)
    theirs = ends_of(parameter, engine="pyhf")
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4 * np.abs(ours).max())
