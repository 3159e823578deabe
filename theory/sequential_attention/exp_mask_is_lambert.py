"""Lemma 2.1: weight decay on masks e^(w_g) and weights is the Lambert penalty of the group norms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

import sparseopt as so

from ..enclosure import Interval, exp, sqrt
from ..extras import require
from ..instances import EPS
from ..theorem import Attack, Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .factors import Factors, descent_evidence, draw_factors, random_coefficients
from .scalar_functions import SLACK, ExactExpMask

CONVEX_BELOW = math.exp(math.sqrt(3)) / (2 * (2 - math.sqrt(3)))
"""L + lam sum q is convex for lam < 10.547 mu."""


def best(norms: np.ndarray) -> np.ndarray:
    """w = W(2 a^2) / 2, of which q = w^2 + w: w = 2 q / (1 + sqrt(1 + 4 q))."""
    q = so.penalties.ExpMask().value(norms)
    return 2 * q / (1 + np.sqrt(1 + 4 * q))


@dataclass(frozen=True)
class ExactMasked:
    """One group of norm a under a mask e^w, decay c_mask w^2 + c_weight b^2 with a = e^w b; w >= floor.

    guess: a rational number near the minimiser.
    """

    a: Fraction
    guess: Fraction
    c_mask: Fraction = Fraction(1)
    c_weight: Fraction = Fraction(1)
    floor: Fraction | None = None

    @property
    def infimum(self) -> Interval:
        """The infimum of the decay over w, which is 2 c_mask-strongly convex in w: f(w) - f'(w)^2 / (4 c_mask) <= inf.

        Where w is not free and f is increasing at the floor, the infimum is f(floor).
        """
        w = self.guess if self.floor is None else max(self.guess, self.floor)
        grown = exp(2 * abs(w))
        factor = Interval(1 / Fraction(grown.high), 1 / Fraction(grown.low)) if w >= 0 else grown
        weights = factor.times(self.c_weight * self.a**2)
        value = Interval.point(self.c_mask * w * w) + weights
        slope = Interval.point(2 * self.c_mask * w) - weights.times(Fraction(2))
        if self.floor is not None and w == self.floor and slope.low > 0:
            return value
        steepest = max(abs(slope.low), abs(slope.high))
        return Interval(value.low - steepest**2 / (4 * self.c_mask), value.high)


def exact_instance(a: Fraction, **changes: Fraction) -> ExactMasked:
    """The minimiser guessed by floats, to 52 bits."""
    guess = float(best(np.array([float(a)]))[0])
    return ExactMasked(a, Fraction(guess), **changes)


def draw(rng: np.random.Generator) -> Factors | ExactMasked:
    """Group norms from 1e-4 to 1e4; one instance in eight is rational."""
    if rng.random() < 0.125:
        return exact_instance(Fraction(int(rng.integers(1, 400)), int(rng.integers(1, 100))))
    return draw_factors(rng, so.solvers.masks.ExponentialMask(), best)


def conclusion(instance: Factors | ExactMasked) -> tuple[Evidence, ...]:
    """The infimum of the decay is q, and q' = W / a."""
    if isinstance(instance, Factors):
        return (instance.attained(), *_slopes(instance))
    q, infimum = ExactExpMask().value(instance.a), instance.infimum
    return (
        Evidence("inf over w of w^2 + a^2 e^(-2w) <= q(a)", infimum.low, q.high, q.width + infimum.width),
        Evidence("inf over w of w^2 + a^2 e^(-2w) >= q(a)", q.low, infimum.high, q.width + infimum.width),
    )


def _slopes(instance: Factors) -> tuple[Evidence, ...]:
    """The library's slope against W / a, and divided differences of it against the bounds of the second derivative."""
    q, a = so.penalties.ExpMask(), np.sort(instance.groups.norms(instance.w))
    slope, w = q.slope(a), best(a)
    curved = np.diff(slope) / np.diff(a) if len(a) > 1 else np.zeros(1)
    rounding = 64 * EPS * float((slope / a).max()) * (1 + float((a[1:] / np.diff(a)).max(initial=0.0)))
    return (
        Evidence("q' = W / a", float(np.abs(slope * a / (2 * w) - 1).max()), 0.0, 64 * EPS),
        Evidence("-2 (2 - sqrt 3) e^(-sqrt 3) <= q''", -q.weak_convexity, float(curved.min()), rounding),
        Evidence("q'' <= 2", float(curved.max()), 2.0, rounding),
    )


def attack(instance: Factors | ExactMasked) -> Attack:
    """Random factors; for a rational instance the one at which the mask is 1."""
    if isinstance(instance, Factors):
        return instance.attack()
    q = ExactExpMask().value(instance.a)
    plain = instance.a**2
    return Attack(1, int(q.low > plain), Evidence("q(a) <= a^2, the cost of the mask 1", q.low, plain, q.width))


HYPOTHESES = (
    Hypothesis(
        "equal decay",
        "masks and weights have the same decay lam > 0",
        lambda i: SLACK - float(abs(i.c_mask - i.c_weight)) if isinstance(i, ExactMasked) else 1.0,
    ),
    Hypothesis(
        "free masks",
        "w ranges over all real numbers",
        lambda i: -1.0 if isinstance(i, ExactMasked) and i.floor is not None else 1.0,
    ),
)

