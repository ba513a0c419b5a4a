"""Options that mean the same on every command that has them."""

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from nuhf.errors import InputError

if TYPE_CHECKING:
    from nuhf.api.model import Model
    from nuhf.stats.result_base import Result

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Command(click.Command):
    """Refuse an option of one value that is given twice: click alone takes the last."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, then count."""
        given = list(args)
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            _, _, order = self.make_parser(ctx).parse_args(given)
            for option in order:
                one = isinstance(option, click.Option) and not (option.multiple or option.is_flag)
                if one and order.count(option) > 1:
                    name = max(option.opts, key=len)
                    raise click.UsageError(
                        f"{name} is given {order.count(option)} times; nuhf {self.name} takes one"
                    )
        return rest


def command(name: str | None = None, **settings: Any) -> Callable[[Callable[..., Any]], Command]:
    """Make a command, as `click.command` does; an option of one value is taken once."""
    return click.command(name, cls=Command, **settings)


def _stack(*decorators: Decorator) -> Decorator:
    def apply(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def complete_experiment(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the names of shipped experiments."""
    from nuhf import resources

    folder = resources.shipped("data") / "experiments"
    return sorted(p.stem for p in folder.glob("*.toml") if p.stem.startswith(incomplete))


def complete_parameter(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the names of parameters."""
    from nuhf.couplings import parameters

    return [name for name in parameters.PARAMETERS if name.startswith(incomplete)]


def complete_analysis(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the analyses of the experiments named so far, of all if there is none."""
    from nuhf import resources

    known = resources.shipped("data") / "experiments"
    given = ctx.params.get("experiments") or ctx.params.get("experiment")
    named = [given] if isinstance(given, str) else list(given or ())
    files = [known / f"{name}.toml" for name in named] or sorted(known.glob("*.toml"))
    tables = [resources.read_toml(file).get("analyses", {}) for file in files if file.is_file()]
    found = dict.fromkeys(name for table in tables for name in table)
    return [name for name in found if name.startswith(incomplete)]


experiments: Decorator = click.argument(
    "experiments", metavar="EXP...", nargs=-1, required=True, shell_complete=complete_experiment
)

experiment: Decorator = click.argument(
    "experiment", metavar="EXP", shell_complete=complete_experiment
)


def parameter(meaning: str, **settings: Any) -> Decorator:
    """Return the option ``-p``; with ``multiple`` it may be given several times."""
    return click.option(
        "-p", "--parameter", help=meaning, shell_complete=complete_parameter, **settings
    )


def method(meaning: str, *more: str) -> Decorator:
    """Return the option ``--method``, of the profile likelihood and other methods."""
    return click.option("--method", default="delta-chi2", show_default=True,
                        metavar="|".join(["delta-chi2", *more]), help=meaning)  # fmt: skip


def over(meaning: str) -> Decorator:
    """Return the options ``--over`` and ``--between``, of a setting that is varied."""
    return _stack(
        click.option("--over", metavar="SETTING", help=meaning),
        click.option("--between", nargs=2, type=float, default=(1e-2, 1e4), show_default=True,
                     metavar="LO HI", help="First and last value of --over, at equal ratios."),
    )  # fmt: skip


def by_name(option: str, settings: Sequence[str], hint: str) -> dict[str, str]:
    """Return the texts of ``NAME=TEXT`` by name; the hint is for those that are not so."""
    found: dict[str, str] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if not (name and text):
            raise InputError(f"{option} {setting}: {hint}")
        if name in found:
            raise InputError(f"{option}: {name} is given twice")
        found[name] = text
    return found


def _parsed(
    ctx: click.Context, param: click.Parameter, settings: tuple[str, ...]
) -> dict[str, float]:
    option, found = param.opts[0], {}
    hint = f"give NAME=VALUE with a number, such as {_EXAMPLES[option]}"
    for name, text in by_name(option, settings, hint).items():
        try:
            found[name] = float(text)
        except ValueError:
            raise InputError(f"{option} {name}={text}: {hint}") from None
        if not isfinite(found[name]):
            raise InputError(f"{option} {name}={text}: the value must be finite")
    return found


_EXAMPLES: Final = {
    "--set": "qnu_ee=1e-8", "--setting": "mediator_mass_mev=30", "--inject": "qnu_ee=1e-8",
    "--nuisance": "flux_sns=1",
}  # fmt: skip


def values(option: str, name: str, meaning: str) -> Decorator:
    """Return a repeatable option whose ``NAME=VALUE`` are parsed into values by name."""
    return click.option(option, name, multiple=True, metavar="NAME=VALUE", callback=_parsed,
                        help=meaning)  # fmt: skip


analysis: Decorator = click.option(
    "--analysis", default="default", show_default=True, help="Named analysis of the experiment.",
    shell_complete=complete_analysis,
)  # fmt: skip

_model: tuple[Decorator, ...] = (
    click.option("--anapole", default="standard", show_default=True, metavar="standard|khan",
                 help="Convention: a = -<r^2>/6, or a = -6 <r^2> as in Khan's eq 25."),
    values("--set", "fixed",
           "Hold a parameter at a value in base units (e, mu_B, cm2, 1); repeatable."),
    values("--setting", "settings",
           "Number of a model of couplings, such as mediator_mass_mev=30; repeatable."),
)  # fmt: skip

model_options: Decorator = _stack(analysis, *_model)

_free: tuple[Decorator, ...] = (
    click.option("--profile", "profiled", multiple=True, metavar="NAME|charges|radii|moments",
                 help="Leave other couplings free; otherwise they are zero, or at the "
                      "reference values of the analysis. Repeatable."),
    click.option("--fix", "fixed_nuisances", multiple=True, metavar="NUISANCE[=VALUE]",
                 help="Hold a nuisance parameter at its nominal value, or another; the name may "
                      "have wildcards (qf_*). Repeatable."),
)  # fmt: skip

_patched: tuple[Decorator, ...] = (
    click.option("--patch", multiple=True, metavar="FILE[:NAME]",
                 help="Of a workspace file: JSON patch, or NAME of a patch set; repeatable."),
    click.option("--measurement", metavar="NAME",
                 help="Of a workspace file that has several: which one."),
)  # fmt: skip

patched: Decorator = _stack(*_patched)

_source: tuple[Decorator, ...] = (
    click.option("--asimov", is_flag=True, help="Use the SM expectation instead of the data."),
    values("--inject", "inject",
           "Use the expectation with a coupling or nuisance at this value instead of the data, "
           "and fit as usual; repeatable."),
    click.option("--mask", multiple=True, metavar="CHANNEL[:BINS]",
                 help="Leave out a region or channel, or bins of it counted from 0 (SR:0,3-5); the "
                      "name may have wildcards. Repeatable."),
    *_patched,
)  # fmt: skip

compiled_only: Decorator = _stack(analysis, *_model, *_free, *_source)

common: Decorator = _stack(
    analysis,
    *_model,
    *_free,
    click.option("--engine", default="compiled", show_default=True, metavar="compiled|pyhf",
                 help="Compiled likelihood, or pyhf itself with minuit (slower, the reference)."),
    *_source,
)  # fmt: skip

bracket: Decorator = click.option(
    "--range", "bracket", nargs=2, type=float, metavar="LO HI",
    help="Range of the one parameter in base units; found from the model by default.",
)  # fmt: skip

# without defaults: what is given where no toys are made is refused, not ignored
toys: Decorator = _stack(
    click.option("--toys", type=int, metavar="N", help="Number of toy data sets."),
    click.option("--seed", type=int, show_default="1",
                 help="Seed of the toys: same seed, same result, whatever --jobs or --scheduler."),
    click.option("--jobs", type=int, metavar="N", help="Processes for toys; all cores by default."),
    click.option("--scheduler", metavar="ADDRESS",
                 help="Make toys on the workers of this dask scheduler; needs nuhf[dask]."),
    click.option("--checkpoint", type=click.Path(path_type=Path), metavar="FILE",
                 help="File of finished toys: a run that was stopped goes on from it."),
)  # fmt: skip

confidence: Decorator = click.option(
    "--cl", default=0.9, show_default=True, type=float, help="Confidence level, between 0 and 1."
)


def _keep(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[_NOTES] = value


as_json: Decorator = _stack(
    click.option("--json", "as_json", is_flag=True,
                 help="Print one JSON object and nothing else."),
    click.option("--notes", is_flag=True, expose_value=False, callback=_keep,
                 help="Print all notes, not the number of those that change no number."),
)  # fmt: skip
_NOTES = "nuhf.notes"


def place(meaning: str, **settings: Any) -> Decorator:
    """Return the option ``-o``."""
    path = click.Path(path_type=Path)
    return click.option("-o", "--output", type=path, help=meaning, **settings)


output: Decorator = place("Where to write; - is stdout.")


def files(meaning: str, **settings: Any) -> Decorator:
    """Return the option ``-o`` of commands that write files, not to stdout."""
    return place(meaning, callback=_files_only, **settings)


def _files_only(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Refuse ``-`` where a command writes several files or a figure."""
    if value is not None and str(value) == "-":
        raise click.BadParameter(
            "this command writes files, not to stdout; without -o or with --json it prints"
        )
    return value


def _named(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Refuse paths such as ``.`` that have no name of a file."""
    if value is not None and value.name in ("", ".."):
        raise click.BadParameter(f"'{value}' names no file: give the name of a figure")
    return value


figure: Decorator = place(
    "FILE.png (pdf, svg): figure and CSV beside it; FILE.csv: the CSV alone; -: the CSV on stdout.",
    callback=_named,
)


def models(
    experiments: Sequence[str], pois: Sequence[str | None], chosen: dict[str, Any]
) -> "list[Model]":
    """Build the models that the common options describe, one per parameter of interest.

    They are taken out of ``chosen``: the rest are keywords of the public function that is called.
    """
    from inspect import signature

    from nuhf.api import arguments, build

    def taken(names: Iterable[str]) -> dict[str, Any]:
        return {name: chosen.pop(name) for name in names if name in chosen}

    checked = arguments.options(**taken(signature(arguments.options).parameters))
    source = taken(("analysis", "patch", "measurement"))
    return build.models(list(experiments), pois, checked, **source)


def model(experiments: Sequence[str], poi: str | None, chosen: dict[str, Any]) -> "Model":
    """Build the model of one parameter of interest, as `models` does."""
    return models(experiments, [poi], chosen)[0]


def write(path: Path | None, text: str, said: str = "") -> None:
    """Write text to a file, or to stdout for ``-`` and no path; say something of the file."""
    if path is None or str(path) == "-":
        click.echo(text, nl=not text.endswith("\n"))
        return
    from nuhf import resources

    resources.write_text(path, text)
    say(path, said)


def one_stdout(output: Path | None, as_json: bool) -> None:
    """Refuse a table and JSON together on stdout."""
    if as_json and str(output) == "-":
        raise InputError("--json and -o - both print: give one of them")


def show(found: "Result", output: Path | None, as_json: bool) -> None:
    """Print a result, as JSON or with its notes; nothing if ``-o -`` printed it as CSV.

    Of the notes those that change its meaning, or with ``--notes`` all of them.
    """
    if as_json:
        from nuhf import resources

        click.echo(resources.dump_json(found.to_dict()))
    elif str(output) != "-":
        from nuhf.stats.result_base import note_lines

        shown = bool(click.get_current_context().meta.get(_NOTES))
        click.echo("\n".join([found.table(), *note_lines(found.notes, shown, "--notes")]))


def say(path: Path, what: str = "") -> None:
    """Tell on stderr what was written."""
    click.echo(f"wrote {path}{f' ({what})' if what else ''}", err=True)
