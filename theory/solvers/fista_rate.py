"""The tight rate of FISTA: L R^2 / (4 S_k), S_k the path that its momentum makes of unit steps."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

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
    slope_problem,
    step_margin,
)
from .rate_curves import composite_curves
from .tight_rates import STEPS, certificate, composite_rate, library_momenta, nesterov_momenta

SOLVER = so.solvers.FISTA(restart=False)


@cache
def momenta() -> tuple[float, ...]:
    """As the solver of the library has them, up to step 60; pinned to the formula by a fixed check."""
    return tuple(float(v) for v in library_momenta(SOLVER, 60))


def rate(k: int) -> float:
    """1 / (4 S_k)."""
    return composite_rate(momenta()[: k - 1])


def textbook(k: int) -> float:
    """2 / (k + 1)^2."""
    return 2 / (k + 1) ** 2


def draw(rng: np.random.Generator) -> Run:
    """A group LASSO with a strongly convex quadratic."""
    return random_run(rng, SOLVER)


def conclusion(instance: Run | ExactRun) -> tuple[Evidence, ...]:
    """Every iterate is below the tight rate, which is below the textbook bound."""
    if isinstance(instance, ExactRun):
        return instance.evidence()
    bounds = [np.inf, *(rate(k) for k in range(1, instance.steps + 1))]
    return (instance.worst("F(x_k) - F* <= L R^2 / (4 S_k)", bounds),)


def momentum_margin(instance: Run | ExactRun) -> float:
    """1 where the momentum is (t_k - 1)/t_{k+1}, without restarts."""
    if isinstance(instance, ExactRun):
        return 1.0 if instance.accelerated else -1.0
    return -1.0 if instance.solver.restart else 1.0


HYPOTHESES = (
    Hypothesis(
        "convex",
        "the penalty is convex",
        convex_margin,
        necessary=False,
        why="so.solvers.FISTA refuses others; that the rate needs it is shown for proximal gradient",
    ),
    Hypothesis("step", "the step is at most 1/L", step_margin),
    Hypothesis("momentum", "the momentum is (t_k - 1)/t_{k+1}", momentum_margin),
)


def long_step_instance() -> ExactRun:
    """F = u^2/2 with steps of 3 from u = 1."""
    problem = so.Problem.quadratic([[1.0]], [0.0], so.GroupLasso(2.0**-60, so.Groups.uniform(1, 1), "none"))
    solver = so.solvers.FISTA(step_size=3.0, restart=False)
    values = tuple(u[0] ** 2 / 2 for u in exact_run(problem, solver, [1.0], 8))
    return ExactRun(values, _bounds(9), step=Fraction(3))


def slow_instance(steps: int = 16) -> ExactRun:
    """Proximal gradient where FISTA attains its rate: f = u_2^2/2, h = c|u|, c a power of two near 2 rate(16)."""
    slope = 2.0 ** np.floor(np.log2(2 * rate(steps)))
    problem = slope_problem(slope)
    points = exact_run(problem, so.solvers.ProximalGradient(), [1.0, 0.0], steps)
    values = tuple(Fraction(slope) * abs(u[0]) for u in points)
    return ExactRun(values, _bounds(steps + 1), accelerated=False)


def _bounds(count: int) -> tuple[Fraction, ...]:
    """The rates for L = R = 1; 2^20 at k = 0."""
    return tuple(Fraction(rate(k)) if k else Fraction(2**20) for k in range(count))


COUNTEREXAMPLES = (
    Counterexample("step", "steps of 3/L", "F = u^2/2 from 1 diverges", long_step_instance),
    Counterexample(
        "momentum", "no momentum", "proximal gradient is above the rate on c|x| after 16 steps", slow_instance
    ),
)


def _fixed_certificates(first: int, last: int) -> tuple[Evidence, ...]:
    return tuple(e for n in range(first, last + 1) for e in certificate("fista", n, rate(n)))


def _fixed_momenta() -> tuple[Evidence, ...]:
    formula = np.array([float(v) for v in nesterov_momenta(20)])
    off = float(np.abs(np.array(momenta()[:19]) - formula).max())
    ratios = [rate(k) / textbook(k) for k in range(1, 41)]
    return (
        Evidence("the library's momenta are those of the proofs", off, 0.0, 1e-10),
        Evidence("the tight rate is below the textbook bound", max(ratios), 1.0),
    )


def _fixed_attained() -> tuple[Evidence, ...]:
    return attained(SOLVER, rate, (1, 2, 3, 5, 10, 50))


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    return conclusion(real_run(name, SOLVER))


def curves(seed: int) -> dict[str, Columns]:
    """rates: textbook, tight, PEPit's and the proved rate over k, the largest of 12 runs, and the worst instance's."""
    return composite_curves(seed, "fista", draw, textbook, rate, SOLVER)


THEOREM = Theorem(
    name="fista_rate",
    ledger="D4",
    title="The tight rate of FISTA",
    statement=(
        r"For L-smooth convex f, convex h, steps of 1/L and no restarts, F(x_k) - F^* \le L \|x_0 - x^*\|^2 / (4 S_k), "
        r"S_k = d_1 + \ldots + d_k, d_1 = 1, d_{j+1} = 1 + (t_j - 1) d_j / t_{j+1}; attained, proved for k \le 10, and "
        r"below the textbook 2 L \|x_0 - x^*\|^2 / (k + 1)^2."
    ),
    source="Textbook: Beck and Teboulle (2009), Theorem 4.4; the closed form of the tight rate is our own",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("exact certificates", "rational multipliers for 1 and 2 steps", lambda: _fixed_certificates(1, 2)),
        Fixed(
            "certificates in balls",
            "rational multipliers, forms in balls, as the momentum is irrational from 3 steps on",
            lambda: _fixed_certificates(3, STEPS),
            certifies=True,
        ),
        Fixed("momenta", "those of so.solvers.FISTA, against the formula", _fixed_momenta),
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
