"""``nuhf reproduce``: published numbers beside ours."""

import click

from nuhf.cli import options

__all__ = ["reproduce"]


@click.command()
@click.argument("paper", default="all", metavar="[PAPER|all]")
@options.as_json
def reproduce(paper: str, as_json: bool) -> None:
    """Compare published intervals with ours, hull with hull.

    agrees: ends within 10 % of the published width; close: 20 %; differs: needs a reason.

    Example:  nuhf reproduce khan2023
    """
    from nuhf import api, resources
    from nuhf.errors import ModelError

    found = api.reproduce(paper)
    if as_json:
        click.echo(resources.dump_json({"rows": [comparison.to_json() for comparison in found]}))
    else:
        for comparison in found:
            row, (low, high) = comparison.row, comparison.hull
            pieces = f" ({len(comparison.ours)} pieces)" if len(comparison.ours) > 1 else ""
            click.echo(
                f"{row.paper} {row.where:6s} {row.parameter:10s} "
                f"published [{row.lower:.3g}, {row.upper:.3g}]  ours [{low:.3g}, {high:.3g}]"
                f"{pieces}  {100 * comparison.distance:.1f} % of the width: {comparison.verdict}"
            )
        for comparison in found:
            if comparison.row.reason and comparison.verdict != "agrees":
                row = comparison.row
                click.echo(f"\n{row.paper} {row.parameter}: {row.reason}\n  check: {row.check}")
        verdicts = [comparison.verdict for comparison in found]
        shares = (f"{verdicts.count(v)} {v}" for v in ("agrees", "close", "differs"))
        click.echo(f"\n{len(found)} rows: {', '.join(shares)}")
    bare = [c.row.parameter for c in found if c.verdict == "differs" and not c.row.reason]
    if bare:
        raise ModelError(f"{paper}: differs without a reason in data/published: {', '.join(bare)}")
