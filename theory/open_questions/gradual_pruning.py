"""Whether pruning in several steps keeps more than pruning at once, and which shape of schedule: paired experiments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

import sparseopt as so
from sparseopt.growth import Exponential

from ..intervals import paired_interval
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem

BLOCKS, KEPT, SIZE = 40, 10, 2
STEPS = 8
BATCH = 16
"""Paired problems of an instance."""

LEAST = 0.002
"""Part of the dense loss reduction by which gradual pruning is to be ahead on the average of a batch."""

ONE_SHOT, LATE, LINEAR, EARLY = "one shot", -4.0, 0.0, 4.0


@dataclass(frozen=True)
class Quadratic:
    """u'Hu/2 - b'u, to be pruned to `kept` blocks of `size` coordinates each."""

    H: np.ndarray
    b: np.ndarray
    size: int = SIZE
    kept: int = KEPT

    @property
    def groups(self) -> so.Groups:
        """The blocks."""
        return so.Groups.uniform(len(self.b) // self.size, self.size)

    @cached_property
    def dense(self) -> np.ndarray:
        """The minimiser [p]."""
        return self.fit(np.ones(len(self.b), dtype=bool))

    def fit(self, kept: np.ndarray) -> np.ndarray:
        """The minimiser [p] over the coordinates kept [p], bool."""
        u = np.zeros(len(self.b))
        u[kept] = np.linalg.solve(self.H[np.ix_(kept, kept)], self.b[kept])
        return u

    def share(self, u: np.ndarray) -> float:
        """Part of the dense loss reduction that u keeps."""
        dense = self.dense
        return float((u @ self.H @ u / 2 - self.b @ u) / (dense @ self.H @ dense / 2 - self.b @ dense))

    def pruned(self, schedule: str | float, refit: bool, steps: int = STEPS) -> float:
        """The share that is kept when blocks go by magnitude; refit: whether the loss is minimised after every step."""
        groups, u = self.groups, self.dense
        gone, counts = groups.n_groups - self.kept, [self.kept]
        if schedule != ONE_SHOT:
            growth = Exponential(float(schedule))
            counts = [round(groups.n_groups - gone * growth((t + 1) / steps)) for t in range(steps)]
        for k in counts:
            u = so.sets.TopGroups(k, groups).project(u)
            u = self.fit(u != 0) if refit else u
        return self.share(self.fit(u != 0))


@dataclass(frozen=True)
class Batch:
    """Paired problems.  refit: whether the loss is minimised after every step."""

    problems: tuple[Quadratic, ...]
    refit: bool = True

    @cached_property
    def correlation(self) -> float:
        """max |H_ij| outside the blocks."""
        labels = self.problems[0].groups.labels
        outside = labels[:, None] != labels[None, :]
        return float(max(np.abs(problem.H[outside]).max() for problem in self.problems))

    def shares(self, schedule: str | float, steps: int = STEPS) -> np.ndarray:
        """What is kept of each problem."""
        return np.array([problem.pruned(schedule, self.refit, steps) for problem in self.problems])


def random_problem(rng: np.random.Generator) -> Quadratic:
    """A Gaussian design with a common factor, 120 rows, and block weights that fall off slowly."""
    p = BLOCKS * SIZE
    X = rng.standard_normal((120, p)) + 0.7 * rng.standard_normal((120, 8)) @ rng.standard_normal((8, p))
    scale = np.repeat(1 / np.sqrt(1 + rng.permutation(BLOCKS)), SIZE)
    truth = scale * rng.standard_normal(p)
    y = X @ truth + 0.5 * rng.standard_normal(120)
    return Quadratic(X.T @ X / 120, X.T @ y / 120)


def draw(rng: np.random.Generator) -> Batch:
    """BATCH problems."""
    return Batch(tuple(random_problem(rng) for _ in range(BATCH)))


def conclusion(instance: Batch) -> tuple[Evidence, ...]:
    """Mean paired differences of a batch."""
    early, late, once = (instance.shares(schedule) for schedule in (EARLY, LATE, ONE_SHOT))
    return (
        Evidence("c = 4 keeps more than one shot, on average", LEAST, float((early - once).mean())),
        Evidence("c = 4 keeps more than c = -4, on average", LEAST, float((early - late).mean())),
    )


def refit_margin(instance: Batch) -> float:
    """1 with refits."""
    return 1.0 if instance.refit else -1.0


def correlation_margin(instance: Batch) -> float:
    """The largest entry of H outside its blocks."""
    return instance.correlation


HYPOTHESES = (
    Hypothesis("refit", "the loss is minimised after every step", refit_margin),
    Hypothesis("correlated", "blocks are correlated", correlation_margin),
)


def _without_refit() -> Batch:
    rng = np.random.default_rng(0)
    return Batch(tuple(random_problem(rng) for _ in range(4)), refit=False)


def _uncorrelated() -> Batch:
    rng = np.random.default_rng(0)
    return Batch((Quadratic(np.eye(BLOCKS * SIZE), rng.standard_normal(BLOCKS * SIZE)),))


COUNTEREXAMPLES = (
    Counterexample("refit", "no refits", "the same blocks go whatever the schedule: no difference", _without_refit),
    Counterexample("correlated", "H = I", "refits change nothing: no difference", _uncorrelated),
)


def _fixed_intervals() -> tuple[Evidence, ...]:
    rng = np.random.default_rng(1)
    batch = Batch(tuple(random_problem(rng) for _ in range(60)))
    early = batch.shares(EARLY)
    found = []
    for name, schedule in (("one shot", ONE_SHOT), ("c = -4", LATE), ("linear", LINEAR)):
        lower = paired_interval(early - batch.shares(schedule))[1]
        found.append(Evidence(f"99 % interval of c = 4 less {name}", 0.0, lower))
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """shapes: over c, mean and 99 % interval of the share kept less that of one shot; 4 and 16 steps, 12 problems."""
    rng = np.random.default_rng(seed)
    batch = Batch(tuple(random_problem(rng) for _ in range(12)))
    once = batch.shares(ONE_SHOT)
    shapes = [-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0]
    columns: dict[str, list[float]] = {"c": shapes}
    for steps in (4, 16):
        rows = [paired_interval(batch.shares(c, steps) - once) for c in shapes]
        for name, values in zip(("mean", "lower", "upper"), zip(*rows, strict=True), strict=True):
            columns[f"{name}_{steps}"] = list(values)
    return {"shapes": columns}


THEOREM = Theorem(
    name="gradual_pruning",
    ledger="E3",
    title="Pruning early and gradually keeps more than pruning at once",
    statement=(
        r"For random quadratics with correlated blocks, 40 pruned to 10 by magnitude in 8 steps with refits, the "
        r"schedule (1 - e^{-c t}) / (1 - e^{-c}) with c = 4 keeps on average more of the dense loss reduction than "
        r"one shot and than c = -4. Without refits or correlation there is no difference."
    ),
    source="Open question: is gradual pruning better than pruning in one shot? Paired experiments of our own",
    kind="sampled",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(Fixed("intervals", "99 % intervals of 60 paired differences are positive", _fixed_intervals),),
    curves=curves,
    sizes={"quick": 2, "standard": 10, "full": 500},
    printed="open",
)
