"""Theorem 1.1: a unique one-group minimiser of the group LASSO is the global minimiser of the nonconvex problem."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

import sparseopt as so

from ..instances import REAL_DATA, Instance, quadratic, random_loss, real_data, tied_quadratic
from ..theorem import Attack, Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .sandwich import PROOF_TOL, ExactSandwich, Sandwich
from .scalar_functions import (
    SLACK,
    Capped,
    ExactExpMask,
    ExactRatio,
    ExactRoot,
    Jump,
    ShiftedRoot,
    Tanh,
    increase_margin,
    subadditivity_margin,
    zero_margin,
)

FUNCTIONS = {
    "sqrt": so.penalties.Power(0.5),
    "two thirds": so.penalties.Power(2 / 3),
    "log": so.penalties.Log(1.0),
    "ratio": so.penalties.Ratio(),
    "jump": Jump(),
    "tanh": Tanh(),
}
"""The q of the random instances: two powers, log(1 + t), t / (1 + t), t + 1[t > 0], tanh t."""

IDENTITY = ((Fraction(1), Fraction(0)), (Fraction(0), Fraction(1)))
ORIGIN = (Fraction(0), Fraction(0))


def draw(rng: np.random.Generator) -> Sandwich:
    """lam up to twice as far below lambda_max as the guaranteed window of `lambda_window` reaches."""
    loss = random_loss(rng)
    window = loss.window
    width = window.upper - window.lower if not window.empty else 0.1 * window.upper
    lam = max(window.upper - rng.uniform(0.02, 2) * width, 0.02 * window.upper)
    q = list(FUNCTIONS.values())[rng.integers(len(FUNCTIONS))]
    return Sandwich(loss, q, lam, int(rng.integers(2**31)))


def conclusion(instance: Sandwich | ExactSandwich) -> tuple[Evidence, ...]:
    """b* is within the certified bound of the global minimum, and both objectives agree there."""
    if isinstance(instance, ExactSandwich):
        return instance.evidence()
    certificate = instance.certificate()
    upper = certificate.upper if certificate.proved else math.inf
    claim = "F_R(w) - min F_R, certified, <= tol * scale"
    nonconvex, convex = instance.problem.objective(instance.w), instance.companion.objective(instance.w)
    rounding = 64 * float(np.finfo(float).eps) * len(instance.w) * (abs(convex) + certificate.scale)
    return (
        Evidence(claim, upper, PROOF_TOL * certificate.scale, 0.0, certificate.proved),
        Evidence("F_R(w) = F_GL(w) to rounding", abs(nonconvex - convex), rounding),
    )


def attack(instance: Sandwich) -> Attack:
    """Search for a point below b*."""
    return instance.attack()


def same_weights_margin(instance: Sandwich | ExactSandwich) -> float:
    """2^-40 less the largest relative difference between a strength of the group LASSO and lam."""
    if isinstance(instance, ExactSandwich):
        return SLACK - float(max(abs(weight - 1) for weight in instance.weights))
    strength = instance.companion.penalty.strength
    return SLACK - float(np.abs(strength / instance.lam - 1).max())


def minimiser_margin(instance: Sandwich | ExactSandwich) -> float:
    """How well b* is known: 2^-40 less the violation of its optimality conditions, or tol less the relative gap."""
    if isinstance(instance, ExactSandwich):
        return SLACK - float(instance.kkt_error)
    scale = so.certify.duality_gap(instance.companion, instance.w).scale
    return PROOF_TOL - instance.gap / scale


def one_group_margin(instance: Sandwich | ExactSandwich) -> float:
    """Strict dual feasibility of the groups beside one; negative with two active groups."""
    return instance.dual_room


def uniqueness_margin(instance: Sandwich | ExactSandwich) -> float:
    """Strong convexity, or ledger D6."""
    return instance.uniqueness


HYPOTHESES = (
    Hypothesis("strictly increasing", "q is strictly increasing", lambda i: increase_margin(i.q)),
    Hypothesis("zero at zero", "q(0) = 0", lambda i: zero_margin(i.q)),
    Hypothesis(
        "subadditive",
        "q(a + b) <= q(a) + q(b), shown by formula or by branch and bound",
        lambda i: subadditivity_margin(i.q, 2 * i.largest_norm),
    ),
    Hypothesis("unique", "the group LASSO has one minimiser b*", uniqueness_margin),
    Hypothesis("one active group", "b* has at most one active group", one_group_margin),
    Hypothesis("same weights", "the group LASSO has the same lam and no weights", same_weights_margin),
    Hypothesis(
        "minimiser",
        "b* is known: the group LASSO is solved",
        minimiser_margin,
        necessary=False,
        why="it defines b*; a point that does not minimise the group LASSO is another statement",
    ),
)


def exp_mask_instance() -> ExactSandwich:
    """L = (x + y - 2)^2/2 + y^2/20 + y/20, lam = 1 with the exp-mask q: b* = (1, 0), but (13/20, 11/20) is lower."""
    return ExactSandwich(
        ExactExpMask(),
        ((Fraction(1), Fraction(1)), (Fraction(1), Fraction(11, 10))),
        (Fraction(2), Fraction(39, 20)),
        Fraction(1),
        (Fraction(1), Fraction(0)),
        ((Fraction(13, 20), Fraction(11, 20)),),
        mu=Fraction(1, 25),
    )


def two_groups_instance(q: Any) -> ExactSandwich:
    """L = (x - 1)^2/2 + (y - 4/5)^2/2, lam = 3/10: b* = (7/10, 1/2) is dense, (7/10, 0) is lower."""
    minimiser, better = (Fraction(7, 10), Fraction(1, 2)), (Fraction(7, 10), Fraction(0))
    return ExactSandwich(q, IDENTITY, (Fraction(1), Fraction(4, 5)), Fraction(3, 10), minimiser, (better,))


def tied_instance() -> ExactSandwich:
    """L = (x - 1)^2/2 + (y - 1)^2/2, lam = 9/10: b* = (1/10, 1/10), while sqrt picks one of the axes."""
    minimiser, axes = (Fraction(1, 10),) * 2, ((Fraction(1, 10), Fraction(0)), (Fraction(0), Fraction(1, 10)))
    return ExactSandwich(ExactRoot(), IDENTITY, (Fraction(1),) * 2, Fraction(9, 10), minimiser, axes)


def duplicate_instance() -> ExactSandwich:
    """L = (x + y - 2)^2/2, lam = 1: every point of x + y = 1, x, y >= 0 minimises the group LASSO."""
    ones = ((Fraction(1),) * 2,) * 2
    ends = (Fraction(1), Fraction(0)), (Fraction(0), Fraction(1))
    return ExactSandwich(ExactRoot(), ones, (Fraction(2),) * 2, Fraction(1), ends[0], (ends[1],), mu=Fraction(0))


def weighted_instance() -> ExactSandwich:
    """L = (x - 1)^2/2 + (y - 1)^2/2, lam = 9/10, weights 1/2 and 2: b* = (11/20, 0), but (1/10, 0) is lower."""
    better = (Fraction(1, 10), Fraction(0))
    return ExactSandwich(
        ExactRatio(),
        IDENTITY,
        (Fraction(1),) * 2,
        Fraction(9, 10),
        (Fraction(11, 20), Fraction(0)),
        (better,),
        weights=(Fraction(1, 2), Fraction(2)),
    )


def capped_instance() -> ExactSandwich:
    """L = (x - 3)^2/2 + (y - 1/10)^2/2, lam = 1 with capped l1: b* = (2, 0), but (3, 0) costs no more and fits."""
    b, minimiser, better = (Fraction(3), Fraction(1, 10)), (Fraction(2), Fraction(0)), (Fraction(3), Fraction(0))
    return ExactSandwich(Capped(), IDENTITY, b, Fraction(1), minimiser, (better,))


def shifted_instance() -> ExactSandwich:
    """L = (x - 2)^2/2 + y^2/2, lam = 1 with q = 1 + sqrt t: b* = (1, 0) is charged 4 instead of 1, and 0 is lower."""
    b, minimiser = (Fraction(2), Fraction(0)), (Fraction(1), Fraction(0))
    return ExactSandwich(ShiftedRoot(), IDENTITY, b, Fraction(1), minimiser, (ORIGIN,))


COUNTEREXAMPLES = (
    Counterexample("strictly increasing", "capped l1", "a flat q stops charging for large groups", capped_instance),
    Counterexample("zero at zero", "1 + sqrt t", "zero groups are charged, so one costs too much", shifted_instance),
    Counterexample(
        "subadditive",
        "the exp mask in form (1)",
        "two groups cost less than one: F_R(13/20, 11/20) = 1.3079... < 3/2 = F_R(b*)",
        exp_mask_instance,
    ),
    Counterexample(
        "unique",
        "duplicate columns",
        "the group LASSO has a segment of minimisers, and both of its ends minimise the nonconvex problem",
        duplicate_instance,
    ),
    Counterexample(
        "one active group",
        "two active groups, t / (1 + t)",
        "b* = (7/10, 1/2) has two active groups, and dropping one is better for the bounded q",
        lambda: two_groups_instance(ExactRatio()),
    ),
    Counterexample(
        "one active group",
        "two active groups, sqrt t",
        "the same b* = (7/10, 1/2), with the irrational values enclosed",
        lambda: two_groups_instance(ExactRoot()),
    ),
    Counterexample(
        "one active group",
        "a tie",
        "two equal gradients make b* dense for every lam < 1; sqrt t has two minimisers, one on each axis",
        tied_instance,
    ),
    Counterexample(
        "same weights",
        "a weighted group LASSO",
        "weights 1/2 and 2 move b* to (11/20, 0), and (1/10, 0) is lower in the unweighted problem",
        weighted_instance,
    ),
)


def _two_variables(q: Any, b: tuple[float, float], lam: float, H: Any = ((1.0, 0.0), (0.0, 1.0))) -> so.Problem:
    groups = so.Groups.uniform(2, 1)
    return so.Problem.quadratic(H, b, so.InverseSum(lam, groups, q))


def _not_proved(claim: str, problem: so.Problem, w: Any) -> Evidence:
    certificate = so.certify.global_gap(problem, w, tol=PROOF_TOL)
    return Evidence(f"not proved: {claim}", float(certificate.proved), 0.5)


class DeclaredSubadditive(so.penalties.ExpMask):
    """The exp mask with traits that are declared and wrong, as a user's class may have them."""

    subadditive = concave = True
    convex = False


