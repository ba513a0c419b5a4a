"""Figures by command: spectra and the paper's, with their CSV."""

import csv

import numpy as np
import pytest

from nuhf import cli


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["nuhf", *map(str, arguments)])
    cli.main()


def table(path):
    rows = [line for line in path.read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    return list(csv.DictReader(rows))


@pytest.mark.parametrize(("figure", "cevns"), [("prefit", 324.4), ("postfit", 308.5)])
def test_spectrum(monkeypatch, tmp_path, figure, cevns):
    # 324.4 is the SM count of tests/independent_csi2021.py, 308.5 the fitted one of nuhf fit
    path = tmp_path / "spectrum.png"
    run(monkeypatch, "plot", "coherent-csi-2021", figure, "-o", path)
    assert path.read_bytes().startswith(b"\x89PNG")
    rows = table(path.with_suffix(".csv"))
    sums = {
        name: sum(float(row[name]) for row in rows)
        for name in ("data", "ss", "brn", "nin", "cevns")
    }
    assert sums["data"] == 1578  # the collaboration's coincidence counts
    assert sums["cevns"] == pytest.approx(cevns, abs=0.1)
    if figure == "prefit":
        np.testing.assert_allclose([sums["ss"], sums["brn"], sums["nin"]], [1286, 18.4, 5.6])


def test_gaussian_spectrum_shows_the_residuals(monkeypatch, tmp_path):
    path = tmp_path / "k.png"
    run(monkeypatch, "plot", "coherent-csi-2021", "postfit", "--analysis", "khan2023", "-o", path)
    rows = table(path.with_suffix(".csv"))
    # C - AC and sqrt(C) of the released counts from 8 to 12 PE: 147 - 98
    assert float(rows[0]["data"]) == pytest.approx(49)
    assert float(rows[0]["error"]) == pytest.approx(np.sqrt(147))


def test_paper_figure_with_csv(monkeypatch, tmp_path):
    path = tmp_path / "fig5.png"
    run(monkeypatch, "plot", "khan2023", "fig5", "-o", path)
    rows = table(path.with_suffix(".csv"))
    assert {row["quantity"] for row in rows} >= {
        "ratio_qnu",
        "ratio_munu",
        "ratio_r2nu",
        "ratio_anu",
    }


def test_a_csv_file_is_the_numbers_alone(monkeypatch, tmp_path):
    run(monkeypatch, "plot", "khan2023", "fig5", "-o", tmp_path / "fig5.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["fig5.csv"]
    assert len(table(tmp_path / "fig5.csv")) == 7 * 401 + 2 * 161


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("khan2024", "fig1"), "did you mean khan2023"),
        (("khan2023", "fig9"), "fig5"),
        (("coherent-csi-2021", "fig1"), "prefit, postfit"),
        (("nowhere.toml", "prefit"), "does not exist"),
    ],
)
def test_refusals(monkeypatch, tmp_path, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "plot", *arguments)
    assert stop.value.code == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
