"""The duality gap at a rescaled residual bounds the distance to the minimum, in value and in fit."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

import sparseopt as so

from ..exact_lasso import ExactLasso
from ..extras import require
from ..instances import REAL_DATA, conditioned_quadratic, real_data
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .at_point import SLACK, AtPoint, iterate, random_point

REACHED = 1e-10
"""Relative gap that the default solver is to reach."""


@dataclass(frozen=True)
class ExactGap:
    """Rational numbers of a problem: P(w), its minimum, and the dual value that is used.

    feasible: strength less the largest correlation of the dual point.  curvature: weak convexity of P, < 0 for none.
    """

    primal: Fraction
    minimum: Fraction
    dual: Fraction
    feasible: Fraction
    curvature: Fraction

    def evidence(self) -> tuple[Evidence, ...]:
        """P(w) - P* <= P(w) - D(theta)."""
        return (Evidence("P(w) - P* <= gap", self.primal - self.minimum, self.primal - self.dual),)


def conclusion(instance: AtPoint | ExactGap) -> tuple[Evidence, ...]:
    """The enclosed gap bounds P(w) - P* and |X(w - w*)|^2/(2n); the float gap is no better; the solver reaches it."""
    if isinstance(instance, ExactGap):
        return instance.evidence()
    problem, found, last = instance.problem, instance.certificate, instance.last
    suboptimal = problem.objective(instance.w) - problem.objective(instance.solution)
    moved = instance.w - instance.solution
    distance = np.sqrt(max(float(moved @ instance.loss.H @ moved), 0.0))
    reach = np.sqrt(2 * found.upper) + np.sqrt(2 * max(last.upper, 0.0))
    root = np.sqrt(instance.rounding)
    gap = problem.gap(instance.w)
    limit = REACHED * last.scale
    return (
        Evidence("0 <= gap, in floats", -gap, 0.0, instance.rounding),
        Evidence("P(w) - P* <= gap", suboptimal, found.upper, instance.rounding),
        Evidence("|X(w - w*)| <= sqrt(2 n gap)", distance, reach, root),
        Evidence("P(w) - P* <= float gap", suboptimal, gap, instance.rounding),
        Evidence("the float gap is at least the best one, enclosed", found.lower, gap, instance.rounding),
        Evidence("the default solver reaches a gap of 1e-10", last.upper, limit, 0.0, last.proved),
    )


def feasibility_margin(instance: AtPoint | ExactGap) -> float:
    """Room of the dual point below the strengths, relative to them, plus 2^-40."""
    if isinstance(instance, ExactGap):
        return float(instance.feasible) + SLACK
    gradient, penalty = instance.problem.gradient(instance.w), instance.problem.penalty
    multiple = min(float(penalty.dual_limit(-gradient)), 1.0)
    norms = multiple * instance.loss.groups.norms(gradient)
    return float((1 - norms / penalty.strength).min()) + SLACK


def convexity_margin(instance: AtPoint | ExactGap) -> float:
    """1 where the problem is convex by formula, else -1; exact instances carry the number."""
    if isinstance(instance, ExactGap):
        return float(instance.curvature) + SLACK
    return 1.0 if instance.problem.convex else -1.0


HYPOTHESES = (
    Hypothesis("convex", "loss and penalty are convex", convexity_margin),
    Hypothesis("dual feasible", "|X_g'theta| <= lam for every group, by rescaling the residual", feasibility_margin),
)


def raw_residual_instance() -> ExactGap:
    """L = (u - 2)^2/2, lam = 1/2, w = 0: the residual 2 itself gives D = 2, above the minimum 7/8."""
    lasso = ExactLasso.of([[1]], [2], "1/2")
    zero, constant = [Fraction(0)], Fraction(2)
    return ExactGap(
        primal=lasso.objective(zero) + constant,
        minimum=lasso.objective(lasso.solution) + constant,
        dual=Fraction(2),
        feasible=lasso.lam - 2,
        curvature=Fraction(1),
    )


def flat_penalty_instance() -> ExactGap:
    """L = (u - 2)^2/2 with MCP(gamma = 3/2), lam = 1: 3/4 at u = 2, below the dual value 3/2 of the residual 1."""
    return ExactGap(
        primal=Fraction(2),
        minimum=Fraction(3, 4),
        dual=Fraction(3, 2),
        feasible=Fraction(0),
        curvature=Fraction(-2, 3),
    )


COUNTEREXAMPLES = (
    Counterexample(
        "dual feasible",
        "the residual as it is",
        "theta = y - Xw without rescaling gives the gap 0 at w = 0, where P - P* = 9/8",
        raw_residual_instance,
    ),
    Counterexample(
        "convex",
        "a flat penalty",
        "the dual value of the LASSO, 3/2, is above the minimum 3/4 of MCP",
        flat_penalty_instance,
    ),
)


def _fixed_levels() -> tuple[Evidence, ...]:
    """The three arithmetics enclose one number; a dual point depends on them in its last digits only."""
    require("flint")
    loss = conditioned_quadratic(np.random.default_rng(1), so.Groups.from_sizes([2, 1, 3]), 10.0)
    problem = loss.problem.with_lam(0.3 * float(loss.tau.max()))
    w = iterate(problem, 20)
    found = [so.certify.duality_gap(problem, w, level=level) for level in ("float", "ball", "exact")]
    wide = found[0].upper - found[0].lower
    return tuple(
        Evidence(f"the enclosures {i} and {j} of the gap meet", a.lower, b.upper, wide)
        for (i, a), (j, b) in itertools.permutations(enumerate(found), 2)
    )


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    loss = real_data(name, "sqrt")
    found: list[Evidence] = []
    for ratio, steps in ((0.5, 10), (0.1, 40)):
        problem = loss.problem.with_lam(ratio * float(loss.tau.max()))
        found += conclusion(AtPoint(loss, problem.penalty.lam, iterate(problem, steps)))
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """descent: gap, P - P* and |w - w*|_H^2/2 over the iterations of proximal gradient and FISTA, over P(0) - P*."""
    rng = np.random.default_rng(seed)
    loss = conditioned_quadratic(rng, so.Groups.uniform(15, 3), 200.0)
    problem = loss.problem.with_lam(0.15 * float(loss.tau.max()))
    best = so.solve(problem, tol=1e-13, throw=False).w
    unit = problem.objective(0 * best) - problem.objective(best)
    columns: dict[str, list] = {"iteration": list(range(80))}
    for name, solver in (("proximal_gradient", so.solvers.ProximalGradient()), ("fista", so.solvers.FISTA())):
        points = [state.w for state in itertools.islice(so.iterate(problem, solver), 80)]
        columns[f"{name}_gap"] = [problem.gap(w) / unit for w in points]
        columns[f"{name}_value"] = [(problem.objective(w) - problem.objective(best)) / unit for w in points]
        columns[f"{name}_fit"] = [float((w - best) @ loss.H @ (w - best)) / 2 / unit for w in points]
    return {"descent": columns}


THEOREM = Theorem(
    name="duality_gap_bounds",
    ledger="D1",
    title="The duality gap bounds the distance to the minimum",
    statement=(
        r"For the group LASSO and \theta = (y - X w) \min(1, \min_g \lambda / \|X_g'(y - X w)\|), the gap P(w) - "
        r"D(\theta) is at least P(w) - P^* and at least \|X w - X w^*\|^2 / (2 n)."
    ),
    source="Weak duality and strong convexity of the loss in the fit (textbook); enclosures by so.certify.duality_gap",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=random_point,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("three arithmetics", "float bounds, balls and rationals enclose the same gap", _fixed_levels),
        *(
            Fixed(name, "real data at .5 and .1 of lambda_max, 10 and 40 steps of FISTA", lambda n=name: _fixed_real(n))
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 20, "standard": 100, "full": 10_000},
    printed="holds",
)
