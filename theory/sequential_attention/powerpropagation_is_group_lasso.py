"""Lemma 2.3: weight decay on beta, u_g = |beta_g| beta_g, is the group LASSO; the map is a bijection."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

import sparseopt as so

from ..instances import EPS, REAL_DATA, random_groups, real_data
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .factors import descent_evidence, random_coefficients
from .scalar_functions import SLACK

MASK = so.solvers.masks.Powerpropagation()


@dataclass(frozen=True)
class Powered:
    """Coefficients w [p] in groups; zero groups are allowed."""

    groups: so.Groups
    w: np.ndarray


@dataclass(frozen=True)
class ExactPowered:
    """beta = length * direction for one group, direction a rational unit vector; u = |beta|^(power - 1) beta.

    by_entry: whether the power is taken entry by entry.
    """

    length: Fraction
    direction: tuple[Fraction, ...]
    power: int = 2
    by_entry: bool = False

    @property
    def u(self) -> tuple[Fraction, ...]:
        """The coefficients."""
        beta = [self.length * d for d in self.direction]
        factors = [abs(b) if self.by_entry else self.length for b in beta]
        return tuple(f ** (self.power - 1) * b for f, b in zip(factors, beta, strict=True))

    def evidence(self) -> tuple[Evidence, ...]:
        """|beta|^2 = |u|, squared on both sides, so that all is rational; and beta = u / sqrt|u|."""
        decay, square = self.length**2, sum((x * x for x in self.u), Fraction(0))
        back = max(abs(x - self.length**2 * d) for x, d in zip(self.u, self.direction, strict=True))
        return (
            Evidence("|beta|^4 = |u|^2", abs(decay**2 - square), Fraction(0)),
            Evidence("u = |beta|^2 direction", back, Fraction(0)),
        )


DIRECTIONS = ((3, 4, 0, 5), (1, 2, 2, 3), (2, 3, 6, 7), (8, 9, 12, 17), (1, 0, 0, 1))
"""x, y, z, length of rational unit vectors."""


def draw(rng: np.random.Generator) -> Powered | ExactPowered:
    """1 to 8 groups with norms from 1e-4 to 1e4, some of them zero; one instance in eight is rational."""
    if rng.random() < 0.125:
        *parts, length = DIRECTIONS[rng.integers(len(DIRECTIONS))]
        direction = tuple(Fraction(x, length) for x in parts)
        return ExactPowered(Fraction(int(rng.integers(1, 100)), int(rng.integers(1, 100))), direction)
    groups = random_groups(rng, int(rng.integers(1, 9)), 4)
    w = random_coefficients(rng, groups, 4)
    kept = rng.random(groups.n_groups) < 0.8
    kept[rng.integers(groups.n_groups)] = True
    return Powered(groups, groups.scale(w, kept.astype(float)))


def conclusion(instance: Powered | ExactPowered) -> tuple[Evidence, ...]:
    """The map is onto, one to one, and the decay is the group LASSO."""
    if isinstance(instance, ExactPowered):
        return instance.evidence()
    groups, w = instance.groups, instance.w
    v, m = MASK.start(groups, w)
    value = float(MASK.equivalent(1.0, groups).value(w))
    decay, rounding = float(MASK.decay(groups, v, m)[0]), 64 * EPS * value
    there = float(np.abs(MASK.weights(groups, v, m) - w).max())
    again = MASK.start(groups, MASK.weights(groups, 3 * v, m))[0]
    return (
        Evidence("|beta|^2 = sum |u_g|", abs(decay - value), 0.0, rounding),
        Evidence("every u has a beta", there, 0.0, rounding),
        Evidence("and only one", float(np.abs(again - 3 * v).max()), 0.0, 64 * EPS * float(np.abs(3 * v).max())),
    )


HYPOTHESES = (
    Hypothesis(
        "by group",
        "the factor of a group is the norm |beta_g| of the whole group",
        lambda i: -1.0 if isinstance(i, ExactPowered) and i.by_entry else 1.0,
    ),
    Hypothesis(
        "power two",
        "u_g = |beta_g|^(alpha - 1) beta_g with alpha = 2",
        lambda i: SLACK - abs(i.power - 2) if isinstance(i, ExactPowered) else 1.0,
    ),
)

THREE_FOUR = (Fraction(3, 5), Fraction(4, 5))

COUNTEREXAMPLES = (
    Counterexample(
        "by group",
        "entry by entry",
        "u_i = |beta_i| beta_i turns decay into the plain LASSO: beta = (3, 4) / 5 has |beta|^2 = 1 but |u| = 0.734",
        lambda: ExactPowered(Fraction(1), THREE_FOUR, by_entry=True),
    ),
    Counterexample(
        "power two",
        "alpha = 3",
        "|beta|^2 = |u|^(2/3): at |beta| = 2 the decay is 4, and |u| = 8",
        lambda: ExactPowered(Fraction(2), THREE_FOUR, power=3),
    ),
)


def _fixed_descent() -> tuple[Evidence, ...]:
    return tuple(descent_evidence(MASK, 0.3, seed=4, steps=300))


def _fixed_zero() -> tuple[Evidence, ...]:
    """A group at zero has the preimage zero and never moves: the derivative of the map vanishes there."""
    groups = so.Groups.uniform(3, 2)
    v = np.array([1.0, 2.0, 0.0, 0.0, -1.0, 0.5])
    pulled = MASK.pull_back(groups, v, np.zeros(0), np.ones(6))[0]
    return (
        Evidence("u of a zero group is zero", float(np.abs(MASK.weights(groups, v, np.zeros(0))[2:4]).max()), 0.0),
        Evidence("its gradient vanishes", float(np.abs(pulled[2:4]).max()), 0.0),
    )


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    """At the solutions of the group LASSO, which have groups that are 0."""
    loss, found = real_data(name), list[Evidence]()
    for ratio in (0.5, 0.05):
        w = so.solve(loss.problem.with_lam(ratio * float(loss.tau.max()))).w
        found += conclusion(Powered(loss.groups, w))
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """map: |u| and the decay of beta over |beta|, for the powers 1, 2, 3.  Nothing is random."""
    length = np.linspace(0, 2, 81)[1:]
    return {"map": {"beta": length, "decay": length**2} | {f"u_{p}": length**p for p in (1, 2, 3)}}


THEOREM = Theorem(
    name="powerpropagation_is_group_lasso",
    ledger="A5",
    title="Group powerpropagation is the group LASSO",
    statement=(
        r"u_g = \|\beta_g\| \beta_g is a bijection with \|u_g\| = \|\beta_g\|^2, so for every L and \lambda > 0 "
        r"\inf_\beta L(\|\beta_g\| \beta_g) + \lambda \|\beta\|^2 = \inf_u L(u) + \lambda \sum_g \|u_g\|, and the "
        r"minimisers correspond."
    ),
    source='SequentialAttention++ (arXiv 2402.17902), Lemma 2.3, where the "min over w" is a misprint: there is no w',
    kind="closed form",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("descent", "gradient descent on beta for a quadratic", _fixed_descent),
        Fixed("zero groups", "a group at zero stays there", _fixed_zero),
        *(
            Fixed(name, "group LASSO solutions of real data at .5 and .05 of lambda_max", lambda n=name: _fixed_real(n))
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 150, "standard": 3000, "full": 100_000},
    printed="holds with a repair",
)