def _fixed_never_proved() -> tuple[Evidence, ...]:
    root, mask = so.penalties.Power(0.5), so.penalties.ExpMask()
    bent = ((1.0, 1.0), (1.0, 1.1))
    tied = tied_quadratic(np.random.default_rng(0), so.Groups.uniform(4, 2), 10.0)
    at = 0.9 * so.lambda_max(tied.problem)
    tied_case = Sandwich(tied, root, at, 0)
    good = Sandwich(quadratic("diagonal", np.eye(2), [1.0, 0.6], so.Groups.uniform(2, 1)), root, 0.8, 0)
    wrong = {"b* scaled": [0.22, 0.0], "0 instead of b*": [0.0, 0.0], "another group": [0.0, 0.2], "dense": [0.2, 0.01]}
    return (
        _not_proved("the exp mask", _two_variables(mask, (2.0, 1.95), 1.0, bent), [1.0, 0.0]),
        _not_proved("a declared trait", _two_variables(DeclaredSubadditive(), (2.0, 1.95), 1.0, bent), [1.0, 0.0]),
        _not_proved("a two-group minimiser", _two_variables(root, (1.0, 0.8), 0.3), [0.7, 0.5]),
        _not_proved("one group of it", _two_variables(root, (1.0, 0.8), 0.3), [0.7, 0.0]),
        _not_proved("an exact tie", _two_variables(root, (1.0, 1.0), 0.9), [0.1, 0.0]),
        _not_proved("a random tie", tied_case.problem, tied_case.w),
        *(_not_proved(f"a wrong w ({name})", good.problem, w) for name, w in wrong.items()),
        *conclusion(good),
    )


