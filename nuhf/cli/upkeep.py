"""``nuhf check`` and ``regenerate``: an installation, and the generated files of a checkout."""

from dataclasses import asdict
from pathlib import Path

import click

from nuhf.cli import options, progress


@options.command()
@options.place("Folder that gets templates/ and workspaces/ (default: here).", default=Path())
def regenerate(output: Path) -> None:
    """Rewrite templates/ and workspaces/ of all shipped experiments.

    Example:  nuhf regenerate -o fresh
    """
    from nuhf.report import shipped

    for path in shipped.regenerate(output):
        options.say(path)


@options.command()
@options.as_json
def check(as_json: bool) -> None:
    """Check this installation: versions, data digests, templates, three golden numbers.

    The golden numbers are computed here and compared with values of other origin: a constant
    (1 per 1e-32 cm2), SM events, and a limit (mu_B). Exit status 1, and a line for
    each failure, if anything is not as it should be; --json prints all findings.

    Example:  nuhf check
    """
    from nuhf import resources
    from nuhf.errors import NuhfError
    from nuhf.report import selfcheck

    with progress.shown("check"):
        found = list(selfcheck.check())
    failures = [finding for finding in found if not finding.ok]
    if as_json:
        content = {
            "ok": not failures,
            "versions": selfcheck.versions(),
            "findings": [asdict(finding) for finding in found],
        }
        click.echo(resources.dump_record(content))
    else:
        shown = [finding for finding in found if finding.check != "version"]
        versions = (f"{name} {text or 'MISSING'}" for name, text in selfcheck.versions().items())
        click.echo(", ".join(versions))
        for finding in shown:
            mark = "ok  " if finding.ok else "FAIL"
            click.echo(f"{mark} {finding.check}: {finding.subject}: {finding.message}")
    if failures:
        for finding in failures if as_json else ():
            click.echo(f"{finding.subject}: {finding.message}", err=True)
        raise NuhfError(f"{len(failures)} of {len(found)} checks failed")
