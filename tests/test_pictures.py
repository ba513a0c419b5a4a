"""What the figures of results show: filled regions, bands, residuals, expected limits, tables."""

import numpy as np
import pytest
from conftest import EXPERIMENT, regions
from matplotlib import rc_context
from matplotlib.patches import PathPatch
from matplotlib.path import Path

import nuhf
from nuhf.errors import InputError
from nuhf.plots import results

NAME = f"{EXPERIMENT}:cevns-only"


@pytest.fixture(scope="module")
def model():
    return nuhf.model(NAME, "munu_mu")


@pytest.fixture(scope="module")
def region(model):
    (found,) = model.expected().regions.values()
    return found


def filled(figure):
    (patch,) = [p for p in figure.axes[0].patches if isinstance(p, PathPatch)]
    return patch.get_path()


def test_a_hole_is_not_filled_and_lines_close_along_the_frame():
    square = np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 4.0], [4.0, 0.0], [0.0, 0.0]])
    hole = 1.0 + 0.5 * square[::-1]
    figure = results.region(regions(("a", "b"), {0.9: [square, hole]}, (3.5, 3.5)), "data")
    signed = sum(
        np.sum(p[:-1, 0] * p[1:, 1] - p[1:, 0] * p[:-1, 1])
        for p in np.split(filled(figure).vertices, [5])
    )
    assert abs(signed) / 2.0 == pytest.approx(16.0 - 4.0)
    # a quarter of a disk: from the left edge to the lower one, the allowed side to the right
    angle = np.linspace(0.0, np.pi / 2.0, 50)
    arc = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    frame = (0.0, 2.0), (0.0, 2.0)
    (loop,) = results._closed([arc], frame)
    inside = Path(loop).contains_points([(0.1, 0.1), (0.6, 0.6), (0.9, 0.9), (1.5, 0.1)])
    assert inside.tolist() == [True, True, False, False]
    (outside,) = results._closed([arc[::-1]], frame)
    assert Path(outside).contains_points([(0.1, 0.1), (1.5, 0.1)]).tolist() == [False, True]


def test_titles_of_many_experiments_are_not_cut():
    names = "coherent-csi-2021, coherent-lar-2020, xenonnt-sr0, dresden-2 (default)"
    figure = results.region(regions(("a", "b"), {0.9: [np.eye(2)]}, (0.5, 0.5)), names)
    figure.draw_without_rendering()
    title = figure.axes[0].title
    assert title.get_text().split() == names.split()
    box = title.get_window_extent()
    assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1


def test_regions_of_moments_hold_the_origin_and_the_best_fit(model):
    found = nuhf.contour(model, "munu_e", cl=0.9, points=12)
    path = filled(found.plot())
    assert path.contains_point((1e-11, 1e-11))
    assert not path.contains_point(1.1 * np.concatenate(found.regions[0][1]).max(axis=0))


def test_band_is_the_error_of_the_nuisances(model, region):
    """With the flux alone the band is its 10.4 % of the signal, in every projection."""
    others = [p.name for p in model.parameters if p.kind == "constrained" and p.name != "flux_sns"]
    (one,) = model.replace(fixed_nuisances=others).expected().regions.values()
    # slope of the normsys at 0: between 0.10371 and ln(1.10371)
    assert np.sqrt((one.modes**2).sum(axis=0)) == pytest.approx(
        0.1012 * one.expected["cevns"], rel=0.025
    )
    assert (np.sqrt((region.modes**2).sum(axis=0)) >= 0.999 * np.abs(one.modes).max(axis=0)).all()
    (fitted,) = model.fitted().regions.values()
    total = [np.sqrt((r.modes.sum(axis=1) ** 2).sum()) for r in (region, fitted)]
    assert total[1] < total[0]  # the data know more
    assert list(one.columns())[-1] == "uncertainty"


def test_an_expectation_is_not_called_data(model):
    for asimov, word in ((False, "data"), (True, "Asimov data")):
        figure = model.replace(asimov=asimov).expected().plot()
        legends = figure.axes[0].get_legend().get_texts()
        assert word in [text.get_text() for text in legends]


def test_residuals_are_below_each_panel(model, region):
    figure = model.expected().plot()
    energy, time, below, _ = figure.axes
    counts = region.observed.reshape([a.bins for a in region.axes]).sum(axis=1)
    total = np.sum(list(region.expected.values()), axis=0)
    total = total.reshape([a.bins for a in region.axes]).sum(axis=1)
    pulls = (counts - total) / np.sqrt(total)
    (dots,) = [line for line in below.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots.get_ydata(), pulls)
    assert f"{(pulls**2).sum():.1f}" in below.texts[0].get_text()
    assert energy.get_xlabel() == time.get_xlabel() == ""


def test_expected_limits_are_a_band_behind_the_limit(model):
    (found,) = limits = nuhf.limit(NAME, "munu_mu", method="cls")
    bars = limits.plot().axes[0].patches
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
    band = [(found.expected[f"minus{n}"], found.expected[f"plus{n}"]) for n in (2, 1)]
    np.testing.assert_allclose(ends, band, rtol=1e-9)
    table = limits.to_latex()
    assert table.splitlines()[4].startswith(
        r"$\mu_{\nu_{\mu}}$ & $\mu_\mathrm{B}$ & $0.9$ & cls & 1 "
    )
    assert table.count(r"\\") == 2


def test_histograms_follow_the_protocol_of_uhi(region):
    uhi = pytest.importorskip("uhi.typing.plottable")
    for what in ("data", "total", "cevns"):
        found = region.histogram(what)
        assert isinstance(found, uhi.PlottableHistogram)
        assert found.values().shape == tuple(len(axis) for axis in found.axes)
    assert next(iter(found.axes[0])) == region.axes[0].edges[:2]
    np.testing.assert_allclose(region.histogram().variances().sum(), region.observed.sum())
    with pytest.raises(InputError, match="did you mean cevns"):
        region.histogram("cevn")


def test_rc_params_of_the_user_count(model):
    scan = nuhf.scan(model, points=11)
    with rc_context({"lines.linewidth": 4.0, "axes.labelsize": 20.0}):
        axes = scan.plot().axes[0]
    assert axes.lines[0].get_linewidth() == 4.0
    assert axes.xaxis.label.get_size() == 20.0
