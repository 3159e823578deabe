"""Duality gaps of every loss with every convex penalty, and solutions against cvxpy."""

from __future__ import annotations

import numpy as np
import pytest
from glm import LOSSES, PENALTIES, WITH_INTERCEPT, N, datafit, penalty, problem

import sparseopt as so

PAIRS = [(loss, name, False) for loss in LOSSES for name in PENALTIES]
PAIRS += [(loss, name, True) for loss in WITH_INTERCEPT for name in PENALTIES]
EVERY_PAIR = pytest.mark.parametrize(("loss", "name", "intercept"), PAIRS)
SOLVERS = [so.solvers.FISTA(), so.solvers.ProximalGradient()]


@pytest.mark.sample(every=4)
@EVERY_PAIR
def test_the_gap_is_nonnegative_and_goes_to_zero(loss, name, intercept):
    made = problem(loss, name, seed=1, intercept=intercept)
    result = so.solve(made, so.solvers.FISTA(), tol=1e-9, max_iter=20_000)
    assert result.status is so.Status.CONVERGED
    rng = np.random.default_rng(0)
    for scale in (0.0, 1e-6, 1e-3, 0.1, 1.0):
        w = result.w + scale * rng.standard_normal(made.w_shape)
        if name == "positive":
            w = np.maximum(w, 0)
        if name == "forced out":
            w[made.penalty.groups.members(1)] = 0
        assert made.gap(w) >= -1e-13 * max(1, abs(made.objective(w)))
        assert made.objective(w) - made.gap(w) <= result.objective + 1e-12


@pytest.mark.sample(every=3)
@EVERY_PAIR
def test_weak_duality_at_random_points(loss, name, intercept):
    """The dual value at any point is below the objective at any other."""
    for seed in range(3):
        made = problem(loss, name, seed, intercept=intercept, plain=seed == 0)
        rng = np.random.default_rng(seed)
        allowed = np.ones(made.n_features) if name != "forced out" else np.r_[1, 1, 0, 1, 1, 1]
        points = [(rng.standard_normal(made.w_shape).T * allowed).T * s for s in (0.01, 0.1, 0.5, 1.0)]
        points = [np.abs(w) for w in points] if name == "positive" else points
        duals = [made.objective(w) - made.gap(w) for w in points]
        assert max(duals) <= min(made.objective(w) for w in points) + 1e-12


@pytest.mark.parametrize("loss", LOSSES)
def test_zero_solves_the_problem_exactly_from_lambda_max_on(loss):
    made = problem(loss, "GroupLasso", ratio=1.0000001)
    assert made.gap(np.zeros(made.w_shape)) <= 1e-12
    below = problem(loss, "GroupLasso", ratio=0.99)
    assert len(below.penalty.groups.active(so.solve(below, so.solvers.FISTA(), tol=1e-9).w)) > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_shapes_follow_the_outputs(loss):
    made = problem(loss, "GroupLasso")
    outputs = made.datafit.n_outputs
    assert made.w_shape == ((6,) if outputs is None else (6, outputs))
    assert made.gradient(np.zeros(made.w_shape)).shape == made.w_shape
    with pytest.raises(ValueError, match="has shape"):
        made.check_coefficients(np.zeros((6, 7)))


def test_poisson_has_no_smoothness_but_a_line_search():
    made = problem("Poisson", "GroupLasso", n=60)
    with pytest.raises(ValueError, match="no bound on its curvature: use a solver with a line search"):
        _ = made.smoothness
    for solver in SOLVERS:
        assert so.solve(made, solver, tol=1e-8).gap <= 1e-8
    with_power = made.with_penalty(so.GroupLq(0.1, made.penalty.groups))
    assert so.solve(with_power, so.solvers.ProximalGradient(), tol=1e-6).violation <= 1e-6


def test_poisson_from_a_start_where_the_exponential_is_huge():
    made = problem("Poisson", "GroupLasso", plain=True)
    start = 20 * np.ones(6)
    assert so.solve(made, so.solvers.FISTA(), tol=1e-7, w0=start).gap <= 1e-7


def test_separable_logistic_data_return_with_a_status():
    """Without a penalty on the separating column the infimum is not attained."""
    X = np.linspace(-1, 1, 20)[:, None] * np.ones((1, 2)) + np.r_[0, 1.0]
    groups = so.Groups.uniform(2, 1)
    weak = so.Problem(X, so.Logistic(X[:, 0] > 0, intercept=True), so.GroupLasso(1e-3, groups))
    assert so.solve(weak, so.solvers.FISTA(), tol=1e-6).gap <= 1e-6
    free = weak.with_penalty(so.GroupLasso(1e-3, groups, weights=[0.0, 1.0]))
    result = so.solve(free, so.solvers.FISTA(), tol=1e-10, max_iter=200, throw=False)
    assert np.isfinite(result.objective)


