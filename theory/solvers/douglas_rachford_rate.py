"""The tight rate of Douglas-Rachford splitting, and so of ADMM, on convex sets."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

import sparseopt as so

from ..instances import EPS, conditioned_quadratic, random_groups
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .at_point import SLACK
from .rate_curves import proofs
from .tight_rates import STEPS, certificate, fixed_point_rate

STIFF = 2.0**26
"""Curvature of the f that stands for a line; its prox differs from the projection by a part of 1 / STIFF."""


@dataclass(frozen=True)
class SplittingRun:
    """`steps` sweeps of ADMM, order Z, on min f over a set from w0 [p].  s = x - u is the point of Douglas-Rachford.

    mu: strong convexity of f.
    """

    problem: so.Problem
    rho: float
    w0: np.ndarray
    mu: float
    steps: int = 40

    @cached_property
    def points(self) -> np.ndarray:
        """s_0, ..., s_steps."""
        states = so.iterate(self.problem, so.solvers.ADMM(rho=self.rho), self.w0)
        return np.array([state.x - state.multiplier for state in itertools.islice(states, self.steps + 1)])

    @cached_property
    def limit(self) -> tuple[np.ndarray, float]:
        """A point near s* = x* + gradient(x*)/rho, and a bound on its distance.

        A projected gradient step contracts by 1 - mu/L, so |x - x*| <= L/mu |its move|, rounding included.
        """
        problem, L = self.problem, self.problem.smoothness
        x = so.solve(problem, so.solvers.FISTA(), tol=1e-14, max_iter=400, throw=False).w
        move = problem.penalty.prox(x - problem.gradient(x) / L, 1 / L) - x
        rounding = 64 * EPS * len(x) * (1 + float(np.abs(x).max()))
        error = (float(np.linalg.norm(move)) + rounding) * L / self.mu
        return x + problem.gradient(x) / self.rho, error * (1 + L / self.rho)


@dataclass(frozen=True)
class ExactSplitting:
    """moves: |s_{j+1} - s_j|^2 of a run in floats, as rationals.  square: |s_0 - s*|^2.  convex: whether the set is."""

    moves: tuple[Fraction, ...]
    square: Fraction
    convex: bool

    def evidence(self) -> tuple[Evidence, ...]:
        """Every move against the rate."""
        bounds = [fixed_point_rate(j) * self.square for j in range(len(self.moves))]
        j = max(range(len(bounds)), key=lambda i: self.moves[i] - bounds[i])
        return (Evidence(f"|s_(j+1) - s_j|^2 is below the rate at j = {j}", self.moves[j], bounds[j]),)


def draw(rng: np.random.Generator) -> SplittingRun:
    """A quadratic of condition 1 to 50 over a ball, a box or a simplex; rho from mu/3 to 3 L."""
    groups = random_groups(rng, int(rng.integers(2, 5)), 3)
    p = groups.n_features
    loss = conditioned_quadratic(rng, groups, float(10 ** rng.uniform(0, 1.7)))
    radius = float(rng.uniform(0.2, 2))
    sets = (
        so.sets.L1Ball(radius),
        so.sets.GroupBall(radius, groups),
        so.sets.Box(-radius, radius / 2),
        so.sets.CappedSimplex(float(rng.uniform(0.3, 0.7)) * p),
    )
    problem = so.Problem.quadratic(loss.H, loss.b, sets[rng.integers(4)])
    rho = float(np.exp(rng.uniform(np.log(loss.mu / 3), np.log(3.0))))
    return SplittingRun(problem, rho, 3 * rng.standard_normal(p), loss.mu)


def conclusion(instance: SplittingRun | ExactSplitting) -> tuple[Evidence, ...]:
    """Every move is below the tight rate; the distance to the fixed point never grows."""
    if isinstance(instance, ExactSplitting):
        return instance.evidence()
    fixed, error = instance.limit
    moves = np.linalg.norm(np.diff(instance.points, axis=0), axis=1)
    distance = float(np.linalg.norm(instance.points[0] - fixed)) + error
    bounds = np.array([float(fixed_point_rate(j)) ** 0.5 for j in range(len(moves))]) * distance
    j = int(np.argmax(moves / bounds))
    distances = np.linalg.norm(instance.points - fixed, axis=1)
    rounding = 64 * EPS * len(instance.w0) * float(np.abs(instance.points).max())
    return (
        Evidence(f"|s_(j+1) - s_j| is below the rate at j = {j}", float(moves[j]), float(bounds[j]), rounding),
        Evidence("the distance to s* never grows", float(np.diff(distances).max()), 0.0, 2 * error + rounding),
    )


def convex_margin(instance: SplittingRun | ExactSplitting) -> float:
    """1 where the set is convex."""
    return 1.0 if (instance.convex if isinstance(instance, ExactSplitting) else instance.problem.convex) else -1.0


def loss_margin(instance: SplittingRun | ExactSplitting) -> float:
    """Strong convexity of the loss plus 2^-40."""
    return (1.0 if isinstance(instance, ExactSplitting) else instance.mu) + SLACK


HYPOTHESES = (
    Hypothesis("convex set", "the set is convex", convex_margin),
    Hypothesis(
        "convex loss", "f is convex", loss_margin, necessary=False, why="every datafit of the library is convex"
    ),
)


def tie_instance() -> ExactSplitting:
    """f = (x_1 - 1)^2/2 + (x_2 - 1/2)^2 over one nonzero entry, rho = 1: the tie at s* sends its neighbour elsewhere.

    s* = (1, -1) is fixed with the tie going to the first entry; from s_0 = (1, -1 - 3/16) the second one is kept.
    """
    one = so.sets.TopGroups(1, so.Groups.uniform(2, 1))
    problem = so.Problem.quadratic(np.diag([1.0, 2.0]), np.array([1.0, 1.0]), one)
    run = SplittingRun(problem, 1.0, np.array([1.0, -1 / 16]), 1.0, steps=4)
    points = [[Fraction(float(v)) for v in s] for s in run.points]
    moves = tuple(_square(b, a) for a, b in itertools.pairwise(points))
    return ExactSplitting(moves, _square(points[0], [Fraction(1), Fraction(-1)]), convex=False)


def _square(a: list[Fraction], b: list[Fraction]) -> Fraction:
    return sum(((x - y) ** 2 for x, y in zip(a, b, strict=True)), Fraction(0))


COUNTEREXAMPLES = (
    Counterexample(
        "convex set", "a tie of the projection", "two points near each other are sent far apart", tie_instance
    ),
)


def two_lines(j: int, stiffness: float = STIFF) -> SplittingRun:
    """The worst case of j moves: two lines at the angle with cos^2 = j / (j + 1), one of them a set, one a stiff f."""
    cosine, sine = np.sqrt(j / (j + 1)), np.sqrt(1 / (j + 1))
    normal = np.array([-sine, cosine])
    line = so.sets.Box(np.array([-np.inf, 0.0]), np.array([np.inf, 0.0]))
    problem = so.Problem.quadratic(stiffness * np.outer(normal, normal), np.zeros(2), line)
    return SplittingRun(problem, 1.0, np.array([cosine, sine]), 0.0, steps=j + 1)


def _fixed_attained() -> tuple[Evidence, ...]:
    found = []
    for j in (1, 2, 5, 10, 30):
        points = two_lines(j).points
        start, last = float(points[0] @ points[0]), float(np.sum((points[j + 1] - points[j]) ** 2))
        share = last / start / float(fixed_point_rate(j))
        found.append(Evidence(f"two lines attain the rate at j = {j}", abs(share - 1), 0.0, 16 * (j + 1) ** 2 / STIFF))
    return tuple(found)


def _fixed_certificates() -> tuple[Evidence, ...]:
    return tuple(e for n in range(1, STEPS + 1) for e in certificate("fixed_point", n, float(fixed_point_rate(n))))


def curves(seed: int) -> dict[str, Columns]:
    """rates: over j: textbook 1/(j + 1), tight, two lines, and the largest of 12 runs.  proofs: proved and PEPit's."""
    rng = np.random.default_rng(seed)
    runs = [draw(rng) for _ in range(12)]
    shares = []
    for run in runs:
        moves = np.sum(np.diff(run.points, axis=0) ** 2, axis=1)
        shares.append(moves / (np.linalg.norm(run.points[0] - run.limit[0]) + run.limit[1]) ** 2)
    steps = list(range(1, 31))
    lines = [two_lines(j).points for j in steps]
    columns = {
        "k": steps,
        "textbook": [1 / (j + 1) for j in steps],
        "tight": [float(fixed_point_rate(j)) for j in steps],
        "worst_instance": [float(np.sum((s[-1] - s[-2]) ** 2) / (s[0] @ s[0])) for s in lines],
        "observed": [max(float(share[j]) for share in shares) for j in steps],
    }
    return {"rates": columns, "proofs": proofs("fixed_point")}


THEOREM = Theorem(
    name="douglas_rachford_rate",
    ledger="C3",
    title="The tight rate of Douglas-Rachford splitting",
    statement=(
        r"For convex f and a closed convex set, s = x - u of ADMM moves by \|s_{j+1} - s_j\|^2 \le (j / (j + 1))^j "
        r"\|s_0 - s^*\|^2 / (j + 1) for every \rho > 0, attained by two lines; the textbook bound has no first factor."
    ),
    source="Textbook: firm nonexpansiveness; tight: Gu and Yang (2020), for the proximal point algorithm",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("exact certificates", "rational multipliers prove the rate of 1 to 10 moves", _fixed_certificates),
        Fixed("attained", "ADMM on two lines reaches the rate", _fixed_attained),
    ),
    curves=curves,
    sizes={"quick": 12, "standard": 40, "full": 5000},
    printed="holds",
)
