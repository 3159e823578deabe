"""A partition of the coefficients into groups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np

from ._array import Array, described, floating, is_numpy, namespace


class Groups:
    """Partition of p coefficients into G non-empty groups T_0, ..., T_{G-1}.

    Built by `from_sizes`, `uniform`, `from_labels` or `from_lists`; immutable.

    n_groups: G.  n_features: p.  sizes: [G] int64.  labels: [p] int64, the group of each coefficient.
    index: [p] int64, the coefficients ordered by group.  offsets: [G + 1] int64, group g is
    index[offsets[g]:offsets[g + 1]].  contiguous: whether index is 0, 1, ..., p - 1.  names: tuple of G labels.

    Overlapping groups are represented by a partition of latent coefficients, one for each membership
    (`from_lists(..., overlap="latent")`); then p counts those, and columns [p] holds the column of X of each, n_columns
    the number of columns.  Otherwise columns is None and n_columns is p.
    """

    def __init__(
        self,
        labels: np.ndarray,
        names: Sequence[Any],
        columns: np.ndarray | None = None,
        sizes: np.ndarray | None = None,  # where the groups are consecutive
    ) -> None:
        self.labels = _frozen(np.asarray(labels, dtype=np.int64))
        self._names = names if isinstance(names, range) else tuple(names)
        self.columns = None if columns is None else _frozen(np.asarray(columns, dtype=np.int64))
        self.n_columns = len(self.labels) if self.columns is None else int(self.columns.max()) + 1
        self.sizes = _frozen(np.bincount(self.labels, minlength=len(names)) if sizes is None else sizes)
        self.contiguous = sizes is not None or bool((self.labels[1:] >= self.labels[:-1]).all())
        order = np.arange(self.n_features) if self.contiguous else np.argsort(self.labels, kind="stable")
        offsets = np.zeros(len(self.sizes) + 1, dtype=np.int64)
        np.add.accumulate(self.sizes, out=offsets[1:])
        self.index, self.offsets = _frozen(order), _frozen(offsets)
        self._stacked = self.contiguous and bool((self.sizes == self.sizes[0]).all())

    @cached_property
    def names(self) -> tuple[Any, ...]:
        """Labels of the groups."""
        return tuple(self._names)

    @cached_property
    def _buckets(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Groups of equal size together: (groups [B], their coefficients [B, size]), so that norms need no padding."""
        members = [np.flatnonzero(self.sizes == size) for size in np.unique(self.sizes)]
        starts = [self.offsets[groups][:, None] for groups in members]
        return [(g, self.index[start + np.arange(self.sizes[g[0]])]) for g, start in zip(members, starts, strict=True)]

    @cached_property
    def _bucket_order(self) -> np.ndarray:
        return np.argsort(np.concatenate([groups for groups, _ in self._buckets]), kind="stable")

    @property
    def n_groups(self) -> int:
        """Number of groups G."""
        return len(self.sizes)

    @property
    def n_features(self) -> int:
        """Number of coefficients p."""
        return len(self.labels)

    @classmethod
    def from_sizes(cls, sizes: Iterable[int]) -> Groups:
        """Consecutive groups: the first sizes[0] coefficients, the next sizes[1], ...

        sizes: [G] positive integers.  Raises ValueError when a size is not a positive integer or there is no group.
        """
        counts = _integers(sizes, "sizes")
        if counts.min() < 1:
            raise ValueError(f"sizes[{int(np.argmax(counts < 1))}] is {counts.min()}: every group needs a coefficient")
        return cls(np.arange(len(counts)).repeat(counts), range(len(counts)), sizes=counts)

    @classmethod
    def uniform(cls, n_groups: int, size: int) -> Groups:
        """`n_groups` consecutive groups of `size` coefficients each; both positive integers, else ValueError."""
        n_groups, size = _integer(n_groups, "n_groups"), _integer(size, "size")
        if n_groups < 1 or size < 1:
            raise ValueError(f"n_groups is {n_groups} and size is {size}: both must be at least 1")
        return cls.from_sizes([size] * n_groups)

    @classmethod
    def from_labels(cls, labels: Iterable[Any]) -> Groups:
        """One group for each distinct label, in sorted order.

        labels: [p], the group of each coefficient: integers, strings or anything that sorts.
        Raises ValueError when labels is empty, not one-dimensional, or contains NaN.
        """
        array = _array_of(labels, "labels")
        if array.ndim != 1 or array.size == 0:
            raise ValueError(f"labels has shape {array.shape}: give one label for each coefficient, shape [p]")
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise ValueError("labels contains NaN: give every coefficient a group")
        try:
            names, inverse = np.unique(array, return_inverse=True)
        except TypeError as error:
            raise ValueError(f"labels cannot be sorted ({error}): give integers or strings, None is no label") from None
        return cls(inverse, names.tolist())

    @classmethod
    def from_lists(
        cls, lists: Iterable[Iterable[int]], n_features: int | None = None, overlap: str = "error"
    ) -> Groups:
        """Groups given as lists of coefficient indices, e.g. [[0, 2], [1]].

        n_features: p; by default the largest index + 1.  overlap: "error", or "latent": a coefficient in k groups
        becomes the sum of k latent ones, one in each of its groups, whose penalty is that of the groups of latent
        coefficients (the latent group LASSO of Jacob, Obozinski and Vert, 2009).  Group g then is the block of latent
        coefficients lists[g], in that order; see `expand` and `collapse`.

        Raises ValueError when a list is empty or names a coefficient twice, an index is negative or not below p, a
        coefficient is in none, or in two groups without overlap="latent".
        """
        if overlap not in ("error", "latent"):
            raise ValueError(f'overlap is {overlap!r}: allowed are "error" and "latent"')
        members = [_integers(indices, f"lists[{g}]") for g, indices in enumerate(_listed(lists, "lists"))]
        if not members:
            raise ValueError("lists is empty: at least one group is needed")
        p = int(max(m.max() for m in members)) + 1 if n_features is None else _integer(n_features, "n_features")
        _check_enough(members, p)
        labels = np.full(p, -1, dtype=np.int64)
        for g, indices in enumerate(members):
            _claim(labels, g, indices, overlap == "latent")
        if (labels < 0).any():
            missing = int(np.argmax(labels < 0))
            raise ValueError(f"coefficient {missing} is in no group: add it to one, or give it one of its own")
        if overlap == "latent":
            sizes = [len(indices) for indices in members]
            return cls(np.repeat(np.arange(len(members)), sizes), range(len(members)), np.concatenate(members))
        return cls(labels, range(len(members)))

    def restrict(self, groups: np.ndarray) -> Groups:
        """The groups with these increasing indices [k] as a partition of their own coefficients, in the old order."""
        position = np.full(self.n_groups, -1, dtype=np.int64)
        position[groups] = np.arange(len(groups))
        labels = position[self.labels]
        return Groups(labels[labels >= 0], [self.names[g] for g in groups])

    def expand(self, X: Any) -> Any:
        """X [n, n_columns], dense or sparse, with a column for each coefficient, [n, p]; X itself without overlap.

        Copies: one column of X for each membership.  expand(X) @ w equals X @ collapse(w).
        """
        return X if self.columns is None else X[:, self.columns]

    def collapse(self, w: np.ndarray) -> np.ndarray:
        """Coefficients of the columns of X, [n_columns] or [n_columns, T]: sums over the latent ones w [p] or [p, T].

        w itself without overlap.
        """
        if self.columns is None:
            return w
        total = np.zeros((self.n_columns, *w.shape[1:]), dtype=w.dtype)
        np.add.at(total, self.columns, w)
        return total

    def members(self, g: int) -> np.ndarray:
        """Indices [sizes[g]] of the coefficients of group g, increasing."""
        return self.index[self.offsets[g] : self.offsets[g + 1]]

    def norms(self, w: Array) -> Array:
        """Euclidean norms |w_g|_2 of the groups (Frobenius norms of their rows when w has two axes).

        w: [p] or [p, T], any array library.  Returns [G] in the dtype of w, float64 for integers.  Relative error of
        a few ulp for NumPy arrays, over the whole range of the dtype; other libraries may overflow beyond sqrt(max).
        Differentiable; the derivative at a zero group is 0.  Raises ValueError when w does not have p rows.
        """
        self._check_rows(w)
        w = floating(w)
        xp = namespace(w)
        if is_numpy(xp):
            with np.errstate(over="ignore", under="ignore"):
                return self._guarded_norms(w)
        return self._norms(xp, w)

    def spread(self, s: Array) -> Array:
        """The value of its group for every coefficient: out[j] = s[labels[j]].  s: [G].  Returns [p]."""
        xp = namespace(s)
        if s.shape[0] != self.n_groups:
            raise ValueError(f"s has {s.shape[0]} entries, but there are {self.n_groups} groups")
        return xp.take(s, _index(xp, self.labels, s), axis=0)

    def scale(self, w: Array, s: Array) -> Array:
        """Each group of w [p] or [p, T] times its own factor s [G]; same shape as w."""
        w, factors = floating(w), self.spread(floating(s))
        return w * (factors if w.ndim == 1 else factors[:, None])

    def divide(self, w: Array, s: Array) -> Array:
        """Each group of w [p] or [p, T] divided by its own s [G] > 0: with its norm, the unit vector, at any scale."""
        w, divisors = floating(w), self.spread(floating(s))
        return w / (divisors if w.ndim == 1 else divisors[:, None])

    def active(self, w: Array) -> np.ndarray:
        """Indices of the groups of w [p] or [p, T] with an entry that is not exactly zero, increasing."""
        rows = np.flatnonzero(np.asarray(w) != 0) // math.prod(w.shape[1:])
        return np.flatnonzero(np.bincount(self.labels[rows], minlength=self.n_groups))

    def _check_rows(self, w: Array) -> None:
        if w.ndim not in (1, 2) or w.shape[0] != self.n_features or 0 in w.shape:
            raise ValueError(f"w has shape {tuple(w.shape)}, but the groups cover {self.n_features} coefficients")

    def _norms(self, xp: Any, w: Array) -> Array:
        if is_numpy(xp):
            return self._plain_norms(w)
        parts = []
        for _, index in self._buckets:
            rows = w if self._stacked else xp.take(w, _index(xp, index.reshape(-1), w), axis=0)
            parts.append(xp.linalg.vector_norm(xp.reshape(rows, (index.shape[0], -1)), axis=1))
        if len(parts) == 1:
            return parts[0]
        return xp.take(xp.concat(parts), _index(xp, self._bucket_order, w), axis=0)

    def _plain_norms(self, w: np.ndarray) -> np.ndarray:
        """Square roots of plain sums of squares, in one pass for each size and without a temporary of squares."""
        if self._stacked:
            rows = w.reshape(self.n_groups, -1)
            return np.sqrt(np.einsum("ij,ij->i", rows, rows))
        taken = [w.take(index, axis=0).reshape(len(index), -1) for _, index in self._buckets]
        squares = [np.einsum("ij,ij->i", rows, rows) for rows in taken]
        return np.sqrt(squares[0] if len(squares) == 1 else np.concatenate(squares).take(self._bucket_order))

    def _guarded_norms(self, w: np.ndarray) -> np.ndarray:
        """Norms by plain sums of squares, repeated on rescaled groups where squares left the range of the dtype."""
        norms = self._plain_norms(w)
        low, high = _safe_norms(norms.dtype)
        safe = (norms > low) & (norms < high)
        if safe.all() or self._zero_outside(w, safe):
            return norms
        largest = np.abs(w) if w.ndim == 1 else np.abs(w).max(axis=1)
        largest = np.maximum.reduceat(largest if self.contiguous else largest[self.index], self.offsets[:-1])
        unit = np.where(~safe & (largest > 0) & np.isfinite(largest), largest, 1).astype(norms.dtype)
        if (unit == 1).all():
            return norms
        rows = unit[self.labels]
        return unit * self._plain_norms(w / (rows if w.ndim == 1 else rows[:, None]))

    def _zero_outside(self, w: np.ndarray, kept: np.ndarray) -> bool:
        """Whether all entries of w [p] or [p, T] are 0 outside the groups kept, bool [G]; fast where most are."""
        entries = np.asarray(w != 0)  # NaN counts
        inside = entries.reshape(self.n_groups, -1)[kept] if self._stacked else entries[kept[self.labels]]
        return np.count_nonzero(inside) == np.count_nonzero(entries)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Groups) or not np.array_equal(self.labels, other.labels):
            return False
        if self.columns is None or other.columns is None:
            return self.columns is other.columns
        return np.array_equal(self.columns, other.columns)

    def __hash__(self) -> int:
        return hash(self.labels.tobytes())

    def __repr__(self) -> str:
        smallest, largest = int(self.sizes.min()), int(self.sizes.max())
        sizes = f"size {smallest}" if smallest == largest else f"sizes {smallest} to {largest}"
        overlap = "" if self.columns is None else f" of {self.n_columns} columns"
        return f"Groups({self.n_groups} groups of {sizes}, {self.n_features} coefficients{overlap})"


