"""Two engines for the same fits: the compiled likelihood, and pyhf with minuit as reference."""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import pyhf
from numpy.typing import NDArray

from nuhf.errors import FitError, InputError
from nuhf.inference.compiled import CompiledModel, compile_model
from nuhf.inference.compiled_fit import fit, refit_with_pyhf

__all__ = ["ENGINES", "CompiledEngine", "Engine", "ModelProfiler", "PyhfEngine", "engine"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ENGINES: Final = ("compiled", "pyhf")


class Engine(Protocol):
    """Minimise 2NLL of one model from given starts."""

    @property
    def compiled(self) -> CompiledModel:
        """Expectations and derivatives of the model."""
        ...

    @property
    def optimizer(self) -> str:
        """Name for results."""
        ...

    def minimise(
        self, data: FloatArray, starts: FloatArray, free: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """Fit from starts (n, P): parameters (n, P) and 2NLL (n,), inf where it failed."""
        ...


@dataclass(frozen=True)
class CompiledEngine:
    """The compiled likelihood; fits that do not converge are repeated with pyhf and minuit."""

    model: pyhf.pdf.Model
    compiled: CompiledModel

    @property
    def optimizer(self) -> str:
        """Name for results."""
        return "nuhf compiled likelihood, Fisher scoring and Newton"

    def minimise(
        self, data: FloatArray, starts: FloatArray, free: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """Fit a batch of starts."""
        done = fit(self.compiled, data, starts=starts, free=free)
        parameters, heights = done.parameters.copy(), done.twice_nll.copy()
        for i in np.flatnonzero(~done.converged):
            again = refit_with_pyhf(self.model, data, starts[i], ~free)
            if not again.converged[0]:
                heights[i] = np.inf
            elif not heights[i] <= again.twice_nll[0]:
                parameters[i], heights[i] = again.parameters[0], again.twice_nll[0]
        return parameters, heights


@dataclass(frozen=True)
class PyhfEngine:
    """pyhf itself with minuit, one fit after the other."""

    model: pyhf.pdf.Model
    compiled: CompiledModel

    @property
    def optimizer(self) -> str:
        """Name for results."""
        return f"pyhf {pyhf.__version__}, minuit"

    def minimise(
        self, data: FloatArray, starts: FloatArray, free: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """Fit one start after the other."""
        fits = [refit_with_pyhf(self.model, data, start, ~free) for start in starts]
        heights = [f.twice_nll[0] if f.converged[0] else np.inf for f in fits]
        return np.array([f.parameters[0] for f in fits]), np.array(heights)


def engine(name: str, model: pyhf.pdf.Model) -> Engine:
    """Return an engine by name.

    Raises
    ------
    InputError
        If the name is unknown.
    ModelError
        If the model has something the compiler does not know.
    """
    if name not in ENGINES:
        raise InputError(f"unknown engine '{name}'; allowed: {', '.join(ENGINES)}")
    compiled = compile_model(model)
    return CompiledEngine(model, compiled) if name == "compiled" else PyhfEngine(model, compiled)


@dataclass(frozen=True)
class ModelProfiler:
    """Profile of one fit parameter of a model with data.

    Attributes
    ----------
    engine : Engine
        What fits.
    data : ndarray
        Counts and auxiliary data.
    index : int
        Position of the parameter.
    starts : ndarray
        Starting points (n, P) that every fit tries; several where other couplings float.
    free : ndarray of bool
        Parameters that float in a free fit, (P,).
    """

    engine: Engine
    data: FloatArray
    index: int
    starts: FloatArray
    free: BoolArray

    def _lowest(self, values: FloatArray, free: BoolArray) -> tuple[FloatArray, FloatArray]:
        values = np.atleast_1d(np.asarray(values, dtype=float))
        starts = np.repeat(self.starts[:, np.newaxis], values.size, axis=1)
        starts[:, :, self.index] = values
        parameters, heights = self.engine.minimise(
            self.data, starts.reshape(-1, starts.shape[-1]), free
        )
        heights = heights.reshape(len(self.starts), values.size)
        winner = heights.argmin(axis=0)
        column = np.arange(values.size)
        return parameters.reshape(starts.shape)[winner, column], heights[winner, column]

    def at(self, values: FloatArray) -> FloatArray:
        """2NLL minimised over everything else at fixed values, (n,)."""
        free = self.free.copy()
        free[self.index] = False
        return self._lowest(values, free)[1]

    def minima(self, starts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Free fits from several values of the parameter."""
        parameters, heights = self._lowest(starts, self.free)
        return parameters[:, self.index], heights

    def best(self, starts: FloatArray) -> tuple[FloatArray, float]:
        """Parameters (P,) and 2NLL of the deepest of several free fits.

        Raises
        ------
        FitError
            If none converged.
        """
        parameters, heights = self._lowest(starts, self.free)
        lowest = int(np.argmin(heights))
        if not np.isfinite(heights[lowest]):
            raise FitError(f"no fit converged ({self.engine.optimizer})")
        return parameters[lowest], float(heights[lowest])
