"""Gradual against one-shot pruning, paired on the same problems: shape of the schedule, number of steps, block size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from theory.intervals import paired_interval, wilson
from theory.open_questions.gradual_pruning import EARLY, ONE_SHOT, Quadratic, random_problem

from .runner import Part

PLANTED, TRUE, COLUMNS, ROWS = 4, 6, 96, 144
"""Size and number of the planted blocks, columns and rows of the problems on which the block size varies."""

KEPT_SHARE = 4
"""One coordinate in so many is kept there."""


@dataclass(frozen=True)
class Config:
    """seed: of the problems.  problems: how many.  per_part: problems computed together.

    shapes: c of the schedule (1 - e^(-c t)) / (1 - e^-c).  steps: numbers of steps.  block_steps: for the block sizes.
    blocks: sizes of the blocks that are pruned where blocks of PLANTED are true.
    """

    seed: int = 0
    problems: int = 16
    per_part: int = 4
    shapes: tuple[float, ...] = (-6.0, -4.0, -2.0, 0.0, 1.0, 2.0, 4.0, 6.0, 8.0)
    steps: tuple[int, ...] = (4, 8, 30)
    blocks: tuple[int, ...] = (1, 2, 4, 8, 16)
    block_steps: int = 8


FULL = Config(problems=2000)


def main(config: Config) -> Iterator[Part]:
    """Parts of `per_part` problems each."""
    for start in range(0, config.problems, config.per_part):
        chosen = range(start, min(start + config.per_part, config.problems))
        yield Part(f"problems/{start}", lambda chosen=chosen: (row(config, i) for i in chosen))


def row(config: Config, problem: int) -> dict[str, Any]:
    """Shares of the dense loss reduction that are kept on one problem.

    gradual: number of steps -> one for each shape.  block_gradual, block_one_shot: one for each block size.
    """
    quadratic = random_problem(np.random.default_rng([config.seed, problem]))
    H, b = planted(np.random.default_rng([config.seed, problem, PLANTED]))
    sized = [Quadratic(H, b, size, COLUMNS // (KEPT_SHARE * size)) for size in config.blocks]
    return {
        "type": "pruned",
        "problem": problem,
        "one_shot": _kept(quadratic, ONE_SHOT),
        "gradual": {str(T): [_kept(quadratic, c, T) for c in config.shapes] for T in config.steps},
        "block_one_shot": [_kept(case, ONE_SHOT) for case in sized],
        "block_gradual": [_kept(case, EARLY, config.block_steps) for case in sized],
    }


def _kept(problem: Quadratic, schedule: str | float, steps: int = 1) -> float:
    """With refits, to six decimals."""
    return round(problem.pruned(schedule, True, steps), 6)


def planted(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """H [COLUMNS, COLUMNS] and b of a correlated design with TRUE blocks of PLANTED columns, and noise."""
    X = rng.standard_normal((ROWS, COLUMNS)) + 0.7 * rng.standard_normal((ROWS, 8)) @ rng.standard_normal((8, COLUMNS))
    true = rng.choice(COLUMNS // PLANTED, TRUE, replace=False)
    truth = np.where(np.isin(np.arange(COLUMNS) // PLANTED, true), rng.standard_normal(COLUMNS), 0.0)
    y = X @ truth + rng.standard_normal(ROWS)
    return X.T @ X / ROWS, X.T @ y / ROWS


def schedules(rows: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    """Over steps and shape c: mean and 99 % interval of gradual less one shot, and the share of problems won.

    lower_won, upper_won: Wilson interval of that share, ties counted as losses.
    """
    rows = list(rows)
    setting = rows[0]["config"]
    once = np.array([row["one_shot"] for row in rows])
    table: dict[str, list[Any]] = {
        name: [] for name in ("steps", "c", "mean", "lower", "upper", "won", "lower_won", "upper_won")
    }
    for steps in setting["steps"]:
        for k, c in enumerate(setting["shapes"]):
            gain = np.array([row["gradual"][str(steps)][k] for row in rows]) - once
            won = int((gain > 0).sum())
            entries = (steps, c, *paired_interval(gain), won / len(gain), *wilson(won, len(gain)))
            for name, entry in zip(table, entries, strict=True):
                table[name].append(entry)
    return table


def block_sizes(rows: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    """Over the size of the pruned blocks: mean and 99 % interval of what each way keeps, and of their difference."""
    rows = list(rows)
    gradual, once = (np.array([row[name] for row in rows]) for name in ("block_gradual", "block_one_shot"))
    table: dict[str, list[Any]] = {"size": list(rows[0]["config"]["blocks"])}
    for name, values in (("gradual", gradual), ("one_shot", once), ("gain", gradual - once)):
        found = [paired_interval(column) for column in values.T]
        for end, entries in zip(("", "_lower", "_upper"), zip(*found, strict=True), strict=True):
            table[name + end] = list(entries)
    return table