@cache
def _safe_norms(dtype: np.dtype) -> tuple[np.floating, np.floating]:
    """Between these two, norms are exact to a few ulp as square roots of sums of squares."""
    limits = np.finfo(dtype)
    return np.sqrt(limits.tiny) / limits.eps, np.sqrt(limits.max)


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def _index(xp: Any, index: np.ndarray, like: Array) -> Array:
    if is_numpy(xp):
        return index
    return xp.asarray(index.copy(), device=getattr(like, "device", None))


def _listed(values: Any, name: str) -> list[Any]:
    try:
        return list(values)
    except TypeError:
        raise ValueError(f"{name} is {described(values)}: give a list") from None


def _array_of(values: Any, name: str) -> np.ndarray:
    entries = values if isinstance(values, np.ndarray) else _listed(values, name)
    try:
        return np.asarray(entries)
    except ValueError as error:
        raise ValueError(f"{name} cannot be made an array ({error})") from None


def _integer(value: Any, name: str) -> int:
    array = np.asarray(value)
    if array.ndim != 0 or array.dtype.kind not in "iu":
        raise ValueError(f"{name} is {value!r}: integers are needed")
    return int(array)


def _integers(values: Iterable[Any], name: str) -> np.ndarray:
    array = _array_of(values, name)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: give a non-empty list of integers")
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} has dtype {array.dtype}: integers are needed")
    return array.astype(np.int64)


