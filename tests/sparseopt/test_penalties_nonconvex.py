"""MCP, SCAD and L0, alone and on groups: the shared suite, twins, closed forms, ties, kinks; Power in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import test_penalties as suite
from hypothesis import given
from hypothesis import strategies as st
from reference import uneven_groups

import sparseopt as so
from sparseopt.penalties import L0, MCP, SCAD, Power, ScalarPenalty

FLAT = [MCP(), MCP(0.5), MCP(1.1), MCP(50.0), SCAD(), SCAD(1.5), SCAD(2.0), SCAD(30.0), L0()]
EVERY = pytest.mark.parametrize("rho", FLAT, ids=repr)
CONCAVE_UP_TO = {MCP: lambda rho: rho.gamma, SCAD: lambda rho: rho.a}
GROUPS = uneven_groups()
WEIGHTS = np.array([0.3, 5.0, 1.7])
MAKERS = {
    "GroupMCP": lambda lam: so.GroupMCP(lam, GROUPS, gamma=2.5, weights=WEIGHTS),
    "GroupMCP very concave": lambda lam: so.GroupMCP(lam, GROUPS, gamma=0.2, weights=WEIGHTS),
    "GroupSCAD": lambda lam: so.GroupSCAD(lam, GROUPS, a=3.7, weights=WEIGHTS),
    "GroupSCAD very concave": lambda lam: so.GroupSCAD(lam, GROUPS, a=1.2, weights=WEIGHTS),
    "GroupL0": lambda lam: so.GroupL0(lam, GROUPS, weights=WEIGHTS),
}


def textbook_value(penalty, w) -> float:
    """The usual formulas with lam inside, group by group."""
    total = 0.0
    for g, s in enumerate(penalty.lam * penalty.weights):
        t = math.sqrt(sum(float(w[j]) ** 2 for j in GROUPS.members(g)))
        if isinstance(penalty, so.GroupL0):
            total += s if t > 0 else 0
        elif isinstance(penalty, so.GroupMCP):
            gamma = penalty.rho.gamma
            total += s * t - t * t / (2 * gamma) if t <= gamma * s else gamma * s * s / 2
        else:
            a = penalty.rho.a
            middle = (2 * a * s * t - t * t - s * s) / (2 * (a - 1))
            total += s * t if t <= s else middle if t <= a * s else s * s * (a + 1) / 2
    return total


@EVERY
def test_it_is_a_scalar_penalty(rho):
    assert isinstance(rho, ScalarPenalty)
    assert not rho.convex
    assert rho.weak_convexity > 0
    assert getattr(rho, "scales_argument", False) == (not isinstance(rho, L0))


@EVERY
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_prox_passes_the_shared_suite(rho, dtype):
    suite.test_prox_beats_a_fine_grid_and_random_competitors(rho, dtype)
    suite.test_nonzero_prox_is_stationary_to_the_last_digits(rho, dtype)


@EVERY
def test_the_rest_of_the_shared_suite(rho):
    suite.test_steps_may_be_numbers_or_arrays(rho)
    suite.test_out_may_be_the_input(rho)
    suite.test_extreme_norms_do_not_overflow(rho)
    for method in ("value", "slope", "prox", "inverse"):
        suite.test_dtype_and_shape_are_kept_and_the_input_is_untouched(rho, method)


@EVERY
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_library_gives_the_same(rho, dtype, xp):
    suite.test_numpy_torch_and_the_strict_namespace_agree(rho, dtype, xp)


@pytest.mark.parametrize("rho", [rho for rho in FLAT if not isinstance(rho, L0)], ids=repr)
def test_curvature_between_the_kinks_is_the_weak_convexity(rho):
    end = CONCAVE_UP_TO[type(rho)](rho)
    start = 1.0 if isinstance(rho, SCAD) else 0.0
    t = start + (end - start) * np.linspace(0.05, 0.9, 50)
    h = 1e-3 * (end - start)
    second = (rho.value(t + h) - 2 * rho.value(t) + rho.value(t - h)) / h**2
    assert second == pytest.approx(-rho.weak_convexity, rel=1e-7)
    bent = rho.value(t) + rho.weak_convexity * (1 + 1e-9) / 2 * t**2
    assert np.all(np.diff(bent, 2) >= -1e-13 * bent.max())
    assert rho.slope(np.array([0.0]))[0] == rho.slope0 == 1
    slope = (rho.value(t + h) - rho.value(t - h)) / (2 * h)
    assert slope == pytest.approx(rho.slope(t), rel=1e-7)


@EVERY
def test_flat_from_the_end_on(rho):
    end = 0.0 if isinstance(rho, L0) else CONCAVE_UP_TO[type(rho)](rho)
    t = np.nextafter(end, math.inf) * np.array([1.0, 2.0, 1e10]) + 1e-300
    assert len(set(rho.value(t).tolist())) == 1
    assert np.all(rho.slope(t) == 0)
    assert rho.value(np.zeros(1))[0] == 0
    step = 0.3
    far = np.array([max(end, 2 * step + end) * 4])
    assert rho.prox(far, step)[0] == far[0]


@EVERY
def test_inverse_is_the_smallest_point_that_reaches_the_value(rho):
    top = float(rho.value(np.array([1e6]))[0])
    y = top * np.array([0.01, 0.2, 0.5, 0.9, 0.999])
    t = rho.inverse(y)
    if isinstance(rho, L0):
        assert np.all(t == 0)
    else:
        assert rho.value(t) == pytest.approx(y, rel=1e-12)
        assert rho.inverse(np.array([top]))[0] == pytest.approx(CONCAVE_UP_TO[type(rho)](rho), rel=1e-7)
    assert rho.inverse(np.array([0.0, -1.0])).tolist() == [0, 0]
    assert np.isinf(rho.inverse(np.array([np.nextafter(top, 9e9), 2 * top]))).all()


def test_ties_go_to_the_smaller_norm():
    ties = [(MCP(2.0), 4.0, 8.0), (MCP(4.0), 4.0, 4.0), (L0(), 2.0, 2.0), (SCAD(3.0), 8.0, 16.0), (L0(), 6.0, 18.0)]
    for rho, v, step in ties:
        assert rho.prox(np.array([v]), step)[0] == 0, rho
        above = np.nextafter(v, 9e9)
        assert rho.prox(np.array([above]), step)[0] == above, rho
    assert SCAD(3.0).prox(np.array([3.5]), 3.0)[0] == 0.5  # as good as 3.5
    assert SCAD(3.0).prox(np.array([3.5 + 1e-12]), 3.0)[0] == 3.5 + 1e-12


def test_the_prox_is_that_of_the_papers_where_they_apply():
    v = np.linspace(0, 8, 1001)
    soft = np.maximum(v - 1, 0)
    assert MCP(3.0).prox(v, 1.0) == pytest.approx(np.where(v <= 3, soft * 1.5, v), rel=1e-14)
    a = 3.7
    scad = np.where(v <= 2, soft, np.where(v <= a, ((a - 1) * v - a) / (a - 2), v))
    assert SCAD(a).prox(v, 1.0) == pytest.approx(scad, rel=1e-13, abs=1e-15)


@pytest.mark.parametrize("rho", [MCP(1e13), SCAD(1e13)], ids=repr)
def test_the_limit_is_the_soft_threshold(rho):
    v = np.geomspace(1e-3, 1e3, 50)
    for step in (0.1, 1.0, 7.0):
        assert rho.prox(v, step) == pytest.approx(np.maximum(v - step, 0), rel=1e-9, abs=1e-12)
    assert rho.value(v) == pytest.approx(v, rel=1e-9)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("lam", [1e-3, 0.7, 40.0])
def test_group_value_is_the_textbook_formula(make, lam):
    rng, penalty = np.random.default_rng(0), make(lam)
    for scale in (1e-3, 0.5, 3.0, 100.0):
        w = lam * scale * rng.standard_normal(7)
        assert penalty.value(w) == pytest.approx(textbook_value(penalty, w), rel=1e-13)
    assert penalty.value(np.zeros(7)) == 0


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("step", [0.05, 1.0, 4.0, 30.0])
@pytest.mark.parametrize("lam", [0.01, 0.7, 10.0])
def test_group_prox_beats_grids_and_random_competitors(make, step, lam):
    rng, penalty = np.random.default_rng(1), make(lam)
    for scale in (0.3, 2.0, 20.0):
        v = scale * rng.standard_normal(7)
        w = penalty.prox(v, step)
        best = ((w - v) ** 2).sum() / 2 + step * textbook_value(penalty, w)
        rivals = [w + size * rng.standard_normal((30, 7)) for size in (1e-6, 1e-3, 0.1, 1.0)]
        for g in range(3):
            ray = np.repeat(w[None], 200, axis=0)
            ray[:, GROUPS.members(g)] = np.linspace(0, 1.1, 200)[:, None] * v[GROUPS.members(g)]
            rivals.append(ray)
        for u in np.concatenate(rivals):
            value = ((u - v) ** 2).sum() / 2 + step * textbook_value(penalty, u)
            assert best <= value + 1e-13 * (best + (v**2).sum())


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_violation_vanishes_at_prox_fixed_points_and_only_there(make):
    rng, penalty = np.random.default_rng(5), make(0.3)
    for scale in (0.1, 1.0, 10.0):
        for shape in ((7,), (7, 2)):
            v = scale * rng.standard_normal(shape)
            w = penalty.prox(v)
            assert np.all(penalty.violation(w, w - v) <= 1e-13 * (scale + penalty.strength.max()))
            active = GROUPS.norms(w) > 0
            assert np.all(penalty.violation(w, w - v + 0.1)[active] > 1e-3)


def test_traits_do_not_depend_on_the_strength():
    for lam in (0.1, 5.0):
        assert so.GroupMCP(lam, GROUPS, gamma=2.5).weak_convexity == 1 / 2.5
        assert so.GroupSCAD(lam, GROUPS, a=3.0).weak_convexity == 1 / 2
        assert so.GroupMCP(lam, GROUPS, weights=WEIGHTS).slope0 == pytest.approx(lam * WEIGHTS)
    assert so.GroupL0(1.0, GROUPS).weak_convexity == math.inf
    assert np.isinf(so.GroupL0(1.0, GROUPS).slope0).all()


@given(seed=st.integers(0, 2**32 - 1))
def test_group_prox_is_lipschitz_while_the_step_is_short(seed):
    rng = np.random.default_rng(seed)
    penalty = [so.GroupMCP(0.4, GROUPS, gamma=2.0), so.GroupSCAD(0.4, GROUPS, a=3.0)][rng.integers(2)]
    step = rng.uniform(0.01, 0.95) / penalty.weak_convexity
    u = 2 * rng.standard_normal(7)
    v = u + 10.0 ** rng.uniform(-6, 0) * rng.standard_normal(7)
    bound = np.linalg.norm(u - v) / (1 - step * penalty.weak_convexity)
    assert np.linalg.norm(penalty.prox(u, step) - penalty.prox(v, step)) <= bound * (1 + 1e-9) + 1e-14


@given(seed=st.integers(0, 2**32 - 1))
def test_scaling_data_and_strength_together_scales_the_prox(seed):
    rng = np.random.default_rng(seed)
    v, c, step = rng.standard_normal(7), 2.0 ** rng.integers(-20, 20), rng.uniform(0.1, 5)
    for make in (so.GroupMCP, so.GroupSCAD):
        plain = make(0.3, GROUPS).prox(v, step)
        assert make(0.3 * c, GROUPS).prox(c * v, step) == pytest.approx(c * plain, rel=1e-13)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_blocks_and_libraries(make, xp):
    rng, penalty = np.random.default_rng(0), make(0.3)
    for v in (2 * rng.standard_normal(7), 2 * rng.standard_normal((7, 3))):
        for name, arguments in [("value", (v,)), ("prox", (v, 0.4)), ("violation", (v, np.ones_like(v)))]:
            arrays = [xp.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
            expected = np.asarray(getattr(penalty, name)(*arguments))
            assert np.asarray(getattr(penalty, name)(*arrays)) == pytest.approx(expected, rel=1e-12, abs=1e-14)


def test_a_very_flat_mcp_is_the_group_lasso():
    rng = np.random.default_rng(0)
    v = rng.standard_normal((7, 2))
    lasso, mcp = so.GroupLasso(0.2, GROUPS), so.GroupMCP(0.2, GROUPS, gamma=1e12)
    assert mcp.prox(v) == pytest.approx(lasso.prox(v), rel=1e-10)
    assert mcp.value(v) == pytest.approx(lasso.value(v), rel=1e-10)
    assert mcp.violation(v, v) == pytest.approx(lasso.violation(v, v), rel=1e-10)


@pytest.mark.parametrize("maker", [so.GroupMCP, so.GroupSCAD], ids=lambda m: m.__name__)
def test_solve_reaches_a_stationary_point_and_lambda_max_is_sharp(maker):
    rng = np.random.default_rng(0)
    groups = so.Groups.uniform(6, 3)
    X = rng.standard_normal((50, 18))
    y = X[:, :3].sum(axis=1) + 0.3 * rng.standard_normal(50)
    problem = so.Problem(X, so.LeastSquares(y), maker(1.0, groups))
    largest = so.lambda_max(problem)
    lasso = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, groups))
    assert largest == pytest.approx(so.lambda_max(lasso), rel=1e-14)
    assert not so.solve(problem.with_lam(1.001 * largest)).w.any()
    assert so.solve(problem.with_lam(0.999 * largest)).w.any()
    result = so.solve(problem.with_lam(0.15 * largest), tol=1e-9)
    assert groups.active(result.w).tolist() == [0]
    alone = np.linalg.lstsq(X[:, :3], y, rcond=None)[0]  # the active group is beyond the concave part: no bias
    assert result.w[:3] == pytest.approx(alone, rel=1e-6)


def test_lambda_max_of_l0_is_refused_with_advice():
    problem = so.Problem(np.eye(7), so.LeastSquares(np.ones(7)), so.GroupL0(1.0, GROUPS))
    with pytest.raises(ValueError, match="choose lam directly"):
        so.lambda_max(problem)


@pytest.mark.parametrize("q", [1 / 2, 2 / 3, 0.9])
def test_the_power_prox_of_subnormal_numbers(q):
    v = np.array([5e-324, 1e-310, 0.0])
    with np.errstate(divide="raise", invalid="raise"):
        np.testing.assert_array_equal(Power(q).prox(v, 0.0), v)
        np.testing.assert_array_equal(Power(q).prox(v, 5e-324), 0.0)


@pytest.mark.parametrize("q", [1 / 2, 2 / 3])
def test_closed_forms_of_the_power_prox_to_the_last_digits(q):
    """Against 40-digit roots, from just above the jump to the flat end: error below 4 eps (measured: 2)."""
    mpmath = pytest.importorskip("mpmath")
    rng, exponent = np.random.default_rng(0), {1 / 2: (1, 2), 2 / 3: (2, 3)}[q]
    step = 10.0 ** rng.uniform(-8, 8, 60)
    v = (2 - q) / (2 * (1 - q)) * (2 * (1 - q) * step) ** (1 / (2 - q)) * (1 + 10.0 ** rng.uniform(-6, 6, 60))
    found = Power(q).prox(v, step)
    with mpmath.workdps(40):
        p = mpmath.mpf(exponent[0]) / exponent[1]
        for r, vi, si in zip(found.tolist(), v.tolist(), step.tolist(), strict=True):
            root = mpmath.mpf(vi)
            for _ in range(60):
                pull = si * p * root ** (p - 1)
                root -= (root - vi + pull) / (1 - (1 - p) * pull / root)
            assert abs(r - root) <= 4 * np.finfo(float).eps * root
    assert Power(q).prox(v, 0.0) == pytest.approx(v, rel=0)
    assert Power(q).prox(np.array([1e300, 1e-290]), 1e-300).tolist()[0] == 1e300


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, "large"])
def test_other_parameters_are_refused(value):
    with pytest.raises(ValueError, match="gamma is"):
        MCP(value)
    with pytest.raises(ValueError, match="a is"):
        SCAD(value)


def test_scad_needs_a_above_one():
    with pytest.raises(ValueError, match="above 1"):
        SCAD(1.0)
