"""What is true of every scalar penalty rho(t), t >= 0: value, slope, prox, inverse."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import conduct, strategies
from .battery import Case, Property, has
from .inequality import at_most, close, rounding, same, true
from .quadrature import integral

FRACTIONS = np.concatenate(
    [[0.0], np.geomspace(1e-12, 1.0, 300), np.linspace(0, 1.5, 200), 1 + np.geomspace(1e-8, 0.1, 20)]
)
"""Competitors of a prox at v, as multiples of v and of the prox itself."""


def draw_norms(case: Case, name: str, count: int = 3) -> np.ndarray:
    """Norms [count] >= 0."""
    return np.abs(case.draw(strategies.arrays((count,)), name))


def _drop(rho: Any, r: np.ndarray, v: np.ndarray | float, step: float) -> np.ndarray:
    """(r - v)^2 / 2 + step rho(r), less v^2 / 2."""
    return r * (r / 2 - v) + step * rho.value(r)


def _error(rho: Any, r: np.ndarray, v: np.ndarray | float, step: float) -> np.ndarray:
    eps = np.finfo(np.float64).eps
    return 8 * eps * (r * np.abs(r / 2 - v) + step * rho.value(r))


def starts_at_zero(rho: Any, case: Case) -> None:
    """rho(0) = 0, rho does not decrease."""
    t = np.sort(draw_norms(case, "t", 4))
    values = rho.value(t)
    same(float(rho.value(np.zeros(1))[0]), 0.0, "rho(0) = 0")
    at_most(values[:-1], values[1:], 1e-14 * values[1:], "rho(t) at increasing t")
    at_most(0.0, values, 0.0, "0 and rho(t)")


def value_is_integral(rho: Any, case: Case) -> None:
    """rho(b) - rho(a) is the integral of the slope, by adaptive Gauss rules that stop at kinks."""
    from hypothesis import strategies as st

    low = case.draw(st.floats(-3.0, 2.0).map(lambda e: float(10.0**e)), "a")
    high = low * case.draw(st.floats(1.01, 10.0), "b / a")
    ends = rho.value(np.array([low, high]))
    found, error = integral(rho.slope, low, high, 1e-12 * float(ends.max()))
    slack = error + 1e-11 * float(ends.max())
    close(float(ends[1] - ends[0]), found, slack, "rho(b) - rho(a) and the integral of the slope")


def prox_beats_a_grid(rho: Any, case: Case) -> None:
    """(r - v)^2 / 2 + step rho(r) at the prox is at most that of a fine grid."""
    v, step = draw_norms(case, "v"), case.draw(strategies.steps(), "step")
    found = np.asarray(rho.prox(v, step))
    case.inputs["prox"] = found
    for one, r in zip(v, found, strict=True):
        grid = np.concatenate([one * FRACTIONS, r * FRACTIONS])
        best = float((_drop(rho, grid, one, step) + _error(rho, grid, one, step)).min())
        mine = float(_drop(rho, np.array([r]), one, step)[0])
        slack = float(_error(rho, np.array([r]), one, step)[0]) + (32 * np.finfo(float).eps * one) ** 2
        at_most(mine, best, slack, f"prox objective at v = {one:.17g}, and the best of a grid")


def prox_is_stationary(rho: Any, case: Case) -> None:
    """r - v + step rho'(r) = 0 at a prox r > 0, with 0 <= r <= v."""
    v, step = draw_norms(case, "v"), case.draw(strategies.steps(), "step")
    found = np.asarray(rho.prox(v, step))
    at_most(0.0, found, 0.0, "0 and the prox")
    at_most(found, v, 0.0, "the prox and v")
    active = found > 1e-300
    pull = step * rho.slope(found[active])
    slack = 64 * np.finfo(float).eps * (v[active] + pull)
    close(found[active] + pull, v[active], slack, "prox + step slope(prox) and v")


