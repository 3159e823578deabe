"""The exponential mask never makes a group exactly zero: any point with a zero group can be improved there."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

import sparseopt as so

from ..enclosure import Interval, exp, sqrt
from ..instances import EPS, REAL_DATA, Instance, random_loss, real_data
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .scalar_functions import SLACK, ExactExpMask

Q = so.penalties.ExpMask()


@dataclass(frozen=True)
class Masked:
    """min L + lam sum q(|u_g|) for a random or real loss, and a point u [p] at which group `zero` is zero."""

    loss: Instance
    lam: float
    u: np.ndarray
    zero: int

    @property
    def problem(self) -> so.Problem:
        """The problem with the exponential-mask penalty."""
        return self.loss.problem.with_penalty(so.GroupExpMask(self.lam, self.loss.groups, weights="none"))


@dataclass(frozen=True)
class ExactMasked:
    """L(y) = (y - c)^2 / 2 + kink |y| in one variable, penalised by lam (q(|y|) + tilt |y|); all rational.

    q: an exact function; its quadratic growth q(y) <= y^2 is what the exponential mask has.
    """

    c: Fraction
    lam: Fraction
    kink: Fraction = Fraction(0)
    tilt: Fraction = Fraction(0)

    def value(self, y: Fraction) -> Interval:
        """The objective, enclosed."""
        loss = (y - self.c) ** 2 / 2 + (self.kink + self.lam * self.tilt) * abs(y)
        return Interval.point(loss) + ExactExpMask().value(abs(y)).times(self.lam)


def draw(rng: np.random.Generator) -> Masked | ExactMasked:
    """lam from .01 to 100 times lambda_max; random points with a zero group; one instance in ten is rational."""
    if rng.random() < 0.1:
        return ExactMasked(Fraction(int(rng.integers(1, 50)), 10), Fraction(int(rng.integers(1, 400)), 20))
    loss = random_loss(rng)
    lam = float(loss.tau.max()) * float(10 ** rng.uniform(-2, 2))
    zero = int(rng.integers(loss.groups.n_groups))
    kept = (rng.random(loss.groups.n_groups) < 0.7) & (np.arange(loss.groups.n_groups) != zero)
    u = loss.groups.scale(rng.standard_normal(len(loss.b)) * 10 ** rng.uniform(-2, 1), kept.astype(float))
    return Masked(loss, lam, u, zero)


def conclusion(instance: Masked | ExactMasked) -> tuple[Evidence, ...]:
    """F falls by |gradient_g|^2 / (2 (|H_gg| + 2 lam)) where u_g = -gradient_g / (|H_gg| + 2 lam) instead of 0."""
    claim = "F(u) - F(u + d) >= |gradient_g|^2 / (2 (|H_gg| + 2 lam))"
    if isinstance(instance, ExactMasked):
        slope = 1 + 2 * instance.lam
        drop = instance.value(Fraction(0)) - instance.value(instance.c / slope)
        return (Evidence(claim, instance.c**2 / (2 * slope), drop.high, drop.width),)
    problem, groups, u = instance.problem, instance.loss.groups, instance.u
    gradient = np.where(groups.labels == instance.zero, problem.gradient(u), 0.0)
    slope = float(np.linalg.norm(instance.loss.block(instance.zero, instance.zero), 2)) + 2 * instance.lam
    here, there = problem.objective(u), problem.objective(u - gradient / slope)
    length = float(np.linalg.norm(u) + np.linalg.norm(gradient) / slope)
    size = (
        abs(here) + length * float(np.linalg.norm(instance.loss.b)) + length**2 * float(instance.loss.eigenvalues[-1])
    )
    drop = float(gradient @ gradient) / (2 * slope)
    return Evidence(claim, drop, here - there, 64 * EPS * len(u) * size), *_dense(instance)


def _dense(instance: Masked) -> list[Evidence]:
    """A stationary point has |gradient_g| = lam q'(|u_g|) <= 2 lam |u_g|: no group of it is zero."""
    problem, groups = instance.problem, instance.loss.groups
    solved = so.solve(problem, tol=1e-6, max_iter=3000, throw=False)
    if solved.status is not so.Status.CONVERGED:
        return []
    norms, gradients = groups.norms(solved.w), groups.norms(problem.gradient(solved.w))
    left = problem.violation(solved.w)
    room = float((gradients - 2 * instance.lam * norms).max())
    rounding = 64 * EPS * len(solved.w) * float(np.linalg.norm(instance.loss.b))
    claim = "a stationary point has |u_g| >= |gradient_g| / (2 lam) for every group"
    return [Evidence(claim, room, float(left), rounding)]


