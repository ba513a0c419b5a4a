"""``nuhf list`` and ``nuhf show``."""

import click

from nuhf.cli import options

__all__ = ["list_command", "show"]

_KINDS = ("experiments", "parameters", "analyses")


@click.command("list")
@click.argument("what", default="experiments", metavar="[experiments|parameters|analyses]")
@options.as_json
def list_command(what: str, as_json: bool) -> None:
    """List experiments, parameters or analyses.

    Example:  nuhf list parameters
    """
    from nuhf import parameters, resources
    from nuhf.errors import InputError
    from nuhf.experiments import catalogue

    if what not in _KINDS:
        raise InputError(f"nuhf list: '{what}' is unknown; {parameters.suggest(what, _KINDS)}")
    if what == "parameters":
        rows = [
            {"name": p.name, "unit": p.unit, "fit_parameter": p.fit_name, "meaning": p.meaning}
            for p in parameters.PARAMETERS.values()
        ]
    else:
        rows = []
        for name in catalogue.list_experiments():
            found = catalogue.load(name).experiment
            if what == "experiments":
                rows.append({"name": name, "title": found.title})
            else:
                rows += [
                    {"experiment": name, "analysis": label, "title": entry.title}
                    for label, entry in found.analyses.items()
                ]
    if as_json:
        click.echo(resources.dump_json({what: rows}))
        return
    _print_rows(rows)


def _print_rows(rows: list[dict[str, str]]) -> None:
    widths = [max(len(row[key]) for row in [dict(zip(rows[0], rows[0], strict=True)), *rows])
              for key in rows[0]]  # fmt: skip
    header = dict(zip(rows[0], rows[0], strict=True))
    for row in [header, *rows]:
        cells = (row[key].ljust(width) for key, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


@click.command()
@click.argument("experiment", metavar="EXP")
@options.analysis
@options.as_json
def show(experiment: str, analysis: str, as_json: bool) -> None:
    """Show an experiment: data, nuisances, notes, references.

    Example:  nuhf show coherent-csi-2021
    """
    from nuhf import resources
    from nuhf.experiments import catalogue, spallation

    loaded = catalogue.load(experiment, analysis)
    found, chosen = loaded.experiment, loaded.analysis
    counts = spallation.observed(loaded)
    backgrounds = spallation.backgrounds(loaded)
    if as_json:
        content = {
            "file": str(loaded.path),
            "experiment": found.model_dump(mode="json"),
            "analysis": analysis,
            "observed": int(counts.counts.sum()),
            "control": int(counts.control.sum()),
            "backgrounds": {name: float(row.sum()) for name, row in backgrounds.items()},
        }
        click.echo(resources.dump_json(content))
        return
    click.echo(f"{found.name}: {found.title}\nfile: {loaded.path}")
    click.echo(f"analysis {analysis}: {chosen.title}")
    click.echo(
        f"bins: {len(chosen.pe_edges) - 1} in photoelectrons x "
        f"{len(chosen.t_edges_us) - 1} in time (us); couplings: {chosen.couplings}; "
        f"form factor: {chosen.form_factor}; spectrum: {chosen.spectrum}"
    )
    click.echo(f"observed: {counts.counts.sum():.0f} (control: {counts.control.sum():.0f})")
    for background in found.backgrounds:
        events = backgrounds[background.name].sum()
        click.echo(f"  background {background.name}: {events:.1f} events ({background.title})")
    click.echo(f"other analyses: {', '.join(a for a in found.analyses if a != analysis) or 'none'}")
    click.echo(f"parameters: {', '.join(chosen.parameters)}")
    click.echo("nuisances:")
    for nuisance in chosen.nuisances:
        detail = (
            f"{100 * nuisance.size:g} % on {', '.join(nuisance.processes)}"
            if nuisance.kind == "norm"
            else f"{nuisance.kind} variation '{nuisance.variation}'"
        )
        click.echo(f"  {nuisance.name}: {detail}")
    for note in loaded.notes:
        click.echo(f"note: {note}")
    for reference in found.references:
        click.echo(f"reference: {reference.text}, arXiv:{reference.arxiv}, doi:{reference.doi}")
