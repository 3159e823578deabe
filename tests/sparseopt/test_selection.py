"""Cross-validation, information criteria, refits, adaptive weights and stability selection."""

from __future__ import annotations

import glm
import numpy as np
import pytest
from reference import random_problem
from scipy.special import comb

import sparseopt as so
from sparseopt import selection


def problem_with_signal(**datafit) -> so.Problem:
    return random_problem(0, n=40, sizes=(2, 2, 2, 3, 1), **datafit)


def test_cross_validation_written_out():
    problem = problem_with_signal(intercept=True)
    folds = selection.k_folds(40, 4)
    found = selection.cross_validate(problem, folds, n_lambdas=6, ratio=0.05, tol=1e-10)
    for k in range(4):
        out = folds == k
        part = so.Problem(problem.X[~out], so.LeastSquares(problem.datafit.y[~out], intercept=True), problem.penalty)
        for row, lam in enumerate(found.lams):
            fit = so.solve(part.with_lam(lam), tol=1e-10)
            left = problem.datafit.y[out] - problem.X[out] @ fit.w - fit.intercept
            assert found.losses[row, k] == pytest.approx((left**2).mean() / 2, rel=1e-4)
    np.testing.assert_allclose(found.mean, found.losses.mean(axis=1))
    np.testing.assert_allclose(found.standard_error, found.losses.std(axis=1, ddof=1) / 2)
    assert found.best == found.mean.argmin()
    within = found.mean <= found.mean[found.best] + found.standard_error[found.best]
    assert found.one_standard_error == np.flatnonzero(within)[0] <= found.best
    assert found.result.lam == found.lams[found.best]


def test_cross_validation_is_the_same_every_time_and_in_parallel():
    problem = problem_with_signal(intercept=True)
    first, second, parallel = (
        selection.cross_validate(problem, 3, n_lambdas=5, ratio=0.1, n_jobs=n_jobs) for n_jobs in (1, 1, 2)
    )
    assert (first.losses == second.losses).all()
    np.testing.assert_allclose(parallel.losses, first.losses, rtol=1e-10)


@pytest.mark.parametrize("loss", [name for name in glm.LOSSES if not name.startswith("Cox")])
def test_every_loss_can_be_cross_validated(loss):
    problem = glm.problem(loss, "GroupLasso", n=30, intercept=True)
    found = selection.cross_validate(problem, 3, n_lambdas=4, ratio=0.2)
    assert np.isfinite(found.losses).all()


def test_group_folds_keep_samples_together():
    labels = np.repeat(np.arange(11), np.arange(1, 12))
    folds = selection.group_folds(labels, 3)
    assert all(len(set(folds[labels == label])) == 1 for label in range(11))
    assert np.ptp(np.bincount(folds)) <= 11
    assert (folds == selection.group_folds(labels, 3)).all()
    found = selection.cross_validate(problem_with_signal(), 3, samples=np.arange(40) // 4, n_lambdas=3, ratio=0.1)
    assert found.losses.shape == (3, 3)


@pytest.mark.parametrize("folds", [1, 41, "five", [[0], [50]], [np.arange(40), [0]], [[0, 1]]])
def test_wrong_folds_are_refused(folds):
    with pytest.raises(ValueError, match="fold"):
        selection.cross_validate(problem_with_signal(), folds)


def test_one_error_for_the_folds():
    options = {"solver": so.solvers.ProximalGradient(), "max_iter": 1, "tol": 1e-14}
    with pytest.raises(so.PathNotConverged):
        selection.cross_validate(problem_with_signal(), 3, n_lambdas=3, **options)
    assert selection.cross_validate(problem_with_signal(), 3, n_lambdas=3, throw=False, **options).path.short


def test_degrees_of_freedom_of_orthonormal_groups():
    """Closed form of Yuan and Lin (2006): active groups plus (size - 1) |w_g| / |least squares w_g|."""
    rng = np.random.default_rng(0)
    X = np.linalg.qr(rng.standard_normal((30, 6)))[0] * np.sqrt(30)
    y = X @ np.r_[1, 1, 1, 0.1, 0, 2.0] + 0.1 * rng.standard_normal(30)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupLasso(0.2, so.Groups.from_sizes([3, 2, 1])))
    w, free = so.solve(problem, tol=1e-12).w, X.T @ y / 30
    norms, full = problem.penalty.groups.norms(w), problem.penalty.groups.norms(free)
    expected = sum(1 + (size - 1) * a / b for size, a, b in zip([3, 2, 1], norms, full, strict=True) if a > 0)
    assert selection.degrees_of_freedom(problem, w) == pytest.approx(expected, rel=1e-5)


