"""Weights 0 (unpenalised groups) and inf (groups forced out): prox, value, violation, gap, solutions, lambda_max."""

from __future__ import annotations

import math

import numpy as np
import pytest
from reference import uneven_groups

import sparseopt as so
from sparseopt import datafits
from sparseopt.unpenalised import refit

GROUPS = uneven_groups()
EXTREME = np.array([0.0, math.inf, 1.3])
MAKERS = {
    "GroupLasso": so.GroupLasso,
    "GroupLq": so.GroupLq,
    "GroupLogSum": so.GroupLogSum,
    "GroupExpMask": so.GroupExpMask,
    "GroupMCP": so.GroupMCP,
    "GroupSCAD": so.GroupSCAD,
    "GroupL0": so.GroupL0,
    "SparseGroupLasso 0": lambda lam, groups, weights: so.SparseGroupLasso(lam, groups, l1_ratio=0.0, weights=weights),
    "positive": lambda lam, groups, weights: so.GroupLasso(lam, groups, weights, positive=True),
}
EVERY = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
WITH_MORE = {"SparseGroupLasso 1": (1.0, None), "SparseGroupLasso": (0.4, None), "GroupElasticNet": (0.0, 0.7)}


@EVERY
@pytest.mark.parametrize("shape", [(7,), (7, 2)], ids=str)
def test_prox_value_and_violation(make, shape, xp):
    penalty = make(0.5, GROUPS, weights=EXTREME)
    v = np.abs(np.random.default_rng(0).standard_normal(shape))
    free, out, usual = (GROUPS.members(g) for g in range(3))
    w = np.asarray(penalty.prox(xp.asarray(v), 0.2))
    assert np.array_equal(w[free], v[free])
    assert np.all(w[out] == 0)
    alone = make(0.5, so.Groups.uniform(1, 4), weights=[1.3])
    assert w[usual] == pytest.approx(alone.prox(v[usual], 0.2), rel=1e-14)
    assert np.asarray(penalty.value(xp.asarray(w))) == pytest.approx(float(alone.value(w[usual])), rel=1e-14)
    assert np.asarray(penalty.value(xp.asarray(v))) == math.inf
    gradient = np.ones(shape)
    here = np.asarray(penalty.violation(xp.asarray(w), xp.asarray(gradient)))
    assert here[:2] == pytest.approx([np.linalg.norm(gradient[free]), 0])
    assert here[2] == pytest.approx(alone.violation(w[usual], gradient[usual])[0], rel=1e-13)
    there = np.asarray(penalty.violation(xp.asarray(v), xp.asarray(gradient)))
    assert there[1] == math.inf
    assert not np.isnan(there).any()


@EVERY
def test_traits(make):
    penalty = make(0.5, GROUPS, weights=EXTREME)
    assert penalty.unpenalised.tolist() == [0]
    assert penalty.slope0[:2].tolist() == [0, math.inf]
    assert penalty.strength.tolist() == [0, math.inf, 0.65]
    assert not math.isnan(penalty.weak_convexity)
    assert penalty.weak_convexity == make(0.5, so.Groups.uniform(1, 4), weights=[1.3]).weak_convexity
    assert make(0.5, GROUPS, weights=np.zeros(3)).weak_convexity == 0


@pytest.mark.parametrize(("ratio", "l2"), WITH_MORE.values(), ids=WITH_MORE)
def test_what_is_left_of_penalties_with_a_second_part(ratio, l2):
    """Weight 0 leaves the l_1 part, or the ridge; weight inf forces out in any case."""
    if l2 is None:
        penalty = so.SparseGroupLasso(0.5, GROUPS, l1_ratio=ratio, weights=EXTREME)
        assert penalty.unpenalised.tolist() == []
    else:
        penalty = so.GroupElasticNet(0.5, GROUPS, l2=l2, weights=EXTREME)
        assert penalty.conjugate(np.array([0, 9, 9, 0, 9, 9, 9.0])) < penalty.conjugate(9 * np.ones(7)) < math.inf
    v = np.random.default_rng(0).standard_normal(7) * 3
    w = penalty.prox(v, 0.3)
    j = int(GROUPS.members(0)[0])
    left = np.sign(v[j]) * max(abs(v[j]) - 0.3 * 0.5 * ratio, 0) if l2 is None else v[j] / (1 + 0.3 * l2)
    assert w[j] == pytest.approx(left, rel=1e-14)
    assert np.all(w[GROUPS.members(1)] == 0)
    assert math.isfinite(penalty.value(w))
    assert penalty.value(v) == math.inf
    assert np.all(penalty.violation(w, (w - v) / 0.3) <= 1e-13)


