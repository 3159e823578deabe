"""Multinomial logistic regression."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .._array import as_float, checked_flag
from .logistic import DOMAIN, UNATTAINED
from .one_dimensional import best_multiple
from .pointwise import BALANCE
from .samples import centred, checked_offset, checked_weights, ratio
from .special import xlog1py, xlogy

MAX_NEWTON = 100
"""Newton steps for the intercepts, at each temperature."""

FEW_NEWTON = 8
"""Newton steps for them that are enough where eta is not far from constant."""

LONGEST = 30.0
"""Change of the intercepts in one step."""

ROUNDED = 1e-14
"""Errors of the balance below which steps that do not lower it are rounding errors."""

COOLINGS = 40
"""Halvings of a temperature, after which the rounding errors of the intercepts begin to matter."""


class Multinomial:
    """sum_i s_i (log sum_k exp(eta_ik) - eta_{i, y_i}), eta = z + offset + b, s = sample_weight / sum(sample_weight).

    y: [n] integers 0..K-1.  z = X @ w with w [p, K], symmetric in the classes (no reference class).
    n_classes: K, default max(y) + 1, at least 2.  sample_weight: [n] >= 0, default all equal.  offset: [n, K].
    intercept: whether b [K] is fitted, unpenalised and minimised out, to rounding; its mean over the classes that occur
    is 0, and classes that do not occur get a finite b that makes their probability vanish.  With one class alone the
    infimum over b is 0 for every z and not attained; value and gradient are exactly 0 (`vanishes`).
    Raises ValueError for other labels, wrong shapes, NaN, infinite or negative weights.

    Conjugate: with V = u / s + one-hot(y) in the simplex, sum_i s_i sum_k V log V - <u, offset>.
    """

    smoothness_bound = 0.5
    reference = True  # adding a constant to all outputs changes nothing

    def __init__(
        self,
        y: Any,
        sample_weight: Any = None,
        offset: Any = None,
        intercept: bool = False,
        n_classes: int | None = None,
    ) -> None:
        self.y = _labels(y, n_classes)
        self.n_samples = len(self.y)
        self.n_outputs = int(self.y.max()) + 1 if n_classes is None else int(n_classes)
        self.sample_weight = checked_weights(sample_weight, self.n_samples)
        self.offset = by_class(checked_offset(offset, (self.n_samples, self.n_outputs)))
        self.fit_intercept = checked_flag(intercept, "intercept")
        self.share = self.sample_weight / self.sample_weight.sum()
        self.one_hot = by_class(np.eye(self.n_outputs)[self.y])
        self._last: tuple[np.ndarray | None, np.ndarray] = (None, np.zeros(self.n_outputs))
        self.rest, self.centre = self.offset, np.zeros(self.n_outputs)
        if self.fit_intercept:
            rest, self.centre = centred(self.offset, self.share)
            self.rest = by_class(rest)
        self.vanishes = self.fit_intercept and np.unique(self.y[self.share > 0]).size == 1

    def intercept(self, z: np.ndarray) -> np.ndarray:
        """Optimal b [K] at z [n, K], to rounding; zeros without intercept."""
        if not self.fit_intercept:
            return np.zeros(self.n_outputs)
        present = self.share @ self.one_hot > 0
        b = self._balanced(z) - self.centre
        return b - b[present].mean()

    def at_intercept(self, z: np.ndarray) -> Multinomial:
        """The loss with the optimal b of z [n, K] in its offset, instead of an intercept that is fitted."""
        held = copy.copy(self)
        held.fit_intercept = held.vanishes = False
        held.offset = held.rest = by_class(self.rest + self._balanced(z))
        return held

    def _balanced(self, z: np.ndarray) -> np.ndarray:
        """The b [K] at which the gradient at z + the centred offset + b sums to 0 in every class, to rounding.

        That of the last z is kept: value, gradient and Hessian are often wanted at one point.
        """
        last, b = self._last
        if last is None or not np.array_equal(last, z):
            b = self._balance_at(z)
            self._last = z.copy(), b
        return b

    def _balance_at(self, z: np.ndarray) -> np.ndarray:
        used = self.share > 0
        eta, share = by_class(z) + self.rest, self.share
        if not used.all():
            eta, share = by_class(eta[used]), share[used]
        if not np.isfinite(eta).all():  # of a step that diverged: no b is balanced, and the value is no number
            return np.full(self.n_outputs, np.nan)
        occurs = self.share @ self.one_hot
        present = occurs > 0
        b = np.zeros(self.n_outputs)
        b[present] = _balance(by_class(eta[:, present]), share, occurs[present])
        level = log_sum_exp(eta[:, present] + b[present])[:, 0]
        b[~present] = (level[:, None] - eta[:, ~present]).min(axis=0) - UNATTAINED
        return b

    def log_probabilities(self, z: np.ndarray) -> np.ndarray:
        """Logarithms of the class probabilities [n, K] at the optimal b."""
        eta = self._predictor(z)
        return eta - log_sum_exp(eta)

    def _predictor(self, z: np.ndarray) -> np.ndarray:
        """z + offset + b [n, K] at the optimal b, up to constants in all classes of a sample."""
        eta = by_class(z) + self.rest
        return eta + self._balanced(z) if self.fit_intercept else eta

    def value(self, z: np.ndarray) -> float:
        """Loss at z [n, K], minimised over b."""
        if self.vanishes:
            return 0.0
        eta = self._predictor(z)
        return float(self.share @ _losses(eta - np.take_along_axis(eta, self.y[:, None], axis=1)))

    def gradient(self, z: np.ndarray) -> np.ndarray:
        """share * (probabilities - one-hot(y)) [n, K]."""
        return (
            0.0 * self.one_hot
            if self.vanishes
            else self.share[:, None] * _less_one_hot(np.exp(self.log_probabilities(z)), self.y)
        )

    def curvature(self, d: np.ndarray) -> np.ndarray:
        """(diag(share), less share share' with an intercept) / 2 times d [n] or [n, m], one class at a time.

        It dominates the Hessian everywhere: diag(P) - P P' has no eigenvalue above 1/2 (Boehning, 1992).
        """
        share = self.share if d.ndim == 1 else self.share[:, None]
        return self.smoothness_bound * share * (d - self.share @ d if self.fit_intercept else d)

    def hessian(self, z: np.ndarray, d: np.ndarray) -> np.ndarray:
        """Hessian at z times d [n, K]; with an intercept that of the loss minimised over b."""
        P, d = np.exp(self.log_probabilities(z)), by_class(d)
        Hd = self.share[:, None] * P * (d - (P * d).sum(axis=1, keepdims=True))
        if not self.fit_intercept:
            return Hd
        weighted = self.share[:, None] * P
        block = np.diag(weighted.sum(axis=0)) - weighted.T @ P
        shift = np.linalg.lstsq(block, Hd.sum(axis=0), rcond=None)[0]
        return Hd - weighted * (shift - P @ shift[:, None])

    def hessian_of_columns(self, columns: np.ndarray, z: np.ndarray, classes: int | None = None) -> np.ndarray:
        """Hessian at z [n, K] in the coefficients [k, classes] of these columns [n, k], [k * classes, k * classes].

        Grams of the columns weighted by share (diag(P) - P P'); with an intercept that of the loss minimised over b.
        classes: the first so many, default all.
        """
        P = np.exp(self.log_probabilities(z))
        count, width, first = columns.shape[1], P.shape[1], classes or P.shape[1]
        total = np.empty((count, first, count, first))
        moments, block = np.empty((count, first, width)), np.empty((width, width))
        for k in range(width):
            for m in range(k + 1):  # symmetric in k and m, and in the columns
                h, sign = self.share * P[:, k] * (1 - P[:, k] if k == m else P[:, m]), 1 if k == m else -1
                block[k, m] = block[m, k] = sign * h.sum()
                if m >= first:
                    continue
                moments[:, m, k] = sign * (h @ columns)
                if k < first:
                    half = np.sqrt(h)[:, None] * columns
                    total[:, k, :, m] = total[:, m, :, k] = sign * (half.T @ half)
                    moments[:, k, m] = moments[:, m, k]
        matrix = total.reshape(count * first, count * first)
        if self.fit_intercept:
            against = moments.reshape(count * first, width)
            matrix -= against @ np.linalg.pinv(block, hermitian=True) @ against.T
        return matrix

    def root_of_columns(self, columns: np.ndarray, z: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A [n * K, k * m] and c [n * K]: A' A is the Hessian at z [n, K], A' c minus the gradient, in v [k, m].

        The coefficients of these columns [n, k] are v basis' [k, K], basis [K, m].  One row for each sample and class:
        diag(P_i) - P_i P_i' = B' B with B = diag(sqrt(P_i)) (I - 1 P_i'); with an intercept what is orthogonal to its
        columns.
        """
        P = np.exp(self.log_probabilities(z))
        half = np.sqrt(self.share[:, None] * P)[:, :, None] * (basis - (P @ basis)[:, None, :])
        A = (columns[:, None, :, None] * half[:, :, None, :]).reshape(P.size, -1)
        if self.fit_intercept:
            constant = half.reshape(P.size, -1)
            A -= constant @ (np.linalg.pinv(constant) @ A)
        rows = np.arange(len(P))
        c = np.zeros(P.shape)
        with np.errstate(divide="ignore"):
            c[rows, self.y] = np.where(self.share > 0, np.sqrt(self.share / P[rows, self.y]), 0.0)
        return A, c.ravel()

    def conjugate(self, u: np.ndarray) -> float:
        """sup over z of <u, z> - value(z) for u [n, K]; inf outside the domain."""
        u = by_class(u)
        scale = np.abs(u).sum()
        if np.abs(u.sum(axis=1)).sum() > BALANCE * scale:
            return np.inf
        if self.fit_intercept and np.abs(u.sum(axis=0)).sum() > BALANCE * scale:
            return np.inf
        V = ratio(u, self.share) + self.one_hot
        used = self.share > 0
        if u[~used].any() or (V[used] < -DOMAIN).any():
            return np.inf
        centre = self.share @ self.offset if self.fit_intercept else 0.0
        V = np.maximum(V[used], 0.0)
        missing = np.clip(-ratio(u, self.share)[used], 0.0, 1.0)  # 1 - V at the labels, also where V rounds to 1
        terms = np.where(self.one_hot[used] > 0, xlog1py(1 - missing, -missing), xlogy(V, V))
        return float(self.share[used] @ terms.sum(axis=1) - (u * (self.offset - centre)).sum())

    def dual(self, z: np.ndarray, limit: float) -> float:
        """max over 0 <= alpha <= limit of -conjugate(alpha gradient(z))."""
        gradient = self.gradient(z)

        def value(alpha: float) -> float:
            return -self.conjugate(alpha * gradient)

        found = value(best_multiple(value, -float((gradient * z).sum()), limit))
        return found if found > -np.inf else value(0.0)  # tiny gradients may be all rounding errors


def _labels(y: Any, n_classes: int | None) -> np.ndarray:
    values = as_float(y, "y", ndim=1)
    allowed = "labels are the integers 0..K-1 with K >= 2, e.g. np.unique(y, return_inverse=True)[1]"
    wrong = (values < 0) | (values != np.floor(values))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(f"y[{i}] is {values[i]:g}: {allowed}")
    if n_classes is not None and not (
        isinstance(n_classes, int | np.integer) and n_classes >= max(2, values.max() + 1)
    ):
        raise ValueError(f"n_classes is {n_classes!r} and the largest label {values.max():g}: {allowed}")
    if n_classes is None and values.max() < 1:
        raise ValueError(f"y has the label 0 only: {allowed}, or give n_classes")
    return values.astype(np.int64)


def by_class(values: np.ndarray) -> np.ndarray:
    """The same [n, K], class by class in memory, so that sums over the few classes are sums of long vectors."""
    return np.asfortranarray(values)


def log_sum_exp(eta: np.ndarray) -> np.ndarray:
    """log sum_k exp(eta_ik) [n, 1] for eta [n, K], without overflow."""
    largest = eta.max(axis=1, keepdims=True)
    return largest + np.log(np.exp(eta - largest).sum(axis=1, keepdims=True))


def _losses(d: np.ndarray) -> np.ndarray:
    """log sum_k exp(d_ik) [n] for d [n, K] with a 0 in each row; relative error a few ulp, also where it is tiny."""
    rows, largest = np.arange(len(d)), d.argmax(axis=1)
    top = d[rows, largest]
    others = np.exp(d - top[:, None])
    others[rows, largest] = 0.0
    return top + np.log1p(others.sum(axis=1))


def _less_one_hot(P: np.ndarray, y: np.ndarray) -> np.ndarray:
    """P - one-hot(y), the entry of the label from the others, so that rows sum to 0 without loss of digits."""
    rows = np.arange(len(y))
    result = P.copy()
    result[rows, y] = 0.0
    result[rows, y] = -result.sum(axis=1)
    return result


def _balance(eta: np.ndarray, share: np.ndarray, occurs: np.ndarray) -> np.ndarray:
    """b [K] of mean 0 with sum_i share_i softmax(eta_i + b) = occurs, for eta [n, K] and positive shares.

    Newton's method on a convex function, from the b for a constant eta where a few steps are enough.  Else for
    eta / temperature with temperatures that halve down to 1: at a temperature as large as the spread of eta the
    function is far from piecewise linear, and each optimum is a good start for the next.  Temperatures below the
    rounding errors of eta tell nothing new.
    """
    start = np.log(occurs) - share @ eta
    b, error = _newton(eta, share, occurs, start - start.mean(), last=True, most=FEW_NEWTON)
    if error <= ROUNDED:
        return b
    spread = float(np.ptp(eta, axis=1).max())
    temperature = 2.0 ** max(0, int(np.ceil(np.log2(max(spread, 1.0) / 4))))
    lowest = max(1.0, temperature * 2.0**-COOLINGS)
    b = np.zeros(eta.shape[1])
    while temperature >= lowest:
        b = temperature * _newton(eta / temperature, share, occurs, b / temperature, last=temperature == lowest)[0]
        temperature /= 2
    return b


def _newton(
    eta: np.ndarray, share: np.ndarray, occurs: np.ndarray, b: np.ndarray, last: bool, most: int = MAX_NEWTON
) -> tuple[np.ndarray, float]:
    """The balancing b, from a start b [K], and its error; to rounding in the last call, roughly in the others."""

    def probabilities(at: np.ndarray) -> np.ndarray:
        shifted = np.exp(eta + at - (eta + at).max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    goal = 2 * np.finfo(float).eps if last else 1e-3 * float(occurs.min())
    P = probabilities(b)
    best, lowest = b, np.inf
    for _ in range(most):
        slope = share @ P - occurs
        error = float(np.abs(slope).max())
        if lowest <= ROUNDED and error >= lowest:
            break
        if error < lowest:
            best, lowest = b, error
        if error <= goal:
            break
        block = np.diag(share @ P) - (share[:, None] * P).T @ P
        direction = -_solved(block + 1 / len(b), slope)
        direction *= min(1.0, LONGEST / max(float(np.abs(direction).max()), 1e-300))
        descent, step = abs(float(slope @ direction)), 1.0
        while step > 1e-9:
            P = probabilities(b + step * direction)
            if float((share @ P - occurs) @ direction) <= 0.1 * descent:
                break
            step /= 2
        else:  # the slope is all rounding errors
            break
        b = b + step * direction
        b -= b.mean()
    return best, lowest


def _solved(matrix: np.ndarray, side: np.ndarray) -> np.ndarray:
    """matrix^-1 side, the shortest least-squares solution where the matrix is singular to rounding."""
    try:
        found = np.linalg.solve(matrix, side)
    except np.linalg.LinAlgError:
        found = np.full_like(side, np.inf)
    return found if np.abs(found).max() <= LONGEST else np.linalg.lstsq(matrix, side, rcond=None)[0]
