"""The one-group window on real data: Theorem 1.1 of SequentialAttention++ certified where data come from outside.

For every data set, with the unweighted group LASSO: the window of strengths that is guaranteed to have one active
group (ledger A11); the number of active groups along the path, every solution certified by its duality gap; in the
middle of the window the certificate that this solution is the global minimum of the nonconvex InverseSum problems
(ledger A9), which must be refused for the exp mask; and an attack that tries to find a lower point.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np

import sparseopt as so
from theory.competitors import Search

from .runner import Part

PENALTIES = {
    "Power(1/2)": so.penalties.Power(0.5),
    "Power(2/3)": so.penalties.Power(2 / 3),
    "Log(1)": so.penalties.Log(1.0),
    "Ratio": so.penalties.Ratio(),
    "ExpMask": so.penalties.ExpMask(),
}
"""The functions q of the study.  The last one is not subadditive: the theorem does not speak of it."""


@dataclass(frozen=True)
class Config:
    """seed: of the attack.  datasets: names in sparseopt.datasets.  grid: strengths on the path.

    tol: relative duality gap of every solution, and of every certificate.  scales: of the random competitors, in units
    of lambda_max, which is the size of an unpenalised orthonormal group.  per_scale, starts, steps: size of the attack.
    """

    seed: int = 0
    datasets: tuple[str, ...] = ("diabetes", "breast_cancer", "digits")
    grid: int = 80
    tol: float = 1e-9
    scales: tuple[float, ...] = (1e-3, 10**-2.5, 1e-2, 10**-1.5, 1e-1, 10**-0.5, 1.0, 10**0.5)
    per_scale: int = 16
    starts: int = 12
    steps: int = 100


def main(config: Config) -> Iterator[Part]:
    """Windows, paths, certificates and competitors of every data set."""
    for name in config.datasets:
        yield Part(f"{name}/window", lambda name=name: [window_row(name)])
        yield Part(f"{name}/active", lambda name=name: active_rows(name, config))
        for rho in PENALTIES:
            yield Part(f"{name}/certificate/{rho}", lambda name=name, rho=rho: [certificate_row(name, rho, config)])
            yield Part(f"{name}/competitor/{rho}", lambda name=name, rho=rho: competitor_rows(name, rho, config))


@lru_cache
def load(name: str) -> tuple[so.datasets.Dataset, so.Problem, so.certify.LambdaWindow, float]:
    """A data set, its unweighted group LASSO (of any strength), the guaranteed window and lambda_max."""
    makers = {make.__name__: make for make in (so.datasets.diabetes, so.datasets.breast_cancer, so.datasets.digits)}
    if name not in makers:
        raise ValueError(f"there is no data set {name!r}: allowed are {', '.join(makers)}")
    data = makers[name]()
    problem = so.Problem(data.X, so.LeastSquares(data.y), so.GroupLasso(1.0, data.groups, weights="none"))
    return data, problem, so.certify.lambda_window(problem), so.lambda_max(problem)


@lru_cache
def middle(name: str, tol: float) -> tuple[so.Problem, np.ndarray]:
    """The group LASSO at the middle of the window and its solution [p], solved a hundred times better than tol."""
    _, problem, window, _ = load(name)
    problem = problem.with_lam((window.lower + window.upper) / 2)
    return problem, so.solve(problem, tol=tol / 100).w


def window_row(name: str) -> dict[str, Any]:
    """The guaranteed window, as fractions of lambda_max."""
    data, _, window, lambda_max = load(name)
    n, p = data.X.shape
    return {
        "type": "window",
        "dataset": name,
        "lambda_max": lambda_max,
        "lower_ratio": window.lower / lambda_max,
        "upper_ratio": window.upper / lambda_max,
        "group": window.group,
        "group_name": data.group_names[window.group],
        "n_samples": n,
        "n_features": p,
        "n_groups": data.groups.n_groups,
        "reason": window.reason,
    }


def active_rows(name: str, config: Config) -> Iterator[dict[str, Any]]:
    """Number of active groups along the path, from above lambda_max down, on a grid that resolves the window."""
    data, problem, window, lambda_max = load(name)
    width = 1 - window.lower / lambda_max
    ratios = np.concatenate([[1.3, 1.1, 1.01, 1.0001], 1 - np.geomspace(width / 30, 0.95, config.grid)])
    w = np.zeros(problem.n_features)
    for ratio in ratios:
        problem = problem.with_lam(ratio * lambda_max)
        w = so.solve(problem, tol=config.tol / 10, w0=w).w
        certificate = so.certify.duality_gap(problem, w, tol=config.tol)
        yield {
            "type": "active",
            "dataset": name,
            "lam_ratio": float(ratio),
            "n_active": len(data.groups.active(w)),
            "in_window": bool(window.lower < problem.penalty.lam < window.upper),
            "gap": certificate.upper / certificate.scale,
            "verdict": certificate.verdict,
        }


def certificate_row(name: str, rho: str, config: Config) -> dict[str, Any]:
    """What `global_gap` says of the one-group solution as a minimiser of the nonconvex problem with q = rho."""
    data, _, _, lambda_max = load(name)
    convex, w = middle(name, config.tol)
    problem = convex.with_penalty(so.InverseSum(convex.penalty.lam, data.groups, PENALTIES[rho]))
    certificate = so.certify.global_gap(problem, w, tol=config.tol)
    return {
        "type": "certificate",
        "dataset": name,
        "rho": rho,
        "lam_ratio": convex.penalty.lam / lambda_max,
        "n_active": len(data.groups.active(w)),
        "norm": float(np.linalg.norm(w)),
        "verdict": certificate.verdict,
        "lower": certificate.lower,
        "upper": _finite(certificate.upper),
        "scale": certificate.scale,
        "tol": certificate.tol,
        "distance": _finite(certificate.distance),
        "reason": certificate.reason,
    }


def competitor_rows(name: str, rho: str, config: Config) -> Iterator[dict[str, Any]]:
    """Every competitor u of the one-group solution b: F_R(u) - F_R(b) and, beside it, the same for the group LASSO.

    Both are divided by the scale of the certificate.  allowance: the rounding error of the margin (64 eps p times the
    size of what is added) plus the duality gap of b; only a margin below minus the allowance contradicts the theorem.
    """
    data, _, _, lambda_max = load(name)
    convex, point = middle(name, config.tol)
    gap = so.certify.duality_gap(convex, point, tol=config.tol)
    problem = _quadratic(data, so.InverseSum(convex.penalty.lam, data.groups, PENALTIES[rho]))
    lasso = problem.with_penalty(convex.penalty)
    H, b = problem.datafit.H, problem.datafit.b
    search = Search(problem, H, b, point, lambda_max, config.scales, config.per_scale, config.starts, config.steps)
    rng = np.random.default_rng([config.seed, crc32(name.encode())])
    for kind, u in search.competitors(rng):
        value = problem.objective(u)
        if not np.isfinite(value):
            continue  # out of reach of a bounded q: infinitely worse
        yield {
            "type": "competitor",
            "dataset": name,
            "rho": rho,
            "attack": kind,
            "margin": (value - problem.objective(point)) / gap.scale,
            "margin_group_lasso": (lasso.objective(u) - lasso.objective(point)) / gap.scale,
            "allowance": (_rounding(problem, u) + _rounding(problem, point) + gap.upper) / gap.scale,
            "distance": float(np.linalg.norm(u - point)),
            "n_active": len(data.groups.active(u)),
        }


def _quadratic(data: so.datasets.Dataset, penalty: Any) -> so.Problem:
    """The least-squares problem without its constant |y|^2 / 2n, in p dimensions: fast enough for an attack."""
    H = data.X.T @ data.X / len(data.y)
    return so.Problem.quadratic((H + H.T) / 2, data.X.T @ data.y / len(data.y), penalty)


def _rounding(problem: so.Problem, u: np.ndarray) -> float:
    """64 eps p (u'Hu / 2 + sum |b_j u_j| + penalty): the tolerance rule of the ledger for the objective at u."""
    datafit: Any = problem.datafit
    size = 0.5 * float(u @ (datafit.H @ u)) + float(np.abs(datafit.b * u).sum()) + float(problem.penalty.value(u))
    return 64 * float(np.finfo(float).eps) * len(u) * size


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
