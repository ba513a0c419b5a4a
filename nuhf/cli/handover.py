"""Hand over to pyhf's command line, with ``powerfactor`` known to it."""

import io
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click
from pyhf.cli.cli import pyhf as pyhf_group
from pyhf.modifiers import histfactory_set

from nuhf import resources
from nuhf.errors import InputError, ModelError, NuhfError
from nuhf.filekind import Kind, kind_of
from nuhf.workspaces.native import extended_schema, modifier_set

_FOREIGN: Final = ("pyhf", "jsonpatch", "jsonpointer", "jsonschema")
_LONGEST: Final = 400
_EXTRAS: Final[Mapping[str, tuple[str, str]]] = {
    "json2xml": ("uproot", "xmlio"),
    "xml2json": ("uproot", "xmlio"),
    "contrib": ("requests", "contrib"),
}
"""What pyhf's commands need beside pyhf itself: module, and the extra that brings it."""
_NO_COVARIANCE: Final = "has no attribute 'correlation'"


def run_pyhf(arguments: Sequence[str]) -> int:
    """Run pyhf with these arguments; the modifier is registered until it returns.

    The one place where nuhf changes something global in pyhf, and only in its own process:
    pyhf's commands build models without a hook for other modifiers. Returns the exit status; what
    pyhf itself would show as a traceback, or call a success that is none, is a `NuhfError`.
    """
    command = next((a for a in arguments if not a.startswith("-")), "")
    if not {"-h", "--help"} & set(arguments):
        _require(command)
    added = {name: pair for name, pair in modifier_set().items() if name not in histfactory_set}
    histfactory_set.update(added)
    try:
        with _no_powers(command, arguments), extended_schema(), _one_note():
            status = pyhf_group.main(list(arguments), prog_name="nuhf pyhf", standalone_mode=False)
    except (click.ClickException, click.exceptions.Exit, click.Abort, NuhfError):
        raise
    except RecursionError:
        raise InputError("pyhf: broken JSON: nested too deeply") from None
    except (OSError, ValueError) as error:
        raise InputError(f"pyhf: {error}") from error
    except (TypeError, LookupError, AttributeError, ArithmeticError, ImportError) as error:
        raise ModelError(_cause(error, arguments)) from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in _FOREIGN:
            raise
        raise ModelError(f"pyhf: {type(error).__name__}: {str(error)[:_LONGEST]}") from error
    finally:
        for name in added:
            del histfactory_set[name]
    return int(status) if isinstance(status, int) else 0


def _require(command: str) -> None:
    """Refuse a command of pyhf whose extra is not installed; pyhf may end with 0 then."""
    module, extra = _EXTRAS.get(command, ("", ""))
    if module and find_spec(module) is None:
        raise NuhfError(f"{command} needs {module}: pip install 'pyhf[{extra}]'")


def _files(arguments: Sequence[str]) -> Iterator[Path]:
    for argument in arguments:
        if not argument.startswith("-") and resources.is_file(Path(argument)):
            yield Path(argument)


@contextmanager
def _no_powers(command: str, arguments: Sequence[str]) -> Iterator[None]:
    """Refuse to write native files as XML: pyhf would leave the powerfactors out."""
    if command != "json2xml" or {"-h", "--help"} & set(arguments):
        yield
        return
    files, before = list(_files(arguments)), sys.stdin
    contents = {str(path): resources.read_bytes(path) for path in files}
    if not files:
        contents["-"] = resources.read_bytes(Path("-"))
        sys.stdin = io.TextIOWrapper(io.BytesIO(contents["-"]), encoding="utf-8")
    try:
        for name, content in contents.items():
            if b'"powerfactor"' in content:
                raise InputError(
                    f"{name}: a native file, and XML has no powerfactor: write a stock file with "
                    "'nuhf workspace --encoding stock', or a patch grid"
                )
        yield
    finally:
        sys.stdin = before


@contextmanager
def _one_note() -> Iterator[None]:
    """Say once, in a line, what pyhf warns of in three at every fit: q-tilde is for POIs >= 0."""
    said: list[str] = []

    def heed(record: logging.LogRecord) -> bool:
        if "POI not bounded at zero" not in record.getMessage():
            return True
        if not said:
            said.append("the POI may be negative, for which --test-stat q is made, not q-tilde")
            click.echo(f"note: {said[0]}", err=True)
        return False

    logger = logging.getLogger("pyhf.infer.test_statistics")
    logger.addFilter(heed)
    try:
        yield
    finally:
        logger.removeFilter(heed)


def _cause(error: Exception, arguments: Sequence[str]) -> str:
    """Say why pyhf failed where that is known, and else what it says."""
    text = f"pyhf: {type(error).__name__}: {str(error)[:_LONGEST]}"
    if isinstance(error, AttributeError) and _NO_COVARIANCE in str(error):
        return (
            "pyhf: a fit without free parameters, where pyhf 0.7.6 with minuit of iminuit 2.32 and "
            "later fails: use --optimizer scipy"
        )
    for path in _files(arguments):
        kind = kind_of(resources.read_bytes(path))
        if kind not in (Kind.WORKSPACE, Kind.PATCH, Kind.PATCH_SET, Kind.MODEL, Kind.XML):
            return f"{path}: {kind.words}, not {Kind.WORKSPACE.words} ({text})"
    return f"{text}; 'nuhf validate' checks files"
