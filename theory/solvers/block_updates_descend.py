"""Block descent on orthonormal blocks: every update pays half of its square, and where none moves is the minimum."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

import sparseopt as so

from ..exact_lasso import ExactLasso
from ..instances import EPS, REAL_DATA, Instance, orthonormal_regression, random_groups, real_data
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .at_point import SLACK

SWEEPS = 4


@dataclass(frozen=True)
class Sweeps:
    """Cyclic block updates of the group LASSO of `loss` at lam from w0 [p]."""

    loss: Instance
    lam: float
    w0: np.ndarray

    @property
    def problem(self) -> so.Problem:
        """The problem at lam."""
        return self.loss.problem.with_lam(self.lam)


@dataclass(frozen=True)
class ExactBlocks:
    """F before and after one block update of squared length `square`; F at a point where no block moves, and F*.

    curvature: largest curvature of a block.  separable: whether the penalty is a sum over the blocks.
    """

    before: Fraction
    after: Fraction
    square: Fraction
    resting: Fraction
    minimum: Fraction
    curvature: Fraction = Fraction(1)
    separable: bool = True

    def evidence(self) -> tuple[Evidence, ...]:
        """Both claims."""
        return (
            Evidence("F(new) <= F(old) - |d|^2/2", self.after, self.before - self.square / 2),
            Evidence("where no block moves is the minimum", self.resting, self.minimum),
        )


def draw(rng: np.random.Generator) -> Sweeps:
    """Least squares with X_g'X_g = n I, from a Gaussian point."""
    groups = random_groups(rng, int(rng.integers(2, 8)), 4)
    loss = orthonormal_regression(rng, groups, groups.n_features + int(rng.integers(5, 40)))
    lam = float(rng.uniform(0.02, 0.9)) * float(loss.tau.max())
    return Sweeps(loss, lam, rng.standard_normal(groups.n_features))


def update(instance: Sweeps, w: np.ndarray, g: int) -> np.ndarray:
    """w with the block g minimised over: a proximal step of length 1, as its curvature is the identity."""
    members = instance.loss.groups.members(g)
    moved = w.copy()
    moved[members] = instance.problem.penalty.prox(w - instance.problem.gradient(w), 1.0)[members]
    return moved


def conclusion(instance: Sweeps | ExactBlocks) -> tuple[Evidence, ...]:
    """Descent of every update of some sweeps; the objective of GroupBCD never rises, and it ends at the minimum."""
    if isinstance(instance, ExactBlocks):
        return instance.evidence()
    problem, w = instance.problem, instance.w0
    size = abs(problem.objective(w)) + float(np.abs(instance.loss.b) @ np.abs(w))
    rounding = 64 * EPS * max(problem.X.shape) * size
    worst = -np.inf
    for _, g in itertools.product(range(SWEEPS), range(instance.loss.groups.n_groups)):
        moved = update(instance, w, g)
        paid = problem.objective(w) - problem.objective(moved)
        worst = max(worst, float(np.sum((moved - w) ** 2)) / 2 - paid)
        w = moved
    solved = so.solve(problem, so.solvers.GroupBCD(), tol=1e-10, w0=instance.w0, throw=False)
    rise = float(np.diff(solved.history.objective).max(initial=0.0))
    least = so.solve(problem, so.solvers.FISTA(), tol=1e-10, max_iter=20_000, throw=False)
    bound = so.certify.duality_gap(problem, least.w).upper
    return (
        Evidence("F(new) <= F(old) - |d|^2/2", worst, 0.0, rounding),
        Evidence("the objective of GroupBCD never rises", rise, 0.0, rounding),
        Evidence("GroupBCD ends where FISTA does", solved.objective, least.objective, bound + rounding),
    )


