"""Certificates for the squared k-support norm, and by it for the penalty of SMART with weight decay (ledger B4, B5)."""

from __future__ import annotations

import numpy as np
import pytest

import sparseopt as so
from sparseopt import sets

GROUPS = so.Groups.from_sizes([2, 1, 3, 2])


def problem_of(penalty, seed=0, loss="squares", active=1):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((20, 8))
    signal = X @ (3 * rng.standard_normal(8) * (GROUPS.labels < active)) + 0.1 * rng.standard_normal(20)
    fits = {
        "squares": so.LeastSquares(signal, intercept=True),
        "logistic": so.Logistic(signal > 0),
        "quadratic": so.datafits.Quadratic(X.T @ X / 20 + 0.01 * np.eye(8), X.T @ signal / 20),
    }
    return so.Problem(np.eye(8) if loss == "quadratic" else X, fits[loss], penalty)


def minimiser(problem, tol=1e-11):
    return so.solve(problem, so.solvers.FISTA(), tol=tol, max_iter=50_000, throw=False).w


@pytest.mark.parametrize("loss", ["squares", "logistic"])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_gap_is_enclosed_anywhere(k, loss):
    rng = np.random.default_rng(k)
    problem = problem_of(so.KSupport(0.3, GROUPS, k), loss=loss)
    for scale in (1e-3, 1.0, 30.0):
        for kept in (k, 4):
            w = sets.TopGroups(kept, GROUPS).project(scale * rng.standard_normal(8))
            found = so.certify.duality_gap(problem, w)
            gap = problem.penalty.value(w) + problem.gradient(w) @ w + problem.penalty.conjugate(-problem.gradient(w))
            error = 1e-12 * (abs(problem.objective(w)) + float(problem.penalty.value(w)))
            assert found.lower <= gap + error
            assert gap - error <= found.upper <= gap + 1e-7 * abs(gap) + error
            assert found.verdict == "refuted"


@pytest.mark.parametrize("level", ["float", "ball", "exact"])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_minimisers_are_proved_at_every_level(k, level):
    if level == "ball":
        pytest.importorskip("flint")
    for lam in (0.01, 1.0):
        problem = problem_of(so.KSupport(lam, GROUPS, k), active=3)
        w = minimiser(problem)
        certificate = so.certify.duality_gap(problem, w, tol=1e-8, level=level)
        assert certificate.proved, certificate.reason
        assert so.certify.duality_gap(problem, w + 1e-2, tol=1e-8, level=level).verdict == "refuted"


@pytest.mark.parametrize("loss", ["squares", "logistic"])
def test_sparse_minimisers_of_the_envelope_minimise_the_penalty_of_smart(loss):
    rng, proved = np.random.default_rng(0), 0
    for seed in (0, 1, 2, 3):
        problem = problem_of(so.SmartDecay(1.0, GROUPS, 2), seed, loss, active=2)
        w = minimiser(problem.with_penalty(problem.penalty.companion))
        certificate = so.certify.global_gap(problem, w)
        if len(GROUPS.active(w)) > 2:  # then nothing is known
            assert not certificate.proved
            continue
        assert certificate.proved, certificate.reason
        proved += 1
        for _ in range(200):
            rival = w + 10.0 ** rng.uniform(-4, 1) * rng.standard_normal(8)
            if rng.random() < 0.7:
                rival = sets.TopGroups(int(rng.integers(1, 4)), GROUPS).project(rival)
            assert problem.objective(rival) >= problem.objective(w) - certificate.upper
        assert so.certify.global_gap(problem, 0.9 * w).verdict == ("undecided" if loss == "logistic" else "refuted")
    assert proved >= 2
