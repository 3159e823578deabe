"""Sparse group LASSO, group elastic net, non-negative group LASSO: prox, violation, conjugate, lambda_max, limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import uneven_groups

import sparseopt as so

GROUPS = uneven_groups()
WEIGHTS = np.array([0.3, 5.0, 1.7])
PENALTIES = {
    **{
        f"sparse {r}": so.SparseGroupLasso(0.4, GROUPS, l1_ratio=r, weights=WEIGHTS)
        for r in (0.0, 0.05, 0.5, 0.95, 1.0)
    },
    "elastic net": so.GroupElasticNet(0.4, GROUPS, l2=0.8, weights=WEIGHTS),
    "positive": so.GroupLasso(0.4, GROUPS, weights=WEIGHTS, positive=True),
}
EVERY = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
SHAPES = pytest.mark.parametrize("shape", [(7,), (7, 3)], ids=str)


def slow_value(penalty, w) -> float:
    """The formula of each docstring with loops over entries and groups."""
    entries = [abs(x) for x in np.ravel(w).tolist()]
    norms = [math.sqrt(float((w[GROUPS.members(g)] ** 2).sum())) for g in range(3)]
    group_part = sum(a * b for a, b in zip(penalty.weights, norms, strict=True))
    if isinstance(penalty, so.SparseGroupLasso):
        return penalty.lam * (penalty.l1_ratio * sum(entries) + (1 - penalty.l1_ratio) * group_part)
    if isinstance(penalty, so.GroupElasticNet):
        return penalty.lam * group_part + penalty.l2 / 2 * sum(x * x for x in entries)
    return math.inf if (w < 0).any() else penalty.lam * group_part


@EVERY
@SHAPES
def test_value_is_the_formula(penalty, shape):
    rng = np.random.default_rng(0)
    for _ in range(5):
        w = rng.standard_normal(shape) * (rng.uniform(size=shape) < 0.6)
        for u in (w, np.abs(w)):
            assert penalty.value(u) == pytest.approx(slow_value(penalty, u), rel=1e-14)
    assert penalty.value(np.zeros(shape)) == 0


@EVERY
@SHAPES
@pytest.mark.parametrize("step", [0.01, 0.5, 3.0, 40.0])
def test_prox_beats_random_competitors(penalty, shape, step):
    """The prox objective is 1-strongly convex: a competitor u is worse by at least |u - w|^2 / 2."""
    rng = np.random.default_rng(1)
    for scale in (0.1, 1.0, 10.0):
        v = scale * rng.standard_normal(shape)
        w = penalty.prox(v, step)
        best = ((w - v) ** 2).sum() / 2 + step * slow_value(penalty, w)
        for size in (1e-5, 1e-3, 0.1, 1.0):
            for _ in range(30):
                d = size * rng.standard_normal(shape) * (rng.uniform(size=shape) < rng.uniform())
                u = w + d
                u = np.maximum(u, 0) if getattr(penalty, "positive", False) else u
                value = ((u - v) ** 2).sum() / 2 + step * slow_value(penalty, u)
                assert best + ((u - w) ** 2).sum() / 2 <= value + 1e-13 * (best + (v**2).sum())


@EVERY
@SHAPES
def test_violation_vanishes_at_prox_fixed_points(penalty, shape):
    rng = np.random.default_rng(2)
    for scale in (0.1, 1.0, 10.0):
        v = scale * rng.standard_normal(shape)
        w = penalty.prox(v)
        assert np.all(penalty.violation(w, w - v) <= 1e-13 * (scale + 2))


@EVERY
def test_violation_is_the_distance_to_the_subdifferential(penalty):
    """-gradient + d with |d| = violation is a subgradient, and none is nearer: by convex programming."""
    cvxpy = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(3)
    for trial in range(6):
        w = rng.standard_normal(7) * (rng.uniform(size=7) < 0.5)
        w[GROUPS.members(trial % 3)] = 0.0
        w = np.abs(w) if getattr(penalty, "positive", False) else w
        gradient = rng.standard_normal(7)
        found = penalty.violation(w, gradient)
        for g in range(3):
            T = GROUPS.members(g)
            ball, box, normal = cvxpy.Variable(len(T)), cvxpy.Variable(len(T)), cvxpy.Variable(len(T))
            norm, strength = np.linalg.norm(w[T]), penalty.strength[g]
            limits = [ball == strength * w[T] / norm if norm > 0 else cvxpy.norm(ball) <= strength]
            l1 = getattr(penalty, "l1", 0.0)
            limits += [box[i] == l1 * np.sign(w[j]) if w[j] else cvxpy.abs(box[i]) <= l1 for i, j in enumerate(T)]
            free = [getattr(penalty, "positive", False) and w[j] == 0 for j in T]
            limits += [normal[i] <= 0 if free[i] else normal[i] == 0 for i in range(len(T))]
            ridge = getattr(penalty, "l2", 0.0) * w[T]
            distance = cvxpy.Problem(cvxpy.Minimize(cvxpy.norm(gradient[T] + ridge + ball + box + normal)), limits)
            assert found[g] == pytest.approx(distance.solve(solver="CLARABEL"), abs=1e-6)


@EVERY
@given(seed=st.integers(0, 2**32 - 1))
def test_prox_is_firmly_nonexpansive(penalty, seed):
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal((2, 7, 2)) * 3
    step = 10.0 ** rng.uniform(-2, 1)
    moved = penalty.prox(u, step) - penalty.prox(v, step)
    assert (moved**2).sum() <= ((u - v) * moved).sum() + 1e-12


@EVERY
@SHAPES
def test_every_library_gives_the_same(penalty, shape, xp):
    v = np.random.default_rng(0).standard_normal(shape)
    for name, arguments in [("value", (v,)), ("prox", (v, 0.4)), ("violation", (np.abs(v), v))]:
        arrays = [xp.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
        expected = np.asarray(getattr(penalty, name)(*arguments))
        assert np.asarray(getattr(penalty, name)(*arrays)) == pytest.approx(expected, rel=1e-13, abs=1e-15)


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_prox_keeps_dtype_and_input_and_writes_out(penalty, dtype):
    v = np.random.default_rng(0).standard_normal(7).astype(dtype)
    before = v.copy()
    result = penalty.prox(v, 0.3)
    assert result.dtype == dtype
    assert np.array_equal(v, before)
    assert not np.signbit(result[result == 0]).any()
    assert penalty.prox(v, 0.3, out=v) is v
    assert np.array_equal(v, result)


@EVERY
def test_with_lam_and_restrict(penalty):
    rng = np.random.default_rng(0)
    other = penalty.with_lam(2.0)
    assert type(other) is type(penalty)
    assert (other.lam, penalty.lam) == (2.0, 0.4)
    w = np.abs(rng.standard_normal(7))
    ridge = getattr(penalty, "l2", 0.0) / 2 * (w @ w)
    assert other.value(w) - ridge == pytest.approx(5 * (penalty.value(w) - ridge), rel=1e-13)
    kept = np.isin(GROUPS.labels, [0, 2])
    w[~kept] = 0
    assert penalty.restrict(np.array([0, 2])).value(w[kept]) == pytest.approx(penalty.value(w), rel=1e-14)
    assert "lam=0.4" in repr(penalty)


def test_limits_of_the_sparse_group_lasso():
    rng = np.random.default_rng(0)
    for shape in ((7,), (7, 2)):
        v, w = rng.standard_normal(shape), rng.standard_normal(shape) * (rng.uniform(size=shape) < 0.5)
        single = so.Groups.uniform(7, 1)
        lasso = so.GroupLasso(0.4, single) if len(shape) == 1 else None
        for ratio, twin in ((0.0, so.GroupLasso(0.4, GROUPS, weights=WEIGHTS)), (1.0, lasso)):
            if twin is None:
                continue
            penalty = so.SparseGroupLasso(0.4, GROUPS, l1_ratio=ratio, weights=WEIGHTS)
            assert penalty.prox(v) == pytest.approx(twin.prox(v), rel=1e-14)
            assert penalty.value(v) == pytest.approx(twin.value(v), rel=1e-14)
            assert penalty.critical_lam(v) == pytest.approx(twin.critical_lam(v), rel=1e-14)
            violation = twin.violation(w, v)
            if twin is lasso:
                violation = GROUPS.norms(violation)
            assert penalty.violation(w, v) == pytest.approx(violation, rel=1e-13, abs=1e-15)


def test_the_elastic_net_tends_to_the_group_lasso():
    v = np.random.default_rng(0).standard_normal(7)
    lasso = so.GroupLasso(0.4, GROUPS, weights=WEIGHTS)
    for l2 in (1e-6, 1e-9):
        net = so.GroupElasticNet(0.4, GROUPS, l2=l2, weights=WEIGHTS)
        assert net.prox(v) == pytest.approx(lasso.prox(v), rel=2 * l2)
        assert net.value(v) == pytest.approx(lasso.value(v), rel=10 * l2)
        assert net.violation(v, v) == pytest.approx(lasso.violation(v, v), rel=10 * l2)
        small = v * 0.9 / lasso.critical_lam(v) * 0.4
        assert net.conjugate(small) == 0
        assert net.conjugate(2 * v + 3) > 1e3 * net.l2


@given(seed=st.integers(0, 2**32 - 1))
def test_fenchel_young_for_the_elastic_net(seed):
    """penalty(w) + conjugate(c) >= <c, w>, with equality for a subgradient c; against a maximisation by the prox."""
    rng = np.random.default_rng(seed)
    net = so.GroupElasticNet(rng.uniform(0.1, 1), GROUPS, l2=10.0 ** rng.uniform(-2, 1), weights=WEIGHTS)
    c, w = 4 * rng.standard_normal((2, 7))
    assert net.value(w) + net.conjugate(c) >= c @ w - 1e-12 * (1 + abs(c @ w))
    best = net.lasso.prox(c / net.l2, 1 / net.l2)  # argmax of <c, w> - penalty(w)
    assert net.conjugate(c) == pytest.approx(c @ best - net.value(best), rel=1e-10, abs=1e-12)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_largest_feasible_multiple_of_the_sparse_group_lasso(seed):
    """At the root the soft-thresholded group fills its ball, checked by bisection on each group's own condition."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, rng.integers(1, 5))
    groups = so.Groups.from_sizes(sizes)
    ratio = rng.choice([0.0, 1e-9, 1e-4, 0.3, 0.7, 1 - 1e-6, 1 - 1e-12, 1.0])
    weights = rng.uniform(0.1, 3, len(sizes))
    penalty = so.SparseGroupLasso(10.0 ** rng.uniform(-3, 3), groups, l1_ratio=float(ratio), weights=weights)
    c = rng.choice([-2.0, -1.0, 0.0, 1.0], groups.n_features) + rng.choice([0.0, 1e-9, 1.0]) * rng.standard_normal(
        groups.n_features
    )
    c[0] += 0.5
    alpha = penalty.dual_limit(c)
    assert alpha == pytest.approx(min(bisected(penalty, c, g) for g in range(len(sizes))), rel=2e-14)
    zero = np.zeros(groups.n_features)
    assert penalty.violation(zero, alpha * (1 - 1e-12) * c).max() == pytest.approx(0, abs=1e-15 * penalty.lam)
    assert penalty.violation(zero, alpha * (1 + 1e-9) * c).max() > 0
    assert penalty.critical_lam(c) * alpha == pytest.approx(penalty.lam, rel=1e-14)


