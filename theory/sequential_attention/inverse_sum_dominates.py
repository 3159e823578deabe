"""Lemmas 2.4 and 2.5: the inverse-sum regulariser is at least the group LASSO, and equal to it on one group."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

import sparseopt as so

from ..enclosure import Interval
from ..instances import EPS, random_groups
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .scalar_functions import (
    SLACK,
    Capped,
    ExactExpMask,
    ExactRatio,
    ExactRoot,
    FormalRatio,
    Jump,
    ShiftedRoot,
    Staircase,
    StaircaseWithoutHoles,
    Tanh,
    increase_margin,
    is_exact,
    subadditivity_margin,
    zero_margin,
)

PROBE = 2.0**-30
"""Relative distance at which the defining property of the generalised inverse is probed."""


@dataclass(frozen=True)
class GroupNorms:
    """A function q and group norms.

    norms: Fractions for an exact q, else floats [G].  groups, w: coefficients [p] that have these norms, for floats.
    """

    q: Any
    norms: tuple[Any, ...]
    groups: so.Groups | None = None
    w: np.ndarray | None = None


def exact_regulariser(q: Any, norms: tuple[Fraction, ...]) -> Interval:
    """q^-(sum_g q(norms[g])), enclosed."""
    total = Interval.point(0)
    for norm in norms:
        total = total + q.value(norm)
    return total.map(q.inverse)


def draw(rng: np.random.Generator) -> GroupNorms:
    """1 to 8 groups with norms from 1e-3 to 4; one instance in four has at most one active group."""
    groups = random_groups(rng, int(rng.integers(1, 9)), 4)
    norms = 4 * 10 ** rng.uniform(-3.6, 0, groups.n_groups)
    if rng.random() < 0.25:
        norms *= np.arange(groups.n_groups) == rng.integers(groups.n_groups + 1)
    direction = rng.standard_normal(groups.n_features)
    w = groups.scale(direction, norms / groups.norms(direction))
    power, eps = float(rng.uniform(0.1, 0.95)), float(10 ** rng.uniform(-1, 1))
    penalties = so.penalties
    choices = (penalties.Power(power), penalties.Log(eps), penalties.Ratio(), Tanh(), Jump(), Staircase())
    q = choices[rng.integers(len(choices))]
    return GroupNorms(q, tuple(float(v) for v in groups.norms(w)), groups, w)


def conclusion(instance: GroupNorms) -> tuple[Evidence, ...]:
    """sum_g |u_g| <= R(u), and R(u) <= |u_g| where one group g alone is active."""
    return _exact_conclusion(instance) if is_exact(instance.q) else _float_conclusion(instance)


def _exact_conclusion(instance: GroupNorms) -> tuple[Evidence, ...]:
    total, value = sum(instance.norms, Fraction(0)), exact_regulariser(instance.q, instance.norms)
    if math.isnan(value.low):
        return (Evidence("R(u) is defined", Fraction(1), Fraction(0)),)
    evidence = [Evidence("sum |u_g| <= R(u)", total, value.high, value.width)]
    if sum(norm > 0 for norm in instance.norms) <= 1:
        evidence.append(Evidence("R(u) <= |u_g| for one active group", value.low, total, value.width))
    return tuple(evidence)


def _float_conclusion(instance: GroupNorms) -> tuple[Evidence, ...]:
    assert instance.groups is not None
    norms = np.array(instance.norms)
    value = float(so.InverseSum(1.0, instance.groups, instance.q).value(instance.w))
    formula, tolerance = _by_definition(instance.q, norms)
    total = float(norms.sum())
    y = float(np.sum(instance.q.value(norms)))
    defect = inverse_defect(instance.q, formula, y) if formula >= 0 else math.inf
    evidence = [
        Evidence("q^- is the generalised inverse at sum q", defect, 0.0, 64 * EPS * len(norms) * y),
        Evidence("sum |u_g| <= R(u)", total, value, tolerance),
        Evidence("sum |u_g| <= q^-(sum q)", total, formula, tolerance),
    ]
    if (norms > 0).sum() <= 1:
        evidence.append(Evidence("R(u) <= |u_g| for one active group", value, total, tolerance))
        evidence.append(Evidence("q^-(q) <= |u_g| for one active group", formula, total, tolerance))
    return tuple(evidence)


def _by_definition(q: Any, norms: np.ndarray) -> tuple[float, float]:
    """q^-(sum q) and its error: the inverse is increasing, so it is off by at most what a rounded sum moves it."""
    y = float(np.sum(q.value(norms)))
    unit = 64 * EPS * len(norms)
    shifted = np.array([y, y * (1 - unit), y * (1 + unit)])
    value, low, high = (float(v) for v in q.inverse(shifted))
    moved = max((abs(value - end) for end in (low, high) if math.isfinite(value - end)), default=0.0)
    return value, moved + unit * float(norms.sum())


def inverse_margin(instance: GroupNorms) -> float:
    """Room in q(r+) >= y >= q(r-) for r = q^-(y), y = sum q, plus 2^-40; -1 where r is no norm.

    1 for float functions: their inverse is the generalised one by contract, which the conclusion checks.
    """
    if not is_exact(instance.q):
        return 1.0
    y = float(sum((instance.q.value(a).high for a in instance.norms), Fraction(0)))
    r = float(exact_regulariser(instance.q, instance.norms).high)
    return -1.0 if math.isnan(r) or r < 0 else SLACK * (1 + y) - inverse_defect(instance.q, r, y)


def inverse_defect(q: Any, r: float, y: float) -> float:
    """By how much r misses inf{t: q(t) >= y}: the largest of y - q(r+), q(r-) - y, 0; r+ and r- are close to r."""
    if math.isinf(r):
        return max(_value_at(q, 2.0**20) - y, 0.0)
    return max(y - _value_at(q, r * (1 + PROBE)), _value_at(q, r * (1 - PROBE)) - y, 0.0)


def _value_at(q: Any, t: float) -> float:
    return float(q.value(Fraction(t)).high) if is_exact(q) else float(q.value(np.array([t]))[0])


def _fixed_generalised_inverse() -> tuple[Evidence, ...]:
    quarter = np.array([0.25, 0.25])
    two = so.Groups.uniform(2, 1)
    cases = (
        GroupNorms(ExactRatio(), (Fraction(2), Fraction(2))),
        GroupNorms(Staircase(), (0.25, 0.25), two, quarter),
        GroupNorms(so.penalties.Ratio(), (2.0, 2.0), two, 8 * quarter),
    )
    return tuple(e for case in cases for e in conclusion(case))


def exp_mask_defect() -> Interval:
    """q(1/2) + q(1/2) - q(1) for the exp mask, enclosed."""
    q = ExactExpMask()
    half = q.value(Fraction(1, 2))
    return half + half - q.value(Fraction(1))


def _fixed_exp_mask() -> tuple[Evidence, ...]:
    defect = exp_mask_defect()
    shown = so.certify.subadditivity(so.penalties.ExpMask(), 1.0)
    return (
        Evidence("q(1/2) + q(1/2) < q(1)", defect.high, Fraction(0)),
        Evidence("the enclosure is narrower than 1e-25", defect.width, Fraction(1, 10**25)),
        Evidence("certify.subadditivity does not prove it", float(shown.proved), 0.5),
    )


def _fixed_rationals() -> tuple[Evidence, ...]:
    rng = np.random.default_rng(0)
    cases = []
    for q in (ExactRatio(), ExactRoot()):
        for active in (1, 2, 3, 5):
            numerators, denominators = rng.integers(1, 40, active), rng.integers(1, 40, active)
            norms = [Fraction(int(a), int(b)) for a, b in zip(numerators, denominators, strict=True)]
            cases.append(GroupNorms(q, (*norms, Fraction(0))))
    return tuple(e for case in cases for e in conclusion(case))


def curves(seed: int) -> dict[str, Columns]:
    """range_holes: q over t.  inverse: its generalised inverse over y, inf where it is infinite.

    The functions are bounded (ratio, tanh) or jump (jump, staircase).  Nothing is random; `seed` is not used.
    """
    functions = {"ratio": so.penalties.Ratio(), "tanh": Tanh(), "jump": Jump(), "staircase": Staircase()}
    t, y = np.linspace(0, 3, 301), np.linspace(0, 5, 501)
    return {
        "range_holes": {"t": t} | {name: q.value(t) for name, q in functions.items()},
        "inverse": {"y": y} | {name: q.inverse(y) for name, q in functions.items()},
    }


HYPOTHESES = (
    Hypothesis("strictly increasing", "q is strictly increasing", lambda i: increase_margin(i.q)),
    Hypothesis("zero at zero", "q(0) = 0", lambda i: zero_margin(i.q)),
    Hypothesis(
        "subadditive",
        "q(a + b) <= q(a) + q(b), shown by formula or by branch and bound",
        lambda i: subadditivity_margin(i.q, 2 * float(sum(i.norms))),
    ),
    Hypothesis("inverse", "q^-(y) = inf{t: q(t) >= y}, +inf where q stays below y", inverse_margin),
)

COUNTEREXAMPLES = (
    Counterexample(
        "strictly increasing",
        "capped l1",
        "q = min(t, 1) charges 1 for a group of norm 2; MCP and SCAD are flat in the same way",
        lambda: GroupNorms(Capped(), (Fraction(2), Fraction(0))),
    ),
    Counterexample(
        "zero at zero",
        "1 + sqrt t",
        "two groups, one of them zero: R(a, 0) = (sqrt a + 1)^2, so 9 instead of 4 at a = 4",
        lambda: GroupNorms(ShiftedRoot(), (Fraction(4), Fraction(0))),
    ),
    Counterexample(
        "subadditive",
        "the exp mask",
        "2 q(1/2) - q(1) = -0.194: two groups of norm 1/2 cost less than one of norm 1",
        lambda: GroupNorms(ExactExpMask(), (Fraction(1, 2), Fraction(1, 2))),
    ),
    Counterexample(
        "inverse",
        "t / (1 + t) beyond its range",
        "q(2) + q(2) = 4/3 > 1 is not a value of q, and the formula y / (1 - y) gives R = -4",
        lambda: GroupNorms(FormalRatio(), (Fraction(2), Fraction(2))),
    ),
    Counterexample(
        "inverse",
        "a hole in the range of t + ceil t",
        "2 q(1/4) = 5/2 lies in a hole of the range {0} u (1, 2] u (3, 4] u ..., so R is undefined",
        lambda: GroupNorms(StaircaseWithoutHoles(), (Fraction(1, 4), Fraction(1, 4))),
    ),
)

THEOREM = Theorem(
    name="inverse_sum_dominates",
    ledger="A8",
    title="The inverse-sum regulariser dominates the group LASSO",
    statement=(
        r"For q strictly increasing and subadditive with q(0) = 0, "
        r"\sum_g \|u_g\| \le R_q(u) = q^{-}(\sum_g q(\|u_g\|)), with equality when at most one group is active; "
        r"q^{-}(y) = \inf\{t : q(t) \ge y\}, so that bounded q and q with jumps are allowed."
    ),
    source="SequentialAttention++ (arXiv 2402.17902), Lemmas 2.4 and 2.5; the generalised inverse is our repair",
    kind="closed form",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("generalised inverse", "bounded q and a jump, where the plain inverse fails", _fixed_generalised_inverse),
        Fixed("exp mask", "2 q(1/2) - q(1) < 0 by rational enclosure, and never proved", _fixed_exp_mask),
        Fixed("rational norms", "both lemmas in exact arithmetic for t / (1 + t) and sqrt t", _fixed_rationals),
    ),
    curves=curves,
    sizes={"quick": 200, "standard": 5000, "full": 100_000},
    printed="holds with a repair",
)
