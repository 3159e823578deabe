"""What is true of every prox of a group penalty: it minimises, its jumps are ties, its residuals are subgradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import strategies
from .battery import Case, Property, has
from .inequality import Violation, at_most, close, rounding, same
from .rays import jumps

GRID = 97
"""Points of a ray at which the prox is taken."""


def draw_point(penalty: Any, case: Case, name: str = "v", *, extreme: bool = False) -> np.ndarray:
    """Coefficients [p] of the penalty's groups."""
    return case.draw(strategies.arrays((penalty.groups.n_features,), extreme=extreme), name)


def excess(penalty: Any, found: np.ndarray, other: np.ndarray, v: np.ndarray, step: float) -> tuple[float, float]:
    """Prox objective at `found` less that at `other`, without the common |v|^2 / 2, and its rounding error."""
    move, middle = other - found, (other + found) / 2 - v
    values = float(penalty.value(found)), float(penalty.value(other))
    if not np.isfinite(values[0]):
        raise Violation(f"the penalty at the prox is finite: value(prox) = {values[0]} is not")
    if values[1] == np.inf:
        return -np.inf, 0.0
    slack = rounding(len(v), np.abs(move) * (np.abs(other) / 2 + np.abs(found) / 2 + np.abs(v)), step * values[0])
    slack += rounding(len(v), step * values[1]) + rounding(1, v) ** 2
    return -float(move @ middle) + step * (values[0] - values[1]), slack


def _competitors(penalty: Any, found: np.ndarray, v: np.ndarray, drawn: np.ndarray) -> list[np.ndarray]:
    points = [np.zeros_like(v), v, drawn, found + 1e-3 * drawn, found + 1e-6 * drawn]
    points += [found * factor for factor in (0.5, 0.99, 1 - 1e-4, 1 + 1e-4, 1.01, 1.5)]
    labels = penalty.groups.labels
    for g in range(min(penalty.groups.n_groups, 6)):
        for replacement in (0.0, v, found * (1 + 1e-3)):
            points.append(np.where(labels == g, replacement, found))
    return points


def prox_minimises(penalty: Any, case: Case) -> None:
    """|prox - v|^2 / 2 + step * penalty(prox) is at most that of competitors near and far."""
    v, step = draw_point(penalty, case), case.draw(strategies.steps(), "step")
    drawn = draw_point(penalty, case, "competitor")
    found = penalty.prox(v, step)
    for other in _competitors(penalty, found, v, drawn):
        gain, slack = excess(penalty, found, other, v, step)
        if not gain <= slack:
            case.inputs["prox"], case.inputs["better"] = found, other
        at_most(gain, 0.0, slack, "prox objective at the prox less that at a competitor")


def prox_is_stationary(penalty: Any, case: Case) -> None:
    """(v - prox) / step is a subgradient at the prox, by the penalty's own violation."""
    v, step = draw_point(penalty, case), case.draw(strategies.steps(), "step")
    found = penalty.prox(v, step)
    case.inputs["prox"] = found
    violation = np.asarray(penalty.violation(found, (found - v) / step))
    sizes = np.asarray(penalty.groups.norms(np.abs(v) + np.abs(found)))
    slack = np.array([rounding(len(v), s / step) for s in sizes])
    at_most(violation, 0.0, slack, "violation(prox, (prox - v) / step) of each group")


