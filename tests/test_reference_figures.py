"""Figures compared with reference images in tests/baseline: one of each kind that is drawn.

What a figure shows is tested in test_figures.py, number by number; here, that it looks as it did.
"""

import pytest

from nuhf.papers import figures
from nuhf.plots.summary import Bound, summary

# rms difference of the 8-bit colours: a lost thin line of the smallest panel here is 5.5, a lost
# curve 9; what another version of FreeType does to the text is to stay below
KEPT = {"tolerance": 4, "savefig_kwargs": {"dpi": 45}, "deterministic": True}

BOUNDS = (
    Bound("munu_e", "one", ((0.0, 3e-9),)),
    Bound("munu_e", "both", ((0.0, 2e-9),), role="combined"),
    Bound("munu_e", "next", ((0.0, 2e-11),), role="future"),
    Bound("qnu_ee", "one", ((-2e-7, -1e-7), (-1e-8, 3e-8))),
    Bound("qnu_ee", "two", ((-1e-12, 2e-12),)),
    Bound("abs_qnu_emu", "two", ((0.0, 1e-12),)),
    Bound("r2nu_ee", "one", ((-6e-31, -5e-31), (-1e-31, 1e-31))),
    Bound("r2nu_ee", "quoted", ((-4e-31, 1e-31),), role="literature"),
)


@pytest.fixture(scope="module")
def benches():
    return {paper: figures.workbench(paper) for paper in ("khan2022", "khan2023")}


@pytest.mark.mpl_image_compare(filename="khan2023-fig1.png", **KEPT)
def test_regions_and_profiles(benches):
    return figures.draw("khan2023", "fig1", benches["khan2023"])[0]


@pytest.mark.mpl_image_compare(filename="khan2023-fig5.png", **KEPT)
def test_ratios(benches):
    return figures.draw("khan2023", "fig5", benches["khan2023"])[0]


@pytest.mark.mpl_image_compare(filename="khan2022-fig2.png", **KEPT)
def test_spectrum(benches):
    return figures.draw("khan2022", "fig2", benches["khan2022"])[0]


@pytest.mark.mpl_image_compare(filename="khan2022-fig5.png", **KEPT)
def test_profiles_of_many_curves(benches):
    return figures.draw("khan2022", "fig5", benches["khan2022"])[0]


@pytest.mark.mpl_image_compare(filename="summary.png", **KEPT)
def test_summary():
    return summary(BOUNDS, "summary")
