"""Which hypotheses of the convergence of SMART hold along its own trajectories, masks and weights learned together."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

import sparseopt as so
from sparseopt.soft_topk import ExponentialTemperature

from ..instances import EPS
from ..intervals import wilson
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem

N, K = 6, 2
HOT, COLD = 0.5, 2e-3
GAP = 10 * COLD
"""Scores whose k-th and next differ by this much have masks within e^-5 of hard ones in the end."""


@dataclass(frozen=True)
class Trajectory:
    """Gradient descent on (w, m) of L(w f_tau(m)), L = u'Hu/2 - b'u, tau falling exponentially in `steps` steps.

    H: [p, p], eigenvalues in [mu, 1].  start: w [p].  scores: [G], of the first step.  k: groups to keep.
    sizes: of the groups, one coefficient each by default; a mask f_g stands for all coefficients of its group.
    """

    H: np.ndarray
    b: np.ndarray
    start: np.ndarray
    scores: np.ndarray
    steps: int
    k: int = K
    sizes: tuple[int, ...] = ()

    @cached_property
    def groups(self) -> so.Groups:
        """The groups."""
        return so.Groups.from_sizes(self.sizes or (1,) * len(self.b))

    @cached_property
    def run(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights w [steps + 1, p], scores m and masks f [steps + 1, G]."""
        first = np.cumsum([0, *self.groups.sizes[:-1]])
        w, m = self.start.copy(), self.scores.copy()
        tau = ExponentialTemperature(HOT, COLD, self.steps)
        rows = []
        for t in range(self.steps + 1):
            operator = so.SoftTopK(self.k, tau(t))
            f = operator(m)
            rows.append((w.copy(), m.copy(), f))
            spread = self.groups.spread(f)
            slope = self.H @ (spread * w) - self.b
            w, m = w - spread * slope, m - operator.vjp(np.add.reduceat(w * slope, first))
        return tuple(np.array(column) for column in zip(*rows, strict=True))  # type: ignore[return-value]

    @property
    def last_half(self) -> slice:
        """The steps of the second half."""
        return slice(self.steps // 2, None)

    @cached_property
    def changes(self) -> int:
        """How often the set of the K largest scores changes in the last half."""
        tops = np.sort(np.argsort(-self.run[1][self.last_half], axis=1, kind="stable")[:, : self.k], axis=1)
        return int((np.diff(tops, axis=0) != 0).any(axis=1).sum())

    @cached_property
    def smallest_gap(self) -> float:
        """min over the last half of the k-th largest score less the next."""
        ordered = -np.sort(-self.run[1][self.last_half], axis=1)
        return float((ordered[:, self.k - 1] - ordered[:, self.k]).min())

    @property
    def kept(self) -> np.ndarray:
        """The coefficients of the k largest scores in the end, bool [p]."""
        return self.members(np.argsort(-self.run[1][-1], kind="stable")[: self.k])

    def members(self, chosen: Any) -> np.ndarray:
        """The coefficients of some groups, bool [p]."""
        return np.isin(self.groups.labels, chosen)

    def value(self, u: np.ndarray) -> float:
        """L at u."""
        return float(u @ self.H @ u / 2 - self.b @ u)

    def fit(self, kept: np.ndarray) -> np.ndarray:
        """The minimiser of L over a set of coefficients, bool [p]."""
        u = np.zeros(len(self.b))
        u[kept] = np.linalg.solve(self.H[np.ix_(kept, kept)], self.b[kept])
        return u

    @property
    def best_value(self) -> float:
        """min of L over all sets of k groups."""
        sets = (self.members(S) for S in itertools.combinations(range(self.groups.n_groups), self.k))
        return min(self.value(self.fit(S)) for S in sets)

    @property
    def optimal(self) -> bool:
        """Whether the kept set is a best one."""
        return self.value(self.fit(self.kept)) <= self.best_value + 1e-12 * (1 + abs(self.best_value))


def random_trajectory(rng: np.random.Generator, steps: int) -> Trajectory:
    """Eigenvalues from .2 to 1, Gaussian minimiser and start."""
    V = np.linalg.qr(rng.standard_normal((N, N)))[0]
    H = (V * np.geomspace(0.2, 1, N)) @ V.T
    H = (H + H.T) / 2
    truth, start, scores = rng.standard_normal((3, N))
    return Trajectory(H, H @ (2 * truth), start, 0.1 * scores, steps)


def draw(rng: np.random.Generator) -> Trajectory:
    """300 to 600 steps."""
    return random_trajectory(rng, int(rng.integers(300, 601)))


def conclusion(instance: Trajectory) -> tuple[Evidence, ...]:
    """The end is k-sparse up to the closed masks, and near the minimiser over the kept set."""
    w, _, f = (column[-1] for column in instance.run)
    kept, u = instance.kept, f * w
    leak = np.sqrt(max(K, N - K)) * np.exp(-instance.smallest_gap / (2 * COLD))
    outside = float(np.abs(u[~kept]).max())
    slope = (instance.H @ u - instance.b)[kept]
    mu = float(np.linalg.eigvalsh(instance.H)[0])
    pull = float(np.linalg.norm(slope) + np.linalg.norm(instance.H[np.ix_(kept, ~kept)] @ u[~kept]))
    distance = float(np.linalg.norm((u - instance.fit(kept))[kept]))
    size = float(np.linalg.norm(instance.fit(kept))) + 1
    rounding = 64 * EPS * N * (size + float(np.abs(w).max()))
    return (
        Evidence(
            "pruned entries are below the bound of the masks", outside, leak * float(np.abs(w[~kept]).max()), rounding
        ),
        Evidence("|u - u*_S| <= (|gradient_S| + |H u_off|) / mu", distance, pull / mu, rounding / mu),
        Evidence("the end is within a tenth of the minimiser over the kept set", distance + outside, 0.1 * size),
    )


def gap_margin(instance: Trajectory) -> float:
    """Smallest gap of the last half less GAP."""
    return instance.smallest_gap - GAP


def settled_margin(instance: Trajectory) -> float:
    """1/2 less the number of changes of the kept set in the last half."""
    return 0.5 - instance.changes


def slow_margin(instance: Trajectory) -> float:
    """Steps less 200."""
    return instance.steps - 200.0


HYPOTHESES = (
    Hypothesis("gap", "in the last half the k-th score leads by 10 tau_end", gap_margin),
    Hypothesis("settled", "the kept set does not change in the last half", settled_margin, necessary=False,
               why="a change would close the gap on the way, so the first hypothesis implies it up to one step"),
    Hypothesis("slow", "at least 200 steps", slow_margin),
)  # fmt: skip


def tied_instance() -> Trajectory:
    """All entries alike: the scores stay tied, the masks at 1/3, and nothing is pruned."""
    return Trajectory(np.eye(N), np.ones(N), np.full(N, 0.5), np.zeros(N), 300)


def fast_instance() -> Trajectory:
    """Twelve steps: the scores freeze, with a gap, before the weights have arrived."""
    scores = np.array([3.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    return Trajectory(np.diag([0.01, 0.01, 1, 1, 1, 1]), np.full(N, 0.05), -np.ones(N), scores, 12)


COUNTEREXAMPLES = (
    Counterexample("gap", "tied scores", "equal entries keep equal scores: no mask closes", tied_instance),
    Counterexample("slow", "twelve steps", "the masks close before the weights arrive", fast_instance),
)


def shares(seed: int, steps: int, runs: int) -> dict[str, int]:
    """How many of the runs have a gap, settle, and keep a best set."""
    rng = np.random.default_rng(seed)
    cases = [random_trajectory(rng, steps) for _ in range(runs)]
    counts: dict[str, Callable[[Trajectory], bool]] = {
        "gap": lambda case: gap_margin(case) > 0,
        "settled": lambda case: case.changes == 0,
        "optimal": lambda case: case.optimal,
    }
    return {name: sum(map(holds, cases)) for name, holds in counts.items()}


def _fixed_shares() -> tuple[Evidence, ...]:
    """Of 40 runs of 400 steps; the lower ends of 95 % intervals."""
    found = shares(1, 400, 40)
    optimal = wilson(found["optimal"], 40)
    return (
        Evidence("most trajectories settle", 0.7, wilson(found["settled"], 40)[0]),
        Evidence("most have the gap", 0.6, wilson(found["gap"], 40)[0]),
        Evidence("not all keep a best set", optimal[1], 1.0),
    )


def _calmest(cases: list[Trajectory]) -> np.ndarray:
    """The lead of the k-th score [steps + 1] on the trajectory that changes least when its start is moved by 1e-10.

    Before the masks close most trajectories are chaotic: where they go depends on the rounding of the machine.
    """
    found = []
    for case in cases:
        lead, moved = (_lead(c) for c in (case, replace(case, start=case.start * (1 + 1e-10))))
        found.append((float(np.abs(moved / lead - 1).max()), lead))
    return min(found, key=lambda pair: pair[0])[1]


def _lead(case: Trajectory) -> np.ndarray:
    ordered = -np.sort(-case.run[1], axis=1)
    return ordered[:, case.k - 1] - ordered[:, case.k]


def curves(seed: int) -> dict[str, Columns]:
    """shares: over the number of steps, of 12 trajectories, how many have the gap, settle, and keep a best set.

    gaps: the gap of the calmest of them over the steps, and tau.
    """
    steps = [5, 20, 80, 320]
    counts = [shares(seed, T, 12) for T in steps]
    columns = {name: [row[name] / 12 for row in counts] for name in ("gap", "settled", "optimal")}
    rng = np.random.default_rng(seed)
    lead = _calmest([random_trajectory(rng, 320) for _ in range(12)])
    tau = ExponentialTemperature(HOT, COLD, 320)
    gaps = {"step": list(range(321)), "gap": lead, "tau": [tau(t) for t in range(321)]}
    return {"shares": {"steps": steps} | columns, "gaps": gaps}


THEOREM = Theorem(
    name="smart_trajectories",
    ledger="E3",
    title="What SMART's trajectories satisfy",
    statement=(
        r"Along gradient descent on weights and scores with an exponential temperature, if the k-th score keeps a "
        r"lead of 10 \tau_{end} in the last half of at least 200 steps, the end is k-sparse up to the closed masks "
        r"and within a tenth of the minimiser over the kept set. The lead holds on most trajectories; the kept set "
        r"is not always a best one."
    ),
    source="Open question: which hypotheses of SMART's convergence hold along its runs? Experiments of our own",
    kind="sampled",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(Fixed("shares", "of 40 trajectories, with Wilson intervals", _fixed_shares),),
    curves=curves,
    sizes={"quick": 8, "standard": 60, "full": 3000},
    printed="open",
)