def ray(penalty: Any, case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """A direction u [p], positions s [GRID], the prox at each s u [GRID, p], and the step."""
    u, step = draw_point(penalty, case, "direction"), case.draw(strategies.steps(), "step")
    from hypothesis import strategies as st

    reach = case.draw(st.sampled_from((1.0, 5.0, 40.0)), "reach") * (1 + step)
    largest = np.abs(u).max()
    u = u / largest if largest > 1e-100 else np.eye(len(u))[0]
    s = np.linspace(0.0, reach, GRID)
    return u, s, np.stack([penalty.prox(a * u, step) for a in s]), step


def jumps_are_ties(penalty: Any, case: Case) -> None:
    """Along a ray, wherever the prox jumps, both sides have the same objective."""
    u, s, found, step = ray(penalty, case)
    for jump in jumps(lambda a: penalty.prox(a * u, step), s, found):
        case.inputs |= {"position": jump.low, "prox below": jump.below, "prox above": jump.above}
        gain, slack = excess(penalty, jump.below, jump.above, jump.low * u, step)
        slack += (jump.high - jump.low) * float(np.abs(jump.above - jump.below) @ np.abs(u))
        close(gain, 0.0, slack, "objective below the jump of the prox less that above it")


def value_is_integral(penalty: Any, case: Case) -> None:
    """Along a ray the residuals v - prox, subgradients times step, add up to the value of the penalty.

    Between two positions a and b, step (value(prox_b) - value(prox_a)) lies between <prox_b - prox_a, a - m> and
    <prox_b - prox_a, b - m>, m the midpoint of the two, since each prox is no worse than the other in its own problem.
    """
    u, s, found, step = ray(penalty, case)
    moves, middles = np.diff(found, axis=0), (found[1:] + found[:-1]) / 2
    lower = (moves * (s[:-1, None] * u - middles)).sum()
    upper = (moves * (s[1:, None] * u - middles)).sum()
    reached = step * float(penalty.value(found[-1]))
    slack = rounding(GRID + u.size, np.abs(moves) * (s[1:, None] * np.abs(u) + np.abs(middles)), reached)
    case.inputs["prox at the end"] = found[-1]
    at_most(reached, upper, slack, "step * value at the end of a ray, and the upper sum of the slopes")
    at_most(lower, reached, slack, "the lower sum of the slopes, and step * value at the end of a ray")


def prox_is_monotone(penalty: Any, case: Case) -> None:
    """<prox(u) - prox(v), u - v> >= 0, for every function; >= |prox(u) - prox(v)|^2 for convex ones."""
    u, v, step = (
        draw_point(penalty, case, "u"),
        draw_point(penalty, case, "v"),
        case.draw(strategies.steps(), "step"),
    )
    a, b = penalty.prox(u, step), penalty.prox(v, step)
    inner = float((a - b) @ (u - v))
    needed = float((a - b) @ (a - b)) if getattr(penalty, "convex", False) else 0.0
    slack = rounding(len(v), (np.abs(a) + np.abs(b)) * (np.abs(u) + np.abs(v)), needed)
    meaning = "|prox(u) - prox(v)|^2" if needed else "0"
    at_most(needed, inner, slack, f"{meaning} and <prox(u) - prox(v), u - v>")


def prox_is_lipschitz(penalty: Any, case: Case) -> None:
    """|prox(u) - prox(v)| <= |u - v| / (1 - step kappa) where step * weak_convexity < 1."""
    from hypothesis import strategies as st

    kappa = float(penalty.weak_convexity)
    share = case.draw(st.sampled_from((0.1, 0.5, 0.9)), "step * weak_convexity")
    step = share / kappa if kappa > 0 else case.draw(strategies.steps(), "step")
    factor = 1 / (1 - share) if kappa > 0 else 1.0
    u = draw_point(penalty, case, "u")
    v = u + case.draw(st.sampled_from((1e-6, 1e-3, 1.0)), "distance") * draw_point(penalty, case, "difference")
    moved = float(np.linalg.norm(penalty.prox(u, step) - penalty.prox(v, step)))
    bound = float(np.linalg.norm(u - v)) * factor
    at_most(moved, bound, rounding(len(u), u, v) * factor, "|prox(u) - prox(v)| and |u - v| / (1 - step kappa)")


def zero_stays_zero(penalty: Any, case: Case) -> None:
    """prox(0) = 0, a zero group stays exactly zero, and step 0 changes nothing that the penalty allows."""
    v, step = draw_point(penalty, case), case.draw(strategies.steps(), "step")
    same(np.asarray(penalty.prox(np.zeros_like(v), step)), np.zeros_like(v), "prox(0) = 0")
    empty = penalty.groups.labels == case.draw(strategies.seeds(), "seed") % penalty.groups.n_groups
    found = penalty.prox(np.where(empty, 0.0, v), step)
    same(np.asarray(found)[empty], np.zeros(int(empty.sum())), "the prox of a group that is zero")


def extremes_are_safe(penalty: Any, case: Case) -> None:
    """Subnormal and huge coefficients give a finite prox, no group of which is longer than it was."""
    v, step = draw_point(penalty, case, extreme=True), case.draw(strategies.steps(), "step")
    found = np.asarray(penalty.prox(v, step))
    case.inputs["prox"] = found
    at_most(~np.isfinite(found), 0.0, 0.0, "entries of the prox that are not finite")
    at_most(np.abs(found), np.abs(v), rounding(1, np.abs(v).max()), "|prox| and |v| entry by entry")


def weakly_convex(penalty: Any) -> str:
    """Why Lipschitz continuity of the prox is not claimed, or ""."""
    missing = has("prox", "weak_convexity")(penalty)
    if missing:
        return missing
    return "" if np.isfinite(penalty.weak_convexity) else "weak_convexity is inf"


PROX = has("prox", "value")

PROPERTIES = [
    Property("the prox minimises its objective", prox_minimises, PROX),
    Property("the prox is stationary for the violation", prox_is_stationary, has("prox", "violation")),
    Property("jumps of the prox have equal objectives on both sides", jumps_are_ties, PROX, costs=8),
    Property("the value is the integral of the slopes", value_is_integral, PROX, costs=8),
    Property("the prox is monotone, firmly nonexpansive where convex", prox_is_monotone, has("prox")),
    Property("the prox is Lipschitz by the weak convexity", prox_is_lipschitz, weakly_convex),
    Property("zero groups stay zero", zero_stays_zero, has("prox")),
    Property("subnormal and huge coefficients are safe", extremes_are_safe, has("prox")),
]
"""Properties of a prox, for objects with `value`, `prox`, `violation` and `groups`."""
