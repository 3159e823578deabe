"""The squared k-support norm, Omega_k of SMART with decay, and the outer function of the inverse sum (A7, B4, B5)."""

from __future__ import annotations

import numpy as np
import pytest
from instances import GROUPS, quadratic

import sparseopt as so
from sparseopt import sets
from sparseopt.penalties import Linear, Power, Square

UNIT = so.Groups.uniform(6, 1)


def dual_bisection(a, k, power):
    """min sum a^2 / f^power over 0 < f <= 1, sum f <= k, f = min(1, c a^(2/(1+power)))."""
    if np.count_nonzero(a) <= k:
        return float(a @ a)
    low, high = 0.0, 1e9
    for _ in range(400):
        c = (low + high) / 2
        low, high = (c, high) if np.minimum(1, c * a ** (2 / (1 + power))).sum() < k else (low, c)
    f = np.minimum(1, high * a ** (2 / (1 + power)))
    return float(np.sum(np.where(a > 0, a**2 / np.where(a > 0, f, 1) ** power, 0)))


@pytest.mark.parametrize("k", [1, 2, 3, 5, 6])
def test_closed_forms_agree_with_the_dual(k):
    rng = np.random.default_rng(k)
    for _ in range(100):
        w = rng.standard_normal(6) * (rng.random(6) < 0.8) * 10.0 ** rng.uniform(-3, 3)
        a = np.abs(w)
        assert float(so.KSupport(1.0, UNIT, k).value(w)) == pytest.approx(dual_bisection(a, k, 1), rel=1e-12)
        assert float(so.SmartDecay(1.0, UNIT, k).value(w)) == pytest.approx(dual_bisection(a, k, 2), rel=1e-12)


def test_the_sandwich_of_b4():
    """Omega_k >= k-support^2 >= |w|^2, equal for at most k active groups; with the ball of the same norm."""
    rng = np.random.default_rng(0)
    for k in (1, 2, 3):
        envelope, omega = so.KSupport(1.0, GROUPS, k), so.SmartDecay(1.0, GROUPS, k)
        for _ in range(50):
            w = rng.standard_normal(8)
            square = float(w @ w)
            assert float(omega.value(w)) >= float(envelope.value(w)) * (1 - 1e-14) >= square * (1 - 1e-13)
            sparse = sets.TopGroups(k, GROUPS).project(w)
            for penalty in (envelope, omega):
                assert float(penalty.value(sparse)) == pytest.approx(float(sparse @ sparse), rel=1e-14)
            size = float(so.KSupport(1.0, so.Groups.uniform(8, 1), k).value(w)) ** 0.5
            assert sets.KSupportBall(size * (1 + 1e-12), k).contains(w)
            assert not sets.KSupportBall(size * (1 - 1e-12), k).contains(w)
    half = np.array([0.5, 0.5, 0, 0, 0, 0])
    assert float(so.SmartDecay(1.0, UNIT, 1).value(half)) == pytest.approx(2.0, rel=1e-14)  # not convex: ends give 1
    assert float(so.KSupport(1.0, UNIT, 1).value(half)) == pytest.approx(1.0, rel=1e-14)


