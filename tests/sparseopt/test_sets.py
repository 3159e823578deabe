"""Mask sets against enumeration in exact arithmetic, and what every set promises."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from brute import best_mask, cases, choices

import sparseopt as so
from sparseopt.sets import NM, CappedSimplex, Channels, GroupBall, PatternLibrary, TopGroups

CASES = 405


def assert_masks(make, masks, shapes, seed):
    """The set made for each case keeps exactly the mask that enumeration finds, on 400 cases at least."""
    done = 0
    for v in cases(shapes, CASES, seed):
        s = make(v)
        expected = best_mask(v, masks(v))
        np.testing.assert_array_equal(s.support(v), expected)
        projected = s.project(v)
        assert projected.dtype == v.dtype
        assert np.where(expected, v, 0).tobytes() == projected.tobytes()
        assert s.contains(projected)
        assert s.contains(v) == (not v[~expected].any())
        done += 1
    assert done >= 400


GROUPS = so.Groups.from_lists([[0, 3], [1], [2, 4, 5], [6, 7]])


@pytest.mark.parametrize("k", range(5))
def test_top_groups_is_the_best_choice_of_groups(k):
    def masks(v):
        for kept in choices(GROUPS.n_groups, k):
            mask = kept[GROUPS.labels]
            yield mask if v.ndim == 1 else np.broadcast_to(mask[:, None], v.shape)

    assert_masks(lambda v: TopGroups(k, GROUPS), masks, [(8,), (8, 2)], k)


@pytest.mark.parametrize(("n", "m"), [(0, 3), (1, 1), (1, 3), (2, 4), (3, 5), (4, 4)])
def test_nm_is_the_best_choice_in_each_window(n, m):
    assert_masks(lambda v: NM(n, m), lambda v: choices(m, n), [(m,)], m)


def test_nm_along_any_axis_is_that_of_the_rows():
    for v in cases([(4, 6, 8)], 27, 0):
        rows = NM(2, 4).project(v)
        for axes in itertools.permutations(range(3)):
            moved = NM(2, 4, axis=axes.index(2)).project(np.transpose(v, axes))
            np.testing.assert_array_equal(moved, np.transpose(rows, axes))


@pytest.mark.parametrize(("n", "m", "length"), [(2, 4, 6), (2, 4, 5), (3, 5, 7)])
def test_nm_pads_with_entries_that_are_never_kept(n, m, length):
    rest = length - m

    def masks(v):
        return (np.concatenate(pair) for pair in itertools.product(choices(m, n), choices(rest, min(n, rest))))

    assert_masks(lambda v: NM(n, m, remainder="pad"), masks, [(length,)], n)


LIBRARY = np.random.default_rng(0).random((12, 2, 3)) < 0.5


def test_a_library_keeps_the_best_pattern():
    assert_masks(lambda v: PatternLibrary(LIBRARY), lambda v: LIBRARY, [(2, 3)], 1)


def test_a_library_of_other_sizes_keeps_the_best_pattern():
    all_pairs = np.array([m.reshape(2, 2) for m in choices(4, 2)])
    assert_masks(lambda v: PatternLibrary(all_pairs), lambda v: all_pairs, [(2, 2)], 2)


def test_tiles_are_projected_one_by_one():
    library, rng = PatternLibrary(LIBRARY), np.random.default_rng(1)
    for v in (rng.normal(size=(6, 9)), rng.integers(-1, 2, size=(5, 4, 6)).astype(float)):
        expected = np.zeros_like(v)
        for *lead, i, j in np.ndindex(*v.shape[:-2], v.shape[-2] // 2, v.shape[-1] // 3):
            at = (*lead, slice(2 * i, 2 * i + 2), slice(3 * j, 3 * j + 3))
            expected[at] = library.project(v[at])
        np.testing.assert_array_equal(library.project(v), expected)


def test_a_padded_library_sees_real_entries_only():
    def masks(v):
        return [m[: v.shape[0], : v.shape[1]] for m in LIBRARY]

    assert_masks(lambda v: PatternLibrary(LIBRARY, remainder="pad"), masks, [(1, 3), (2, 2), (1, 1)], 3)


@pytest.mark.parametrize("k", range(4))
@pytest.mark.parametrize("axis", [0, -1])
def test_channels_is_the_best_choice_of_slices(k, axis):
    def masks(v):
        for kept in choices(v.shape[axis], k):
            shape = [1] * v.ndim
            shape[axis] = -1
            yield np.broadcast_to(kept.reshape(shape), v.shape)

    assert_masks(lambda v: Channels(k, axis), masks, [(4, 4), (3, 2, 4)], k)


SETS = [
    TopGroups(2, GROUPS),
    NM(2, 4, remainder="pad"),
    NM(1, 3, axis=0),
    PatternLibrary(LIBRARY),
    PatternLibrary(LIBRARY, remainder="pad"),
    Channels(2, axis=1),
    GroupBall(1.5, GROUPS),
    CappedSimplex(2.5),
]


@pytest.mark.parametrize("s", SETS, ids=repr)
def test_what_every_set_promises(s):
    rng = np.random.default_rng(0)
    for v in cases(s.example_shape, 90, 1):
        before = v.copy()
        p = s.project(v)
        eps = np.finfo(v.dtype).eps
        assert p.shape == v.shape
        np.testing.assert_array_equal(v, before)
        assert s.contains(p)
        np.testing.assert_allclose(s.project(p), p, rtol=8 * eps, atol=8 * eps * np.abs(p).max())
        out = v.copy()
        assert s.project(out, out=out) is out
        assert out.tobytes() == p.tobytes()
        difference = v.astype(float) - p
        largest = np.abs(difference).max() or 1.0
        norm = largest * np.sqrt(((difference / largest) ** 2).sum())
        np.testing.assert_allclose(s.distance(v), norm, rtol=1e-12, atol=64 * eps * float(np.abs(v).max()))
        competitor = s.project(v + rng.normal(size=v.shape) * np.abs(v).max())
        gap = (p - competitor).astype(float)
        # |v - competitor|^2 >= |v - p|^2, without squares of v
        assert (gap * ((difference + (v.astype(float) - competitor)) / largest)).sum() >= -1e-6 * np.abs(
            gap
        ).max() * v.size


@pytest.mark.parametrize("s", SETS, ids=repr)
def test_all_array_libraries_give_the_same(s, xp):
    for v in cases(s.example_shape, 36, 2):
        given = xp.asarray(v)
        p = s.project(given)
        assert p.dtype == given.dtype
        rounding = 16 * np.finfo(v.dtype).eps * float(np.abs(v).max())
        np.testing.assert_allclose(np.asarray(p), s.project(v), rtol=0, atol=0 if s.keeps_entries else rounding)
        np.testing.assert_array_equal(np.asarray(s.support(given)), s.support(v))
        assert s.distance(given) == pytest.approx(s.distance(v), rel=1e-12)
        assert s.contains(p)
        s.project(given, out=given)
        np.testing.assert_array_equal(np.asarray(given), np.asarray(p))


@pytest.mark.parametrize("s", SETS, ids=repr)
def test_layouts_and_integers(s):
    rng = np.random.default_rng(3)
    for _ in range(20):
        shape = s.example_shape(rng)
        whole = rng.integers(-3, 4, size=shape)
        expected = s.project(whole.astype(float))
        np.testing.assert_array_equal(s.project(whole), expected)
        wide = np.repeat(whole.astype(float), 2, axis=-1)[..., ::2]
        wide.setflags(write=False)
        np.testing.assert_array_equal(s.project(wide), expected)
        np.testing.assert_array_equal(s.project(np.asfortranarray(whole.astype(float))), expected)


BAD = [
    (lambda: TopGroups(5, GROUPS), "between 0 and 4"),
    (lambda: TopGroups(-1, GROUPS), "between 0 and 4"),
    (lambda: TopGroups(2.0, GROUPS), "give an integer"),
    (lambda: TopGroups(True, GROUPS), "give an integer"),
    (lambda: TopGroups(1, [[0], [1]]), "give a Groups"),
    (lambda: NM(5, 4), "between 0 and 4"),
    (lambda: NM(2, 0), "of at least 1"),
    (lambda: NM(2, 4, axis=1.5), "give an integer"),
    (lambda: NM(2, 4, remainder="wrap"), '"error" and "pad"'),
    (lambda: NM(2, 4).project(np.ones(6)), "do not divide"),
    (lambda: NM(2, 4, axis=1).project(np.ones(4)), "choose another axis"),
    (lambda: NM(2, 4).project(np.float64(1.0)), "at least one axis"),
    (lambda: NM(2, 4).project(np.ones((0, 4))), "at least one axis and one entry"),
    (lambda: NM(2, 4).project(np.array([1, 2, np.nan, 4])), "NaN or infinite"),
    (lambda: NM(2, 4).project(np.array([1, 2, np.inf, 4])), "NaN or infinite"),
    (lambda: NM(2, 4).project(np.ones(4, complex)), "real numbers"),
    (lambda: NM(2, 4).project(np.array(["a"] * 4)), "real numbers|dtype"),
    (lambda: NM(2, 4).project(np.ma.masked_array(np.ones(4), [0, 0, 0, 1])), "masked"),
    (lambda: NM(2, 4).project(np.ones(4), out=np.ones(3)), "out has shape"),
    (lambda: NM(2, 4).project(np.ones(4), out=np.ones(4, np.float32)), "out has dtype"),
    (lambda: NM(2, 4).project(np.ones(4), out=np.broadcast_to(1.0, 4)), "read-only"),
    (lambda: PatternLibrary([]), "at least one pattern"),
    (lambda: PatternLibrary(np.ones((2, 2))), "at least one pattern"),
    (lambda: PatternLibrary([np.ones((2, 2)), np.ones((2, 3))]), "one shape"),
    (lambda: PatternLibrary(np.full((1, 2, 2), 2)), "0 and 1"),
    (lambda: PatternLibrary(3), "one shape"),
    (lambda: PatternLibrary(LIBRARY).project(np.ones((3, 3))), "do not divide"),
    (lambda: PatternLibrary(LIBRARY).project(np.ones(6)), "two axes"),
    (lambda: Channels(-1), "at least 0"),
    (lambda: Channels(4).project(np.ones((3, 2))), "k is at most that"),
    (lambda: Channels(1, axis=2).project(np.ones((3, 2))), "choose another"),
    (lambda: TopGroups(2, GROUPS).project(np.ones(7)), "8 coefficients"),
    (lambda: GroupBall(-1.0, GROUPS), "finite number >= 0"),
    (lambda: GroupBall(np.nan, GROUPS), "finite number >= 0"),
    (lambda: GroupBall(1.0, None), "give a Groups"),
    (lambda: CappedSimplex(-0.5), "real number"),
    (lambda: CappedSimplex("a"), "real number"),
    (lambda: CappedSimplex(np.nan), "real number"),
    (lambda: CappedSimplex(3.5).project(np.ones(3)), "3 entries"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
