"""Where a concave penalty recovers a support that the LASSO misses for every lam."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

import sparseopt as so

from ..exact_lasso import ExactLasso, gram
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .piecewise import Critical, Piecewise, mcp

TRUTH = (Fraction(1), Fraction(1), Fraction(0))


@dataclass(frozen=True)
class BetweenColumns:
    """X = [e_1, e_2, (a, a, c)], 2 a^2 + c^2 = 1, y = e_1 + e_2: rational unit columns, one between the two true ones.

    t: a = 2 t / (1 + 2 t^2), c = (1 - 2 t^2) / (1 + 2 t^2).  lam, gamma: of MCP.  lam_lasso: of the LASSO.
    """

    t: Fraction
    lam: Fraction
    gamma: Fraction
    lam_lasso: Fraction

    @property
    def a(self) -> Fraction:
        """The common entry of the third column."""
        return 2 * self.t / (1 + 2 * self.t**2)

    @property
    def c(self) -> Fraction:
        """Its last entry."""
        return (1 - 2 * self.t**2) / (1 + 2 * self.t**2)

    @cached_property
    def lasso(self) -> ExactLasso:
        """The LASSO at lam_lasso."""
        rows = [[1, 0, self.a], [0, 1, self.a], [0, 0, self.c]]
        return ExactLasso(gram(rows), [Fraction(1), Fraction(1), 2 * self.a], self.lam_lasso)

    @cached_property
    def mcp(self) -> Piecewise:
        """The problem with MCP."""
        return Piecewise(self.lasso, mcp(self.lam, self.gamma))

    @property
    def best(self) -> Critical:
        """Its global minimum."""
        return self.mcp.critical[0]


def draw(rng: np.random.Generator) -> BetweenColumns:
    """a from 1/2 to 2/3, gamma from 2 to 4, lam below what the statement allows."""
    t = Fraction(int(rng.integers(300, 500)), 1000)
    gamma = Fraction(int(rng.integers(20, 41)), 10)
    case = BetweenColumns(t, Fraction(1), gamma, Fraction(int(rng.integers(1, 120)), 100) * Fraction(1))
    most = min(float(case.c**2 * 2 / gamma) ** 0.5, 1 / float(gamma)) * float(rng.uniform(0.1, 0.95))
    lam = Fraction(int(most * 1000), 1000)
    return BetweenColumns(t, lam, gamma, case.lam_lasso * 2 * case.a / Fraction(12, 10))


def conclusion(instance: BetweenColumns) -> tuple[Evidence, ...]:
    """The truth is the lowest critical point of MCP; the LASSO's support is another one."""
    supports = [tuple(i for i, x in enumerate(u) if x) for u in instance.lasso.basic_solutions]
    truth = instance.mcp.objective(list(TRUTH))
    missed = int((0, 1) in supports)
    others = [point.objective for point in instance.mcp.critical if point.u != TRUTH]
    return (
        Evidence("the truth is the minimum of MCP", truth, instance.best.objective),
        Evidence("the minimum is unique", truth, min(others, default=truth + 1) - Fraction(1, 10**9)),
        Evidence("the LASSO has another support", Fraction(missed), Fraction(0)),
    )


def irrepresentable_margin(instance: BetweenColumns) -> float:
    """2 a - 1."""
    return float(2 * instance.a - 1)


def flat_margin(instance: BetweenColumns) -> float:
    """1 - gamma lam, plus 2^-40."""
    return float(1 - instance.gamma * instance.lam) + 2.0**-40


def price_margin(instance: BetweenColumns) -> float:
    """c^2 - gamma lam^2 / 2: what the truth fits better than column 3 alone, less what its second variable costs."""
    return float(instance.c**2 - instance.gamma * instance.lam**2 / 2)


HYPOTHESES = (
    Hypothesis("not irrepresentable", "2 a > 1", irrepresentable_margin),
    Hypothesis("flat at the truth", "gamma lam <= 1", flat_margin),
    Hypothesis("cheap enough", "gamma lam^2 / 2 < c^2", price_margin),
)


def ledger_instance(lam: str) -> BetweenColumns:
    """a = 2/3, gamma = 3: the instance of the ledger."""
    return BetweenColumns(Fraction(1, 2), Fraction(lam), Fraction(3), Fraction(1, 10))


COUNTEREXAMPLES = (
    Counterexample(
        "not irrepresentable",
        "a column farther away",
        "a = 8/33: the LASSO at lam = 1/10 has the true support",
        lambda: BetweenColumns(Fraction(1, 8), Fraction(1, 10), Fraction(3), Fraction(1, 10)),
    ),
    Counterexample(
        "flat at the truth",
        "a wide concave part",
        "gamma = 30, lam = 1/20: MCP still shrinks at 1, so the truth is not critical",
        lambda: BetweenColumns(Fraction(2, 5), Fraction(1, 20), Fraction(30), Fraction(1, 10)),
    ),
    Counterexample(
        "cheap enough",
        "lam = 3/10",
        "(0, 0, 4/3) costs -1357/1800, below the truth's -73/100",
        lambda: ledger_instance("3/10"),
    ),
)