def _fixed_sharp() -> tuple[Evidence, ...]:
    """L = |u - c|^2 / 2: F_R((1 + s) b*) - F_R(b*) is |s b*|^2 / 2 for every q, since one group is active there."""
    loss, found = quadratic("identity", np.eye(3), [1.0, 0.6, 0.3], so.Groups.uniform(3, 1)), []
    for q in FUNCTIONS.values():
        case = Sandwich(loss, q, 0.8, 0)
        for s in (-0.5, 0.5, 2.0):
            bound = case.margin((1 + s) * case.w)
            apart = abs(s) * float(np.linalg.norm(case.w))
            room = 2 * bound.tolerance + apart * case.error
            found += [bound, Evidence("the bound is attained along b*", bound.rhs - bound.lhs, 0.0, room)]
    return tuple(found)


def real_instance(loss: Instance, q: Any, depth: float = 0.5) -> Sandwich:
    """The problem at lam the share `depth` of the guaranteed window below lambda_max."""
    window = loss.window
    return Sandwich(loss, q, window.upper - depth * (window.upper - window.lower), 0)


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    first = real_instance(real_data(name), so.penalties.Linear())
    found: list[Evidence] = []
    for q in FUNCTIONS.values():
        case = first.with_function(q)
        margins = [h.margin(case) for h in HYPOTHESES]
        found.append(Evidence("all hypotheses hold", float(not min(margins) > 0), 0.5))
        found += [*conclusion(case), case.attack(descents=2).evidence]
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """contour: both objectives on a grid of the plane, for sqrt t.  margins: competitors of an instance for every q."""
    return {"contour": _contour(), "margins": _margins(seed)}


