"""Real data with natural groups: scikit-learn's bundled sets, every group orthonormalised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .groups import Groups

RANK_TOLERANCE = float(np.sqrt(np.finfo(np.float64).eps))
"""1.5e-8.  A direction this much shorter than the longest of its group is dropped: made a unit column, it would carry
the rounding errors of the data magnified so much that fewer than half of the digits of float64 are data."""


@dataclass(frozen=True)
class Dataset:
    """A regression problem with groups.

    X: [n, p] float64, column-major; columns have mean 0 and X_g' X_g / n = I within every group g.
    y: [n] float64, mean 0, so that no intercept is needed.  groups: G consecutive groups.  group_names: G strings.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    groups: Groups
    group_names: tuple[str, ...]


def diabetes() -> Dataset:
    """Disease progression one year on, against ten variables measured at the start.  n = 442, p = 55, G = 10.

    Each variable is a group: its cubic B-splines on 5 equidistant knots, scikit-learn's defaults, 7 less the constant
    makes 6 columns once they are centred; sex has two values and is a single column.  y is in standard deviations.
    Raises ImportError without scikit-learn.  Source: Efron, Hastie, Johnstone and Tibshirani (2004).
    """
    data = _sklearn("datasets").load_diabetes(scaled=False)
    splines = _sklearn("preprocessing").SplineTransformer(n_knots=5, degree=3, knots="uniform")
    blocks = [
        column if len(np.unique(column)) == 2 else splines.fit_transform(column)
        for column in np.hsplit(data.data, data.data.shape[1])
    ]
    return _dataset("diabetes", blocks, data.target / data.target.std(), data.feature_names)


def breast_cancer() -> Dataset:
    """Diagnosis (benign +1, malignant -1) against ten features of cell nuclei.  n = 569, p = 30, G = 10.

    Each measured feature is a group of three columns: its mean, standard error and worst value over the nuclei of an
    image.  Raises ImportError without scikit-learn.  Source: Street, Wolberg and Mangasarian (1993).
    """
    data = _sklearn("datasets").load_breast_cancer()
    names = [name.removeprefix("mean ") for name in data.feature_names[:10]]
    blocks = [data.data[:, j::10] for j in range(10)]
    return _dataset("breast_cancer", blocks, 2.0 * data.target - 1.0, names)


def digits(digit: int = 7) -> Dataset:
    """Whether an 8 x 8 image shows `digit` (+1) or another one (-1), against its pixels.  n = 1797, p = 61, G = 16.

    The groups are the 16 patches of 2 x 2 pixels; three pixels that are zero in every image are dropped.  The
    certified window of the one-group solution depends on the digit: for 7, the default, it is the widest (17 % of
    lambda_max), for 0 the narrowest (0.3 %).
    digit: 0 to 9, else ValueError.  Raises ImportError without scikit-learn.  Source: Alpaydin and Kaynak (1998).
    """
    if digit not in range(10):
        raise ValueError(f"digit is {digit!r}: give an integer from 0 to 9")
    data = _sklearn("datasets").load_digits()
    corners = [(row, column) for row in range(0, 8, 2) for column in range(0, 8, 2)]
    blocks = [data.images[:, r : r + 2, c : c + 2].reshape(-1, 4) for r, c in corners]
    names = [f"rows {r}-{r + 1}, columns {c}-{c + 1}" for r, c in corners]
    return _dataset("digits", blocks, np.where(data.target == digit, 1.0, -1.0), names)


def orthonormal_columns(block: np.ndarray) -> np.ndarray:
    """Columns Q [n, r] with Q'Q / n = I and mean 0 that span the centred columns of block [n, m]; r <= m.

    Constant columns and directions below RANK_TOLERANCE are dropped, the latter measured after scaling every column to
    the same length, so that units do not matter; r may be 0.  Signs are fixed, so the result is reproducible.
    """
    block = np.asarray(block, dtype=np.float64)
    centred = block - block.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=0)
    varying = lengths > RANK_TOLERANCE * np.linalg.norm(block, axis=0)
    if not varying.any():
        return np.empty((len(block), 0))
    left, values, right = np.linalg.svd(centred[:, varying] / lengths[varying], full_matrices=False)
    kept = values > RANK_TOLERANCE * values[0]
    largest = np.take_along_axis(right, np.abs(right).argmax(axis=1)[:, None], axis=1)[:, 0]
    return (left * np.where(largest < 0, -1.0, 1.0))[:, kept] * np.sqrt(len(block))


def _dataset(name: str, blocks: Sequence[np.ndarray], y: np.ndarray, names: Sequence[str]) -> Dataset:
    """The data set of the orthonormalised blocks; groups that vanish are dropped with their names."""
    bases = {str(label): orthonormal_columns(block) for label, block in zip(names, blocks, strict=True)}
    bases = {label: basis for label, basis in bases.items() if basis.shape[1] > 0}
    groups = Groups.from_sizes([basis.shape[1] for basis in bases.values()])
    X = np.asfortranarray(np.hstack(list(bases.values())))
    y = np.asarray(y, dtype=np.float64)
    return Dataset(name, X, y - y.mean(), groups, tuple(bases))


def _sklearn(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise ImportError(
            "the data sets come with scikit-learn, which is not installed: pip install 'sparseopt[sklearn]'"
        ) from error
