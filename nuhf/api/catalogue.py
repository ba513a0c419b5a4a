"""The public functions that fit nothing: what there is, expected events, published numbers."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from nuhf.api.arguments import Anapole, ExperimentLike, in_words
from nuhf.api.given import experiments_of
from nuhf.couplings.parameters import PARAMETERS, Parameter
from nuhf.rates.templates import TemplateSet
from nuhf.stats.expected import Rates

if TYPE_CHECKING:
    from nuhf.papers.published import Comparison


@in_words
def parameters() -> dict[str, Parameter]:
    """Return all parameters by name: unit, meaning, group, whether only the square is measured."""
    return dict(PARAMETERS)


@in_words
def templates(name: ExperimentLike, analysis: str = "default") -> tuple[TemplateSet, ...]:
    """Build the signal templates of an experiment, nominal and varied, in events per bin.

    One set per region and signal process.
    """
    return experiments_of(name, analysis)[0].templates


@in_words
def rate(
    name: ExperimentLike,
    values: Mapping[str, float] | None = None,
    *,
    analysis: str = "default",
    anapole: Anapole = "standard",
    settings: Mapping[str, float] | None = None,
) -> Rates:
    """Return expected events per bin of every flavour's signal and every background.

    Parameters
    ----------
    name : str
        Experiment.
    values : mapping, optional
        Parameters in base units (e, mu_B, cm2, 1); all others are at the SM.
    analysis : str
        Analysis of the experiment.
    anapole : str
        ``standard`` or ``khan``.
    settings : mapping, optional
        Numbers of the coupling models, such as ``mediator_mass_mev``.

    Returns
    -------
    nuhf.stats.expected.Rates
        Arrays (n_bins,) by ``<process>_<flavour>`` and background name, for every region.
    """
    return experiments_of(name, analysis)[0].rate(values, anapole=anapole, settings=settings)


@in_words
def reproduce(
    paper: str = "all", *, step: Callable[[str], None] | None = None, jobs: int = 1
) -> "list[Comparison]":
    """Compare the published numbers of a paper (or all) with ours.

    Parameters
    ----------
    paper : str
        Name of the paper, or ``all``.
    step : callable, optional
        Is told, in words, which row comes next.
    jobs : int
        Processes.

    Returns
    -------
    list of nuhf.papers.published.Comparison
        Pieces, distance of the ends in units of the published width, verdict, reason. A row whose
        fit fails has no pieces, the verdict ``no number``, and says why.

    Raises
    ------
    nuhf.errors.InputError
        If the paper is unknown, or has figures only.
    """
    from nuhf.papers import reproduced
    from nuhf.papers.published import rows_to_compare

    return reproduced.run(rows_to_compare(paper), step or (lambda text: None), jobs)