def test_the_shared_weights_keep_their_meaning():
    for made, expected in (("sqrt", np.sqrt([1, 2, 4])), ("none", [1, 1, 1]), ([1, 2, 3], [1, 2, 3])):
        assert so.GroupMCP(1.0, GROUPS, weights=made).weights.tolist() == list(expected)
    for wrong in ([1, 2], [1, -1, 1], [1, math.nan, 1], "equal", [[1, 2, 3]]):
        with pytest.raises(ValueError, match="weights"):
            so.GroupLasso(1.0, GROUPS, weights=wrong)


def data(n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 12))
    return X, X[:, :4].sum(axis=1) / 2 + rng.standard_normal(n)


def losses():
    X, y = data()
    counts = np.random.default_rng(1).poisson(np.exp(np.clip(y, -3, 2))).astype(float)
    weights = np.random.default_rng(2).integers(0, 3, len(y))
    return {
        "LeastSquares": datafits.LeastSquares(y),
        "LeastSquares weighted, intercept": datafits.LeastSquares(y, sample_weight=weights, intercept=True),
        "Logistic": datafits.Logistic((y > 0).astype(float), intercept=True),
        "Huber": datafits.Huber(y, 0.5),
        "Poisson": datafits.Poisson(counts, intercept=True),
        "MultiResponse": datafits.MultiResponse(np.column_stack([y, X[:, 6] - y]), intercept=True),
        "Multinomial": datafits.Multinomial((y > 0.4).astype(int) + (y > -0.6)),
    }


@pytest.mark.parametrize("loss", losses().values(), ids=losses())
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_refit_reaches_orthogonality_to_rounding(loss, start):
    X, _ = data()
    columns = np.column_stack([X[:, :3], X[:, 0] + X[:, 1]])  # one column too many
    first = start * X[:, 5] if loss.n_outputs is None else start * X[:, 5 : 5 + loss.n_outputs]
    z, fitted = refit(loss, columns, first)
    assert fitted
    assert np.abs(columns.T @ loss.gradient(z)).max() < 1e-13
    outside = z - first
    assert outside == pytest.approx(columns @ np.linalg.lstsq(columns, outside, rcond=None)[0], abs=1e-10)


@pytest.mark.parametrize("loss", losses().values(), ids=losses())
def test_lambda_max_with_an_unpenalised_group(loss):
    X, _ = data()
    groups = so.Groups.uniform(4, 3)
    problem = so.Problem(X, loss, so.GroupLasso(1.0, groups, weights=[0, 1, 1, math.inf]))
    largest = so.lambda_max(problem)
    above = so.solve(problem.with_lam(1.001 * largest), tol=1e-10)
    assert groups.active(above.w).tolist() == [0]
    assert above.gap <= 1e-10
    below = so.solve(problem.with_lam(0.9999 * largest), tol=1e-10)
    assert len(groups.active(below.w)) > 1
    null = so.Problem(X[:, :3], loss, so.GroupLasso(1.0, so.Groups.uniform(1, 3), weights=[0]))
    alone = so.solve(null, tol=1e-12)
    assert X[:, :3] @ (above.w[:3] - alone.w) == pytest.approx(np.zeros_like(X[:, :3] @ alone.w), abs=1e-3)


@pytest.mark.parametrize("name", ["LeastSquares", "Logistic", "Huber"])
@pytest.mark.parametrize("seed", range(3))
def test_an_unpenalised_group_that_has_to_be_nonnegative(name, seed):
    """Where it is 0 the gradient may be positive; where it is positive the gradient is 0."""
    rng = np.random.default_rng(seed)
    X, groups = rng.standard_normal((40, 9)), so.Groups.uniform(3, 3)
    y = X @ rng.standard_normal(9) + 2 * rng.standard_normal(40)
    loss = getattr(so, name)(np.sign(y) if name == "Logistic" else y, intercept=bool(seed % 2))
    problem = so.Problem(X, loss, so.GroupLasso(1.0, groups, weights=[0, 1, 1], positive=True))
    largest = so.lambda_max(problem)
    above, below = (so.solve(problem.with_lam(share * largest), tol=1e-9) for share in (1.001, 0.99))
    assert not above.w[3:].any()
    assert below.w[3:].any()
    at = problem.with_lam(0.3 * largest)
    solution = so.solve(at, tol=1e-9)
    assert solution.w[:3].any()
    for level in ("float", "ball"):
        assert so.certify.duality_gap(at, solution.w, tol=1e-6, level=level).proved
    assert so.solve(at, so.solvers.FISTA(), tol=1e-7).objective == pytest.approx(solution.objective, rel=1e-6)
    worse = solution.w + np.where(np.arange(9) == np.argmax(solution.w[:3]), 0.1, 0.0)
    assert not so.certify.duality_gap(at, worse, tol=1e-6, level="ball").proved


