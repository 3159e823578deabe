"""The problems of the solver benchmark, built from their names alone, and the gap that is recomputed for every solver.

Needs NumPy and SciPy of any version: the peers run in an environment of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import sparse
from scipy.signal import lfilter
from scipy.special import xlogy


@dataclass(frozen=True)
class Shape:
    """n samples, p columns in groups of `size`, `active` of them in the truth.

    kind: "ls", "logistic", "poisson" or "multi".  density: of a sparse X, None for dense.  outputs: of "multi".
    rho: correlation of neighbouring columns.
    """

    kind: str
    n: int
    p: int
    size: int = 10
    active: int = 20
    density: float | None = None
    outputs: int = 10
    rho: float = 0.5
    seed: int = 0


SHAPES = {
    "A": Shape("ls", 1000, 10000),
    "B": Shape("ls", 200, 50000, active=5),
    "C": Shape("ls", 10000, 1000),
    "D": Shape("ls", 3000, 1000),
    "T": Shape("ls", 100000, 300),
    "F": Shape("ls", 20000, 500),
    "G": Shape("ls", 6000, 2000, size=4, active=40),
    "H": Shape("ls", 30000, 300, size=6, active=10, rho=0.9),
    "E": Shape("ls", 600, 12000, size=4, active=30, rho=0.8),
    "S": Shape("ls", 2000, 20000, density=0.05),
    "V": Shape("ls", 5000, 50000, density=0.01),
    "L": Shape("logistic", 1000, 5000, active=10),
    "K": Shape("logistic", 500, 8000, size=5, active=15),
    "M": Shape("multi", 500, 5000, size=1, active=50),
    "N": Shape("multi", 300, 6000, size=1, active=30, outputs=5),
    "P": Shape("ls", 200, 100, size=5, active=4),
    "Q": Shape("ls", 100, 500, size=5, active=5),
    "R": Shape("logistic", 200, 100, size=5, active=4),
    "I": Shape("logistic", 500, 50, size=5, active=4),
    "J": Shape("logistic", 200, 100, size=1, active=4),
}
"""Letter of a shape -> shape.  An instance is a letter and lambda_max / lambda: A10 is A at lambda_max / 10."""
MOST_ENTRIES = 1e7
"""n p of a random shape."""


@dataclass(frozen=True)
class Instance:
    """Data and strengths.  y: [n] or [n, T]; weights: [G] square roots of the group sizes; lams: decreasing."""

    name: str
    shape: Shape
    X: Any
    y: np.ndarray
    weights: np.ndarray
    lams: np.ndarray
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def sizes(self) -> np.ndarray:
        """Group sizes [G]."""
        return np.full(len(self.weights), self.shape.size)


def parsed(name: str) -> tuple[Shape, str]:
    """Shape of an instance, and lambda_max / lambda, or "path"."""
    if name.startswith("random"):
        return random_shape(int(name.removeprefix("random")))
    head, _, seed = name.partition("s") if "path" not in name else (name, "", "")
    return replace(SHAPES[head[0]], seed=int(seed or 0)), head[1:]


def random_shape(seed: int) -> tuple[Shape, str]:
    """Any shape of at most MOST_ENTRIES entries, and any strength from lambda_max / 2 to / 200, or a path."""
    rng = np.random.default_rng([ord("r"), seed])
    kind = str(rng.choice(["ls", "logistic", "poisson", "multi"], p=[0.5, 0.25, 0.15, 0.1]))
    n = int(10 ** rng.uniform(1.5, 4.5))
    size = 1 if kind == "multi" else int(rng.choice([1, 2, 3, 5, 10, 20, 50]))
    groups = max(2, int(min(10 ** rng.uniform(1, 4.3), MOST_ENTRIES / n) / size))
    active = int(min(groups / 2, max(1, n / (2 * size)), 10 ** rng.uniform(0, 2))) or 1
    density = float(10 ** rng.uniform(-2.3, -0.7)) if n * groups * size > 1e5 and rng.random() < 0.25 else None
    rho, outputs = float(rng.choice([0.0, 0.5, 0.9])), int(rng.integers(2, 21))
    strength = "path" if kind != "multi" and rng.random() < 0.25 else f"{10 ** rng.uniform(0.3, 2.3):.3g}"
    return Shape(kind, n, groups * size, size, active, density, outputs, rho, seed), strength


def build(name: str) -> Instance:
    """ "A10", "C100", ...; with a suffix s1, s2, ... another seed ("A10s1"); "Apath" is 100 strengths down to 1/100.

    "random0", "random1", ... are shapes drawn at random.
    """
    shape, strength = parsed(name)
    rng = np.random.default_rng([ord(name[0]), shape.seed, 0])
    X = _sparse(shape, rng) if shape.density else _dense(shape, rng)
    y = _response(shape, X, rng)
    weights = np.full(shape.p // shape.size, np.sqrt(shape.size))
    slopes = {"logistic": y / 2, "poisson": y - 1}.get(shape.kind, y)
    largest = float((norms(shape, X.T @ slopes) / shape.n / weights).max())
    lams = largest * (np.geomspace(1, 1e-2, 101)[1:] if strength == "path" else np.array([1 / float(strength)]))
    return Instance(name, shape, X, y, weights, lams)


def _dense(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Column-major, autoregressive along the columns."""
    noise = rng.standard_normal((shape.p, shape.n))
    noise[1:] *= np.sqrt(1 - shape.rho**2)
    return lfilter([1.0], [1.0, -shape.rho], noise, axis=0).T


