"""What a theorem is here: a statement with everything that is needed to check it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

Number = float | Fraction
Columns = Mapping[str, Sequence[Any]]
"""Columns of a curve, all of one length: name -> values."""

SEPARATION = 10
"""A counterexample must break the conclusion by at least this many tolerances."""


@dataclass(frozen=True)
class Evidence:
    """One inequality of a conclusion, evaluated: lhs <= rhs + tolerance.

    claim: the inequality in words.  lhs, rhs: floats, or Fractions where they are exact.
    tolerance: >= 0, derived from rounding errors, certificates or the width of an enclosure (ledger, section 0).
    certified: whether a certificate was asked for and given; None where the claim needs none.
    """

    claim: str
    lhs: Number
    rhs: Number
    tolerance: Number = 0
    certified: bool | None = None

    @property
    def margin(self) -> float:
        """rhs - lhs: how safely the claim holds; -inf when it is undefined (NaN)."""
        margin = float(self.rhs - self.lhs)
        return -math.inf if math.isnan(margin) else margin

    @property
    def passed(self) -> bool:
        """Whether lhs <= rhs + tolerance."""
        return bool(self.lhs <= self.rhs + self.tolerance)

    @property
    def separated(self) -> bool:
        """Whether the claim fails by at least `SEPARATION` tolerances."""
        excess = self.lhs - self.rhs
        return bool(excess > 0 and excess >= SEPARATION * self.tolerance)

    @property
    def ease(self) -> float:
        """Margin in units of the tolerance, the order in which evidence is called worst; at least -1 when passed."""
        if self.margin == 0:
            return 0.0
        return self.margin / float(self.tolerance) if self.tolerance else math.copysign(math.inf, self.margin)

    @property
    def order(self) -> tuple[bool, float, float]:
        """Sort key: failures first, then by ease, then by margin."""
        return self.passed, self.ease, self.margin

    @property
    def exact(self) -> bool:
        """Whether both sides are rational numbers (or rational bounds), free of rounding."""
        return all(isinstance(side, int | Fraction) for side in (self.lhs, self.rhs, self.tolerance))


@dataclass(frozen=True)
class Hypothesis:
    """A condition of a theorem as a signed margin.

    margin: instance -> float, > 0 where the condition holds; its size says how safely.
    necessary: whether the theorem fails without it, which a counterexample must show.  why: the reason where it is not.
    """

    name: str
    statement: str
    margin: Callable[[Any], float]
    necessary: bool = True
    why: str = ""


@dataclass(frozen=True)
class Counterexample:
    """An instance that violates one hypothesis alone and breaks the conclusion.

    drops: name of the hypothesis.  why: one sentence.  instance: () -> instance.
    """

    drops: str
    title: str
    why: str
    instance: Callable[[], Any]


@dataclass(frozen=True)
class Fixed:
    """A named check beside the random ones: a special or a real-data instance.

    detail: one sentence on what is checked.  evidence: () -> evidence, which must all pass; it raises `MissingExtra`
    where a library is needed that is not installed.  certifies: whether the kind of the theorem rests on this check;
    without its library the theorem is then reported as sampled.
    """

    name: str
    detail: str
    evidence: Callable[[], Sequence[Evidence]]
    certifies: bool = False


@dataclass(frozen=True)
class Attack:
    """Outcome of a search for a point that contradicts a conclusion.

    tried: number of points.  below: how many contradict it by more than the tolerance.  evidence: the worst of them.
    """

    tried: int
    below: int
    evidence: Evidence

    @classmethod
    def of(cls, found: Sequence[Evidence]) -> Attack:
        """Of the evidence at each point that was tried."""
        return cls(len(found), sum(not e.passed for e in found), min(found, key=lambda e: e.order))


@dataclass(frozen=True)
class Theorem:
    """A statement and its check.

    name: as the module.  ledger: entry of the theorem ledger.  statement: LaTeX-light sentence.  source: paper, number.
    kind: "closed form" | "certified" | "sampled", the evidence a passing check gives.
    draw: rng -> instance, aimed at the hypotheses.  conclusion: instance -> evidence.  sizes: level -> instances.
    curves: seed -> figure data by curve name.  attack: instance -> Attack.  expected: the verdict it should get.
    printed: what is to be made of the sentence in the paper: "holds" | "holds with a repair" | "false as printed" |
    "not printed" (the statement is ours) | "open".
    """

    name: str
    ledger: str
    title: str
    statement: str
    source: str
    kind: str
    hypotheses: tuple[Hypothesis, ...]
    draw: Callable[[Any], Any]
    conclusion: Callable[[Any], Sequence[Evidence]]
    counterexamples: tuple[Counterexample, ...]
    fixed: tuple[Fixed, ...]
    curves: Callable[[int], Mapping[str, Columns]]
    sizes: Mapping[str, int] = field(default_factory=lambda: {"quick": 20, "standard": 200, "full": 2000})
    attack: Callable[[Any], Attack] | None = None
    expected: str = "holds"
    printed: str = "not printed"
