"""Global optimality of a nonconvex problem: proved on window instances, and never where a hypothesis fails."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import SCALAR_PENALTIES, random_problem
from scipy import sparse
from test_subadditivity import DeclaredConcave, RisingSlope, SquaredPower

import sparseopt as so
from sparseopt.penalties import ExpMask, Linear, Log, Power, Ratio
from sparseopt.solvers import FISTA

SUBADDITIVE = [rho for rho in SCALAR_PENALTIES if rho != ExpMask()]


def window_problem(seed, rho=Power(0.5), position=0.5, **datafit):  # noqa: B008  (frozen)
    """(InverseSum problem inside the certified window of one group, minimiser of its companion)."""
    problem = random_problem(seed, weights="none", **datafit)
    window = so.certify.lambda_window(problem)
    lam = window.lower + position * (window.upper - window.lower)
    problem = problem.with_penalty(so.InverseSum(lam, problem.penalty.groups, rho))
    companion = problem.with_penalty(problem.penalty.companion)
    return problem, so.solve(companion, FISTA(), tol=1e-12, throw=False).w


def lowest_competitor(problem, w, rng, tries=60):
    """The lowest objective among random points at several scales, on all groups, on pairs and on single groups."""
    groups, lowest = problem.penalty.groups, math.inf
    for _ in range(tries):
        u = w + 10.0 ** rng.uniform(-4, 1) * rng.standard_normal(len(w))
        kept = rng.choice(groups.n_groups, size=int(rng.integers(1, groups.n_groups + 1)), replace=False)
        lowest = min(lowest, problem.objective(np.where(np.isin(groups.labels, kept), u, 0.0)))
    return lowest


@pytest.mark.parametrize("rho", SUBADDITIVE, ids=repr)
@pytest.mark.parametrize("position", [0.05, 0.5, 0.95])
def test_window_instances_are_proved_and_no_competitor_is_below(rho, position):
    rng = np.random.default_rng(0)
    for seed in range(3):
        problem, w = window_problem(seed, rho, position, intercept=seed == 1)
        certificate = so.certify.global_gap(problem, w)
        assert certificate.proved, certificate.reason
        assert 0 <= certificate.lower <= certificate.upper <= 1e-6 * certificate.scale
        assert lowest_competitor(problem, w, rng) >= problem.objective(w) - certificate.upper
        assert certificate.distance < 1e-2


@given(seed=st.integers(0, 2**32 - 1))
def test_the_bound_holds_for_every_competitor(seed):
    """A9, quantitative: F_R(u) >= F_R(w) - upper, and >= F_R(w) - upper + mu/2 |u - minimiser|^2 at the minimiser."""
    rng = np.random.default_rng(seed)
    problem, w = window_problem(seed % 500, SUBADDITIVE[seed % len(SUBADDITIVE)], sample_weight=rng.uniform(0.2, 2, 12))
    certificate = so.certify.global_gap(problem, w)
    assert certificate.proved
    assert lowest_competitor(problem, w, rng, 30) >= problem.objective(w) - certificate.upper


def test_sparse_designs_and_zero_solutions():
    problem, w = window_problem(0)
    thin = so.Problem(sparse.csr_array(problem.X), problem.datafit, problem.penalty)
    assert so.certify.global_gap(thin, w).proved
    above = problem.with_lam(1.01 * so.lambda_max(problem.with_penalty(problem.penalty.companion)))
    assert so.certify.global_gap(above, np.zeros(8)).proved


def test_wide_designs_are_proved_without_strong_convexity():
    problem = random_problem(0, n=6, weights="none")
    top = so.lambda_max(problem)
    problem = problem.with_penalty(so.InverseSum(0.97 * top, problem.penalty.groups, Power(0.5)))
    w = so.solve(problem.with_penalty(problem.penalty.companion), FISTA(), tol=1e-13, throw=False).w
    certificate = so.certify.global_gap(problem, w)
    assert certificate.proved, certificate.reason
    assert certificate.distance == math.inf


def test_quadratics_are_proved():
    """The necessity example of ledger A9, L = (x + y - 2)^2 / 2 + y^2 / 20 + y / 20 at lam = 1: minimiser (1, 0)."""
    penalty = so.InverseSum(1.0, so.Groups.uniform(2, 1), Power(0.5))
    problem = so.Problem.quadratic([[1.0, 1.0], [1.0, 1.1]], [2.0, 1.95], penalty)
    certificate = so.certify.global_gap(problem, [1.0, 0.0])
    assert certificate.proved
    assert certificate.distance < 1e-3
    assert so.certify.global_gap(problem, [0.0, 1.0]).verdict == "refuted"


# --- never proved


def test_the_exp_mask_is_never_proved():
    """A9's counterexample: with the exp mask (13/20, 11/20) is lower than the group-LASSO minimiser (1, 0)."""
    penalty = so.InverseSum(1.0, so.Groups.uniform(2, 1), ExpMask())
    problem = so.Problem.quadratic([[1.0, 1.0], [1.0, 1.1]], [2.0, 1.95], penalty)
    assert problem.objective([0.65, 0.55]) < problem.objective([1.0, 0.0]) - 0.1
    assert not so.certify.global_gap(problem, [1.0, 0.0]).proved
    assert "subadditivity" in so.certify.global_gap(problem, [1.0, 0.0]).reason
    for seed in range(3):
        problem, w = window_problem(seed, ExpMask())
        assert so.certify.global_gap(problem, w).verdict == "undecided"


