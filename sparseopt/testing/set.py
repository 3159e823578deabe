"""What is true of every set and its Euclidean projection."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import conduct, strategies
from .battery import Case, Property, has
from .inequality import Violation, at_most, close, rounding, same, true
from .rays import jumps

GRID = 33
"""Points of a segment at which projections are taken."""

TRIED = 10
"""Entries that are tried in exchange for others."""


def draw_array(s: Any, case: Case, name: str = "v", *, extreme: bool = False) -> np.ndarray:
    """An array that fits the set: of round numbers, ties or noise, and sometimes next to a tie."""
    from hypothesis import strategies as st

    shape = tuple(s.example_shape(np.random.default_rng(case.draw(strategies.seeds(), f"seed of the shape of {name}"))))
    v = case.draw(strategies.arrays(shape, extreme=extreme), name)
    apart = case.data.draw(st.sampled_from((0.0, 0.0, 1e-9, 1e-3)))
    if apart:
        v = v * (1 + apart * np.random.default_rng(case.data.draw(strategies.seeds())).standard_normal(shape))
        case.inputs[name] = v
    return v


def draw_like(v: np.ndarray, case: Case, name: str) -> np.ndarray:
    """Another array of the shape of v."""
    return case.draw(strategies.arrays(v.shape), name)


def nearer_by(s: Any, found: np.ndarray, other: np.ndarray, v: np.ndarray) -> tuple[float, float, float]:
    """|found - v|^2 - |other - v|^2 in units of `unit`^2, its rounding error, and the unit (a power of two).

    Points of a mask set are exact.  Others are off by some ulp of all that they are computed from.
    """
    sizes = np.abs(v) + np.abs(found) + np.abs(other)
    unit = 2.0 ** np.floor(np.log2(max(sizes.max(), 1e-300)))
    a, b, c = found / unit, other / unit, v / unit
    move, middle = b - a, (a - c) + (b - c)
    slack = rounding(v.size, np.abs(move) * (np.abs(a - c) + np.abs(b - c) + 1e-15 * np.abs(c)))
    slack += v.size * float(getattr(s, "energy_error", 0.0)) * float(np.abs(c).max()) ** 2
    if not getattr(s, "keeps_entries", False):
        slack += rounding(v.size, sizes / unit) * float(np.abs(a - c).sum() + np.abs(b - c).sum())
    return -float(np.sum(move * middle)), slack, float(unit)


def is_in_the_set(s: Any, case: Case) -> None:
    """contains(project(v)), also after extremes."""
    v = draw_array(s, case, extreme=True)
    found = s.project(v)
    case.inputs["projection"] = found
    at_most(~np.isfinite(found), 0.0, 0.0, "entries of the projection that are not finite")
    true(s.contains(found), "contains(project(v))")


def is_idempotent(s: Any, case: Case) -> None:
    """project(project(v)) = project(v): bitwise where entries are kept, else to rounding."""
    found = s.project(draw_array(s, case))
    again = s.project(found)
    slack = 0.0 if getattr(s, "keeps_entries", False) else rounding(found.size, found)
    close(again, found, slack, "project(project(v)) and project(v)")


def _members(s: Any, v: np.ndarray, drawn: np.ndarray) -> list[np.ndarray]:
    """Points of the set: projections of others; of a mask set v restricted to their masks."""
    with np.errstate(over="ignore", invalid="ignore"):
        sharp = np.sign(v) * (np.abs(v) / max(np.abs(v).max(), 1e-300)) ** 2
        flat = np.sign(v) * (np.abs(v) / max(np.abs(v).max(), 1e-300)) ** 0.5
    others = [
        drawn,
        -drawn,
        sharp,
        flat,
        sharp * np.abs(sharp),
        v + drawn,
        np.where(drawn > 0, v, 0.0),
        np.zeros_like(v),
    ]
    if getattr(s, "keeps_entries", False):
        return [np.where(np.asarray(s.support(u)), v, 0.0) for u in others]
    return [s.project(u) for u in others]


def is_nearest(s: Any, case: Case) -> None:
    """No point of the set found by projecting something else is nearer to v."""
    v = draw_array(s, case)
    found = s.project(v)
    for other in _members(s, v, draw_like(v, case, "other")):
        gain, slack, unit = nearer_by(s, found, other, v)
        if not gain <= slack:
            case.inputs |= {"projection": found, "nearer": other}
        at_most(gain, 0.0, slack, f"(|projection - v|^2 - |another point of the set - v|^2) / {unit:g}^2")


def is_nearest_locally(s: Any, case: Case) -> None:
    """Nothing next to the projection and nearer to v is in the set: no step towards v, no exchange of entries."""
    v = draw_array(s, case)
    found = s.project(v)
    missing = v - found
    if np.linalg.norm(missing) > 1e-3 * (1 + np.linalg.norm(found)):
        for t in (1e-3, 0.1, 1.0):
            _refuse_member(s, case, found, found + t * missing, "a step from the projection towards v")
    if not getattr(s, "keeps_entries", False):
        return
    dropped, kept = np.flatnonzero((found == 0) & (v != 0)), np.flatnonzero(found)
    rng = np.random.default_rng(0)
    for i in rng.permutation(dropped)[:TRIED]:
        more = found.copy()
        more.flat[i] = v.flat[i]
        _refuse_member(s, case, found, more, "the projection with one more entry of v")
        for j in rng.permutation(kept)[:TRIED]:
            if abs(v.flat[i]) > abs(v.flat[j]):
                swapped = more.copy()
                swapped.flat[j] = 0.0
                _refuse_member(
                    s, case, found, swapped, "the projection with a larger entry of v in exchange for a smaller"
                )


def _refuse_member(s: Any, case: Case, found: np.ndarray, other: np.ndarray, meaning: str) -> None:
    if s.contains(other):
        v = case.inputs["v"]
        case.inputs |= {"projection": found, "nearer": other}
        distances = [float(np.linalg.norm(x - v)) for x in (found, other)]
        raise Violation(f"|projection - v| <= |{meaning} - v|: {distances[0]:.17g} <= {distances[1]:.17g} is violated")


def jumps_are_ties(s: Any, case: Case) -> None:
    """Along a segment, wherever the projection jumps, both sides are equally near."""
    a = draw_array(s, case, "v")
    b = (1 + np.abs(a).max()) * np.random.default_rng(case.draw(strategies.seeds(), "seed of the end")).standard_normal(
        a.shape
    )
    positions = np.linspace(0.0, 1.0, GRID)

    def at(t: float) -> np.ndarray:
        return np.asarray(s.project(a + t * (b - a)))

    for jump in jumps(at, positions, np.stack([at(t) for t in positions])):
        v = a + jump.low * (b - a)
        case.inputs |= {"position": jump.low, "projection below": jump.below, "projection above": jump.above}
        gain, slack, unit = nearer_by(s, jump.below, jump.above, v)
        moved = (np.abs(jump.above) + np.abs(jump.below)) / unit
        shift = (jump.high - jump.low) * np.abs(b - a) / unit + np.finfo(float).eps * np.abs(v) / unit
        slack += 8 * float(np.sum(moved * shift))
        close(gain, 0.0, slack, f"(|below - v|^2 - |above - v|^2) / {unit:g}^2 at a jump of the projection")


def distance_is_right(s: Any, case: Case) -> None:
    """distance(v) = |v - project(v)|, and it moves by at most |u - v|."""
    v = draw_array(s, case)
    u = draw_like(v, case, "u")
    found = s.project(v)
    distance, away = float(s.distance(v)), float(np.linalg.norm(v - found))
    slack = rounding(v.size, np.linalg.norm(v), np.linalg.norm(found)) + 1e-150
    close(distance, away, slack, "distance(v) and |v - project(v)|")
    moved = abs(distance - float(s.distance(u)))
    slack += rounding(v.size, np.linalg.norm(u))
    at_most(moved, float(np.linalg.norm(u - v)), slack + 1e-150, "|distance(v) - distance(u)| and |v - u|")


def contains_its_points(s: Any, case: Case) -> None:
    """contains(v) exactly where the distance is 0, to rounding for sets that do not keep entries."""
    v = draw_array(s, case)
    distance, inside = float(s.distance(v)), bool(s.contains(v))
    case.inputs["distance"] = distance
    exact = getattr(s, "keeps_entries", False)
    true(
        not inside or distance <= (0.0 if exact else rounding(v.size, 1.0, v)),
        "the distance of a v with contains(v) is 0",
    )
    true(inside or distance > 0, "the distance of a v without contains(v) is positive")


def keeps_its_entries(s: Any, case: Case) -> None:
    """project(v) = where(support(v), v, 0), bitwise, also for extremes; the mask does not see signs."""
    v = draw_array(s, case, extreme=True)
    mask = np.asarray(s.support(v))
    case.inputs["support"] = mask
    same(mask.shape, v.shape, "shape of support(v) and of v")
    same(np.asarray(s.project(v)), np.where(mask, v, 0.0), "project(v) and where(support(v), v, 0)")
    same(np.asarray(s.support(np.abs(v))), mask, "support(|v|) and support(v)")


def is_a_cone(s: Any, case: Case) -> None:
    """project(c v) = c project(v) for powers of two and signs, bitwise."""
    from hypothesis import strategies as st

    v = draw_array(s, case)
    v = np.where(np.abs(v) < 1e-100, 0.0, v)
    c = case.draw(st.sampled_from((2.0, 0.25, -1.0, 2.0**40, -(2.0**-40))), "c")
    same(np.asarray(s.project(c * v)), c * np.asarray(s.project(v)), "project(c v) and c project(v)")


def ties_are_decided(s: Any, case: Case) -> None:
    """Ties are broken in the same way each time: repeated projections are bitwise equal."""
    from hypothesis import strategies as st

    v = draw_array(s, case)
    v = (
        case.draw(st.sampled_from((1.0, -1.0)), "sign of the tie") * np.sign(v) ** 2
        if case.data.draw(st.booleans())
        else v
    )
    case.inputs["v"] = v
    first = np.asarray(s.project(v))
    for _ in range(8):
        same(np.asarray(s.project(v.copy())), first, "one projection of v and another")


def _ranks(s: Any, v: np.ndarray) -> np.ndarray:
    """Order of the entries of v [n] in which ties are decided: that of their groups, where the set has groups."""
    order = np.arange(v.size)
    groups = getattr(s, "groups", None)
    return order if groups is None else order + v.size * np.repeat(groups.labels, v.size // groups.n_features)


def ties_go_to_the_lowest(s: Any, case: Case) -> None:
    """Of equal entries that could be exchanged the one with the lower index (of its group, then its own) is kept."""
    v = np.ones_like(draw_array(s, case))
    case.inputs["v"] = v
    mask = np.asarray(s.support(v))
    rank = _ranks(s, v)
    for j in np.flatnonzero(mask)[-TRIED:]:
        for i in np.flatnonzero(~mask.ravel() & (rank < rank[j]))[:TRIED]:
            other = np.where(mask, v, 0.0)
            other.flat[j], other.flat[i] = 0.0, 1.0
            case.inputs["exchange"] = (int(i), int(j))
            true(not s.contains(other), f"entry {i} is kept before its equal, entry {j}, though either could be")


def is_firmly_nonexpansive(s: Any, case: Case) -> None:
    """|project(u) - project(v)|^2 <= <project(u) - project(v), u - v>, for convex sets."""
    v = draw_array(s, case)
    u = draw_like(v, case, "u")
    a, b = s.project(u), s.project(v)
    moved = float(np.sum((a - b) ** 2))
    slack = rounding(v.size, (np.abs(a) + np.abs(b) + 1) * (np.abs(u) + np.abs(v) + 1))
    meaning = "|project(u) - project(v)|^2 and <project(u) - project(v), u - v>"
    at_most(moved, float(np.sum((a - b) * (u - v))), slack, meaning)


def residual_is_normal(s: Any, case: Case) -> None:
    """v - project(v) is normal to a convex set: its support function is reached at the projection."""
    v = draw_array(s, case)
    found = s.project(v)
    normal = v - found
    case.inputs["projection"] = found
    value, reached = float(s.support_function(normal)), float(np.sum(normal * found))
    slack = rounding(v.size, (np.abs(normal) + 1) * (np.abs(found) + np.abs(v) + 1), value)
    close(value, reached, slack, "support_function(v - project(v)) and <v - project(v), project(v)>")


def support_function_is_a_maximum(s: Any, case: Case) -> None:
    """<w, y> <= support_function(y) for every w in the set."""
    v = draw_array(s, case)
    y = draw_like(v, case, "y")
    w, value = s.project(v), float(s.support_function(y))
    slack = rounding(v.size, (np.abs(w) + 1) * np.abs(y), value)
    at_most(float(np.sum(w * y)), value, slack, "<project(v), y> and support_function(y)")


def arrays_are_left_alone(s: Any, case: Case) -> None:
    """No argument is modified, results are fresh, `out` is filled, float32 stays float32."""
    v = draw_array(s, case)
    for name in ("project", "distance", "contains", "support"):
        if hasattr(s, name):
            conduct.untouched(getattr(s, name), v, name)
            conduct.read_only(getattr(s, name), v, name)
    conduct.fills_out(lambda a, out=None: s.project(a, out=out), v, "project")
    conduct.keeps_dtype(s.project, np.where(np.abs(v) < 1e-30, 0.0, v), "project")


def libraries_agree(s: Any, case: Case) -> None:
    """NumPy, torch and strict array API arrays have the same projection."""
    v = draw_array(s, case)
    conduct.agrees(s.project, v, "project", share=2.0)


def bad_numbers_are_refused(s: Any, case: Case) -> None:
    """NaN and infinite entries raise a ValueError."""
    from hypothesis import strategies as st

    v = np.array(draw_array(s, case))
    v.flat[case.data.draw(strategies.seeds()) % v.size] = case.data.draw(st.sampled_from((np.nan, np.inf, -np.inf)))
    case.inputs["v"] = v
    try:
        found = s.project(v)
    except ValueError:
        return
    raise Violation(f"a ValueError for NaN and infinite entries: violated, project(v) is {np.asarray(found).tolist()}")


def _masks(*names: str) -> Any:
    def reason(s: Any) -> str:
        return has(*names)(s) or ("" if getattr(s, "keeps_entries", False) else "it is no mask set (keeps_entries)")

    return reason


def _convex(*names: str) -> Any:
    def reason(s: Any) -> str:
        return has("convex", *names)(s) or ("" if s.convex else "the set is not convex")

    return reason


def _lowest(s: Any) -> str:
    reason = _masks("support", "contains")(s)
    return reason or ("ties go to the first pattern, not to the lowest entry" if hasattr(s, "patterns") else "")


PROPERTIES = [
    Property("the projection is in the set", is_in_the_set, has("contains")),
    Property("projecting twice changes nothing", is_idempotent),
    Property("the projection is nearest", is_nearest),
    Property("nothing next to the projection is nearer", is_nearest_locally, has("contains"), costs=2),
    Property("jumps of the projection are ties", jumps_are_ties, costs=4),
    Property("the distance is that of the projection", distance_is_right, has("distance")),
    Property("contains exactly what has distance 0", contains_its_points, has("contains", "distance")),
    Property("kept entries are untouched", keeps_its_entries, _masks("support")),
    Property("the projection commutes with scaling", is_a_cone, _masks()),
    Property("ties are always broken in the same way", ties_are_decided),
    Property("ties go to the lowest index", ties_go_to_the_lowest, _lowest, costs=4),
    Property("the projection is firmly nonexpansive", is_firmly_nonexpansive, _convex()),
    Property("the residual is normal to the set", residual_is_normal, _convex("support_function")),
    Property("the support function is a maximum", support_function_is_a_maximum, _convex("support_function")),
    Property("arguments are left alone and out is filled", arrays_are_left_alone, costs=4),
    Property("array libraries agree", libraries_agree, conduct.no_library, costs=4),
    Property("NaN and infinite entries are refused", bad_numbers_are_refused, costs=4),
]
"""Properties of sets."""
