"""The problems of the solver benchmark, built from their names alone, and the gap that is recomputed for every solver.

Needs NumPy and SciPy of any version: the peers run in an environment of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import sparse
from scipy.signal import lfilter
from scipy.special import logsumexp, xlogy


@dataclass(frozen=True)
class Shape:
    """n samples, p columns in groups of `size`, `active` of them in the truth.

    kind: "ls", "huber", "logistic", "poisson", "cox", "multi" or "multinomial".  outputs: of the last two.
    density: of a sparse X, None for dense.
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
FAMILIES = ("huber", "cox", "multinomial")
"""Losses with random shapes of their own."""
SEVERAL = ("multi", "multinomial")
"""Losses with several outputs."""


@dataclass(frozen=True)
class Instance:
    """Data and strengths.  y: [n] or [n, T]; weights: [G] square roots of the group sizes; lams: decreasing.

    y of "cox": [n, 2], times, all different, and whether they are those of events; of "multinomial": [n], classes.
    """

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
    for family in ("random", *FAMILIES):
        if name.startswith(family):
            return random_shape(int(name.removeprefix(family)), family)
    head, _, seed = name.partition("s") if "path" not in name else (name, "", "")
    return replace(SHAPES[head[0]], seed=int(seed or 0)), head[1:]


def random_shape(seed: int, family: str = "random") -> tuple[Shape, str]:
    """Any shape of at most MOST_ENTRIES entries, and any strength from lambda_max / 2 to / 200, or a path."""
    rng = np.random.default_rng([ord(family[0]), seed])
    kind = str(rng.choice(["ls", "logistic", "poisson", "multi"], p=[0.5, 0.25, 0.15, 0.1]))
    kind = kind if family == "random" else family
    n = int(10 ** rng.uniform(1.5, 4.5))
    size = 1 if kind in SEVERAL else int(rng.choice([1, 2, 3, 5, 10, 20, 50]))
    groups = max(2, int(min(10 ** rng.uniform(1, 4.3), MOST_ENTRIES / n) / size))
    active = int(min(groups / 2, max(1, n / (2 * size)), 10 ** rng.uniform(0, 2))) or 1
    density = float(10 ** rng.uniform(-2.3, -0.7)) if n * groups * size > 1e5 and rng.random() < 0.25 else None
    rho, outputs = float(rng.choice([0.0, 0.5, 0.9])), int(rng.integers(2, 21))
    strength = "path" if kind not in SEVERAL and rng.random() < 0.25 else f"{10 ** rng.uniform(0.3, 2.3):.3g}"
    return Shape(kind, n, groups * size, size, active, density, outputs, rho, seed), strength


