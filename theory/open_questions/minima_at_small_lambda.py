"""How many local minima each penalty has as lambda goes to 0: one for MCP and SCAD, 2^p for l_0 and l_q."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

import sparseopt as so

from ..exact_lasso import ExactLasso
from ..exact_linear import Vector, block, pivots, positive_definite, solve
from ..theorem import Columns, Counterexample, Evidence, Hypothesis, Theorem
from .one_critical_point import random_quadratic
from .piecewise import Piecewise, lasso, mcp, scad

NEWTON = 40


@dataclass(frozen=True)
class SmallStrength:
    """A rational quadratic with groups of one, at strength lam: MCP (gamma), SCAD (a), l_0 and l_q."""

    loss: ExactLasso
    lam: Fraction
    gamma: Fraction
    a: Fraction
    q: float

    @property
    def p(self) -> int:
        """Number of variables."""
        return len(self.loss.b)

    @cached_property
    def fits(self) -> dict[tuple[int, ...], Vector]:
        """The minimiser over every set of variables, as the entries of the set."""
        found = {}
        for size in range(self.p + 1):
            for S in itertools.combinations(range(self.p), size):
                part = solve(block(self.loss.H, S), [self.loss.b[i] for i in S])
                assert part is not None
                found[S] = part
        return found

    @cached_property
    def smallest_entry(self) -> Fraction:
        """min over sets of the smallest entry of their minimiser."""
        return min((abs(x) for part in self.fits.values() for x in part), default=Fraction(0))


def draw(rng: np.random.Generator) -> SmallStrength:
    """One to three variables, lam a small part of what the statement allows."""
    while True:
        loss = random_quadratic(rng, int(rng.integers(1, 4)))
        case = SmallStrength(
            loss,
            Fraction(1),
            Fraction(int(rng.integers(6, 60)), 5),
            Fraction(int(rng.integers(11, 40)), 5),
            float(rng.choice([0.3, 0.5, 2 / 3, 0.9])),
        )
        if case.smallest_entry > 0:
            break
    lam = _limit(case) * Fraction(int(rng.integers(1, 90)), 100)
    return SmallStrength(loss, lam, case.gamma, case.a, case.q)


def _limit(case: SmallStrength) -> Fraction:
    """A strength below which the statement is expected: a small part of the smallest entry of a restricted fit.

    A pattern with zeros Z and entries M on the concave part has |gradient_Z| <= lam and |u_M| <= max(gamma, a) lam, so
    it is within a multiple of lam of a restricted fit with a vanishing entry or gradient; the enumeration is the judge.
    """
    size = max(abs(v) for row in case.loss.H for v in row) * case.p + 1
    wide = max(case.gamma, case.a) * size
    return case.smallest_entry / (50 * wide * size)


def conclusion(instance: SmallStrength) -> tuple[Evidence, ...]:
    """Counts of critical points (exact) and of local minima of l_q (by Newton's method on every set)."""
    full = 2**instance.p
    counts = {
        "LASSO": len(Piecewise(instance.loss, lasso(instance.lam)).critical),
        "MCP": len(Piecewise(instance.loss, mcp(instance.lam, instance.gamma)).critical),
        "SCAD": len(Piecewise(instance.loss, scad(instance.lam, instance.a)).critical),
    }
    found = [Evidence(f"{name} has one critical point", Fraction(n), Fraction(1)) for name, n in counts.items()]
    l0 = sum(_hard_minimum(instance, S) for S in instance.fits)
    lq = sum(_power_minimum(instance, S) for S in instance.fits)
    return (
        *found,
        Evidence("l_0 has 2^p local minima", Fraction(full), Fraction(l0)),
        Evidence("l_q has 2^p local minima", float(full), float(lq)),
    )


def _hard_minimum(instance: SmallStrength, S: tuple[int, ...]) -> bool:
    """Whether the fit over S is a minimum, and dense on S: then nearby points with more entries pay lam."""
    return all(instance.fits[S]) and positive_definite(block(instance.loss.H, S))


def _power_minimum(instance: SmallStrength, S: tuple[int, ...]) -> bool:
    """Whether Newton's method from the fit over S ends at a strict local minimum of l_q with the support S."""
    if not S:
        return True  # the slope of t^q at 0 is infinite
    if not all(instance.fits[S]):
        return False
    H = np.array(block(instance.loss.H, S), dtype=float)
    b = np.array([float(instance.loss.b[i]) for i in S])
    u = np.array([float(x) for x in instance.fits[S]])
    rho, lam = so.penalties.Power(instance.q), float(instance.lam)
    for _ in range(NEWTON):
        slope = np.asarray(rho.slope(np.abs(u)))
        gradient = H @ u - b + lam * slope * np.sign(u)
        hessian = H - lam * np.diag((1 - rho.q) * slope / np.abs(u))
        u = u - np.linalg.solve(hessian, gradient)
        if not u.all():
            return False
    settled = np.abs(gradient).max() <= 1e-10 * (1 + np.abs(b).max())
    return bool(settled and np.linalg.eigvalsh(hessian)[0] > 0)


def definite_margin(instance: SmallStrength) -> float:
    """The smallest pivot of H."""
    return float(min(pivots(instance.loss.H)))


def dense_margin(instance: SmallStrength) -> float:
    """The smallest entry of the restricted fits."""
    return float(instance.smallest_entry)


def strength_margin(instance: SmallStrength) -> float:
    """1 - lam over the limit."""
    limit = _limit(instance)
    return float(1 - instance.lam / limit) if limit else 1.0


HYPOTHESES = (
    Hypothesis("positive definite", "H is positive definite", definite_margin),
    Hypothesis("dense fits", "the minimiser over every set of variables has nonzero entries", dense_margin),
    Hypothesis("small strength", "lam is small", strength_margin),
)

COUNTEREXAMPLES = (
    Counterexample(
        "positive definite",
        "a concave loss",
        "L = -u^2/2 - u: the fit -1 is its maximum, so that 0 is the only local minimum of l_0 and l_q",
        lambda: SmallStrength(ExactLasso.of([[-1]], [1], 1), Fraction(1, 1000), Fraction(2), Fraction(37, 10), 0.5),
    ),
    Counterexample(
        "small strength",
        "a bistable variable",
        "L = (u - 1)^2/2, MCP with gamma = 1/2 and lam = 3/2: 0, 1/2 and 1 are critical",
        lambda: SmallStrength(ExactLasso.of([[1]], [1], 1), Fraction(3, 2), Fraction(1, 2), Fraction(37, 10), 0.5),
    ),
    Counterexample(
        "dense fits",
        "a variable without effect",
        "H = I, b = (1, 0): the fit over {2} is 0, so l_0 has two local minima and not four",
        lambda: SmallStrength(_idle(), Fraction(1, 1000), Fraction(3), Fraction(37, 10), 0.5),
    ),
)


def _idle() -> ExactLasso:
    """H = I, b = (1, 0)."""
    return ExactLasso.of([[1, 0], [0, 1]], [1, 0], 1)


def curves(seed: int) -> dict[str, Columns]:
    """counts: mean number over lam / tau, for p = 1, 2, 3: critical points of LASSO, MCP (gamma = 1.2, 5) and SCAD, and
    local minima of l_0, l_1/2 that Newton's method finds from the restricted fits.
    """
    rng = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("p", "lam_over_tau", "lasso", "mcp_1.2", "mcp_5", "scad", "l0", "l_half")
    }
    for p in (1, 2, 3):
        cases = []
        while len(cases) < 2:
            case = SmallStrength(random_quadratic(rng, p), Fraction(1), Fraction(5), Fraction(37, 10), 0.5)
            cases += [case] if case.smallest_entry > 0 else []
        for share in (
            Fraction(1, 1000),
            Fraction(1, 20),
            Fraction(1, 5),
            Fraction(2, 5),
            Fraction(3, 5),
            Fraction(9, 10),
        ):
            rows = []
            for case in cases:
                lam = share * max(abs(v) for v in case.loss.b)
                at = SmallStrength(case.loss, lam, Fraction(5), case.a, 0.5)
                families = (lasso(lam), mcp(lam, Fraction(6, 5)), mcp(lam, Fraction(5)), scad(lam, case.a))
                rows.append([
                    *(len(Piecewise(case.loss, pieces).critical) for pieces in families),
                    sum(_hard_minimum(at, S) for S in at.fits),
                    sum(_power_minimum(at, S) for S in at.fits),
                ])  # fmt: skip
            for name, entry in zip(columns, (p, float(share), *np.mean(rows, axis=0).tolist()), strict=True):
                columns[name].append(entry)
    return {"counts": columns}


THEOREM = Theorem(
    name="minima_at_small_lambda",
    ledger="E2",
    title="Local minima as lambda goes to 0: one, or one for every support",
    statement=(
        r"Let H be positive definite and the minimiser over every set of variables have nonzero entries. For small "
        r"\lambda the LASSO, MCP and SCAD have exactly one critical point, while l_0 and l_q, 0 < q < 1, have a local "
        r"minimum on each of the 2^p supports, however close q is to 1."
    ),
    source="Open question: how many critical points are there? Our own",
    kind="sampled",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(),
    curves=curves,
    sizes={"quick": 10, "standard": 50, "full": 2000},
    printed="open",
)
