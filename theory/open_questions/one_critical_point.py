"""When MCP has one critical point only: where the loss is more convex than the penalty is concave."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

import sparseopt as so

from ..exact_lasso import ExactLasso
from ..exact_linear import block, pivots
from ..instances import integer_quadratic
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .concave_beats_lasso import ledger_instance
from .piecewise import Piecewise, mcp


@dataclass(frozen=True)
class Enumerated:
    """A rational quadratic with MCP: all of its critical points by 5^p linear systems."""

    loss: ExactLasso
    lam: Fraction
    gamma: Fraction

    @cached_property
    def whole(self) -> Piecewise:
        """The problem."""
        return Piecewise(self.loss, mcp(self.lam, self.gamma))

    @cached_property
    def excess_curvature(self) -> Fraction:
        """The smallest pivot of H - I/gamma, > 0 iff lambda_min(H) > 1/gamma; not positive where that fails."""
        shifted = block(self.loss.H, range(len(self.loss.b)))
        for i in range(len(shifted)):
            shifted[i][i] -= 1 / self.gamma
        found = pivots(shifted)
        return min(found)


def random_quadratic(rng: np.random.Generator, p: int) -> ExactLasso:
    """H = A'A + I over 4, b over 4, small integers."""
    H, b = integer_quadratic(rng, p)
    return ExactLasso([[v / 4 for v in row] for row in H], [v / 4 for v in b], Fraction(1))


def draw(rng: np.random.Generator) -> Enumerated:
    """Three variables, lam from .05 to 1 of tau, gamma at 1.01 to 3 times the least that is allowed."""
    loss = random_quadratic(rng, 3)
    tau = max((abs(v) for v in loss.b), default=Fraction(0)) or Fraction(1)
    least = 1 / float(np.linalg.eigvalsh(np.array(loss.H, dtype=float))[0])
    gamma = Fraction(int(1000 * least * rng.uniform(1.01, 3)) + 1, 1000)
    return Enumerated(loss, tau * Fraction(int(rng.integers(5, 100)), 101), gamma)


def conclusion(instance: Enumerated) -> tuple[Evidence, ...]:
    """One critical point; a solver of the library ends there."""
    points = instance.whole.critical
    groups = so.Groups.uniform(len(instance.loss.b), 1)
    penalty = so.GroupMCP(float(instance.lam), groups, float(instance.gamma), "none")
    problem = instance.loss.problem.with_penalty(penalty)
    solved = so.solve(problem, tol=1e-10, max_iter=5000, throw=False)
    off = float(np.abs(solved.w - np.array([float(x) for x in points[0].u])).max())
    mu = float(np.linalg.eigvalsh(problem.datafit.H)[0]) - 1 / float(instance.gamma)
    reach = (
        4
        * len(groups.sizes)
        * max(solved.violation, 1e-14 * float(np.abs(problem.datafit.b).max() + 1))
        / max(mu, 1e-9)
    )
    found = [Evidence("there is one critical point", Fraction(len(points)), Fraction(1))]
    if instance.excess_curvature > 0:
        found.append(Evidence("the solver of the library ends there", off, 0.0, reach))
    return tuple(found)


def curvature_margin(instance: Enumerated) -> float:
    """The smallest pivot of H - I/gamma."""
    return float(instance.excess_curvature)


HYPOTHESES = (Hypothesis("more convex than concave", "lambda_min(H) > 1/gamma", curvature_margin),)


def _three_points() -> Enumerated:
    case = ledger_instance("1/5")
    return Enumerated(case.lasso, case.lam, case.gamma)


COUNTEREXAMPLES = (
    Counterexample(
        "more convex than concave",
        "a column between two",
        "X = (e_1, e_2, (2, 2, 1)/3), gamma = 3, lam = 1/5: three critical points",
        _three_points,
    ),
)


def _fixed_branch_and_bound() -> tuple[Evidence, ...]:
    """Branch and bound against the enumeration, on nonconvex problems with several critical points."""
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        loss = random_quadratic(rng, 3)
        lam = max(abs(v) for v in loss.b) / 2 or Fraction(1)
        case = Enumerated(loss, lam, Fraction(6, 5))
        groups = so.Groups.uniform(3, 1)
        problem = loss.problem.with_penalty(so.GroupMCP(float(lam), groups, 1.2, "none"))
        optimum = so.solvers.BranchAndBound(tol=1e-9).prove(problem)
        best = float(case.whole.critical[0].objective)
        off = abs(optimum.objective - best) if optimum.proved else np.inf
        found.append(Evidence("branch and bound finds the lowest critical point", off, 0.0, 1e-8 * (1 + abs(best))))
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """counts: of 4 problems with 3 variables, mean and largest number of critical points over lam / tau and gamma."""
    rng = np.random.default_rng(seed)
    losses = [random_quadratic(rng, 3) for _ in range(4)]
    columns: dict[str, list[float]] = {"lam_over_tau": [], "gamma": [], "mean": [], "largest": [], "convex": []}
    for gamma in (Fraction(6, 5), Fraction(3), Fraction(12)):
        for k in (1, 3, 5, 7, 9):
            cases = [
                Enumerated(loss, max(abs(v) for v in loss.b) * Fraction(k, 10) + Fraction(1, 997), gamma)
                for loss in losses
            ]
            counts = [len(case.whole.critical) for case in cases]
            row = (k / 10, float(gamma), float(np.mean(counts)), float(max(counts)))
            convex = float(np.mean([case.excess_curvature > 0 for case in cases]))
            for name, entry in zip(columns, (*row, convex), strict=True):
                columns[name].append(entry)
    return {"counts": columns}


THEOREM = Theorem(
    name="one_critical_point",
    ledger="E2",
    title="One critical point of MCP where the loss outweighs it",
    statement=(
        r"The critical points of u' H u / 2 - b' u + MCP_{\lambda, \gamma} over groups of one are the solutions of 5^p "
        r"linear systems. If \lambda_{min}(H) > 1 / \gamma there is exactly one; otherwise there may be several."
    ),
    source="Open question: how many critical points are there? Convexity of the sum (textbook), enumeration our own",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(Fixed("branch and bound", "the lowest critical point of six nonconvex problems", _fixed_branch_and_bound),),
    curves=curves,
    sizes={"quick": 12, "standard": 40, "full": 3000},
    printed="open",
)