def bisected(penalty, c, g) -> float:
    """Largest alpha with |(alpha |c_g| - l1)_+| <= strength, all in extended precision."""
    entries = np.abs(c[penalty.groups.members(g)]).astype(np.longdouble)
    if not entries.any():
        return math.inf
    box = np.longdouble(penalty.lam) * np.longdouble(penalty.l1_ratio)
    ball = np.longdouble(penalty.lam) * np.longdouble(1 - penalty.l1_ratio) * np.longdouble(penalty.weights[g])
    low, high = np.longdouble(0), (box + ball) / entries.max() * 2 + 1
    for _ in range(200):
        middle = (low + high) / 2
        fits = np.sqrt((np.maximum(middle * entries - box, 0) ** 2).sum()) <= ball
        low, high = (middle, high) if fits else (low, middle)
    return float(low)


def sparse_problem(penalty, *, positive=False, seed=0, **datafit) -> so.Problem:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((30, 7))
    y = X @ np.array([1.0, 0, 0, 0.5, 0, 0, -1.0]) + 0.2 * rng.standard_normal(30)
    return so.Problem(X, so.LeastSquares(y, **datafit), penalty)


@EVERY
@pytest.mark.parametrize("intercept", [False, True])
def test_solutions_agree_with_cvxpy(penalty, intercept):
    cvxpy = pytest.importorskip("cvxpy")
    problem = sparse_problem(penalty.with_lam(0.1), intercept=intercept)
    result = so.solve(problem, tol=1e-10)
    w, b, P = cvxpy.Variable(7), cvxpy.Variable(), problem.penalty
    residual = problem.datafit.y - problem.X @ w - (b if intercept else 0)
    norms = [cvxpy.norm(w[GROUPS.members(g)]) for g in range(3)]
    cost = cvxpy.sum_squares(residual) / 60 + sum(a * t for a, t in zip(P.strength, norms, strict=True))
    cost = cost + getattr(P, "l1", 0.0) * cvxpy.norm1(w) + getattr(P, "l2", 0.0) / 2 * cvxpy.sum_squares(w)
    limits = [w >= 0] if getattr(P, "positive", False) else []
    best = cvxpy.Problem(cvxpy.Minimize(cost), limits).solve(solver="CLARABEL")
    assert result.objective == pytest.approx(best, rel=1e-7)
    assert result.w == pytest.approx(w.value, abs=1e-3)
    assert problem.gap(result.w) >= -1e-15
    rng = np.random.default_rng(0)
    for _ in range(10):  # the gap bounds the distance to the minimum everywhere
        u = np.abs(rng.standard_normal(7)) * (rng.uniform(size=7) < 0.5)
        assert problem.gap(u) >= problem.objective(u) - best - 1e-7


