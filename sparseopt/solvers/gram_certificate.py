"""Gaps of many solutions of a path at once, from a Gram matrix with errors and exact products with a few directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._native.gram_sums import SUMMED, UNIT
from ..groups import Groups
from .gram_matrix import LANES, ROWS, GramMatrix

COLUMNS_PER_DIRECTION = 5
"""Columns for each direction multiplied by X, at least: more directions cost as much as products of all columns."""

FEW_DIRECTIONS = 40
"""So many are multiplied by X in any case."""

SHARE = 0.7
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
        """Norms [L, G] of the groups of rows [L, p], each times a power of two, so that squares stay in range."""
        exponent = np.frexp(np.abs(rows).max(axis=1, keepdims=True))[1]
        scaled = np.ldexp(rows, -exponent)
        return np.ldexp(np.sqrt(np.add.reduceat(scaled**2, self.groups.offsets[:-1], axis=1)), exponent)


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


@dataclass(frozen=True)
class Products:
    """What is known of H b and of b' H b for solutions b [L, p], H exact.

    product: [L, p], exact but for H d less what the Gram matrix has for it.  fitted: [L], the same twice.
    rest: [L, p], at least |d_j|.  image: [L], at least |Q d|, Q the packed columns.
    size: [L], at least |y| + sum_j |X_j| |b_j|.
    """

    product: np.ndarray
    fitted: np.ndarray
    rest: np.ndarray
    image: np.ndarray
    size: np.ndarray

    def moved(self, gram: GramMatrix, change: np.ndarray, product: np.ndarray) -> Products:
        """Those at b + change [L, p]; product: [L, p], what was known plus the Gram matrix times the change."""
        step = np.abs(change)
        fitted = self.fitted + np.einsum("lp,lp->l", change, self.product + product)
        return Products(
            product, fitted, self.rest + step, self.image + step @ gram.sizes, self.size + step @ gram.lengths
        )

    def errors(self, model: PathModel) -> tuple[np.ndarray, np.ndarray]:
        """Bounds [L, G] of the error of the product in each group, and [L] of that of `fitted`.

        With X = Q + E:  X_g'X d - Q_g'Q d = X_g'E d + E_g'Q d,  and |E d| <= sum_j |E_j| |d_j|.
        """
        gram = model.gram
        if not gram.packed:
            return np.zeros((len(self.rest), model.groups.n_groups)), np.zeros(len(self.rest))
        sizes, errors = model.norms(np.stack([gram.sizes, gram.error]))
        lost = self.rest @ gram.error
        return lost[:, None] * sizes + self.image[:, None] * errors, 2 * lost * (self.rest @ gram.sizes)


def products(model: PathModel, b: np.ndarray, strengths: np.ndarray, tol: float) -> Products:
    """H b for solutions b [L, p], one for each row of strengths [L, G], so exact that gaps of size tol can be told.

    Each b is a combination of directions V, whose products H V are exact, from X, and of a rest d that is small, since
    solutions change little from one strength to the next.
    """
    gram = model.gram
    ever = np.flatnonzero(b.any(axis=0) & (np.diag(gram.H) > 0))
    product, size = b[:, ever] @ gram.H[ever], np.sqrt(model.square) + np.abs(b) @ gram.lengths
    if not gram.packed or len(ever) == 0:
        return Products(product, np.einsum("lp,lp->l", b, product), np.zeros_like(b), np.zeros(len(b)), size)
    error = gram.error[ever]
    directions = _directions(b[:, ever] * error, _reach(model, b, product, strengths, tol))
    v = np.zeros((len(directions), b.shape[1]))
    v[:, ever] = directions / error
    share, seen = (b[:, ever] * error) @ directions.T, v @ gram.H
    rest, correction = b - share @ v, share @ (gram.images(v) - seen)
    square = np.einsum("lp,lp->l", rest, product - share @ seen)  # |Q d|^2, but for rounding
    rounded = UNIT * SUMMED * (np.abs(rest) @ gram.sizes) ** 2 + b.shape[1] * np.finfo(float).eps * size**2
    product += correction
    fitted = np.einsum("lp,lp->l", b, product) + np.einsum("lp,lp->l", rest, correction)
    size += (np.abs(share) @ np.abs(v)) @ gram.lengths
    return Products(product, fitted, np.abs(rest), np.sqrt(np.maximum(square, 0.0) + rounded), size)


def _reach(model: PathModel, b: np.ndarray, product: np.ndarray, strengths: np.ndarray, tol: float) -> np.ndarray:
    """What [L] the sum of |E_j| |d_j| is to be multiplied with so that gaps are known well enough where it is 1."""
    penalty = np.einsum("lg,lg->l", strengths, model.norms(b))
    sizes = model.norms(model.gram.sizes[None])[0]
    return (sizes / strengths).max(axis=1) * penalty / (SHARE * tol * _estimated_objectives(model, b, product, penalty))


def rounding_of_sums(n: int, p: int) -> float:
    """A bound of the rounding errors of c - H b, relative to |X_i| (|y| + sum_j |X_j| |b_j|).

    A product that meets k additions on its way into a sum is within k u / (1 - k u) of itself there, u = eps / 2, in
    whatever order they are made (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), and the sum of
    the absolute values is at most the product of the lengths.  X'X and images H v are summed over blocks of at most
    ROWS rows, in any order within (BLAS promises none), and then over the blocks; X'y so, too, or in LANES lanes.
    H b are sums of p, twice where H is that of packed columns.
    """
    terms = (max(min(n, ROWS), -(-n // LANES)) + -(-n // ROWS) + 2 * p + FEW) * np.finfo(float).eps / 2
    return float(terms / (1 - terms))


def certified(model: PathModel, b: np.ndarray, strengths: np.ndarray, known: Products) -> Certified:
    """The gaps at b [L, p], those of `Problem.gap` at the largest errors of what is known of H b."""
    gram, norms = model.gram, model.norms(b)
    penalty = np.einsum("lg,lg->l", strengths, norms)
    rounding = rounding_of_sums(model.n, b.shape[1])
    error, unsure = known.errors(model)
    error += (rounding * known.size)[:, None] * model.norms(gram.lengths[None])
    unsure += 2 * rounding * known.size**2  # of `square`, and of `linear`, which counts alpha <= 1 + alpha^2
    pull = model.c - known.product
    worst = model.norms(pull) + error
    limit = np.divide(strengths, worst, out=np.full_like(worst, np.inf), where=worst > 0).min(axis=1)
    linear = model.square - b @ model.c  # <y - X b, y>
    square = np.maximum(linear - b @ model.c + known.fitted, 0.0)
    alpha = np.clip(np.divide(linear, square, out=np.zeros_like(square), where=square > 0), 0.0, np.minimum(limit, 2.0))
    objective = 0.5 * square + penalty
    gap = objective - (alpha * linear - 0.5 * alpha**2 * square) + (0.5 + 0.5 * alpha**2) * unsure
    violation = _violations(model, b, strengths, norms, pull) + error.max(axis=1)
    active = np.count_nonzero(norms, axis=1)
    return Certified(objective, gap / _scale(model, objective), violation, active)


def _violations(
    model: PathModel, b: np.ndarray, strengths: np.ndarray, norms: np.ndarray, pull: np.ndarray
) -> np.ndarray:
    """Distances [L] of pulls [L, p] to the subdifferential at b, the largest over the groups."""
    active = norms > 0
    sizes, slope = np.where(active, norms, 1.0), np.where(active, strengths, 0.0)  # strengths may be inf where b is 0
    sizes, slope = (np.repeat(a, model.groups.sizes, axis=1) for a in (sizes, slope))
    left = model.norms(pull - slope * (b / sizes))
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

    As many as are needed, and pay, of the leading right singular vectors of the rows times their reach.
    """
    weighted, most = rows * reach[:, None], max(FEW_DIRECTIONS, rows.shape[1] // COLUMNS_PER_DIRECTION)
    left = np.linalg.eigh(weighted @ weighted.T)[1][:, : -most - 1 : -1]
    found, rest = np.linalg.qr(weighted.T @ left)[0].T, rows.copy()
    for m, direction in enumerate(found):
        if (reach * np.abs(rest).sum(axis=1)).max() <= 1:
            return found[:m]
        rest -= np.outer(rest @ direction, direction)
    return found
