"""Local minima of nonconvex penalties by descent from many starts at once: lower bounds of how many there are."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import sparseopt as so

SAME = 1e-5
"""Points closer than this, relative to the largest entry, are one."""


@dataclass(frozen=True)
class Quadratic:
    """u'Hu/2 - b'u; H [p, p] positive definite."""

    H: np.ndarray
    b: np.ndarray

    @property
    def smoothness(self) -> float:
        """The largest eigenvalue of H."""
        return float(np.linalg.eigvalsh(self.H)[-1])

    def fits(self) -> np.ndarray:
        """The minimiser over every support [2^p, p]."""
        found = []
        for kept in itertools.product((False, True), repeat=len(self.b)):
            u, inside = np.zeros(len(self.b)), np.array(kept)
            u[inside] = np.linalg.solve(self.H[np.ix_(inside, inside)], self.b[inside])
            found.append(u)
        return np.array(found)

    def starts(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """The fits over all supports and `count` Gaussian points of their size [2^p + count, p]."""
        fits = self.fits()
        return np.vstack([fits, 1.5 * np.abs(fits).max() * rng.standard_normal((count, len(self.b)))])


@dataclass(frozen=True)
class Curved:
    """An increasing scalar penalty rho.  bend: its second derivative at t [...] > 0."""

    rho: Any
    bend: Callable[[np.ndarray], np.ndarray]

    def slope(self, t: np.ndarray) -> np.ndarray:
        """rho'(t) for t [...] >= 0, inf where it is infinite."""
        with np.errstate(divide="ignore"):
            return np.asarray(self.rho.slope(t))


def log_sum(eps: float) -> Curved:
    """log(1 + t / eps)."""
    return Curved(so.penalties.Log(eps), lambda t: -1 / (eps + t) ** 2)


def power(q: float) -> Curved:
    """t^q, 0 < q < 1."""
    return Curved(so.penalties.Power(q), lambda t: q * (q - 1) * t ** (q - 2))


def exp_mask() -> Curved:
    """The Lambert penalty: rho'' = 2 (1 - W) e^-W / (1 + W) with W = t rho'(t) (ledger A1)."""
    rho = so.penalties.ExpMask()

    def bend(t: np.ndarray) -> np.ndarray:
        W = t * np.asarray(rho.slope(t))
        return 2 * (1 - W) * np.exp(-W) / (1 + W)

    return Curved(rho, bend)


def concave_minima(loss: Quadratic, penalty: Curved, lam: float, starts: np.ndarray, steps: int) -> int:
    """Number of strict local minima of loss + lam sum rho(|u_i|) that proximal steps on the tangents of rho reach.

    Every critical point rests under these steps.  Their ends are polished by Newton's method on their support.
    """
    step, u = 1 / loss.smoothness, starts
    for _ in range(steps):
        pull = penalty.slope(np.abs(u)) * lam
        v = u - step * (u @ loss.H - loss.b)
        u = np.sign(v) * np.maximum(np.abs(v) - step * pull, 0.0)
    return _count(loss, penalty, lam, u)


def _count(loss: Quadratic, penalty: Curved, lam: float, u: np.ndarray) -> int:
    """Number of strict local minima that Newton's method finds next to points u [m, p]."""
    ends = (_strict_minimum(loss, penalty, lam, end) for end in distinct(list(u)))
    return len(distinct([end for end in ends if end is not None]))