@pytest.mark.parametrize("name", ["MultiResponse", "Multinomial"])
@pytest.mark.parametrize("intercept", [False, True])
def test_nonnegative_unpenalised_coefficients_of_several_outputs(name, intercept):
    """Each entry has its own side of 0; a multinomial loss has no side, since constants over the classes are free."""
    rng = np.random.default_rng(int(intercept))
    X, groups = rng.standard_normal((30, 6)), so.Groups.uniform(3, 2)
    Y = X @ rng.standard_normal((6, 3)) + 3 * rng.standard_normal((30, 3))
    loss = getattr(so, name)(Y.argmax(axis=1) if name == "Multinomial" else Y, intercept=intercept)
    problem = so.Problem(X, loss, so.GroupLasso(1.0, groups, weights=[0, 1, 1], positive=True))
    largest = so.lambda_max(problem)
    above, below = (so.solve(problem.with_lam(share * largest), tol=1e-9) for share in (1.001, 0.99))
    assert not above.w[2:].any()
    assert below.w[2:].any()
    at = problem.with_lam(0.3 * largest)
    solution = so.solve(at, tol=1e-9)
    partly = (solution.w[:2] > 0).any(axis=1) & (solution.w[:2] == 0).any(axis=1)
    assert partly.any()
    for level in ("float", "ball"):
        assert so.certify.duality_gap(at, solution.w, tol=1e-6, level=level).proved
    assert so.solve(at, so.solvers.FISTA(), tol=1e-7).objective == pytest.approx(solution.objective, rel=1e-6)
    worse = solution.w + np.where(np.arange(6) == 0, 0.1, 0.0)[:, None] * (np.arange(3) == 0)
    assert so.certify.duality_gap(at, worse, tol=1e-6, level="ball").verdict == "refuted"


@pytest.mark.parametrize("solver", [None, so.solvers.FISTA()], ids=["default", "FISTA"])
@pytest.mark.parametrize("intercept", [False, True])
def test_solutions_agree_with_cvxpy(solver, intercept):
    cvxpy = pytest.importorskip("cvxpy")
    X, y = data()
    groups, weights = so.Groups.uniform(4, 3), [0, 1.0, 0.5, math.inf]
    problem = so.Problem(X, so.LeastSquares(y, intercept=intercept), so.GroupLasso(0.2, groups, weights=weights))
    result = so.solve(problem, solver, tol=1e-10)
    w, b = cvxpy.Variable(12), cvxpy.Variable()
    fit = cvxpy.sum_squares(y - X @ w - (b if intercept else 0)) / 80
    cost = fit + 0.2 * (cvxpy.norm(w[3:6]) + 0.5 * cvxpy.norm(w[6:9]))
    best = cvxpy.Problem(cvxpy.Minimize(cost), [w[9:] == 0]).solve(solver="CLARABEL")
    assert result.objective == pytest.approx(best, rel=1e-8)
    for u in np.random.default_rng(0).standard_normal((5, 12)):
        u[9:] = 0
        assert problem.gap(u) >= problem.objective(u) - best - 1e-8


def test_lambda_max_names_what_stands_in_its_way():
    X, y = data()
    groups = so.Groups.uniform(4, 3)
    with pytest.raises(ValueError, match="every group has weight 0"):
        so.lambda_max(so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, groups, weights=np.zeros(4))))
    forced_out = so.GroupLasso(1.0, groups, weights=[0, math.inf, math.inf, math.inf])
    with pytest.raises(ValueError, match="forced out"):
        so.lambda_max(so.Problem(X, so.LeastSquares(y), forced_out))
    separable = datafits.Logistic((X[:, 0] > 0).astype(float))
    with pytest.raises(ValueError, match="fit y exactly"):
        so.lambda_max(so.Problem(X, separable, so.GroupLasso(1.0, groups, weights=[0, 1, 1, 1])))


def test_lambda_max_of_the_inverse_sum_does_not_depend_on_the_scale_of_its_penalty():
    X, y = data()
    groups = so.Groups.uniform(4, 3)
    expected = so.lambda_max(so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, groups, weights="none")))
    for rho in (so.penalties.Log(0.1), so.penalties.Log(3.0), so.penalties.Power(0.5)):
        assert so.lambda_max(so.Problem(X, so.LeastSquares(y), so.InverseSum(1.0, groups, rho))) == expected


