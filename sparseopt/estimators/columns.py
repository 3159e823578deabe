"""Groups of columns, given by labels, by indices or by the names of a DataFrame's columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .._array import described
from ..groups import Groups


def resolve_groups(groups: Any, n_features: int, names: np.ndarray | None = None) -> Groups:
    """The Groups of n_features columns.

    groups: None (each column a group), a Groups, a dict {name: columns}, a list of lists (sets, ranges) of columns, or
    a label [p] for every column.  Columns are given by index, or by name where X has names [p].
    Raises ValueError when they do not cover the columns exactly once, and for names that X does not have.
    """
    if groups is None:
        return Groups.uniform(n_features, 1)
    if isinstance(groups, Groups):
        return _covering(groups, n_features)
    if isinstance(groups, Mapping):
        made = _from_columns(list(groups.values()), n_features, names)
        return Groups(made.labels, list(groups))
    if not _listed(groups):
        raise ValueError(f"groups is {described(groups)}: give a label for every column, lists of columns, or None")
    entries = list(groups)
    if entries and all(_listed(entry) for entry in entries):
        return _from_columns(entries, n_features, names)
    return _covering(Groups.from_labels(groups if isinstance(groups, np.ndarray) else entries), n_features)


def _covering(groups: Groups, n_features: int) -> Groups:
    if groups.n_columns != n_features:
        raise ValueError(f"groups cover {groups.n_columns} columns, but X has {n_features}")
    return groups


def _from_columns(columns: list[Any], n_features: int, names: np.ndarray | None) -> Groups:
    positions = {} if names is None else {name: j for j, name in enumerate(names)}
    lists = [[_position(column, positions) for column in (group if _listed(group) else [group])] for group in columns]
    try:
        return Groups.from_lists(lists, n_features)
    except ValueError as error:
        raise ValueError(f"groups: {error}{_named(lists, n_features, names)}") from None


def _listed(values: Any) -> bool:
    """Whether these are several columns or labels, and not one."""
    single = isinstance(values, str | bytes) or (isinstance(values, np.ndarray) and values.ndim == 0)
    return isinstance(values, Iterable) and not single


def _position(column: Any, positions: dict[str, int]) -> int:
    if not isinstance(column, str):
        return column
    if column not in positions:
        known = ", ".join(list(positions)[:5]) + (", ..." if len(positions) > 5 else "")
        given = f"X has the columns {known}" if positions else "X has no column names: give a DataFrame"
        raise ValueError(f"groups has the column {column!r}, but {given}")
    return positions[column]


def _named(lists: list[list[int]], n_features: int, names: np.ndarray | None) -> str:
    """The names of the columns in no group, for the message."""
    if names is None:
        return ""
    listed = {column for group in lists for column in group if isinstance(column, int | np.integer)}
    missing = [j for j in range(n_features) if j not in listed]
    if not missing:
        return ""
    return f" (in no group: {', '.join(str(names[j]) for j in missing[:5])}{', ...' if len(missing) > 5 else ''})"