def _contour() -> Columns:
    H = ((1.0, 0.3), (0.3, 1.0))
    problem = _two_variables(so.penalties.Power(0.5), (1.0, 0.7), 0.5, H)
    convex = problem.with_penalty(problem.penalty.companion)
    axis = np.linspace(-0.3, 0.9, 61)
    points = [(float(x), float(y)) for y in axis for x in axis]
    values = [problem.objective(u) for u in points]
    bounds = [convex.objective(u) for u in points]
    return {"x": [x for x, _ in points], "y": [y for _, y in points], "inverse_sum": values, "group_lasso": bounds}


def _margins(seed: int) -> Columns:
    rng = np.random.default_rng(seed)
    loss = random_loss(rng)
    while not loss.mu > 0 or loss.window.empty:
        loss = random_loss(rng)
    rows: list[tuple[str, float, float, float]] = []
    for name, q in FUNCTIONS.items():
        case = real_instance(loss, q)
        for u in case.competitors(descents=5):
            evidence = case.margin(u)
            rows.append((name, float(np.linalg.norm(u - case.w)), float(evidence.rhs), float(evidence.lhs)))
    q, distance, excess, bound = (list(column) for column in zip(*rows, strict=True))
    return {"q": q, "distance": distance, "excess": excess, "bound": bound}


THEOREM = Theorem(
    name="one_group_global_optimum",
    ledger="A9",
    title="A one-group solution of the group LASSO is globally optimal",
    statement=(
        r"For q strictly increasing and subadditive with q(0) = 0: if L + \lambda \sum_g \|u_g\| has a unique "
        r"minimiser b^* with at most one active group, then b^* is the unique minimiser of F_R = L + \lambda R_q, and "
        r"F_R(u) - F_R(b^*) \ge (\mu/2) \|u - b^*\|^2 for \mu-strongly convex L."
    ),
    source="SequentialAttention++ (arXiv 2402.17902), Theorem 1.1; the quantitative form is ours",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("never proved", "exp mask, ties, two-group minimisers and wrong points", _fixed_never_proved),
        Fixed("sharp", "the quadratic bound is attained where L is a square", _fixed_sharp),
        *(
            Fixed(
                name, "real data in the middle of the guaranteed window, every q", lambda name=name: _fixed_real(name)
            )
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 24, "standard": 200, "full": 3000},
    attack=attack,
    printed="holds",
)
