"""Newton steps on a support of some hundred columns keep BLAS on one thread, whose others would only wait."""

from __future__ import annotations

import numpy as np
import pytest

import sparseopt as so
from sparseopt.solvers import support_newton

threadpoolctl = pytest.importorskip("threadpoolctl")


def test_support_steps_run_on_one_thread_and_leave_the_others_alone(monkeypatch):
    import scipy.linalg  # noqa: F401

    def threads() -> set[int]:
        return {found["num_threads"] for found in threadpoolctl.threadpool_info() if found["user_api"] == "blas"}

    seen, original = [], support_newton._newton_step
    monkeypatch.setattr(support_newton, "_newton_step", lambda run: seen.append(threads()) or original(run))
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 90))
    groups = so.Groups.uniform(30, 3)
    huber = so.Huber(X[:, :6] @ np.ones(6) + rng.standard_t(1.5, 60), 0.5)
    strength = so.lambda_max(so.Problem(X, huber, so.GroupLasso(1.0, groups))) / 100
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = threads()
        so.solve(so.Problem(X, huber, so.GroupMCP(strength, groups)), throw=False)
        assert threads() == before
    assert seen
    assert set().union(*seen) == {1}
