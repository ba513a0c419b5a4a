"""Two engines for the same fits: the compiled likelihood, and pyhf with minuit as reference."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from nuhf.arrays import FloatArray
from nuhf.errors import FitError
from nuhf.likelihood.evaluate import CompiledModel, compile_layout
from nuhf.likelihood.fit import fit, refit_with_minuit, refit_with_pyhf
from nuhf.likelihood.layout import Layout, layout_of

if TYPE_CHECKING:
    import pyhf

BoolArray = NDArray[np.bool_]

_FAR: Final = 1e4
"""2NLL above the lowest of a batch from which a fit that stopped at the edge of the domain, where a
bin expects nothing, is near enough: it is in no region, and pyhf would take minutes over it."""

_CLOSE: Final = 1e-5
"""Expected decrease of 2NLL below which a fit that ran out of steps is good enough for a profile,
if its gradient is below"""
_FLAT: Final = 1e-2
"""in units of the square root of the curvature."""
TIE: Final = 1e-8
"""Minima of 2NLL nearer than this have the same depth: what differs is rounding."""


@dataclass(frozen=True)
class Reference:
    """A model as a layout, and as pyhf has it, which is loaded when something asks for it."""

    layout: Layout
    load: "Callable[[], pyhf.pdf.Model]"

    @classmethod
    def of(cls, model: "pyhf.pdf.Model") -> "Reference":
        """Return a model of pyhf that is there already (`ModelError` as `layout_of`)."""
        return cls(layout_of(model), lambda: model)

    @cached_property
    def model(self) -> "pyhf.pdf.Model":
        """The model as pyhf has it."""
        return self.load()


@dataclass(frozen=True)
class Engine(ABC):
    """Minimise 2NLL of one model, ``compiled`` from its layout, from given starts."""

    reference: Reference
    compiled: CompiledModel

    @property
    @abstractmethod
    def optimizer(self) -> str:
        """Name for results."""

    @abstractmethod
    def minimise(
        self, data: FloatArray, starts: FloatArray, free: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """Fit from starts (n, P): parameters (n, P) and 2NLL (n,), inf where it failed."""


@dataclass(frozen=True)
class CompiledEngine(Engine):
    """The compiled likelihood; fits that do not converge are repeated with minuit, then in pyhf.

    Without ``again`` they count where they ended, which looks for deeper points do.
    """

    again: bool = True

    @property
    def optimizer(self) -> str:
        """Name for results."""
        return "nuhf compiled likelihood, Fisher scoring and Newton"

    def minimise(
        self, data: FloatArray, starts: FloatArray, free: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """Fit from starts (n, P), as a batch; what is far above the rest need not converge."""
        done = fit(self.compiled, data, starts=starts, free=free)
        parameters, heights = done.parameters.copy(), done.twice_nll.copy()
        if not self.again:
            return parameters, np.where(np.isnan(heights), np.inf, heights)
        far = heights[done.converged].min(initial=np.inf) + _FAR
        # along a bent edge of the domain the last digits take hundreds of steps
        settled = done.converged | ((np.abs(done.edm) < _CLOSE) & (done.gradient_norm < _FLAT))
        for i in np.flatnonzero(~settled):
            again = refit_with_minuit(self.compiled, data, starts[i], ~free)
            high = again.twice_nll[0] > far or heights[i] > far
            if not again.converged[0] and not high:
                again = refit_with_pyhf(self.reference.model, data, starts[i], ~free)
            if not again.converged[0] and not high:
                heights[i] = np.inf
            elif not heights[i] <= again.twice_nll[0]:
                parameters[i], heights[i] = again.parameters[0], again.twice_nll[0]
        return parameters, heights


@dataclass(frozen=True)
class PyhfEngine(Engine):
    """pyhf itself with minuit, one fit after the other."""

    @property
    def optimizer(self) -> str:
        """Name for results."""
        import pyhf  # here: the compiled likelihood does without

        return f"pyhf {pyhf.__version__}, minuit"

    def minimise(
        self, data: FloatArray, starts: FloatArray, free: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """Fit from starts (n, P), one after the other."""
        fits = [refit_with_pyhf(self.reference.model, data, start, ~free) for start in starts]
        heights = [f.twice_nll[0] if f.converged[0] else np.inf for f in fits]
        return np.array([f.parameters[0] for f in fits]), np.array(heights)


def engine(name: str, reference: Reference) -> Engine:
    """Return the engine ``compiled`` or ``pyhf`` (`ModelError` as `compile_layout`)."""
    kinds: dict[str, type[Engine]] = {"compiled": CompiledEngine, "pyhf": PyhfEngine}
    return kinds[name](reference, compile_layout(reference.layout))


@dataclass(frozen=True)
class ModelProfiler:
    """Profile of one fit parameter, at position ``index``, of a model with data.

    Every fit tries all starting points (n, P), several where other couplings float; ``free``, (P,),
    are the parameters that float in a free fit.
    """

    engine: Engine
    data: FloatArray
    index: int
    starts: FloatArray
    free: BoolArray

    def _lowest(
        self, indices: Sequence[int], points: FloatArray, free: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """Fit from every start with some parameters (k,) put at points (n, k); keep the best."""
        index = list(indices)
        seeds = self.starts.copy()
        seeds[:, index] = 0.0
        seeds = np.unique(seeds, axis=0)
        starts = np.repeat(seeds[:, np.newaxis], len(points), axis=1)
        starts[:, :, index] = points
        parameters, heights = self.engine.minimise(
            self.data, starts.reshape(-1, starts.shape[-1]), free
        )
        heights = heights.reshape(len(seeds), len(points))
        winner = heights.argmin(axis=0)
        column = np.arange(len(points))
        return parameters.reshape(starts.shape)[winner, column], heights[winner, column]

    def fits_at(self, indices: Sequence[int], points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Parameters (n, P) and 2NLL (n,) with the parameters (k,) fixed at (n, k)."""
        free = self.free.copy()
        free[list(indices)] = False
        return self._lowest(indices, np.asarray(points, dtype=float), free)

    def at_points(self, indices: Sequence[int], points: FloatArray) -> FloatArray:
        """2NLL (n,) minimised over all but the parameters (k,), which are fixed at (n, k)."""
        return self.fits_at(indices, points)[1]

    def at(self, values: FloatArray) -> FloatArray:
        """2NLL minimised over everything else at fixed values, (n,)."""
        return self.at_points([self.index], np.reshape(values, (-1, 1)))

    def minima(self, starts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Free fits from values of the parameter (n,): where they end, and 2NLL, (n,) each."""
        parameters, heights = self._lowest([self.index], np.reshape(starts, (-1, 1)), self.free)
        return parameters[:, self.index], heights

    def best(self, starts: FloatArray) -> tuple[FloatArray, float]:
        """Parameters (P,) and 2NLL of the deepest free fit from values of the parameter (n,).

        `FitError` if none converged.
        """
        parameters, heights = self._lowest([self.index], np.reshape(starts, (-1, 1)), self.free)
        if not np.isfinite(heights).any():
            raise FitError(f"no fit converged ({self.engine.optimizer})")
        # of minima that differ by rounding the one nearest to the SM
        equal = heights <= heights.min() + TIE
        chosen = int(np.argmin(np.where(equal, np.abs(parameters[:, self.index]), np.inf)))
        return parameters[chosen], float(heights[chosen])