@pytest.mark.parametrize("weights", [[0, 1, 1, 1], [1, 1, 1, math.inf]], ids=str)
def test_the_window_of_the_plain_group_lasso_refuses_the_others(weights):
    X, y = data()
    groups = so.Groups.uniform(4, 3)
    others = [so.GroupLasso(0.1, groups, weights=weights), so.GroupLasso(0.1, groups, positive=True)]
    others += [so.SparseGroupLasso(0.1, groups), so.GroupElasticNet(0.1, groups)]
    for penalty in others:
        problem = so.Problem(X, so.LeastSquares(y), penalty)
        with pytest.raises(ValueError, match="is not the group LASSO"):
            so.certify.lambda_window(problem)


FORCED = np.array([1.0, np.inf, 1.0, np.inf] + [1.0] * 6)
"""Weights of ten groups, two of which are forced out."""

RADIAL = {
    "GroupLasso": lambda g, w: so.GroupLasso(1.0, g, w),
    "SparseGroupLasso": lambda g, w: so.SparseGroupLasso(1.0, g, l1_ratio=0.3, weights=w),
    "GroupElasticNet": lambda g, w: so.GroupElasticNet(1.0, g, l2=0.1, weights=w),
    "GroupMCP": lambda g, w: so.GroupMCP(1.0, g, weights=w),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(40, 30), (30, 200)])
@pytest.mark.parametrize("name", RADIAL)
def test_block_descent_leaves_out_what_is_forced_out(name, shape):
    """Solution and rounds are those of the problem without these groups."""
    rng = np.random.default_rng(0)
    n, p = shape
    X, groups = rng.standard_normal(shape), so.Groups.uniform(10, p // 10)
    y = X[:, : p // 5].sum(axis=1) + rng.standard_normal(n)
    whole = so.Problem(X, so.LeastSquares(y), RADIAL[name](groups, FORCED))
    kept = np.repeat(np.isfinite(FORCED), p // 10)
    part = so.Problem(
        X[:, kept], whole.datafit, RADIAL[name](so.Groups.uniform(8, p // 10), FORCED[np.isfinite(FORCED)])
    )
    assert so.solvers.GroupBCD.suits(whole)
    whole, part = (each.with_lam(0.1 * so.lambda_max(part)) for each in (whole, part))
    one, two = (so.solve(each, tol=1e-10) for each in (whole, part))
    assert not one.w[~kept].any()
    np.testing.assert_allclose(one.w[kept], two.w, atol=1e-7 * np.abs(two.w).max())
    assert one.n_iter == two.n_iter


def test_paths_of_tall_data_with_groups_that_are_forced_out():
    """Neither packed columns nor the Gram matrix bring them in."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2700, 100))
    y = X[:, :20].sum(axis=1) + rng.standard_normal(2700)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, so.Groups.uniform(10, 10), FORCED))
    for result in so.solve_path(problem, n_lambdas=4, ratio=1e-2, tol=1e-8):
        assert not result.w[10:20].any()
        assert so.certify.duality_gap(problem.with_lam(result.lam), result.w, tol=1e-7).proved


@pytest.mark.parametrize("name", ["LeastSquares", "Poisson"])
def test_nonnegative_unpenalised_columns_that_others_span(name):
    """Zero and repeated columns: their gradient is 0, of a sign that rounding errors decide."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 6))
    X[:, 1], X[:, 2] = X[:, 0], 0.0
    y = rng.poisson(np.exp(0.5 * X[:, 0])) if name == "Poisson" else X[:, 0] + rng.standard_normal(20)
    penalty = so.GroupLasso(0.05, so.Groups.uniform(2, 3), weights=[0, 1], positive=True)
    problem = so.Problem(X, getattr(so, name)(y, intercept=True), penalty)
    w = so.solve(problem, tol=1e-9).w
    assert w[:2].any()
    w[:3] = [w[:2].sum(), 0.0, 0.0]
    assert problem.gap(w) <= 1e-8 * problem.objective(w)
    for level in ("float", "ball"):
        assert so.certify.duality_gap(problem, w, level=level).proved


def test_what_separates_samples_is_named():
    X, y = data()
    groups = so.Groups.uniform(4, 3)
    penalty = so.GroupLasso(0.1, groups, weights=[0, 1, 1, 1])
    separable = so.Problem(X, so.Logistic((X[:, 0] + X[:, 1] > 0).astype(float)), penalty)
    assert so.solve(separable).status is so.Status.CONVERGED  # the infimum, to the tolerance
    with pytest.raises(so.NotConverged, match=r"separate samples.*weight > 0"):
        so.solve(separable, so.solvers.FISTA(), max_iter=20)
    overlapping = so.Problem(X, so.Logistic((y > 0).astype(float)), penalty)
    short = so.solve(overlapping, so.solvers.FISTA(), tol=1e-12, max_iter=2, throw=False)
    assert short.advice == short.status.advice