def test_the_conjugate_is_a_quarter_of_the_top_k_energy():
    rng = np.random.default_rng(1)
    penalty = so.KSupport(0.7, GROUPS, 2)
    for _ in range(30):
        c = rng.standard_normal(8)
        top = sets.TopGroups(2, GROUPS).project(c)
        best = top / (2 * 0.7)  # attained there
        assert penalty.conjugate(c) == pytest.approx(float(top @ top) / 2.8, rel=1e-14)
        assert float(c @ best - penalty.value(best)) == pytest.approx(penalty.conjugate(c), rel=1e-13)
        for w in rng.standard_normal((20, 8)):
            assert float(c @ w - penalty.value(w)) <= penalty.conjugate(c) + 1e-12


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("step", [1e-6, 0.03, 1.0, 50.0])
def test_the_prox_satisfies_its_optimality_condition(k, step):
    rng = np.random.default_rng(k)
    penalty = so.KSupport(0.6, GROUPS, k)
    for i in range(40):
        v = rng.standard_normal(8) * 10.0 ** rng.uniform(-2, 2)
        if i % 4 == 0:
            v[GROUPS.labels == 1] = v[GROUPS.labels == 0]  # ties
        if i % 5 == 0:
            v[GROUPS.labels == 2] = 0.0
        w = penalty.prox(v, step)
        assert penalty.violation(w, (w - v) / step).max() <= 1e-12 * np.abs(v).max() / step
        assert not w[v == 0].any()
        base = float(np.sum((w - v) ** 2)) / 2 + step * float(penalty.value(w))
        for u in w + 0.1 * np.abs(v).max() * rng.standard_normal((10, 8)):
            assert base <= float(np.sum((u - v) ** 2)) / 2 + step * float(penalty.value(u)) + 1e-12 * base


def test_prox_edge_cases_and_array_libraries(xp):
    penalty = so.KSupport(0.5, GROUPS, 2)
    v = np.linspace(-1, 2, 8)
    w = np.asarray(penalty.prox(xp.asarray(v), 0.3))
    assert np.allclose(w, penalty.prox(v, 0.3), rtol=0, atol=1e-15)
    assert float(penalty.value(xp.asarray(v))) == pytest.approx(float(penalty.value(v)), rel=1e-15)
    assert float(so.SmartDecay(0.5, GROUPS, 2).value(xp.asarray(v))) > 0
    assert not np.asarray(penalty.prox(xp.asarray(np.zeros(8)), 0.3)).any()
    assert np.allclose(np.asarray(penalty.prox(xp.asarray(v), 0.0)), v)
    whole = so.KSupport(0.5, GROUPS, 4)
    assert np.allclose(np.asarray(whole.prox(xp.asarray(v), 0.3)), v / 1.3, rtol=0, atol=1e-15)


def test_problems_with_it_are_solved_to_a_gap():
    for seed, k in ((0, 1), (1, 2), (2, 3)):
        problem = quadratic(seed, so.KSupport(0.05, GROUPS, k))
        result = so.solve(problem, tol=1e-10)
        assert result.gap <= 1e-10
        assert problem.violation(result.w) <= 1e-5


def test_the_sandwich_theorem_b5():
    """A k-sparse minimiser for the companion minimises Omega_k too: lam > L |b| / (|b|_(k) - |b|_(k+1))."""
    rng, k = np.random.default_rng(3), 2
    for seed in range(8):
        problem = quadratic(seed, so.SmartDecay(1.0, UNIT, k), p=6)
        b = -np.sort(-np.abs(problem.datafit.b))
        lam = 1.01 * problem.smoothness * np.linalg.norm(b) / (b[k - 1] - b[k])
        problem = problem.with_lam(lam)
        best = so.solve(problem.with_penalty(problem.penalty.companion), tol=1e-13).w
        kept = sets.TopGroups(k, UNIT).project(best)
        assert np.array_equal(np.flatnonzero(kept), np.sort(np.argsort(-np.abs(problem.datafit.b))[:k]))
        assert np.abs(best - kept).max() <= 1e-6 * np.abs(kept).max()
        floor = problem.objective(kept)
        for scale in 10.0 ** rng.uniform(-4, 0.5, 100):
            u = kept + scale * np.abs(kept).max() * rng.standard_normal(6)
            assert problem.objective(u) >= floor - 1e-12 * abs(floor)


def test_the_gradient_of_omega_against_differences():
    rng = np.random.default_rng(5)
    for penalty in (
        so.SmartDecay(0.3, GROUPS, 2),
        so.InverseSum(0.3, GROUPS, Power(2 / 3), outer=Square()),
    ):
        w, d = rng.standard_normal(8), rng.standard_normal(8)
        slope = float(penalty.value(w + 1e-6 * d) - penalty.value(w - 1e-6 * d)) / 2e-6
        assert float(penalty.gradient(w) @ d) == pytest.approx(slope, rel=1e-7)