def _strict_minimum(loss: Quadratic, penalty: Curved, lam: float, u: np.ndarray) -> np.ndarray | None:
    """Newton's method on the support of u [p]; None unless it keeps the signs and ends at a strict local minimum."""
    S = np.abs(u) > 1e-7 * (1 + np.abs(u).max())
    H, b, w = loss.H[np.ix_(S, S)], loss.b[S], u[S]
    for _ in range(8 if S.any() else 0):
        hessian = H + lam * np.diag(penalty.bend(np.abs(w)))
        if np.linalg.eigvalsh(hessian)[0] <= 0:
            return None
        w = w - np.linalg.solve(hessian, H @ w - b + lam * penalty.slope(np.abs(w)) * np.sign(w))
        if (np.sign(w) != np.sign(u[S])).any():
            return None
    end = np.zeros_like(u)
    end[S] = w
    gradient = loss.H @ end - loss.b
    settled = np.abs(gradient[S] + lam * penalty.slope(np.abs(w)) * np.sign(w)).max(initial=0.0) <= 1e-9
    strict = (np.abs(gradient[~S]) < lam * penalty.rho.slope0).all()
    return end if settled and strict else None


def mask_minima(loss: Quadratic, lam: float, starts: np.ndarray, steps: int) -> int:
    """Number of strict local minima of loss + lam sum rho(|u_i|), rho of the exp mask, that gradient descent reaches.

    One, without descent, where the sum is convex: lam times the weak convexity of rho below the least eigenvalue of H.
    """
    penalty, step = exp_mask(), 1 / (loss.smoothness + 2 * lam)  # rho'' <= 2
    if lam * penalty.rho.weak_convexity < np.linalg.eigvalsh(loss.H)[0]:
        return 1
    u = starts
    for _ in range(steps):
        u = u - step * (u @ loss.H - loss.b + lam * np.sign(u) * penalty.slope(np.abs(u)))
    return _count(loss, penalty, lam, u)


def smart_minima(loss: Quadratic, lam: float, k: int, starts: np.ndarray, steps: int) -> tuple[int, int]:
    """Limits of alternating minimisation of loss + lam sum u_i^2 / f_i^2 over u and masks f in [0, 1]^p, sum f <= k.

    starts: without zeros, since a zero mask stays.  Returns how many limits have k nonzero entries, and how many more.
    Every step is an exact minimisation, so the objective never rises; an entry that goes to zero does so faster than
    linearly, since f_i ~ |u_i|^(2/3).
    """
    f = masks(starts, k)
    for _ in range(steps):
        with np.errstate(divide="ignore", over="ignore"):
            weight = np.minimum(2 * lam / f**2, 1e100)
        matrices = loss.H + weight[:, :, None] * np.eye(len(loss.b))
        u = np.linalg.solve(matrices, np.broadcast_to(loss.b, f.shape)[..., None])[..., 0]
        u = np.where(weight < 1e50, u, 0.0)
        before, f = f, masks(u, k)
    rests = np.abs(before - f).max(axis=1) <= 1e-9
    found = distinct(list(u[rests]))
    sparse = sum(np.count_nonzero(point) <= k for point in found)
    return int(sparse), int(len(found) - sparse)


def masks(u: np.ndarray, k: int) -> np.ndarray:
    """The f [m, p] in [0, 1]^p with sum at most k that minimise sum u_i^2 / f_i^2 for each row of u (ledger B4)."""
    c = np.abs(u) ** (2 / 3)
    order = np.argsort(-c, axis=1, kind="stable")
    sizes = np.take_along_axis(c, order, axis=1)
    rest = np.cumsum(sizes[:, ::-1], axis=1)[:, ::-1]
    f = np.ones_like(sizes)
    free = (k - np.arange(k)) * sizes[:, :k] <= rest[:, :k]
    capped = np.where(free.any(axis=1), free.argmax(axis=1), k)
    for m in range(k):
        rows = capped == m
        total = np.where(rest[rows, m] > 0, rest[rows, m], 1.0)
        f[rows, m:] = (k - m) * sizes[rows, m:] / total[:, None]
    f[capped == k, k:] = 0.0
    found = np.empty_like(f)
    np.put_along_axis(found, order, f, axis=1)
    return found


def distinct(points: list[np.ndarray]) -> list[np.ndarray]:
    """One of each bunch of points that are closer than SAME."""
    found: list[np.ndarray] = []
    for u in points:
        near = SAME * (1 + np.abs(u).max())
        if all(np.abs(u - v).max() > near for v in found):
            found.append(u)
    return found
