"""Solutions of random small problems over every convex pair against the interior point method of Clarabel.

The solver of so.solve is compared with models that cvxpy builds from the definitions.  No tolerance is chosen: the gap
comes from the certificate, the error of the reference from its own dual point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from glm import CLASSES, LOSSES, WITH_INTERCEPT, datafit, shape_of, slow_value
from scipy import sparse

import sparseopt as so

cp = pytest.importorskip("cvxpy", reason="cvxpy is not installed")

KINDS = ["GroupLasso", "SparseGroupLasso", "GroupElasticNet", "free group", "positive", "forced out"]
CELLS = [(loss, kind, False) for loss in LOSSES for kind in KINDS]
CELLS += [(loss, kind, True) for loss in WITH_INTERCEPT for kind in KINDS]
SEEDS = range(4)
EPS = np.finfo(float).eps


def draw(loss: str, kind: str, intercept: bool, seed: int) -> so.Problem:
    """A random problem: size, groups, weights, correlation, strength and storage of X are all drawn."""
    rng = np.random.default_rng([seed, LOSSES.index(loss), KINDS.index(kind), intercept])
    n, p, G = int(rng.integers(8, 18)), int(rng.integers(5, 10)), int(rng.integers(2, 5))
    groups = so.Groups.from_labels(rng.permutation(np.r_[np.arange(G), rng.integers(1, G, p - G)]))
    X = rng.standard_normal((n, p)) + rng.uniform(0, 1) * rng.standard_normal((n, 1))
    X = X * (rng.uniform(size=X.shape) < 0.6) if seed % 3 == 1 else X
    made = so.Problem(
        sparse.csr_array(X) if seed % 3 == 1 else X,
        datafit(loss, seed, intercept=intercept, plain=seed % 2 == 0, n=n),
        penalty(kind, groups, rng),
    )
    free_sign = made.with_penalty(so.GroupLasso(1.0, groups)) if kind == "positive" else made
    return made.with_lam(float(np.exp(rng.uniform(np.log(0.03), np.log(0.7)))) * so.lambda_max(free_sign))


def penalty(kind: str, groups: so.Groups, rng: np.random.Generator):
    weights = rng.uniform(0.5, 2, groups.n_groups)
    if kind == "free group":  # the one of one column, which n samples determine
        weights[0] = 0.0
    if kind == "forced out":
        weights[int(rng.integers(groups.n_groups))] = np.inf
    if kind == "SparseGroupLasso":
        weights[0] = rng.choice([0.0, 1.0])
        return so.SparseGroupLasso(1.0, groups, l1_ratio=float(rng.uniform(0.1, 0.9)), weights=weights)
    if kind == "GroupElasticNet":
        weights[0] = rng.choice([0.0, 1.0])
        return so.GroupElasticNet(1.0, groups, l2=float(rng.uniform(0.01, 0.3)), weights=weights)
    return so.GroupLasso(1.0, groups, weights=weights, positive=kind == "positive")


def slow_penalty(penalty, w) -> float:
    total = 0.0
    ratio = getattr(penalty, "l1_ratio", 0.0)
    for g in range(penalty.groups.n_groups):
        norm = np.sqrt((w[penalty.groups.members(g)] ** 2).sum())
        total += penalty.lam * (1 - ratio) * penalty.weights[g] * norm if norm > 0 else 0.0
    return float(total + penalty.lam * ratio * np.abs(w).sum() + getattr(penalty, "l2", 0.0) / 2 * (w**2).sum())


def slow_objective(problem: so.Problem, w, intercept) -> float:
    X = problem.X.toarray() if sparse.issparse(problem.X) else problem.X
    eta = X @ w + problem.datafit.offset + intercept
    return slow_value(problem.datafit, eta) + slow_penalty(problem.penalty, w)


def loss_model(fit, eta):
    """The mean loss of the linear predictor eta [n] or [n, T] in cvxpy."""
    share = fit.sample_weight / fit.sample_weight.sum()
    if isinstance(fit, so.Cox):
        return cox_model(fit, eta)
    if isinstance(fit, so.MultiResponse):
        return cp.sum(cp.multiply(share[:, None], cp.square(fit.Y - eta))) / 2
    if isinstance(fit, so.LeastSquares):
        return share @ cp.square(fit.y - eta) / 2
    if isinstance(fit, so.Huber):
        return share @ cp.huber(fit.y - eta, fit.delta) / 2
    if isinstance(fit, so.Poisson):
        return share @ (cp.exp(eta) - cp.multiply(fit.y, eta))
    if isinstance(fit, so.Multinomial):
        chosen = np.eye(CLASSES)[np.asarray(fit.y, dtype=int)]
        return share @ (cp.log_sum_exp(eta, axis=1) - cp.sum(cp.multiply(chosen, eta), axis=1))
    return share @ cp.logistic(cp.multiply(np.where(fit.y > 0, -1.0, 1.0), eta))


def cox_model(fit, eta):
    weight, total = fit.sample_weight, fit.sample_weight.sum()
    dies = fit.event & (weight > 0)
    terms = []
    for t in np.unique(fit.time[dies]):
        risk, dead = np.flatnonzero((fit.time >= t) & (weight > 0)), np.flatnonzero(dies & (fit.time == t))
        for k in range(len(dead)):
            kept = 1 - k / len(dead) if fit.ties == "efron" else 1.0
            logs = np.log(weight[risk]) + np.log(np.where(np.isin(risk, dead), kept, 1.0))
            terms.append(weight[dead].mean() * cp.log_sum_exp(eta[risk] + logs))
        terms.append(-(weight[dead] @ eta[dead]))
    return sum(terms) / total


def penalty_model(penalty, w):
    ratio, rows = getattr(penalty, "l1_ratio", 0.0), [penalty.groups.members(g) for g in range(penalty.groups.n_groups)]
    weights = [penalty.lam * (1 - ratio) * c for c in penalty.weights]
    terms = [c * cp.norm(cp.vec(w[r], order="C"), 2) for c, r in zip(weights, rows, strict=True) if 0 < c < np.inf]
    limits = [w[r] == 0 for c, r in zip(weights, rows, strict=True) if np.isinf(c)]
    limits += [w >= 0] if getattr(penalty, "positive", False) else []
    terms += [penalty.lam * ratio * cp.sum(cp.abs(w))] if ratio else []
    terms += [penalty.l2 / 2 * cp.sum_squares(w)] if hasattr(penalty, "l2") else []
    return sum(terms), limits


@dataclass(frozen=True)
class Reference:
    """value: of the objective at a feasible point, written out.  lower: bound of the minimum from the dual point."""

    value: float
    lower: float


def reference(problem: so.Problem) -> Reference:
    fit = problem.datafit
    w = cp.Variable(problem.w_shape)
    b = cp.Variable(problem.w_shape[1:]) if fit.fit_intercept else np.zeros(problem.w_shape[1:])
    X = problem.X.toarray() if sparse.issparse(problem.X) else problem.X
    ones = np.ones((len(X), 1))
    shift = (
        (ones @ cp.reshape(b, (1, CLASSES), order="C") if len(shape_of(fit)) == 2 else b) if fit.fit_intercept else 0
    )
    paid, limits = penalty_model(problem.penalty, w)
    model = cp.Problem(cp.Minimize(loss_model(fit, X @ w + fit.offset + shift) + paid), limits)
    data, chain, inverse = model.get_problem_data("CLARABEL", solver_opts={})
    found = chain.solve_via_data(model, data, solver_opts={})
    model.unpack_results(found, chain, inverse)
    point = np.maximum(w.value, 0) if getattr(problem.penalty, "positive", False) else w.value.copy()
    point[np.isinf(problem.penalty.weights)[problem.penalty.groups.labels]] = 0
    value = slow_objective(problem, point, b.value if fit.fit_intercept else b)
    return Reference(value, model.value - found.obj_val + dual_bound(data, found))


def dual_bound(data, found) -> float:
    """x'Px/2 + c'x >= -x0'Px0/2 - b'z + r'x where Ax + s = b, z's >= 0, for r = Px0 + A'z + c: weak duality.

    The term r'x is bounded with |x| <= 2 |x0| + 1 for the minimiser x, in the largest entry.
    """
    x0, z = np.array(found.x), np.array(found.z)
    Px = data["P"] @ x0 if data.get("P") is not None else 0 * x0
    rest = Px + data["A"].T @ z + data["c"]
    return float(-(x0 @ Px) / 2 - data["b"] @ z - np.abs(rest).sum() * (2 * np.abs(x0).max() + 1))


NONCONVEX = [(name, seed) for name in ("GroupL0", "GroupMCP", "GroupSCAD") for seed in range(12)]


@pytest.mark.sample(every=7)
@pytest.mark.parametrize(("name", "seed"), NONCONVEX)
def test_descent_from_many_starts_agrees_with_branch_and_bound(name, seed):
    """No run ends below the proved bound, and the best of them ends at the proved optimum."""
    convex = draw("LeastSquares", "GroupLasso", intercept=seed % 2 == 1, seed=seed)
    lam = convex.penalty.lam**2 if name == "GroupL0" else convex.penalty.lam
    problem = convex.with_penalty(getattr(so, name)(lam, convex.penalty.groups, weights=convex.penalty.weights))
    optimum = so.solvers.BranchAndBound(tol=1e-7).prove(problem)
    assert optimum.proved, optimum.reason
    rng = np.random.default_rng(seed)
    starts = [optimum.w, *(rng.standard_normal((40, problem.n_features)) * 10 ** rng.uniform(-2, 1, (40, 1)))]
    ends = [so.solve(problem, w0=w0, tol=1e-9, max_iter=2000, throw=False).objective for w0 in starts]
    rounding = 64 * EPS * problem.X.shape[0] * abs(optimum.objective)
    assert min(ends) >= optimum.lower - rounding
    assert min(ends) <= optimum.objective + rounding
    assert min(ends[1:]) <= optimum.lower + 1e-5 * abs(optimum.objective)


def test_at_least_three_hundred_problems_over_every_pair():
    assert len(CELLS) * len(SEEDS) >= 300
    assert {loss for loss, _, _ in CELLS} == set(LOSSES)
    assert len(set(CELLS)) == len(CELLS) == len(KINDS) * (len(LOSSES) + len(WITH_INTERCEPT))


@pytest.mark.sample(every=13)
@pytest.mark.parametrize(("loss", "kind", "intercept"), CELLS)
def test_objective_agrees_within_the_certified_gap(loss, kind, intercept):
    for seed in SEEDS:
        problem = draw(loss, kind, intercept, seed)
        result = so.solve(problem, tol=1e-8)
        proof = so.certify.duality_gap(problem, result.w, tol=1e-7)
        assert proof.verdict == "proved", proof.reason
        ours, expected = slow_objective(problem, result.w, result.intercept), reference(problem)
        rounding = 64 * EPS * problem.X.shape[0] * proof.scale
        assert expected.value - expected.lower + proof.upper <= 1e-5 * proof.scale  # or it would say nothing
        assert ours <= expected.value + proof.upper + rounding, seed
        assert ours >= expected.lower - rounding, seed
        assert expected.lower - rounding <= result.objective <= expected.value + proof.upper + rounding, seed
