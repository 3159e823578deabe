"""lambda_max is sharp: above it every penalised group is zero, below it one is not."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

import sparseopt as so

from ..exact_lasso import ExactLasso
from ..instances import EPS, REAL_DATA, random_groups, real_data
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem

ABOVE = 1 + 1e-9
"""Relative to lambda_max, whose error is of order n eps."""

PROOF_TOL = 1e-7


@dataclass(frozen=True)
class AtLambdaMax:
    """A problem with any convex loss; the lam of its penalty plays no role.  depth: 1 - lam / lambda_max below it."""

    problem: so.Problem
    depth: float

    @cached_property
    def critical(self) -> float:
        """lambda_max."""
        return so.lambda_max(self.problem)

    @cached_property
    def null(self) -> np.ndarray:
        """The solution [p] far above lambda_max: unpenalised groups alone are fitted."""
        return so.solve(self.problem.with_lam(2 * self.critical), tol=1e-11, throw=False).w


@dataclass(frozen=True)
class ExactStart:
    """A quadratic whose lambda_max is claimed.  claimed: Fraction.  solution: at .99 and at 2 of it, penalised entries.

    penalised, sharp: whether all variables are penalised, and whether the slope of the penalty at 0 is positive.
    """

    claimed: Fraction
    below: Fraction
    above: Fraction
    projected: bool
    sharp: bool

    def evidence(self) -> tuple[Evidence, ...]:
        """Zero above, not below."""
        return (
            Evidence("penalised variables are 0 above lambda_max", abs(self.above), Fraction(0)),
            Evidence("one is not 0 below", Fraction(1), Fraction(int(self.below != 0))),
        )


def draw(rng: np.random.Generator) -> AtLambdaMax:
    """A Gaussian design with one of four losses, with or without intercept, weights and an unpenalised group."""
    groups = random_groups(rng, int(rng.integers(2, 8)), 3)
    n = groups.n_features + int(rng.integers(8, 30))
    X = rng.standard_normal((n, groups.n_features)) + rng.uniform(-0.5, 0.5)
    signal = X @ np.where(groups.labels == 0, 1.0, 0.0)
    weights: Any = rng.choice(["none", "sqrt"])
    kind = int(rng.integers(4))
    if kind == 0 and rng.random() < 0.5:
        weights = np.where(np.arange(groups.n_groups) == groups.n_groups - 1, 0.0, 1.0)
    noisy = signal + rng.standard_normal(n)
    intercept = bool(rng.random() < 0.5)
    losses = (
        lambda: so.LeastSquares(noisy, intercept=intercept),
        lambda: so.Logistic(np.where(noisy > np.median(noisy), 1.0, -1.0), intercept=intercept),
        lambda: so.Huber(noisy, delta=1.0, intercept=intercept),
        lambda: so.LeastSquares(noisy, sample_weight=rng.uniform(0.5, 2, n), intercept=intercept),
    )
    problem = so.Problem(X, losses[kind](), so.GroupLasso(1.0, groups, weights))
    return AtLambdaMax(problem, float(10 ** rng.uniform(-3, -1)))


def conclusion(instance: AtLambdaMax | ExactStart) -> tuple[Evidence, ...]:
    """At ABOVE the null model is optimal, by a certified gap; a depth below a proximal step from it descends."""
    if isinstance(instance, ExactStart):
        return instance.evidence()
    problem, critical, null = instance.problem, instance.critical, instance.null
    above = problem.with_lam(ABOVE * critical)
    certificate = so.certify.duality_gap(above, null, tol=PROOF_TOL)
    below = problem.with_lam((1 - instance.depth) * critical)
    step = 1 / below.smoothness
    moved = below.penalty.prox(null - step * below.gradient(null), step)
    size = abs(below.objective(null)) + float(np.abs(below.gradient(null)) @ (np.abs(null) + np.abs(moved)))
    rounding = 64 * EPS * max(problem.X.shape) * size
    drop = float(np.sum((moved - null) ** 2)) / (2 * step)
    penalised = problem.penalty.weights > 0
    new = problem.penalty.groups.norms(moved)[penalised]
    found = so.solve(below, tol=1e-9, max_iter=4000, throw=False)
    active = problem.penalty.groups.norms(found.w)[penalised]
    return (
        Evidence("penalised groups are 0 far above", float(problem.penalty.groups.norms(null)[penalised].max()), 0.0),
        Evidence(
            "the null model is optimal just above",
            certificate.upper,
            PROOF_TOL * certificate.scale,
            0.0,
            certificate.proved,
        ),
        Evidence("just below a step activates a penalised group", float(not (new > 0).any()), 0.5),
        Evidence("and descends by |step|^2 L/2", drop, below.objective(null) - below.objective(moved), rounding),
        Evidence("the solver's solution below has an active group", float(not (active > 0).any()), 0.5),
    )


def projected_margin(instance: AtLambdaMax | ExactStart) -> float:
    """1 where unpenalised variables and the intercept are fitted before, or there are none."""
    return 1.0 if not isinstance(instance, ExactStart) or instance.projected else -1.0


def slope_margin(instance: AtLambdaMax | ExactStart) -> float:
    """The slope of the penalty at 0."""
    if isinstance(instance, ExactStart):
        return 1.0 if instance.sharp else 0.0
    return float(instance.problem.penalty.rho.slope0)


HYPOTHESES = (
    Hypothesis("projected", "the intercept and unpenalised groups are fitted first", projected_margin),
    Hypothesis("slope at zero", "the slope of the penalty at 0 is positive and finite", slope_margin),
)


def unprojected_instance() -> ExactStart:
    """H = [[1, 1/2], [1/2, 1]], b = (1, 1/2), u_1 free: |b_2| = 1/2, but u_2 = 0 at every lam >= 0."""
    at = [ExactLasso.of([[1, "1/2"], ["1/2", 1]], [1, "1/2"], lam, (0, 1)) for lam in ("99/200", 1)]
    return ExactStart(Fraction(1, 2), at[0].solution[1], at[1].solution[1], projected=False, sharp=True)


def ridge_instance() -> ExactStart:
    """L = (u - 1)^2/2 + lam u^2: u = 1 / (1 + 2 lam) is never 0."""
    below, above = (1 / (1 + 2 * Fraction(lam)) for lam in ("99/100", 2))
    return ExactStart(Fraction(1), below, above, projected=True, sharp=False)


COUNTEREXAMPLES = (
    Counterexample(
        "projected",
        "a free variable that explains the rest",
        "|b_2| = 1/2, but once u_1 is fitted nothing is left for u_2: it is 0 below 1/2 as well",
        unprojected_instance,
    ),
    Counterexample(
        "slope at zero",
        "a ridge",
        "the solution 1 / (1 + 2 lam) is active for every lam; so is the exp mask's",
        ridge_instance,
    ),
)


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    from sparseopt import datasets

    data = getattr(datasets, name)()
    losses = [so.LeastSquares(data.y, intercept=True)]
    if len(np.unique(data.y)) == 2:
        losses.append(so.Logistic(np.where(data.y > 0, 1.0, -1.0), intercept=True))
    return tuple(
        e
        for loss in losses
        for e in conclusion(AtLambdaMax(so.Problem(data.X, loss, so.GroupLasso(1.0, data.groups)), 0.01))
    )


def curves(seed: int) -> dict[str, Columns]:
    """norms: the largest penalised |w_g| over lam / lambda_max, with lambda_max projected or not, with an intercept.

    paths: |w_g| of every group on real data, over lam / lambda_max.
    """
    rng = np.random.default_rng(seed)
    groups = so.Groups.uniform(8, 2)
    X = rng.standard_normal((60, 16)) + 1.0
    y = X[:, 0] - X[:, 3] + 2.0 + 0.5 * rng.standard_normal(60)
    centred = so.Problem(X, so.LeastSquares(y, intercept=True), so.GroupLasso(1.0, groups))
    raw = so.lambda_max(so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, groups))) / so.lambda_max(centred)
    ratios = np.linspace(1.2, 0.6, 61)
    path = so.solve_path(centred, lams=ratios * so.lambda_max(centred), tol=1e-9)
    norms = [float(groups.norms(result.w).max()) for result in path]
    active = [len(groups.active(result.w)) for result in path]
    columns = {"lam_over_lambda_max": ratios, "largest_norm": norms, "active_groups": active}
    return {"norms": columns | {"raw_over_projected": [raw] * len(ratios)}, "paths": _paths()}


def _paths() -> Columns:
    found: dict[str, list] = {"dataset": [], "group": [], "lam_over_lambda_max": [], "norm": []}
    ratios = np.geomspace(1.05, 0.02, 25)
    for name in REAL_DATA:
        loss = real_data(name, "sqrt")
        path = so.solve_path(loss.problem, lams=ratios * float(loss.tau.max()), tol=1e-10)
        norms = np.array([loss.groups.norms(result.w) for result in path])
        for group, ratio in itertools.product(range(loss.groups.n_groups), range(len(ratios))):
            row = (name, group, ratios[ratio], norms[ratio, group])
            for column, value in zip(found, row, strict=True):
                found[column].append(value)
    return found


THEOREM = Theorem(
    name="lambda_max_is_sharp",
    ledger="D2",
    title="lambda_max is sharp: above it no group is active, just below it one is",
    statement=(
        r"With \lambda_{max} = \max_g \|\nabla_g L(w_0)\| / w_g at the null model w_0, in which the intercept and the "
        r"unpenalised groups alone are fitted, every penalised group is 0 for \lambda \ge \lambda_{max} and one is "
        r"active for \lambda < \lambda_{max}, for every convex L."
    ),
    source="Optimality conditions of the group LASSO at the null model (textbook)",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=tuple(
        Fixed(name, "real data with intercept, least squares and logistic", lambda n=name: _fixed_real(n))
        for name in REAL_DATA
    ),
    curves=curves,
    sizes={"quick": 15, "standard": 60, "full": 5000},
    printed="holds",
)
