"""Convex sets: enumeration of faces, and the variational inequality that characterises a projection."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from brute import cases

import sparseopt as so
from sparseopt.sets import CappedSimplex, GroupBall

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


@pytest.mark.parametrize("s", [GroupBall(1.3, GROUPS), CappedSimplex(2.7)], ids=repr)
def test_no_point_of_the_set_is_nearer(s):
    """<v - p, y> <= <v - p, p> for all y in the set: the support function at v - p is reached by p."""
    for v in cases([(8,)], CASES, 2):
        p = s.project(v).astype(float)
        residual = v.astype(float) - p
        scale = float(np.abs(residual).max()) or 1.0
        reached = float((residual / scale * p).sum())
        rounding = 64 * np.finfo(v.dtype).eps * max(1.0, float(np.abs(v).max()) / scale)
        assert s.support_function(residual / scale) <= reached + rounding * max(1.0, np.abs(p).sum())
