"""Records the tight rates and the multipliers that prove them: `python -m theory.solvers.estimation` (extra pep).

The semidefinite programs are solved in floats, with a margin in the quadratic form; the multipliers are rounded to
multiples of 2^-BITS and a spanning set of them is corrected so that the function values cancel exactly.  The checks use
the recorded file alone.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from typing import Any

import numpy as np

from ..exact_linear import solve
from ..extras import MissingExtra, require
from .performance import Estimate
from .tight_rates import BITS, METHODS, RECORDED, STEPS

MARGIN = 1e-9
"""Smallest eigenvalue that is asked of the quadratic form."""

SLACKS = (0.0, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)
"""Relative increases of tau that are tried."""


def multipliers(estimate: Estimate) -> tuple[list[Fraction], Fraction]:
    """Multipliers and tau that prove metric <= tau, tau as small as rounding allows; RuntimeError if none do."""
    lam, tau = _floats(estimate)
    for slack in SLACKS:
        bound = Fraction(round(tau * (1 + slack) * 2**BITS) + 1, 2**BITS)
        found = _corrected(estimate, lam, bound)
        if found is not None and estimate.proves(found, bound):
            return found, bound
    raise RuntimeError("no rounded multipliers prove the bound: solve the program more accurately")


def _floats(estimate: Estimate) -> tuple[np.ndarray, float]:
    import cvxpy as cp

    forms = [_array(c.form) for c in estimate.inequalities]
    lam, tau = cp.Variable(len(forms), nonneg=True), cp.Variable(nonneg=True)
    slack = tau * _array(estimate.start.form) - _array(estimate.metric.form)
    slack = slack + sum(lam[i] * form for i, form in enumerate(forms))
    conditions = [slack >> MARGIN * np.eye(estimate.size)]
    if estimate.n_values:
        A = np.zeros((estimate.n_values, len(forms)))
        for i, c in enumerate(estimate.inequalities):
            for index, value in c.values.items():
                A[index, i] = value
        first, last = (_dense(part.values, estimate.n_values) for part in (estimate.start, estimate.metric))
        conditions.append(A @ lam + tau * first == last)
    problem = cp.Problem(cp.Minimize(tau), conditions)
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return np.maximum(lam.value, 0.0), float(tau.value)


def _array(form: list[list[Any]]) -> np.ndarray:
    return np.array([[float(value) for value in row] for row in form])


def _dense(values: dict[int, Any], size: int) -> np.ndarray:
    return np.array([float(values.get(i, 0)) for i in range(size)])


def _corrected(estimate: Estimate, lam: np.ndarray, tau: Fraction) -> list[Fraction] | None:
    """Rounded multipliers; a spanning set of the largest is moved so that the values cancel.  None where one is < 0."""
    found = [Fraction(round(value * 2**BITS), 2**BITS) for value in lam]
    chosen = _spanning(estimate, np.argsort(-lam))
    if chosen:
        left = estimate.imbalance(found, tau)
        rows = _independent_rows(estimate, chosen)
        columns = [[Fraction(estimate.inequalities[i].values.get(row, 0)) for i in chosen] for row in rows]
        moved = solve(columns, [left[row] for row in rows])
        assert moved is not None
        for i, step in zip(chosen, moved, strict=True):
            found[i] -= step
    return found if min(found) >= 0 else None


def _spanning(estimate: Estimate, order: np.ndarray) -> list[int]:
    """The first inequalities in this order whose value parts, edges between function values, form no cycle."""
    parent = list(range(estimate.n_values))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    chosen = []
    for i in order:
        ends = list(estimate.inequalities[i].values)
        if ends and root(ends[0]) != root(ends[1]):
            parent[root(ends[0])] = root(ends[1])
            chosen.append(int(i))
    return chosen


def _independent_rows(estimate: Estimate, chosen: list[int]) -> list[int]:
    """All function values but one of each tree, so that the system of the chosen edges is square."""
    neighbours: dict[int, set[int]] = {i: set() for i in range(estimate.n_values)}
    for i in chosen:
        a, b = estimate.inequalities[i].values
        neighbours[a].add(b)
        neighbours[b].add(a)
    seen: set[int] = set()
    rows = []
    for start in neighbours:
        if start in seen:
            continue
        seen.add(start)
        pending = [start]
        while pending:
            for other in neighbours[pending.pop()] - seen:
                seen.add(other)
                rows.append(other)
                pending.append(other)
    return rows


def pepit_rate(name: str, n: int) -> float:
    """The worst case that PEPit finds, L = 1, unit start."""
    from PEPit import PEP
    from PEPit.functions import ConvexFunction, SmoothStronglyConvexFunction
    from PEPit.operators import MonotoneOperator
    from PEPit.primitive_steps import proximal_step

    method, problem = METHODS[name], PEP()
    if name == "fixed_point":
        operator = problem.declare_function(MonotoneOperator)
        solution = operator.stationary_point()
        s = problem.set_initial_point()
        problem.set_initial_condition((s - solution) ** 2 <= 1)
        for _ in range(n + 1):
            previous = s
            s, _, _ = proximal_step(s, operator, 1)
        problem.set_performance_metric((s - previous) ** 2)
        return float(problem.solve(verbose=0, solver="CLARABEL"))
    f = problem.declare_function(SmoothStronglyConvexFunction, mu=float(method.mu), L=1)
    h = problem.declare_function(ConvexFunction)
    total = f + h
    solution = total.stationary_point()
    x = y = problem.set_initial_point()
    distance = (x - solution) ** 2
    start = total(x) - total(solution) + float(method.mu) / 2 * distance if method.mu else distance
    problem.set_initial_condition(start <= 1)
    for momentum in [*(float(v) for v in method.momenta(n)), 0.0]:
        new, _, _ = proximal_step(y - f.gradient(y), h, 1)
        y, x = new + momentum * (new - x), new
    problem.set_performance_metric(total(x) - total(solution))
    return float(problem.solve(verbose=0, solver="CLARABEL"))


def _lines(recorded: dict[str, Any]) -> str:
    """JSON with one row a line."""
    methods = [
        f'"{name}": [\n ' + ",\n ".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]"
        for name, rows in recorded.items()
    ]
    return "{" + ",\n".join(methods) + "}\n"


def main() -> None:
    """Solve everything again and write the file.  Raises MissingExtra without PEPit, which brings cvxpy."""
    require("PEPit")
    recorded: dict[str, Any] = {}
    for name, method in METHODS.items():
        rows = []
        for n in range(1, STEPS + 1):
            lam, tau = multipliers(method.estimate(n))
            kept = [[i, int(value * 2**BITS)] for i, value in enumerate(lam) if value]
            rows.append({"n": n, "bound": str(tau), "pepit": pepit_rate(name, n), "multipliers": kept})
            print(name, n, float(tau), rows[-1]["pepit"], flush=True)
        recorded[name] = rows
    RECORDED.write_text(_lines(recorded))


if __name__ == "__main__":
    try:
        main()
    except MissingExtra as error:
        sys.exit(f"theory: {error}")
