"""Partitions of the coefficients, and the norms of their groups at any scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import uneven_groups

import sparseopt as so
from sparseopt import Groups


def slow_norms(groups, w):
    """math.hypot, which neither overflows nor underflows."""
    return [math.hypot(*np.asarray(w, dtype=np.float64)[groups.members(g)].ravel()) for g in range(groups.n_groups)]


def test_constructors_agree():
    sizes = Groups.from_sizes([2, 1, 3])
    assert sizes == Groups.from_labels([0, 0, 1, 2, 2, 2])
    assert sizes == Groups.from_labels(np.array(["a", "a", "b", "c", "c", "c"]))
    assert sizes == Groups.from_lists([[0, 1], [2], [3, 4, 5]])
    assert Groups.uniform(3, 2) == Groups.from_sizes([2, 2, 2])
    assert hash(sizes) == hash(Groups.from_sizes(np.array([2, 1, 3])))
    assert sizes != Groups.from_sizes([1, 2, 3])
    assert sizes != "groups"


def test_attributes():
    groups = uneven_groups()
    assert (groups.n_groups, groups.n_features) == (3, 7)
    assert groups.sizes.tolist() == [1, 2, 4]
    assert groups.labels.tolist() == [1, 2, 2, 0, 2, 2, 1]
    assert groups.index.tolist() == [3, 0, 6, 1, 2, 4, 5]
    assert groups.offsets.tolist() == [0, 1, 3, 7]
    assert groups.members(1).tolist() == [0, 6]
    assert not groups.contiguous
    assert Groups.from_sizes([2, 1]).contiguous
    assert Groups.from_labels(["x", "y", "x"]).names == ("x", "y")
    assert "3 groups" in repr(groups)


def test_groups_are_immutable():
    with pytest.raises(ValueError, match="read-only"):
        uneven_groups().labels[0] = 2


def test_generators_and_numpy_integers_are_fine():
    assert Groups.from_sizes(s for s in (1, 2)) == Groups.from_sizes(np.array([1, 2], dtype=np.uint8))
    assert Groups.uniform(np.int64(2), np.int32(3)).n_features == 6
    assert Groups.from_lists(iter([[0], (1, 2)]), n_features=3).n_groups == 2


@pytest.mark.parametrize(
    "scale", [0.0, 5e-324, 1e-310, 1e-200, 1e-160, 1e-150, 1e-20, 1.0, 1e20, 1e150, 1e160, 1e200, 1e307]
)
@pytest.mark.parametrize("groups", [uneven_groups(), Groups.from_sizes([1, 2, 4]), Groups.uniform(7, 1)], ids=repr)
def test_norms_at_every_scale(groups, scale):
    w = scale * np.array([3.0, -1.0, 0.5, 0.0, 2.0, 1.0, -4.0])
    assert groups.norms(w) == pytest.approx(slow_norms(groups, w), rel=1e-15, abs=5e-324)


def test_norms_of_mixed_scales():
    groups = uneven_groups()
    w = np.array([1e200, 1e-200, 1e-200, 1e-310, 0.0, 0.0, 1e190])
    assert groups.norms(w) == pytest.approx(slow_norms(groups, w), rel=1e-15)
    assert np.isnan(groups.norms(np.array([np.nan, 1, 1, 1, 1, 1, 1.0]))).tolist() == [False, True, False]
    assert np.isinf(groups.norms(np.array([1, 1, 1, np.inf, 1, 1, 1.0]))).tolist() == [True, False, False]


@pytest.mark.parametrize("scale", [1e-44, 1e-30, 1.0, 1e30])
def test_norms_in_single_precision(scale):
    w = (scale * np.arange(-3, 4)).astype(np.float32)
    norms = uneven_groups().norms(w)
    assert norms.dtype == np.float32
    assert norms == pytest.approx(slow_norms(uneven_groups(), w), rel=3e-7, abs=2e-45)


def test_norms_of_blocks_are_frobenius_norms():
    W = np.random.default_rng(0).standard_normal((7, 3))
    assert uneven_groups().norms(W) == pytest.approx(slow_norms(uneven_groups(), W), rel=1e-15)
    assert uneven_groups().norms(1e200 * W) == pytest.approx(slow_norms(uneven_groups(), 1e200 * W), rel=1e-15)


def test_norms_of_views_are_those_of_copies():
    groups, W = uneven_groups(), np.random.default_rng(0).standard_normal((14, 6))
    for view in (W[::2], W[::-2, 1:4], np.asfortranarray(W[:7]), W[:7, 2], W.T[2, ::2]):
        before = view.copy()
        assert np.array_equal(groups.norms(view), groups.norms(view.copy()))
        assert np.array_equal(view, before)


@given(seed=st.integers(0, 2**32 - 1), n_groups=st.integers(1, 12), n_responses=st.integers(1, 3))
def test_norms_of_random_partitions(seed, n_groups, n_responses):
    rng = np.random.default_rng(seed)
    groups = Groups.from_labels(rng.permutation(np.r_[np.arange(n_groups), rng.integers(0, n_groups, 20)]))
    W = rng.standard_normal((n_groups + 20, n_responses)) * 10.0 ** rng.integers(-200, 200, (n_groups + 20, 1))
    assert groups.norms(W) == pytest.approx(slow_norms(groups, W), rel=1e-14)


def test_norms_spread_and_scale_in_every_library(xp):
    groups, rng = uneven_groups(), np.random.default_rng(0)
    for w in (rng.standard_normal(7), rng.standard_normal((7, 2))):
        array = xp.asarray(w)
        norms = groups.norms(array)
        assert np.asarray(norms) == pytest.approx(slow_norms(groups, w), rel=1e-14)
        unit = groups.divide(array, norms)
        assert np.asarray(groups.norms(unit)) == pytest.approx(np.ones(3), rel=1e-14)
        assert np.asarray(groups.scale(unit, norms)) == pytest.approx(w, rel=1e-14)
        assert np.array_equal(np.asarray(groups.spread(norms)), np.asarray(norms)[groups.labels])


def test_the_derivative_of_the_norms_is_zero_at_zero():
    torch = pytest.importorskip("torch")
    w = torch.tensor([0.0, 3.0, 0.0, 0.0, 4.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(uneven_groups().norms(w).sum(), w)
    assert gradient.tolist() == pytest.approx([0, 0.6, 0, 0, 0.8, 0, 0])


def test_active_counts_what_is_not_exactly_zero():
    w = np.array([0, 0, 5e-324, 0, 0, 0, -0.0])
    assert uneven_groups().active(w).tolist() == [2]
    assert uneven_groups().active(np.zeros((7, 2))).tolist() == []
    assert uneven_groups().active(np.eye(7)[:, :2]).tolist() == [1, 2]


@pytest.mark.parametrize("shape", [(6,), (8,), (7, 0), (7, 2, 2), (2, 7), ()])
def test_norms_refuse_other_shapes(shape):
    with pytest.raises(ValueError, match="the groups cover 7 coefficients"):
        uneven_groups().norms(np.zeros(shape))


def test_spread_refuses_other_lengths():
    with pytest.raises(ValueError, match="s has 4 entries, but there are 3 groups"):
        uneven_groups().spread(np.zeros(4))


def test_groups_are_public():
    assert so.Groups is Groups
