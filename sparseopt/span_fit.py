"""The least value of a loss over the span of a few columns: Newton's method with a trust region (Levenberg, Marquardt).

Where columns nearly separate samples, the loss is nearly piecewise linear: Newton steps are far too long, and useful
shares of them tiny.  Steps (H + mu)^-1 slope turn and shorten at once.
Source: Levenberg (1944); the rule for mu is that of Nielsen (1999), with steps that grow faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .datafits import Datafit

STEPS = 200
"""Steps allowed.  Least squares and quadratics need two (the second removes rounding), other losses a few.

Where a loss is not attained, its gradient falls by a factor e in each step, to rounding errors in 40.
"""

REFUSED = 30
"""Steps in a row that may fail: each shortens the next one by twice the factor of the last."""

LONGEST = 30.0
"""Change of the logarithms of odds in one step from which on a loss has nothing of its quadratic model."""

LEAST = 0.1
"""Part of what the model says by which a step has to lower the loss."""

FLAT = float(np.sqrt(np.finfo(float).eps))
"""Share of the slope left by a Newton step from which on the loss counts as not curved (Huber's, far from the data).

And the squared sizes of orthogonal directions, which are taken from squares of columns where they are above it.
"""

EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class _Point:
    """z [n] or [n, T], eta as in `Span`, the loss there, its gradient, and the slope [r, m] in the coordinates."""

    z: np.ndarray
    eta: np.ndarray
    value: float
    gradient: np.ndarray
    slope: np.ndarray


@dataclass(frozen=True)
class Span:
    """Coordinates v [r, m] of what can change: z [n] or [n, T] by columns @ v @ outputs', eta by basis @ v @ outputs'.

    loss: the datafit as a function of eta, z plus what an intercept adds where that is one of the coordinates (the
    last one, on which z does not depend).  basis: [n, r] orthonormal.  outputs: [T, m] orthonormal, [1, 1] without.
    """

    loss: Any
    basis: np.ndarray
    columns: np.ndarray
    outputs: np.ndarray

    @classmethod
    def of(cls, datafit: Any, columns: np.ndarray, z: np.ndarray) -> Span:
        """That of columns [n, k] whose sizes are similar, without directions that are all rounding errors, from z."""
        held = z.ndim == 2 and datafit.fit_intercept
        centred = columns - columns.mean(axis=0) if held else columns
        turn = _orthogonalising(centred)
        loss, basis = datafit, centred @ turn
        turned = columns @ turn if held else basis
        if held:
            loss = datafit.at_intercept(z)
            basis = np.column_stack([basis, np.full(len(z), len(z) ** -0.5)])
            turned = np.column_stack([turned, np.zeros(len(z))])
        width = z.shape[1] if z.ndim == 2 else 1
        return cls(loss, basis, turned, contrasts(width) if getattr(datafit, "reference", False) else np.eye(width))

    @property
    def lengths(self) -> np.ndarray:
        """Sums of the absolute values [r, 1] of the basis."""
        return np.asarray(np.abs(self.basis).sum(axis=0)[:, None])

    def at(self, z: np.ndarray, eta: np.ndarray) -> _Point:
        """What is known there."""
        gradient = self.loss.gradient(eta)
        slope = (self.basis.T @ gradient).reshape(-1, len(self.outputs)) @ self.outputs
        return _Point(z, eta, self.loss.value(eta), gradient, slope)

    def moved(self, point: _Point, v: np.ndarray) -> _Point:
        """The point at v [r * m] from this one."""
        change = v.reshape(-1, self.outputs.shape[1]) @ self.outputs.T
        z, eta = (a + (b @ change).reshape(a.shape) for a, b in ((point.z, self.columns), (point.eta, self.basis)))
        return self.at(z, eta)

    def too_far(self, point: _Point, step: _Point) -> bool:
        """Whether coupled outputs, whose loss is one of exponentials, become several times as large."""
        return len(self.outputs) > 1 and bool(np.abs(step.eta - point.eta).max() > max(LONGEST, np.ptp(point.eta)))

    @cached_property
    def steepest(self) -> float:
        """A bound of the curvature in the coordinates, inf where there is none."""
        if not np.isfinite(self.loss.smoothness_bound):
            return np.inf
        return float(np.einsum("ij,ij->j", self.basis, self.loss.curvature(self.basis)).sum())

    def curvatures(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues >= 0 [r * m] of the Hessian at eta, and its eigenvectors as columns."""
        if hasattr(self.loss, "hessian_of_columns"):
            hessian = self.loss.hessian_of_columns(self.basis, eta)
        else:
            hessian = self.basis.T @ np.stack([self.loss.hessian(eta, u) for u in self.basis.T], axis=1)
        r, (T, m) = self.basis.shape[1], self.outputs.shape
        if T > 1:
            hessian = np.einsum("atbs,tm,sl->ambl", hessian.reshape(r, T, r, T), self.outputs, self.outputs)
            hessian = hessian.reshape(r * m, r * m)
        if not np.isfinite(hessian).all():
            return np.zeros(r * m), np.eye(r * m)
        values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
        return np.maximum(values, 0.0), vectors


@dataclass(frozen=True)
class _Model:
    """The quadratic model of the loss at a point, in the eigenbasis of its Hessian.

    values: [r * m] >= 0, vectors: [r * m, r * m], slopes: [r * m].  bent: bool [r * m], where a curvature is more than
    rounding errors.  flat: whether there is a slope elsewhere.  settled: whether all that is to be gained is less than
    the loss can show.  largest: a mu of which steps are short.
    """

    values: np.ndarray
    vectors: np.ndarray
    slopes: np.ndarray
    bent: np.ndarray
    flat: bool
    settled: bool
    largest: float

    @classmethod
    def at(cls, span: Span, point: _Point, rounding: float) -> _Model:
        """The model at a point where slopes up to `rounding` are errors."""
        values, vectors = span.curvatures(point.eta)
        slopes = vectors.T @ point.slope.ravel()
        bent = values > len(values) * EPS * values.max()
        size, rest = float(np.linalg.norm(slopes)), float(np.linalg.norm(slopes[~bent]))
        gain = float((slopes[bent] ** 2 / values[bent]).sum()) / 2
        settled = rest <= rounding and gain <= 4 * EPS * abs(point.value)
        largest = min(span.steepest, size) if np.isfinite(span.steepest) else size
        return cls(values, vectors, slopes, bent, rest > FLAT * size, settled, largest)

    def step(self, mu: float) -> np.ndarray:
        """-(H + mu)^-1 slope [r * m]; where H is 0 and mu too, 0."""
        some = self.bent | (mu > 0)
        return -(self.vectors[:, some] @ (self.slopes[some] / (self.values[some] + mu)))

    def fall(self, v: np.ndarray) -> float:
        """By how much the model is lower at v [r * m]."""
        turned = self.vectors.T @ v
        return float(-turned @ self.slopes - (self.values * turned) @ turned / 2)


def _orthogonalising(columns: np.ndarray) -> np.ndarray:
    """The matrix [k, r] that makes columns [n, k] orthonormal, without directions that are all rounding errors."""
    squares, vectors = np.linalg.eigh(columns.T @ columns)
    if len(squares) and squares[0] > FLAT * squares[-1]:  # what rounding errors of the squares do not show in
        return vectors / np.sqrt(squares)
    sizes, right = np.linalg.svd(np.linalg.qr(columns, mode="r"), full_matrices=False)[1:]
    kept = sizes > max(columns.shape) * EPS * np.max(sizes, initial=0.0)
    return right[kept].T / sizes[kept]


def contrasts(width: int) -> np.ndarray:
    """Orthonormal columns [width, width - 1] that sum to 0."""
    return np.linalg.qr(np.eye(width)[:, :-1] - 1 / width)[0]


def fit_span(datafit: Datafit, columns: np.ndarray, z: np.ndarray, late: Callable[[], bool]) -> tuple[np.ndarray, bool]:
    """z [n] or [n, T] moved within the span of columns [n, k] to the least loss; whether that is found, to rounding.

    columns: of similar sizes.  late: asked before each step and each shorter one, ends the fit where it is.
    """
    with np.errstate(all="ignore"):  # steps that are too long
        span = Span.of(datafit, columns, z)
        start = float(np.abs(datafit.gradient(np.zeros_like(z))).max())
        point, mu = span.at(z, z), 0.0
        for _ in range(STEPS):
            # the rounding error of a gradient is of the order of eps times its terms, which may cancel: hence the start
            rounding = 8 * EPS * span.lengths * (float(np.abs(point.gradient).max()) + start)
            if (np.abs(point.slope) <= rounding).all():
                return point.z, True
            model = _Model.at(span, point, float(rounding.max()))
            if model.settled:  # only the slope can tell whether a step helps
                step = span.moved(point, model.step(0.0))
                if not np.linalg.norm(step.slope) < np.linalg.norm(point.slope):
                    return point.z, True
                point = step
                continue
            found = _shortened(span, point, model, mu, late)
            if found is None:
                break
            point, mu = found
    return point.z, False


def _shortened(
    span: Span, point: _Point, model: _Model, mu: float, late: Callable[[], bool]
) -> tuple[_Point, float] | None:
    """A step that lowers the loss by a part of what the model says, and the mu of the next; None where none does."""
    if mu == 0 and model.flat:
        mu = model.largest
    factor = 2.0
    for _ in range(REFUSED):
        if late():
            return None
        v = model.step(mu)
        step, expected = span.moved(point, v), model.fall(v)
        share = (point.value - step.value) / expected if expected > 0 else 0.0  # rounding errors alone
        if share >= LEAST and not span.too_far(point, step):
            return step, mu * (0.1 if share > 0.7 else 1.0 if share > 0.3 else 3.0)
        mu, factor = (mu * factor, 2 * factor) if mu > 0 else (model.largest, factor)
    return None