HYPOTHESES = (
    Hypothesis(
        "differentiable",
        "L is differentiable",
        lambda i: SLACK - float(i.kink) if isinstance(i, ExactMasked) else 1.0,
    ),
    Hypothesis(
        "flat at 0",
        "q'(0) = 0",
        lambda i: SLACK - (float(i.tilt) if isinstance(i, ExactMasked) else float(Q.slope(np.zeros(1))[0])),
    ),
)

COUNTEREXAMPLES = (
    Counterexample(
        "differentiable",
        "L with a kink",
        "L = (y - 1)^2 / 2 + 2 |y| is smallest at 0, and adding lam q does not move that",
        lambda: ExactMasked(Fraction(1), Fraction(1), kink=Fraction(2)),
    ),
    Counterexample(
        "flat at 0",
        "q(a) + 2 a",
        "with the slope 2 at 0 the penalty prunes where |gradient| <= 2 lam: here 0 is the minimiser",
        lambda: ExactMasked(Fraction(1), Fraction(1), tilt=Fraction(2)),
    ),
)


def stationary_point(c: Fraction, lam: Fraction) -> Interval:
    """The minimiser of (y - c)^2 / 2 + lam q(y) for c > 0: y = s e^(s^2) with s (e^(s^2) + 2 lam e^(-s^2)) = c.

    Enclosed by the signs of the increasing left side, around what the package's prox returns.
    """
    y = float(Q.prox(np.array([float(c)]), float(lam))[0])
    s = float(np.sqrt(_mask(y)))
    low, high = Fraction(s * (1 - 1e-12)), Fraction(s * (1 + 1e-12))
    assert _curve(low, lam).high < c < _curve(high, lam).low
    return Interval(low * Fraction(exp(low**2).low), high * Fraction(exp(high**2).high))


def _mask(y: float) -> float:
    """W(2 y^2) / 2."""
    q = float(Q.value(np.array([y]))[0])
    return 2 * q / (1 + float(np.sqrt(1 + 4 * q)))


def _curve(s: Fraction, lam: Fraction) -> Interval:
    grown = exp(s * s)
    shrunk = Interval(1 / Fraction(grown.high), 1 / Fraction(grown.low))
    return grown.times(s) + shrunk.times(2 * lam * s)


MINIMISERS = {
    Fraction(3, 2): ("0.770646", "0.275786"),
    Fraction(3): ("0.334242", "0.148084"),
    Fraction(100): ("0.009952", "0.004975"),
}
"""Minimisers for L = (x - 2)^2 / 2 + (y - 1)^2 / 2; the ledger's own digits are off by one or two in the sixth."""


def _fixed_digits() -> tuple[Evidence, ...]:
    found = []
    for lam, digits in MINIMISERS.items():
        for c, printed in zip((2, 1), digits, strict=True):
            at = stationary_point(Fraction(c), lam)
            unit = Fraction(1, 2 * 10 ** len(printed.partition(".")[2]))
            away = max(abs(at.low - Fraction(printed)), abs(at.high - Fraction(printed)))
            found.append(Evidence(f"the minimiser for c = {c}, lam = {lam} is {printed}", away, unit))
    value = sum(((y - c) ** 2 / 2 for c, y in _points(Fraction(3, 2))), Fraction(0))
    q = Interval.point(0)
    for _, y in _points(Fraction(3, 2)):
        q = q + ExactExpMask().value(y)
    total = Interval.point(value) + q.times(Fraction(3, 2))
    found.append(
        Evidence("the value for lam = 3/2 is 1.747703", abs(total.high - Fraction("1.747703")), Fraction(1, 2 * 10**6))
    )
    return tuple(found)