def _sparse(shape: Shape, rng: np.random.Generator) -> Any:
    count = int(shape.n * shape.density)
    rows = np.argsort(rng.random((shape.p, shape.n), dtype=np.float32), axis=1)[:, :count]
    rows.sort(axis=1)
    starts = np.arange(0, shape.p * count + 1, count, dtype=np.int32)
    data = (rng.standard_normal(shape.p * count), rows.ravel().astype(np.int32), starts)
    return sparse.csc_matrix(data, shape=(shape.n, shape.p))


def _response(shape: Shape, X: Any, rng: np.random.Generator) -> np.ndarray:
    G = shape.p // shape.size
    chosen = np.isin(np.arange(shape.p) // shape.size, rng.choice(G, shape.active, replace=False))
    columns = shape.outputs if shape.kind == "multi" else 1
    w = np.where(chosen[:, None], rng.standard_normal((shape.p, columns)), 0.0)
    z = X @ w
    spread = float(np.std(z))
    if shape.kind == "logistic":
        return np.where(rng.random(shape.n) < 1 / (1 + np.exp(-2 * z[:, 0] / spread)), 1.0, -1.0)
    if shape.kind == "poisson":
        return rng.poisson(np.exp(1.5 * z[:, 0] / spread - 0.5)).astype(float)
    noisy = z + spread / 3 * rng.standard_normal(z.shape)
    return np.asfortranarray(noisy) if shape.kind == "multi" else noisy[:, 0]


def norms(shape: Shape, v: np.ndarray) -> np.ndarray:
    """Norms [G] of the groups of v [p] or [p, T]."""
    return np.sqrt((v.reshape(shape.p // shape.size, -1) ** 2).sum(axis=1))


def _poisson_gap(instance: Instance, z: np.ndarray, penalty: float, lam: float) -> float:
    """The gap over max(|P|, 1): 1 is the loss at 0, and P may be 0."""
    y = instance.y
    mean = np.exp(z)
    primal = float(np.mean(mean - y * z)) + penalty
    limit = lam / float((norms(instance.shape, instance.X.T @ (y - mean)) / instance.shape.n / instance.weights).max())
    u = y + min(1.0, limit) * (mean - y)
    dual = float(np.mean(u - xlogy(u, u)))
    return (primal - dual) / max(abs(primal), 1.0)


def relative_gap(instance: Instance, w: np.ndarray, lam: float) -> float:
    """(P - D) / P at coefficients w [p] or [p, T], D at the best multiple of the residual, from the data alone."""
    shape, X, y, n = instance.shape, instance.X, instance.y, instance.shape.n
    z = X @ w
    penalty = lam * float(instance.weights @ norms(shape, w))
    if shape.kind == "logistic":
        primal = float(np.mean(np.logaddexp(0, -y * z))) + penalty
        u = 1 / (1 + np.exp(y * z))
        limit = min(1.0, lam / float((norms(shape, X.T @ (y * u)) / n / instance.weights).max()))
        u = np.clip(u * limit, 1e-300, 1 - 1e-16)
        dual = float(np.mean(-u * np.log(u) - (1 - u) * np.log1p(-u)))
        return (primal - dual) / primal
    if shape.kind == "poisson":
        return _poisson_gap(instance, z, penalty, lam)
    r = y - z
    primal = float((r * r).sum()) / (2 * n) + penalty
    limit = lam / float((norms(shape, X.T @ r) / n / instance.weights).max())
    linear, square = float((y * r).sum()), float((r * r).sum())
    alpha = min(max(linear / square, -limit), limit)
    return (primal - (alpha * linear - alpha**2 * square / 2) / n) / primal