def jumps_are_ties(rho: Any, case: Case) -> None:
    """Where the prox jumps, found by bisection, both sides have the same objective."""
    step = case.draw(strategies.steps(), "step")
    v = np.geomspace(1e-3, 1e3, 241) * (1 + step)
    found = np.asarray(rho.prox(v, step))
    for i in np.argsort(-np.diff(found) / found[1:].clip(1e-300), kind="stable")[:2]:
        low, high = float(v[i]), float(v[i + 1])
        while (middle := (low + high) / 2) not in (low, high):
            below, at, above = rho.prox(np.array([low, middle, high]), step)
            low, high = (low, middle) if at - below >= above - at else (middle, high)
        below, above = (float(x) for x in rho.prox(np.array([low, high]), step))
        if above - below <= 1e6 * (high - low):
            continue
        case.inputs |= {"jump at": low, "prox below": below, "prox above": above}
        sides = np.array([below, above])
        drops, errors = _drop(rho, sides, low, step), _error(rho, sides, low, step)
        slack = float(errors.sum()) + 4 * (high - low) * above
        close(drops[0], drops[1], slack, "objective below the jump of the prox and above it")


def prox_is_monotone(rho: Any, case: Case) -> None:
    """The prox increases with v and decreases with the step; step 0 gives v."""
    v, step = np.sort(draw_norms(case, "v", 4)), case.draw(strategies.steps(), "step")
    found = rho.prox(v, step)
    at_most(found[:-1], found[1:], 1e-13 * v[1:], "prox at increasing v")
    at_most(rho.prox(v, 2 * step), found, 1e-13 * v, "prox with twice the step, and with the step")
    same(np.asarray(rho.prox(v, 0)), v, "prox with step 0 and v")


def steps_may_be_arrays(rho: Any, case: Case) -> None:
    """An array of steps gives what each step gives alone."""
    v = draw_norms(case, "v", 2)
    both = np.array([case.draw(strategies.steps(), "first step"), case.draw(strategies.steps(), "second step")])
    alone = np.array([rho.prox(v[i : i + 1], float(both[i]))[0] for i in range(2)])
    same(np.asarray(rho.prox(v, both)), alone, "prox with an array of steps, and with each of them")


def slope_starts_at_slope0(rho: Any, case: Case) -> None:
    """slope(0) = slope0, the limit of rho(h) / h."""
    same(float(rho.slope(np.zeros(1))[0]), float(rho.slope0), "slope(0) and slope0")
    quotient = float(rho.value(np.array([1e-150]))[0]) / 1e-150
    if rho.slope0 == np.inf:
        at_most(1e10, quotient, 0.0, "1e10 and rho(h) / h at h = 1e-150, where slope0 is inf")
    else:
        close(quotient, rho.slope0, 1e-12 * max(1.0, rho.slope0), "rho(h) / h at h = 1e-150, and slope0")


def curvature_is_bounded(rho: Any, case: Case) -> None:
    """slope(t) + weak_convexity t does not decrease."""
    t = np.sort(draw_norms(case, "t", 2))
    slopes = rho.slope(t)
    if not np.isfinite(slopes).all():
        return  # an infinite slope at 0 falls as it likes
    bound = float(rho.weak_convexity) * float(t[1] - t[0])
    at_most(
        slopes[0] - slopes[1],
        bound,
        rounding(2, slopes, rho.weak_convexity * t),
        "slope(a) - slope(b) and kappa (b - a)",
    )


def convex_means_zero(rho: Any, case: Case) -> None:
    """convex exactly where weak_convexity is 0."""
    true(bool(rho.convex) == (rho.weak_convexity == 0), "convex exactly where weak_convexity is 0")


