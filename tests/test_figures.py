"""Figures described in data/published: what is drawn, where, the tables, and refusals."""

import csv
import re
from importlib import import_module

import numpy as np
import pytest
from conftest import regions
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

import nuhf
from nuhf import cli
from nuhf.couplings import parameters
from nuhf.errors import FitError, InputError
from nuhf.experiments import catalogue
from nuhf.papers import figures, figures_arrays, figures_draw, published
from nuhf.plots import figures as plots
from nuhf.plots import results
from nuhf.plots.summary import Bound, summary
from nuhf.stats.intervals import threshold

NAME = "coherent-csi-2021"
HEAD = f'experiment = "{NAME}"\nanalysis = "khan2023"\n'
PROFILES = 'kind = "profiles"\ntitle = "t"\n' + HEAD


@pytest.fixture
def paper(monkeypatch, tmp_path):
    """``paper(figure, rows)``: a paper 'demo' with the figure 'one' and published rows."""

    def make(figure, rows=""):
        path = tmp_path / "demo.toml"
        path.write_text(f"{rows}\n[figures.one]\n{figure}", encoding="utf-8")
        monkeypatch.setattr(published, "list_papers", lambda: {"demo": path})
        return figures.draw("demo", "one")

    return make


def table(text):
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def points(rows, item, **wanted):
    chosen = [r for r in rows if r["item"] == item and all(r[k] == v for k, v in wanted.items())]
    return np.array([(float(r["x"]), float(r["y"])) for r in chosen])


def published_bars(axes):
    """Ends of the published bars in base units: the label of the axis has the power of ten."""
    power = re.search(r"10\^\{(-?\d+)\}", axes.get_xlabel())
    scale = 10.0 ** int(power.group(1)) if power else 1.0
    return [tuple(line.get_xdata() * scale) for line in axes.lines if line.get_gid() == "published"]


@pytest.fixture(scope="module")
def khan():
    bench = figures.workbench("khan2023")
    return {name: figures.draw("khan2023", name, bench) for name in ("fig1", "fig2", "fig4")}


@pytest.mark.parametrize(
    ("name", "pair"), [("fig1", ("qnu_mumu", "qnu_ee")), ("fig2", ("munu_mu", "munu_e")),
                       ("fig4", ("anu_mumu", "anu_ee"))],
)  # fmt: skip
def test_published_bars_are_at_the_published_numbers(khan, name, pair):
    figure, text = khan[name]
    rows = {row.parameter: row for row in published.read_rows("khan2023")}
    for axes, parameter in zip(figure.axes, pair, strict=False):
        row = rows[parameter]
        assert published_bars(axes) == [pytest.approx((row.lower, row.upper), rel=1e-12)]
        for side, end in (("lower", row.lower), ("upper", row.upper)):
            found = points(table(text), f"published_{side}", panel=parameter)
            np.testing.assert_allclose(found, [(end, threshold(0.9))])


@pytest.mark.parametrize(
    ("name", "pair", "anapole"),
    [("fig1", ("qnu_mumu", "qnu_ee"), "standard"), ("fig4", ("anu_mumu", "anu_ee"), "khan")],
)
def test_our_intervals_and_regions_are_those_of_the_api(khan, name, pair, anapole):
    figure, text = khan[name]
    rows = table(text)
    options = {"analysis": "khan2023", "anapole": anapole}
    for axes, found in zip(figure.axes, nuhf.limit(NAME, pair, **options), strict=False):
        lower, upper = (points(rows, f"interval_{s}", panel=found.parameter) for s in
                        ("lower", "upper"))  # fmt: skip
        ours = tuple(zip(lower[:, 0], upper[:, 0], strict=True))
        np.testing.assert_allclose(ours, found.intervals, rtol=1e-9)
        (dots,) = [line for line in axes.lines if str(line.get_gid()).startswith("ours")]
        assert len(dots.get_xdata()) == 2 * len(found.intervals)
        # the curve passes through the ends of its intervals
        curve = points(rows, "profile", panel=found.parameter)
        for end in lower[:, 0]:
            here = np.abs(curve[:, 0] - end) <= 1e-9 * abs(end)
            np.testing.assert_allclose(curve[here, 1], threshold(0.9), rtol=1e-3)
    region = nuhf.contour(nuhf.model(NAME, pair[0], **options), pair[1])
    for cl, lines in region.regions:
        drawn = points(rows, "boundary", panel="/".join(pair), cl=f"{cl:g}")
        np.testing.assert_allclose(drawn, np.concatenate(lines), rtol=1e-8)


