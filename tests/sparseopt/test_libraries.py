"""Pattern libraries: complete ones, and learned ones against the most frequent patterns and all libraries."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sparseopt.sets import PatternLibrary, TopGroups, libraries


def kept_energy(library, w):
    """Share of |w|^2 that a library keeps."""
    return 1 - PatternLibrary(library).distance(w) ** 2 / (w**2).sum()


@pytest.mark.parametrize(("shape", "kept"), [((1, 1), 0), ((2, 3), 2), ((3, 3), 4), ((4, 4), 8)])
def test_all_patterns_lists_each_mask_once(shape, kept):
    patterns = libraries.all_patterns(shape, kept)
    flat = patterns.reshape(len(patterns), -1)
    expected = list(itertools.combinations(range(shape[0] * shape[1]), kept))
    assert [tuple(np.flatnonzero(mask)) for mask in flat] == expected


def test_all_patterns_as_a_library_keeps_the_largest_entries():
    import sparseopt as so

    library = PatternLibrary(libraries.all_patterns((3, 3), 4))
    rng = np.random.default_rng(0)
    for i in range(400):
        v = rng.normal(size=(3, 3)) if i % 2 else rng.integers(-2, 3, size=(3, 3)).astype(float)
        expected = TopGroups(4, so.Groups.uniform(9, 1)).project(v.ravel()).reshape(3, 3)
        np.testing.assert_array_equal(library.project(v), expected)


def weights(seed, heavy=False):
    rng = np.random.default_rng(seed)
    return rng.standard_t(3, size=(24, 36)) if heavy else rng.normal(size=(24, 36))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("size", [1, 2, 5, 12])
def test_learned_libraries_keep_at_least_what_the_most_frequent_patterns_keep(seed, size):
    w = weights(seed, heavy=seed % 2 == 1)
    library, frequent = libraries.learned(w, (3, 3), 4, size), libraries.most_frequent(w, (3, 3), 4, size)
    assert len(library) == len(frequent) == size
    assert (library.sum(axis=(1, 2)) == 4).all()
    assert kept_energy(library, w) >= kept_energy(frequent, w) - 1e-15


def test_learned_libraries_are_better_than_the_most_frequent_patterns_and_near_the_best():
    gains = []
    for seed in range(5):
        w = np.random.default_rng(seed).normal(size=(12, 24))
        masks = libraries.all_patterns((2, 2), 2)
        best = max(kept_energy(masks[list(chosen)], w) for chosen in itertools.combinations(range(6), 3))
        learned = kept_energy(libraries.learned(w, (2, 2), 2, 3), w)
        gains.append(learned - kept_energy(libraries.most_frequent(w, (2, 2), 2, 3), w))
        assert learned >= 0.99 * best
    assert max(gains) > 0


def test_no_swap_improves_a_learned_library():
    w = weights(3)
    library = libraries.learned(w, (2, 3), 3, 4)
    masks, reached = libraries.all_patterns((2, 3), 3), kept_energy(library, w)
    for j, mask in itertools.product(range(4), masks):
        swapped = library.copy()
        swapped[j] = mask
        assert kept_energy(swapped, w) <= reached + 1e-12


def test_few_patterns_suffice_for_few_kinds_of_tiles():
    w = np.kron(np.ones((4, 5)), np.array([[3.0, 0], [0, 2]]))
    np.testing.assert_array_equal(libraries.learned(w, (2, 2), 2, 8), [[[True, False], [False, True]]])


def test_scale_does_not_matter():
    w = weights(4)
    for scale in (1e150, 1e-150):
        np.testing.assert_array_equal(libraries.learned(w * scale, (3, 3), 4, 3), libraries.learned(w, (3, 3), 4, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: libraries.all_patterns((2, 2), 5), "between 0 and 4"),
        (lambda: libraries.all_patterns((2, 2), 1.5), "give an integer"),
        (lambda: libraries.all_patterns(4, 2), "rows and columns"),
        (lambda: libraries.all_patterns((0, 2), 0), "at least 1"),
        (lambda: libraries.all_patterns((8, 8), 32), "at most"),
        (lambda: libraries.learned(np.ones((4, 4)), (3, 3), 4, 2), "do not divide"),
        (lambda: libraries.learned(np.ones((4, 4)), (2, 2), 0, 2), "between 1 and 4"),
        (lambda: libraries.learned(np.ones((4, 4)), (2, 2), 2, 0), "at least 1"),
        (lambda: libraries.learned(np.full((4, 4), np.nan), (2, 2), 2, 1), "NaN"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
