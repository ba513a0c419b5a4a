"""Roots of a function inside brackets, many at once.

Own code, as `scipy.optimize` takes longer to load than a limit takes to find.
"""

from collections.abc import Callable

import numpy as np

from nuhf.arrays import FloatArray
from nuhf.errors import FitError

_MOST = 200
"""Steps after which there is no hope; halving alone needs 50."""


def roots(
    function: Callable[[FloatArray], FloatArray],
    low: FloatArray,
    high: FloatArray,
    relative: float,
    absolute: float,
) -> tuple[FloatArray, FloatArray]:
    """Find where a function crosses zero in brackets (n,), by inverse quadratic steps or halving.

    The function gives finite values (m,) at points (m,), those that are still looked for. A root is
    located to ``absolute`` plus ``relative`` of its size. Return the point (n,) of each last
    bracket where the function is smaller in size, and its value there, infinite where the function
    has the same sign at both ends. `FitError` if a root is not located in 200 steps.

    Source: T. R. Chandrupatla, Adv. Eng. Softw. 28, 145 (1997), whose condition tells which.
    """
    a, b = np.array(low, dtype=float), np.array(high, dtype=float)
    fa, fb = (np.asarray(function(x), dtype=float) for x in (a, b))
    c, fc = a.copy(), fa.copy()
    step = np.full(a.shape, 0.5)
    crossed = np.sign(fa) * np.sign(fb) <= 0
    todo = np.flatnonzero(crossed)
    for _ in range(_MOST):
        nearest = np.where(np.abs(fa) < np.abs(fb), a, b)
        width = np.abs(b - a)
        allowed = absolute + relative * np.abs(nearest)
        todo = todo[(width[todo] > allowed[todo]) & (fa[todo] != 0) & (fb[todo] != 0)]
        if not todo.size:
            values = np.where(np.abs(fa) < np.abs(fb), fa, fb)
            return nearest, np.where(crossed, values, np.inf)
        margin = 0.5 * allowed[todo] / width[todo]
        at = np.clip(step[todo], margin, 1.0 - margin)
        x = a[todo] + at * (b[todo] - a[todo])
        fx = np.asarray(function(x), dtype=float)
        same = np.sign(fx) == np.sign(fa[todo])
        # the last point joins x; the end on the other side of the root stays
        c[todo], fc[todo] = np.where(same, a[todo], b[todo]), np.where(same, fa[todo], fb[todo])
        b[todo], fb[todo] = np.where(same, b[todo], a[todo]), np.where(same, fb[todo], fa[todo])
        a[todo], fa[todo] = x, fx
        step[todo] = _step(a[todo], b[todo], c[todo], fa[todo], fb[todo], fc[todo])
    raise FitError(f"root finding did not converge in {_MOST} steps")


def _step(
    a: FloatArray, b: FloatArray, c: FloatArray, fa: FloatArray, fb: FloatArray, fc: FloatArray
) -> FloatArray:
    """Where to look between ``a`` (0) and ``b`` (1); ``c`` is the point before them."""
    with np.errstate(all="ignore"):
        xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
        curved = (phi**2 < xi) & ((1.0 - phi) ** 2 < 1.0 - xi)
        quadratic = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (
            fc - fb
        )
    return np.where(curved & np.isfinite(quadratic), quadratic, 0.5)
