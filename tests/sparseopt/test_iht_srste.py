"""IHT and SR-STE: fixed points shared with ADMM (C4), contraction under isometry (D8), flips, debiasing, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from instances import GROUPS, SETS, Points, quadratic

import sparseopt as so
from sparseopt import sets
from sparseopt.solvers import ADMM, IHT, SRSTE, ProximalGradient

GOLDEN = (1 + 5**0.5) / 2


def states(problem, solver, count, w0=None):
    return list(itertools.islice(so.iterate(problem, solver, w0), count))


def pair(y, chosen=None):
    """1/2 |w - y|^2 over one of two coordinates."""
    return so.Problem.quadratic(np.eye(2), y, chosen or sets.NM(1, 2))


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("name", SETS)
def test_fixed_points_of_admm_are_fixed_for_the_others(name):
    """C4: w = z - gradient(z) / lam, z in P(w), is fixed for ADMM(rho = lam), IHT(1 / lam) and SR-STE(lam)."""
    for seed in range(5):
        problem = quadratic(seed, SETS[name])
        lam = 1.1 * problem.smoothness
        end = states(problem, ADMM(rho=lam), 1200, 2 * np.random.default_rng(seed).standard_normal(8))[-1]
        gradient = problem.gradient(end.w)
        dense = end.w - gradient / lam
        size = 1e-9 * (1 + np.abs(problem.gradient_at_zero).max())
        hard = states(problem, IHT(step_size=1 / lam), 2, end.w)[1]
        straight = states(problem, SRSTE(pull=lam), 2, dense)
        assert np.abs(hard.w - end.w).max() <= size
        assert np.abs(straight[0].w - end.w).max() <= size
        assert np.abs(straight[1].dense - dense).max() <= size
        on = np.asarray(SETS[name].support(dense))
        assert np.abs(gradient[on]).max() <= size * lam, "least squares on the mask, without shrinkage"
        assert lam * np.sort(np.abs(dense))[::-1].max() >= np.abs(gradient[~on]).max() - size


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("solver", [IHT(), IHT(debias=True), IHT(normalised=True), SRSTE()])
def test_they_end_at_fixed_points_of_the_set(name, solver):
    for seed in range(4):
        problem = quadratic(seed, SETS[name])
        result = so.solve(problem, solver, tol=1e-8, max_iter=20000)
        assert result.status is so.Status.CONVERGED
        assert problem.penalty.set.contains(result.w)
        assert np.isnan(result.gap)
        on = result.w != 0
        assert np.abs(problem.gradient(result.w)[on]).max() <= 1e-6


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("solver", [IHT(), IHT(step_size=0.9), IHT(debias=True), IHT(normalised=True)])
def test_the_loss_never_rises(solver):
    for seed, name in itertools.product(range(4), SETS):
        problem = quadratic(seed, SETS[name])
        values = [problem.objective(state.w) for state in states(problem, solver, 80)]
        assert (np.diff(values) <= 1e-13 * (1 + np.abs(values[:-1]))).all()


@pytest.mark.parametrize("solver", [IHT(normalised=True), IHT(normalised=True, debias=True)])
@pytest.mark.parametrize("scale", [2.0**-500, 2.0**500])
def test_normalised_steps_at_every_scale(solver, scale):
    X = np.random.default_rng(0).standard_normal((20, 8))
    y = X[:, :4] @ np.ones(4)
    found = [so.solve(so.Problem(X * c, so.LeastSquares(y), sets.NM(2, 4)), solver).w * c for c in (1.0, scale)]
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-12)


def test_debiased_iterates_are_least_squares_on_their_mask():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((30, 8))
    problem = so.Problem(X, so.LeastSquares(X[:, :2].sum(axis=1), intercept=True), SETS["top groups"])
    for state in states(problem, IHT(debias=True), 6)[1:]:
        on = np.flatnonzero(state.w)
        design = np.column_stack([X[:, on], np.ones(30)])
        fitted = np.linalg.lstsq(design, problem.datafit.y, rcond=None)[0]
        assert np.allclose(state.w[on], fitted[:-1], rtol=0, atol=1e-12)
    logistic = so.Problem(X, so.Logistic(np.sign(X[:, 0] + rng.standard_normal(30))), SETS["top groups"])
    for state in states(logistic, IHT(debias=True), 4)[1:]:
        assert np.abs(logistic.gradient(state.w)[state.w != 0]).max() <= 1e-12


def isometry(A, order):
    """delta_order: the largest |eigenvalue - 1| of A_S'A_S over all S of `order` columns."""
    worst = 0.0
    for chosen in itertools.combinations(range(A.shape[1]), order):
        values = np.linalg.eigvalsh(A[:, chosen].T @ A[:, chosen])
        worst = max(worst, float(np.abs(values - 1).max()))
    return worst


