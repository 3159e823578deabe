"""Block descent under nonconvex penalties against proximal gradient: where it says it converged, nothing descends."""

from __future__ import annotations

import numpy as np
import pytest

import sparseopt as so

GROUPS = so.Groups.from_sizes([1, 3, 2, 4])
PENALTIES = {
    "MCP": lambda lam: so.GroupMCP(lam, GROUPS, gamma=1.5),
    "SCAD": lambda lam: so.GroupSCAD(lam, GROUPS, a=2.2),
    "LogSum": lambda lam: so.GroupLogSum(lam, GROUPS, eps=0.1),
    "Lq": lambda lam: so.GroupLq(lam, GROUPS, q=0.5),
    "L0": lambda lam: so.GroupL0(lam, GROUPS),
    "ExpMask": lambda lam: so.GroupExpMask(lam, GROUPS),
    "Ratio": lambda lam: so.penalties.GroupPenalty(so.penalties.Ratio(), lam, GROUPS),
}
LOSSES = ["LeastSquares", "Logistic", "Huber", "Poisson", "MultiResponse", "Multinomial", "Cox"]
DESIGNS = ["plain", "columns of any size", "tiny", "correlated", "repeated and zero columns"]
CELLS = [(p, loss, DESIGNS[(i + j) % 5]) for i, p in enumerate(PENALTIES) for j, loss in enumerate(LOSSES)]
FEW = CELLS[::4]
LOCAL = 1e-3
"""Part of the step 1/L where the penalty is not weakly convex: the prox, a global minimiser, then leaps less far."""


def design(name: str, rng: np.random.Generator) -> np.ndarray:
    X = rng.standard_normal((30, 10))
    if name == "columns of any size":
        X *= 10 ** rng.uniform(-3, 3, 10)
    elif name == "tiny":
        X *= 1e-6
    elif name == "correlated":
        X += 10 * rng.standard_normal((30, 1))
    elif name == "repeated and zero columns":
        X[:, 0], X[:, 9] = 0.0, X[:, 1]
    return X


def problem_of(penalty: str, loss: str, name: str, seed: int) -> so.Problem:
    """The strength is a part of the critical one for the group LASSO, for l0 of the objective at 0."""
    rng = np.random.default_rng([seed, LOSSES.index(loss)])
    X = design(name, rng)
    signal = (X / np.maximum(np.abs(X).max(axis=0), 1e-300)) @ rng.standard_normal((10, 3)) * 2
    y = signal[:, 0] + 0.3 * rng.standard_normal(30)
    intercept = seed % 2 == 1
    datafit = {
        "LeastSquares": lambda: so.LeastSquares(y, intercept=intercept),
        "Logistic": lambda: so.Logistic(np.r_[1, 0, y[2:] > 0], intercept=intercept),
        "Huber": lambda: so.Huber(y, 0.3, intercept=intercept),
        "Poisson": lambda: so.Poisson(np.r_[1, rng.poisson(np.exp(np.clip(y[1:], -3, 3)))], intercept=intercept),
        "MultiResponse": lambda: so.MultiResponse(signal, intercept=intercept),
        "Multinomial": lambda: so.Multinomial(np.r_[0, 1, 2, signal[3:].argmax(axis=1)], intercept=intercept),
        "Cox": lambda: so.Cox(rng.exponential(np.exp(-np.clip(y, -3, 3))) + 0.01, np.ones(30)),
    }[loss]()
    convex = so.Problem(X, datafit, so.GroupLasso(1.0, GROUPS))
    size = max(convex.objective(np.zeros(convex.w_shape)), 1e-3) if penalty == "L0" else so.lambda_max(convex)
    return convex.with_penalty(PENALTIES[penalty](size * 10 ** rng.uniform(-2, -0.3)))


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("penalty", "loss", "name"), [c if c in FEW else pytest.param(*c, marks=pytest.mark.slow) for c in CELLS]
)
def test_nothing_descends_from_where_block_descent_converges(penalty, loss, name, seed):
    problem = problem_of(penalty, loss, name, seed)
    result = so.solve(problem, tol=1e-7, max_iter=1000, time_limit=5.0)
    w, zero = result.w, np.zeros(problem.w_shape)
    at_zero = problem.objective(zero)
    scale = max(abs(result.objective), abs(at_zero - result.objective))
    assert result.objective <= at_zero + 1e-12 * scale
    assert problem.violation(w) <= 1e-6 * float(GROUPS.norms(problem.gradient(zero)).max())
    if loss == "LeastSquares":
        assert so.certify.stationarity(problem, w, tol=1e-6).proved
    curvature = problem.smoothness if problem.smooth else problem.local_smoothness(problem.product(w))
    bend = problem.penalty.weak_convexity
    # no longer than that for which the prox is that of a convex function, and so does not leap from minimum to minimum
    near = so.solvers.ProximalGradient(step_size=0.5 / max(curvature, bend) if bend < np.inf else LOCAL / curvature)
    moved = so.solve(problem, near, w0=w, tol=1e-15, max_iter=50, throw=False)
    assert moved.history.objective.min() >= result.objective - 1e-6 * scale