COUNTEREXAMPLES = (
    Counterexample(
        "equal decay",
        "decay 1 on masks, 4 on weights",
        "at a = 1/2 the infimum is q(1), in general c_mask q(a sqrt(c_weight / c_mask)), and not q(1/2)",
        lambda: ExactMasked(Fraction(1, 2), exact_instance(Fraction(1)).guess, c_weight=Fraction(4)),
    ),
    Counterexample(
        "free masks",
        "masks of at least e",
        "w >= 1 costs at least 1 + a^2 / e^2 > q(1/2)",
        lambda: exact_instance(Fraction(1, 2), floor=Fraction(1)),
    ),
)


def _fixed_inflection() -> tuple[Evidence, ...]:
    q, half = ExactExpMask(), exp(Fraction(1)).times(Fraction(1, 2))
    at = Interval(sqrt(half.low).low, sqrt(half.high).high)
    value, image = q.inverse(Fraction(3, 4)), so.penalties.ExpMask()
    a = float(at.low)
    inner, outer = (np.diff(image.slope(np.array(ends))) for ends in ((a / 2, a * (1 - 1e-6)), (a * (1 + 1e-6), 2 * a)))
    return (
        Evidence("q(sqrt(e / 2)) = 3/4", max(value.low - at.high, at.low - value.high), Fraction(0)),
        Evidence("the enclosures are narrower than 1e-25", max(value.width, at.width), Fraction(1, 10**25)),
        Evidence("q' increases up to sqrt(e / 2)", 0.0, float(inner[0])),
        Evidence("q' decreases beyond", float(outer[0]), 0.0),
    )


def _fixed_lambert() -> tuple[Evidence, ...]:
    flint = require("flint")
    found = []
    with flint.ctx.workprec(140):
        for a in (Fraction(1, 100), Fraction(1, 2), Fraction(1), Fraction(7, 3), Fraction(50)):
            W = (2 * flint.arb(flint.fmpq(a.numerator, a.denominator)) ** 2).lambertw()
            ball = W * W / 4 + W / 2
            q = ExactExpMask().value(a)
            low, high = (flint.arb(flint.fmpq(end.numerator, end.denominator)) for end in (q.low, q.high))
            apart = not (ball.overlaps(low.union(high)))
            found.append(Evidence(f"q({a}) is W^2/4 + W/2 in ball arithmetic", int(apart), 0))
    return tuple(found)


def _fixed_descent() -> tuple[Evidence, ...]:
    mask = so.solvers.masks.ExponentialMask()
    return tuple(e for ratio in (0.1, 1.0) for e in descent_evidence(mask, ratio, seed=1))


def _fixed_convex() -> tuple[Evidence, ...]:
    """One stationary point for lam just below 10.547 mu, three just above, in one variable: x - c + lam q'(x)."""
    q, x = so.penalties.ExpMask(), np.geomspace(1e-3, 30, 4000)
    slope_of = [np.diff(x + lam * q.slope(x)).min() for lam in (0.999 * CONVEX_BELOW, 1.01 * CONVEX_BELOW)]
    return (
        Evidence("x + lam q'(x) increases for lam = .999 * 10.547", 0.0, float(slope_of[0])),
        Evidence("and does not for lam = 1.01 * 10.547", float(slope_of[1]), 0.0),
    )


def curves(seed: int) -> dict[str, Columns]:
    """shape: q, q', q'' over a.  growth: q over a^2 and over log^2 a.  Nothing is random; `seed` is not used."""
    q = so.penalties.ExpMask()
    a, far = np.linspace(0, 5, 251)[1:], np.geomspace(1e-3, 1e8, 111)
    w = best(a)
    curvature = 2 * (1 - 2 * w) * np.exp(-2 * w) / (1 + 2 * w)
    logs = np.where(far > 1.5, q.value(far) / np.log(np.maximum(far, 1.5)) ** 2, np.inf)
    return {
        "shape": {"a": a, "q": q.value(a), "slope": q.slope(a), "curvature": curvature},
        "growth": {"a": far, "over_square": q.value(far) / far**2, "over_log_square": logs},
    }


def example(seed: int) -> Factors:
    """A random instance, for tests."""
    rng = np.random.default_rng(seed)
    groups = so.Groups.from_sizes([2, 1, 3])
    return Factors(so.solvers.masks.ExponentialMask(), best, groups, random_coefficients(rng, groups, 2), seed)


THEOREM = Theorem(
    name="exp_mask_is_lambert",
    ledger="A1",
    title="The exponential mask is the Lambert penalty",
    statement=(
        r"For every L and \lambda > 0: \inf_{w, \beta} L(e^{w_g} \beta_g) + \lambda (\|w\|^2 + \|\beta\|^2) = "
        r"\inf_u L(u) + \lambda \sum_g q(\|u_g\|) with q(a) = W^2/4 + W/2, W = W(2 a^2) the Lambert function; the "
        r"minimisers correspond by w_g = W/2. q' = W/a, and -2 (2 - \sqrt 3) e^{-\sqrt 3} \le q'' \le 2, so that q "
        r"is convex up to \sqrt{e/2} and L + \lambda \sum q is convex for \lambda < 10.547 \mu."
    ),
    source="SequentialAttention++ (arXiv 2402.17902), Lemma 2.1; derivatives and convexity are ours",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("inflection", "q = 3/4 at a = sqrt(e / 2), in rational enclosures", _fixed_inflection),
        Fixed("Lambert function", "q against W of python-flint, in ball arithmetic", _fixed_lambert, certifies=True),
        Fixed("descent", "gradient descent on the factors of a quadratic", _fixed_descent),
        Fixed("10.547", "the largest lam of a convex problem, from both sides", _fixed_convex),
    ),
    curves=curves,
    sizes={"quick": 60, "standard": 1000, "full": 20_000},
    attack=attack,
    printed="holds",
)
