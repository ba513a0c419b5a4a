"""``nuhf ranking``."""

from pathlib import Path
from typing import Any

from nuhf.cli import options, progress

__all__ = ["ranking"]


@options.command()
@options.experiments
@options.parameter("Parameter of interest.", show_default="strength of the SM process")
@options.confidence
@options.common
@options.as_json
@options.figure
def ranking(
    experiments: tuple[str, ...],
    parameter: str | None,
    cl: float,
    as_json: bool,
    output: Path | None,
    **chosen: Any,
) -> None:
    """Rank the nuisances by their impact on a parameter, its error and its interval.

    A figure with -o has two beside it: FILE_pulls.png and FILE_correlation.png.

    Example:  nuhf ranking coherent-csi-2021 -p qnu_ee -o ranking.png
    """  # fmt: skip
    import nuhf
    from nuhf.cli import artefacts

    options.one_stdout(output, as_json)
    with progress.shown("ranking"):
        (model,) = options.models(experiments, [parameter], **chosen)
        found = nuhf.ranking(model, cl=cl)
    figures = {"": found.plot, "_pulls": found.plot_pulls, "_correlation": found.plot_correlation}
    artefacts.finish(found, output, as_json, figures)
