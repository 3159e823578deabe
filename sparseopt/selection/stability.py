"""Stability selection: the groups that are chosen on most random halves of the samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._array import real_number
from ..path import Path, PathNotConverged, lambda_grid, solve_path
from ..problem import Problem, checked_problem
from .resampling import deadline, in_parallel, sample_weights, weighted, within


@dataclass(frozen=True)
class StabilitySelection:
    """What `stability_selection` returns.

    lams: [L].  frequencies: [L, G], share of the halves on which a group is active at that lam or a larger one.
    threshold: in (1/2, 1].  n_halves: their number.  mean_selected: groups chosen per half, over all lams, on average.
    """

    lams: np.ndarray = field(repr=False)
    frequencies: np.ndarray = field(repr=False)
    threshold: float
    n_halves: int
    mean_selected: float

    @property
    def selected(self) -> np.ndarray:
        """Indices of the groups whose largest frequency reaches the threshold, increasing."""
        return np.flatnonzero(self.frequencies[-1] >= self.threshold)

    @property
    def expected_false(self) -> float:
        """Bound q^2 / ((2 threshold - 1) G) of the expected number of false groups, q = mean_selected.

        Holds under exchangeability of the noise groups and no worse than random guessing: Meinshausen and Buehlmann,
        Stability selection (2010), Theorem 1.
        """
        return self.mean_selected**2 / ((2 * self.threshold - 1) * self.frequencies.shape[1])


def stability_selection(
    problem: Problem,
    *,
    n_pairs: int = 50,
    threshold: float = 0.6,
    rng: Any = 0,
    n_lambdas: int = 20,
    ratio: float = 0.1,
    lams: Any = None,
    n_jobs: int | None = 1,
    time_limit: float | None = None,
    throw: bool = True,
    **options: Any,
) -> StabilitySelection:
    """Solve the path on `n_pairs` pairs of complementary random halves of the samples and count active groups.

    threshold: in (1/2, 1].  rng: seed or Generator; the default always gives the same halves.  lams: default
    `lambda_grid` of all samples.  n_jobs: as in joblib.  options: tol, solver, max_iter, standardize as for
    `solve_path`.  Halves use X itself with weights 0: no copies.
    time_limit: seconds for all halves; only strengths that all of them reached are counted then.
    Raises PathNotConverged when solutions fell short, unless throw=False; ValueError for bad arguments.
    Source: Meinshausen and Buehlmann (2010); complementary pairs: Shah and Samworth (2013).
    """
    end = deadline(time_limit)
    if not 0.5 < real_number(threshold) <= 1 or not isinstance(n_pairs, int | np.integer) or n_pairs < 1:
        raise ValueError(f"threshold is {threshold!r} and n_pairs {n_pairs!r}: give a share in (1/2, 1] and >= 1 pairs")
    n = len(sample_weights(checked_problem(problem).datafit))
    if lams is None:
        lams = lambda_grid(problem, n_lambdas, ratio, options.get("standardize"))
    strengths = np.sort(np.asarray(lams, dtype=np.float64))[::-1]
    halves = _complementary_halves(n, int(n_pairs), np.random.default_rng(rng))
    outcomes = in_parallel(_active_groups, [(problem, half, strengths, end, options) for half in halves], n_jobs)
    short = [path for _, path in outcomes if path is not None]
    if throw and short:
        raise PathNotConverged(short[0])
    reached = min(len(active) for active, _ in outcomes)
    strengths = strengths[:reached]
    chosen = np.stack([np.logical_or.accumulate(active[:reached], axis=0) for active, _ in outcomes])
    mean_selected = float(chosen[:, -1].sum(axis=1).mean())
    return StabilitySelection(strengths, chosen.mean(axis=0), float(threshold), len(halves), mean_selected)


def _complementary_halves(n: int, n_pairs: int, rng: np.random.Generator) -> list[np.ndarray]:
    """2 n_pairs bool [n], each pair disjoint and of floor(n / 2) samples."""
    halves = []
    for _ in range(n_pairs):
        order = rng.permutation(n)
        for chosen in (order[: n // 2], order[n // 2 : 2 * (n // 2)]):
            halves.append(np.isin(np.arange(n), chosen))
    return halves


def _active_groups(
    problem: Problem, half: np.ndarray, lams: np.ndarray, end: float | None, options: Any
) -> tuple[np.ndarray, Path | None]:
    path = solve_path(
        problem.with_datafit(weighted(problem.datafit, half)), lams=lams, throw=False, **within(end), **options
    )
    return path.active, path if path.short else None
