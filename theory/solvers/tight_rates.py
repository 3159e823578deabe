"""Tight worst-case rates: closed forms, instances that attain them, and the recorded proofs for few steps."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..extras import require
from ..theorem import Evidence
from .performance import Estimate, composite, fixed_point

RECORDED = Path(__file__).with_name("recorded_rates.json")

STEPS = 10
"""Certificates are recorded for 1 to this many steps."""

BITS = 44
"""Recorded multipliers are multiples of 2^-BITS."""

PRECISION = 192
"""Bits of the balls."""

CONDITION = Fraction(1, 4)
"""mu / L of the certificates of the strongly convex variant, whose momentum (1 - q)/(1 + q), q = 1/2, is rational."""

TIGHT = 1e-5
"""Relative distance at which certified and closed numbers agree."""

PROMISED = 1e-3
"""Relative accuracy that PEPit promises of its numbers."""


def no_momenta(n: int) -> list[Fraction]:
    """Proximal gradient: n - 1 zeros."""
    return [Fraction(0)] * (n - 1)


def constant_momenta(n: int) -> list[Fraction]:
    """V-FISTA at mu / L = 1/4: n - 1 times (1 - q)/(1 + q) = 1/3."""
    return [Fraction(1, 3)] * (n - 1)


def nesterov_momenta(n: int) -> list[Any]:
    """FISTA: (t_k - 1)/t_{k+1} with t_{k+1} = (1 + sqrt(1 + 4 t_k^2))/2, t_1 = 1; in balls from n = 3 on.

    Raises MissingExtra without python-flint where n > 2.
    """
    if n <= 2:
        return [Fraction(0)] * (n - 1)
    flint = require("flint")
    flint.ctx.prec = PRECISION
    t, found = flint.arb(1), []
    for _ in range(n - 1):
        new = (1 + (1 + 4 * t * t).sqrt()) / 2
        found.append((t - 1) / new)
        t = new
    return found


@dataclass(frozen=True)
class Method:
    """momenta: n -> the momenta of n steps, None for fixed-point iterations.  mu: of f, where L = 1."""

    momenta: Callable[[int], Sequence[Any]] | None
    mu: Fraction = Fraction(0)

    def estimate(self, n: int) -> Estimate:
        """The performance estimation problem of n steps."""
        return composite(self.momenta(n), self.mu) if self.momenta else fixed_point(n)


@cache
def estimate(name: str, n: int) -> Estimate:
    """The performance estimation problem of n steps of a method."""
    return METHODS[name].estimate(n)


METHODS = {
    "proximal_gradient": Method(no_momenta),
    "fista": Method(nesterov_momenta),
    "strongly_convex": Method(constant_momenta, CONDITION),
    "fixed_point": Method(None),
}


def composite_rate(momenta: Sequence[float]) -> float:
    """1 / (4 S), S = sum d_k, d_1 = 1, d_{k+1} = 1 + momenta[k - 1] d_k: worst F(x_n) - F* for L = |x_0 - x*| = 1.

    It is attained by f = 0 and h = |x| / (2 S) from x_0 = 1, which moves by d_k / (2 S) in step k and stops halfway.
    That nothing is worse is proved for n <= STEPS by the recorded multipliers, and observed by PEPit beyond.
    """
    d = total = 1.0
    for momentum in momenta:
        d = 1 + momentum * d
        total += d
    return 1 / (4 * total)


def fixed_point_rate(n: int) -> Fraction:
    """(n / (n + 1))^n / (n + 1): worst |T s_n - s_n|^2 of firmly nonexpansive maps, |s_0 - s*| = 1 (Gu and Yang)."""
    return Fraction(n, n + 1) ** n / (n + 1)


@cache
def recorded(name: str) -> list[dict[str, Any]]:
    """The recorded rows of a method: n, bound, pepit, multipliers."""
    return json.loads(RECORDED.read_text())[name]


def recorded_bound(name: str, n: int) -> Fraction:
    """The bound that the multipliers prove for n steps."""
    return Fraction(recorded(name)[n - 1]["bound"])


def certificate(name: str, n: int, exact: float | None) -> tuple[Evidence, ...]:
    """The recorded multipliers prove the recorded bound, which is close to `exact`, or to PEPit's number where None."""
    row, program = recorded(name)[n - 1], estimate(name, n)
    lam = [Fraction(0)] * len(program.inequalities)
    for i, numerator in row["multipliers"]:
        lam[i] = Fraction(numerator, 2**BITS)
    bound = Fraction(row["bound"])
    proved = program.proves(lam, bound)
    target, close = (row["pepit"], PROMISED) if exact is None else (exact, TIGHT)
    return (
        Evidence(f"exact multipliers prove the rate of {n} steps", float(not proved), 0.5, 0.0, proved),
        Evidence(f"the proved bound of {n} steps is tight", float(bound) / target, 1.0, close),
        Evidence(f"no bound of {n} steps is below what is attained", target, float(bound), close * target),
        Evidence(f"PEPit finds the same for {n} steps", abs(row["pepit"] / target - 1), 0.0, PROMISED),
    )


def library_momenta(solver: Any, n: int) -> np.ndarray:
    """The momenta [n - 1] that a solver of the library uses, read off its points on an ill-conditioned quadratic."""
    import sparseopt as so

    problem = so.Problem.quadratic(
        np.diag([1.0, 0.01]), np.array([1.0, 1.0]), so.GroupLasso(1e-9, so.Groups.uniform(2, 1))
    )
    states = so.iterate(problem, solver, np.array([5.0, -3.0]))
    run = [next(states) for _ in range(n + 1)]
    found = []
    for before, now in itertools.pairwise(run):
        move = now.w - before.w
        found.append(float(move @ (now.point - now.w) / (move @ move)))
    return np.array(found[: n - 1])
