"""Iterative hard thresholding contracts under restricted isometry, with the golden ratio as its constant."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

import sparseopt as so

from ..instances import EPS
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem

GOLDEN = (1 + math.sqrt(5)) / 2
STEPS = 60


@dataclass(frozen=True)
class Recovery:
    """IHT with steps of 1 and s kept entries on |A(x - truth)|^2/2.  H: A'A [p, p].  truth, start: [p]."""

    H: np.ndarray
    truth: np.ndarray
    start: np.ndarray
    s: int
    exact: bool = False

    @cached_property
    def delta(self) -> float:
        """The restricted isometry constant of 3 s entries, by going through all subsets."""
        size = min(3 * self.s, len(self.H))
        subsets = itertools.combinations(range(len(self.H)), size)
        blocks = np.array([self.H[np.ix_(S, S)] for S in subsets])
        return float(np.abs(np.linalg.eigvalsh(blocks) - 1).max())

    @cached_property
    def distances(self) -> list[np.ndarray]:
        """x_k - truth for k = 0, ..., STEPS."""
        kept = so.sets.TopGroups(self.s, so.Groups.uniform(len(self.H), 1))
        problem = so.Problem.quadratic(self.H, self.H @ self.truth, kept)
        states = so.iterate(problem, so.solvers.IHT(step_size=1.0), self.start)
        return [state.w - self.truth for state in itertools.islice(states, STEPS + 1)]

    @property
    def halving(self) -> int:
        """Steps after which the bound has halved the distance; STEPS where it does not contract."""
        rate = GOLDEN * self.delta
        return min(STEPS, math.ceil(math.log(2) / -math.log(rate))) if 0 < rate < 1 else 1 if rate == 0 else STEPS


def draw(rng: np.random.Generator) -> Recovery:
    """p = 6 to 9, s = 1 or 2, H = I + a symmetric perturbation scaled to a drawn delta below .61."""
    p, s = int(rng.integers(6, 10)), int(rng.integers(1, 3))
    E = rng.standard_normal((p, p))
    base = Recovery(np.eye(p) + (E + E.T) / 2, np.zeros(p), np.zeros(p), s)
    scale = float(rng.uniform(0.05, 0.61)) / base.delta
    H = np.eye(p) + scale * (E + E.T) / 2
    lowest = float(np.linalg.eigvalsh(H)[0])
    if lowest < 0:
        H += 1e-3 * np.eye(p) - min(lowest, 0.0) * np.eye(p)
        H /= np.linalg.eigvalsh(H)[-1] / 1.2
    truth, start = (np.zeros(p) for _ in range(2))
    truth[rng.choice(p, s, replace=False)] = rng.standard_normal(s) * 10 ** rng.uniform(-1, 1)
    start[rng.choice(p, s, replace=False)] = rng.standard_normal(s)
    return Recovery(H, truth, start, s)


def conclusion(instance: Recovery) -> tuple[Evidence, ...]:
    """|x_{k+1} - x*| <= golden delta |x_k - x*| at every step, so the distance is halved in time."""
    sizes = np.array([np.linalg.norm(d) for d in instance.distances])
    if instance.exact:
        squares = [sum((Fraction(float(v)) ** 2 for v in d), Fraction(0)) for d in instance.distances]
        return (Evidence("the distance is halved in time", 4 * squares[instance.halving], squares[0]),)
    rounding = 64 * EPS * len(instance.H) * (sizes.max() + float(np.abs(instance.truth).max()))
    excess = sizes[1:] - GOLDEN * instance.delta * sizes[:-1]
    k = int(np.argmax(excess))
    limit = GOLDEN * instance.delta * float(sizes[k])
    return (
        Evidence(f"|x_(k+1) - x*| <= golden delta |x_k - x*| at k = {k}", float(sizes[k + 1]), limit, rounding),
        Evidence("the distance is halved in time", 2 * float(sizes[instance.halving]), float(sizes[0]), rounding),
    )


def isometry_margin(instance: Recovery) -> float:
    """1 / golden - delta."""
    return 1 / GOLDEN - instance.delta


