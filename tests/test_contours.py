"""Regions of two parameters."""

import numpy as np
import pytest
from conftest import problems
from scipy.stats import chi2

import nuhf
from nuhf.couplings import parameters
from nuhf.errors import InputError
from nuhf.likelihood.engines import ModelProfiler
from nuhf.stats.intervals import threshold

EXPERIMENT = "coherent-csi-2021"


@pytest.fixture(scope="module")
def radii():
    return nuhf.contour(nuhf.model(EXPERIMENT, "r2nu_ee"), "r2nu_mumu", cl=(0.68, 0.99), points=40)


def test_every_vertex_lies_on_its_level(radii):
    (problem,) = problems(EXPERIMENT, "r2nu_ee", profiled=("r2nu_mumu",))
    pair = [parameters.get(name) for name in radii.parameters]
    compiled, profiler = problem.engine.compiled, problem.profiler()
    indices = [compiled.index(p.fit_name) for p in pair]
    for cl, lines in radii.regions:
        vertices = np.concatenate(lines)
        theta = np.array(
            [[p.to_fit(v) for p, v in zip(pair, row, strict=True)] for row in vertices]
        )
        heights = profiler.at_points(indices, theta) - radii.twice_nll_min
        np.testing.assert_allclose(heights, threshold(cl, 2), rtol=2e-3)


def test_four_pieces_at_68_percent(radii):
    # each radius has the SM and its mirror image: 2 x 2 pieces, joined at higher levels
    regions = dict(radii.regions)
    assert len(regions[0.68]) == 4
    assert all(np.allclose(line[0], line[-1]) for line in regions[0.68])
    assert len(regions[0.99]) < 4


def test_extreme_points_are_the_profile_interval_for_two_degrees_of_freedom(radii):
    # the projection of the region is where the profile (other radius free) is below the level
    cl_1d = float(chi2.cdf(threshold(0.68, 2), 1))
    (found,) = nuhf.limit(EXPERIMENT, "r2nu_ee", cl=cl_1d, profiled=("r2nu_mumu",))
    x = np.concatenate(dict(radii.regions)[0.68])[:, 0]
    width = found.intervals[-1][1] - found.intervals[0][0]
    assert x.min() == pytest.approx(found.intervals[0][0], abs=3e-3 * width)
    assert x.max() == pytest.approx(found.intervals[-1][1], abs=3e-3 * width)


def test_physical_bounds_end_the_lines():
    found = nuhf.contour(nuhf.model(EXPERIMENT, "munu_e"), "munu_mu", cl=(0.9,), points=30)
    ((_, lines),) = found.regions
    assert len(lines) == 1
    line = lines[0]
    assert (line >= 0).all()
    ends = line[[0, -1]]
    assert ends.min(axis=1) == pytest.approx(0.0, abs=1e-12)


def test_grid_does_not_matter():
    coarse, fine = (
        nuhf.contour(nuhf.model(EXPERIMENT, "munu_e"), "munu_mu", cl=(0.9,), points=n).regions[0][
            1
        ][0]
        for n in (15, 45)
    )
    for axis in (0, 1):
        assert coarse[:, axis].max() == pytest.approx(fine[:, axis].max(), rel=2e-3)


def test_points_without_a_number_are_noted_and_bend_no_line(monkeypatch):
    """A hole in the profile ends the region, but no vertex is lost or moved away for it."""
    options = {"cl": (0.9,), "points": 12}
    whole = nuhf.contour(nuhf.model(EXPERIMENT, "munu_e"), "munu_mu", **options)
    assert not any("without a converged fit" in note for note in whole.notes)
    real = ModelProfiler.at_points

    def torn(self, indices, points):
        found = real(self, indices, points)
        if len(indices) == 1:
            return found
        y = np.asarray(points)[:, 1]
        return np.where(y < 0.3 * limit, np.inf, found)

    second = parameters.get("munu_mu")
    limit = second.to_fit(float(whole.regions[0][1][0][:, 1].max()))
    monkeypatch.setattr(ModelProfiler, "at_points", torn)
    found = nuhf.contour(nuhf.model(EXPERIMENT, "munu_e"), "munu_mu", **options)
    lost = int((~np.isfinite(found.delta)).sum())
    assert 12 <= lost < 12 * 12
    assert any(note.startswith(f"{lost} of 144 points of the profile") for note in found.notes)
    vertices = np.concatenate(found.regions[0][1])
    assert np.isfinite(vertices).all()
    assert vertices[:, 1].max() == pytest.approx(whole.regions[0][1][0][:, 1].max(), rel=2e-3)


@pytest.mark.parametrize(
    ("pair", "options", "words"),
    [
        (["qnu_ee", ""], {}, "unknown ''"),
        (["qnu_ee", "qnu_ee"], {}, "two different parameters"),
        (["r2nu_ee", "anu_ee"], {}, "same direction"),
        (["qnu_ee", "qnu_mumu"], {"cl": (1.5,)}, "confidence level"),
        (["qnu_ee", "qnu_mumu"], {"points": 3}, "points"),
        (["qnu_ee", "qnu_mumu"], {"bracket": (0.0, 1.0)}, "has no keyword .bracket"),
    ],
)
def test_refusals(pair, options, words):
    with pytest.raises(InputError, match=words):
        nuhf.contour(nuhf.model(EXPERIMENT, pair[0]), pair[1], **options)