def inverse_is_generalised(rho: Any, case: Case) -> None:
    """inverse(y) = inf{t: rho(t) >= y}: rho reaches y there and not before."""
    t = draw_norms(case, "t")
    y = np.asarray(rho.value(t))
    back = np.asarray(rho.inverse(y))
    at_most(back, t, 1e-6 * t, "inverse(rho(t)) and t")
    reached = np.isfinite(back)
    after = rho.value(back[reached] * (1 + 1e-12) + 1e-300)  # the infimum may not be attained, as for a count
    at_most(y[reached], after, 1e-11 * y[reached], "y and rho just after inverse(y)")
    before = np.asarray(rho.value(back[reached] * (1 - 1e-6)))
    usual = reached & (back > 1e-100)
    at_most(before[usual[reached]], y[usual], 1e-12 * y[usual], "rho just before inverse(y), and y")
    same(np.asarray(rho.inverse(np.array([0.0, -1.0]))), np.zeros(2), "inverse of 0 and of -1")


def extremes_are_safe(rho: Any, case: Case) -> None:
    """Subnormal and huge norms give a finite prox between 0 and v."""
    v = np.abs(case.draw(strategies.arrays((3,), extreme=True), "v"))
    found = np.asarray(rho.prox(v, case.draw(strategies.steps(), "step")))
    at_most(0.0, found, 0.0, "0 and the prox")
    at_most(found, v, 0.0, "the prox and v")


def _calls(rho: Any) -> list[tuple[str, Any]]:
    calls = [("value", rho.value), ("slope", rho.slope), ("prox", lambda a: rho.prox(a, 0.7))]
    return calls + ([("inverse", rho.inverse)] if hasattr(rho, "inverse") else [])


def arrays_are_left_alone(rho: Any, case: Case) -> None:
    """No argument is modified, results are fresh and of the argument's dtype and shape, `out` is filled."""
    t = draw_norms(case, "t")
    for name, call in _calls(rho):
        conduct.untouched(call, t, name)
        conduct.read_only(call, t, name)
        conduct.keeps_dtype(call, t.clip(1e-3, 5.0), name)
        conduct.keeps_dtype(call, t.clip(1e-3, 5.0)[:1].reshape(()), name)
    conduct.fills_out(lambda a, out=None: rho.prox(a, 0.7, out=out), t, "prox")


def libraries_agree(rho: Any, case: Case) -> None:
    """NumPy, torch and strict array API arrays give the same."""
    t = np.minimum(draw_norms(case, "t"), 50.0)
    t = np.where(t < 1e-30, 0.0, t)
    for name, call in _calls(rho):
        conduct.agrees(call, t, name, share=10.0)


def _bounded(rho: Any) -> str:
    missing = has("slope", "weak_convexity")(rho)
    return missing or ("" if np.isfinite(rho.weak_convexity) else "weak_convexity is inf")


PROPERTIES = [
    Property("the value is 0 at 0 and never decreases", starts_at_zero),
    Property("the value is the integral of the slope", value_is_integral, has("slope"), costs=2),
    Property("the prox minimises its objective", prox_beats_a_grid),
    Property("the prox is stationary", prox_is_stationary, has("slope")),
    Property("jumps of the prox have equal objectives on both sides", jumps_are_ties, costs=4),
    Property("the prox is monotone in v and in the step", prox_is_monotone),
    Property("steps may be arrays", steps_may_be_arrays),
    Property("slope0 is the slope at zero", slope_starts_at_slope0, has("slope", "slope0"), costs=100),
    Property("the slope falls no faster than the weak convexity", curvature_is_bounded, _bounded),
    Property("convex means weak convexity 0", convex_means_zero, has("convex", "weak_convexity"), costs=100),
    Property("inverse is the generalised inverse", inverse_is_generalised, has("inverse")),
    Property("subnormal and huge norms are safe", extremes_are_safe),
    Property("arguments are left alone, dtypes kept, out is filled", arrays_are_left_alone, costs=4),
    Property("array libraries agree", libraries_agree, conduct.no_library, costs=4),
]
"""Properties of scalar penalties."""
