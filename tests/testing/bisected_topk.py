"""A slow, plain soft top-k operator: bisection for the threshold, one row at a time."""

from __future__ import annotations

import numpy as np


class BisectedTopK:
    """sigmoid(x / tau + t), sum k, over the last axis; methods call each other, so that variants change one of them."""

    def __init__(self, k, tau):
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 0:
            raise ValueError(f"k is {k!r}: give an integer >= 0")
        if not tau > 0:
            raise ValueError(f"tau is {tau!r}: give a positive number")
        self.k, self.tau = int(k), float(tau)

    def __call__(self, x, out=None):
        x = np.asarray(x)
        self.check(x)
        self.x = x.astype(np.float64)
        self.f = np.apply_along_axis(self.row, -1, self.x)
        result = self.f.astype(x.dtype)
        if out is None:
            return result
        out[...] = result
        return out

    def check(self, x):
        if np.isnan(x).any() or self.k > x.shape[-1] or ((x == np.inf).sum(axis=-1) > self.k).any():
            raise ValueError("x has NaN, fewer than k entries, or more than k entries inf")
        if ((x > -np.inf).sum(axis=-1) < self.k).any():
            raise ValueError("x has fewer than k entries above -inf")

    def row(self, x):
        f = (x == np.inf).astype(float)
        inside = np.isfinite(x)
        left = self.k - int(f.sum())
        if not inside.any() or left in (0, int(inside.sum())):
            f[inside] = float(left > 0)
            return f
        f[inside] = self.solve(x[inside], left)
        return f

    def solve(self, x, k):
        """sigmoid((x - p) / tau + s) with p the k-th largest entry, so that nothing near it is rounded."""
        z = np.clip((x - np.sort(x)[-k]) / self.tau, -1e4, 1e4)
        low, high = -2e4, 2e4
        while (middle := (low + high) / 2) not in (low, high):
            low, high = (middle, high) if self.sigmoid(z + middle).sum() < k else (low, middle)
        return self.polished(self.sigmoid(z + high), k)

    def polished(self, f, k):
        """One Newton step, which removes the rounding of the sum; ties stay ties."""
        v = f * (1 - f)
        return np.clip(f + v * ((k - f.sum()) / v.sum()), 0, 1) if v.sum() > 1e-3 else f

    def sigmoid(self, z):
        e = np.exp(-np.abs(z))
        return np.where(z >= 0, 1 / (1 + e), e / (1 + e))

    def variances(self):
        return self.f * (1 - self.f)

    def vjp(self, g, out=None):
        v = self.variances()
        total = v.sum(axis=-1, keepdims=True)
        mean = (v * g).sum(axis=-1, keepdims=True) / np.where(total > 0, total, 1.0)
        return v * (g - mean) / self.tau

    def jvp(self, d, out=None):
        return self.vjp(d, out)
