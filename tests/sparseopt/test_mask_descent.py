"""Mask descent ends where the closed-form regularisers do; masks of its iterates meet B1 and B2; annealing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from instances import GROUPS, quadratic

import sparseopt as so
from sparseopt import sets
from sparseopt.penalties.k_support import shares
from sparseopt.soft_topk import ExponentialTemperature, soft_topk
from sparseopt.solvers import MaskDescent
from sparseopt.solvers.masks import (
    ExponentialMask,
    HoffProduct,
    L1Mask,
    Powerpropagation,
    SmartMask,
    SoftmaxMask,
)

MASKS = [
    HoffProduct(),
    ExponentialMask(),
    L1Mask(),
    Powerpropagation(),
    SoftmaxMask(),
    SoftmaxMask(logit_decay=0.1),
    SmartMask(2, 0.5),
]
UNIT = so.Groups.uniform(6, 1)


def states(problem, solver, count, w0=None):
    return list(itertools.islice(so.iterate(problem, solver, w0), count))


def problem_of(mask, seed=0, lam=0.02):
    return quadratic(seed, mask.equivalent(lam, GROUPS))


def factors(mask, seed):
    rng = np.random.default_rng(seed)
    count = 0 if isinstance(mask, Powerpropagation) else 4
    return rng.standard_normal(8), rng.standard_normal(count) + (1.5 if isinstance(mask, HoffProduct | L1Mask) else 0)


@pytest.mark.parametrize("mask", MASKS, ids=lambda mask: repr(mask))
def test_derivatives_against_differences(mask):
    for seed in range(5):
        (v, m), rng = factors(mask, seed), np.random.default_rng(seed + 50)
        a, d, e = rng.standard_normal(8), rng.standard_normal(8), rng.standard_normal(len(m))

        def at(t, v=v, m=m, d=d, e=e, a=a):
            return float(a @ mask.weights(GROUPS, v + t * d, m + t * e)), mask.decay(GROUPS, v + t * d, m + t * e)[0]

        up, down = at(1e-6), at(-1e-6)
        dv, dm = mask.pull_back(GROUPS, v, m, a)
        _, decay_v, decay_m = mask.decay(GROUPS, v, m)
        slopes = [float(dv @ d + dm @ e), float(decay_v @ d + decay_m @ e)]
        for plus, minus, slope in zip(up, down, slopes, strict=True):
            assert (plus - minus) / 2e-6 == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("mask", MASKS, ids=lambda mask: repr(mask))
def test_no_factors_are_cheaper_than_the_closed_form(mask):
    """A1, A4 to A7, B4: lam decay(v, m) >= the equivalent penalty of w, for any factors."""
    penalty = mask.equivalent(0.3, GROUPS)
    for seed in range(200):
        v, m = factors(mask, seed)
        decay = mask.decay(GROUPS, v, m)[0] + mask.rest(m)
        assert 0.3 * decay >= float(penalty.value(mask.weights(GROUPS, v, m))) * (1 - 1e-12)


@pytest.mark.parametrize("mask", MASKS, ids=lambda mask: repr(mask))
def test_the_factored_objective_falls_to_that_of_the_closed_form(mask):
    attained = not getattr(mask, "logit_decay", 0.0)
    problem = problem_of(mask)
    path = states(problem, MaskDescent(mask), 800, 0.3 * np.random.default_rng(0).standard_normal(8))
    factored = np.array([state.factored for state in path])
    assert (np.diff(factored) <= 1e-14 * np.abs(factored[:-1]) + 1e-15).all()
    for state in path[::100]:
        assert state.factored >= problem.objective(state.w) - 1e-13
    end = path[-1]
    excess = end.factored - problem.objective(end.w)
    assert excess <= 1e-3 if attained else excess > 1e-4
    assert end.residual <= 1e-2


@pytest.mark.parametrize("mask", [HoffProduct(), Powerpropagation()])
def test_hoff_and_powerpropagation_solve_the_group_lasso(mask):
    problem = problem_of(mask, 1, 0.05)
    reference = so.solve(problem, tol=1e-10)
    result = so.solve(problem, MaskDescent(mask), tol=1e-6, w0=np.full(8, 0.1))
    assert result.gap <= 1e-6
    assert result.objective == pytest.approx(reference.objective, abs=1e-5)
    assert len(result.history.factored) == len(result.history.step_size) == len(result.history.gap)


def test_the_line_search_stays_stable_where_the_objective_no_longer_tells():
    """Steps that grew at rounding level made the gap a sawtooth above 1e-8 for thousands of iterations."""
    problem = quadratic(0, HoffProduct().equivalent(0.05, GROUPS), kappa=2.0)
    result = so.solve(problem, MaskDescent(HoffProduct()), tol=1e-11, max_iter=2000)
    assert result.status is so.Status.CONVERGED


def test_steps_never_vanish_where_the_gradient_is_huge():
    groups = so.Groups.uniform(4, 3)
    X = np.random.default_rng(0).standard_normal((30, 12))
    problem = so.Problem(X, so.LeastSquares(X[:, 0]), SoftmaxMask().equivalent(0.1, groups))
    states = itertools.islice(so.iterate(problem, MaskDescent(SoftmaxMask()), np.full(12, 1e100)), 30)
    assert all(np.isfinite(state.w).all() and state.step_size > 0 for state in states)


def test_the_exp_mask_reaches_the_one_minimum_and_stays_dense():
    """A1, A3: for lam below 10.5 mu the regularised problem is strictly convex, and no group is 0 at any strength."""
    problem = quadratic(2, ExponentialMask().equivalent(0.1, GROUPS), kappa=4.0)
    reference = so.solve(problem, so.solvers.ProximalGradient(), tol=1e-11)
    result = so.solve(problem, MaskDescent(ExponentialMask()), tol=1e-6)
    assert np.allclose(result.w, reference.w, rtol=0, atol=1e-4)
    assert GROUPS.norms(result.w).min() > 1e-3


@pytest.mark.slow
def test_the_normalised_softmax_prunes_and_logit_decay_does_not():
    """A7: the smallest group of the run with decay is orders of magnitude above that without."""
    H, b = np.eye(8), np.repeat([1.0, 0.6, 0.1, 0.05], 2)
    smallest = []
    for mask in (SoftmaxMask(), SoftmaxMask(logit_decay=1.0)):
        problem = so.Problem.quadratic(H, b, mask.equivalent(0.3, GROUPS))
        end = states(problem, MaskDescent(mask), 2500)[-1]
        smallest.append(GROUPS.norms(end.w).min())
    assert smallest[0] < 1e-3 * smallest[1]


def test_zero_factors_stay_and_a_zero_start_of_powerpropagation_is_refused():
    """A4, A6: v = 0, m = 0 is stationary for every lam; the start has m = 1 and leaves it."""
    problem = problem_of(HoffProduct())
    assert states(problem, MaskDescent(HoffProduct()), 5)[-1].w.any()
    dv, dm = HoffProduct().pull_back(GROUPS, np.zeros(8), np.zeros(4), np.ones(8))
    assert not dv.any()
    assert not dm.any()
    with pytest.raises(ValueError, match="never leaves w = 0"):
        so.solve(problem_of(Powerpropagation()), MaskDescent(Powerpropagation()))


def entropy(f):
    return float(-np.sum(np.where((f > 0) & (f < 1), f * np.log(np.clip(f, 1e-300, 1)), 0))) - float(
        np.sum(np.where((f > 0) & (f < 1), (1 - f) * np.log(np.clip(1 - f, 1e-300, 1)), 0))
    )


def test_masks_of_the_iterates_meet_b1_and_b2():
    """B1: sum k, order, reflection, translation, maximum of <x, y> + tau H(y); B2: distance to the hard mask."""
    mask, rng = SmartMask(2, ExponentialTemperature(1.0, 1e-2, 300)), np.random.default_rng(0)
    problem = quadratic(3, mask.equivalent(0.05, UNIT), p=6)
    path = states(problem, MaskDescent(mask), 301, rng.standard_normal(6))
    for state in path[::10]:
        x, tau, k, n = state.m, state.parametrisation.tau, 2, 6
        f = state.parametrisation.values(x)
        assert abs(f.sum() - k) <= 4e-15 * k
        order = np.argsort(-x)
        assert (np.diff(f[order]) <= 1e-16).all()
        assert np.allclose(soft_topk(-x, n - k, tau), 1 - f, rtol=0, atol=1e-14)
        assert np.allclose(soft_topk(x + 8.0, k, tau), f, rtol=0, atol=1e-12 / tau)
        value = float(x @ f) + tau * entropy(f)
        for y in rng.random((20, n)):
            feasible = sets.CappedSimplex(k).project(y)
            assert float(x @ feasible) + tau * entropy(feasible) <= value + 1e-12
        jacobian = np.stack([state.parametrisation.values_vjp(x, row) for row in np.eye(n)])
        eigenvalues = np.linalg.eigvalsh((jacobian + jacobian.T) / 2)
        assert np.allclose(jacobian @ np.ones(n), 0, atol=1e-13 / tau)
        assert eigenvalues[0] >= -1e-13 / tau
        assert eigenvalues[-1] <= 1 / (4 * tau) * (1 + 1e-12)
        hard = np.zeros(n)
        hard[order[:k]] = 1.0
        gap = x[order[k - 1]] - x[order[k]]
        decay = np.exp(-gap / (2 * tau))
        assert np.abs(f - hard).max() <= max(k, n - k) ** 0.5 * decay + 1e-15
        assert np.abs(f - hard).sum() <= 2 * (k * (n - k)) ** 0.5 * decay + 1e-15
        assert float(x @ hard - x @ f) + 1e-13 >= 0
        assert float(x @ hard - x @ f) <= tau * n * entropy(np.array([k / n])) + 1e-13
    assert path[-1].parametrisation.tau == pytest.approx(1e-2)


def test_the_temperature_does_not_change_the_regulariser():
    """B3: min over scores of sum a^2 / f^2 is Omega_k for every tau."""
    a = np.array([1.0, 2.0, 0.5, 0.7])
    penalty = SmartMask(2).equivalent(1.0, so.Groups.uniform(4, 1))
    problem_value = float(penalty.value(a))
    for tau in (0.05, 0.5, 5.0):
        f, _ = shares(a ** (2 / 3), 2)
        scores = tau * np.log(f / (1 - f))
        again = soft_topk(scores, 2, tau)
        assert float(np.sum(a**2 / again**2)) == pytest.approx(problem_value, rel=1e-12)


def test_a_given_step_is_kept_where_the_objective_rises():
    """Plain gradient descent on the soft top-k, step by step."""
    target, tau, step = np.array([1.0, 3.0]), 0.5, 1.5
    problem = so.Problem.quadratic(np.eye(2), target, so.SmartDecay(1e-14, so.Groups.uniform(2, 1), 1))
    states = so.iterate(problem, MaskDescent(SmartMask(1, tau), step_size=step), np.array([0.5, -0.5]))
    v, m, operator, values = np.array([1.0, -1.0]), np.array([0.5, 0.5]), so.SoftTopK(1, tau), []
    for state in itertools.islice(states, 30):
        f = operator(m)
        np.testing.assert_allclose(state.w, f * v, rtol=0, atol=1e-8)
        assert state.step_size == step
        values.append(state.factored)
        slope = f * v - target
        v, m = v - step * f * slope, m - step * operator.vjp(slope * v)
    assert np.diff(values).max() > 0


def test_annealing_ends_on_k_groups_at_their_restricted_minimum():
    """B6: with a gap of the scores the others die out, and the rest is ridge regression on k groups."""
    mask = SmartMask(2, ExponentialTemperature(1.0, 1e-3, 700))
    problem = quadratic(1, mask.equivalent(0.05, GROUPS), kappa=5.0)
    end = states(problem, MaskDescent(mask), 1200)[-1]
    norms = GROUPS.norms(end.w)
    kept = np.sort(np.argsort(-norms)[:2])
    assert np.sort(norms)[:2].max() <= 1e-6 * norms.max()
    rows = np.flatnonzero(np.isin(GROUPS.labels, kept))
    H, b = problem.datafit.H, problem.datafit.b
    ridge = np.linalg.solve(H[np.ix_(rows, rows)] + 0.1 * np.eye(len(rows)), b[rows])
    assert np.allclose(end.w[rows], ridge, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MaskDescent(HoffProduct), "mask is .*give a parametrisation"),
        (lambda: MaskDescent(0.5), "mask is 0.5"),
        (lambda: MaskDescent(HoffProduct(), step_size=0), "step_size is 0"),
        (lambda: SoftmaxMask(logit_decay=-1), "logit_decay is -1"),
        (lambda: SmartMask(2, 0.0), "tau is 0.0"),
        (lambda: SmartMask(2, np.nan), "tau is nan"),
        (lambda: SmartMask(2, lambda step: 0.0).at(0), "tau is 0.0"),
        (lambda: SmartMask(5).start(GROUPS, np.ones(8)), "k is 5"),
        (lambda: SmartMask(4).start(GROUPS, np.ones(8)), "use k < 4"),
        (lambda: so.solve(quadratic(0, so.GroupLasso(0.1, GROUPS)), MaskDescent(HoffProduct())), "is not the regul"),
        (
            lambda: so.solve(quadratic(0, SmartMask(2).equivalent(1, GROUPS)), MaskDescent(SmartMask(1))),
            "not the regul",
        ),
        (lambda: so.solve(problem_of(HoffProduct()), MaskDescent(L1Mask())), "is not the regulariser"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
