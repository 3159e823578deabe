"""At every temperature above 0 the masks of the soft top-k are the same set, so the problem is the same, and dense."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

import sparseopt as so
from sparseopt.k_support import shares

from ..instances import EPS, Instance, conditioned_quadratic, random_groups
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .masks import SoftMask

DECAY = 0.1
"""Strength of the weight decay in the comparison of objectives."""


@dataclass(frozen=True)
class Temperatures:
    """A mask f [G] with 0 < f < 1 and sum k, and two temperatures at which it is wanted.

    loss: strongly convex.  v: weights [p].  reach: B of the claim on bounded weights.  u: a point of it [p].
    """

    loss: Instance
    k: int
    f: np.ndarray
    taus: tuple[float, float]
    v: np.ndarray
    reach: float
    u: np.ndarray

    def scores(self, tau: float) -> np.ndarray:
        """tau log(f / (1 - f)) [G]."""
        return tau * (np.log(self.f) - np.log1p(-self.f))

    def mask(self, tau: float) -> so.solvers.masks.SmartMask:
        """The parametrisation of the package."""
        return so.solvers.masks.SmartMask(self.k, tau)

    @cached_property
    def dense(self) -> np.ndarray:
        """The minimiser of the loss [p]."""
        return np.linalg.solve(self.loss.H, self.loss.b)

    def value(self, w: np.ndarray) -> float:
        """The loss."""
        return float(w @ self.loss.H @ w / 2 - self.loss.b @ w)

    @cached_property
    def error(self) -> float:
        """Bound on |soft top-k - f| at both temperatures: of the operator, and of rounding the scores."""
        logits = float(np.abs(self.scores(1.0)).max())
        return max(SoftMask(self.scores(tau), self.k, tau).error for tau in self.taus) + 4 * EPS * (1 + logits)

    def rounding(self, w: np.ndarray) -> float:
        """What errors of f, and of sums, change of the loss at the masked weights w, f v with this w."""
        relative = self.error / float(self.f.min()) + 64 * EPS * len(w)
        size = float(np.abs(w) @ np.abs(self.loss.H) @ np.abs(w) + np.abs(self.loss.b) @ np.abs(w))
        return 4 * relative * size


@dataclass(frozen=True)
class ExactScores:
    """Scores x at the temperature tau, and (other / tau) x at another, in rational numbers; k = 1 of two entries.

    decay: of the centred scores.  bound: on |score|, None for none.  reach: on |v_i|; dense: minimiser of the loss.
    """

    scores: tuple[Fraction, Fraction]
    tau: Fraction
    other: Fraction
    decay: Fraction = Fraction(0)
    bound: Fraction | None = None
    reach: Fraction | None = None
    dense: tuple[Fraction, Fraction] = (Fraction(1), Fraction(1))

    def moved(self) -> list[Fraction]:
        """The scores that give the same mask at the other temperature, centred."""
        mean = sum(self.scores, Fraction(0)) / 2
        return [(x - mean) * self.other / self.tau for x in self.scores]


def conclusion(instance: Temperatures | ExactScores) -> tuple[Evidence, ...]:
    """Masks, objectives, the dense infimum, stationary points, and the set that bounded weights reach."""
    if isinstance(instance, ExactScores):
        return _exact(instance)
    return (*_images(instance), *_infimum(instance), *_stationary(instance), *_bounded(instance))


def _exact(instance: ExactScores) -> tuple[Evidence, ...]:
    moved, mean = instance.moved(), sum(instance.scores, Fraction(0)) / 2
    before = sum(((x - mean) ** 2 for x in instance.scores), Fraction(0))
    after = sum((x * x for x in moved), Fraction(0))
    farthest = max(abs(x) for x in moved)
    sizes = [abs(x) for x in instance.dense]
    limit = sum(sizes, Fraction(0)) if instance.reach is None else instance.reach
    return (
        Evidence("the same mask has the same objective", abs(instance.decay * (after - before)), Fraction(0)),
        Evidence("its scores are allowed", farthest, farthest if instance.bound is None else instance.bound),
        Evidence("the dense optimum is reached: sum |u_i| <= k B", sum(sizes, Fraction(0)), limit),
    )


def _images(instance: Temperatures) -> tuple[Evidence, ...]:
    found, objectives, groups = [], [], instance.loss.groups
    for tau in instance.taus:
        scores, mask = instance.scores(tau), instance.mask(tau)
        away = float(np.abs(so.soft_topk(scores, instance.k, tau) - instance.f).max())
        found.append(Evidence("f is the soft top-k of tau logit f", away, 0.0, instance.error))
        w = mask.weights(groups, instance.v, scores)
        objectives.append(instance.value(w) + DECAY * mask.decay(groups, instance.v, scores)[0])
    difference = abs(objectives[0] - objectives[1])
    tolerance = instance.rounding(groups.scale(instance.v, instance.f)) + 4 * EPS * abs(objectives[0])
    return (*found, Evidence("the objective at both temperatures", difference, 0.0, tolerance))


def _infimum(instance: Temperatures) -> tuple[Evidence, ...]:
    """Every mask reaches the dense optimum, by larger weights."""
    groups, dense, found = instance.loss.groups, instance.dense, []
    v = groups.divide(dense, instance.f)
    for tau in instance.taus:
        w = instance.mask(tau).weights(groups, v, instance.scores(tau))
        excess = instance.value(w) - instance.value(dense)
        found.append(Evidence("inf L over weights is the dense minimum", excess, 0.0, instance.rounding(dense)))
    return tuple(found)


def _stationary(instance: Temperatures) -> tuple[Evidence, ...]:
    """Stationary in weights and scores iff the gradient vanishes: at the dense optimum, and at no k-sparse point."""
    loss, groups, tau = instance.loss, instance.loss.groups, instance.taus[0]
    kept = np.isin(groups.labels, np.argsort(-instance.f)[: instance.k])
    sparse = np.zeros(len(instance.v))
    sparse[kept] = np.linalg.solve(loss.H[np.ix_(kept, kept)], loss.b[kept])
    found = []
    for name, u in (("the dense optimum", instance.dense), ("a k-sparse minimiser", sparse)):
        slope = loss.H @ u - loss.b
        v = groups.divide(u, instance.f)
        dv, dm = instance.mask(tau).pull_back(groups, v, instance.scores(tau), slope)
        size, length = float(np.linalg.norm(dv)), float(np.linalg.norm(slope))
        rounding = 64 * EPS * len(u) * (float(np.linalg.norm(loss.b)) + float(np.linalg.norm(loss.H @ np.abs(u))))
        least = (float(instance.f.min()) - instance.error) * length
        found.append(Evidence(f"|dL/dv| >= min f |gradient| at {name}", least, size, rounding))
        if u is instance.dense:
            steep = float(np.linalg.norm(dm)) * tau / max(float(np.linalg.norm(v)), 1.0)
            found.append(Evidence("both derivatives vanish at the dense optimum", max(size, steep), 0.0, rounding))
    return tuple(found)


def _bounded(instance: Temperatures) -> tuple[Evidence, ...]:
    """|u_g| < B, sum |u_g| < k B: f = r + s (1 - r), r = |u| / B, has sum k and weights within B; and conversely."""
    groups, B, k = instance.loss.groups, instance.reach, instance.k
    r = groups.norms(instance.u) / B
    f = r + (k - r.sum()) / (len(r) - r.sum()) * (1 - r)
    tau = instance.taus[1]
    mask = so.soft_topk(tau * (np.log(f) - np.log1p(-f)), k, tau)
    largest = float((groups.norms(instance.u) / mask).max())
    tolerance = B * (instance.error + 64 * EPS) / float(mask.min())
    clipped = groups.scale(instance.v, np.minimum(1.0, B / np.maximum(groups.norms(instance.v), B)))
    total = float((groups.norms(clipped) * instance.f).sum())
    return (
        Evidence("weights within B reach u", largest, B, tolerance),
        Evidence("weights within B have sum |u_g| <= k B", total, k * B, 64 * EPS * k * B),
    )


def draw(rng: np.random.Generator) -> Temperatures | ExactScores:
    """2 to 8 groups, log odds of the mask up to 12, temperatures from 1e-3 to 10; one instance in five is rational."""
    if rng.random() < 0.2:
        x, y, tau, other = (Fraction(int(v), 4) for v in rng.integers(1, 30, 4))
        return ExactScores((x, -y), tau, other, dense=(x, y))
    groups = random_groups(rng, int(rng.integers(2, 9)), 3)
    loss = conditioned_quadratic(rng, groups, float(10 ** rng.uniform(0, 1.5)))
    k = int(rng.integers(1, groups.n_groups))
    f = so.soft_topk(rng.uniform(-6, 6, groups.n_groups), k, float(rng.uniform(0.5, 3)))
    taus = 10 ** rng.uniform(-3, 1, 2)
    v, u, reach = rng.standard_normal(len(loss.b)), rng.standard_normal(len(loss.b)), float(10 ** rng.uniform(-1, 1))
    norms = groups.norms(u)
    largest = min(reach / norms.max(), k * reach / norms.sum())
    return Temperatures(loss, k, f, (float(taus[0]), float(taus[1])), v, reach, u * largest * rng.uniform(0.05, 0.95))


HYPOTHESES = (
    Hypothesis(
        "no decay of scores",
        "the regulariser does not depend on the scores",
        lambda i: 1.0 if isinstance(i, Temperatures) or i.decay == 0 else -float(i.decay),
    ),
    Hypothesis(
        "unbounded scores",
        "scores may have any size",
        lambda i: 1.0 if isinstance(i, Temperatures) or i.bound is None else -1.0,
    ),
    Hypothesis(
        "unbounded weights",
        "weights may have any size, for the claim on the infimum",
        lambda i: 1.0 if isinstance(i, Temperatures) or i.reach is None else -1.0,
    ),
    Hypothesis(
        "0 < k < n",
        "k is an integer between 1 and n - 1",
        lambda i: float(min(i.k, len(i.f) - i.k)) if isinstance(i, Temperatures) else 1.0,
        necessary=False,
        why="for k = 0 and k = n there is one mask at every temperature, and nothing to choose",
    ),
)

COUNTEREXAMPLES = (
    Counterexample(
        "no decay of scores",
        "decay 1/10 of the scores",
        "twice the temperature needs twice the scores for the same mask: their decay is four times as large",
        lambda: ExactScores((Fraction(1), Fraction(-1)), Fraction(1), Fraction(2), decay=Fraction(1, 10)),
    ),
    Counterexample(
        "unbounded scores",
        "scores within [-1, 1]",
        "the mask of (1, -1) at temperature 1 needs (2, -2) at temperature 2",
        lambda: ExactScores((Fraction(1), Fraction(-1)), Fraction(1), Fraction(2), bound=Fraction(1)),
    ),
    Counterexample(
        "unbounded weights",
        "weights within [-1, 1]",
        "the dense optimum (2, 2) has sum 4 > k B = 1: what is left is the convex relaxation",
        lambda: ExactScores(
            (Fraction(1), Fraction(-1)), Fraction(1), Fraction(2), reach=Fraction(1), dense=(Fraction(2), Fraction(2))
        ),
    ),
)

TARGET = np.array([1.0, 3.0])


def descended(tau: float, iterations: int = 120) -> so.solvers.mask_descent.MaskState:
    """Descent at a fixed temperature on |u - (1, 3)|^2 / 2 with k = 1, next to no decay, from (1, -1) / 2."""
    problem = so.Problem.quadratic(np.eye(2), TARGET, so.SmartDecay(1e-14, so.Groups.uniform(2, 1), 1))
    solver = so.solvers.MaskDescent(so.solvers.masks.SmartMask(1, tau))
    return next(itertools.islice(so.iterate(problem, solver, np.array([0.5, -0.5])), iterations, None))


def _fixed_limits() -> tuple[Evidence, ...]:
    """The infimum at every temperature is 0; with hard masks it is 1/2: limit and infimum do not commute."""
    u = descended(0.5).w
    hard = min(float(np.sum((np.where(kept, TARGET, 0.0) - TARGET) ** 2)) / 2 for kept in np.eye(2, dtype=bool))
    return (
        Evidence(
            "descent at temperature 1/2 comes within 1e-6 of the dense optimum", float(np.abs(u - TARGET).max()), 1e-6
        ),
        Evidence("the best hard mask leaves 1/2", abs(hard - 0.5), 0.0, 4 * EPS),
    )


def _fixed_decay() -> tuple[Evidence, ...]:
    """min over scores of sum a^2 / f^2 at three temperatures is Omega_k, which has none."""
    a, k, groups = np.array([1.0, 0.7, 0.4]), 2, so.Groups.uniform(3, 1)
    f, _ = shares(a ** (2 / 3), k)
    assert f.max() < 1
    omega = float(so.SmartDecay(1.0, groups, k).value(a))
    found = []
    for tau in (0.05, 0.5, 5.0):
        mask = so.soft_topk(tau * (np.log(f) - np.log1p(-f)), k, tau)
        cost = float(np.sum((a / mask) ** 2))
        found.append(Evidence(f"the penalty at temperature {tau}", abs(cost - omega), 0.0, 256 * EPS * omega))
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """infimum: loss reached at fixed temperatures, and with hard masks.  decayed: least |v|^2 + decay of scores for the
    point (1, 0.5) over the temperature, for several decays of the scores.  Nothing is random.
    """
    taus = np.geomspace(0.1, 10, 9)
    reached = [float(np.sum((descended(float(tau)).w - TARGET) ** 2)) / 2 for tau in taus]
    f = 1 / (1 + np.exp(-np.linspace(-12, 12, 4001)))
    logit = np.log(f) - np.log1p(-f)
    plain = 1 / f**2 + 0.25 / (1 - f) ** 2
    decayed = {
        f"decay_{s:g}": [float((plain + s * tau**2 * logit**2 / 2).min()) for tau in taus] for s in (0.0, 0.1, 1.0)
    }
    return {"infimum": {"tau": taus, "reached": reached}, "decayed": {"tau": taus} | decayed}


THEOREM = Theorem(
    name="temperature_is_immaterial",
    ledger="B3",
    title="The temperature does not change the problem of SMART",
    statement=(
        r"For every \tau > 0 the masks f_\tau(m) of all scores m are the same set, 0 < f < 1 with \sum_g f_g = k, as "
        r"m = \tau log(f / (1 - f)) shows. So the infimum of L(f v) + Reg(v) over weights and scores does not depend "
        r"on \tau; without regulariser it is the dense minimum of L, while masks that are hard leave the best k-sparse "
        r"one: \tau \to 0 and the infimum do not commute. Points are stationary iff \nabla L(f v) = 0, so no k-sparse "
        r"one is, unless the dense minimiser is k-sparse. With |v_g| \le B the points f v fill |u_g| < B, "
        r"\sum_g |u_g| < k B, but for the boundary."
    ),
    source="ours; SMART (arXiv 2403.19969) speaks of equivalence",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("limits", "the loss |u - (1, 3)|^2 / 2 with one of two entries", _fixed_limits),
        Fixed("weight decay", "the penalty of ledger B4 at three temperatures", _fixed_decay),
    ),
    curves=curves,
    sizes={"quick": 60, "standard": 1000, "full": 30_000},
    printed="not printed",
)
