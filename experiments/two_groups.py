"""The constrained solvers and mask descent in the plane: two groups of one coefficient, so that iterates can be seen.

For each solver the loss on a grid, the iterates of a few settings, and the points where its map rests, found without
the solver: on the axes, where the loss is least on the axis and the pull outside is small enough (ledger C4); for mask
descent the least point of the closed-form objective on the grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import sparseopt as so
from sparseopt import sets
from sparseopt.penalties import Power
from sparseopt.soft_topk import ExponentialTemperature
from sparseopt.solvers import ADMM, IHT, OMPR, SRSTE, GroupOMP, MaskDescent, masks

from .runner import Part

GROUPS = so.Groups.uniform(2, 1)

STEEP = (np.array([[1.0, 0.9], [0.9, 1.0]]), np.array([-0.3, 0.3]))
"""H and b of the loss w'Hw/2 - b'w for projections: L = 1.9, and a point on an axis rests iff rho >= L (ledger C2)."""

PLAIN = (np.array([[1.0, 0.6], [0.6, 1.0]]), np.array([1.0, 0.8]))
"""For the greedy solvers and masks: the axis of the larger b is the better one."""

MASKS = {
    "Hoff product": (masks.HoffProduct(), 0.15),
    "exp mask": (masks.ExponentialMask(), 0.3),
    "l1 mask": (masks.L1Mask(), 0.08),
    "powerpropagation": (masks.Powerpropagation(), 0.15),
    "softmax mask": (masks.SoftmaxMask(), 0.3),
    "SMART": (masks.SmartMask(1, ExponentialTemperature(1.0, 0.01, 100)), 0.1),
}
"""Panel -> parametrisation and strength of the decay."""


@dataclass(frozen=True)
class Config:
    """seed: of the starting points of mask descent.  grid: points along each axis, 0 among them for 12 m + 1.

    iterations: of every run.

    starts: of mask descent, in every panel.
    """

    seed: int = 0
    grid: int = 37
    iterations: int = 60
    starts: int = 3


def main(config: Config) -> Iterator[Part]:
    """One part for each solver."""
    for name, compute in PARTS.items():
        yield Part(name, lambda compute=compute: compute(config))


def admm_rows(config: Config) -> list[dict[str, Any]]:
    """Both orders above L, and the cycle below it; trace: the augmented Lagrangian; other: x."""
    problem, L = _problem(STEEP, sets.NM(1, 2)), 1.9
    runs = {
        "order z, rho = 1.1 L": ADMM(rho=1.1 * L),
        "order x, rho = 1.1 L": ADMM(rho=1.1 * L, z_first=False),
        "order z, rho = 0.8 L": ADMM(rho=0.8 * L),
    }
    paths = [
        _path("admm", label, problem, s, config, [0.5, 0.9], "augmented_lagrangian", "x") for label, s in runs.items()
    ]
    return [_grid("admm", problem, config, 1.1), *paths, _resting("admm", STEEP, 1.1 * L)]


def iht_rows(config: Config) -> list[dict[str, Any]]:
    """Steps on both sides of 1/L, normalised and debiased; trace: the loss."""
    problem, L = _problem(STEEP, sets.NM(1, 2)), 1.9
    runs = {
        "step 0.9 / L": IHT(step_size=0.9 / L),
        "step 1.25 / L": IHT(step_size=1.25 / L),
        "normalised": IHT(normalised=True),
        "step 0.9 / L, debiased": IHT(step_size=0.9 / L, debias=True),
    }
    paths = [_path("iht", label, problem, s, config, [0.5, 0.9], "loss") for label, s in runs.items()]
    return [_grid("iht", problem, config, 1.1), *paths, _resting("iht", STEEP, L / 0.9)]


def srste_rows(config: Config) -> list[dict[str, Any]]:
    """Pulls on both sides of L; trace: mask entries that changed so far; other: the dense vector."""
    problem, L = _problem(STEEP, sets.NM(1, 2)), 1.9
    runs = {f"pull {ratio:g} L": SRSTE(pull=ratio * L, step_size=0.25) for ratio in (1.1, 0.8, 3.0)}
    paths = [_path("srste", label, problem, s, config, [0.5, 0.9], "flips", "dense") for label, s in runs.items()]
    return [_grid("srste", problem, config, 1.1), *paths, _resting("srste", STEEP, 1.1 * L)]


def omp_rows(config: Config) -> list[dict[str, Any]]:
    """Two groups, one after the other; trace: the loss."""
    problem = _problem(PLAIN, sets.TopGroups(2, GROUPS))
    short = Config(config.seed, config.grid, 3, config.starts)
    path = _path("group_omp", "0, 1 and 2 groups", problem, GroupOMP(), short, [0.0, 0.0], "loss")
    return [_grid("group_omp", problem, config, 1.2), path, _resting("group_omp", PLAIN, np.inf)]


def ompr_rows(config: Config) -> list[dict[str, Any]]:
    """From the worse axis, by the ideal step and through the regulariser; trace: the loss."""
    problem = _problem(PLAIN, sets.TopGroups(1, GROUPS))
    short = Config(config.seed, config.grid, 4, config.starts)
    runs = {"ideal step": OMPR(), "through the regulariser, q = sqrt": OMPR(rho=Power(0.5))}
    paths = [_path("ompr", label, problem, s, short, [0.0, 1.0], "loss") for label, s in runs.items()]
    return [_grid("ompr", problem, config, 1.2), *paths, _resting("ompr", PLAIN, np.inf)]


def mask_rows(config: Config) -> list[dict[str, Any]]:
    """Every mask with the objective of its closed form; trace: the objective in the factors less the one in w."""
    rng = np.random.default_rng(config.seed)
    starts = 0.1 + 0.9 * rng.random((config.starts, 2))
    longer, rows = Config(config.seed, config.grid, 5 * config.iterations // 2, config.starts), []
    for label, (mask, lam) in MASKS.items():
        problem = _problem(PLAIN, mask.equivalent(lam, GROUPS))
        grid = _grid("mask_descent", problem, config, 1.1, label, low=-0.1)
        best = int(np.argmin(grid["value"]))
        axis = grid["axis"]
        resting = {"type": "resting", "figure": "mask_descent", "label": label}
        resting["points"] = [[axis[best % len(axis)], axis[best // len(axis)]]]
        rows += [grid, resting]
        rows += [_path("mask_descent", label, problem, MaskDescent(mask), longer, w0, "excess") for w0 in starts]
    return rows


PARTS = {
    "admm": admm_rows,
    "iht": iht_rows,
    "srste": srste_rows,
    "group_omp": omp_rows,
    "ompr": ompr_rows,
    "mask_descent": mask_rows,
}
"""Name of the figure -> its rows."""


def _problem(quadratic: tuple[np.ndarray, np.ndarray], penalty: Any) -> so.Problem:
    return so.Problem.quadratic(*quadratic, penalty)


def _grid(
    figure: str, problem: so.Problem, config: Config, reach: float, label: str = "loss", low: float | None = None
) -> dict[str, Any]:
    """The loss, for mask descent the objective, at the points (x, y) of a grid, x running fastest."""
    axis = np.linspace(-reach if low is None else low, reach, config.grid)
    of = problem.datafit.value if label == "loss" else problem.objective
    value = [float(of(np.array([x, y]))) for y in axis for x in axis]
    return {"type": "grid", "figure": figure, "label": label, "axis": axis.tolist(), "value": value}


def _path(
    figure: str,
    label: str,
    problem: so.Problem,
    solver: Any,
    config: Config,
    w0: Any,
    trace: str,
    other: str | None = None,
) -> dict[str, Any]:
    """Iterates w [steps, 2], what goes beside them, the trace [steps], and the sentence on unstable settings."""
    states = list(itertools.islice(so.iterate(problem, solver, w0), config.iterations))
    caution = solver.caution(problem) if hasattr(solver, "caution") else None
    return {
        "type": "path",
        "figure": figure,
        "label": label,
        "w": [state.w.tolist() for state in states],
        "other": [getattr(state, other).tolist() for state in states] if other else None,
        "trace": _trace(problem, states, trace),
        "caution": caution,
    }


def _trace(problem: so.Problem, states: list[Any], name: str) -> list[float]:
    if name == "loss":
        return [problem.datafit.value(state.z) for state in states]
    if name == "flips":
        return np.cumsum([state.flips for state in states]).astype(float).tolist()
    if name == "excess":
        return [state.factored - problem.objective(state.w) for state in states]
    return [float(getattr(state, name)) for state in states]


def _resting(figure: str, quadratic: tuple[np.ndarray, np.ndarray], rho: float) -> dict[str, Any]:
    """Least points on the axes at which rho |w_i| >= |gradient outside|, which is where projections rest."""
    H, b = quadratic
    points = []
    for i in (0, 1):
        w = np.zeros(2)
        w[i] = b[i] / H[i, i]
        if rho * abs(w[i]) >= abs((H @ w - b)[1 - i]):
            points.append(w.tolist())
    return {"type": "resting", "figure": figure, "label": "loss", "points": points}
