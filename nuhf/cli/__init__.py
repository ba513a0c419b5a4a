"""The command line: each command parses, calls one library function, and writes."""

import gc
import importlib
import io
import os
import re
import sys
import warnings
from typing import Final

import click

from nuhf.cli.signals import Stop, Stopped, heeded
from nuhf.errors import InputError, NuhfError
from nuhf.parallel import BLAS_THREADS

_COMMANDS: Final = {
    "list": ("nuhf.cli.browse", "list_command", "List experiments, parameters or analyses."),
    "show": ("nuhf.cli.browse", "show", "Show an experiment: data, nuisances, notes, references."),
    "rate": ("nuhf.cli.predict", "rate", "Expected events by source, at the SM or with couplings."),
    "templates": ("nuhf.cli.predict", "templates", "Write the signal templates as JSON."),
    "workspace": ("nuhf.cli.predict", "workspace", "Write the pyhf workspace of a parameter."),
    "fit": ("nuhf.cli.infer", "fit", "Fit the SM strength or couplings; print the CEvNS count."),
    "limit": ("nuhf.cli.infer", "limit", "Confidence intervals: all pieces, by root finding."),
    "scan": ("nuhf.cli.infer", "scan", "Profile likelihood of a parameter: CSV and figure."),
    "contour": ("nuhf.cli.infer", "contour", "Regions of two parameters: CSV and figure."),
    "coverage": ("nuhf.cli.infer", "coverage", "How often an interval contains the truth."),
    "posterior": ("nuhf.cli.posterior", "posterior", "Posterior of couplings: draws and figures."),
    "simulate": ("nuhf.cli.posterior", "simulate", "Simulated data sets as .npz or .csv."),
    "plot": ("nuhf.cli.plot", "plot", "Figures of papers with our curves."),
    "reproduce": ("nuhf.cli.report", "reproduce", "Published intervals beside ours."),
    "report": ("nuhf.cli.report", "report", "One HTML page: data, fits, limits, citations."),
    "cite": ("nuhf.cli.report", "cite", "Papers, data and programs behind a calculation."),
    "check": ("nuhf.cli.upkeep", "check", "Check this installation against known numbers."),
    "patchset": ("nuhf.cli.exchange", "patchset", "Patch set over a grid, for plain pyhf."),
    "publish": ("nuhf.cli.exchange", "publish", "Archives and a HEPData submission."),
    "unpack": ("nuhf.cli.exchange", "unpack", "Check an archive of patch sets and unpack it."),
    "pyhf": ("nuhf.cli.exchange", "pyhf_command", "pyhf's command line, for native files too."),
    "ranking": ("nuhf.cli.infer", "ranking", "Impact of the nuisances on a parameter."),
    "combine": ("nuhf.cli.files", "combine", "Combine workspaces, ours and other people's."),
    "validate": ("nuhf.cli.files", "validate", "Check workspaces, patch sets and archives."),
    "regenerate": ("nuhf.cli.upkeep", "regenerate", "Rewrite templates/ and workspaces/."),
}


_LONGEST: Final = 2000
"""Characters of an error message; what was given may be part of it."""

_GARBAGE: Final = 50_000
"""New objects after which Python looks for garbage."""


class _LazyGroup(click.Group):
    """Load a command's module only when it runs, so that help is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS:
            from nuhf.couplings.parameters import suggest

            raise click.UsageError(f"no command '{args[0]}'; {suggest(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"nuhf {version('nuhf')}")
        ctx.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, callback=_version, expose_value=False, is_eager=True,
              help="Print the version.")  # fmt: skip
def _group() -> None:
    """Likelihoods for the electromagnetic properties of neutrinos.

    Start with:  nuhf limit coherent-csi-2021
    """


def _say_everything() -> None:
    """Write UTF-8, as files are, whatever the locale; bytes that are not UTF-8 as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def main() -> None:
    """Run the command line; errors are one line on stderr and exit status 1 or 2."""
    # the default threading of BLAS makes small matrix products many times slower
    for name in BLAS_THREADS:
        os.environ.setdefault(name, "1")
    # a twelfth of a short command would be looking for garbage among what was just imported
    gc.set_threshold(_GARBAGE)
    _say_everything()
    with heeded() as stop, warnings.catch_warnings():
        warnings.showwarning = _warn  # type: ignore[assignment]
        _run(stop)


def _warn(message: Warning | str, category: type[Warning], *_: object) -> None:
    """One line, without the place in somebody's source."""
    click.echo(f"nuhf: warning: {' '.join(str(message).split())}", err=True)


def _run(stop: Stop) -> None:
    try:
        _stoppable(stop)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        sys.exit(2)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except InputError as error:
        _fail(_with_options(str(error)), 2)
    except NuhfError as error:
        _fail(_with_options(str(error)), 1)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted", 130)
    except MemoryError:
        _fail("not enough memory: ask for fewer points, or a smaller model", 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename or 'stdout'}: {error.strerror or error}", 1)


def _with_options(message: str) -> str:
    """Put the options where the library names its arguments."""
    from nuhf.api.arguments import in_front

    same = ("analysis", "engine", "asimov", "patch", "measurement", "toys",
            "seed", "points", "jobs", "scheduler", "checkpoint", "inner", "true", "cl", "method",
            "hepdata", "encoding", "decorrelate", "correlate", "anapole", "inject",
            "mask")  # fmt: skip
    words = {name: f"--{name} " for name in same}
    words |= {"bracket": "--range ", "brackets": "--range ", "fixed": "--set ",
              "settings": "--setting ", "profiled": "--profile ", "fixed_nuisances": "--fix ",
              "parameters": "-p ", "nuisances": "--nuisance "}  # fmt: skip
    words["poi"] = "--poi " if sys.argv[1:2] == ["combine"] else "-p "
    # a pair is two words there
    return re.sub(r"^(--range [^,:]+), ", r"\1 ", in_front(message, words))


def _stoppable(stop: Stop) -> None:
    try:
        _group.main(prog_name="nuhf", standalone_mode=False)
    except (Stopped, Exception):
        if stop.number is None:
            raise
        _fail(stop.words, stop.status)


def _fail(message: str, status: int) -> None:
    text = " ".join(message.split())
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} ... ({len(text)} characters)"
    click.echo(f"nuhf: {text}", err=True)
    sys.exit(status)