def _fixed_ledger() -> tuple[Evidence, ...]:
    """The numbers of the ledger, in Fractions, and branch and bound on the same problems."""
    expected = {
        "1/10": [("-97/100", TRUTH)],
        "1/5": [("-22/25", TRUTH), ("-373/450", (Fraction(0), Fraction(0), Fraction(4, 3)))],
        "3/10": [("-1357/1800", (Fraction(0), Fraction(0), Fraction(4, 3)))],
    }
    found = []
    for lam, points in expected.items():
        case = ledger_instance(lam)
        known = {point.u: point.objective for point in case.mcp.critical}
        for objective, u in points:
            off = abs(known[u] - Fraction(objective)) if u in known else Fraction(1)
            found.append(Evidence(f"lam = {lam}: {objective} is critical", off, Fraction(0)))
        found.append(Evidence(f"lam = {lam}: it is the minimum", known[points[0][1]], case.best.objective))
        found.append(_branch_and_bound(case))
    counts = [len(ledger_instance(lam).mcp.critical) for lam in ("1/10", "1/5")]
    patterns = len(ledger_instance("1/10").mcp.choices) ** 3
    return (
        *found,
        Evidence("125 pieces", Fraction(abs(patterns - 125)), Fraction(0)),
        Evidence("one critical point at 1/10", Fraction(counts[0]), Fraction(1)),
        Evidence("three at 1/5", Fraction(abs(counts[1] - 3)), Fraction(0)),
    )


def problem(case: BetweenColumns, penalty: Any) -> so.Problem:
    """The same loss in floats with another penalty."""
    return case.lasso.problem.with_penalty(penalty)


def _branch_and_bound(case: BetweenColumns) -> Evidence:
    groups = so.Groups.uniform(3, 1)
    nonconvex = problem(case, so.GroupMCP(float(case.lam), groups, float(case.gamma), "none"))
    optimum = so.solvers.BranchAndBound(tol=1e-9).prove(nonconvex)
    off = max(abs(optimum.objective - float(case.best.objective)), abs(optimum.lower - float(case.best.objective)))
    claim = f"lam = {case.lam}: branch and bound proves the same minimum"
    return Evidence(claim, off if optimum.proved else np.inf, 0.0, 4e-9)


def _fixed_every_lam() -> tuple[Evidence, ...]:
    """The LASSO of the ledger at 40 lam in (0, 4/3), in Fractions: support {3} or {1, 2, 3}."""
    wrong = 0
    for k in range(1, 41):
        case = BetweenColumns(Fraction(1, 2), Fraction(1, 10), Fraction(3), Fraction(4 * k, 3 * 41))
        supports = {tuple(i for i, x in enumerate(u) if x) for u in case.lasso.basic_solutions}
        wrong += not supports <= {(2,), (0, 1, 2)}
    return (Evidence("the support is {3} or {1, 2, 3}", Fraction(wrong), Fraction(0)),)


def _fixed_penalties() -> tuple[Evidence, ...]:
    """Which penalties have the truth's support from a LASSO start by reweighting; the exp mask is always dense."""
    case, groups = ledger_instance("1/20"), so.Groups.uniform(3, 1)
    start = so.solve(problem(case, so.GroupLasso(0.001, groups, "none")), tol=1e-12, throw=False).w
    found = []
    for name, penalty in (
        ("l_1/2", so.GroupLq(0.05, groups, 0.5, "none")),
        ("l_2/3", so.GroupLq(0.05, groups, 2 / 3, "none")),
        ("log", so.GroupLogSum(0.05, groups, 0.1, "none")),
    ):
        w = so.solve(problem(case, penalty), so.solvers.ReweightedGroupLasso(), w0=start, tol=1e-9, throw=False).w
        wrong = set(groups.active(w).tolist()) != {0, 1}
        found.append(Evidence(f"{name} finds the support", float(wrong), 0.5))
    w = so.solve(problem(case, so.GroupExpMask(0.05, groups, "none")), tol=1e-9, throw=False).w
    return (*found, Evidence("the exp mask is dense", 1e-6, float(np.abs(w).min())))


def curves(seed: int) -> dict[str, Columns]:
    """supports: over lam on the ledger's design, the solution of the LASSO and the minimum of MCP (gamma = 3).

    Nothing is random; `seed` is not used.
    """
    lams = [Fraction(k, 40) for k in range(1, 54, 2)]
    columns: dict[str, list[float]] = {"lam": [float(lam) for lam in lams]}
    for i, kind in itertools.product(range(3), ("lasso", "mcp")):
        columns[f"{kind}_{i + 1}"] = []
    for lam in lams:
        case = BetweenColumns(Fraction(1, 2), lam, Fraction(3), lam)
        for i in range(3):
            columns[f"lasso_{i + 1}"].append(float(case.lasso.solution[i]))
            columns[f"mcp_{i + 1}"].append(float(case.best.u[i]))
    return {"supports": columns}


THEOREM = Theorem(
    name="concave_beats_lasso",
    ledger="E1",
    title="A concave penalty recovers what the LASSO misses at every lambda",
    statement=(
        r"For X = (e_1, e_2, (a, a, c)), 2 a^2 + c^2 = 1, 2 a > 1 and y = e_1 + e_2, the support of the LASSO is "
        r"\{1, 2\} for no \lambda > 0; MCP has the unique minimum (1, 1, 0) if \gamma \lambda \le 1 and "
        r"\gamma \lambda^2 / 2 < c^2."
    ),
    source="Open question: do concave penalties recover what the group LASSO misses? The instance is our own",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("a = 2/3", "all 125 pieces of MCP in Fractions, and branch and bound", _fixed_ledger),
        Fixed("every lam", "the LASSO of a = 2/3 at 40 strengths", _fixed_every_lam),
        Fixed("other penalties", "l_1/2, l_2/3 and log find the support, the exp mask is dense", _fixed_penalties),
    ),
    curves=curves,
    sizes={"quick": 12, "standard": 40, "full": 3000},
    printed="open",
)
