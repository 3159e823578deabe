"""When a group LASSO has one solution: the directions of the groups on the equicorrelation set are independent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

import sparseopt as so

from ..exact_lasso import ExactLasso, gram
from ..exact_linear import block, rank
from ..instances import REAL_DATA, real_data
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .at_point import SOLVE_TOL


@dataclass(frozen=True)
class IntegerDesign:
    """The LASSO |y - Xu|^2/2 + lam sum |u_i| with integer data.  X: [n][p].  y: [n].  lam: > 0."""

    X: tuple[tuple[int, ...], ...]
    y: tuple[int, ...]
    lam: Fraction

    @cached_property
    def lasso(self) -> ExactLasso:
        """The exact problem."""
        X, y = np.array(self.X), np.array(self.y)
        return ExactLasso(gram(self.X), [Fraction(int(v)) for v in X.T @ y], self.lam)

    @cached_property
    def equicorrelated(self) -> list[int]:
        """E = {i: |gradient_i| = lam} at the solutions, which have one fit."""
        lasso = self.lasso
        gradient = lasso.gradient(lasso.solution)
        return [i for i, g in enumerate(gradient) if abs(g) == self.lam]

    @property
    def deficiency(self) -> int:
        """|E| - rank of the columns of E."""
        E = self.equicorrelated
        return len(E) - rank(block(self.lasso.H, E)) if E else 0


def draw(rng: np.random.Generator) -> IntegerDesign:
    """3 rows, 4 columns with entries -3 to 3: more columns than rows, so the loss is never strongly convex."""
    X = rng.integers(-3, 4, (3, 4))
    if rng.random() < 0.2:
        X[:, 3] = X[:, 0]
    y = rng.integers(-6, 7, 3)
    lam = Fraction(int(rng.integers(1, 9)), int(rng.choice([1, 2, 4])))
    return IntegerDesign(tuple(map(tuple, X.tolist())), tuple(y.tolist()), lam)


def conclusion(instance: IntegerDesign) -> tuple[Evidence, ...]:
    """One basic solution, going through all 81 sign patterns in rational arithmetic; the certificate agrees."""
    lasso = instance.lasso
    found = len(lasso.basic_solutions)
    solved = so.solve(lasso.problem, tol=SOLVE_TOL, max_iter=3000, throw=False)
    proved = so.certify.uniqueness(lasso.problem, solved.w).proved
    gap = so.certify.duality_gap(lasso.problem, solved.w, level="exact").upper
    excess = lasso.objective([Fraction(v) for v in solved.w]) - lasso.objective(lasso.solution)
    return (
        Evidence("there is one basic solution", Fraction(found), Fraction(1)),
        Evidence("no proof where there are several", float(proved and found > 1), 0.5),
        Evidence(
            "the solver's point is as good as its gap says", excess, Fraction(gap) if np.isfinite(gap) else excess
        ),
    )


def independence_margin(instance: IntegerDesign) -> float:
    """1/2 - (|E| - rank): positive where the columns of E are independent."""
    return 0.5 - instance.deficiency


HYPOTHESES = (Hypothesis("independent", "the vectors X_g X_g'r, g in E, are independent", independence_margin),)

COUNTEREXAMPLES = (
    Counterexample(
        "independent",
        "duplicate columns",
        "X = [1 1], y = 2, lam = 1: every u >= 0 with u_1 + u_2 = 1 is a solution",
        lambda: IntegerDesign(((1, 1),), (2,), Fraction(1)),
    ),
)


def _problem(X: np.ndarray, y: np.ndarray, groups: so.Groups, lam: float) -> so.Problem:
    return so.Problem(X, so.LeastSquares(y), so.GroupLasso(lam, groups, "none"))


def _fixed_wide_groups() -> tuple[Evidence, ...]:
    """Groups wider than the number of rows: X_E is not injective, the directions are independent all the same."""
    rng = np.random.default_rng(0)
    X, y, groups = rng.standard_normal((4, 12)), rng.standard_normal(4), so.Groups.uniform(2, 6)
    problem = _problem(X, y, groups, 1.0)
    problem = problem.with_lam(0.5 * so.lambda_max(problem))
    first = so.solve(problem, tol=SOLVE_TOL, throw=False).w
    second = so.solve(
        problem, so.solvers.FISTA(), tol=1e-11, w0=rng.standard_normal(12), max_iter=20_000, throw=False
    ).w
    certificate = so.certify.uniqueness(problem, first)
    return (
        Evidence("uniqueness is proved with 12 columns in 4 rows", float(not certificate.proved), 0.5),
        Evidence(
            "two solvers from two starts agree",
            float(np.linalg.norm(first - second)),
            0.0,
            _reach(problem, first, second),
        ),
    )


def _reach(problem: so.Problem, first: np.ndarray, second: np.ndarray) -> float:
    """Bound on |first - second| where the solution is unique: both lie along gradients that are known within e.

    e = sqrt(2 gap_1) + sqrt(2 gap_2) bounds the difference of the fits, and e sqrt(trace_g) that of the gradients; the
    smallest eigenvalue of the Gram matrix of the directions turns fits into coefficients.
    """
    groups, smallest = problem.penalty.groups, so.certify.uniqueness(problem, first).lower
    e = sum(np.sqrt(2 * so.certify.duality_gap(problem, w).upper) for w in (first, second))
    squares = (problem.X**2).sum(axis=0) / len(problem.X)
    traces = np.bincount(groups.labels, weights=squares)
    turned = e * float((groups.norms(first) * np.sqrt(traces)).sum()) / problem.penalty.lam
    return float(2 * (e / np.sqrt(smallest) + turned * (1 + np.sqrt(squares.sum() / smallest))))


def _fixed_duplicates() -> tuple[Evidence, ...]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((10, 3))
    problem = _problem(np.hstack([X, X]), X[:, 0] + X[:, 1], so.Groups.uniform(2, 3), 1.0)
    problem = problem.with_lam(0.3 * so.lambda_max(problem))
    w = so.solve(problem, tol=SOLVE_TOL, throw=False).w
    swapped = np.concatenate([w[3:], w[:3]])
    return (
        Evidence("duplicate groups are refused", float(so.certify.uniqueness(problem, w).proved), 0.5),
        Evidence("the swapped point is as good", problem.objective(swapped), problem.objective(w), 1e-12),
    )


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    loss = real_data(name, "sqrt")
    found = []
    for ratio in (0.5, 0.1):
        problem = loss.problem.with_lam(ratio * float(loss.tau.max()))
        w = so.solve(problem, tol=SOLVE_TOL, max_iter=2000, throw=False).w
        proved = so.certify.uniqueness(problem, w).proved
        found.append(Evidence(f"unique at {ratio:g} lambda_max", float(not proved), 0.5, 0.0, proved))
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """multiplicity: of random integer designs, how many have one or several solutions, over lam.

    independent, dependent: whether the hypothesis holds; half of the designs have a copied column.
    """
    rng = np.random.default_rng(seed)
    designs = [draw(rng) for _ in range(10)]
    designs[5:] = [replace(design, X=tuple((*row[:3], row[0]) for row in design.X)) for design in designs[5:]]
    names = ("independent", "dependent")
    rows: dict[str, list[Any]] = {"lam": [], **{f"{kind}_{part}": [] for kind in names for part in ("one", "several")}}
    for lam in (1, 2, 4, 8):
        cases = [IntegerDesign(design.X, design.y, Fraction(lam)) for design in designs]
        rows["lam"].append(float(lam))
        several = [(case.deficiency > 0, len(case.lasso.basic_solutions) > 1) for case in cases]
        for dependent, kind in enumerate(names):
            for many, part in enumerate(("one", "several")):
                rows[f"{kind}_{part}"].append(several.count((bool(dependent), bool(many))))
    return {"multiplicity": rows}


THEOREM = Theorem(
    name="unique_solution",
    ledger="D6",
    title="Independent directions make the solution unique",
    statement=(
        r"All solutions of a group LASSO have one residual r. With E = \{g : \|X_g' r\| = \lambda w_g\}, the solution "
        r"is unique if the vectors X_g X_g' r, g \in E, are linearly independent; X_E need not be injective."
    ),
    source="w_g = c_g X_g'r with c_g >= 0 (our sufficient condition; for groups of one it is the known one)",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("wide groups", "more columns than rows in every group, and still unique", _fixed_wide_groups),
        Fixed("duplicates", "equal groups: the certificate refuses", _fixed_duplicates),
        *(
            Fixed(name, "uniqueness certified on real data at .5 and .1 of lambda_max", lambda n=name: _fixed_real(n))
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 15, "standard": 60, "full": 5000},
    printed="not printed",
)
