"""What is true of every group penalty: value, convexity, violation, dual quantities, conduct."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import conduct, prox, strategies
from .battery import Case, Property, has
from .inequality import at_most, close, rounding, same, true
from .prox import draw_point


def value_at_zero(penalty: Any, case: Case) -> None:
    """value(0) = 0 and value(w) >= 0."""
    w = draw_point(penalty, case, "w")
    same(float(penalty.value(np.zeros_like(w))), 0.0, "value(0) = 0")
    at_most(0.0, float(penalty.value(w)), 0.0, "0 and value(w)")


def convex_as_declared(penalty: Any, case: Case) -> None:
    """value + weak_convexity / 2 |w|^2 is convex: at the middle of two points at most the mean of its values."""
    from hypothesis import strategies as st

    kappa = 0.0 if penalty.convex else float(penalty.weak_convexity)
    scale = case.draw(st.sampled_from((1.0, 0.1, 1e-3)), "scale")
    u = scale * draw_point(penalty, case, "u / scale")
    factor = case.draw(st.sampled_from((None, 0.5, 1.1, 2.0, -1.0)), "v / u")
    v = scale * draw_point(penalty, case, "v / scale") if factor is None else factor * u
    ends, middle = (float(penalty.value(u)), float(penalty.value(v))), float(penalty.value((u + v) / 2))
    gain = kappa / 8 * float((u - v) @ (u - v))  # |u|^2 / 4 + |v|^2 / 4 - |(u + v) / 2|^2 / 2, times kappa
    slack = rounding(len(u), np.minimum(ends, 1e300), gain)
    at_most(
        middle, sum(ends) / 2 + gain, slack, "value((u + v) / 2) and (value(u) + value(v)) / 2 + kappa |u - v|^2 / 8"
    )


def traits_agree(penalty: Any, case: Case) -> None:
    """convex means weak_convexity = 0, and else it is positive."""
    true(bool(penalty.convex) == (float(penalty.weak_convexity) == 0), "convex exactly where weak_convexity is 0")


def slope_at_zero(penalty: Any, case: Case) -> None:
    """value(h e_j) / h is slope0 of the group of j for tiny h."""
    j = case.draw(strategies.seeds(), "seed") % penalty.groups.n_features
    slope = float(np.broadcast_to(np.asarray(penalty.slope0), (penalty.groups.n_groups,))[penalty.groups.labels[j]])
    h = 1e-150
    quotient = float(penalty.value(h * np.eye(1, penalty.groups.n_features, j)[0])) / h
    case.inputs |= {"coordinate": j, "h": h}
    if slope == np.inf:
        at_most(1e10, quotient, 0.0, "1e10 and value(h e_j) / h, where slope0 is inf")
    else:
        close(quotient, slope, rounding(1, slope) + 1e-12 * max(1.0, slope), "value(h e_j) / h and slope0")


def violation_is_lipschitz(penalty: Any, case: Case) -> None:
    """violation is a distance: >= 0, and moves by at most |a - b| of a group between the gradients a and b."""
    w = draw_point(penalty, case, "w")
    a, b = draw_point(penalty, case, "a"), draw_point(penalty, case, "b")
    first, second = np.asarray(penalty.violation(w, a)), np.asarray(penalty.violation(w, b))
    at_most(0.0, first, 0.0, "0 and violation")
    finite = np.isfinite(first) & np.isfinite(second)
    distances = np.asarray(penalty.groups.norms(a - b))
    slack = rounding(len(w), a, b, first[finite], second[finite])
    at_most(
        np.abs(first[finite] - second[finite]),
        distances[finite],
        slack,
        "|violation(w, a) - violation(w, b)| and |a - b|",
    )


def violation_bounds_the_residual(penalty: Any, case: Case) -> None:
    """|w - prox(w - step a)| / step <= |violation(w, a)|, for convex penalties; of each group for sums over groups.

    Sums over groups are the penalties that can be restricted to some (`restrict`).
    """
    from hypothesis import strategies as st

    w, a = draw_point(penalty, case, "w"), draw_point(penalty, case, "gradient")
    if case.data.draw(st.booleans()):
        case.inputs["w"] = w = np.zeros_like(w)
    step = case.draw(strategies.steps(), "step")
    residual = np.asarray(penalty.groups.norms((w - penalty.prox(w - step * a, step)) / step))
    distance = np.asarray(penalty.violation(w, a))
    slack = rounding(len(w), a, w / step)
    if hasattr(penalty, "restrict"):
        at_most(residual, distance, slack, "|w - prox(w - step a)| / step and violation(w, a)")
    else:
        total = float(np.linalg.norm(np.minimum(distance, 1e150)))
        at_most(float(np.linalg.norm(residual)), total, slack, "|w - prox(w - step a)| / step and |violation(w, a)|")


def critical_lam_is_critical(penalty: Any, case: Case) -> None:
    """0 is stationary for the gradient -c just above lam = critical_lam(c), and not just below."""
    c = draw_point(penalty, case, "c")
    critical = float(penalty.critical_lam(c))
    case.inputs["critical_lam"] = critical
    if not 1e-100 < critical < 1e100:
        true(critical >= 0, "critical_lam(c) >= 0")
        return
    at = {
        s: float(np.max(penalty.with_lam(critical * s).violation(np.zeros_like(c), -c))) for s in (1 + 1e-9, 1 - 1e-6)
    }
    at_most(at[1 + 1e-9], 0.0, rounding(len(c), c), "violation(0, -c) at lam just above critical_lam(c)")
    at_most(
        1e-8 * critical * _smallest_weight(penalty), at[1 - 1e-6], 0.0, "0 < violation(0, -c) just below critical_lam"
    )


def _smallest_weight(penalty: Any) -> float:
    slopes = np.asarray(penalty.slope0, dtype=float) / penalty.lam
    usable = slopes[(slopes > 0) & np.isfinite(slopes)]
    return float(usable.min(initial=1.0))


def dual_limit_is_reached(penalty: Any, case: Case) -> None:
    """<c, w> <= value(w) for dual feasible c, those scaled by dual_limit, and not for larger ones."""
    c, w = draw_point(penalty, case, "c"), draw_point(penalty, case, "w")
    alpha = float(penalty.dual_limit(c))
    true(alpha >= 0, "dual_limit(c) >= 0")
    if not np.isfinite(alpha):
        return
    value = float(penalty.value(w))
    slack = rounding(len(c), min(value, 1e300), alpha * np.abs(c) * np.abs(w))
    at_most(alpha * float(c @ w), value, slack, "<alpha c, w> at alpha = dual_limit(c), and value(w)")
    if hasattr(penalty, "violation") and hasattr(penalty, "slope0") and 1e-100 < alpha < 1e100:
        beyond = np.max(penalty.violation(np.zeros_like(c), -1.001 * alpha * c))
        smallest = 1e-6 * penalty.lam * _smallest_weight(penalty)
        at_most(smallest, float(beyond), 0.0, "0 < violation(0, -1.001 dual_limit(c) c)")


def fenchel_young(penalty: Any, case: Case) -> None:
    """<c, w> <= value(w) + conjugate(c), with equality where c is a subgradient at w."""
    v, w = draw_point(penalty, case, "v"), draw_point(penalty, case, "w")
    step = case.draw(strategies.steps(), "step")
    found = penalty.prox(v, step)
    c = (v - found) / step
    case.inputs["c"] = c
    conjugate = float(penalty.conjugate(c))
    for point, meaning in ((w, "<c, w> and value(w) + conjugate(c)"), (found, "the same at the prox")):
        value = float(penalty.value(point))
        slack = rounding(
            len(v), np.abs(c) * np.abs(point), np.abs(v) / step * np.abs(point), min(value, 1e300), conjugate
        )
        slack += rounding(len(v), (np.abs(v) / step) ** 2)
        at_most(float(c @ point), value + conjugate, slack, meaning)
    value = float(penalty.value(found))
    close(float(c @ found), value + conjugate, slack, "<c, prox> and value(prox) + conjugate(c)")


def arrays_are_left_alone(penalty: Any, case: Case) -> None:
    """No argument is modified, results are fresh, `out` is filled."""
    v = draw_point(penalty, case)
    for name, call in _calls(penalty):
        conduct.untouched(call, v, name)
        conduct.read_only(call, v, name)
    if hasattr(penalty, "prox"):
        conduct.fills_out(lambda a, out=None: penalty.prox(a, 0.7, out=out), v, "prox")


def dtypes_are_kept(penalty: Any, case: Case) -> None:
    """float32 in, float32 out, close to the float64 result."""
    v = draw_point(penalty, case)
    v = np.where(np.abs(v) < 1e-30, 0.0, v)
    conduct.keeps_dtype(lambda a: penalty.prox(a, 0.7), v, "prox")
    narrow = v.astype(np.float32)
    found, exact = penalty.prox(narrow, 0.7), penalty.prox(narrow.astype(np.float64), 0.7)
    eps = float(np.finfo(np.float32).eps)
    at_a_jump = np.abs(found - exact).max() > 1e-3 * np.abs(v).max()
    if at_a_jump:  # both may be minimisers: compare what they reach
        gain, _ = prox.excess(penalty, found.astype(np.float64), exact, narrow.astype(np.float64), 0.7)
        value = float(penalty.value(exact))
        at_most(gain, 0.0, rounding(len(v), narrow.astype(np.float64) ** 2, value, eps=eps), "objective in float32")
        return
    close(found, exact, rounding(len(v), v, eps=eps) * _steepness(penalty, 0.7), "prox in float32 and in float64")


def _steepness(penalty: Any, step: float) -> float:
    kappa = step * float(getattr(penalty, "weak_convexity", 0.0))
    return 1 / (1 - kappa) if kappa < 0.99 else 100.0


def libraries_agree(penalty: Any, case: Case) -> None:
    """NumPy, torch and strict array API arrays give the same values, prox and violation."""
    v = draw_point(penalty, case)
    v = np.where(np.abs(v) < 1e-100, 0.0, v)  # norms of other libraries may underflow
    slopes = np.asarray(getattr(penalty, "slope0", 1.0))
    steepest = float(np.max(slopes, where=np.isfinite(slopes), initial=1.0))
    for name, call in _calls(penalty):
        conduct.agrees(call, v, name, share=1 + steepest)


def _calls(penalty: Any) -> list[tuple[str, Any]]:
    calls: list[tuple[str, Any]] = [("value", penalty.value)]
    if hasattr(penalty, "prox"):
        calls.append(("prox", lambda a: penalty.prox(a, 0.7)))
    if hasattr(penalty, "violation"):
        calls.append(("violation", lambda a: penalty.violation(a, a)))
    return calls


def several_outputs(penalty: Any, case: Case) -> None:
    """One output is w [p, 1] as well as w [p], and a zero output beside it changes nothing."""
    v = draw_point(penalty, case)
    wide = np.stack([v, np.zeros_like(v)], axis=1)
    slack = rounding(len(v), v)
    for shaped in (v[:, None], wide):
        value, expected = float(penalty.value(shaped)), float(penalty.value(v))
        close(value, expected, rounding(len(v), min(expected, 1e300)), "value of w [p, T] and of w [p]")
        if hasattr(penalty, "prox"):
            close(penalty.prox(shaped, 0.7)[:, 0], penalty.prox(v, 0.7), slack, "prox of v [p, T] and of v [p]")


def _convex_with(*names: str) -> Any:
    missing = has("convex", *names)

    def reason(penalty: Any) -> str:
        return missing(penalty) or ("" if penalty.convex else "the penalty is not convex")

    return reason


def _steep_at_zero(penalty: Any) -> str:
    reason = _convex_with("critical_lam", "with_lam", "violation", "slope0")(penalty)
    return reason or (
        "" if np.any(np.asarray(penalty.slope0) > 0) else "slope0 is 0, so that 0 is stationary for no lam"
    )


def _convexity_claimed(penalty: Any) -> str:
    missing = has("convex", "weak_convexity")(penalty)
    if missing or penalty.convex:
        return missing
    return "" if np.isfinite(penalty.weak_convexity) else "weak_convexity is inf"


PROPERTIES = [
    Property("the value is 0 at 0 and never negative", value_at_zero),
    *prox.PROPERTIES,
    Property("convexity is as declared", convex_as_declared, _convexity_claimed),
    Property("convex means weak convexity 0", traits_agree, has("convex", "weak_convexity"), costs=100),
    Property("slope0 is the slope at zero", slope_at_zero, has("slope0")),
    Property("the violation is a distance", violation_is_lipschitz, has("violation")),
    Property(
        "the violation bounds the prox residual", violation_bounds_the_residual, _convex_with("prox", "violation")
    ),
    Property(
        "critical_lam is where 0 becomes stationary",
        critical_lam_is_critical,
        _steep_at_zero,
    ),
    Property("dual_limit is dual feasible", dual_limit_is_reached, _convex_with("dual_limit")),
    Property("value and conjugate are Fenchel dual", fenchel_young, _convex_with("conjugate", "prox")),
    Property("arguments are left alone and out is filled", arrays_are_left_alone, costs=4),
    Property("the dtype is kept", dtypes_are_kept, has("prox"), costs=2),
    Property("array libraries agree", libraries_agree, conduct.no_library, costs=4),
    Property("several outputs are one block", several_outputs, costs=2),
]
"""Properties of group penalties."""