def build(name: str) -> Instance:
    """ "A10", "C100", ...; with a suffix s1, s2, ... another seed ("A10s1"); "Apath" is 100 strengths down to 1/100.

    "random0", "random1", ... are shapes drawn at random, and so are "huber0", "cox0", "multinomial0", ... of one loss.
    """
    shape, strength = parsed(name)
    rng = np.random.default_rng([ord(name[0]), shape.seed, 0])
    X = _sparse(shape, rng) if shape.density else _dense(shape, rng)
    y = _response(shape, X, rng)
    weights = np.full(shape.p // shape.size, np.sqrt(shape.size))
    start = np.zeros((shape.n, shape.outputs) if shape.kind in SEVERAL else shape.n)
    largest = float((norms(shape, X.T @ FITS[shape.kind](y, start).slopes) / weights).max())
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
    columns = shape.outputs if shape.kind in SEVERAL else 1
    w = np.where(chosen[:, None], rng.standard_normal((shape.p, columns)), 0.0)
    z = X @ w
    spread = float(np.std(z))
    if shape.kind == "logistic":
        return np.where(rng.random(shape.n) < 1 / (1 + np.exp(-2 * z[:, 0] / spread)), 1.0, -1.0)
    if shape.kind == "poisson":
        return rng.poisson(np.exp(1.5 * z[:, 0] / spread - 0.5)).astype(float)
    if shape.kind == "multinomial":
        return np.argmax(2 * z / spread + rng.gumbel(size=z.shape), axis=1)
    if shape.kind == "cox":
        time = rng.exponential(np.exp(-1.5 * z[:, 0] / spread))
        censored = rng.exponential(2.0, shape.n)
        return np.column_stack([np.minimum(time, censored), time <= censored]).astype(float)
    if shape.kind == "huber":
        return z[:, 0] + spread / 3 * rng.standard_t(2, shape.n)
    noisy = z + spread / 3 * rng.standard_normal(z.shape)
    return np.asfortranarray(noisy) if shape.kind == "multi" else noisy[:, 0]


def norms(shape: Shape, v: np.ndarray) -> np.ndarray:
    """Norms [G] of the groups of v [p] or [p, T]."""
    return np.sqrt((v.reshape(shape.p // shape.size, -1) ** 2).sum(axis=1))


@dataclass(frozen=True)
class Fit:
    """A loss at z [n] or [n, T]: its value and slopes there, and  limit -> the dual at the best multiple of these.

    limit: largest multiple of the slopes that is feasible for the penalty.
    """

    value: float
    slopes: np.ndarray
    dual: Callable[[float], float]


def huber_threshold(y: np.ndarray) -> float:
    """Residuals up to which Huber's loss is a square."""
    return float(np.median(np.abs(y))) / 2


def _squares(y: np.ndarray, z: np.ndarray, threshold: float = np.inf) -> Fit:
    r = y - z
    u = np.clip(r, -threshold, threshold)
    value = float((u * (r - u / 2)).sum()) / len(y)
    linear, square = float((y * u).sum()), float((u * u).sum())

    def dual(limit: float) -> float:
        most = limit if threshold == np.inf else min(limit, 1.0)
        alpha = min(max(linear / square, -most), most)
        return (alpha * linear - alpha**2 * square / 2) / len(y)

    return Fit(value, -u / len(y), dual)


def _huber(y: np.ndarray, z: np.ndarray) -> Fit:
    return _squares(y, z, huber_threshold(y))


def _logistic(y: np.ndarray, z: np.ndarray) -> Fit:
    u = 1 / (1 + np.exp(y * z))

    def dual(limit: float) -> float:
        v = np.clip(u * min(1.0, limit), 1e-300, 1 - 1e-16)
        return float(np.mean(-v * np.log(v) - (1 - v) * np.log1p(-v)))

    return Fit(float(np.mean(np.logaddexp(0, -y * z))), -y * u / len(y), dual)


def _poisson(y: np.ndarray, z: np.ndarray) -> Fit:
    mean = np.exp(z)

    def dual(limit: float) -> float:
        u = y + min(1.0, limit) * (mean - y)
        return float(np.mean(u - xlogy(u, u)))

    return Fit(float(np.mean(mean - y * z)), (mean - y) / len(y), dual)


def _entropies(alpha: float, own: np.ndarray, entropy: np.ndarray) -> np.ndarray:
    """sum v log v of  v = alpha q + (1 - alpha) e_k,  with q_k `own` and sum q log q `entropy`."""
    mixed = 1 - alpha + alpha * own
    return xlogy(alpha, alpha) * (1 - own) + alpha * (entropy - xlogy(own, own)) + xlogy(mixed, mixed)


def _multinomial(y: np.ndarray, z: np.ndarray) -> Fit:
    rows = np.arange(len(y))
    log_sum = logsumexp(z, axis=1)
    q = np.exp(z - log_sum[:, None])
    slopes = q / len(y)
    slopes[rows, y] -= 1 / len(y)
    own, entropy = q[rows, y], (q * (z - log_sum[:, None])).sum(axis=1)

    def dual(limit: float) -> float:
        return -float(np.mean(_entropies(min(1.0, limit), own, entropy)))

    return Fit(float(np.mean(log_sum - z[rows, y])), slopes, dual)


def _cox(y: np.ndarray, z: np.ndarray) -> Fit:
    """Each event is a choice among the samples at risk, so the loss is a sum of terms like those of `_multinomial`."""
    order = np.argsort(-y[:, 0])
    shift = float(z.max())
    ordered, event = z[order] - shift, y[order, 1] > 0
    at_risk = np.cumsum(np.exp(ordered))
    chosen = np.cumsum((event / at_risk)[::-1])[::-1]
    slopes = np.empty(len(z))
    slopes[order] = (np.exp(ordered) * chosen - event) / len(z)
    log_sum = np.log(at_risk)
    own = np.exp(ordered - log_sum)[event]
    entropy = (np.cumsum(np.exp(ordered) * ordered) / at_risk - log_sum)[event]

    def dual(limit: float) -> float:
        return -float(_entropies(min(1.0, limit), own, entropy).sum()) / len(z)

    return Fit(float((log_sum - ordered)[event].sum()) / len(z), slopes, dual)


FITS: dict[str, Callable[[np.ndarray, np.ndarray], Fit]] = {
    "ls": _squares,
    "multi": _squares,
    "huber": _huber,
    "logistic": _logistic,
    "poisson": _poisson,
    "cox": _cox,
    "multinomial": _multinomial,
}


def relative_gap(instance: Instance, w: np.ndarray, lam: float) -> float:
    """(P - D) / P at coefficients w [p] or [p, T], D at the best multiple of the residual, from the data alone.

    Over max(|P|, 1) for Poisson losses, where 1 is the loss at 0, and P may be 0.
    """
    shape, X = instance.shape, instance.X
    fit = FITS[shape.kind](instance.y, X @ w)
    primal = fit.value + lam * float(instance.weights @ norms(shape, w))
    limit = lam / float((norms(shape, X.T @ fit.slopes) / instance.weights).max())
    return (primal - fit.dual(limit)) / (max(abs(primal), 1.0) if shape.kind == "poisson" else primal)
