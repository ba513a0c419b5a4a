"""Results of a posterior: containers that print, tabulate and draw themselves."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import ModelError
from nuhf.resources import JSON_FORMAT
from nuhf.stats.result_base import JsonValue, Result, plain, unit_text
from nuhf.tables import format_csv
from nuhf.units import percent

if TYPE_CHECKING:
    import arviz
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Marginal:
    """Posterior of one coupling, all else integrated out; values in the base unit.

    Attributes
    ----------
    parameter, unit : str
        The coupling.
    prior : str
        Its prior in words.
    variable : str
        What the density is one of: the coupling, its magnitude, or its square. The region of
        highest density depends on it: it is the variable in which the prior is stated.
    pieces, piece_errors : tuple of (float, float)
        Region of highest density, all pieces in increasing order, and the statistical errors of
        their ends (NaN where they cannot be told).
    fractions : tuple of float
        Posterior probability of each piece.
    mean, sd, median : float
        Of the coupling (of its magnitude, where only that is measured).
    values, density : ndarray
        The marginal density of ``variable`` relative to its maximum, at values of the coupling,
        (n,) each.
    profile : ndarray
        Likelihood relative to its maximum at the same values, all else fitted, (n,); a normal
        prior of an interfering coupling counts as a measurement here.
    effective_size, k_hat : float
        Of the draws behind it.
    """

    parameter: str
    unit: str
    prior: str
    variable: str
    pieces: tuple[tuple[float, float], ...]
    piece_errors: tuple[tuple[float, float], ...]
    fractions: tuple[float, ...]
    mean: float
    sd: float
    median: float
    values: FloatArray = field(repr=False)
    density: FloatArray = field(repr=False)
    profile: FloatArray = field(repr=False)
    effective_size: float
    k_hat: float


@dataclass(frozen=True)
class Mode:
    """A minimum of 2NLL in all parameters.

    Attributes
    ----------
    values : mapping
        Couplings there, in base units.
    delta_2nll : float
        2NLL above the deepest minimum.
    fraction : float
        Share of the posterior nearest to it, in units of the curvature there.
    """

    values: Mapping[str, float]
    delta_2nll: float
    fraction: float


@dataclass(frozen=True)
class Posterior(Result):
    """Posterior of couplings: marginal densities, modes and weighted draws.

    Attributes
    ----------
    title : str
        Experiments and analysis, or the file.
    cl : float
        Probability of the regions of highest density.
    marginals : tuple of Marginal
        One for each coupling asked for.
    modes : tuple of Mode
        All minima found, the deepest first.
    units : mapping
        Base unit of every free coupling.
    names : tuple of str
        What the draws are of: couplings in base units (magnitudes, where only the square is
        measured), then nuisances as the model has them.
    draws, weights : ndarray
        Weighted draws (n, N); the weights (n,) add up to 1.
    effective_size, k_hat : float
        Of these draws: (sum w)^2 / sum w^2, and the Pareto shape of the weights.
    seed : int
        Seed of everything random.
    notes : tuple of str
        Caveats.
    provenance : mapping
        Versions, digests, options and priors.
    """

    title: str
    cl: float
    marginals: tuple[Marginal, ...]
    modes: tuple[Mode, ...]
    units: Mapping[str, str]
    names: tuple[str, ...]
    draws: FloatArray = field(repr=False)
    weights: FloatArray = field(repr=False)
    effective_size: float
    k_hat: float
    seed: int
    notes: tuple[str, ...]
    provenance: Mapping[str, object] = field(repr=False)

    def __getitem__(self, parameter: str) -> Marginal:
        """Return the marginal of a coupling (`KeyError` if it was not asked for)."""
        for marginal in self.marginals:
            if marginal.parameter == parameter:
                return marginal
        raise KeyError(parameter)

    def lines(self) -> list[str]:
        """Return regions, moments, modes and the quality of the draws."""
        lines = [f"{self.title}, posterior, {percent(self.cl)} % highest density"]
        width = max(len(m.parameter) for m in self.marginals)
        for m in self.marginals:
            unit = unit_text(m.unit)
            pieces = " or ".join(f"[{low:.3g}, {high:.3g}]" for low, high in m.pieces)
            lines += [
                f"{m.parameter:{width}s}  {pieces}{unit}   (densest in {m.variable})",
                f"{'':{width}s}  mean {m.mean:.3g}, sd {m.sd:.2g}, median {m.median:.3g}; "
                f"prior {m.prior}",
            ]
            if len(m.pieces) > 1:
                shares = ", ".join(f"{fraction:.3f}" for fraction in m.fractions)
                lines.append(f"{'':{width}s}  probability of the pieces: {shares}")
        if len(self.modes) > 1:
            lines.append("minima of 2NLL, and the share of the posterior nearest to each:")
            for mode in self.modes:
                at = ", ".join(f"{name} = {value:.3g}" for name, value in mode.values.items())
                lines.append(f"  {mode.fraction:.3f}  at {at} (2NLL + {mode.delta_2nll:.2f})")
        worst = max([self.k_hat, *(m.k_hat for m in self.marginals)])
        lines.append(
            f"{len(self.weights)} draws, effective size {self.effective_size:.0f}, "
            f"Pareto k-hat {worst:.2f}"
        )
        return lines

    def to_dict(self) -> dict[str, JsonValue]:
        """Return plain lists, dicts, strings and numbers; not the draws, which have a CSV."""
        keys = ("title", "cl", "units", "effective_size", "k_hat", "seed", "notes", "provenance")
        content: dict[str, JsonValue] = {"format": JSON_FORMAT}
        content |= {key: plain(getattr(self, key)) for key in keys}
        content["draws"] = len(self.weights)
        for key in ("marginals", "modes"):
            content[key] = [plain(dict(vars(part))) for part in getattr(self, key)]
        return content

    def columns(self) -> dict[str, Sequence[object]]:
        """Return the marginal densities and profiles, one below the other."""
        columns: dict[str, list[object]] = {
            name: [] for name in ("parameter", "value", "posterior", "profile_likelihood")
        }
        for m in self.marginals:
            columns["parameter"] += [m.parameter] * len(m.values)
            columns["value"] += m.values.tolist()
            columns["posterior"] += m.density.tolist()
            columns["profile_likelihood"] += m.profile.tolist()
        return dict(columns)

    def draws_to_csv(self) -> str:
        """Return all draws as CSV: weights that add up to 1, couplings in base units, nuisances."""
        columns = {"weight": self.weights.tolist()}
        columns |= {name: self.draws[:, i].tolist() for i, name in enumerate(self.names)}
        return format_csv(columns)

    def resample(self, number: int | None = None, seed: int = 1) -> FloatArray:
        """Return draws of equal weight (number, N), by systematic resampling, shuffled.

        ``number`` is the effective size by default; more of them repeat each other.
        """
        n = int(self.effective_size) if number is None else number
        rng = np.random.default_rng([seed, 22])
        place = np.searchsorted(np.cumsum(self.weights), (np.arange(n) + rng.random()) / n)
        return np.asarray(rng.permutation(self.draws[np.minimum(place, len(self.weights) - 1)]))

    def to_arviz(self, number: int | None = None, seed: int = 1) -> "arviz.InferenceData":
        """Return draws of equal weight, one chain, for arviz.

        Raises
        ------
        ModelError
            If arviz is not installed.
        """
        try:
            with warnings.catch_warnings():
                # arviz 0.23 announces arviz 1 whenever it is imported
                warnings.simplefilter("ignore", FutureWarning)
                import arviz
        except ImportError as error:
            raise ModelError("arviz is not installed: pip install 'nuhf[bayes]'") from error
        drawn = self.resample(number, seed)
        posterior = {name: drawn[np.newaxis, :, i] for i, name in enumerate(self.names)}
        if int(arviz.__version__.split(".")[0]) < 1:
            found: arviz.InferenceData = arviz.from_dict(posterior=posterior)
        else:
            found = arviz.from_dict({"posterior": posterior})
        return found

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw each posterior beside its profile likelihood; the first one, if given axes."""
        from nuhf.plots import posterior

        return posterior.beside_profile(self.marginals, self.cl, self.title, ax)

    def plot_corner(self) -> "Figure":
        """Draw the joint posterior of all couplings: marginals and regions of each pair."""
        from nuhf.plots import posterior

        columns = [self.names.index(name) for name in self.units]
        return posterior.corner(
            self.draws[:, columns], self.weights, list(self.units.items()), self.cl, self.title
        )
