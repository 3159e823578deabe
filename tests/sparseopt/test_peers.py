"""Other packages find the same minimum for the arguments that `estimators.conventions` translates.

The packages that pin an older NumPy live in .venv-peers (`make test-peers` makes it); scikit-learn is at hand.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import sparseopt as so

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn import linear_model

from sparseopt import estimators

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
SIZES = np.array([2, 3, 1, 4])
GROUPS = so.Groups.from_sizes(SIZES)
ALPHA = 0.12


def data(seed: int):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((50, SIZES.sum())) + rng.standard_normal(SIZES.sum())
    return X, X[:, :5] @ rng.standard_normal(5) + 2 + 0.5 * rng.standard_normal(50)


def peer(name: str, X, y, folder: Path):
    if not PYTHON.exists():
        pytest.skip(".venv-peers is not there: make test-peers")
    np.savez(folder / "data.npz", X=X, y=y, sizes=SIZES, alpha=ALPHA)
    command = [PYTHON, Path(__file__).with_name("peer_fit.py"), name, folder / "data.npz"]
    done = subprocess.run(command, capture_output=True, text=True)
    if f"No module named '{name}'" in done.stderr:
        pytest.skip(f"{name} is not installed in .venv-peers: remove it and run make test-peers")
    assert done.returncode == 0, done.stderr
    coefficients, intercept = json.loads(done.stdout.splitlines()[-1])
    return np.array(coefficients), intercept


PEERS = {
    "skglm": lambda: estimators.from_skglm(ALPHA),
    "celer": lambda: estimators.from_celer(ALPHA, np.arange(1.0, 5.0)),
    "adelie": lambda: estimators.from_adelie(ALPHA),
    "group_lasso": lambda: estimators.from_group_lasso(ALPHA, ALPHA / 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", PEERS)
def test_the_peer_has_the_same_minimum(name, seed, tmp_path):
    """Its point is no better than ours, by the certified gap, and ours is better by no more than its accuracy."""
    X, y = data(seed)
    theirs, intercept = peer(name, X, y, tmp_path)
    arguments = PEERS[name]()
    sparse = "l1_ratio" in arguments
    found = getattr(estimators, "SparseGroupLassoRegressor" if sparse else "GroupLassoRegressor")(GROUPS, **arguments)
    found.fit(X, y)
    if sparse:
        penalty = so.SparseGroupLasso(arguments["lam"], GROUPS, arguments["l1_ratio"], arguments["weights"])
    else:
        penalty = so.GroupLasso(arguments["lam"], GROUPS, arguments["weights"])
    problem = so.Problem(X, so.LeastSquares(y, intercept=True), penalty)
    proof = so.certify.duality_gap(problem, found.coef_)
    assert proof.verdict == "proved"
    ours, other = problem.objective(found.coef_), problem.objective(theirs)
    assert ours <= other + proof.upper
    accuracy = 1e-6 if name == "group_lasso" else 1e-8  # it stops by the change of its coefficients
    assert other <= ours + accuracy * proof.scale
    assert found.coef_.any()
    scale = np.abs(found.coef_).max()
    np.testing.assert_allclose(theirs, found.coef_, atol=3 * np.sqrt(accuracy) * scale)
    np.testing.assert_allclose(intercept, found.intercept_, atol=0.01)


def test_scikit_learn_has_the_same_minimum():
    """The LASSO, the multi-task LASSO and l1 logistic regression (whose loss is a sum: C = 1 / (n lam))."""
    X, y = data(0)
    ones = so.Groups.uniform(10, 1)
    lasso = linear_model.Lasso(ALPHA, tol=1e-12, max_iter=100_000).fit(X, y)
    problem = so.Problem(X, so.LeastSquares(y, intercept=True), so.GroupLasso(ALPHA, ones))
    same(problem, lasso.coef_)
    Y = np.c_[y, -y + X[:, 7], X[:, 0]]
    tasks = linear_model.MultiTaskLasso(ALPHA, tol=1e-12, max_iter=100_000).fit(X, Y)
    same(so.Problem(X, so.MultiResponse(Y, intercept=True), so.GroupLasso(ALPHA, ones)), tasks.coef_.T)
    labels = y > np.median(y)
    options = {"solver": "saga", "tol": 1e-10, "max_iter": 100_000, "random_state": 0}
    model = linear_model.LogisticRegression(l1_ratio=1.0, C=1 / (50 * 0.05), **options)
    same(so.Problem(X, so.Logistic(labels, intercept=True), so.GroupLasso(0.05, ones)), model.fit(X, labels).coef_[0])


def same(problem: so.Problem, theirs) -> None:
    result = so.solve(problem, tol=1e-10)
    proof = so.certify.duality_gap(problem, result.w, tol=1e-8)
    assert proof.verdict == "proved"
    assert result.w.any()
    assert result.objective <= problem.objective(theirs) + proof.upper
    assert problem.objective(theirs) <= result.objective + 1e-8 * proof.scale
