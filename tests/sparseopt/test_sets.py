"""Mask sets against enumeration in exact arithmetic, and what every set promises."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from brute import best_mask, cases, choices

import sparseopt as so
from sparseopt.sets import (
    NM,
    Box,
    CappedSimplex,
    Channels,
    GroupBall,
    Intersection,
    KSupportBall,
    L1Ball,
    PatternLibrary,
    Product,
    TopBlocks,
    TopGroups,
    TransposableNM,
)
from sparseopt.sets.transposable_nm import maximal_patterns

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


@pytest.mark.parametrize(("n", "m"), [(0, 2), (1, 2), (2, 2), (1, 3), (2, 3)])
def test_transposable_is_the_best_mask_of_bounded_degree(n, m):
    every = [np.array(bits).reshape(m, m) for bits in itertools.product([True, False], repeat=m * m)]
    feasible = [mask for mask in every if (mask.sum(0) <= n).all() and (mask.sum(1) <= n).all()]
    assert_masks(lambda v: TransposableNM(n, m), lambda v: feasible, [(m, m)], n)


def test_transposable_2_4_has_186_maximal_patterns_and_keeps_the_best():
    patterns = maximal_patterns(2, 4)
    np.testing.assert_array_equal(np.bincount(patterns.sum(axis=(1, 2))), [0] * 7 + [96, 90])
    assert_masks(lambda v: TransposableNM(2, 4), lambda v: patterns, [(4, 4)], 0)


@pytest.mark.slow
def test_transposable_by_flow_has_the_energy_of_the_best_integral_point_of_the_linear_program():
    optimize = pytest.importorskip("scipy.optimize", reason="scipy is not complete")
    done = 0
    for v in cases([(5, 5), (6, 6)], CASES, 5):
        m = len(v)
        n = 1 + done % 3
        rows, columns = np.kron(np.eye(m), np.ones(m)), np.kron(np.ones(m), np.eye(m))
        unit = v.astype(float) / (float(np.abs(v).max()) or 1.0)
        bounded = optimize.linprog(
            -(unit**2).ravel(), A_ub=np.vstack([rows, columns]), b_ub=np.full(2 * m, n), bounds=(0, 1)
        )
        mask = TransposableNM(n, m).support(v)
        assert mask.sum(axis=0).max() <= n
        assert mask.sum(axis=1).max() <= n
        reached = (unit**2)[mask].sum()
        assert reached >= (unit**2).ravel()[bounded.x > 0.5].sum() * (1 - 1e-13)
        assert reached <= -bounded.fun + 2e-7 * m  # the solver may exceed each of 2 m bounds by 1e-7
        if n == 1:
            orders = np.array(list(itertools.permutations(range(m))))
            assert reached == pytest.approx((unit**2)[np.arange(m), orders].sum(axis=1).max(), rel=1e-13)
        projected = TransposableNM(n, m).project(v)
        assert TransposableNM(n, m).project(projected).tobytes() == projected.tobytes()
        done += 1
    assert done >= 400


def test_transposable_by_flow_keeps_entries_whose_squares_underflow():
    tile = np.diag(np.full(5, 1e-302)) + np.diag(np.ones(4), 1)
    np.testing.assert_array_equal(TransposableNM(2, 5).project(tile), tile)


def test_transposed_arrays_keep_the_same_energy():
    rng = np.random.default_rng(6)
    for s in (TransposableNM(2, 4), TransposableNM(4, 8)):
        for _ in range(20):
            v = rng.normal(size=(16, 8))
            assert s.distance(v) == pytest.approx(s.distance(v.T), rel=1e-14)
            assert s.contains(s.project(v).T)


@pytest.mark.parametrize(("lower", "upper"), [(-0.5, 0.5), (0, np.inf), (-1, 0.2)])
def test_mask_sets_in_a_box_keep_the_mask_with_the_largest_gain(lower, upper):
    """|v|^2 - |v - p|^2 is the sum over the mask of v^2 - (v - clip(v))^2 = c (2v - c): all masks are tried."""
    done = 0
    s = Intersection(TopGroups(2, GROUPS), Box(lower, upper))
    for v in cases([(8,)], CASES, 7):
        x = v.astype(float)
        c = np.clip(x, lower, upper)
        unit = float(np.abs(x).max()) or 1.0
        gains = c / unit * (2 * (x / unit) - c / unit)
        masks = [kept[GROUPS.labels] for kept in choices(4, 2)]
        p = s.project(v)
        best = max(gains[mask].sum() for mask in masks)
        assert s.contains(p)
        reached = (p / unit * (2 * (x / unit) - p / unit)).sum()
        assert reached == pytest.approx(best, rel=1e-6 if v.dtype == np.float32 else 1e-12)
        done += 1
    assert done >= 400


@pytest.mark.filterwarnings("error")
def test_mask_sets_in_a_box_take_the_largest_numbers():
    p = Intersection(NM(1, 2), Box(-1, np.inf)).project(np.array([-1.7e308, 1.7e308, 2.0, -1.7e308]))
    np.testing.assert_array_equal(p, [0, 1.7e308, 0, -1])


def test_products_are_projected_group_by_group():
    parts = [NM(1, 2), Box(-1, 1), L1Ball(1.0), TopGroups(1, so.Groups.uniform(2, 1))]
    done = 0
    for v in cases([(8,)], CASES, 8):
        p = Product(parts, GROUPS).project(v)
        for g, s in enumerate(parts):
            np.testing.assert_array_equal(p[GROUPS.members(g)], s.project(v[GROUPS.members(g)]))
        done += 1
    assert done >= 400


@pytest.mark.parametrize("remainder", ["error", "pad"])
def test_top_blocks_is_the_best_choice_of_blocks(remainder):
    def masks(v):
        for kept in choices(4, 2):
            yield np.kron(kept.reshape(2, 2), np.ones((2, 3)))[: v.shape[0], : v.shape[1]] > 0

    shapes = [(4, 6)] if remainder == "error" else [(4, 6), (3, 4), (4, 5)]
    assert_masks(lambda v: TopBlocks(2, (2, 3), remainder=remainder), masks, shapes, 9)


SETS = [
    TopBlocks(2, (2, 3)),
    TopGroups(2, so.Groups.uniform(4, 3)),
    TopGroups(2, GROUPS),
    NM(2, 4, remainder="pad"),
    NM(1, 3, axis=0),
    PatternLibrary(LIBRARY),
    PatternLibrary(LIBRARY, remainder="pad"),
    Channels(2, axis=1),
    GroupBall(1.5, GROUPS),
    CappedSimplex(2.5),
    L1Ball(0.7),
    KSupportBall(1.5, 2),
    Box(-0.5, 2),
    Box(np.array([-1.0, 0, 0.5]), np.inf),
    TransposableNM(2, 4),
    TransposableNM(1, 3, remainder="pad"),
    TransposableNM(2, 5, remainder="pad"),
    Product([NM(1, 2), Box(-1, 1), L1Ball(1.0), TopGroups(1, so.Groups.uniform(2, 1))], GROUPS),
    Product([NM(1, 2), NM(0, 1), NM(1, 3), TopGroups(1, so.Groups.uniform(2, 1))], GROUPS),
    Intersection(NM(2, 4, remainder="pad"), Box(-0.5, 1)),
    Intersection(L1Ball(1.0), Box(-0.3, 0.5)),
    Intersection(GroupBall(1.0, GROUPS), Box(0, np.inf)),
    Intersection(KSupportBall(1.0, 2), Box(-np.inf, 0)),
    Intersection(CappedSimplex(2.5), Box(np.array([0, 0.5, -1, -1, 0]), np.array([1, 0.8, 0.9, 2, 3]))),
]


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("s", SETS, ids=repr)
def test_what_every_set_promises(s):
    rng = np.random.default_rng(0)
    for v in cases(s.example_shape, 54, 1):
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
        rounding = 64 * eps * float(np.abs(v).max()) + v.size * float(np.finfo(v.dtype).smallest_subnormal)
        np.testing.assert_allclose(s.distance(v), norm, rtol=1e-12, atol=rounding)
        competitor = s.project(v + rng.normal(size=v.shape) * np.abs(v).max())
        gap = (p - competitor).astype(float)
        # |v - competitor|^2 >= |v - p|^2 without squares of v; both are rounded
        further = (gap * ((difference + (v.astype(float) - competitor)) / largest)).sum()
        assert further >= -16 * eps * v.size * float(max(np.abs(p).max(), np.abs(competitor).max()))


@pytest.mark.sample(every=4)
@pytest.mark.parametrize("s", SETS, ids=repr)
def test_all_array_libraries_give_the_same(s, xp):
    for v in cases(s.example_shape, 18, 2):
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
    (lambda: TopBlocks(-1, (2, 2)), "at least 0"),
    (lambda: TopBlocks(1, 2), "rows and columns"),
    (lambda: TopBlocks(2, (2, 2)).project(np.ones((2, 2))), "k is at most that"),
    (lambda: TopBlocks(1, (2, 2)).project(np.ones((2, 3))), "do not divide"),
    (lambda: TransposableNM(3, 2), "between 0 and 2"),
    (lambda: TransposableNM(2, 4).project(np.ones((4, 6))), "do not divide"),
    (lambda: TransposableNM(2, 5).project(np.ones((4, 6))), "do not divide"),
    (lambda: L1Ball(np.inf), "finite number >= 0"),
    (lambda: KSupportBall(1.0, 0), "at least 1"),
    (lambda: KSupportBall(1.0, 1.5), "give an integer"),
    (lambda: Box(1, 0), "empty"),
    (lambda: Box(np.nan, 0), "NaN"),
    (lambda: Box("a", 0), "real number"),
    (lambda: Box(np.zeros(2), np.ones(3)), "broadcast"),
    (lambda: Box(np.zeros(2), 1).project(np.ones(3)), "fits"),
    (lambda: Product([NM(1, 2)], GROUPS), "one for each"),
    (lambda: Product([NM] * 4, GROUPS), "give a set"),
    (lambda: Product([Box(0, 1)] * 4, GROUPS).project(np.ones(7)), "8 coefficients"),
    (lambda: Intersection(NM(2, 4), Box(1, 2)), "contain 0"),
    (lambda: Intersection(GroupBall(1, GROUPS), Box(-1, 1)), "signs only"),
    (lambda: Intersection(Box(0, 1), Box(0, 1)), "no exact projection"),
    (lambda: Intersection(NM(2, 4), 3), "sets.Box"),
    (lambda: Intersection(CappedSimplex(2), Box(0, 0.1)).project(np.ones(5)), "do not meet"),
    (lambda: Intersection(L1Ball(1), Box(1, 2)).project(np.ones(5)), "do not meet"),
    (lambda: CappedSimplex(-0.5), "real number"),
    (lambda: CappedSimplex("a"), "real number"),
    (lambda: CappedSimplex(np.nan), "real number"),
    (lambda: CappedSimplex(3.5).project(np.ones(3)), "3 entries"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