def test_degrees_of_freedom_are_the_divergence_of_the_fit():
    problem = random_problem(0, n=30, intercept=True)
    y, X, h = problem.datafit.y, problem.X, 1e-5

    def fit(target):
        result = so.solve(so.Problem(X, so.LeastSquares(target, intercept=True), problem.penalty), tol=1e-15)
        return X @ result.w + result.intercept

    units = h * np.eye(30)
    divergence = sum((fit(y + u)[i] - fit(y - u)[i]) / (2 * h) for i, u in enumerate(units))
    w = so.solve(problem, tol=1e-15).w
    assert selection.degrees_of_freedom(problem, w) == pytest.approx(divergence, rel=1e-3)


@pytest.mark.parametrize("loss", glm.LOSSES)
@pytest.mark.parametrize("penalty", ["GroupLasso", "SparseGroupLasso", "GroupElasticNet"])
def test_degrees_of_freedom_are_between_none_and_all(loss, penalty):
    problem = glm.problem(loss, penalty)
    w = so.solve(problem).w
    assert 0 < selection.degrees_of_freedom(problem, w) <= np.count_nonzero(w) + 1e-9


def test_information_criteria_written_out():
    problem = problem_with_signal(intercept=True)
    path = so.solve_path(problem, 6, 0.05)
    found = selection.information_criteria(path, gamma=0.5)
    for i, result in enumerate(path):
        left = problem.datafit.y - problem.X @ result.w - result.intercept
        df = selection.degrees_of_freedom(problem.with_lam(result.lam), result.w)
        fit, k = 40 * np.log((left**2).mean()), path.active[i].sum()
        assert found.aic[i] == pytest.approx(fit + 2 * df)
        assert found.bic[i] == pytest.approx(fit + np.log(40) * df)
        assert found.ebic[i] == pytest.approx(found.bic[i] + np.log(comb(5, k)))
    known = selection.information_criteria(path, variance=0.09)
    assert known.fit[-1] == pytest.approx((left**2).sum() / 0.09)
    with pytest.raises(ValueError, match="gamma"):
        selection.information_criteria(path, gamma=2)


def test_refit_is_least_squares_on_the_support():
    problem = problem_with_signal(intercept=True)
    result = so.solve(problem)
    active = np.flatnonzero(np.isin(problem.penalty.groups.labels, problem.penalty.groups.active(result.w)))
    refitted = selection.refit_on_support(problem, result.w)
    A = np.column_stack([problem.X[:, active], np.ones(40)])
    expected = np.linalg.lstsq(A, problem.datafit.y, rcond=None)[0]
    np.testing.assert_allclose(refitted.w[active], expected[:-1], atol=1e-9)
    assert refitted.intercept == pytest.approx(expected[-1])
    assert np.count_nonzero(refitted.w) == len(active)
    assert refitted.gap <= 1e-6
    assert not selection.refit_on_support(problem, np.zeros(10)).w.any()