def curvature_margin(instance: Sweeps | ExactBlocks) -> float:
    """1 - the largest curvature of a block, plus 2^-40."""
    if isinstance(instance, ExactBlocks):
        return float(1 - instance.curvature) + SLACK
    blocks = [instance.loss.block(g, g) for g in range(instance.loss.groups.n_groups)]
    return 1 - max(float(np.linalg.norm(block, 2)) for block in blocks) + SLACK


def separable_margin(instance: Sweeps | ExactBlocks) -> float:
    """1 where the penalty is a sum over the blocks."""
    return 1.0 if not isinstance(instance, ExactBlocks) or instance.separable else -1.0


HYPOTHESES = (
    Hypothesis("orthonormal blocks", "X_g'X_g / n <= I for every block", curvature_margin),
    Hypothesis("separable", "the penalty is a sum over the blocks", separable_margin),
)


def steep_instance() -> ExactBlocks:
    """F = 2 u^2 + |u|/2 from u = 1, a step of length 1: u = prox(1 - 4) = -5/2, F from 5/2 to 55/4."""
    lasso = ExactLasso.of([[4]], [0], "1/2")
    point = np.array([1.0])
    new = lasso.problem.penalty.prox(point - lasso.problem.gradient(point), 1.0)
    moved = Fraction(float(new[0]))
    return ExactBlocks(
        before=lasso.objective([Fraction(1)]),
        after=lasso.objective([moved]),
        square=(moved - 1) ** 2,
        resting=Fraction(0),
        minimum=Fraction(0),
        curvature=Fraction(4),
    )


def fused_instance() -> ExactBlocks:
    """F = (u_1 - 1)^2/2 + (u_2 - 1)^2/2 + 2 |u_1 - u_2| at 0: a move of one variable costs 2 and gains at most 1/2."""
    return ExactBlocks(Fraction(1), Fraction(1), Fraction(0), Fraction(1), Fraction(0), separable=False)


COUNTEREXAMPLES = (
    Counterexample("orthonormal blocks", "a steep block", "curvature 4 and a step of 1: F rises", steep_instance),
    Counterexample(
        "separable", "a fused penalty", "0 is the best along each variable, (1, 1) is the minimum", fused_instance
    ),
)


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    loss = real_data(name, "sqrt")
    w0 = np.random.default_rng(0).standard_normal(len(loss.b))
    return conclusion(Sweeps(loss, 0.1 * float(loss.tau.max()), w0))


def curves(seed: int) -> dict[str, Columns]:
    """descent: over sweeps, F(w_k) - F* of block updates, and the sum of |d|^2/2 still to come."""
    rng = np.random.default_rng(seed)
    loss = orthonormal_regression(rng, so.Groups.uniform(12, 3), 60)
    case = Sweeps(loss, 0.1 * float(loss.tau.max()), rng.standard_normal(36))
    least = so.solve(case.problem, tol=1e-14, throw=False).objective
    w, values, paid = case.w0, [], []
    for _ in range(25):
        values.append(case.problem.objective(w) - least)
        total = 0.0
        for g in range(12):
            moved = update(case, w, g)
            total += float(np.sum((moved - w) ** 2)) / 2
            w = moved
        paid.append(total)
    ahead = np.cumsum(paid[::-1])[::-1]
    return {"descent": {"sweep": list(range(25)), "excess": values, "paid": ahead}}


THEOREM = Theorem(
    name="block_updates_descend",
    ledger="D5",
    title="Block updates pay for their length",
    statement=(
        r"If X_g' X_g / n = I for every block, the exact update d of a block of the group LASSO gives F(new) \le "
        r"F(old) - \|d\|^2 / 2, so the squares of all updates sum to at most "
        r"2 (F(w_0) - F^*); where no block moves is the minimum."
    ),
    source="Strong convexity of the block problem (textbook)",
    kind="sampled",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=tuple(Fixed(name, "real data at .1 lambda_max", lambda n=name: _fixed_real(n)) for name in REAL_DATA),
    curves=curves,
    sizes={"quick": 12, "standard": 40, "full": 5000},
    printed="holds",
)