def _check_enough(members: list[np.ndarray], p: int) -> None:
    """ValueError where fewer than p indices are listed, naming the first that is missing; nothing of size p is made."""
    listed = np.unique(np.concatenate(members))
    listed = listed[(listed >= 0) & (listed < p)]
    if sum(len(indices) for indices in members) < p:
        gaps = np.flatnonzero(listed != np.arange(len(listed)))
        missing = int(gaps[0]) if len(gaps) else len(listed)
        raise ValueError(
            f"coefficient {missing} is in no group: add it to one, or give it one of its own, so that 0 to {p - 1} are "
            "all listed"
        )


def _claim(labels: np.ndarray, g: int, indices: np.ndarray, overlap: bool) -> None:
    p = len(labels)
    outside = indices[(indices < 0) | (indices >= p)]
    if outside.size:
        raise ValueError(f"lists[{g}] contains {outside[0]}: indices must be between 0 and {p - 1}")
    if len(np.unique(indices)) < len(indices):
        raise ValueError(f"lists[{g}] contains {int(np.bincount(indices).argmax())} twice: name it once")
    taken = indices[labels[indices] >= 0]
    if taken.size and not overlap:
        raise ValueError(
            f"coefficient {int(taken[0])} is in two groups (one is lists[{g}]): groups must not overlap, or give "
            'overlap="latent"'
        )
    labels[indices] = g
