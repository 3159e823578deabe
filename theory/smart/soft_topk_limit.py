"""How fast the soft top-k tends to the mask of the k largest scores as the temperature falls."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

import sparseopt as so

from ..instances import EPS, REAL_DATA, real_data
from ..sequential_attention.scalar_functions import SLACK
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .masks import ExactMask, SoftMask, random_exact_mask
from .soft_topk_is_well_posed import entropy

SHARP = 0.999
"""Share of the l1 bound that the two-level scores reach."""


def draw(rng: np.random.Generator) -> SoftMask | ExactMask:
    """2 to 40 scores with a gap D at rank k; D / tau from 1/10 to 60; one instance in five is rational."""
    if rng.random() < 0.2:
        return random_exact_mask(rng)
    n = int(rng.integers(2, 41))
    k = int(rng.integers(1, n))
    x = rng.standard_normal(n) if rng.random() < 0.7 else np.round(rng.standard_normal(n))
    x[np.argsort(-x, kind="stable")[:k]] += 10 ** rng.uniform(-2, 1)
    case = SoftMask(x, k, 1.0)
    return SoftMask(x, k, case.gap / 10 ** rng.uniform(-1, math.log10(60)))


def conclusion(instance: SoftMask | ExactMask) -> tuple[Evidence, ...]:
    """Both bounds on the distance to the hard mask; the slope; the value of the linear program."""
    return _exact(instance) if isinstance(instance, ExactMask) else (*_distances(instance), *_limits(instance))


def _exact(instance: ExactMask) -> tuple[Evidence, ...]:
    distances, k = instance.distances, instance.k
    others = len(distances) - k
    decay = instance.ratio if instance.decay is None else instance.decay
    squares = max(distances) ** 2, sum(distances, Fraction(0)) ** 2
    return (
        Evidence("max |f - top_k|^2 <= max(k, n - k) e^(-D / tau)", squares[0], max(k, others) * decay),
        Evidence("(sum |f - top_k|)^2 <= 4 k (n - k) e^(-D / tau)", squares[1], 4 * k * others * decay),
    )


def bounds(instance: SoftMask) -> tuple[float, float]:
    """sqrt(max(k, n - k)) e^(-D / (2 tau)) and 2 sqrt(k (n - k)) e^(-D / (2 tau)): of the largest error, of the sum."""
    k, others, decay = instance.k, instance.n - instance.k, math.exp(-instance.gap / (2 * instance.tau))
    return math.sqrt(max(k, others)) * decay, 2 * math.sqrt(k * others) * decay


def _distances(instance: SoftMask) -> tuple[Evidence, ...]:
    away = np.abs(instance.f - instance.hard)
    largest, total = bounds(instance)
    rounding = EPS * (8 + float(np.abs(instance.x).max()) / instance.tau)
    error, n = instance.error, instance.n
    target = 0.01
    cool = SoftMask(instance.x, instance.k, so.temperature_for(instance.gap, instance.k, n, target))
    reached = float(np.abs(cool.f - cool.hard).sum())
    return (
        Evidence("max |f - top_k| <= bound", float(away.max()), largest, error + rounding * largest),
        Evidence("sum |f - top_k| <= bound", float(away.sum()), total, n * error + rounding * total),
        Evidence("temperature_for keeps its promise", reached, target, n * cool.error + 64 * EPS),
    )


def _limits(instance: SoftMask) -> tuple[Evidence, ...]:
    x, tau, n = instance.centred, instance.tau, instance.n
    steepest = float(np.linalg.eigvalsh((instance.jacobian + instance.jacobian.T) / 2)[-1])
    lost = float(x @ (instance.hard - instance.f))
    rounding = 64 * EPS * n * (float(np.abs(x).max()) + tau) + n * instance.error * float(np.abs(x).max())
    most = tau * n * entropy(np.array([instance.k / n]))
    return (
        Evidence("|J| <= bound / tau", steepest, bounds(instance)[0] / tau, instance.jacobian_error),
        Evidence("<x, f> is at most the linear program", -lost, 0.0, rounding),
        Evidence("<x, f> is at least the linear program - tau n h(k / n)", lost, most, rounding),
    )


def gap_margin(instance: SoftMask | ExactMask) -> float:
    """The gap in units of the largest score; for rational masks how far e^(-D / tau) is from its ends."""
    if isinstance(instance, SoftMask):
        return instance.gap / float(np.abs(instance.x).max())
    decay = instance.ratio if instance.decay is None else instance.decay
    return float(min(decay - instance.ratio, 0)) + float(min(1 - decay, Fraction(1))) * SLACK


def tied_instance() -> ExactMask:
    """x = (2, 1, 1, 0) / log(1e6), k = 2, tau = 1 / log(1e6): f = (1 - 1e-6, 1/2, 1/2, 1e-6) to leading order."""
    step = Fraction(10**6)
    scores = (step**2, step, step, Fraction(1))
    return ExactMask(scores, (1,) * 4, 1 / step, 2, decay=1 / step)


def two_level(k: int, n: int, least: Fraction) -> ExactMask:
    """k equal scores above n - k equal ones, with k (1 - f_top) = (n - k) f_rest = least."""
    return ExactMask.of((1 - least / k,) * k + (least / (n - k),) * (n - k), k)


def _fixed_sharp() -> tuple[Evidence, ...]:
    found = []
    for k, n in ((1, 2), (2, 5), (3, 4)):
        mask = two_level(k, n, Fraction(1, 10**4))
        total = sum(mask.distances, Fraction(0)) ** 2
        limit = Fraction(str(SHARP)) ** 2 * 4 * k * (n - k) * mask.ratio
        found.append(Evidence(f"two levels reach {SHARP} of the bound on the sum", limit, total))
    return tuple(found)


def _fixed_tie() -> tuple[Evidence, ...]:
    f = so.soft_topk(np.array([2.0, 1.0, 1.0, 0.0]), 2, 1e-3)
    return (Evidence("a tie is shared", float(np.abs(f - [1.0, 0.5, 0.5, 0.0]).max()), 0.0, 32 * EPS),)


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    """Scores are the gradient norms of the groups at 0, by which pruning selects."""
    loss = real_data(name)
    found: list[Evidence] = []
    for k in (1, loss.groups.n_groups // 2):
        gap = SoftMask(loss.tau, k, 1.0).gap
        for ratio in (1.0, 10.0, 50.0):
            found += conclusion(SoftMask(loss.tau, k, gap / ratio))
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """errors: largest error and its bound over D / tau, for random and for two-level scores."""
    rng, ratios = np.random.default_rng(seed), np.linspace(0.5, 60, 60)
    scores = {"random": rng.standard_normal(12), "two_level": np.repeat([1.0, 0.0], [4, 8])}
    columns: dict[str, list[float]] = {"gap_over_tau": list(ratios)}
    for name, x in scores.items():
        cases = [SoftMask(x, 4, SoftMask(x, 4, 1.0).gap / ratio) for ratio in ratios]
        columns[name] = [float(np.abs(case.f - case.hard).sum()) for case in cases]
        columns["bound"] = [bounds(case)[1] for case in cases]
    return {"errors": columns}


HYPOTHESES = (
    Hypothesis("a gap", "x_(k) - x_(k+1) >= D > 0", gap_margin),
    Hypothesis(
        "one temperature",
        "every entry has the same tau > 0",
        lambda i: 1.0 if not isinstance(i, ExactMask) or len(set(i.powers)) == 1 else -1.0,
    ),
    Hypothesis(
        "0 < k < n",
        "k is an integer between 1 and n - 1",
        lambda i: float(min(i.k, (len(i.scores) if isinstance(i, ExactMask) else i.n) - i.k)),
        necessary=False,
        why="for k = 0 and k = n there is no gap to speak of, and f is the hard mask itself",
    ),
)

COUNTEREXAMPLES = (
    Counterexample(
        "a gap",
        "a tie at rank k",
        "x = (2, 1, 1, 0), k = 2: f tends to (1, 1/2, 1/2, 0), which is no hard mask",
        tied_instance,
    ),
    Counterexample(
        "one temperature",
        "temperatures 1/2 and 1",
        "x = (log 4, log 9), k = 1: f = (4/7, 3/7), though the second score is the largest",
        lambda: ExactMask((Fraction(4), Fraction(9)), (2, 1), Fraction(1, 12), 1),
    ),
)

THEOREM = Theorem(
    name="soft_topk_limit",
    ledger="B2",
    title="The soft top-k hardens exponentially in the gap over the temperature",
    statement=(
        r"Let D = x_{(k)} - x_{(k+1)} > 0 and top_k be the mask of the k largest scores. Then "
        r"max_i |f_i - top_k| \le \sqrt{max(k, n - k)} e^{-D / (2 \tau)} and "
        r"\sum_i |f_i - top_k| \le 2 \sqrt{k (n - k)} e^{-D / (2 \tau)}, which is sharp; the Jacobian is bounded by "
        r"the first of them over \tau, and \sum_i x_i f_i misses its maximum by at most \tau n h(k / n)."
    ),
    source="ours; SMART (arXiv 2403.19969) lets the temperature tend to 0",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("sharp", "scores on two levels, in rational numbers", _fixed_sharp),
        Fixed("tie", "equal scores at rank k share what is left", _fixed_tie),
        *(
            Fixed(name, "scores are the gradient norms of the groups at 0", lambda name=name: _fixed_real(name))
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 60, "standard": 1500, "full": 30_000},
    printed="not printed",
)
