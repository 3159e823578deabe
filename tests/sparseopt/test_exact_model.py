"""Steps towards the minimum of models with the true Hessian, for losses that couple samples or outputs."""

from __future__ import annotations

import numpy as np
import pytest
from glm import datafit

import sparseopt as so
from sparseopt.solvers import exact_model
from sparseopt.solvers.descent import GroupDescent
from sparseopt.solvers.support_newton import hessian_of_loss


def drawn(loss, n, p, size, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    z = X[:, :10] @ rng.standard_normal((10, 3))
    if loss == "Cox":
        fit = so.Cox(rng.exponential(np.exp(-z[:, 0] / 3)), rng.random(n) < 0.7)
    else:
        fit = so.Multinomial(np.argmax(z + rng.gumbel(size=z.shape), axis=1), intercept=True)
    problem = so.Problem(X, fit, so.GroupLasso(1.0, so.Groups.uniform(p // size, size)))
    return problem.with_lam(so.lambda_max(problem))


@pytest.mark.parametrize("intercept", [False, True])
def test_root_of_the_multinomial_hessian(intercept):
    rng = np.random.default_rng(1)
    fit, X = datafit("Multinomial", intercept=intercept), rng.standard_normal((14, 5))
    z = rng.standard_normal((14, fit.n_outputs))
    basis = exact_model.basis_of(fit.n_outputs, fit.n_outputs - 1)
    A, c = fit.root_of_columns(X, z, basis)
    whole = np.kron(np.eye(5), basis)
    np.testing.assert_allclose(A.T @ A, whole.T @ hessian_of_loss(fit, X, z) @ whole, atol=1e-14)
    np.testing.assert_allclose(A.T @ c, -(X.T @ fit.gradient(z) @ basis).ravel(), atol=1e-14)


@pytest.mark.parametrize("loss", ["Cox", "Multinomial"])
@pytest.mark.parametrize(("n", "p"), [(40, 60), (300, 12)], ids=["by samples", "by coefficients"])
def test_minimum_of_the_model_is_a_newton_step_where_nothing_is_penalised_much(loss, n, p):
    """From a solution of nearly no penalty the step leads back to it, whichever root is taken."""
    problem = drawn(loss, n, p, 2)
    problem = problem.with_lam(0.3 * problem.penalty.lam)
    solution = so.solve(problem, tol=1e-12)
    run = GroupDescent(problem, solution.w * 1.01, so.solvers.GroupBCD(accuracy=1e-12))
    run.working = np.arange(p // 2)
    error = run.working_error()
    run.move(exact_model.exact_minimum(run, error, 1000))
    assert run.working_error() < 0.1 * error


@pytest.mark.parametrize(("loss", "n", "p", "size"), [("Multinomial", 100, 150, 1), ("Cox", 150, 200, 1)])
def test_coupled_losses_take_few_passes_at_small_strengths(loss, n, p, size):
    """Diagonal models alone take thousands."""
    problem = drawn(loss, n, p, size)
    result = so.solve(problem.with_lam(problem.penalty.lam / 100))
    assert result.history.passes[-1] < 1000