def test_the_outer_function_of_the_inverse_sum():
    """A7: lam |u|_{2,2/3}^2 / n^2, 10.028... of the ledger's form, between the square of the sum and infinity."""
    a = np.array([1.0, 1.0, 0.3, 0.0])
    w = np.zeros(8)
    w[::2] = a
    penalty = so.InverseSum(2.0, GROUPS, Power(2 / 3), outer=Square())
    assert float(penalty.value(w)) == pytest.approx(2 * float((a ** (2 / 3)).sum()) ** 3, rel=1e-14)
    assert penalty.with_lam(1.0).outer == Square()
    assert isinstance(penalty.companion, so.KSupport)
    assert float(penalty.companion.value(w)) == pytest.approx(2 * a.sum() ** 2, rel=1e-14)
    assert float(penalty.value(w)) >= float(penalty.companion.value(w))
    one = np.where(GROUPS.labels == 0, w, 0.0)
    assert float(penalty.value(one)) == float(penalty.companion.value(one)) == 2.0
    plain = so.InverseSum(2.0, GROUPS, Power(2 / 3), outer=Linear())
    assert float(plain.value(w)) == float(so.InverseSum(2.0, GROUPS, Power(2 / 3)).value(w))


def test_the_sandwich_theorem_with_a_square_outside():
    """A7, corollary: lam > L |b| / Delta makes the unique minimiser one-sparse on the largest |b|, for h = r^2 too."""
    rng = np.random.default_rng(7)
    for seed in range(6):
        problem = quadratic(seed, so.InverseSum(1.0, UNIT, Power(2 / 3), outer=Square()), p=6)
        b = -np.sort(-np.abs(problem.datafit.b))
        problem = problem.with_lam(1.01 * problem.smoothness * np.linalg.norm(b) / (b[0] - b[1]))
        best = so.solve(problem.with_penalty(problem.penalty.companion), tol=1e-13).w
        kept = sets.TopGroups(1, UNIT).project(best)
        assert np.argmax(np.abs(kept)) == np.argmax(np.abs(problem.datafit.b))
        floor = problem.objective(kept)
        for u in kept + np.abs(kept).max() * rng.standard_normal((100, 6)) * 10.0 ** rng.uniform(-4, 0.5, (100, 1)):
            assert problem.objective(u) >= floor - 1e-12 * abs(floor)


def test_certificates_do_not_use_the_sandwich_of_another_objective():
    problem = quadratic(0, so.InverseSum(1.0, UNIT, Power(2 / 3), outer=Square()), p=6)
    verdict = so.certify.global_gap(problem, np.zeros(6))
    assert verdict.verdict == "undecided"
    assert "outer" in verdict.reason


@pytest.mark.parametrize("k", [0, 5, 1.5, True, None, "2"])
def test_a_k_that_is_no_count_of_groups_is_refused(k):
    for make in (so.KSupport, so.SmartDecay):
        with pytest.raises(ValueError, match=r"k is .*between 1 and 4"):
            make(0.1, GROUPS, k)


def test_other_bad_input():
    with pytest.raises(ValueError, match=r"companion .*not known"):
        _ = so.InverseSum(1.0, GROUPS, Power(0.5), outer=Linear()).companion
    with pytest.raises(ValueError, match="rho is 2"):
        so.InverseSum(1.0, GROUPS, Power(0.5), outer=2)
    with pytest.raises(ValueError, match="no single strength"):
        so.lambda_max(quadratic(0, so.InverseSum(1.0, GROUPS, Power(0.5), outer=Square())))
    with pytest.raises(ValueError, match="slope 0 at 0"):
        so.lambda_max(quadratic(0, so.KSupport(1.0, GROUPS, 1)))
    with pytest.raises(ValueError, match="SmartDecay has no prox"):
        so.solve(quadratic(0, so.SmartDecay(1.0, GROUPS, 1)))
    with pytest.raises(ValueError, match="step is -1"):
        so.KSupport(1.0, GROUPS, 1).prox(np.ones(8), -1.0)