def cvxpy_loss(cp, fit, z):
    """The loss as a cvxpy expression of z = X w + b."""
    share, eta = fit.sample_weight / fit.sample_weight.sum(), z + fit.offset
    if isinstance(fit, so.LeastSquares):
        return cp.sum(cp.multiply(share, cp.square(fit.y - eta))) / 2
    if isinstance(fit, so.MultiResponse):
        return cp.sum(cp.multiply(share[:, None] * np.ones(fit.Y.shape), cp.square(fit.Y - eta))) / 2
    if isinstance(fit, so.Logistic):
        return share @ cp.logistic(cp.multiply(np.where(fit.y > 0, -1.0, 1.0), eta))
    if isinstance(fit, so.Huber):
        return share @ cp.huber(fit.y - eta, fit.delta) / 2
    if isinstance(fit, so.Poisson):
        return share @ (cp.exp(eta) - cp.multiply(fit.y, eta))
    if isinstance(fit, so.Multinomial):
        return share @ (cp.log_sum_exp(eta, axis=1) - cp.sum(cp.multiply(np.eye(fit.n_outputs)[fit.y], eta), axis=1))
    return cvxpy_cox(cp, fit, eta)


def cvxpy_cox(cp, fit, eta):
    weight, terms = fit.sample_weight, []
    for t in np.unique(fit.time[fit.event & (weight > 0)]):
        dead = np.flatnonzero((fit.time == t) & fit.event & (weight > 0))
        risk = np.flatnonzero((fit.time >= t) & (weight > 0))
        rows = len(dead) if fit.ties == "efron" else 1
        for row in range(rows):
            factor = weight[risk] * np.where(np.isin(risk, dead), 1 - row / rows, 1.0)
            terms.append(weight[dead].sum() / rows * cp.log_sum_exp(eta[risk] + np.log(factor)))
        terms.append(-weight[dead] @ eta[dead])
    return sum(terms) / weight.sum()


def cvxpy_optimum(made) -> float:
    cp = pytest.importorskip("cvxpy", reason="cvxpy is not installed")
    fit, groups = made.datafit, made.penalty.groups
    w = cp.Variable(made.w_shape)
    z = made.X @ w
    if fit.fit_intercept:
        b = cp.Variable(made.w_shape[1:])
        z = z + (b if fit.n_outputs is None else np.ones((fit.n_samples, 1)) @ cp.reshape(b, (1, fit.n_outputs), "C"))
    norms = [cp.norm(cp.vec(w[groups.members(g)], order="C"), 2) for g in range(groups.n_groups)]
    objective = cvxpy_loss(cp, fit, z) + sum(s * t for s, t in zip(made.penalty.strength, norms, strict=True))
    program = cp.Problem(cp.Minimize(objective))
    program.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return float(program.value)


REFERENCE = [(loss, False, seed) for loss in LOSSES for seed in range(4)]
REFERENCE += [(loss, True, seed) for loss in WITH_INTERCEPT for seed in range(10, 15)]


@pytest.mark.sample(every=4)
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("loss", "intercept", "seed"), REFERENCE)
def test_solutions_agree_with_cvxpy(loss, intercept, seed):
    """The objective is within the certified gap of the optimum that Clarabel finds (which has errors of its own)."""
    ratio = [0.05, 0.2, 0.5, 0.8][seed % 4]
    made = problem(loss, "GroupLasso", seed, intercept=intercept, ratio=ratio, n=N + 3 * (seed % 3))
    result = so.solve(made, SOLVERS[seed % 2], tol=1e-8, max_iter=50_000)
    certificate = so.certify.duality_gap(made, result.w, tol=1e-7)
    assert certificate.proved
    optimum = cvxpy_optimum(made)
    own_error = 2e-7 * max(1, abs(optimum))
    assert result.objective - certificate.upper - own_error <= optimum <= result.objective + own_error


def test_dual_limits_are_those_of_the_penalty():
    groups = so.Groups.from_sizes([2, 1, 3])
    rng = np.random.default_rng(0)
    for name in ("GroupLasso", "SparseGroupLasso", "positive"):
        made = penalty(name, groups)
        c = rng.standard_normal(6) + np.r_[3.0, np.zeros(5)]
        limit = made.dual_limit(c)
        inside, outside = (_support(made, 1 - 1e-6, c, limit), _support(made, 1 + 1e-2, c, limit))
        assert inside <= 0 < outside


def _support(made, factor, c, limit) -> float:
    """max over many w of <factor * limit * c, w> - penalty(w), which is 0 exactly in the domain of the conjugate."""
    rng = np.random.default_rng(1)
    v = factor * limit * c
    best = -np.inf
    for g in range(made.groups.n_groups):
        members = made.groups.members(g)
        for w_g in [*rng.standard_normal((300, len(members))), *_aligned(made, v[members])]:
            w = np.zeros(6)
            w[members] = np.maximum(w_g, 0) if getattr(made, "positive", False) else w_g
            best = max(best, float(v @ w - made.value(w)))
    return best


def _aligned(made, v):
    threshold = getattr(made, "l1", 0.0)
    soft = np.sign(v) * np.maximum(np.abs(v) - threshold, 0)
    return [soft, v]


def test_the_datafits_take_part_in_lambda_paths():
    for loss in LOSSES:
        made = problem(loss, "GroupLasso")
        assert so.lambda_max(made) == pytest.approx(made.penalty.lam / 0.3)
    assert datafit("Cox").n_outputs is None