def sparse_margin(instance: Recovery) -> float:
    """s + 1/2 less the number of nonzero entries of the truth."""
    return instance.s + 0.5 - float(np.count_nonzero(instance.truth))


HYPOTHESES = (
    Hypothesis("restricted isometry", "delta_3s < (sqrt(5) - 1)/2 = .618", isometry_margin),
    Hypothesis("sparse truth", "the truth has at most s nonzero entries", sparse_margin),
)

COUNTEREXAMPLES = (
    Counterexample(
        "restricted isometry",
        "two opposite columns",
        "H = [[1, -1], [-1, 1]]: (0, -1) fits as well as (1, 0), so IHT stays there",
        lambda: Recovery(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([1.0, 0.0]), np.array([0.0, -1.0]), 1, True),
    ),
    Counterexample(
        "sparse truth",
        "one entry kept of two",
        "H = I, truth (1, 1): the best with one entry stays at distance 1",
        lambda: Recovery(np.eye(2), np.array([1.0, 1.0]), np.array([1.0, 0.0]), 1, True),
    ),
)


def expansion(v: np.ndarray, x: np.ndarray, s: int) -> float:
    """|H_s(v) - x| / |v - x| for the hard threshold H_s."""
    kept = so.sets.TopGroups(s, so.Groups.uniform(len(v), 1)).project(v)
    return float(np.linalg.norm(kept - x) / np.linalg.norm(v - x))


def _fixed_golden() -> tuple[Evidence, ...]:
    """The expansion of the hard threshold is the golden ratio at ((sqrt 5 - 1)/2)(1, 1) and x = (1, 0), never more."""
    rng = np.random.default_rng(0)
    c = GOLDEN - 1
    edge = expansion(np.array([c - 1e-9, c]), np.array([1.0, 0.0]), 1)
    largest = 0.0
    for _ in range(400):
        p, s = int(rng.integers(2, 7)), 1
        x = np.zeros(p)
        x[0] = 1.0
        v = x * rng.uniform(0, 1) + rng.uniform(0, 1) * rng.standard_normal(p)
        largest = max(largest, expansion(v, x, s))
    return (
        Evidence("the golden ratio is reached", GOLDEN, edge, 1e-8),
        Evidence("and never exceeded", largest, GOLDEN, 64 * EPS),
    )


def curves(seed: int) -> dict[str, Columns]:
    """factors: the largest |x_(k+1) - x*| / |x_k - x*| of a run over delta, with the bound.  expansion: over the second
    entry c of v = (1 - c + c^2, c), the expansion of the hard threshold from x = (1, 0).
    """
    rng = np.random.default_rng(seed)
    deltas, factors = [], []
    for _ in range(30):
        case = draw(rng)
        sizes = np.array([np.linalg.norm(d) for d in case.distances[:6]])
        used = sizes[:-1] > 1e-9 * sizes[0]
        deltas.append(case.delta)
        factors.append(float((sizes[1:][used] / sizes[:-1][used]).max()))
    c = np.linspace(0.05, 1.5, 59)
    rows = [expansion(np.array([value * (1 - 1e-9), value]), np.array([1.0, 0.0]), 1) for value in c]
    return {"factors": {"delta": deltas, "factor": factors}, "expansion": {"c": c, "expansion": rows}}


THEOREM = Theorem(
    name="iht_contracts",
    ledger="D8",
    title="Hard thresholding contracts under restricted isometry",
    statement=(
        r"For y = A x^* with s-sparse x^*, steps of 1 and \delta the restricted isometry constant of 3 s columns, "
        r"\|x_{k+1} - x^*\| \le \phi \delta \|x_k - x^*\| with \phi = (1 + \sqrt{5}) / 2: a contraction for "
        r"\delta < 0.618."
    ),
    source="Blumensath and Davies (2009) with sqrt(8); the golden ratio from the sharp expansion of the hard threshold",
    kind="sampled",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(Fixed("golden ratio", "the expansion of the hard threshold is at most the golden ratio", _fixed_golden),),
    curves=curves,
    sizes={"quick": 30, "standard": 150, "full": 20_000},
    printed="holds",
)
