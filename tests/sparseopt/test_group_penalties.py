"""Penalties of group norms: prox by brute force with weights, violation, values, invariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import SCALAR_PENALTIES, check_group_prox, uneven_groups

import sparseopt as so
from sparseopt.penalties import ExpMask, GroupPenalty, Linear, Log, Power, Ratio

GROUPS = uneven_groups()
WEIGHTS = {"sqrt": np.sqrt([1.0, 2.0, 4.0]), "none": np.ones(3), "array": np.array([0.3, 5.0, 1.7])}
EVERY = pytest.mark.parametrize("rho", SCALAR_PENALTIES, ids=repr)
EVERY_WEIGHT = pytest.mark.parametrize("kind", list(WEIGHTS))


def penalty(rho, kind="array", lam=0.7, groups=GROUPS) -> GroupPenalty:
    return GroupPenalty(rho, lam, groups, weights=WEIGHTS["array"] if kind == "array" else kind)


@EVERY
@EVERY_WEIGHT
@pytest.mark.parametrize("step", [0.05, 1.0, 30.0])
def test_prox_beats_grids_and_random_competitors(rho, kind, step):
    v = np.random.default_rng(1).standard_normal(7) * 2
    check_group_prox(penalty(rho, kind), v, step, 0.7 * WEIGHTS[kind])


@EVERY
@EVERY_WEIGHT
def test_value_is_the_weighted_sum(rho, kind):
    rng = np.random.default_rng(0)
    for w in (rng.standard_normal(7), rng.standard_normal((7, 3))):
        norms = np.array([np.sqrt((w[GROUPS.members(g)] ** 2).sum()) for g in range(3)])
        expected = 0.7 * (WEIGHTS[kind] * rho.value(norms)).sum()
        assert penalty(rho, kind).value(w) == pytest.approx(expected, rel=1e-14)
    assert penalty(rho, kind).value(np.zeros(7)) == 0


@EVERY
def test_prox_keeps_directions_and_acts_on_norms(rho):
    V = np.random.default_rng(2).standard_normal((7, 4)) * 3
    P = penalty(rho)
    W = P.prox(V, 0.4)
    expected = rho.prox(GROUPS.norms(V), 0.4 * P.strength)
    assert GROUPS.norms(W) == pytest.approx(expected, rel=1e-13, abs=1e-15)
    assert pytest.approx(V * (expected / GROUPS.norms(V))[GROUPS.labels, None], rel=1e-13, abs=1e-15) == W
    for column in range(4):
        single = np.zeros_like(V)
        single[:, column] = V[:, column]
        assert P.prox(single, 0.4)[:, column] == pytest.approx(P.prox(V[:, column], 0.4), rel=1e-14)


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_prox_keeps_dtype_and_input_and_writes_out(rho, dtype):
    for shape in [(7,), (7, 2)]:
        v = np.random.default_rng(0).standard_normal(shape).astype(dtype)
        before, P = v.copy(), penalty(rho)
        result = P.prox(v, 0.3)
        assert result.dtype == dtype
        assert result.shape == shape
        assert np.array_equal(v, before)
        assert P.prox(v, 0.3, out=v) is v
        assert np.array_equal(v, result)
        assert P.prox(v, np.float64(0.3)).dtype == dtype


@EVERY
def test_zero_groups_stay_exactly_zero(rho):
    v = np.array([0.0, 1.0, 1.0, 0.0, -0.0, 0.0, 0.0])
    w = penalty(rho).prox(v, 0.01)
    assert GROUPS.active(w).tolist() == [2]
    assert not np.signbit(w[w == 0]).any()
    assert np.all(penalty(rho).prox(np.zeros(7), 10.0) == 0)


@EVERY
@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e160, 1e200])
def test_prox_of_extreme_blocks(rho, scale):
    v = scale * np.array([3.0, -1.0, 0.5, 1.0, 2.0, 1.0, -4.0])
    w = penalty(rho).prox(v, 1.0)
    assert np.isfinite(w).all()
    assert np.all(np.abs(w) <= np.abs(v) * (1 + 1e-15))
    if scale > 1:
        assert w == pytest.approx(v, rel=1e-14)


@EVERY
def test_prox_of_a_view_is_that_of_a_copy(rho):
    V = np.random.default_rng(0).standard_normal((14, 4))
    for view in (V[::2, 1], V[::-2, ::2]):
        assert np.array_equal(penalty(rho).prox(view, 0.2), penalty(rho).prox(view.copy(), 0.2))


@EVERY
def test_permuting_coefficients_changes_nothing(rho):
    rng = np.random.default_rng(3)
    order = rng.permutation(7)
    v, P = rng.standard_normal(7), penalty(rho)
    permuted = GroupPenalty(rho, 0.7, so.Groups.from_labels(GROUPS.labels[order]), weights=WEIGHTS["array"])
    assert permuted.prox(v[order], 0.2) == pytest.approx(P.prox(v, 0.2)[order], rel=1e-14)
    assert permuted.value(v[order]) == pytest.approx(P.value(v), rel=1e-14)


@EVERY
def test_every_library_gives_the_same(rho, xp):
    rng, P = np.random.default_rng(0), penalty(rho)
    for v in (rng.standard_normal(7), rng.standard_normal((7, 2))):
        for name, arguments in [("value", (v,)), ("prox", (v, 0.4)), ("violation", (v, np.ones_like(v)))]:
            arrays = [xp.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
            expected = getattr(P, name)(*arguments)
            assert np.asarray(getattr(P, name)(*arrays)) == pytest.approx(np.asarray(expected), rel=1e-12, abs=1e-14)


@EVERY
def test_gradients_by_torch(rho):
    torch = pytest.importorskip("torch")
    w = torch.tensor(np.random.default_rng(0).standard_normal(7) + 1, requires_grad=True)
    assert torch.autograd.gradcheck(penalty(rho).value, (w,))


@EVERY
def test_violation_vanishes_at_prox_fixed_points(rho):
    """w = prox(v) with step 1 is stationary for the gradient w - v."""
    rng = np.random.default_rng(5)
    for scale in (0.1, 1.0, 10.0):
        v, P = scale * rng.standard_normal(7), penalty(rho)
        w = P.prox(v)
        assert np.all(P.violation(w, w - v) <= 1e-13 * (scale + P.strength.max()))


def test_violation_of_the_group_lasso_is_the_distance_to_the_subdifferential():
    P = penalty(Linear())
    w = np.array([3.0, 0, 0, 0, 0, 0, 4.0])
    gradient = np.array([1.0, 2, 0, 5, 0, 0, 2.0])
    strength = 0.7 * WEIGHTS["array"]
    active = np.hypot(1 + strength[1] * 0.6, 2 + strength[1] * 0.8)
    assert P.violation(w, gradient) == pytest.approx([5 - strength[0], active, 2 - strength[2]])
    assert P.violation(1e-320 * w, gradient)[1] == pytest.approx(active, rel=1e-3)


def test_violation_where_the_slope_is_infinite_counts_active_groups_only():
    w = np.array([1.0, 0, 0, 0, 0, 0, 0])
    assert penalty(Power(0.5)).violation(w, 100 * np.ones(7)).tolist()[::2] == [0, 0]


@pytest.mark.parametrize(
    ("made", "rho"),
    [
        (so.GroupLasso(0.7, GROUPS), Linear()),
        (so.GroupLq(0.7, GROUPS, q=2 / 3), Power(2 / 3)),
        (so.GroupLogSum(0.7, GROUPS, eps=0.3), Log(0.3)),
        (so.GroupExpMask(0.7, GROUPS), ExpMask()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_named_penalties(made, rho):
    assert made.rho == rho
    assert made.lam == 0.7
    assert made.groups is GROUPS
    assert made.weights.tolist() == WEIGHTS["sqrt"].tolist()
    assert made.strength == pytest.approx(0.7 * WEIGHTS["sqrt"])
    assert made.convex == rho.convex
    other = made.with_lam(2.0)
    assert type(other) is type(made)
    assert (other.lam, made.lam) == (2.0, 0.7)
    assert other.strength == pytest.approx(2 * WEIGHTS["sqrt"])
    assert other.rho == rho


def test_traits_of_a_group_penalty():
    P = penalty(Ratio())
    assert P.weak_convexity == pytest.approx(2 * 0.7 * 5.0)
    assert P.slope0 == pytest.approx(0.7 * WEIGHTS["array"])
    assert not P.convex
    assert "lam=0.7" in repr(P)


def test_weights_given_are_copied():
    weights = np.array([1.0, 2.0, 3.0])
    P = so.GroupLasso(1.0, GROUPS, weights=weights)
    weights[:] = 0
    assert P.weights.tolist() == [1, 2, 3]


@given(seed=st.integers(0, 2**32 - 1), n_groups=st.integers(1, 6), n_responses=st.integers(1, 3))
def test_the_convex_prox_is_firmly_nonexpansive(seed, n_groups, n_responses):
    rng = np.random.default_rng(seed)
    groups = so.Groups.from_sizes(rng.integers(1, 5, n_groups))
    P = so.GroupLasso(rng.uniform(0.1, 2), groups, weights=rng.uniform(0.1, 3, n_groups))
    u, v = rng.standard_normal((2, groups.n_features, n_responses)) * 3
    moved = P.prox(u) - P.prox(v)
    assert (moved**2).sum() <= ((u - v) * moved).sum() + 1e-12


@given(seed=st.integers(0, 2**32 - 1))
def test_the_prox_of_a_weakly_convex_penalty_is_lipschitz(seed):
    """Lipschitz 1 / (1 - eta) with eta = step * weak convexity < 1 (ledger D7)."""
    rng = np.random.default_rng(seed)
    P = penalty([Log(1.0), Log(2.0), Ratio(), ExpMask()][rng.integers(4)], lam=0.1)
    step = rng.uniform(0, 0.95) / P.weak_convexity
    u = rng.standard_normal(7) * 2
    v = u + 10.0 ** rng.uniform(-6, 0) * rng.standard_normal(7)
    bound = np.linalg.norm(u - v) / (1 - step * P.weak_convexity)
    assert np.linalg.norm(P.prox(u, step) - P.prox(v, step)) <= bound * (1 + 1e-9) + 1e-14


EVERY_KIND = pytest.mark.parametrize(
    "made",
    [
        so.GroupLasso(0.3, GROUPS),
        so.GroupLasso(0.3, GROUPS, positive=True),
        so.GroupLogSum(0.3, GROUPS),
        so.GroupMCP(0.3, GROUPS),
        so.SparseGroupLasso(0.3, GROUPS),
        so.GroupElasticNet(0.3, GROUPS),
    ],
    ids=lambda made: type(made).__name__,
)


@EVERY_KIND
@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_integers_and_booleans_count_as_float64(made, dtype, xp):
    integers = np.array([1, 0, 1, 3, 0, 2, 1]).astype(dtype)
    w, exact = xp.asarray(integers), integers.astype(np.float64)
    for method, arguments in [("value", 1), ("prox", 1), ("violation", 2)]:
        result = getattr(made, method)(*[w] * arguments)
        assert result.dtype == xp.float64
        assert np.allclose(np.asarray(result), getattr(made, method)(*[exact] * arguments), rtol=1e-14)
    for method in ("critical_lam", "dual_limit"):
        assert getattr(made, method)(w) == pytest.approx(getattr(made, method)(exact), rel=1e-14)
    assert np.allclose(np.asarray(GROUPS.norms(w)), GROUPS.norms(exact), rtol=1e-14)
    factors = xp.asarray(np.array([1, 2, 3]))
    assert np.allclose(np.asarray(GROUPS.scale(w, factors)), GROUPS.scale(exact, np.array([1.0, 2, 3])))


@EVERY_KIND
def test_prox_refuses_negative_steps_and_other_dtypes(made):
    for step in (-1, np.nan, np.float32(-1)):
        with pytest.raises(ValueError, match=r"^step is .*: give numbers >= 0"):
            made.prox(np.ones(7), step)
    with pytest.raises(ValueError, match=r"^out has dtype float32, but the result has dtype float64"):
        made.prox(np.ones(7), 1.0, out=np.empty(7, np.float32))
    with pytest.raises(ValueError, match=r"^out has dtype int64"):
        made.prox(np.ones(7, int), 1.0, out=np.empty(7, int))
