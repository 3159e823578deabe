"""The proxes are global minimisers with known thresholds, and Lipschitz where penalty and step allow it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

import sparseopt as so

from ..instances import EPS
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem

GRID = 1000

p = so.penalties


@dataclass(frozen=True)
class ProxPair:
    """Two arguments v, other >= 0 of the prox of rho with a step."""

    rho: Any
    v: float
    other: float
    step: float

    @property
    def room(self) -> float:
        """1 - kappa step; inf where rho is not weakly convex, as no Lipschitz constant is claimed there."""
        kappa = self.rho.weak_convexity
        return np.inf if np.isinf(kappa) else 1 - kappa * self.step

    def at(self, v: float) -> float:
        """The prox of the library."""
        return float(self.rho.prox(np.array([v]), self.step)[0])


@dataclass(frozen=True)
class ExactProx:
    """Distances |prox(v) - prox(other)| and |v - other| of a dyadic case.  room: 1 - kappa step."""

    moved: Fraction
    apart: Fraction
    room: Fraction

    def evidence(self) -> tuple[Evidence, ...]:
        """The Lipschitz bound."""
        return (
            Evidence("|prox(v) - prox(v')| <= |v - v'| / |1 - kappa step|", self.moved, self.apart / abs(self.room)),
        )


def draw(rng: np.random.Generator) -> ProxPair:
    """Each penalty of the library; steps below 1/kappa where it is weakly convex."""
    rhos = (
        p.Linear(),
        p.MCP(float(rng.uniform(0.3, 5))),
        p.SCAD(float(rng.uniform(1.3, 5))),
        p.Log(float(10 ** rng.uniform(-1, 1))),
        p.Ratio(),
        p.ExpMask(),
        p.L0(),
        p.Power(float(rng.choice([0.5, 2 / 3, rng.uniform(0.1, 0.95)]))),
    )
    rho = rhos[rng.integers(len(rhos))]
    kappa = rho.weak_convexity
    largest = 3.0 if kappa == 0 or np.isinf(kappa) else 0.95 / kappa
    v = float(10 ** rng.uniform(-2, 1))
    other = v * float(rng.choice([1 + 10 ** rng.uniform(-6, -1), rng.uniform(0, 2)]))
    return ProxPair(rho, v, other, largest * float(rng.uniform(0.01, 1)))


def conclusion(instance: ProxPair | ExactProx) -> tuple[Evidence, ...]:
    """Not above any point of a grid, zero exactly up to the threshold, Lipschitz, and radial."""
    if isinstance(instance, ExactProx):
        return instance.evidence()
    found = [_global(instance), _radial(instance)]
    if np.isfinite(instance.room):
        moved = abs(instance.at(instance.v) - instance.at(instance.other))
        limit = abs(instance.v - instance.other) / instance.room
        rounding = 64 * EPS * max(instance.v, instance.other) / instance.room
        found.append(Evidence("|prox(v) - prox(v')| <= |v - v'| / (1 - kappa step)", moved, limit, rounding))
    return (*found, *_threshold(instance))


def _objective(instance: ProxPair, r: np.ndarray) -> np.ndarray:
    """(r - v)^2/2 + step rho(r) [...]."""
    return (r - instance.v) ** 2 / 2 + instance.step * np.asarray(instance.rho.value(r))


def _global(instance: ProxPair) -> Evidence:
    r = instance.at(instance.v)
    grid = np.concatenate([[0.0], np.linspace(0, 1.2 * instance.v, GRID), r * (1 + np.array([-1e-4, 1e-4]))])
    values = _objective(instance, np.append(grid, r))
    size = float(instance.v**2 + values[-1])
    return Evidence("no point of a grid is better", float(values[-1]), float(values[:-1].min()), 64 * EPS * size)


def _radial(instance: ProxPair) -> Evidence:
    """The group prox scales a vector by prox(|v|) / |v|."""
    groups = so.Groups.uniform(1, 3)
    direction = np.array([2.0, -1.0, 2.0]) / 3
    penalty = p.GroupPenalty(instance.rho, 1.0, groups, "none")
    off = penalty.prox(instance.v * direction, instance.step) - instance.at(instance.v) * direction
    return Evidence("the group prox is radial", float(np.abs(off).max()), 0.0, 256 * EPS * instance.v)


def threshold(rho: Any, step: float) -> tuple[float, float] | None:
    """(largest v with prox(v) = 0, the jump to the prox just above it); None where no closed form is claimed."""
    if isinstance(rho, p.Power):
        jump = (2 * step * (1 - rho.q)) ** (1 / (2 - rho.q))
        return (2 - rho.q) / (2 * (1 - rho.q)) * jump, jump
    if isinstance(rho, p.L0):
        return (2 * step) ** 0.5, (2 * step) ** 0.5
    if isinstance(rho, p.Linear):
        return step, 0.0
    if isinstance(rho, p.MCP):
        return (step, 0.0) if step < rho.gamma else ((step * rho.gamma) ** 0.5,) * 2
    return None


def _threshold(instance: ProxPair) -> tuple[Evidence, ...]:
    if isinstance(instance.rho, p.ExpMask):
        share = instance.at(1e-8) / 1e-8
        return (
            Evidence("no dead zone: prox(v)/v is 1/(1 + 2 step)", abs(share * (1 + 2 * instance.step) - 1), 0.0, 1e-12),
        )
    found = threshold(instance.rho, instance.step)
    if found is None:
        return ()
    edge, jump = found
    slope = 1 / instance.room if 0 < instance.room < np.inf else 2.0  # of the prox above the threshold, at most
    off = 1e-9 * edge * slope + 64 * EPS * (edge + jump) * max(slope, 1.0)
    below, above = (instance.at(edge * (1 + sign * 1e-9)) for sign in (-1, 1))
    return (
        Evidence("0 just below the threshold", below, 0.0),
        Evidence("the jump above it", abs(above - jump), 0.0, off),
    )


def lipschitz_margin(instance: ProxPair | ExactProx) -> float:
    """1 - kappa step, 1 where nothing is claimed."""
    return min(float(instance.room), 1.0)


HYPOTHESES = (Hypothesis("short step", "kappa step < 1, for the Lipschitz bound", lipschitz_margin),)


def hard_instance() -> ExactProx:
    """MCP with gamma = 1/4 and step 1: the prox is 0 at v = 1/2 and v just above it."""
    rho, v = p.MCP(0.25), 0.5
    other = v + 2.0**-10
    values = [Fraction(float(rho.prox(np.array([x]), 1.0)[0])) for x in (v, other)]
    return ExactProx(abs(values[1] - values[0]), Fraction(other) - Fraction(v), 1 - Fraction(4))


COUNTEREXAMPLES = (
    Counterexample(
        "short step", "MCP as a hard threshold", "gamma = 1/4, step 1: a jump of 1/2 at v = 1/2", hard_instance
    ),
)


def _three_pieces(v: Fraction, a: Fraction) -> Fraction:
    """The SCAD formula for lam = step = 1: soft up to 2, linear up to a, the identity beyond."""
    if v <= 2:
        return max(v - 1, Fraction(0))
    return ((a - 1) * v - a) / (a - 2) if v <= a else v


def _fixed_scad() -> tuple[Evidence, ...]:
    """The three pieces where a > 1 + step, and the library where they are wrong (a = 3/2)."""
    found = []
    for v in np.linspace(0.1, 6, 40):
        exact = float(_three_pieces(Fraction(float(v)), Fraction(37, 10)))
        off = abs(float(p.SCAD(3.7).prox(np.array([v]), 1.0)[0]) - exact)
        found.append(Evidence("three pieces of SCAD at a = 3.7", off, 0.0, 64 * EPS * v))
    case = ProxPair(p.SCAD(1.5), 1.9, 1.9, 1.0)
    return (*found, _global(case))


def _fixed_exp_mask() -> tuple[Evidence, ...]:
    """Local minima of the prox objective of the exp mask: one at step 10, two at step 12 for some v."""
    counts = []
    for step in (10.0, 12.0):
        r = np.linspace(0, 16, 4001)
        most = 0
        for v in np.linspace(8, 14, 61):
            values = (r - v) ** 2 / 2 + step * p.ExpMask().value(r)
            most = max(most, int(np.sum((values[1:-1] < values[:-2]) & (values[1:-1] < values[2:]))))
        counts.append(most)
    return (
        Evidence("one local minimum at step 10", float(counts[0]), 1.0),
        Evidence("two at step 12", 2.0, float(counts[1])),
    )


def curves(seed: int) -> dict[str, Columns]:
    """prox: over v, at step 1, of eight penalties; shapes: their values.  Nothing is random; `seed` is not used."""
    v = np.linspace(0, 5, 251)
    rhos = {
        "lasso": p.Linear(), "mcp": p.MCP(3.0), "scad": p.SCAD(3.7), "log": p.Log(0.5), "half": p.Power(0.5),
        "two_thirds": p.Power(2 / 3), "l0": p.L0(), "exp_mask": p.ExpMask(),
    }  # fmt: skip
    return {
        "prox": {"v": v} | {name: rho.prox(v, 1.0) for name, rho in rhos.items()},
        "shapes": {"t": v} | {name: rho.value(v) for name, rho in rhos.items()},
    }


THEOREM = Theorem(
    name="prox_formulas",
    ledger="D7",
    title="The proxes of concave penalties are global minimisers with known thresholds",
    statement=(
        r"The prox of every penalty returns a global minimiser of (r - v)^2 / 2 + s q(r). For q = t^p it is 0 up "
        r"to v = (2 - p) J / (2 (1 - p)) and jumps to J = (2 s (1 - p))^{1 / (2 - p)}; where q + \kappa t^2 / 2 is "
        r"convex and \kappa s < 1 it is Lipschitz with 1 / (1 - \kappa s); the prox of the exp mask has no dead zone."
    ),
    source="Xu et al. (2012), Cao et al. (2013), Zhang (2010), Fan and Li (2001); the exp mask is our own",
    kind="closed form",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("SCAD", "the three pieces at a = 3.7; at a = 1.5 they fail and the library does not", _fixed_scad),
        Fixed("exp mask", "a second local minimum between step 10 and 12", _fixed_exp_mask),
    ),
    curves=curves,
    sizes={"quick": 100, "standard": 1000, "full": 100_000},
    printed="holds",
)