def test_contraction_under_restricted_isometry():
    """D8: |w+ - w*| <= (1 + sqrt 5) / 2 delta_3s |w - w*| for steps of 1 on 1/2 |A w - y|^2, y = A w*, s = 2."""
    rng = np.random.default_rng(0)
    contracting = 0
    for _ in range(25):
        m = int(rng.integers(20, 400))
        A = rng.standard_normal((m, 8)) / m**0.5
        truth = np.zeros(8)
        truth[rng.choice(8, 2, replace=False)] = rng.standard_normal(2)
        problem = so.Problem.quadratic(A.T @ A, A.T @ (A @ truth), sets.TopGroups(2, so.Groups.uniform(8, 1)))
        delta = isometry(A, 6)
        contracting += GOLDEN * delta < 1
        path = states(problem, IHT(step_size=1.0), 12, rng.standard_normal(8))
        for old, new in itertools.pairwise(path):
            limit = GOLDEN * delta * np.linalg.norm(old.w - truth)
            assert np.linalg.norm(new.w - truth) <= limit + 1e-14
    assert contracting >= 5


def flips(problem, pull, w0, count=600, last=400):
    return sum(state.flips for state in states(problem, SRSTE(pull=pull, step_size=0.1), count, w0)[-last:])


def test_a_small_pull_oscillates_and_a_large_one_freezes_wrong_masks():
    """C4 on y = (1, 0.8): the mask {1} is fixed iff pull >= 0.8, the wrong {2} iff pull >= 1.25."""
    problem = pair([1.0, 0.8])
    for pull in (0.0, 0.2, 0.5):
        assert flips(problem, pull, [0.1, 0.5]) > 40
    for pull in (0.9, 1.0, 2.0, 5.0):
        assert flips(problem, pull, [0.1, 0.5]) == 0
    ends = {pull: states(problem, SRSTE(pull=pull, step_size=0.1), 800, [0.1, 0.5])[-1].w for pull in (0.9, 2.0, 5.0)}
    assert np.allclose(ends[0.9], [1.0, 0.0], atol=1e-9)
    assert np.allclose(ends[2.0], [0.0, 0.8], atol=1e-9)
    assert np.allclose(ends[5.0], [0.0, 0.8], atol=1e-9)
    for pull in (0.79, 0.81, 1.24, 1.26):
        for mask, threshold in ((0, 0.8), (1, 1.25)):
            dense = np.array([1.0, 0.8])
            off = 1 - mask
            dense[off] /= pull  # -gradient / pull outside the mask
            first, second = states(problem, SRSTE(pull=pull, step_size=0.1), 2, dense)
            fixed = np.array_equal(first.mask, np.arange(2) == mask) and np.allclose(second.dense, dense, atol=1e-15)
            assert fixed == (pull >= threshold)


def test_the_pull_leads_out_of_a_start_where_a_masked_gradient_stays():
    """y = (3, 0.5), start (0.1, 0.5): a gradient on the mask stays at loss 4.5; SR-STE at 1.5 reaches 0.125."""
    problem = pair([3.0, 0.5])
    end = states(problem, SRSTE(pull=1.5, step_size=0.1), 800, [0.1, 0.5])[-1]
    assert np.allclose(end.dense, [3.0, 1 / 3], atol=1e-9)
    assert problem.objective(end.w) + 0.5 * 9.25 == pytest.approx(0.125, abs=1e-9)


