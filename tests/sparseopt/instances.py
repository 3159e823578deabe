"""Quadratics over sets for the constrained solvers (the generators of the ledger, section 0), and losses."""

from __future__ import annotations

import numpy as np

import sparseopt as so
from sparseopt import sets

PATTERNS = np.array([[[1, 1, 0, 0]], [[0, 1, 1, 0]], [[0, 0, 1, 1]], [[1, 0, 0, 1]]], dtype=bool)
GROUPS = so.Groups.uniform(4, 2)


class Points:
    """A user's set: every coordinate is -1 or 1."""

    convex = False

    def project(self, v, out=None):
        return np.where(np.asarray(v) >= 0, 1.0, -1.0)

    def contains(self, v):
        return bool((np.abs(v) == 1).all())

    def distance(self, v):
        return float(np.linalg.norm(v - self.project(v)))

    def support(self, v):
        return np.ones(np.shape(v), dtype=bool)


class Columns:
    """A user's set of vectors [8]: a pattern library on rows of four."""

    convex, keeps_entries = False, True

    def __init__(self):
        self.library = sets.PatternLibrary(PATTERNS)

    def support(self, v):
        return np.asarray(self.library.support(np.reshape(v, (2, 4)))).reshape(8)

    def project(self, v, out=None):
        return np.where(self.support(v), v, 0.0)

    def contains(self, v):
        return self.library.contains(np.reshape(v, (2, 4)))

    def distance(self, v):
        return self.library.distance(np.reshape(v, (2, 4)))


SETS = {"top groups": sets.TopGroups(2, GROUPS), "2:4": sets.NM(2, 4), "patterns": Columns()}
"""Closed unions of subspaces of R^8."""


def quadratic(seed, penalty, *, kappa=50.0, p=8):
    """min w'Hw/2 - b'w with eigenvalues from 1/kappa to 1 and b = H x + noise."""
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.standard_normal((p, p)))
    H = basis @ np.diag(np.geomspace(1 / kappa, 1, p)) @ basis.T
    H = (H + H.T) / 2
    b = H @ rng.standard_normal(p) + 0.1 * rng.standard_normal(p)
    return so.Problem.quadratic(H, b, penalty)


LOSSES = {
    "squares": lambda z, rng, **options: so.LeastSquares(z + rng.standard_normal(len(z)), **options),
    "outputs": lambda z, rng, **options: so.MultiResponse(
        z[:, None] * [1, -2, 0] + rng.standard_normal((len(z), 3)), **options
    ),
    "logistic": lambda z, rng, **options: so.Logistic(np.where(z > rng.standard_normal(len(z)), 1.0, -1.0), **options),
    "poisson": lambda z, rng, **options: so.Poisson(rng.poisson(np.exp(np.clip(z, -3, 2))).astype(float), **options),
}
"""Losses of responses drawn around predictors z [n]."""
