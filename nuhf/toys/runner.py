"""What works on blocks of toys: fits of many data sets, from plain data to plain data.

The test statistic of parameters of interest at values v is
``t(v) = min 2NLL (at v) - min 2NLL (free)``; one-sided (q-tilde for a parameter bounded at 0,
arXiv:1007.1727 eq. 16) it is 0 where the best value is above v.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import InputError
from nuhf.likelihood.engines import Reference
from nuhf.likelihood.evaluate import CompiledModel, compile_layout
from nuhf.likelihood.fit import BatchFit, best_of, refit_with_pyhf
from nuhf.toys.sample import TIE, BoolArray, Task, blocks, critical_value, generator, plain, sample
from nuhf.toys.strata import sums

#: Toys of the inner ensemble between two looks at whether more are needed.
_LOOK: Final = 250
#: Standard deviations at which the inner ensemble has decided.
_DECIDED: Final = 4.0
#: Logarithm of the largest weight of a toy.
_HEAVIEST: Final = 50.0


@dataclass(frozen=True)
class Runner:
    """A model that works on tasks.

    ``free`` (P,) are the parameters that float in a free fit, ``indices`` those of interest. Free
    fits have further starts, ``seeds`` (S, len(started)): values of the parameters ``started``. The
    model of pyhf is for fits that do not converge.
    """

    reference: Reference
    compiled: CompiledModel
    free: BoolArray
    indices: list[int]
    started: list[int]
    seeds: FloatArray

    def __call__(self, task: Task) -> dict[str, Any]:
        """Work on one task; its ``kind`` says what is wanted.

        Raises
        ------
        InputError
            If the kind is unknown.
        FitError
            If no toys can be made.
        """
        kinds: dict[str, Callable[[Task], dict[str, Any]]] = {
            "statistic": self._statistic,
            "below": self._below,
            "goodness": self._goodness,
            "coverage": self._coverage,
        }
        if task.get("kind") not in kinds:
            raise InputError(f"unknown kind of toys '{task.get('kind')}'")
        return kinds[task["kind"]](task)

    def statistic(
        self, data: FloatArray, truth: FloatArray, values: FloatArray, one_sided: bool = False
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Test statistic of data sets (B, n_main + n_aux) at values of the parameters of interest.

        Fits start at ``truth`` (P,). ``one_sided``: 0 where the best value of the (only) parameter
        is above the tested one. Return t (B,), NaN where a fit converged neither here nor with
        minuit, and the best fits (B, P) at the tested values and free.
        """
        held = self.free.copy()
        held[self.indices] = False
        at = truth.copy()
        at[self.indices] = values
        starts = at[np.newaxis]
        if len(self.started) > len(self.indices):
            starts = np.concatenate([starts, self._seeded(truth)])
            starts[:, self.indices] = values
        fixed = self._settled(data, best_of(self.compiled, data, starts, free=held), starts, held)
        # every free fit starts from the best point at the tested value, so t is never negative
        starts = np.broadcast_to(
            self._seeded(truth)[:, np.newaxis], (len(self.seeds), *fixed.parameters.shape)
        )
        starts = np.concatenate([fixed.parameters[np.newaxis], starts])
        lowest = best_of(self.compiled, data, starts, free=self.free)
        lowest = self._settled(data, lowest, starts, self.free)
        t = fixed.twice_nll - lowest.twice_nll
        if one_sided:
            t = np.where(lowest.parameters[:, self.indices[0]] > values[0], 0.0 * t, t)
        t = np.where(fixed.converged & lowest.converged, np.maximum(t, 0.0), np.nan)
        return t, fixed.parameters, lowest.parameters

    def _seeded(self, truth: FloatArray) -> FloatArray:
        """Return starts (S, P): the true nuisances with the values of the seeds."""
        starts = np.repeat(truth[np.newaxis], len(self.seeds), axis=0)
        starts[:, self.started] = self.seeds
        return starts

    def _settled(
        self, data: FloatArray, found: BatchFit, starts: FloatArray, free: BoolArray
    ) -> BatchFit:
        """Repeat with minuit what did not converge; the deeper point counts, as for the data."""
        parameters, heights = found.parameters.copy(), found.twice_nll.copy()
        converged = found.converged.copy()
        for i in np.flatnonzero(~converged):
            start = starts[found.start[i]]
            point = start if start.ndim == 1 else start[i]
            again = refit_with_pyhf(self.reference.model, data[i], point, ~free)
            converged[i] = again.converged[0]
            if converged[i] and not heights[i] <= again.twice_nll[0]:
                parameters[i], heights[i] = again.parameters[0], again.twice_nll[0]
        return BatchFit(
            parameters, heights, converged, found.iterations, found.edm, found.gradient_norm,
            found.start,
        )  # fmt: skip

    def _statistic(self, task: Task) -> dict[str, Any]:
        """Return t of toys: ``truth``, ``values``, ``number``, ``key``, ``one_sided``."""
        truth = np.asarray(task["truth"], dtype=float)
        data = sample(self.compiled, truth, task["number"], generator(task["key"]))
        values = np.asarray(task["values"], dtype=float)
        t, _, _ = self.statistic(data, truth, values, bool(task.get("one_sided")))
        return {"t": plain(t)}

    def _below(self, task: Task) -> dict[str, Any]:
        """Sums of weights of toys with t below that of the data, at several values, by stratum.

        The toys are those of ``truth``; at ``values`` (m, k) with true parameters ``truths``
        (m, P) they count with the ratio of their likelihoods. The data's t are ``observed`` (m,),
        the strata those of ``edges``.
        """
        truth = np.asarray(task["truth"], dtype=float)
        data = sample(self.compiled, truth, task["number"], generator(task["key"]))
        at_truth = self.compiled.twice_nll(truth, data)
        rows = []
        lowest: FloatArray | None = None
        fixed = np.repeat(truth[np.newaxis], len(data), axis=0)
        for other, point in zip(task["truths"], task["values"], strict=True):
            t, found, lowest = self._ratio(data, fixed, np.asarray(point, dtype=float), lowest)
            fixed = np.where(np.isfinite(t)[:, np.newaxis], found, fixed)
            there = self.compiled.twice_nll(np.asarray(other, dtype=float), data)
            # the toys' own parameters make them possible, so that this is finite
            rows.append((t, np.exp(np.minimum(0.5 * (at_truth - there), _HEAVIEST))))
        good = np.all([np.isfinite(t) for t, _ in rows], axis=0)
        weights = np.array([w[good] for _, w in rows])
        t = np.array([t[good] for t, _ in rows])
        below = t < np.asarray(task["observed"], dtype=float)[:, np.newaxis] - TIE
        events = data[good, : self.compiled.n_main].sum(axis=1)
        return {"lost": int((~good).sum())} | sums(events, task["edges"], weights, below)

    def _ratio(
        self, data: FloatArray, near: FloatArray, values: FloatArray, lowest: FloatArray | None
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return t (B,) at ``values``, the parameters there, and the lowest 2NLL (None: find)."""
        if lowest is None:
            t, found, _ = self.statistic(data, near[0], values)
            return t, found, self.compiled.twice_nll(found, data) - t
        held = self.free.copy()
        held[self.indices] = False
        starts = near[np.newaxis].copy()
        if len(self.started) > len(self.indices):
            seeded = self._seeded(near[0])[:, np.newaxis]
            starts = np.concatenate([starts, np.broadcast_to(seeded, (len(seeded), *near.shape))])
        starts[:, :, self.indices] = values
        made = self._settled(data, best_of(self.compiled, data, starts, free=held), starts, held)
        t = np.where(made.converged, np.maximum(made.twice_nll - lowest, 0.0), np.nan)
        return t, made.parameters, lowest

    def _goodness(self, task: Task) -> dict[str, Any]:
        """2NLL above saturation of toys: ``truth``, ``number``, ``key``."""
        truth = np.asarray(task["truth"], dtype=float)
        data = sample(self.compiled, truth, task["number"], generator(task["key"]))
        starts = np.concatenate([truth[np.newaxis], self._seeded(truth)])
        found = best_of(self.compiled, data, starts, free=self.free)
        found = self._settled(data, found, starts, self.free)
        t = found.twice_nll - self.compiled.saturated_twice_nll(data)
        return {"t": plain(np.where(found.converged, t, np.nan))}

    def _coverage(self, task: Task) -> dict[str, Any]:
        """Return t of toys at their true value, and whether ``inner`` toys each accept it.

        The inner toys have the nuisances fitted to the outer toy at its true value, as the
        construction has. They stop early once ``cl`` is decided at 4 standard deviations.
        """
        truth = np.asarray(task["truth"], dtype=float)
        values = np.asarray(task["values"], dtype=float)
        data = sample(self.compiled, truth, task["number"], generator(task["key"]))
        t, fitted, _ = self.statistic(data, truth, values)
        found: dict[str, Any] = {"t": plain(t)}
        if task["inner"]:
            done = [
                self._beyond(float(t[i]), fitted[i], values, task, [*task["key"], i])
                for i in range(len(t))
            ]
            found["covered"] = [covered for covered, _ in done]
            found["inner_unconverged"] = sum(lost for _, lost in done)
        return found

    def _beyond(
        self, t: float, truth: FloatArray, values: FloatArray, task: Task, key: list[int]
    ) -> tuple[bool | None, int]:
        """Whether a toy's value is accepted (None if its fit failed), and inner toys lost."""
        if not np.isfinite(t):
            return None, 0
        cl, inner = float(task["cl"]), int(task["inner"])
        toys = np.zeros(0)
        for block in blocks({}, inner, key, _LOOK):
            data = sample(self.compiled, truth, block["number"], generator(block["key"]))
            toys = np.concatenate([toys, self.statistic(data, truth, values)[0]])
            good = toys[np.isfinite(toys)]
            distance = abs(float(np.mean(good < t - TIE)) - cl) if len(good) else 0.0
            if distance > _DECIDED * np.sqrt(cl * (1.0 - cl) / max(len(good), 1)):
                break
        return t <= critical_value(toys, cl)[0] + TIE, int(np.isnan(toys).sum())


def runner(setup: Mapping[str, Any]) -> Runner:
    """Build a `Runner` from the plain data of a `ToySetup`."""
    from nuhf.workspaces.native import load_model  # here: limits without toys do without pyhf

    model, _ = load_model(dict(setup["spec"]))
    reference = Reference.of(model)
    return running(reference, compile_layout(reference.layout), setup)


def running(reference: Reference, compiled: CompiledModel, setup: Mapping[str, Any]) -> Runner:
    """Make a `Runner` of a model that is there already, the one of ``setup["spec"]``."""
    started = [int(i) for i in setup["started"]]
    return Runner(
        reference=reference,
        compiled=compiled,
        free=np.asarray(setup["free"], dtype=bool),
        indices=[int(i) for i in setup["indices"]],
        started=started,
        seeds=np.asarray(setup["seeds"], dtype=float).reshape(-1, len(started)),
    )