def test_two_pieces(khan):
    rows = table(khan["fig4"][1])
    pieces = [r["piece"] for r in rows if r["item"] == "interval_lower" and r["cl"] == "0.9"
              and r["panel"] == "anu_mumu"]  # fmt: skip
    assert pieces == ["1", "2"]


def test_overlay_builds_each_analysis_once(paper, monkeypatch):
    calls = []

    def counting(loaded):
        calls.append(loaded.analysis_name)
        return real(loaded)

    real = figures_arrays.prepare
    monkeypatch.setattr(figures_arrays, "prepare", counting)
    figure, text = paper(
        f'kind = "profiles"\ntitle = "t"\nexperiment = "{NAME}"\n'
        'parameter = ["munu_mu", "munu_e"]\ncl = [0.6827, 0.9]\npoints = 41\ncurves = [\n'
        '{ label = "Khan, 2023", analysis = "khan2023" },\n'
        '{ label = "default", style = "dashed" } ]\n'
        'bands = [{ label = "both", between = ["default", "Khan, 2023"] }]\n'
        "panels.munu_e = { log = true }\n"
    )
    assert calls == ["khan2023", "default"]
    rows = table(text)
    assert {(r["panel"], r["curve"]) for r in rows} == {
        (panel, curve) for panel in ("munu_mu", "munu_e") for curve in ("Khan, 2023", "default")
    }
    assert {r["cl"] for r in rows if r["item"] == "interval_upper"} == {"0.6827", "0.9"}
    first, second = figure.axes
    for panel in (first, second):
        solid, dashed = (line for line in panel.lines if len(line.get_xdata()) > 30)
        assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
        assert to_hex(solid.get_color()) == plots._COLOURS[0] != to_hex(dashed.get_color())
        assert [c.get_gid() for c in panel.collections] == ["band"]
    assert (first.get_xscale(), second.get_xscale()) == ("linear", "log")
    assert points(rows, "profile", panel="munu_e")[:, 0].min() > 0.0
    assert points(rows, "profile", panel="munu_mu")[:, 0].min() == 0.0
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [
        "Khan, 2023", "default", "our interval", "both"
    ]  # fmt: skip


ROW = '[[rows]]\nwhere = "eq 1"\nexperiment = "{}"\nanalysis = "khan2023"\nparameter = "qnu_mumu"\n'


def test_published_pieces_numbers_and_arrows(paper):
    row = ROW.format(NAME)
    rows = (
        f"{row}cl = 0.9\nlower = -9e-8\nupper = -5e-8\npiece = [1, 2]\n"
        f"{row}cl = 0.9\nlower = 0.0\nupper = 4e-7\npiece = [2, 2]\n"
        f"{row}value = 2e-8\n"
        # not of this curve: another level, other couplings free
        f"{row}cl = 0.99\nlower = -1e-7\nupper = 1e-7\n"
        f'{row}cl = 0.9\nlower = -3e-7\nupper = 3e-7\nprofile = ["charges"]\n'
    )
    spec = PROFILES + 'parameter = "qnu_mumu"\npoints = 11\n'
    figure, text = paper(spec + "panels.qnu_mumu.range = [-1e-7, 2e-7]\n", rows)
    assert published_bars(figure.axes[0]) == [
        pytest.approx(ends, rel=1e-12) for ends in ((-9e-8, -5e-8), (0.0, 4e-7), (2e-8,))
    ]
    arrows = [line for line in figure.axes[0].lines if line.get_marker() in "<>"]
    assert [(a.get_marker(), a.get_xdata()[0]) for a in arrows] == [(">", pytest.approx(2.0))]
    assert points(table(text), "published").tolist() == [[2e-8, 0.0]]
    # without a range the axis has room for all of them
    figure, _ = paper(spec, rows)
    assert figure.axes[0].get_xlim()[1] >= 0.4
    assert not [line for line in figure.axes[0].lines if line.get_marker() in "<>"]