@pytest.mark.parametrize("rho", [DeclaredConcave(), SquaredPower(0.5)], ids=lambda r: type(r).__name__)
def test_a_declared_trait_proves_nothing(rho):
    rho.__class__.slope = lambda self, t: 2 * t
    rho.__class__.inverse = lambda self, y: y**0.5
    problem, w = window_problem(0, rho)
    certificate = so.certify.global_gap(problem, w)
    assert certificate.verdict == "undecided"
    assert "subadditivity is undecided" in certificate.reason


def test_subadditivity_by_branch_and_bound_is_enough():
    problem, w = window_problem(0, RisingSlope())
    certificate = so.certify.global_gap(problem, w)
    assert certificate.proved, certificate.reason
    assert "boxes" in certificate.reason


@pytest.mark.parametrize("rho", SUBADDITIVE, ids=repr)
def test_a_tie_is_never_proved(rho):
    """A11's Gtie: two equal gradients give two minimisers, or a dense one."""
    penalty = so.InverseSum(0.9, so.Groups.uniform(2, 1), rho)
    problem = so.Problem.quadratic(np.eye(2), [1.0, 1.0], penalty)
    for w in ([0.1, 0.1], [0.1, 0.0], [0.0, 0.1], [0.0, 0.0], [0.052, 0.053]):
        assert not so.certify.global_gap(problem, w).proved


@pytest.mark.parametrize("rho", SUBADDITIVE, ids=repr)
def test_a_two_group_minimiser_is_never_proved(rho):
    """A9's L = (x - 1)^2 / 2 + (y - 4/5)^2 / 2 at lam = 0.3, whose group LASSO solution is (0.7, 0.5)."""
    penalty = so.InverseSum(0.3, so.Groups.uniform(2, 1), rho)
    problem = so.Problem.quadratic(np.eye(2), [1.0, 0.8], penalty)
    for w in ([0.7, 0.5], [0.7, 0.0], [0.0, 0.5], [0.6045, 0.3185]):
        assert not so.certify.global_gap(problem, w).proved


def test_below_the_window_nothing_is_proved():
    for seed in range(5):
        problem, _ = window_problem(seed)
        low = problem.with_lam(0.01 * problem.penalty.lam)
        w = so.solve(low.with_penalty(low.penalty.companion), FISTA(), tol=1e-12, throw=False).w
        assert len(low.penalty.groups.active(w)) > 1
        certificate = so.certify.global_gap(low, w)
        assert not certificate.proved
        assert "active groups" in certificate.reason


@pytest.mark.parametrize("seed", range(5))
def test_a_wrong_w_is_refuted(seed):
    problem, w = window_problem(seed)
    groups = problem.penalty.groups
    other = (groups.active(w)[0] + 1) % 4
    wrong = [1.1 * w, 0.9 * w, -w, np.zeros(8), np.where(groups.labels == other, 0.3, 0.0), w + 0.1]
    for point in wrong:
        certificate = so.certify.global_gap(problem, point)
        assert certificate.verdict == "refuted", certificate
        accuracy = 1e-12 * problem.objective(point)  # of w, which the certificate may improve on
        assert problem.objective(point) - problem.objective(w) >= certificate.lower - accuracy
    assert not so.certify.global_gap(problem, w + 1e-12).proved


def test_w_for_another_strength_is_not_proved():
    problem, w = window_problem(0)
    for factor in (0.9, 1.1):
        assert not so.certify.global_gap(problem.with_lam(factor * problem.penalty.lam), w).proved


@pytest.mark.parametrize("penalty", [so.GroupLq, so.GroupLogSum, so.GroupExpMask])
def test_other_nonconvex_penalties_are_undecided(penalty):
    problem, w = window_problem(0)
    certificate = so.certify.global_gap(problem.with_penalty(penalty(0.1, problem.penalty.groups)), w)
    assert certificate.verdict == "undecided"
    assert "use InverseSum" in certificate.reason


def test_a_convex_penalty_is_handed_to_the_duality_gap():
    problem, w = window_problem(0)
    companion = problem.with_penalty(problem.penalty.companion)
    assert so.certify.global_gap(companion, w) == so.certify.duality_gap(companion, w)
    weighted = companion.with_penalty(so.GroupLasso(problem.penalty.lam, problem.penalty.groups, weights="sqrt"))
    assert not so.certify.global_gap(weighted, w).proved


@pytest.mark.parametrize("rho", [Linear(), Log(1.0), Ratio()], ids=repr)
def test_a_tolerance_of_zero_is_never_proved(rho):
    problem, w = window_problem(0, rho)
    assert not so.certify.global_gap(problem, w, tol=0).proved


def test_the_lambda_window_holds_one_group():
    for seed in range(20):
        problem = random_problem(seed, weights=("sqrt", "none", np.array([0.5, 2.0, 1.0, 3.0]))[seed % 3])
        window = so.certify.lambda_window(problem)
        assert 0 < window.lower < window.upper
        assert window.upper == pytest.approx(so.lambda_max(problem), rel=1e-12)
        for position in (0.001, 0.5, 0.999):
            inside = problem.with_lam(window.lower + position * (window.upper - window.lower))
            w = so.solve(inside, FISTA(), tol=1e-12, throw=False).w
            assert inside.penalty.groups.active(w).tolist() == [window.group]
