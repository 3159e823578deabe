"""Convex sets: enumeration of faces, and the variational inequality that characterises a projection."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from brute import cases

import sparseopt as so
from sparseopt.sets import Box, CappedSimplex, GroupBall, Intersection, KSupportBall, L1Ball

CASES = 405
GROUPS = so.Groups.from_lists([[0, 3], [1], [2, 4, 5], [6, 7]])


def group_ball_by_enumeration(norms, radius):
    """Nearest point of {b >= 0, sum b <= radius} to norms: over all sets of positive entries."""
    if norms.sum() <= radius:
        return norms
    best, nearest = np.zeros_like(norms), np.inf
    for kept in itertools.product([False, True], repeat=len(norms)):
        kept = np.array(kept)
        if not kept.any():
            continue
        b = np.where(kept, norms - (norms[kept].sum() - radius) / kept.sum(), 0.0)
        if b.min() >= 0 and ((b - norms) ** 2).sum() < nearest:
            best, nearest = b, ((b - norms) ** 2).sum()
    return best


@pytest.mark.parametrize("relative", [0.0, 1e-3, 0.3, 0.9, 1.5])
def test_group_ball_is_the_best_face(relative):
    done = 0
    for v in cases([(8,), (8, 2)], CASES, 0):
        scale = float(np.abs(v).max()) or 1.0
        norms = GROUPS.norms(v.astype(float) / scale)
        radius = float(norms.sum()) * relative * scale
        ball = GroupBall(radius, GROUPS)
        p = ball.project(v)
        expected = group_ball_by_enumeration(norms, radius / scale)
        tolerance = 64 * np.finfo(v.dtype).eps
        if scale > 1e-300:
            np.testing.assert_allclose(GROUPS.norms(p.astype(float) / scale), expected, rtol=0, atol=tolerance)
        assert ball.contains(p)
        if ball.contains(v) and float(norms.sum()) <= radius / scale:
            assert p.tobytes() == v.tobytes()
        done += 1
    assert done >= 400


def capped_simplex_by_enumeration(v, k):
    """Nearest y in [0, 1]^n with sum k: over all choices of entries at 0, at 1 and between."""
    best, nearest = None, np.inf
    for state in itertools.product([0, 1, 2], repeat=len(v)):
        free = np.array(state) == 2
        y = np.array(state, dtype=float) % 2
        if free.any():
            y[free] = v[free] + (k - y[~free].sum() - v[free].sum()) / free.sum()
        rounding = 1e-13 * max(1.0, np.abs(v).max())
        feasible = abs(y.sum() - k) < 10 * rounding and y.min() > -rounding and y.max() < 1 + rounding
        if feasible and ((y - v) ** 2).sum() < nearest:
            best, nearest = y, ((y - v) ** 2).sum()
    return best


def test_capped_simplex_is_the_best_face():
    done = 0
    rng = np.random.default_rng(0)
    for v in cases([(1,), (2,), (4,), (5,)], CASES, 1):
        v = v if np.abs(v).max() < 1e10 else v / np.abs(v).max()
        k = len(v) * float(rng.choice([0, 0.1, 0.25, 0.5, 0.8, 1, rng.random()]))
        p = CappedSimplex(k).project(v)
        expected = capped_simplex_by_enumeration(np.asarray(v, dtype=float), k)
        spread = max(1.0, float(np.abs(v).max()))
        tolerance = 16 * np.finfo(v.dtype).eps + 64 * np.finfo(float).eps * spread  # of the enumeration
        np.testing.assert_allclose(p, expected, rtol=0, atol=tolerance)
        assert abs(float(p.astype(float).sum()) - k) <= 8 * np.finfo(v.dtype).eps * max(k, 1)
        done += 1
    assert done >= 400


def test_the_capped_simplex_keeps_its_sum_for_huge_entries():
    y = CappedSimplex(1).project(np.array([1e20, 1e20, 0.0]))
    np.testing.assert_array_equal(y, [0.5, 0.5, 0.0])
    y = CappedSimplex(1.5).project(1e8 + np.array([0.25, 0.5, -1e9]))
    np.testing.assert_allclose(y, [0.625, 0.875, 0], rtol=1e-15)


@pytest.mark.filterwarnings("error")
def test_the_capped_simplex_takes_differences_that_overflow():
    v, s = np.array([-1.7e308, 1e307, 1.7e308, 1.7e308]), CappedSimplex(2.5)
    np.testing.assert_array_equal(s.project(v), [0, 0.5, 1, 1])
    assert s.contains(s.project(v))
    assert not s.contains(v)
    assert not s.contains(np.full(4, -1.7e308))


@pytest.mark.parametrize("size", [1e15, 1e30, -1e15, -1e30])
def test_the_capped_simplex_in_a_box_keeps_its_sum_for_huge_entries(size):
    joint = Intersection(CappedSimplex(1.5), Box(0.0, 0.8))
    np.testing.assert_allclose(joint.project(np.full(6, size)), 0.25, rtol=1e-15)


def test_the_l1_ball_is_the_group_ball_of_single_entries():
    single, done = so.Groups.uniform(6, 1), 0
    for v in cases([(6,)], CASES, 3):
        radius = float(np.abs(v).sum()) * (done % 7) / 5
        if radius > 1e308:
            continue
        tolerance = 16 * np.finfo(v.dtype).eps * float(np.abs(v).max())
        np.testing.assert_allclose(
            L1Ball(radius).project(v), GroupBall(radius, single).project(v), rtol=0, atol=tolerance
        )
        assert L1Ball(radius).contains(L1Ball(radius).project(v))
        done += 1
    assert done >= 400


def test_the_k_support_ball_is_between_the_l1_and_the_l2_ball():
    done = 0
    for v in cases([(1,), (5,), (2, 3)], CASES, 4):
        size = float(np.abs(v).max()) or 1.0
        radius = size * (0.2 + done % 4)
        tolerance = 64 * np.finfo(v.dtype).eps * size
        one, all_of_them = KSupportBall(radius, 1).project(v), KSupportBall(radius, v.size).project(v)
        np.testing.assert_allclose(one, L1Ball(radius).project(v), rtol=0, atol=tolerance)
        whole = so.Groups.uniform(1, v.size)
        expected = GroupBall(radius, whole).project(v.ravel()).reshape(v.shape)
        np.testing.assert_allclose(all_of_them, expected, rtol=0, atol=tolerance)
        done += 1
    assert done >= 400


CONVEX = [
    GroupBall(1.3, GROUPS),
    CappedSimplex(2.7),
    L1Ball(0.8),
    Box(-0.4, 0.7),
    *[KSupportBall(0.9, k) for k in (1, 2, 3, 7, 8)],
]


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("s", CONVEX, ids=repr)
def test_no_point_of_the_set_is_nearer(s):
    """<v - p, y> <= <v - p, p> for all y in the set: the support function at v - p is reached by p."""
    done = 0
    for v in cases([(8,)], CASES, 2):
        p = s.project(v).astype(float)
        residual = v.astype(float) - p
        scale = float(np.abs(residual).max()) or 1.0
        reached = float((residual / scale * p).sum())
        rounding = 64 * np.finfo(v.dtype).eps * max(1.0, float(np.abs(v).max()) / scale)
        assert s.support_function(residual / scale) <= reached + rounding * max(1.0, np.abs(p).sum())
        done += 1
    assert done >= 400


def by_bisection(shrink, level):
    """shrink(theta) for the theta in [-1e9, 1e9] at which its sum of magnitudes falls to the level."""
    low, high = -1e9, 1e9
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.abs(shrink(middle)).sum() > level else (low, middle)
    return shrink(high)


def bounded(v):
    """v, scaled down where the bisection could not follow."""
    return v.astype(float) / max(1.0, float(np.abs(v).max()) / 1e6)


def test_the_l1_ball_in_a_box_is_found_by_bisection():
    done = 0
    rng = np.random.default_rng(5)
    for v in map(bounded, cases([(5,)], CASES, 5)):
        lower, upper = -rng.uniform(0, 1, size=5), rng.uniform(0, 1, size=5)
        p = Intersection(L1Ball(0.7), Box(lower, upper)).project(v)

        def shrink(theta, v=v, lower=lower, upper=upper):
            return np.clip(np.sign(v) * np.maximum(np.abs(v) - max(theta, 0), 0), lower, upper)

        expected = by_bisection(shrink, 0.7) if np.abs(shrink(0)).sum() > 0.7 else shrink(0)
        np.testing.assert_allclose(p, expected, rtol=0, atol=1e-15 * max(1.0, np.abs(v).max()) * 8)
        done += 1
    assert done >= 400


def test_the_capped_simplex_in_a_box_is_found_by_bisection():
    done = 0
    rng = np.random.default_rng(6)
    for v in map(bounded, cases([(5,)], CASES, 6)):
        lower, upper = rng.uniform(-0.5, 0.4, size=5), rng.uniform(0.6, 1.5, size=5)
        p = Intersection(CappedSimplex(2.5), Box(lower, upper)).project(v)

        def shrink(theta, v=v, lower=lower, upper=upper):
            return np.clip(v - theta, np.maximum(lower, 0), np.minimum(upper, 1))

        np.testing.assert_allclose(p, by_bisection(shrink, 2.5), rtol=0, atol=1e-15 * max(1.0, np.abs(v).max()) * 8)
        done += 1
    assert done >= 400


@pytest.mark.parametrize("ball", [GroupBall(0.9, GROUPS), KSupportBall(0.9, 2), L1Ball(0.9)], ids=repr)
@pytest.mark.parametrize("signs", [(0, np.inf), (-np.inf, 0)])
def test_balls_with_signs_are_exact(ball, signs):
    """The variational inequality again: max of <r, y> over y in the ball with these signs is that of the part of r."""
    done = 0
    s = Intersection(ball, Box(*signs))
    for v in map(bounded, cases([(8,)], CASES, 7)):
        p = s.project(v)
        residual = v - p
        assert s.contains(p)
        most = ball.support_function(np.clip(residual, *signs))
        assert most <= (residual * p).sum() + 1e-14 * max(1.0, np.abs(v).max())
        done += 1
    assert done >= 400


@pytest.mark.parametrize("size", [1.0, 1e150, 1.7e308])
def test_equal_entries_are_shrunk_alike_however_large(size):
    """The projection is unique, so that it has the symmetry of the point; norms may overflow where entries do not."""
    v, pairs = np.full(8, size), so.Groups.uniform(4, 2)
    np.testing.assert_allclose(L1Ball(0.8).project(v), np.full(8, 0.1), rtol=1e-14)
    np.testing.assert_allclose(GroupBall(0.8, pairs).project(v), np.full(8, 0.2 / np.sqrt(2)), rtol=1e-14)
    np.testing.assert_allclose(KSupportBall(0.8, 2).project(v), np.full(8, 0.1 * np.sqrt(2)), rtol=1e-14)
    np.testing.assert_allclose(CappedSimplex(2).project(v), np.full(8, 0.25), rtol=1e-14)