def test_profile_without_interval(paper):
    _, text = paper(
        PROFILES + 'curves = [{ label = "c", parameter = "qnu_ee", interval = false,'
        " range = [-1e-7, 3e-7] }]\npoints = 31\n"
    )
    rows = table(text)
    assert not [r for r in rows if r["item"].startswith("interval")]
    curve = points(rows, "profile")
    wanted = nuhf.scan(
        nuhf.model(NAME, "qnu_ee", analysis="khan2023"), points=31, bracket=(-1e-7, 3e-7)
    )
    np.testing.assert_allclose(curve[:, 0], wanted.values, atol=1e-20)
    np.testing.assert_allclose(curve[:, 1], wanted.delta, atol=1e-6)


def test_two_parameters_share_a_panel(paper):
    figure, _ = paper(
        PROFILES + "points = 11\ncurves = [\n"
        '{ label = "mu", parameter = "qnu_mumu", panel = "charges" },\n'
        '{ label = "e", parameter = "qnu_ee", panel = "charges" } ]\n'
    )
    (axes,) = figure.axes
    assert axes.get_title() == "charges"
    for name in ("qnu_mumu", "qnu_ee"):
        assert plots.symbol(name) in axes.get_xlabel()


def test_regions_are_filled_within_their_boundaries(paper):
    figure, text = paper(
        f'kind = "regions"\ntitle = "t"\nexperiment = "{NAME}"\ncl = 0.9\npoints = 30\n'
        'parameter = ["r2nu_ee", "r2nu_mumu"]\n'
        'curves = [{ label = "a", analysis = "khan2023", filled = true }, { label = "b" }]\n'
    )
    (axes,) = figure.axes
    (fill,) = axes.collections
    scale = 1e-31
    boundary = points(table(text), "boundary", curve="a") / scale
    extent = fill.get_paths()[0].get_extents()
    # linear interpolation on the grid of the fill against root finding: a tenth of a cell
    cell = np.ptp(boundary, axis=0) / 30
    assert np.all(np.abs(extent.min - boundary.min(axis=0)) < 0.1 * cell)
    assert np.all(np.abs(extent.max - boundary.max(axis=0)) < 0.1 * cell)
    # khan2023 has a ring: zero coupling is in it, its centre is not
    path = fill.get_paths()[0]
    assert path.contains_point((0.0, 0.0))
    assert len(path.to_polygons()) == 2
    low, high = axes.get_xlim()
    assert low < boundary[:, 0].min()
    assert high > boundary[:, 0].max()


def test_spectrum_lines_are_the_expectation(paper):
    figure, text = paper(
        'kind = "spectrum"\ntitle = "t"\n' + f'experiment = "{NAME}"\naxis = "photoelectrons"\n'
        'lines = [{ label = "charge", values = { qnu_ee = 5e-9 } },'
        ' { label = "fit", fit = "norm_cevns" }]\n'
    )
    rows = table(text)
    (axes,) = figure.axes
    assert axes.get_ylabel() == "events per PE"

    def total(curve):
        return sum(float(r["events"]) for r in rows if r["curve"] == curve)

    (region,) = nuhf.rate(NAME, {"qnu_ee": 5e-9}).values()
    assert total("charge") == pytest.approx(sum(row.sum() for row in region.values()), rel=1e-9)
    components = sum(float(r["events"]) for r in rows if r["item"] == "component")
    (standard,) = nuhf.rate(NAME).values()
    assert components == pytest.approx(sum(row.sum() for row in standard.values()), rel=1e-9)
    fitted = nuhf.fit(NAME).counts
    assert total("fit") == pytest.approx(sum(count for _, count, _ in fitted.values()), rel=1e-6)
    assert total("data") == 1578  # the collaboration's coincidence counts
    (drawn,) = [p for p in axes.patches if p.get_label() == "charge"]
    heights, edges, _ = drawn.get_data()
    assert np.sum(heights * np.diff(edges)) == pytest.approx(total("charge"))


