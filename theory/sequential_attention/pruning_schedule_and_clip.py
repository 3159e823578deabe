"""The schedule of Algorithm 1 is increasing and concave; masks clipped from above at 1 / d keep their top k."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from ..enclosure import Interval, exp
from ..instances import REAL_DATA, real_data
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .scalar_functions import SLACK

ZERO, ONE = Fraction(0), Fraction(1)


@dataclass(frozen=True)
class Pruning:
    """A schedule and a mask, all rational.

    ratio: e^(-c / steps), so that the schedule is rational at t = j / steps.  masks: A [n] > 0.  k: groups to keep, and
    d = k / n.  low, high: the ends of the clip, in units in which the mean of the masks is 1.
    """

    ratio: Fraction
    steps: int
    masks: tuple[Fraction, ...]
    k: int
    low: Fraction
    high: Fraction

    @property
    def d(self) -> Fraction:
        """The share of groups to keep."""
        return Fraction(self.k, len(self.masks))

    @property
    def schedule(self) -> list[Fraction]:
        """(1 - e^(-c t)) / (1 - e^(-c)) at t = 0, 1 / steps, ..., 1: the share of the final sparsity."""
        return [(1 - self.ratio**j) / (1 - self.ratio**self.steps) for j in range(self.steps + 1)]

    def gap(self, clipped: bool) -> Fraction:
        """Difference of the k-th and the next of the masks, in order."""
        masks = [min(max(a, self.low), self.high) for a in self.masks] if clipped else list(self.masks)
        ordered = sorted(masks, reverse=True)
        return ordered[self.k - 1] - ordered[self.k]


def statement_instance(ratio: Fraction, steps: int, masks: tuple[Fraction, ...], k: int) -> Pruning:
    """The clip of the statement: from above at 1 / d, from below not at all."""
    return Pruning(ratio, steps, masks, k, ZERO, Fraction(len(masks), k))


def draw(rng: np.random.Generator) -> Pruning:
    """2 to 12 masks of mean 1, any k; c from about .02 to 25."""
    n = int(rng.integers(2, 13))
    weights = [Fraction(int(x) + 1) for x in np.floor(10 ** rng.uniform(0, 4, n))]
    masks = tuple(n * w / sum(weights) for w in weights)
    ratio = Fraction(int(rng.integers(1, 100)), 101)
    return statement_instance(ratio, int(rng.integers(2, 9)), masks, int(rng.integers(1, n)))


def conclusion(instance: Pruning) -> tuple[Evidence, ...]:
    """Schedule: ends, growth, concavity.  Clip: few entries reach it, the even mask stays, no tie at rank k."""
    steps = np.diff(np.array(instance.schedule, dtype=object))
    reached = sum(a >= 1 / instance.d for a in instance.masks)
    return (
        Evidence("s(0) = 0", abs(instance.schedule[0]), ZERO),
        Evidence("s(1) = s", abs(instance.schedule[-1] - 1), ZERO),
        Evidence("the schedule increases", ZERO, min(steps)),
        Evidence("its steps fall", max(b - a for a, b in pairwise(steps)), ZERO),
        Evidence("its steps fall by e^(-c)", abs(steps[-1] - steps[0] * instance.ratio ** (instance.steps - 1)), ZERO),
        Evidence("at most k masks are 1 / d or more", reached, instance.k),
        Evidence("the even mask 1 is not below the clip", instance.low, ONE),
        Evidence("the even mask 1 is not above it", ONE, instance.high),
        Evidence("clipping makes no tie at rank k", int(instance.gap(False) > 0), int(instance.gap(True) > 0)),
    )


HYPOTHESES = (
    Hypothesis("c > 0", "the rate of the schedule is positive", lambda i: 1 - float(i.ratio)),
    Hypothesis(
        "mean one",
        "the masks add to n, as n softmax does",
        lambda i: SLACK - abs(float(sum(i.masks)) / len(i.masks) - 1),
    ),
    Hypothesis(
        "clip at 1 / d", "masks are clipped from above at 1 / d", lambda i: SLACK - abs(float(i.high * i.d - 1))
    ),
    Hypothesis("not from below", "masks are not clipped from below", lambda i: SLACK - float(i.low)),
)

EVEN = (ONE,) * 4
UNEVEN = (Fraction(34, 10), Fraction(3, 10), Fraction(2, 10), Fraction(1, 10))

COUNTEREXAMPLES = (
    Counterexample(
        "c > 0",
        "c < 0",
        "with e^(-c/2) = 2 half of the time reaches a third of the target: the schedule is convex",
        lambda: statement_instance(Fraction(2), 2, UNEVEN, 2),
    ),
    Counterexample(
        "mean one",
        "masks that are not normalised",
        "sigmoid-like masks may all be 1 / d = 2: four reach the clip, not two",
        lambda: statement_instance(Fraction(1, 2), 4, (Fraction(2),) * 4, 2),
    ),
    Counterexample(
        "not from below",
        "clip at d",
        "(3.4, .3, .2, .1) clipped at d = 1/2 is (2, .5, .5, .5): the second place is tied",
        lambda: replace(statement_instance(Fraction(1, 2), 4, UNEVEN, 2), low=Fraction(1, 2)),
    ),
    Counterexample(
        "clip at 1 / d",
        "clip at 1",
        "k = 1 of 4, d = 1/4, masks (2.2, 1.6, .1, .1) clipped at 1 instead of 4: the first two are tied",
        lambda: replace(
            statement_instance(
                Fraction(1, 2), 4, (Fraction(22, 10), Fraction(16, 10), Fraction(1, 10), Fraction(1, 10)), 1
            ),
            high=Fraction(1),
        ),
    ),
)


def _fixed_printed() -> tuple[Evidence, ...]:
    """[n d, n / d] as printed, for masks of mean 1: vacuous above, and from below it changes every even mask."""
    n, d = 1000, Fraction(1, 10)
    low, high = n * d, n / d
    return (
        Evidence("no mask is above n / d, as none is above n", Fraction(n), high),
        Evidence("n d is above 1, the mean: 100", ONE, low),
        Evidence("at most 1 / d = 10 masks can reach n d", Fraction(n) / low, 1 / d),
        Evidence("even masks are all changed", ONE, low - 1),
    )


def _distance(found: Interval, digits: str) -> Fraction:
    return max(abs(Fraction(end) - Fraction(digits)) for end in (found.low, found.high))


def _fixed_numbers() -> tuple[Evidence, ...]:
    """c = 4: slopes 4.0746 and .07463 at the ends, with the ratio e^4 = 54.598; half of the target at t = .168749."""
    e4 = exp(Fraction(4))
    first = Interval(4 / (1 - 1 / Fraction(e4.low)), 4 / (1 - 1 / Fraction(e4.high)))
    last = Interval(4 / (Fraction(e4.high) - 1), 4 / (Fraction(e4.low) - 1))
    half = [
        (1 - 1 / Fraction(exp(4 * t).low)) / (1 - 1 / Fraction(e4.low))
        for t in (Fraction("0.1687485"), Fraction("0.1687495"))
    ]
    unit = Fraction(1, 2 * 10**4)
    return (
        Evidence(
            "the first slope is 4.0746", max(abs(end - Fraction("4.0746")) for end in (first.low, first.high)), unit
        ),
        Evidence(
            "the last is 0.07463", max(abs(end - Fraction("0.07463")) for end in (last.low, last.high)), unit / 10
        ),
        Evidence("their ratio is 54.598", abs(e4.low - Fraction("54.598")), unit * 10),
        Evidence("less than half before t = .168749", half[0], Fraction(1, 2)),
        Evidence("more than half after", Fraction(1, 2), half[1]),
    )


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    """Masks that add to n, proportional to the gradient norms at 0, as the rational numbers that floats are."""
    norms = [Fraction(float(norm)) for norm in real_data(name).tau]
    masks = tuple(len(norms) * norm / sum(norms) for norm in norms)
    found: list[Evidence] = []
    for k in (1, len(norms) // 2, len(norms) - 1):
        found += conclusion(statement_instance(Fraction(2, 3), 8, masks, k))
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """schedule: s(t) / s for five rates.  clip: entries that each clip changes over the largest logit.  Not random."""
    t = np.linspace(0, 1, 51)
    rates = {f"c_{c:g}": (1 - np.exp(-c * t)) / (1 - np.exp(-c)) for c in (-4.0, 1.0, 4.0, 8.0)}
    n, d, spread = 1000, 0.1, np.linspace(0, 8, 33)
    changed: dict[str, list[float]] = {"printed": [], "sensible": []}
    for s in spread:
        logits = s * np.linspace(-1, 1, n)
        masks = n * np.exp(logits) / np.exp(logits).sum()
        changed["printed"].append(float(((masks < n * d) | (masks > n / d)).sum()))
        changed["sensible"].append(float((masks > 1 / d).sum()))
    return {"schedule": {"t": t, "linear": t} | rates, "clip": {"spread": spread} | changed}


THEOREM = Theorem(
    name="pruning_schedule_and_clip",
    ledger="A14",
    title="The sparsity schedule, and where masks may be clipped",
    statement=(
        r"s(t) = s (1 - e^{-c t}) / (1 - e^{-c}) with c > 0 is increasing and concave from 0 to s, its slope "
        r"falls by the factor e^c. For masks A > 0 of n groups with \sum A = n and d = k / n, at most k have A "
        r"\ge 1/d, so clipping them from above at 1/d makes no tie at rank k; clipping from below does. The "
        r"printed clip [n d, n / d] is vacuous above, and changes every even mask."
    ),
    source="SequentialAttention++ (arXiv 2402.17902), Algorithm 1; the repair is ours",
    kind="closed form",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("as printed", "the clip [n d, n / d] for n = 1000, d = 1/10", _fixed_printed),
        Fixed("numbers of c = 4", "slopes, their ratio, and half of the target, enclosed", _fixed_numbers),
        *(Fixed(name, "masks from the gradients of real data", lambda n=name: _fixed_real(n)) for name in REAL_DATA),
    ),
    curves=curves,
    sizes={"quick": 200, "standard": 5000, "full": 100_000},
    printed="holds with a repair",
)
