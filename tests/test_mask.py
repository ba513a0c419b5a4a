"""Channels and bins left out: what is left is the likelihood without their terms."""

import copy
import json

import atlas_style
import numpy as np
import pytest
from conftest import EXPERIMENT
from scipy.special import gammaln

import nuhf
from nuhf.errors import InputError


def terms(model, point):
    """2NLL (n_bins,) of the counts at a point."""
    expected = model.engine.compiled.expected(point)
    counts = model.data[: expected.size]
    return 2.0 * (expected - counts * np.log(expected) + gammaln(counts + 1.0))


def test_bins_of_an_experiment_leave_the_sum():
    whole = nuhf.model(EXPERIMENT, poi="qnu_ee")
    (region,) = whole.problem.description.bins
    size = whole.engine.compiled.n_main
    masked = whole.replace(mask=f"{region}:0,3-5,{size - 1}")
    assert masked.engine.compiled.n_main == size - 5
    point = whole.engine.compiled.inits + 0.05
    left = terms(whole, point)[[0, 3, 4, 5, size - 1]].sum()
    assert whole.engine.compiled.twice_nll(point, whole.data) - masked.engine.compiled.twice_nll(
        point, masked.data
    ) == pytest.approx(left, abs=1e-8)
    assert masked.expected().regions[region].axes[0].name == "bin"
    assert masked.replace(mask=()).engine.compiled.n_main == size
    (found,) = nuhf.limit(EXPERIMENT, "qnu_ee", mask=f"{region}:0,3-5,{size - 1}")
    assert nuhf.interval(masked).intervals == found.intervals
    assert any("left out: " in note for note in found.notes)
    injected = nuhf.model(EXPERIMENT, poi="qnu_ee", mask=f"{region}:0", inject={"flux_sns": 1.0})
    assert injected.data.size == masked.data.size + 4


@pytest.fixture(scope="module")
def lhc():
    return atlas_style.workspace()


def test_a_channel_of_a_file_is_as_if_it_were_not_there(lhc):
    (found,) = nuhf.limit(lhc, "mu_SIG", mask="CR*", fixed_nuisances=["mu_ttbar"])
    by_hand = copy.deepcopy(lhc)
    by_hand["channels"] = [c for c in lhc["channels"] if not c["name"].startswith("CR")]
    by_hand["observations"] = [c for c in lhc["observations"] if not c["name"].startswith("CR")]
    (wanted,) = nuhf.limit(by_hand, "mu_SIG", fixed_nuisances=["mu_ttbar"])
    assert len(by_hand["channels"]) < len(lhc["channels"])
    assert found.intervals == wanted.intervals


def test_bins_of_a_file_take_all_modifiers_with_them(lhc):
    """All seven types; auxiliary measurements of single bins go with them."""
    whole = nuhf.open(lhc, "mu_SIG")
    masked = nuhf.open(lhc, "mu_SIG", mask="SR_meff:0")
    names = whole.engine.compiled.names
    rng = np.random.default_rng(1)
    values = {n: 1.0 + 0.01 * rng.normal() for n in names}
    per_bin = ("staterror_SR_meff", "fakes_SR")  # the parameters of one bin go, others move down
    moved = {}
    for name in masked.engine.compiled.names:
        stem, _, bin_ = name.partition("[")
        moved[name] = f"{stem}[{int(bin_[:-1]) + 1}]" if stem in per_bin else name
    assert set(names) - set(moved.values()) == {f"{stem}[0]" for stem in per_bin}
    point = np.array([values[n] for n in names])
    less = masked.engine.compiled.expected(
        np.array([values[moved[n]] for n in masked.engine.compiled.names])
    )
    first = whole.problem.description.bins["SR_meff"].start
    np.testing.assert_allclose(less, np.delete(whole.engine.compiled.expected(point), first))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ("nope", "no channel 'nope'"),
        ("SR_meff:99", "SR_meff has the bins 0 to"),
        ("SR_meff:2-1", "SR_meff has the bins 0 to"),
        ("SR_meff:x", "'x' is no bin"),
        ("SR_meff:", "give bins behind the colon"),
        ("*", "nothing is left"),
    ],
)
def test_masks_that_are_none(lhc, mask, words):
    with pytest.raises(InputError, match=words):
        nuhf.open(lhc, mask=mask)


def test_command(cli, work, lhc):
    (work / "lhc.json").write_text(json.dumps(lhc))
    ran = cli("limit", "lhc.json", "--mask", "SR_meff:0", "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)["results"][0]
    assert found["provenance"]["options"]["mask"] == ["SR_meff:0"]
    ran = cli("fit", "lhc.json", "--mask", "nope")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("nuhf: --mask nope: no channel 'nope'")
    assert ran.err.count("\n") == 1
