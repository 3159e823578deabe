"""A scalar penalty at a strength: the one place where strengths, also 0 and infinite ones, meet the formulas."""

from __future__ import annotations

import math
from typing import Any

from .._array import Array, is_numpy, namespace
from .scalar import ScalarPenalty, as_steps


def scales_argument(rho: ScalarPenalty) -> bool:
    """Whether rho at strength s is s^2 rho(t / s) (MCP, SCAD) and not s rho(t), the default."""
    return bool(getattr(rho, "scales_argument", False))


def value(rho: ScalarPenalty, t: Array, s: Array) -> Array:
    """Value [...] at norms t [...] >= 0 and strengths s [...]: 0 for s = 0; for s = inf 0 at 0 and inf elsewhere."""
    xp = namespace(t)
    regular, unit = _regular(xp, s)
    inside = unit * (unit * rho.value(t / unit)) if scales_argument(rho) else unit * rho.value(t)
    if regular is None:
        return inside
    outside = xp.where((s > 0) & (t > 0), xp.full_like(inside, math.inf), xp.zeros_like(inside))
    return xp.where(regular, inside, outside)


def slope(rho: ScalarPenalty, t: Array, s: Array) -> Array:
    """Derivative [...] at norms t [...] > 0, and the slope at zero at t = 0: s itself where s is 0 or inf."""
    xp = namespace(t)
    regular, unit = _regular(xp, s)
    inside = unit * rho.slope(t / unit if scales_argument(rho) else t)
    return inside if regular is None else xp.where(regular, inside, s)


def prox(rho: ScalarPenalty, v: Array, s: Array, step: float | Array) -> Array:
    """Global minimiser [...] over r >= 0 of (r - v)^2 / 2 + step * penalty(r): v for s = 0 and 0 for s = inf.

    v: [...] >= 0.  s: [...], of v's dtype.  step: > 0.  With the argument scaled it is s * rho.prox(v / s, step).
    """
    xp = namespace(v)
    regular, unit = _regular(xp, s)
    if scales_argument(rho):
        relative = v / unit
        r = rho.prox(relative, step)
        inside = xp.where(r == relative, v, unit * r)  # exactly v where the penalty is flat
    else:
        inside = rho.prox(v, as_steps(xp, v, step) * unit)
    return inside if regular is None else xp.where(regular, inside, xp.where(s > 0, xp.zeros_like(v), v))


def _regular(xp: Any, s: Array) -> tuple[Array | None, Array]:
    """Where the strength is positive and finite, None for everywhere in NumPy; and the strength there, 1 elsewhere."""
    regular = (s > 0) & (s < math.inf)
    if is_numpy(xp) and regular.all():  # the usual case
        return None, s
    return regular, xp.where(regular, s, xp.ones_like(s))
