"""Global gaps of SMART with weight decay: proved only where true, refuted by better points, undecided elsewhere."""

import numpy as np
import pytest

import sparseopt as so


def random_problem(seed, lam, k=2):
    rng = np.random.default_rng(seed)
    groups = so.Groups.from_sizes(rng.integers(1, 4, 5))
    X = rng.standard_normal((20, groups.n_features))
    return so.Problem(X, so.LeastSquares(X @ rng.standard_normal(X.shape[1])), so.SmartDecay(lam, groups, k))


def sparse_minimiser(problem):
    penalty = problem.penalty
    w = so.solve(problem.with_penalty(penalty.companion), tol=1e-11, throw=False).w
    return so.sets.TopGroups(penalty.k, penalty.groups).project(w)


@pytest.mark.parametrize("seed", range(4))
def test_a_sparse_minimiser_of_the_envelope_is_proved_and_nothing_near_it_is_lower(seed):
    problem = random_problem(seed, 200.0)
    w = sparse_minimiser(problem)
    certificate = so.certify.global_gap(problem, w, tol=1e-8)
    assert certificate.proved
    rng = np.random.default_rng(seed)
    for scale in np.geomspace(1e-6, 1, 30):
        u = w + scale * np.abs(w).max() * rng.standard_normal(len(w))
        assert problem.objective(u) >= problem.objective(w) - certificate.upper - 1e-12
    wrong = (1.1 * w, 0 * w, np.roll(w, 1), w + 0.01 * np.abs(w).max())
    assert not any(so.certify.global_gap(problem, u, tol=1e-8).proved for u in wrong)
    assert so.certify.global_gap(problem, 0 * w, tol=1e-8).verdict == "refuted"


@pytest.mark.parametrize("seed", range(3))
def test_the_enclosure_holds_the_true_gap(seed):
    """The gap to the best of many points with k groups is at most the bound, whatever w with k groups is."""
    problem = random_problem(seed, 5.0)
    best = problem.objective(sparse_minimiser(problem))
    rng = np.random.default_rng(seed)
    for _ in range(10):
        w = so.sets.TopGroups(2, problem.penalty.groups).project(rng.standard_normal(problem.w_shape))
        certificate = so.certify.global_gap(problem, w)
        assert certificate.lower <= problem.objective(w) - best + 1e-12
        assert problem.objective(w) - best <= certificate.upper + 1e-12


def test_a_tie_is_not_proved():
    groups = so.Groups.uniform(2, 1)
    problem = so.Problem.quadratic(np.eye(2), np.ones(2), so.SmartDecay(1.75, groups, 1))
    assert so.certify.global_gap(problem, [2 / 9, 0.0]).verdict == "undecided"
    assert so.certify.global_gap(problem, [0.125, 0.125]).verdict != "proved"


def test_fewer_than_k_groups():
    groups = so.Groups.uniform(3, 1)
    problem = so.Problem.quadratic(np.eye(3), np.array([1.0, 0.0, 0.0]), so.SmartDecay(0.5, groups, 2))
    assert so.certify.global_gap(problem, [0.5, 0.0, 0.0]).proved
    assert so.certify.global_gap(problem, [0.0, 0.5, 0.0]).verdict == "refuted"


def test_other_losses_are_undecided_with_the_reason():
    groups = so.Groups.uniform(2, 1)
    problem = so.Problem(np.eye(2), so.Logistic([1, -1]), so.SmartDecay(0.5, groups, 1))
    certificate = so.certify.global_gap(problem, [0.1, 0.0])  # a tie: the convex minimiser has both
    assert certificate.verdict == "undecided"
    assert "may have more than 1 active groups" in certificate.reason
    certificate = so.certify.global_gap(problem, [0.1, 0.1])
    assert certificate.verdict == "undecided"
    assert "w has 2 active groups" in certificate.reason
