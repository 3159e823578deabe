"""On a convex set ADMM contracts with a rate that is known and attained, and its movements fall like 1 / sqrt(j)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

import sparseopt as so

from ..instances import EPS, REAL_DATA, random_groups, real_data
from ..sequential_attention.scalar_functions import SLACK
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .exact import SIGNS, ExactRun, Segment, minus, square
from .runs import Run

SWEEPS = 40
WIDE = 10**6
"""Half the length of a segment that is never left."""


@dataclass(frozen=True)
class Convergence:
    """A run with a known solution [p] over its set.  mu, curvature: between them lie all curvatures of the loss."""

    run: Run | ExactRun
    mu: Any
    curvature: Any
    solution: Any

    @property
    def exact(self) -> bool:
        """Whether everything is rational."""
        return isinstance(self.run, ExactRun)

    @property
    def rate(self) -> Any:
        """The claimed factor of a sweep."""
        return contraction(self.run.rho, self.mu, self.curvature)


def contraction(rho: Any, mu: Any, curvature: Any) -> Any:
    """(1 + delta) / 2, delta = max((L / rho - 1) / (L / rho + 1), (1 - mu / rho) / (1 + mu / rho))."""
    delta = max((curvature - rho) / (curvature + rho), (rho - mu) / (rho + mu))
    return (1 + delta) / 2


def distances(instance: Convergence) -> tuple[list[Any], list[Any]]:
    """|s_j - s*|^2 and |s_(j+1) - s_j|^2 of the iterates s of the Douglas-Rachford iteration (ledger C1)."""
    run, x = instance.run, instance.solution
    if isinstance(run, ExactRun):
        exact = [minus(state.x, state.u) for state in run.states]
        target = [a + g / run.rho for a, g in zip(x, run.gradient(x), strict=True)]
        return [square(minus(s, target)) for s in exact], [square(minus(t, s)) for s, t in itertools.pairwise(exact)]
    pull = run.gradient(x) / run.rho
    if run.solver.z_first:
        points, target = [state.x - state.multiplier for state in run.states], x + pull
    else:
        points = [after.x + before.multiplier for before, after in itertools.pairwise(run.states)]
        target = x - pull
    moves = [float(np.sum((t - s) ** 2)) for s, t in itertools.pairwise(points)]
    return [float(np.sum((s - target) ** 2)) for s in points], moves


def conclusion(instance: Convergence) -> tuple[Evidence, ...]:
    """Contraction of every sweep, and the movements against the first distance."""
    far, moves = distances(instance)
    if isinstance(instance.run, ExactRun):
        tolerance: Any = 0
        steps = [after - instance.rate**2 * before for before, after in itertools.pairwise(far)]
    else:
        tolerance = 4 * instance.run.rounding
        steps = [math.sqrt(after) - instance.rate * math.sqrt(before) for before, after in itertools.pairwise(far)]
    slow = [(j + 1) * move - far[0] for j, move in enumerate(moves)]
    size = 0 if instance.exact else 4 * math.sqrt(far[0]) + tolerance
    return (
        Evidence("|s+ - s*| <= (1 + delta) / 2 |s - s*|", max(steps), 0 * far[0], tolerance),
        Evidence("(j + 1) |s_(j+1) - s_j|^2 <= |s_0 - s*|^2", max(slow), 0 * far[0], len(moves) * tolerance * size),
    )


def draw(rng: np.random.Generator) -> Convergence:
    """Both orders on boxes, balls of the group norm and capped simplices, rho / sqrt(mu L) from 1/10 to 10.

    Half of the losses are not strongly convex.  The solution comes first: b = H x* + a normal of the set at x*.
    """
    groups = random_groups(rng, int(rng.integers(2, 6)), 3)
    p = groups.n_features
    V, values = np.linalg.qr(rng.standard_normal((p, p)))[0], np.geomspace(10 ** rng.uniform(-2, 0), 1, p)
    if rng.random() < 0.5:
        values[: p // 2] = 0.0
    H = (V * values) @ V.T
    chosen: Any = (
        so.sets.Box(-1.0, 1.0),
        so.sets.GroupBall(float(rng.uniform(0.5, 3)), groups),
        so.sets.CappedSimplex(float(rng.integers(1, p))),
    )[int(rng.integers(3))]
    outside = 2 * rng.standard_normal(p)
    x = np.asarray(chosen.project(outside))
    problem = so.Problem.quadratic((H + H.T) / 2, H @ x + outside - x, chosen)
    rho = float(np.sqrt(max(values[0], 1e-2)) * 10 ** rng.uniform(-1, 1))
    solver = so.solvers.ADMM(rho=rho, z_first=bool(rng.integers(2)))
    start = 3 * rng.standard_normal(p)
    mu = max(float(values[0]) - 64 * EPS * p, 0.0)
    return Convergence(Run(problem, solver, start, SWEEPS, 0.0), mu, 1 + 64 * EPS * p, x)


def curvature_margin(instance: Convergence) -> float:
    """How far the eigenvalues of H lie inside [mu, L], plus 2^-40."""
    if isinstance(instance.run, ExactRun):
        (h,) = instance.run.H[0]
        return float(min(h - instance.mu, instance.curvature - h)) + SLACK
    values = np.linalg.eigvalsh(instance.run.problem.datafit.H)
    return float(min(values[0] - instance.mu, instance.curvature - values[-1])) + SLACK


def convex_margin(instance: Convergence) -> float:
    """1 where the set is convex, by its own account; for rational sets one piece is."""
    if isinstance(instance.run, ExactRun):
        return 1.0 if len(instance.run.pieces) == 1 else -1.0
    return 1.0 if instance.run.problem.convex else -1.0


HYPOTHESES = (
    Hypothesis("convex set", "S is convex and closed", convex_margin),
    Hypothesis("curvature", "f is convex, with curvatures between mu and L", curvature_margin),
    Hypothesis(
        "solution",
        "f has a minimiser x* over S",
        lambda i: 1.0,
        necessary=False,
        why="it defines s* = x* + gradient(x*) / rho; without one there is nothing to converge to",
    ),
)


def line_run(h: Fraction, low: int, high: int, rho: Fraction, start: Fraction, sweeps: int = 20) -> ExactRun:
    """f = h x^2 / 2 on the segment from low to high; its solution is 0."""
    piece = Segment(Fraction(low), Fraction(high))
    return ExactRun([[h]], [Fraction(0)], (piece,), rho, [start], h, Fraction(0), sweeps=sweeps)


def signs_instance() -> Convergence:
    """f = x^2 / 2 on {-1, 1} with rho = 1/2 on its orbit of period 2; x* = 1 is a minimiser."""
    start = [Fraction(1, 5)]
    run = ExactRun([[Fraction(1)]], [Fraction(0)], SIGNS, Fraction(1, 2), start, Fraction(1), Fraction(1, 2))
    return Convergence(run, Fraction(1), Fraction(1), [Fraction(1)])


def flat_instance() -> Convergence:
    """f = x^2 / 20 on the line, claimed to have mu = L = 1, with rho = 1: the factor is 10/11, not 1/2."""
    run = line_run(Fraction(1, 10), -WIDE, WIDE, Fraction(1), Fraction(1))
    return Convergence(run, Fraction(1), Fraction(1), [Fraction(0)])


def steep_instance() -> Convergence:
    """f = 5 x^2 on {0}, claimed to have mu = L = 1, with rho = 1: the factor is 10/11, not 1/2."""
    run = line_run(Fraction(10), 0, 0, Fraction(1), Fraction(1))
    return Convergence(run, Fraction(1), Fraction(1), [Fraction(0)])


COUNTEREXAMPLES = (
    Counterexample(
        "convex set",
        "x^2 / 2 on {-1, 1}, rho = 1/2",
        "s = -3/5 and 3/5 in turn: no contraction, and the movement never falls",
        signs_instance,
    ),
    Counterexample("curvature", "a flatter loss", "with curvature 1/10 where mu = 1 is claimed", flat_instance),
    Counterexample("curvature", "a steeper loss", "with curvature 10 where L = 1 is claimed", steep_instance),
)


def _fixed_attained() -> tuple[Evidence, ...]:
    """On the line the flattest direction contracts with (1 + delta) / 2, on a point the steepest."""
    found = []
    for mu, top, rho in (("1/10", "1", "1/3"), ("1/10", "1", "1/10"), ("1/4", "9", "3")):
        low, high, strength = Fraction(mu), Fraction(top), Fraction(rho)
        pairs = ((low, WIDE), (high, 0))
        factors = []
        for h, end in pairs:
            run = Convergence(line_run(h, -end, end, strength, Fraction(1), 1), low, high, [Fraction(0)])
            far = distances(run)[0]
            factors.append(far[1] / far[0])
        rate = contraction(strength, low, high)
        found.append(
            Evidence(f"attained for mu = {mu}, L = {top}, rho = {rho}", abs(max(factors) - rate**2), Fraction(0))
        )
    return tuple(found)


def _fixed_best() -> tuple[Evidence, ...]:
    """rho = sqrt(mu L) is the best, with the rate sqrt(kappa) / (sqrt(kappa) + 1)."""
    found = []
    for root in (Fraction(2), Fraction(5), Fraction(30)):
        mu, top = Fraction(1), root * root
        best = contraction(root, mu, top)
        others = [
            contraction(root * f, mu, top) for f in (Fraction(1, 3), Fraction(9, 10), Fraction(11, 10), Fraction(3))
        ]
        found += [
            Evidence(f"the rate at rho = sqrt(mu L) for kappa = {top}", abs(best - root / (root + 1)), Fraction(0)),
            Evidence("no other rho is better", best, min(others)),
        ]
    return tuple(found)


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    """The Hessian of real data on the ball of the group norm; the solution comes first, as in `draw`."""
    loss, found = real_data(name), list[Evidence]()
    H, p = loss.H / loss.eigenvalues[-1], len(loss.b)
    chosen: Any = so.sets.GroupBall(1.0, loss.groups)
    outside = 3 * loss.b / np.linalg.norm(loss.b)
    x = np.asarray(chosen.project(outside))
    problem = so.Problem.quadratic(H, H @ x + outside - x, chosen)
    mu = max(float(loss.eigenvalues[0] / loss.eigenvalues[-1]) - 64 * EPS * p, 0.0)
    for z_first in (True, False):
        run = Run(problem, so.solvers.ADMM(rho=0.3, z_first=z_first), np.zeros(p), SWEEPS, 0.0)
        found += conclusion(Convergence(run, mu, 1 + 64 * EPS * p, x))
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """rates: the claimed factor and the largest one seen, over rho / sqrt(mu L).  slow: movements, with their bound."""
    return {"rates": _rates(seed), "slow": _slow()}


def _rates(seed: int) -> Columns:
    rng, mu = np.random.default_rng(seed), 0.01
    H = np.diag(np.geomspace(mu, 1, 6))
    ratios, seen = np.geomspace(0.03, 30, 13), []
    outside = 2 * rng.standard_normal((3, 6))
    for ratio in ratios:
        worst = 0.0
        for v, chosen in zip(outside, (so.sets.Box(-1.0, 1.0), so.sets.Box(0.0, 0.0), so.sets.Box()), strict=True):
            x = np.asarray(chosen.project(v))
            problem = so.Problem.quadratic(H, H @ x + v - x, chosen)
            solver = so.solvers.ADMM(rho=float(ratio) * mu**0.5)
            run = Run(problem, solver, x + rng.standard_normal(6), 25, 0.0)
            far, _ = distances(Convergence(run, mu, 1.0, x))
            worst = max(worst, *(math.sqrt(b / a) for a, b in itertools.pairwise(far) if a > 1e-16 * far[0]))
        seen.append(worst)
    return {"ratio": ratios, "bound": [contraction(r * mu**0.5, mu, 1.0) for r in ratios], "seen": seen}


def _slow() -> Columns:
    """A loss with many scales, the slowest of which is as slow as the number of sweeps."""
    sweeps = 100
    H, x = np.diag(np.geomspace(1e-4, 1, 30)), np.zeros(30)
    problem = so.Problem.quadratic(H, x, so.sets.Box(-WIDE, WIDE))
    run = Run(problem, so.solvers.ADMM(rho=1.0), np.ones(30), sweeps, 0.0)
    far, moves = distances(Convergence(run, 0.0, 1.0, x))
    count = np.arange(1, sweeps + 1)
    return {"sweep": count, "movement": np.sqrt(moves), "bound": math.sqrt(far[0]) / np.sqrt(count)}


THEOREM = Theorem(
    name="admm_on_convex_sets",
    ledger="C3",
    title="ADMM on a convex set contracts with a known rate",
    statement=(
        r"Let S be convex and closed, and the curvature of f between \mu \ge 0 and L. Then the Douglas-Rachford "
        r"iterates s of ADMM, in both orders, satisfy |s^+ - s^*| \le (1 + \delta) / 2 |s - s^*| with "
        r"\delta = max((L / \rho - 1) / (L / \rho + 1), (1 - \mu / \rho) / (1 + \mu / \rho)), which is attained; the "
        r"best \rho is \sqrt{\mu L}, with the factor \sqrt{\kappa} / (\sqrt{\kappa} + 1), \kappa = L / \mu. Also for "
        r"\mu = 0, |s_{j+1} - s_j|^2 \le |s_0 - s^*|^2 / (j + 1)."
    ),
    source="known: Giselsson and Boyd, Linear convergence and metric selection for Douglas-Rachford splitting (2017)",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("attained", "one-dimensional losses, in rational numbers", _fixed_attained),
        Fixed("best rho", "the rate at the geometric mean of mu and L, in rational numbers", _fixed_best),
        *(
            Fixed(name, "Hessians of real data on a ball of the group norm, both orders", lambda n=name: _fixed_real(n))
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 40, "standard": 300, "full": 20_000},
    printed="holds",
)
