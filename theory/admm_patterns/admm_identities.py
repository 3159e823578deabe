"""ADMM on a set is a projected gradient step at another point, and the Douglas-Rachford iteration."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

import sparseopt as so
from sparseopt.solvers.loss_prox import LossProx

from ..instances import REAL_DATA, integer_quadratic
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .exact import ONE_OF_TWO, ExactRun, fractions, minus, plus, square
from .runs import Run, draw_run, real_run

SWEEPS = 20


def conclusion(instance: Run | ExactRun) -> tuple[Evidence, ...]:
    """The identities of every sweep."""
    return _exact(instance) if isinstance(instance, ExactRun) else _float(instance)


def _exact(instance: ExactRun) -> tuple[Evidence, ...]:
    rho, worst = instance.rho, [Fraction(0)] * 3
    for before, after in itertools.pairwise(instance.states):
        at = (before.x, before.x) if instance.z_first else (before.z, after.x)
        z = instance.project(plus(at[0], instance.gradient(at[1]), -1 / rho))
        worst[0] = max(worst[0], square(minus(after.z, z)))
        if instance.z_first:
            worst[1] = max(worst[1], square(plus(after.u, instance.gradient(after.x), 1 / rho)))
            s, moved = minus(before.x, before.u), minus(after.x, after.u)
            reached = plus(s, minus(instance.project(minus(plus(before.x, before.x), s)), before.x))
            worst[2] = max(worst[2], square(minus(moved, reached)))
    return tuple(Evidence(claim, value, Fraction(0)) for claim, value in zip(_claims(instance), worst, strict=True))


def _claims(instance: Run | ExactRun) -> tuple[str, str, str]:
    z_first = instance.z_first if isinstance(instance, ExactRun) else instance.solver.z_first
    point = "x - gradient(x) / rho" if z_first else "z - gradient(x+) / rho"
    return f"z+ is the projection of {point}", "rho u = -gradient(x) after a sweep", "Douglas-Rachford: s+ is T(s)"


def _float(instance: Run) -> tuple[Evidence, ...]:
    worst = [0.0] * 4
    for arguments in _sweeps(instance):
        worst = [max(old, float(new)) for old, new in zip(worst, arguments, strict=True)]
    claims, tolerance = _claims(instance), 4 * instance.rounding
    return (
        Evidence(f"the point that is projected: {claims[0]}", worst[0], 0.0, tolerance),
        Evidence(claims[0], worst[1], 0.0, tolerance),
        *((Evidence(claims[1], worst[2], 0.0, tolerance),) if instance.solver.z_first else ()),
        Evidence(claims[2], worst[3], 0.0, tolerance),
    )


def _sweeps(instance: Run) -> Iterator[tuple[float, float, float, float]]:
    """For every sweep but the last the errors of: the projected point; its nearest point; the dual; Douglas-Rachford.

    Where two points are about equally near, the nearest one is compared by its distance.
    """
    rho, prox, z_first = instance.rho, LossProx(instance.problem), instance.solver.z_first
    states = instance.states
    for before, after, later in zip(states, states[1:], states[2:], strict=False):
        slope = instance.gradient(after.x)
        if z_first:
            projected, point = before.x + before.multiplier, before.x - instance.gradient(before.x) / rho
            s, moved = before.x - before.multiplier, after.x - after.multiplier
            x = prox(s, rho, before.x)
            apart = _excess(instance, 2 * x - s, moved - s + x) + float(np.linalg.norm(x - before.x))
        else:
            s = projected = after.x + before.multiplier
            point, z = before.w - slope / rho, after.w
            apart = float(np.linalg.norm(later.x + after.multiplier - (s + prox(2 * z - s, rho, after.x) - z)))
        yield (
            float(np.linalg.norm(projected - point)),
            _excess(instance, point, after.w),
            float(np.linalg.norm(after.multiplier + slope / rho)),
            apart,
        )


def _excess(instance: Run, v: np.ndarray, z: np.ndarray) -> float:
    """How much farther from v the point z is than the nearest one."""
    return max(float(np.linalg.norm(v - z) - np.linalg.norm(v - instance.project(v))), 0.0)


def draw(rng: np.random.Generator) -> Run | ExactRun:
    """Both orders, rho / L from 0.3 to 5; one instance in five is rational."""
    z_first = bool(rng.integers(2))
    if rng.random() < 0.8:
        return draw_run(rng, SWEEPS, float(10 ** rng.uniform(-0.5, 0.7)), z_first)
    H, b = integer_quadratic(rng, 2)
    start, rho = fractions([int(v) for v in rng.integers(-5, 6, 2)]), Fraction(int(rng.integers(1, 40)), 2)
    return ExactRun(H, b, ONE_OF_TWO, rho, start, Fraction(50), Fraction(-99), z_first=z_first, sweeps=6)


def dual_margin(instance: Run | ExactRun) -> float:
    """1 in order X, and where u starts at -gradient / rho."""
    if isinstance(instance, Run) or instance.dual is None or not instance.z_first:
        return 1.0
    slope = instance.gradient(instance.start)
    return -float(square(plus(slope, instance.dual, instance.rho))) or 1.0


HYPOTHESES = (
    Hypothesis(
        "exact minimisation",
        "x minimises f + rho/2 |x - z + u|^2",
        lambda i: 1.0 if isinstance(i, Run) or i.relaxation == 1 else -1.0,
    ),
    Hypothesis("dual start", "in order Z, u starts at -gradient(x) / rho", dual_margin),
    Hypothesis(
        "differentiable",
        "f has a gradient",
        lambda i: 1.0,
        necessary=False,
        why="the identities speak of the gradient",
    ),
)


def _example(**choices: Any) -> ExactRun:
    """f = |w - (1, 4/5)|^2 / 2 over one of two entries with rho = 2, from (0, 1)."""
    H, b = [fractions([1, 0]), fractions([0, 1])], fractions([1, "4/5"])
    return ExactRun(H, b, ONE_OF_TWO, Fraction(2), fractions([0, 1]), Fraction(1), Fraction(-1), sweeps=6, **choices)


COUNTEREXAMPLES = (
    Counterexample(
        "exact minimisation",
        "x goes half of the way",
        "after half a step u is no longer -gradient(x) / rho, and z is the projection of another point",
        lambda: _example(relaxation=Fraction(1, 2)),
    ),
    Counterexample(
        "dual start",
        "u = (2, 0)",
        "the first sweep projects x + u, which is not x - gradient(x) / rho; all later ones obey",
        lambda: _example(dual=fractions([2, 0])),
    ),
)


def _fixed_any_dual() -> tuple[Evidence, ...]:
    """After one sweep the dual is right whatever it was."""
    run = _example(dual=fractions([2, 0]))
    errors = [square(plus(s.u, run.gradient(s.x), 1 / run.rho)) for s in run.states[1:]]
    return (Evidence("rho u = -gradient(x) after a sweep from any u", max(errors), Fraction(0)),)


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    """Both orders."""
    return tuple(e for z_first in (True, False) for e in conclusion(real_run(name, SWEEPS, 1.2, z_first)))


def curves(seed: int) -> dict[str, Columns]:
    """identities: errors of the identities along a run in each order, with a right and a wrong start of the dual."""
    rng = np.random.default_rng(seed)
    first = draw_run(rng, SWEEPS, 1.2)
    second = Run(first.problem, so.solvers.ADMM(rho=first.rho, z_first=False), first.start, SWEEPS, first.bound)
    states = [_with_dual(first, 0.0), _with_dual(second, 0.0)]
    columns: dict[str, Any] = {"sweep": list(range(1, SWEEPS + 1))}
    for name, run, wrong in (("order_z", first, states[0]), ("order_x", second, states[1])):
        columns[name] = _errors(run, run.states)
        columns[f"{name}_wrong"] = _errors(run, wrong)
    return {"identities": columns}


def _with_dual(run: Run, factor: float) -> list[Any]:
    """The sweeps from the dual factor times the right one."""
    start: Any = run.states[0]
    u = factor * start.multiplier
    found = [replace(start, multiplier=u, w=run.project(start.x + u))]
    for _ in range(run.sweeps):
        found.append(run.solver.step(run.problem, found[-1]))
    return found


def _errors(run: Run, states: list[Any]) -> list[float]:
    """Distance between the projected point and the one of the identity, for every sweep."""
    found = []
    for before, after in itertools.pairwise(states):
        if run.solver.z_first:
            found.append(before.multiplier + run.gradient(before.x) / run.rho)
        else:
            found.append(after.x + before.multiplier - before.w + run.gradient(after.x) / run.rho)
    return [float(np.linalg.norm(v)) for v in found]


THEOREM = Theorem(
    name="admm_identities",
    ledger="C1",
    title="ADMM on a set projects gradient steps",
    statement=(
        r"In the order z, x, u every sweep gives z^+ \in P_S(x - \nabla f(x) / \rho), and \rho u = -\nabla f(x) after "
        r"it; in the order x, z, u it gives z^+ \in P_S(z - \nabla f(x^+) / \rho). With s = x - u the first is the "
        r"Douglas-Rachford iteration s^+ = s + P_S(2 x - s) - x, x = prox_f(s); with s = x^+ + u the second is the one "
        r"in which the projection comes first, s^+ = s + prox_f(2 z - s) - z, z \in P_S(s)."
    ),
    source="ours; ADMM pattern pruning (arXiv 2407.08334)",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("any dual start", "one sweep repairs the dual, in rational numbers", _fixed_any_dual),
        *(
            Fixed(name, "real data with at most 3 groups, both orders", lambda n=name: _fixed_real(n))
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 40, "standard": 300, "full": 20_000},
    printed="not printed",
)
