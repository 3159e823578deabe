"""FISTA with a constant momentum on strongly convex problems: linear convergence, and its tight rate at mu = L/4."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

import sparseopt as so

from ..instances import conditioned_quadratic, random_groups
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .at_point import SLACK
from .composite_run import ExactRun, Run, exact_run, step_margin
from .rate_curves import proofs
from .tight_rates import CONDITION, STEPS, certificate, constant_momenta, library_momenta, recorded_bound

PROVED_SHARE = 1 + 1e-12
"""Room for the rounding of eigenvalues: mu / L is 1/4 to that accuracy where the proved bounds are used."""


def textbook(k: int, q: float) -> float:
    """(1 - q)^k."""
    return (1 - q) ** k


def draw(rng: np.random.Generator) -> Run:
    """A group LASSO with a quadratic of condition 4, where tight bounds are recorded, or 1 to 1000."""
    groups = random_groups(rng, int(rng.integers(2, 6)), 3)
    condition = 4.0 if rng.random() < 0.5 else float(10 ** rng.uniform(0, 3))
    loss = conditioned_quadratic(rng, groups, condition)
    problem = loss.problem.with_lam(float(rng.uniform(0.02, 0.9)) * float(loss.tau.max()))
    solver = so.solvers.FISTA(strong_convexity=loss.mu)
    return Run(problem, solver, float(10 ** rng.uniform(-1, 1)) * rng.standard_normal(groups.n_features), loss.mu)


def conclusion(instance: Run | ExactRun) -> tuple[Evidence, ...]:
    """F(x_k) - F* <= (1 - q)^k (F(x_0) - F* + mu/2 R^2); at mu = L/4 also below the proved bounds."""
    if isinstance(instance, ExactRun):
        return instance.evidence()
    start = potential(instance)
    q = float(np.sqrt(instance.mu / instance.problem.smoothness))
    found = [_worst("(1 - q)^k", instance, [start * textbook(k, q) for k in range(instance.steps + 1)])]
    if abs(4 * q * q - 1) <= 1e-9:
        tight = [
            np.inf,
            *(start * PROVED_SHARE * float(recorded_bound("strongly_convex", k)) for k in range(1, STEPS + 1)),
        ]
        found.append(_worst("the tight rate", instance, tight))
    return tuple(found)


def potential(run: Run) -> float:
    """Upper bound of F(x_0) - F* + mu/2 |x_0 - x*|^2."""
    return float(run.excess[0]) + run.gap + run.mu / 2 * run.distance**2


def _worst(name: str, run: Run, bounds: list[float]) -> Evidence:
    k = 1 + int(np.argmax(run.excess[1 : len(bounds)] - np.array(bounds[1:])))
    return Evidence(f"F(x_k) - F* is below {name} at k = {k}", float(run.excess[k]), bounds[k], run.rounding)


def curvature_margin(instance: Run | ExactRun) -> float:
    """True curvature less the assumed one, relative to L, plus 2^-40."""
    if isinstance(instance, ExactRun):
        return float(-instance.assumed) + SLACK
    return (instance.mu - instance.solver.strong_convexity) / instance.problem.smoothness + SLACK


HYPOTHESES = (
    Hypothesis("curvature", "the assumed mu is a lower bound of the curvature", curvature_margin),
    Hypothesis("step", "the step is at most 1/L", step_margin),
)


def overestimated_instance() -> ExactRun:
    """H = diag(1/16, 1) with mu = 1 assumed: q = 1 promises the minimum after one step."""
    problem = so.Problem.quadratic(np.diag([1 / 16, 1.0]), np.zeros(2), _nearly_none(2))
    points = exact_run(problem, so.solvers.FISTA(strong_convexity=1.0), [1.0, 1.0], 6)
    values = tuple((u[0] ** 2 / 16 + u[1] ** 2) / 2 for u in points)
    return ExactRun(values, (Fraction(2), *[Fraction(0)] * 6), assumed=Fraction(15, 16))


def long_step_instance() -> ExactRun:
    """F = u^2/2, mu = 1/4, steps of 4: q = sqrt(mu step) = 1, so no momentum, and u_k = (-3)^k."""
    problem = so.Problem.quadratic([[1.0]], [0.0], _nearly_none(1))
    points = exact_run(problem, so.solvers.FISTA(step_size=4.0, strong_convexity=0.25), [1.0], 6)
    bounds = tuple(Fraction(1, 2**k) * Fraction(5, 8) for k in range(7))
    return ExactRun(tuple(u[0] ** 2 / 2 for u in points), bounds, step=Fraction(4))


def _nearly_none(p: int) -> so.GroupLasso:
    """A penalty whose prox vanishes in rounding."""
    return so.GroupLasso(2.0**-60, so.Groups.uniform(p, 1), "none")


COUNTEREXAMPLES = (
    Counterexample(
        "curvature",
        "mu overestimated",
        "mu = 1 where the curvature is 1/16: far from done after a step",
        overestimated_instance,
    ),
    Counterexample("step", "steps of 4/L", "F = u^2/2 from 1 diverges", long_step_instance),
)


def _fixed_certificates() -> tuple[Evidence, ...]:
    return tuple(e for n in range(1, STEPS + 1) for e in certificate("strongly_convex", n, None))


def _fixed_momenta() -> tuple[Evidence, ...]:
    formula = np.array([float(v) for v in constant_momenta(8)])
    found = library_momenta(so.solvers.FISTA(strong_convexity=float(CONDITION)), 8)
    q = float(CONDITION) ** 0.5
    ratios = [float(recorded_bound("strongly_convex", k)) / textbook(k, q) for k in range(1, STEPS + 1)]
    return (
        Evidence("the library's momenta are those of the proofs", float(np.abs(found - formula).max()), 0.0, 1e-10),
        Evidence("the tight rate is below the textbook bound", max(ratios), 1.0),
    )


def curves(seed: int) -> dict[str, Columns]:
    """rates: at condition 4, over k: textbook, proved bound (NaN beyond 10) and the largest of 12 runs.

    proofs: proved bounds and PEPit's numbers.
    """
    rng = np.random.default_rng(seed)
    runs = []
    while len(runs) < 12:
        run = draw(rng)
        if abs(4 * run.mu / run.problem.smoothness - 1) < 1e-9:
            runs.append(run)
    steps = list(range(1, 21))
    columns = {
        "k": steps,
        "textbook": [textbook(k, float(CONDITION) ** 0.5) for k in steps],
        "tight": [float(recorded_bound("strongly_convex", k)) if k <= STEPS else np.nan for k in steps],
        "observed": [max(max(float(r.excess[k]), 0.0) / potential(r) for r in runs) for k in steps],
    }
    return {"rates": columns, "proofs": proofs("strongly_convex")}


THEOREM = Theorem(
    name="strongly_convex_rate",
    ledger="D4",
    title="Linear convergence of FISTA with constant momentum",
    statement=(
        r"For f \mu-strongly convex and L-smooth, h convex, steps of 1/L and the momentum (1 - q)/(1 + q), "
        r"q = \sqrt{\mu/L}, F(x_k) - F^* \le (1 - q)^k (F(x_0) - F^* + \mu/2 \|x_0 - x^*\|^2); the tight factors for "
        r"\mu = L/4 are smaller and proved for k \le 10."
    ),
    source="Textbook: Beck (2017), Theorem 10.42; tight: performance estimation",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed(
            "exact certificates",
            "rational multipliers prove the rate of 1 to 10 steps at mu = L/4",
            _fixed_certificates,
        ),
        Fixed("momenta", "those of so.solvers.FISTA, against the formula", _fixed_momenta),
    ),
    curves=curves,
    sizes={"quick": 30, "standard": 80, "full": 20_000},
    printed="holds",
)
