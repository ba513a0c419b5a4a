"""Hand over to pyhf's command line, with ``powerfactor`` known to it."""

from collections.abc import Sequence
from typing import Final

import click
from pyhf.cli.cli import pyhf as pyhf_group
from pyhf.modifiers import histfactory_set

from nuhf.errors import InputError, ModelError, NuhfError
from nuhf.workspaces.native import extended_schema, modifier_set

__all__ = ["run_pyhf"]

_FOREIGN: Final = ("pyhf", "jsonpatch", "jsonpointer", "jsonschema")
_LONGEST: Final = 400


def run_pyhf(arguments: Sequence[str]) -> int:
    """Run pyhf with these arguments; the modifier is registered until it returns.

    The one place where nuhf changes something global in pyhf, and only in its own process:
    pyhf's commands build models without a hook for other modifiers.

    Returns
    -------
    int
        Exit status.

    Raises
    ------
    nuhf.errors.NuhfError
        For what pyhf itself would show as a traceback.
    """
    added = {name: pair for name, pair in modifier_set().items() if name not in histfactory_set}
    histfactory_set.update(added)
    try:
        with extended_schema():
            status = pyhf_group.main(list(arguments), prog_name="nuhf pyhf", standalone_mode=False)
    except (click.ClickException, click.exceptions.Exit, click.Abort, NuhfError):
        raise
    except (TypeError, LookupError, AttributeError, ArithmeticError) as error:
        # pyhf before its own validation: the file is not even shaped like a workspace
        text = f"{type(error).__name__}: {str(error)[:_LONGEST]}"
        raise ModelError(f"pyhf cannot read this: {text}") from error
    except RecursionError:
        raise InputError("pyhf: broken JSON: nested too deeply") from None
    except (OSError, ValueError) as error:
        raise InputError(f"pyhf: {error}") from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in _FOREIGN:
            raise
        raise ModelError(f"pyhf: {type(error).__name__}: {str(error)[:_LONGEST]}") from error
    finally:
        for name in added:
            del histfactory_set[name]
    return int(status) if isinstance(status, int) else 0