@EVERY
@pytest.mark.parametrize("intercept", [False, True])
def test_lambda_max_is_sharp(penalty, intercept):
    problem = sparse_problem(penalty, intercept=intercept)
    largest = so.lambda_max(problem)
    zero = np.zeros(7)
    assert problem.with_lam(largest * (1 + 1e-12)).violation(zero) == 0
    assert problem.with_lam(largest * (1 - 1e-9)).violation(zero) > 0
    assert not so.solve(problem.with_lam(1.001 * largest), tol=1e-10).w.any()
    assert so.solve(problem.with_lam(0.999 * largest), tol=1e-10).w.any()


def test_a_negative_entry_is_outside_the_domain_of_the_positive_group_lasso():
    penalty = PENALTIES["positive"]
    w = np.array([1.0, 1, 1, 1, -1e-300, 1, 1])
    assert penalty.value(w) == math.inf
    assert penalty.violation(w, np.zeros(7)).tolist()[2] == math.inf
    assert np.all(penalty.prox(-np.ones(7)) == 0)
    assert penalty.critical_lam(-np.ones(7)) == 0
    assert penalty.dual_limit(-np.ones(7)) == math.inf


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, "half", None])
def test_other_ratios_are_refused(value):
    with pytest.raises(ValueError, match="l1_ratio is"):
        so.SparseGroupLasso(1.0, GROUPS, l1_ratio=value)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, "half"])
def test_other_ridges_are_refused(value):
    with pytest.raises(ValueError, match="l2 is"):
        so.GroupElasticNet(1.0, GROUPS, l2=value)