def test_published_bars_of_every_curve_have_their_own_lane(paper):
    rows = ROW.format(NAME) + "cl = 0.9\nlower = -9e-8\nupper = -5e-8\n"
    rows += rows.replace('"khan2023"', '"default"').replace("-9e-8", "-8e-8")
    figure, _ = paper(
        PROFILES + 'parameter = "qnu_mumu"\npoints = 11\n'
        'curves = [{ label = "a" }, { label = "b", analysis = "default" }]\n', rows
    )  # fmt: skip
    (axes,) = figure.axes
    bars = [line for line in axes.lines if line.get_gid() == "published"]
    assert [bar.get_color() for bar in bars] == list(plots._COLOURS[:2])
    lanes = [bar.get_ydata()[0] for bar in bars]
    assert axes.get_ylim()[0] < lanes[1] < lanes[0] < 0.0
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [
        "a", "b", "our interval", "published interval, 90 % CL"
    ]  # fmt: skip


def test_every_profile_with_published_numbers_shows_them():
    """No figure that the papers print limits for is without them."""
    for name in published.list_papers():
        rows = published.read_rows(name)
        for figure, spec in figures.list_figures(name).items():
            if spec.kind == "profiles":
                shown = {p for c in spec.curves for p in c.parameter or spec.parameter}
                assert spec.published, f"{name} {figure}"
                assert all(curve.interval for curve in spec.curves), f"{name} {figure}"
                assert shown & {row.parameter for row in rows}, f"{name} {figure}"


def test_legends_fit_into_their_figures():
    """Of many curves with long names and a narrow figure: more lines, not a wider legend."""
    figure = plots._figure(5.0, 5.0)
    names = [f"experiment with a long name {i}" for i in range(9)]
    figures_draw._legend(figure, [Line2D([], [], label=name) for name in names])
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0.0
    assert box.x1 <= figure.bbox.width


def test_titles_are_written_with_symbols(paper):
    figure, text = paper(
        PROFILES.replace('"t"', '"nu_mu: qnu_mumu with R_n, profiled"')
        + 'parameter = "qnu_ee"\npoints = 11\npanels.qnu_ee.title = "abs_qnu_emu, data"\n'
    )
    assert figure.get_suptitle() == (
        rf"$\nu_\mu$: ${plots.symbol('qnu_mumu')}$ with $R_n$, profiled"
    )
    assert figure.axes[0].get_title() == f"${plots.symbol('abs_qnu_emu')}$, data"
    assert "nu_mu: qnu_mumu with R_n, profiled" in text
    assert plots.mathematical("analysis khan2023: qnu_eee") == "analysis khan2023: qnu_eee"


def test_legend_of_regions_is_outside_the_axes():
    lines = {0.9: [np.array([[-1e-8, -1e-8], [1e-8, 1e-8]])]}
    found = regions(("qnu_ee", "qnu_mumu"), lines, (0.0, 0.0), ("e", "e"))
    figure = results.region(found, "data")
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert figure.axes[0].get_legend() is None
    assert legend.get_window_extent().y1 <= figure.axes[0].get_window_extent().y0


