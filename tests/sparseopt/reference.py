"""Slow, obvious twins and random problems for the tests of the core; nothing here calls what it checks."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

import sparseopt as so
from sparseopt.penalties import ExpMask, Linear, Log, Power, Ratio

SCALAR_PENALTIES = [
    Linear(),
    Power(0.5),
    Power(2 / 3),
    Power(0.9),
    Log(0.3),
    Log(1.0),
    Log(2.0),
    Ratio(),
    ExpMask(),
]


def uneven_groups() -> so.Groups:
    """Seven coefficients in three interleaved groups of 1, 2 and 4."""
    return so.Groups.from_lists([[3], [6, 0], [1, 2, 4, 5]])


def random_problem(seed: int, *, n: int = 12, sizes=(2, 3, 1, 2), ratio: float = 0.3, weights="sqrt", **datafit):
    """Gaussian least squares with a group LASSO at `ratio` times lambda_max; a planted group is active."""
    rng = np.random.default_rng(seed)
    groups = so.Groups.from_sizes(sizes)
    X = rng.standard_normal((n, groups.n_features))
    y = X[:, : sizes[0]].sum(axis=1) + 0.3 * rng.standard_normal(n)
    problem = so.Problem(X, so.LeastSquares(y, **datafit), so.GroupLasso(1.0, groups, weights=weights))
    return problem.with_lam(ratio * so.lambda_max(problem))


def root(x: Fraction) -> Fraction:
    """Square root of x >= 0, relative error below 2^-200."""
    if x == 0:
        return Fraction(0)
    shift = 2 * max(0, 220 + (x.denominator.bit_length() - x.numerator.bit_length()) // 2)
    return Fraction(math.isqrt((x.numerator << shift) // x.denominator), 1 << (shift // 2))


def fractions(values) -> list[Fraction]:
    return [Fraction(float(v)) for v in np.asarray(values).ravel()]


def exact_matrix(values) -> list[list[Fraction]]:
    dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    return [fractions(row) for row in dense]


def dot(a, b) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def exact_group_norms(groups: so.Groups, v) -> list[Fraction]:
    return [root(sum((v[j] ** 2 for j in groups.members(g)), Fraction(0))) for g in range(groups.n_groups)]


def exact_gap(problem: so.Problem, w) -> tuple[Fraction, Fraction]:
    """(duality gap at the best feasible multiple of the residual, objective) of a least-squares group LASSO."""
    datafit, penalty = problem.datafit, problem.penalty
    X, w = exact_matrix(problem.X), fractions(w)
    weight = fractions(datafit.sample_weight)
    share = [s / sum(weight) for s in weight]
    target = [a - b for a, b in zip(fractions(datafit.y), fractions(datafit.offset), strict=True)]
    residual = [t - dot(row, w) for t, row in zip(target, X, strict=True)]
    if datafit.fit_intercept:
        target = [t - dot(share, target) for t in target]
        residual = [r - dot(share, residual) for r in residual]
    force = [s * r for s, r in zip(share, residual, strict=True)]
    gradient = [dot([row[j] for row in X], force) for j in range(len(w))]
    strength = [Fraction(float(a)) * Fraction(penalty.lam) for a in penalty.weights]
    norms = exact_group_norms(penalty.groups, gradient)
    primal = dot(force, residual) / 2 + dot(strength, exact_group_norms(penalty.groups, w))
    linear, square = dot(force, target), dot(force, residual)
    limits = [s / g for s, g in zip(strength, norms, strict=True) if g > 0]
    best = linear / square if square else Fraction(0)
    alpha = max(min([best, *limits]), -min(limits)) if limits else best
    return primal - alpha * linear + alpha**2 * square / 2, primal


def leading_minors_positive(A: list[list[Fraction]]) -> bool:
    """Sylvester's criterion, by elimination without pivoting: whether A is positive definite."""
    rows = [list(row) for row in A]
    for k in range(len(rows)):
        if rows[k][k] <= 0:
            return False
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return True


def group_prox_objective(penalty, w, v, step: float, strength) -> np.ndarray:
    """|w - v|^2 / 2 + step * sum_g strength_g rho(|w_g|), written out with its own loop; w: [..., p]."""
    total = ((w - v) ** 2).sum(axis=-1) / 2
    for g in range(penalty.groups.n_groups):
        norm = np.sqrt((w[..., penalty.groups.members(g)] ** 2).sum(axis=-1))
        total = total + step * strength[g] * penalty.rho.value(np.asarray(norm, dtype=np.float64))
    return total


def check_group_prox(penalty, v, step: float, strength) -> None:
    """The prox of a group penalty against a grid along every group and random competitors in all directions."""
    rng = np.random.default_rng(0)
    found = penalty.prox(v, step)
    value = group_prox_objective(penalty, found, v, step, strength)
    competitors = [found + scale * rng.standard_normal((200, len(v))) for scale in (1e-6, 1e-3, 1e-1, 1.0)]
    for g in range(penalty.groups.n_groups):
        ray = np.repeat(found[None], 400, axis=0)
        members = penalty.groups.members(g)
        ray[:, members] = np.linspace(0, 1.2, 400)[:, None] * v[members]
        competitors.append(ray)
    best = min(group_prox_objective(penalty, c, v, step, strength).min() for c in competitors)
    slack = 64 * np.finfo(float).eps * len(v) * (abs(value) + (v**2).sum())
    assert value <= best + slack, f"a competitor is lower by {value - best:g}"