def _fixed_signs() -> tuple[Evidence, ...]:
    """(y - 1)^2 / 2 + 10 q(y): its slope y - 1 + 10 q'(y), q' = 2 w / y with w + w^2 = q, at both ends."""
    found = []
    for at, digits in (("0.0476", "-0.004685"), ("0.0479", "0.001534")):
        y = Fraction(at)
        root = ExactExpMask().value(y).map(lambda q: sqrt(1 + 4 * q))
        slopes = [y - 1 + 10 * (Fraction(end) - 1) / y for end in (root.low, root.high)]
        away = max(abs(slope - Fraction(digits)) for slope in slopes)
        found.append(Evidence(f"the slope at {at} is {digits}", away, Fraction(1, 2 * 10**6)))
    return tuple(found)


def _points(lam: Fraction) -> list[tuple[Fraction, Fraction]]:
    return [(Fraction(c), Fraction(stationary_point(Fraction(c), lam).low)) for c in (2, 1)]


def _fixed_against_lasso() -> tuple[Evidence, ...]:
    """lam beyond lambda_max: the group LASSO is 0, and the exponential mask is dense."""
    groups = so.Groups.uniform(2, 1)
    problem = so.Problem.quadratic(np.eye(2), [2.0, 1.0], so.GroupLasso(3.0, groups, "none"))
    lasso = so.solve(problem).w
    mask = so.solve(problem.with_penalty(so.GroupExpMask(3.0, groups, "none")), tol=1e-9).w
    return (
        Evidence("the group LASSO is 0 at lam = 3", float(np.abs(lasso).max()), 0.0),
        Evidence("the exponential mask is not", 0.14, float(np.abs(mask).min())),
    )


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    loss = real_data(name)
    lam = 2 * float(loss.tau.max())
    case = Masked(loss, lam, np.zeros(len(loss.b)), int(np.argmin(loss.tau)))
    w = so.solve(case.problem, tol=1e-6, throw=False).w
    norms = loss.groups.norms(w)
    return (*conclusion(case), Evidence("no group is zero at twice lambda_max", 0.0, float(norms.min()), 0.0))


def curves(seed: int) -> dict[str, Columns]:
    """path: group norms over lam for the group LASSO, the exponential mask and l_{2/3}, L = |u - (2, 1)|^2 / 2."""
    lam, c = np.geomspace(0.02, 20, 61), np.array([2.0, 1.0])
    columns: dict[str, np.ndarray] = {"lam": lam}
    for name, rho in (("lasso", so.penalties.Linear()), ("exp_mask", Q), ("two_thirds", so.penalties.Power(2 / 3))):
        columns[f"{name}_1"], columns[f"{name}_2"] = np.array([rho.prox(c, float(x)) for x in lam]).T
    return {"path": columns}


THEOREM = Theorem(
    name="exp_mask_never_prunes",
    ledger="A3",
    title="The exponential mask never prunes",
    statement=(
        r"Let L be differentiable and q the Lambert penalty. Where u_g = 0, F = L + \lambda \sum_g q(\|u_g\|) "
        r"falls by at least \|\nabla_g L(u)\|^2 / (2 (\|H_{gg}\| + 2 \lambda)) for quadratic L: at a local "
        r"minimiser u_g = 0 only if \nabla_g L(u) = 0, for every \lambda. A stationary point has \|u_g\| \ge "
        r"\|\nabla_g L(u)\| / (2 \lambda)."
    ),
    source="ours; the penalty is that of SequentialAttention++ (arXiv 2402.17902), Lemma 2.1",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("minimisers", "the minimisers of the ledger's instance, in rational enclosures", _fixed_digits),
        Fixed("signs", "a stationary point between .0476 and .0479 at lam = 10, in enclosures", _fixed_signs),
        Fixed("against the LASSO", "lam beyond lambda_max in the plane", _fixed_against_lasso),
        *(
            Fixed(name, "real data at twice lambda_max: no group is zero", lambda name=name: _fixed_real(name))
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 40, "standard": 500, "full": 10_000},
    printed="not printed",
)
