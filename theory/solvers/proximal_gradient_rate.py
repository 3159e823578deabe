"""The tight rate of proximal gradient descent: L R^2 / (4 k), half of the textbook bound."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

import sparseopt as so

from ..instances import REAL_DATA
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .composite_run import (
    ExactRun,
    Run,
    attained,
    convex_margin,
    exact_run,
    random_run,
    real_run,
    square_run,
    step_margin,
)
from .rate_curves import composite_curves
from .tight_rates import STEPS, certificate, composite_rate, no_momenta

SOLVER = so.solvers.ProximalGradient()


def rate(k: int) -> float:
    """1 / (4 k)."""
    return composite_rate([float(v) for v in no_momenta(k)])


def textbook(k: int) -> float:
    """1 / (2 k)."""
    return 1 / (2 * k)


def draw(rng: np.random.Generator) -> Run:
    """A group LASSO with a strongly convex quadratic."""
    return random_run(rng, SOLVER)


def conclusion(instance: Run | ExactRun) -> tuple[Evidence, ...]:
    """Every iterate is below the tight rate, and the distance shrinks by 1 - mu/L a step."""
    if isinstance(instance, ExactRun):
        return instance.evidence()
    bounds = [np.inf, *(rate(k) for k in range(1, instance.steps + 1))]
    factor = 1 - instance.mu / instance.problem.smoothness
    distances = np.array([np.linalg.norm(w - instance.solution) for w in instance.points])
    limits = factor ** np.arange(len(distances)) * instance.distance
    k = int(np.argmax(distances - limits))
    rounding = instance.error + instance.rounding / (instance.problem.smoothness * instance.distance)
    return (
        instance.worst("F(x_k) - F* <= L R^2 / (4 k)", bounds),
        Evidence("|x_k - x*| <= (1 - mu/L)^k |x_0 - x*|", float(distances[k]), float(limits[k]), rounding),
    )


HYPOTHESES = (
    Hypothesis("convex", "the penalty is convex", convex_margin),
    Hypothesis("step", "the step is at most 1/L", step_margin),
)


def trapped_instance() -> ExactRun:
    """H = diag(1/16, 1), b = (1/4, 0), MCP(gamma = 2), lam = 1/2: 0 is a fixed point, (4, 0) is lower by 1/4.

    At 0 the gradient -1/4 is below lam; F(0) = 0 and F(4, 0) = -1/2 + gamma lam^2 / 2 = -1/4; R = 4.
    """
    H = np.diag([1 / 16, 1.0])
    problem = so.Problem.quadratic(H, np.array([0.25, 0.0]), so.GroupMCP(0.5, so.Groups.uniform(2, 1), 2.0, "none"))
    best = Fraction(problem.objective(np.array([4.0, 0.0])))
    points = exact_run(problem, SOLVER, [0.0, 0.0], 40)
    values = [Fraction(problem.objective(np.array(u, dtype=float))) - best for u in points]
    return ExactRun(tuple(values), _bounds(41, 16), convex=False)


def long_step_instance() -> ExactRun:
    """F = u^2/2 with steps of 3 from u = 1: u_k = (-2)^k."""
    return ExactRun(tuple(square_run(3.0, 8)), _bounds(9, 1), step=Fraction(3))


def _bounds(count: int, square: int) -> tuple[Fraction, ...]:
    """R^2 / (4 k) for R^2 = square, L = 1; 2^20 at k = 0."""
    return tuple(Fraction(square, 4 * k) if k else Fraction(2**20) for k in range(count))


COUNTEREXAMPLES = (
    Counterexample("convex", "a flat penalty", "MCP holds the method at 0, 1/4 above the minimum", trapped_instance),
    Counterexample("step", "steps of 3/L", "F = u^2/2 from 1: u_k = (-2)^k diverges", long_step_instance),
)


def _fixed_certificates() -> tuple[Evidence, ...]:
    return tuple(e for n in range(1, STEPS + 1) for e in certificate("proximal_gradient", n, rate(n)))


def _fixed_attained() -> tuple[Evidence, ...]:
    return attained(SOLVER, rate, (1, 2, 3, 5, 10, 50))


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    return conclusion(real_run(name, SOLVER))


def curves(seed: int) -> dict[str, Columns]:
    """rates: textbook, tight, PEPit's and the proved rate over k, the largest of 12 runs, and the worst instance's."""
    return composite_curves(seed, "proximal_gradient", draw, textbook, rate, SOLVER)


THEOREM = Theorem(
    name="proximal_gradient_rate",
    ledger="D4",
    title="The tight rate of proximal gradient descent",
    statement=(
        r"For L-smooth convex f, convex h and steps of 1/L, F(x_k) - F^* \le L \|x_0 - x^*\|^2 / (4 k), half of the "
        r"textbook bound and attained; if f is \mu-strongly convex, \|x_k - x^*\| \le (1 - \mu/L)^k \|x_0 - x^*\|."
    ),
    source="Textbook: Beck and Teboulle (2009), Theorem 3.1; tight: performance estimation (Taylor et al., 2017)",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("exact certificates", "rational multipliers prove the rate of 1 to 10 steps", _fixed_certificates),
        Fixed("attained", "the library's own run on c|x| reaches the rate", _fixed_attained),
        *(
            Fixed(name, "the group LASSO on real data at .1 lambda_max", lambda n=name: _fixed_real(n))
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 30, "standard": 80, "full": 20_000},
    printed="holds",
)