def test_unstable_settings_are_reported_with_the_number_to_use():
    problem = quadratic(0, SETS["2:4"])
    for solver, number in (
        (IHT(step_size=1.5), "use step_size = 1"),
        (SRSTE(pull=1.0, step_size=2.5), "use step_size = 1"),
        (SRSTE(pull=5.0, step_size=0.5), "use step_size = 0.2"),
        (ProximalGradient(step_size=2.5), "use step_size = 1"),
    ):
        result = so.solve(problem, solver, max_iter=50, throw=False)
        assert result.status is so.Status.UNSTABLE
        assert number in result.advice
    convex = quadratic(0, sets.GroupBall(1.0, GROUPS))
    assert so.solve(convex, IHT(step_size=1.9), tol=1e-8).status is so.Status.CONVERGED
    assert so.solve(convex, IHT(step_size=2.5), max_iter=9, throw=False).status is so.Status.UNSTABLE


def test_steps_between_one_and_two_over_the_smoothness_can_cycle():
    problem = so.Problem.quadratic([[1.0]], [0.0], Points())
    path = [state.w[0] for state in states(problem, IHT(step_size=1.2), 30, [1.0])]
    assert path == [(-1.0) ** k for k in range(30)]
    assert so.solve(problem, IHT(step_size=1.2), w0=[1.0], max_iter=30, throw=False).status is so.Status.UNSTABLE


def test_divergence_is_a_status_and_no_exception():
    problem = quadratic(0, SETS["2:4"])
    for solver in (IHT(step_size=1e200), ProximalGradient(step_size=1e200), SRSTE(pull=1.0, step_size=1e200)):
        result = so.solve(problem, solver, throw=False)
        assert result.status is so.Status.NONFINITE
        assert "use step_size = 1" in result.advice


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("trivial", [sets.TopGroups(4, GROUPS), sets.NM(4, 4), sets.NM(0, 4)])
@pytest.mark.parametrize("solver", [None, ADMM(), IHT(), SRSTE()])
def test_mask_sets_that_keep_everything_or_nothing(trivial, solver):
    """They are convex, but have no finite support function: the stopping test is stationarity."""
    problem = quadratic(0, trivial)
    result = so.solve(problem, solver, tol=1e-8, max_iter=20000)
    best = np.linalg.solve(problem.datafit.H, problem.datafit.b) if trivial.project(np.ones(8)).any() else np.zeros(8)
    assert np.allclose(result.w, best, rtol=0, atol=1e-5)


def test_the_default_solvers_treat_sets():
    assert so.solve(quadratic(0, SETS["2:4"]), tol=1e-8).status is so.Status.CONVERGED
    ball = so.solve(quadratic(0, sets.GroupBall(1.0, GROUPS)), tol=1e-9)
    assert ball.gap <= 1e-9
    simplex = so.solve(quadratic(0, sets.CappedSimplex(3)), tol=1e-9)
    assert simplex.w.sum() == pytest.approx(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: IHT(normalised=True, step_size=1.0), "give one of the two"),
        (lambda: IHT(debias=1), "debias is 1"),
        (lambda: IHT(step_size=-1.0), "step_size is -1.0"),
        (lambda: so.solve(quadratic(0, so.GroupLasso(0.1, GROUPS)), IHT()), "IHT needs a set"),
        (lambda: so.solve(quadratic(0, sets.GroupBall(1.0, GROUPS)), IHT(debias=True)), "set of masks"),
        (lambda: so.solve(quadratic(0, sets.GroupBall(1.0, GROUPS)), SRSTE()), "set of masks"),
        (lambda: SRSTE(pull=-0.1), "pull is -0.1"),
        (lambda: SRSTE(pull=np.nan), "pull is nan"),
        (lambda: SRSTE(step_size=0), "step_size is 0"),
        (lambda: so.solve(so.Problem(np.eye(8), so.Poisson(np.ones(8)), SETS["2:4"]), SRSTE()), "give pull and step"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