def test_refit_from_statistics_is_that_of_the_data():
    problem = problem_with_signal(intercept=True)
    statistics = so.accumulate_gram([(problem.X, problem.datafit.y)], intercept=True).problem(problem.penalty)
    w = so.solve(problem).w
    for point in (w, 0 * w):
        raw, refitted = selection.refit_on_support(problem, point), selection.refit_on_support(statistics, point)
        np.testing.assert_allclose(refitted.w, raw.w, atol=1e-9)
        assert refitted.intercept == pytest.approx(raw.intercept)
        assert refitted.objective == pytest.approx(raw.objective)
    plain = so.Problem.quadratic(2 * np.eye(10), np.arange(10.0), problem.penalty)
    np.testing.assert_allclose(selection.refit_on_support(plain, np.ones(10)).w, np.arange(10) / 2, atol=1e-12)


def test_what_has_no_samples_or_no_weights_is_refused_with_advice():
    problem = problem_with_signal()
    quadratic = so.Problem.quadratic(np.eye(10), np.ones(10), problem.penalty)
    for of_samples in (selection.cross_validate, selection.stability_selection):
        with pytest.raises(ValueError, match="Quadratic has no samples"):
            of_samples(quadratic)
    coupled = problem.with_penalty(so.KSupport(0.1, problem.penalty.groups, 2))
    with pytest.raises(ValueError, match="has no weights"):
        selection.adaptive_weights(coupled, np.ones(10))
    path = so.solve_path(coupled, lams=[1.0, 0.1])
    assert (
        selection.information_criteria(path).degrees_of_freedom == np.count_nonzero(path.coefficients, axis=1)
    ).all()
    for wrong in (
        lambda: selection.adaptive_weights(problem, np.ones(10), power="1"),
        lambda: selection.information_criteria(so.solve_path(problem, 2), gamma="1"),
        lambda: selection.information_criteria(so.solve_path(problem, 2), variance="1"),
        lambda: selection.stability_selection(problem, threshold="1"),
    ):
        with pytest.raises(ValueError, match="is '1'"):
            wrong()


def test_folds_that_are_no_data_are_named():
    problem = problem_with_signal()
    rare = problem.with_datafit(so.Cox(np.arange(40.0), np.arange(40) < 2))
    few = problem.with_datafit(so.LeastSquares(problem.datafit.y, np.arange(40) < 5))
    for of_folds, folds in [(rare, 4), (few, np.arange(40) // 10)]:
        with pytest.raises(ValueError, match="of 40 samples") as caught:
            selection.cross_validate(of_folds, folds, n_lambdas=2)
        assert "fewer folds" in str(caught.value)
    with pytest.raises(ValueError, match="cannot be sorted"):
        selection.cross_validate(problem, 3, samples=[None, *"a" * 39])


def test_adaptive_weights():
    problem = problem_with_signal()
    w = so.solve(problem).w
    norms = problem.penalty.groups.norms(w)
    found = selection.adaptive_weights(problem, w, power=2.0, floor=0.1)
    np.testing.assert_allclose(found, np.sqrt([2, 2, 2, 3, 1]) / (norms + 0.1) ** 2)
    assert (np.isinf(selection.adaptive_weights(problem, w, floor=0)) == (norms == 0)).all()
    with pytest.raises(ValueError, match="power"):
        selection.adaptive_weights(problem, w, power=-1)


def test_stability_selection_finds_the_planted_group():
    problem = problem_with_signal()
    found = selection.stability_selection(problem, n_pairs=5, n_lambdas=5, ratio=0.3, threshold=0.9)
    assert 0 in found.selected
    assert found.n_halves == 10
    assert (np.diff(found.frequencies, axis=0) >= 0).all()
    assert found.expected_false == pytest.approx(found.mean_selected**2 / (0.8 * 5))
    again = selection.stability_selection(problem, n_pairs=5, n_lambdas=5, ratio=0.3, threshold=0.9, n_jobs=2)
    assert (again.frequencies == found.frequencies).all()
    with pytest.raises(ValueError, match="threshold"):
        selection.stability_selection(problem, threshold=0.4)