REFUSALS = {
    "kind": ('kind = "scatter"\ntitle = "t"', "profiles, regions, spectrum, function"),
    "no kind": ('title = "t"', "figures.one.kind = None"),
    "title": ('kind = "profiles"', "figures.one.title: Field required"),
    "key": (PROFILES + 'paramter = "qnu_ee"', "no key 'paramter' here; did you mean parameter"),
    "curve key": (PROFILES + 'curves = [{ lable = "a" }]', "curves.0: no key 'lable'"),
    "level": (PROFILES + 'parameter = "qnu_ee"\ncl = 90', "figures.one.cl.0"),
    "no parameter": (PROFILES, "no key 'parameter'"),
    "no experiment": ('kind = "profiles"\ntitle = "t"\nparameter = "qnu_ee"', "no key 'experiment"),
    "parameter": (PROFILES + 'parameter = "qnu_e"', "unknown parameter 'qnu_e'; did you mean"),
    "analysis": (
        PROFILES + 'curves = [{ label = "a", parameter = "qnu_ee", analysis = "khan2032" }]',
        "coherent-csi-2021.toml: no analysis 'khan2032'",
    ),
    "units": (
        PROFILES + 'curves = [{ label = "a", parameter = ["qnu_ee", "munu_e"], panel = "p" }]',
        "panel 'p': different units on one axis: e, mu_B",
    ),
    "panel": (PROFILES + 'parameter = "qnu_ee"\npanels.qnu_e.log = true', "no panel 'qnu_e'; did"),
    "log": (PROFILES + 'parameter = "qnu_ee"\nlog = true', "parameter of either sign"),
    "log from 0": (
        PROFILES + 'parameter = "munu_e"\nlog = true\npanels.munu_e.range = [0.0, 1e-8]',
        "log = true needs a range above 0",
    ),
    "range": (
        PROFILES + 'parameter = "munu_e"\npanels.munu_e.range = [-1e-9, 1e-8]', "is not below 0"
    ),
    "reversed": (
        PROFILES + 'parameter = "munu_e"\npanels.munu_e.range = [1e-8, 1e-9]', "lower end first"
    ),
    "band": (
        PROFILES + 'parameter = "munu_e"\ncurves = [{ label = "aa" }]\n'
        'bands = [{ label = "b", between = ["aa", "ab"] }]',
        "bands.0: no curve is labelled 'ab'",
    ),
    "no interval": (
        PROFILES + 'curves = [{ label = "a", parameter = "qnu_ee", interval = false }]',
        "interval = false: give the curve or its panel a range",
    ),
    "pair": (
        'kind = "regions"\ntitle = "t"\n' + HEAD + 'parameter = ["qnu_ee", "qnu_ee"]',
        "two different parameters",
    ),
    "one of a pair": (
        'kind = "regions"\ntitle = "t"\n' + HEAD + 'parameter = ["qnu_ee"]', "figures.one.parameter"
    ),
    "axis": (
        'kind = "spectrum"\ntitle = "t"\n' + HEAD + 'axis = "energy"',
        "there are coherent_csi_2021/photoelectrons",
    ),
    "function": (
        'kind = "function"\ntitle = "t"\nfunction = "cross-section-ratio"',
        "figures.one.function: no function 'cross-section-ratio'; did you mean",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_name_file_and_key(paper, name):
    content, words = REFUSALS[name]
    with pytest.raises(InputError) as refusal:
        paper(content)
    assert words in str(refusal.value)
    assert "demo.toml: figures.one" in str(refusal.value)


def test_failed_fit_names_the_curve(paper, monkeypatch):
    def failing(*_):
        raise FitError("not closed")

    monkeypatch.setattr(figures_arrays.questions, "limit", failing)
    with pytest.raises(FitError, match=r"figures\.one \(qnu_ee\): not closed"):
        paper(PROFILES + 'parameter = "qnu_ee"')


@pytest.mark.parametrize("name", published.list_papers())
def test_shipped_figures_name_things_that_exist(name):
    for figure, spec in figures.list_figures(name).items():
        if spec.kind == "function":
            module, _, attribute = figures.FUNCTIONS[spec.function].partition(":")
            assert callable(getattr(import_module(module), attribute)), figure
            continue
        curves = [spec, *(spec.lines if spec.kind == "spectrum" else spec.curves)]
        for curve in curves:
            for experiment in getattr(curve, "experiment", None) or spec.experiment or ():
                catalogue.load(experiment, curve.analysis or spec.analysis or "default")
            names = np.ravel(getattr(curve, "parameter", None) or ())
            assert set(names) <= set(parameters.PARAMETERS), figure


def test_command_lists_and_draws_all(monkeypatch, tmp_path, capsys, paper):
    paper(PROFILES + 'parameter = "qnu_ee"\npoints = 11')

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["nuhf", "plot", *map(str, arguments)])
        cli.main()

    for arguments in ((), ("demo",)):
        run(*arguments)
        assert capsys.readouterr().out.split() == ["demo", "one", "t"]
    run("demo", "all", "-o", tmp_path / "drawn")
    written = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert written == ["one.csv", "one.png"]
    for arguments, words in (
        (("demo", "one", "--analysis", "khan2023"), "a figure of a paper has its own"),
        (("demo", "all", "-o", tmp_path / "x.png"), "-o names a folder"),
        (("demo", "two"), "demo has no figure 'two'; allowed: one"),
        ((NAME,), "prefit, postfit"),
    ):
        with pytest.raises(SystemExit) as stop:
            run(*arguments)
        assert stop.value.code == 2
        assert words in capsys.readouterr().err


BOUNDS = [
    Bound("munu_e", "A", ((0.0, 3e-9),)),
    Bound("munu_e", "B", ((0.0, 2e-11),), role="literature"),
    Bound("qnu_ee", "A", ((-2e-7, -1e-7), (-1e-8, 3e-8))),
    Bound("abs_qnu_emu", "C", ((0.0, 1e-12),)),
    Bound("r2nu_ee", "A", ((-6e-31, 1e-31),)),
    Bound("r2nu_ee", "all", ((-5e-31, 1e-31),), role="combined"),
]


def test_summary_bars_are_where_the_intervals_are():
    figure = summary(BOUNDS, "title")
    moments, charges, radii = figure.axes

    def bars(axes, gid="ours"):
        return [tuple(line.get_xdata()) for line in axes.lines if line.get_gid() == gid]

    assert (moments.get_xscale(), charges.get_xscale(), radii.get_xscale()) == (
        "log", "symlog", "linear"
    )  # fmt: skip
    # from zero means from the edge of a logarithmic axis
    edge = moments.get_xlim()[0]
    assert edge < 2e-11
    assert bars(moments) == [pytest.approx((edge, 3e-9))]
    assert bars(moments, "literature") == [pytest.approx((edge, 2e-11))]
    assert bars(charges) == [
        pytest.approx(ends) for ends in ((-2e-7, -1e-7), (-1e-8, 3e-8), (0.0, 1e-12))
    ]
    assert bars(radii) == [pytest.approx((-6.0, 1.0))]
    assert bars(radii, "combined") == [pytest.approx((-5.0, 1.0))]
    assert "10^{-31}" in radii.get_xlabel()
    assert [t.get_text() for t in charges.get_yticklabels()] == ["A", "C"]
    # the electron flavour has one colour in all panels
    colours = {next(ln for ln in a.lines if ln.get_gid() == "ours").get_color() for a in
               figure.axes}  # fmt: skip
    assert len(colours) == 1


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        (None, "no bounds"),
        (Bound("mass_e", "A", ((0.0, 1.0),)), "unknown parameter 'mass_e'"),
        (Bound("qnu_ee", "A", ((1e-8, -1e-8),)), "lower end first"),
        (Bound("qnu_ee", "A", ()), "lower end first"),
        (Bound("qnu_ee", "A", ((0.0, 1.0),), role="past"), "ours, combined, future"),
        (Bound("munu_e", "A", ((-1e-9, 1e-9),)), "not below 0"),
    ],
)
def test_summary_refuses(bound, words):
    with pytest.raises(InputError, match=words):
        summary([bound] if bound else [])


def test_parameters_of_other_peoples_files_are_plain_text(tmp_path):
    """Two underscores are no subscript of a subscript: such a name once broke the file."""
    x = np.linspace(-1.0, 1.0, 21)
    curve = results.DrawnProfile("jes_1_up", "1", x, 9 * x**2, [(-0.5, 0.5)])
    line = np.array([[0.0, -0.5], [0.5, 0.0], [0.0, 0.5], [0.0, -0.5]])
    names = ("jes_1_up", "mu_SIG")
    drawn = [
        results.profiles([curve], 0.9),
        results.profile(curve, [0.9], "file"),
        results.region(regions(names, {0.9: [line]}, (0.0, 0.0)), "file"),
    ]
    for number, figure in enumerate(drawn):
        figure.savefig(tmp_path / f"{number}.png")
        assert figure.axes[0].get_xlabel() == "jes_1_up"
