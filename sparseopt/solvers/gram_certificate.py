"""Gaps of many solutions of a path at once, from a Gram matrix with errors and exact products with a few directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..groups import Groups
from .gram_matrix import ROWS, GramMatrix

MAX_DIRECTIONS = 40
"""Directions multiplied by X at most; more cost as much as a Gram matrix in double precision."""

SHARE = 0.4
"""Share of the tolerance that the error of the Gram matrix may take."""

FEW = 16
"""Rounding errors besides those of sums: of weights, means, differences and products of two numbers."""


@dataclass(frozen=True)
class PathModel:
    """Least squares from sufficient statistics, by position:  w' H w / 2 - c' w + square / 2 + sum_g strength_g |w_g|.

    gram: H and its error.  c: [p], exact.  square: number.  groups.  n: number of samples.
    """

    gram: GramMatrix
    c: np.ndarray
    square: float
    groups: Groups
    n: int

    def norms(self, rows: np.ndarray) -> np.ndarray:
        """Norms [L, G] of the groups of rows [L, p]."""
        return np.sqrt(np.add.reduceat(rows**2, self.groups.offsets[:-1], axis=1))


@dataclass(frozen=True)
class Certified:
    """What is known of solutions b [L, p].

    objective: [L].  gap, violation: [L] relative gaps and distances to stationarity, at the largest errors.
    active: [L] numbers of groups that are not zero.
    """

    objective: np.ndarray
    gap: np.ndarray
    violation: np.ndarray
    active: np.ndarray


def certified(model: PathModel, b: np.ndarray, strengths: np.ndarray, tol: float) -> Certified:
    """The gaps at b [L, p], one solution for each row of strengths [L, G].

    Each b is a combination of directions V, whose products H V are exact, from X, and of a rest d that is small, since
    solutions change little from one strength to the next.  H d is taken from the Gram matrix, with error at most
    |spread_g| sum_j spread_j |d_j|  in each group.  The gaps are those of `Problem.gap` at the worst such error.
    """
    gram, norms = model.gram, model.norms(b)
    penalty = np.einsum("lg,lg->l", strengths, norms)
    spreads = model.norms(gram.spread[None])[0]
    ever = np.flatnonzero(b.any(axis=0))
    product = b[:, ever] @ gram.H[ever]
    rest, size = np.zeros_like(b), np.sqrt(model.square) + np.abs(b) @ gram.lengths
    if gram.single and len(ever):
        estimate = _estimated_objectives(model, b, product, penalty)
        reach = (spreads / strengths).max(axis=1) * penalty / (SHARE * tol * estimate)
        directions = _directions(b[:, ever] * gram.spread[ever], reach)
        v = np.zeros((len(directions), b.shape[1]))
        v[:, ever] = directions / gram.spread[ever]
        share = (b[:, ever] * gram.spread[ever]) @ directions.T
        rest = b - share @ v
        size += (np.abs(share) @ np.abs(v)) @ gram.lengths
        product += share @ (gram.images(v) - v @ gram.H)
    return _at_worst(model, b, strengths, _Products(product, norms, penalty, rest, size))


@dataclass(frozen=True)
class _Products:
    """H b [L, p], norms [L, G] of b, penalties [L], the rests d [L, p], |y| + sum_j |X_j| |b_j| [L] or more."""

    product: np.ndarray
    norms: np.ndarray
    penalty: np.ndarray
    rest: np.ndarray
    size: np.ndarray


def rounding_of_sums(n: int, p: int) -> float:
    """A bound of the rounding errors of c - H b, relative to |X_i| (|y| + sum_j |X_j| |b_j|).

    A product that meets k additions on its way into a sum is within k u / (1 - k u) of itself there, u = eps / 2, in
    whatever order they are made (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), and the sum of
    the absolute values is at most the product of the lengths.  X'X, X'y and images H v are summed over blocks of at
    most ROWS rows, in any order within (BLAS promises none), and then over the blocks; or in eight lanes, for n up to
    8 ROWS.  H b are sums of p, twice where H is in single precision.
    """
    terms = (min(n, ROWS) + -(-n // ROWS) + 2 * p + FEW) * np.finfo(float).eps / 2
    return float(terms / (1 - terms))


def _at_worst(model: PathModel, b: np.ndarray, strengths: np.ndarray, known: _Products) -> Certified:
    """The gaps at the largest possible errors of what is known."""
    gram = model.gram
    rounding = rounding_of_sums(model.n, b.shape[1])
    rest = np.abs(known.rest) @ gram.spread
    lengths, spreads = model.norms(np.stack([gram.lengths, gram.spread]))
    pull = model.c - known.product
    error = rest[:, None] * spreads + (rounding * known.size)[:, None] * lengths
    worst = model.norms(pull) + error
    limit = np.divide(strengths, worst, out=np.full_like(worst, np.inf), where=worst > 0).min(axis=1)
    fitted = np.einsum("lp,lp->l", b, known.product)
    linear = model.square - b @ model.c  # <y - X b, y>
    square = np.maximum(linear - b @ model.c + fitted, 0.0)
    unsure = rest**2 + 2 * rounding * known.size**2  # of `square`, and of `linear`, which counts alpha <= 1 + alpha^2
    alpha = np.clip(np.divide(linear, square, out=np.zeros_like(square), where=square > 0), 0.0, np.minimum(limit, 2.0))
    objective = 0.5 * square + known.penalty
    gap = objective - (alpha * linear - 0.5 * alpha**2 * square) + (0.5 + 0.5 * alpha**2) * unsure
    violation = _violations(model, b, strengths, known.norms, pull) + error.max(axis=1)
    active = np.count_nonzero(known.norms, axis=1)
    return Certified(objective, gap / _scale(model, objective), violation, active)


def _violations(
    model: PathModel, b: np.ndarray, strengths: np.ndarray, norms: np.ndarray, pull: np.ndarray
) -> np.ndarray:
    """Distances [L] of pulls [L, p] to the subdifferential at b, the largest over the groups."""
    active = norms > 0
    slope = np.divide(strengths, norms, out=np.zeros_like(norms), where=active)
    left = model.norms(pull - np.repeat(slope, model.groups.sizes, axis=1) * b)
    return np.maximum(np.where(active, left, left - strengths).max(axis=1), 0.0)


def _scale(model: PathModel, objective: np.ndarray) -> np.ndarray:
    scale = np.maximum(objective, np.abs(objective - 0.5 * model.square))
    return np.where(scale > 0, scale, 1.0)


def _estimated_objectives(model: PathModel, b: np.ndarray, product: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Scales [L] of the gaps, as the Gram matrix has them."""
    square = model.square - 2 * (b @ model.c) + np.einsum("lp,lp->l", b, product)
    return _scale(model, 0.5 * np.maximum(square, 0.0) + penalty)


def _directions(rows: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Orthonormal directions [m, p] that leave of each row u [p] a rest with reach |rest|_1 <= 1.

    At most MAX_DIRECTIONS: as many as are needed of the leading right singular vectors of the rows times their reach.
    """
    weighted = rows * reach[:, None]
    left = np.linalg.eigh(weighted @ weighted.T)[1][:, : -MAX_DIRECTIONS - 1 : -1]
    found, rest = np.linalg.qr(weighted.T @ left)[0].T, rows.copy()
    for m, direction in enumerate(found):
        if (reach * np.abs(rest).sum(axis=1)).max() <= 1:
            return found[:m]
        rest -= np.outer(rest @ direction, direction)
    return found
