"""What weight decay makes of a soft top-k mask: a nonconvex penalty between the k-support norm and infinity."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

import sparseopt as so

from ..instances import EPS, REAL_DATA, random_groups, real_data
from ..sequential_attention.scalar_functions import SLACK
from ..theorem import Attack, Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem

COMPETITORS = 20


@dataclass(frozen=True)
class Decay:
    """Coefficients w [p] in groups, of which masks of total k are used."""

    groups: so.Groups
    w: np.ndarray
    k: int

    @property
    def norms(self) -> np.ndarray:
        """|w_g| [G]."""
        return self.groups.norms(self.w)

    @property
    def penalty(self) -> so.SmartDecay:
        """Omega_k with strength 1."""
        return so.SmartDecay(1.0, self.groups, self.k)

    def value(self, w: np.ndarray) -> float:
        """Omega_k(w)."""
        return float(self.penalty.value(w))

    def rounding(self, value: float) -> float:
        """64 eps G value."""
        return 64 * EPS * self.groups.n_groups * value


@dataclass(frozen=True)
class ExactDecay:
    """Norms a_g = roots_g^3 in rational numbers, so that a_g^(2/3) is rational too.

    capped: whether masks are at most 1.  floor: the least value a mask may have.
    """

    roots: tuple[Fraction, ...]
    k: int
    capped: bool = True
    floor: Fraction = Fraction(0)

    @property
    def square(self) -> Fraction:
        """|a|^2."""
        return sum((r**6 for r in self.roots), Fraction(0))

    @property
    def active(self) -> int:
        """Number of norms that are not 0."""
        return sum(r != 0 for r in self.roots)

    def value(self) -> Fraction:
        """inf sum a^2 / f^2 over the masks allowed with sum f <= k; zero groups have f = floor.

        The floor is one of the zero groups: none of the others may need it.
        """
        c = sorted((r * r for r in self.roots if r != 0), reverse=True)
        budget = self.k - self.floor * (len(self.roots) - len(c))
        if not self.capped:
            return sum(c, Fraction(0)) ** 3 / budget**2
        if len(c) <= budget:
            return self.square
        m = next(m for m in range(len(c)) if (budget - m) * c[m] <= sum(c[m:]))
        return sum((v**3 for v in c[:m]), Fraction(0)) + sum(c[m:], Fraction(0)) ** 3 / (budget - m) ** 2


def draw(rng: np.random.Generator) -> Decay | ExactDecay:
    """2 to 8 groups, some of them zero, with norms over up to six decades; one instance in five is rational."""
    n = int(rng.integers(2, 9))
    k = int(rng.integers(1, n + 1))
    if rng.random() < 0.2:
        return ExactDecay(tuple(Fraction(int(rng.integers(0, 9)), 4) for _ in range(n)), k)
    groups = random_groups(rng, n, 3)
    w = rng.standard_normal(groups.n_features)
    w = groups.scale(w, 10 ** rng.uniform(-3, 3, n) * (rng.random(n) < 0.8))
    return Decay(groups, w, k)


def conclusion(instance: Decay | ExactDecay) -> tuple[Evidence, ...]:
    """The closed form is the infimum; the sandwich; the conjugate; the growth beside k active groups."""
    if isinstance(instance, ExactDecay):
        return _exact(instance)
    return (_dual(instance), *_sandwich(instance), _growth(instance))


def _exact(instance: ExactDecay) -> tuple[Evidence, ...]:
    value, square = instance.value(), instance.square
    found = [Evidence("|a|^2 <= Omega_k", square, value)]
    if instance.active <= instance.k:
        found.append(Evidence("Omega_k <= |a|^2 for at most k active groups", value, square))
    return tuple(found)


def _dual(instance: Decay) -> Evidence:
    """The masks are a convex problem in f, so any multiplier bounds the infimum from below."""
    a, k = instance.norms, instance.k
    theta = threshold(a ** (2 / 3), k)
    f = np.minimum(1.0, a ** (2 / 3) / theta) if theta > 0 else np.ones_like(a)
    multiplier = 2 * theta**3
    stretched = np.divide(a, f, out=np.zeros_like(a), where=a > 0)
    bound = float(stretched @ stretched + multiplier * (f[a > 0].sum() - k * (theta > 0)))
    value = instance.value(instance.w)
    rounding = instance.rounding(value + multiplier * k)
    return Evidence("Omega_k is at most its dual bound", value, bound, rounding, value <= bound + rounding)


def threshold(c: np.ndarray, k: int) -> float:
    """The theta >= 0 with sum min(1, c / theta) = k, by bisection; 0 where at most k entries are not 0."""
    if np.count_nonzero(c) <= k:
        return 0.0
    low, high = 0.0, float(c.sum())
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.minimum(1.0, c / middle).sum() > k else (low, middle)
    return high


def _sandwich(instance: Decay) -> tuple[Evidence, ...]:
    w, penalty, k = instance.w, instance.penalty, instance.k
    value, envelope, square = instance.value(w), float(penalty.companion.value(w)), float(w @ w)
    sparse = so.sets.TopGroups(k, instance.groups).project(w)
    energy = float(sparse @ sparse)
    at_sparse = instance.value(sparse)
    return (
        Evidence("the squared k-support norm <= Omega_k", envelope, value, instance.rounding(value)),
        Evidence("|w|^2 <= the squared k-support norm", square, envelope, instance.rounding(envelope)),
        Evidence(
            "Omega_k = |w|^2 for at most k active groups", abs(at_sparse - energy), 0.0, instance.rounding(energy)
        ),
        Evidence(
            "the conjugate at w is attained",
            abs(float(w @ sparse) / 2 - instance.value(sparse / 2) - float(penalty.companion.conjugate(w))),
            0.0,
            instance.rounding(energy),
        ),
    )


def _growth(instance: Decay) -> Evidence:
    """Beside k active groups the penalty grows by at least 3 a_(k)^(4/3) eps^(2/3)."""
    sparse = so.sets.TopGroups(instance.k, instance.groups).project(instance.w)
    norms = instance.groups.norms(sparse)
    claim = "3 a_k^(4/3) eps^(2/3) <= Omega_k(a + eps) - |a|^2"
    if np.count_nonzero(norms) < instance.k or instance.k == instance.groups.n_groups:
        return Evidence(claim, 0.0, 0.0)
    g = int(np.flatnonzero(norms == 0)[0])
    eps = 1e-3 * float(norms[norms > 0].min())
    moved = sparse.copy()
    moved[instance.groups.members(g)[0]] = eps
    energy = float(sparse @ sparse)
    growth = 3 * float(norms[norms > 0].min()) ** (4 / 3) * eps ** (2 / 3)
    return Evidence(claim, growth, instance.value(moved) - energy, instance.rounding(energy))


def attack(instance: Decay | ExactDecay) -> Attack:
    """Masks of the operator itself, and other coefficients in the conjugate: none is better."""
    if isinstance(instance, ExactDecay):
        roots = np.array([float(r) for r in instance.roots])
        return attack(Decay(so.Groups.uniform(len(roots), 1), roots**3, instance.k))
    rng, n, found = np.random.default_rng(len(instance.w)), instance.groups.n_groups, []
    value, conjugate = instance.value(instance.w), float(instance.penalty.companion.conjugate(instance.w))
    for scale in 10.0 ** rng.uniform(-2, 0.5, COMPETITORS):
        if instance.k < n:
            scores = np.log(np.maximum(instance.norms, 1e-9)) * scale + rng.standard_normal(n)
            f = so.soft_topk(scores, instance.k, 0.3)
            cost = float(np.sum((instance.norms / np.maximum(f, np.finfo(float).tiny)) ** 2))
            found.append(Evidence("no soft mask is cheaper", value, cost, instance.rounding(value)))
        u = instance.w / 2 + scale * rng.standard_normal(len(instance.w)) * np.abs(instance.w).max()
        at = float(instance.w @ u) - instance.value(u)
        size = instance.value(u) + float(np.abs(instance.w) @ np.abs(u))
        found.append(Evidence("<w, u> - Omega_k(u) <= conjugate", at, conjugate, instance.rounding(size)))
    return Attack.of(found)


def _fixed_midpoint() -> tuple[Evidence, ...]:
    groups = so.Groups.uniform(2, 1)
    half = Decay(groups, np.array([0.5, 0.5]), 1)
    envelope = float(half.penalty.companion.value(half.w))
    return (
        Evidence("Omega_1 = 2 between two points of value 1", abs(half.value(half.w) - 2), 0.0, half.rounding(2.0)),
        Evidence("the squared k-support norm is 1 there", abs(envelope - 1), 0.0, half.rounding(1.0)),
    )


def _fixed_cubes() -> tuple[Evidence, ...]:
    found = []
    for roots, k in (((3, 1, 1), 2), ((2, 2, 1, 1), 2), ((3, 2, 1), 1), ((1, 1, 0), 2)):
        exact = ExactDecay(tuple(map(Fraction, roots)), k)
        case = Decay(so.Groups.uniform(len(roots), 1), np.array(roots, dtype=float) ** 3, k)
        value = float(exact.value())
        error = abs(case.value(case.w) - value)
        found.append(Evidence("the package gives the rational value", error, 0.0, case.rounding(value)))
    return tuple(found)


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    """At group LASSO solutions of real data."""
    loss, found = real_data(name), list[Evidence]()
    for ratio in (0.5, 0.05):
        w = so.solve(loss.problem.with_lam(ratio * float(loss.tau.max()))).w
        for k in (1, loss.groups.n_groups // 2):
            found += conclusion(Decay(loss.groups, w, k))
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """balls: radius at which the penalties are 1 over the angle, two groups, k = 1.

    growth: Omega_k less its value at a point with k active groups, over the norm of one more.  Nothing is random.
    """
    two, angle = so.Groups.uniform(2, 1), np.linspace(0, 2 * np.pi, 361)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    smart = so.SmartDecay(1.0, two, 1)
    radii = {
        "omega": [float(smart.value(p)) ** -0.5 for p in points],
        "k_support": [float(smart.companion.value(p)) ** -0.5 for p in points],
    }
    case, eps = Decay(so.Groups.uniform(3, 1), np.array([2.0, 1.0, 0.0]), 2), np.geomspace(1e-9, 1, 46)
    moved = [case.value(np.array([2.0, 1.0, e])) - 5.0 for e in eps]
    return {"balls": {"angle": angle} | radii, "growth": {"eps": eps, "excess": moved, "bound": 3 * eps ** (2 / 3)}}


HYPOTHESES = (
    Hypothesis(
        "masks reach 1",
        "a mask is at most 1",
        lambda i: 1.0 if isinstance(i, Decay) or i.capped else -1.0,
    ),
    Hypothesis(
        "masks reach 0",
        "a mask may come arbitrarily close to 0: scores are unbounded and have no decay",
        lambda i: SLACK - (0.0 if isinstance(i, Decay) else float(i.floor)),
    ),
)

COUNTEREXAMPLES = (
    Counterexample(
        "masks reach 1",
        "masks without upper limit",
        "norms 27, 1, 1 with k = 2: f = (18, 2, 2)/11 costs 1331/4, less than |a|^2 = 731",
        lambda: ExactDecay((Fraction(3), Fraction(1), Fraction(1)), 2, capped=False),
    ),
    Counterexample(
        "masks reach 0",
        "scores bounded so that f >= 1/10",
        "norms 1, 0 with k = 1: the zero group keeps a tenth of the mask, and the other pays 100/81 instead of 1",
        lambda: ExactDecay((Fraction(1), Fraction(0)), 1, floor=Fraction(1, 10)),
    ),
)

THEOREM = Theorem(
    name="smart_decay_penalty",
    ledger="B4",
    title="Weight decay under a soft top-k is a 2/3-k-support penalty",
    statement=(
        r"\Omega_k(a) = inf \{ \sum_g a_g^2 / f_g^2 : 0 < f \le 1, \sum_g f_g \le k \} is "
        r"\sum_{i \le m} a_{(i)}^2 + (\sum_{i > m} c_i)^3 / (k - m)^2 with c_i = a_{(i)}^{2/3} and the smallest m with "
        r"(k - m) c_{m+1} \le \sum_{i > m} c_i. It is at least the squared k-support norm, which is at least |a|^2, "
        r"with equality at up to k active groups; its conjugate is a quarter of the energy of the k largest groups, so "
        r"that the squared k-support norm is its convex envelope; and beside k active groups it grows by at least "
        r"3 a_{(k)}^{4/3} \epsilon^{2/3}."
    ),
    source="ours; SMART (arXiv 2403.19969) with weight decay",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("not convex", "the middle of two points of value 1 has the value 2", _fixed_midpoint),
        Fixed("cubes", "norms whose powers 2/3 are rational", _fixed_cubes),
        *(
            Fixed(name, "group LASSO solutions of real data at .5 and .05 of lambda_max", lambda n=name: _fixed_real(n))
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 60, "standard": 500, "full": 30_000},
    attack=attack,
    printed="not printed",
)
