"""The soft top-k: its threshold exists and is unique, its symmetries, the problem it solves, and its Jacobian."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np

import sparseopt as so

from ..enclosure import Interval, exp
from ..instances import EPS, REAL_DATA, real_data
from ..theorem import Attack, Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .masks import ExactMask, SoftMask, random_exact_mask, random_scores

SUM_ERROR = 4e-15
"""Relative error of sum f that the operator promises."""

COMPETITORS = 6

NOTHING = 1e-290
"""Sums of f below some multiple of 1e-305 are not balanced any more by the operator: it has no threshold to find."""


def draw(rng: np.random.Generator) -> SoftMask | ExactMask:
    """2 to 40 scores at a temperature from 1e-3 to 10; one instance in five is rational."""
    if rng.random() < 0.2:
        return random_exact_mask(rng)
    n = int(rng.integers(2, 41))
    return SoftMask(random_scores(rng, n), int(rng.integers(1, n)), float(10 ** rng.uniform(-3, 1)))


def conclusion(instance: SoftMask | ExactMask) -> tuple[Evidence, ...]:
    """Existence, symmetries and the Jacobian."""
    if isinstance(instance, ExactMask):
        return _exact(instance)
    return (*_threshold(instance), *_symmetries(instance), *_jacobian(instance))


def _exact(instance: ExactMask) -> tuple[Evidence, ...]:
    f = instance.f
    rank = sum(0 < p < 1 for p in f) - 1
    scores, order = instance.scores, instance.order
    falls = [f[j] - f[i] for i, j in itertools.pairwise(order) if scores[i] > scores[j]]
    return (
        Evidence("sum f = k", abs(sum(f, Fraction(0)) - instance.k), Fraction(0)),
        Evidence("the kernel of the Jacobian is span(1): its rank is n - 1", len(f) - 1, max(rank, 0)),
        Evidence("a larger score has a larger f", max(falls, default=Fraction(0)), Fraction(0)),
    )


def _threshold(instance: SoftMask) -> tuple[Evidence, ...]:
    f, k = instance.f, instance.k
    certificate = instance.operator.certificate()
    ordered = f[np.argsort(instance.x, kind="stable")]
    limit = 1e-10 + 64 * EPS * float(np.abs(instance.centred).max()) / instance.tau
    claim = "the threshold is certified to 1e-10 and the rounding of x / tau"
    threshold = Evidence(claim, float(certificate.upper), limit, 0.0, certificate.within(limit))
    if instance.gap > -2 * math.log(NOTHING / 10**5) * instance.tau:
        claim = "f is hard where e^(-D / (2 tau)) underflows, and any threshold in between serves"
        threshold = Evidence(claim, float(np.abs(f - instance.hard).max()), NOTHING)
    return (
        Evidence("sum f = k", abs(math.fsum(f) - k), 0.0, SUM_ERROR * k),
        threshold,
        Evidence("0 <= f <= 1", float(np.maximum(-f, f - 1).max()), 0.0),
        Evidence("f has the order of x", float(-np.diff(ordered).min()), 0.0, 2 * instance.error),
    )


def _symmetries(instance: SoftMask) -> tuple[Evidence, ...]:
    x, k, tau = instance.x, instance.k, instance.tau
    moved, turned = SoftMask(x + 1.0, k, tau), SoftMask(-x, instance.n - k, tau)
    p = np.random.default_rng(instance.n).permutation(instance.n)
    shuffled = SoftMask(x[p], k, tau)
    shift = EPS * (float(np.abs(x).max()) + 1) / (2 * tau)
    pairs = (
        ("translation: f(x + 1) = f(x)", moved.f - instance.f, moved.error + shift),
        ("reflection: f_(n-k)(-x) = 1 - f_k(x)", turned.f - (1 - instance.f), turned.error),
        ("permutation: f(Px) = P f(x)", shuffled.f - instance.f[p], shuffled.error),
    )
    return tuple(Evidence(c, float(np.abs(d).max()), 0.0, e + instance.error) for c, d, e in pairs)


def _jacobian(instance: SoftMask) -> tuple[Evidence, ...]:
    J, v, tau = instance.jacobian, instance.f * (1 - instance.f), instance.tau
    eigenvalues, error = np.linalg.eigvalsh((J + J.T) / 2), instance.jacobian_error
    formula = (np.diag(v) - np.outer(v, v) / v.sum()) / tau if v.sum() > 0 else np.zeros_like(J)
    return (
        Evidence("J = (diag v - vv' / sum v) / tau", float(np.abs(J - formula).max()), 0.0, error),
        Evidence("J 1 = 0", float(np.abs(J.sum(axis=1)).max()), 0.0, error),
        Evidence("J is positive semidefinite", -float(eigenvalues[0]), 0.0, error),
        Evidence("the second eigenvalue is at least min v / tau", float(v.min()) / tau, float(eigenvalues[1]), error),
        Evidence("|J| <= max v / tau", float(eigenvalues[-1]), float(v.max()) / tau, error),
        Evidence("|J| <= 1 / (4 tau)", float(eigenvalues[-1]), 1 / (4 * tau), error),
    )


def attack(instance: SoftMask | ExactMask) -> Attack:
    """Points y with 0 <= y <= 1, sum y = k: <x, y> + tau H(y) + 2 tau |y - f|^2 is not above the value at f.

    H is the sum of binary entropies, which is strongly concave with constant 4.
    """
    if isinstance(instance, ExactMask):
        x = np.array([math.log(s) for s in instance.scores])
        return attack(SoftMask(x, instance.k, 1.0))
    rng, f, x, tau = np.random.default_rng(instance.n), instance.f, instance.centred, instance.tau
    size = float(np.abs(x).max()) + tau * (1 + abs(float(instance.operator.shift)))
    tolerance = 64 * EPS * instance.n * size
    value = float(x @ f) + tau * entropy(f)
    found = []
    for scale in 10.0 ** rng.uniform(-4, 0.5, COMPETITORS):
        y = so.sets.CappedSimplex(instance.k).project(f + scale * rng.standard_normal(instance.n))
        lhs = float(x @ y) + tau * entropy(y) + 2 * tau * float((y - f) @ (y - f))
        found.append(Evidence("f maximises <x, y> + tau H(y), strongly", lhs, value, tolerance))
    return Attack.of(found)


def entropy(f: np.ndarray) -> float:
    """Sum of the binary entropies of f [n] in [0, 1], nats."""
    inner = f[(f > 0) & (f < 1)]
    return float(-(inner * np.log(inner) + (1 - inner) * np.log1p(-inner)).sum())


def enclosed_sum(x: np.ndarray, k: int, shift: Fraction, pivot: Fraction) -> Interval:
    """sum_i sigmoid(x_i - pivot + shift) - k for tau = 1, enclosed in rational numbers."""
    total = Interval.point(-k)
    for score in x:
        z = Fraction(float(score)) - pivot + shift
        power = exp(abs(z))
        ends = sorted(1 / (1 + Fraction(end)) for end in (power.low, power.high))  # sigmoid(-|z|)
        total = total + (Interval(1 - ends[1], 1 - ends[0]) if z > 0 else Interval(ends[0], ends[1]))
    return total


def _fixed_enclosed() -> tuple[Evidence, ...]:
    rng, found = np.random.default_rng(0), []
    radius = Fraction(1, 2**40)
    for n, k in ((2, 1), (5, 2), (8, 7)):
        mask = SoftMask(rng.standard_normal(n), k, 1.0)
        shift, pivot = (Fraction(float(v)) for v in (mask.operator.shift, mask.operator.pivot))
        below, above = (enclosed_sum(mask.x, k, shift + s * radius, pivot) for s in (-1, 1))
        found.append(Evidence("sum f < k a little below the threshold", below.high, Fraction(0)))
        found.append(Evidence("sum f > k a little above it", Fraction(0), above.low))
    return tuple(found)


def _fixed_tight() -> tuple[Evidence, ...]:
    tied = SoftMask(np.zeros(2), 1, 0.5)
    largest = float(np.linalg.eigvalsh(tied.jacobian)[-1])
    found = [Evidence("|J| = 1 / (4 tau) at a tie of two", 1 / (4 * tied.tau), largest, tied.jacobian_error)]
    for k in (0, 3):
        f = so.soft_topk(np.array([1.0, 2.0, 3.0]), k, 0.5)
        found.append(Evidence(f"k = {k} gives the constant mask", float(np.abs(f - k / 3).max()), 0.0))
    return tuple(found)


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    """Scores are the gradient norms of the groups at 0, by which pruning selects."""
    loss = real_data(name)
    scores = loss.tau / loss.tau.max()
    n = len(scores)
    return tuple(e for k in (1, n // 2, n - 1) for tau in (1.0, 0.01) for e in conclusion(SoftMask(scores, k, tau)))


def curves(seed: int) -> dict[str, Columns]:
    """masks: f over x at four temperatures.  slopes: 4 tau |J| over the temperature."""
    x = np.sort(np.random.default_rng(seed).standard_normal(16))
    taus = np.geomspace(0.01, 3, 40)
    norms = [4 * tau * float(np.linalg.norm(SoftMask(x, 6, float(tau)).jacobian, 2)) for tau in taus]
    masks = {f"tau_{tau:g}": so.soft_topk(x, 6, tau) for tau in (1.0, 0.3, 0.1, 0.03)}
    return {"masks": {"x": x} | masks, "slopes": {"tau": taus, "scaled_norm": norms}}


HYPOTHESES = (
    Hypothesis(
        "0 < k < n",
        "k is an integer between 1 and n - 1",
        lambda i: float(min(i.k, (len(i.scores) if isinstance(i, ExactMask) else i.n) - i.k)),
    ),
    Hypothesis(
        "finite",
        "every score is finite",
        lambda i: 1.0 if all(map(math.isfinite, i.scores if isinstance(i, ExactMask) else i.x)) else -1.0,
    ),
    Hypothesis(
        "one temperature",
        "every entry has the same tau > 0",
        lambda i: 1.0 if not isinstance(i, ExactMask) or len(set(i.powers)) == 1 else -1.0,
    ),
)

COUNTEREXAMPLES = (
    Counterexample(
        "0 < k < n",
        "k = n",
        "sum f = n holds for no finite t; the limit f = 1 has Jacobian 0",
        lambda: ExactMask((Fraction(1), Fraction(2)), (1, 1), math.inf, 2),
    ),
    Counterexample(
        "finite",
        "one score is infinite",
        "its f is 1 whatever the others are, and a translation of it alone changes nothing: the kernel is larger",
        lambda: ExactMask((math.inf, Fraction(1), Fraction(1)), (1, 1, 1), Fraction(1), 2),
    ),
    Counterexample(
        "one temperature",
        "temperatures 1/2 and 1",
        "x = (log 4, log 9) with k = 1 has f = (4/7, 3/7): the smaller score has the larger f",
        lambda: ExactMask((Fraction(4), Fraction(9)), (2, 1), Fraction(1, 12), 1),
    ),
)

THEOREM = Theorem(
    name="soft_topk_is_well_posed",
    ledger="B1",
    title="The soft top-k is well posed",
    statement=(
        r"For 0 < k < n and \tau > 0 exactly one t makes f_i = \sigma(x_i / \tau + t) sum to k. f keeps the order of x "
        r"and commutes with permutations, f(x + c) = f(x), f_{n-k}(-x) = 1 - f_k(x), and f alone maximises "
        r"\sum_i x_i y_i + \tau \sum_i h(y_i) over 0 \le y \le 1, \sum_i y_i = k, h the binary entropy. Its Jacobian "
        r"(diag(v) - v v^T / \sum_i v_i) / \tau, v = f (1 - f), is positive semidefinite with kernel span(1) and norm "
        r"\le max(v) / \tau \le 1 / (4 \tau)."
    ),
    source="SMART (arXiv 2403.19969), the operator; statement and constants are ours",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("threshold", "rational enclosures of sum f on both sides of the computed threshold", _fixed_enclosed),
        Fixed("tight", "1 / (4 tau) is attained; k = 0 and k = n give constant masks", _fixed_tight),
        *(Fixed(name, "gradient norms of real data as scores", lambda n=name: _fixed_real(n)) for name in REAL_DATA),
    ),
    curves=curves,
    sizes={"quick": 60, "standard": 500, "full": 20_000},
    attack=attack,
    printed="not printed",
)
