"""The normalised softmax mask, with decay on the weights alone, is the squared l_{2, 2/3} norm: inside Theorem 1.1."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

import sparseopt as so

from ..instances import REAL_DATA, conditioned_quadratic, real_data
from ..theorem import Attack, Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .factors import RELATIVE, Factors, descent_evidence, draw_factors
from .scalar_functions import SLACK

RIVAL_STEPS = (Fraction(1, 8), Fraction(1, 2), Fraction(7, 8), Fraction(9, 8), Fraction(3))


def best(norms: np.ndarray) -> np.ndarray:
    """Logits with A_g proportional to a_g^(2/3)."""
    return 2 / 3 * np.log(norms)


@dataclass(frozen=True)
class ExactSoftmax:
    """Norms a_g = roots_g^3 > 0, so that a_g^(2/3) is rational; masks A_g = share_g total, clipped to [low, high].

    total: what the masks add to; n for the statement.  logit_decay: a penalty on the squared distances of the logits.
    """

    roots: tuple[Fraction, ...]
    total: Fraction
    clip: tuple[Fraction, Fraction] | None = None
    logit_decay: Fraction = Fraction(0)

    @property
    def shares(self) -> tuple[Fraction, ...]:
        """roots_g^2 over their sum: proportional to a_g^(2/3)."""
        squares = [r**2 for r in self.roots]
        return tuple(s / sum(squares) for s in squares)

    @property
    def value(self) -> Fraction:
        """(sum a_g^(2/3))^3 / n^2."""
        return sum((r**2 for r in self.roots), Fraction(0)) ** 3 / len(self.roots) ** 2

    def cost(self, shares: tuple[Fraction, ...]) -> Fraction:
        """At most sum a_g^2 / A_g^2 + decay of the logits, since log(x)^2 >= (1 - 1 / x)^2 for x >= 1."""
        masks = [self.total * share for share in shares]
        if self.clip:
            masks = [min(max(mask, self.clip[0]), self.clip[1]) for mask in masks]
        weights = sum(((r**3 / mask) ** 2 for r, mask in zip(self.roots, masks, strict=True)), Fraction(0))
        return weights + self.logit_decay * (1 - min(shares) / max(shares)) ** 2 / 2

    def rivals(self) -> list[tuple[Fraction, ...]]:
        """Other shares: one of them changed, all divided by their sum."""
        found = []
        for step in RIVAL_STEPS:
            moved = (self.shares[0] * step, *self.shares[1:])
            found.append(tuple(share / sum(moved) for share in moved))
        return found

    def evidence(self) -> tuple[Evidence, ...]:
        """The penalty is attained, and no rival costs less."""
        attained = abs(self.cost(self.shares) - self.value)
        claim = "no masks cost less than the penalty"
        return (
            Evidence("masks proportional to a^(2/3) cost the penalty", attained, Fraction(0)),
            *(Evidence(claim, self.value, self.cost(shares)) for shares in self.rivals()),
        )


def exact_instance(*roots: int) -> ExactSoftmax:
    """The instance of the statement."""
    return ExactSoftmax(tuple(Fraction(r) for r in roots), Fraction(len(roots)))


def draw(rng: np.random.Generator) -> Factors | ExactSoftmax:
    """Norms from 1e-4 to 1e4 of 2 to 8 groups; one instance in eight is rational."""
    if rng.random() < 0.125:
        return exact_instance(*(int(r) for r in rng.integers(1, 20, rng.integers(2, 6))))
    return draw_factors(rng, so.solvers.masks.SoftmaxMask(), best, least=2)


def conclusion(instance: Factors | ExactSoftmax) -> tuple[Evidence, ...]:
    """The penalty is attained; it does not depend on adding a number to all logits."""
    if isinstance(instance, ExactSoftmax):
        return instance.evidence()
    shifted = instance.cost(best(instance.groups.norms(instance.w)) + 3.0)
    return instance.attained(), replace(
        instance.attained(), claim="shifted logits too", lhs=abs(shifted - instance.value)
    )


def attack(instance: Factors | ExactSoftmax) -> Attack:
    """Random logits, or the rational rivals."""
    if isinstance(instance, Factors):
        rng, logits = np.random.default_rng(instance.seed), best(instance.groups.norms(instance.w))
        scales = 10 ** rng.uniform(-4, 0.3, 20)
        return instance.worst([logits + scale * rng.standard_normal(len(logits)) for scale in scales])
    found = instance.evidence()[1:]
    return Attack.of(found)


HYPOTHESES = (
    Hypothesis(
        "no logit decay",
        "weight decay acts on the weights alone",
        lambda i: SLACK - float(i.logit_decay) if isinstance(i, ExactSoftmax) else SLACK - i.mask.logit_decay,
    ),
    Hypothesis(
        "unclipped",
        "the masks are not clipped",
        lambda i: -1.0 if isinstance(i, ExactSoftmax) and i.clip else 1.0,
    ),
    Hypothesis(
        "mean one",
        "the masks add to n",
        lambda i: SLACK - abs(float(i.total) / len(i.roots) - 1) if isinstance(i, ExactSoftmax) else 1.0,
    ),
)

COUNTEREXAMPLES = (
    Counterexample(
        "no logit decay",
        "decay 1 on the logits",
        "at a = (8, 1) the optimal logits differ by log 4, which costs something: small groups keep a bounded mask",
        lambda: replace(exact_instance(2, 1), logit_decay=Fraction(1)),
    ),
    Counterexample(
        "unclipped",
        "masks clipped to [4/5, 5/4]",
        "at a = (8, 1) the masks (8/5, 2/5) become (5/4, 4/5) and cost 42.5 instead of 31.25: a ridge on both sides",
        lambda: replace(exact_instance(2, 1), clip=(Fraction(4, 5), Fraction(5, 4))),
    ),
    Counterexample(
        "mean one",
        "masks that add to 1",
        "the plain softmax costs n^2 times as much",
        lambda: replace(exact_instance(2, 1), total=Fraction(1)),
    ),
)


def logits_with_decay(a: np.ndarray, logit_decay: float) -> np.ndarray:
    """argmin over logits of sum a_g^2 / A_g^2 + decay, which is convex in the logits; by BFGS, closed without decay."""
    if not logit_decay:
        return best(a)
    from scipy.optimize import minimize

    mask, groups = so.solvers.masks.SoftmaxMask(logit_decay), so.Groups.uniform(len(a), 1)
    case = Factors(mask, best, groups, a, 0)

    def slope(m: np.ndarray) -> np.ndarray:
        v = groups.divide(a, mask.values(m))
        _, decay_v, decay_m = mask.decay(groups, v, m)
        share = mask.values(m) / len(a)
        pull = v * decay_v  # the derivative of the weights in log A is -v
        return decay_m - pull + share * pull.sum()

    return minimize(case.cost, np.zeros(len(a)), jac=slope, method="BFGS", options={"gtol": 1e-10}).x


def penalty_slope(a: float, logit_decay: float) -> float:
    """Derivative of the penalty in the third of three norms (1, 1, a): 2 a / A^2 at the optimal mask (envelope)."""
    logits = logits_with_decay(np.array([1.0, 1.0, a]), logit_decay)
    return 2 * a / float(so.solvers.masks.SoftmaxMask().values(logits)[2]) ** 2


def _fixed_logit_decay() -> tuple[Evidence, ...]:
    plain, decayed = ([penalty_slope(a, decay) for a in (1e-1, 1e-2, 1e-3)] for decay in (0.0, 0.1))
    return (
        Evidence("without logit decay the slope grows as a -> 0", plain[0], plain[1] / 1.5),
        Evidence("and grows on", plain[1], plain[2] / 1.5),
        Evidence("with logit decay it falls like a", decayed[1], decayed[0] / 4),
        Evidence("and falls on", decayed[2], decayed[1] / 4),
    )


def _fixed_theorem() -> tuple[Evidence, ...]:
    """Theorem 1.1 for the square of the norm: the solution for (sum |u_g|)^2 has one group, and nothing is below it."""
    found = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        loss = conditioned_quadratic(rng, so.Groups.uniform(4, 1), 2.0)
        first, second = np.sort(loss.tau)[::-1][:2]
        lam = 1.01 * float(loss.eigenvalues[-1] * np.linalg.norm(loss.b) / (first - second))
        penalty = so.InverseSum(lam, loss.groups, so.penalties.Power(2 / 3), so.penalties.Square())
        problem, companion = (loss.problem.with_penalty(p) for p in (penalty, penalty.companion))
        solved = so.solve(companion, tol=1e-11)
        w, value = solved.w, problem.objective(solved.w)
        away = w + rng.standard_normal((200, 4)) * 10 ** rng.uniform(-4, 0.5, (200, 1)) * np.abs(w).max()
        least = min(problem.objective(u) for u in away)
        gap = max(solved.gap, 0.0) * abs(value)
        rounding = RELATIVE * 4 * (abs(value) + float(np.linalg.norm(loss.b) * np.linalg.norm(w)))
        found += [
            Evidence("both objectives agree there", abs(value - companion.objective(w)), rounding),
            Evidence("no point is lower", value, least, gap + rounding),
            Evidence("one group is active", float((w != 0).sum()), 1.0),
            Evidence("that of the largest gradient", float(first), float(loss.tau[np.argmax(np.abs(w))])),
        ]
    return tuple(found)


def _fixed_descent() -> tuple[Evidence, ...]:
    return tuple(descent_evidence(so.solvers.masks.SoftmaxMask(), 0.3, seed=5))


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    """The norms are those of the gradient at 0, all nonzero; the attack is tried on them too."""
    loss = real_data(name)
    instance = Factors(so.solvers.masks.SoftmaxMask(), best, loss.groups, loss.b, 0)
    return (*conclusion(instance), attack(instance).evidence)


def curves(seed: int) -> dict[str, Columns]:
    """levels: where three penalties in the plane are 1/4.  slopes: in a at (1, 1, a).  Nothing is random."""
    angle = np.linspace(0, 2 * np.pi, 181)
    points = np.abs(np.stack([np.cos(angle), np.sin(angle)], axis=1))
    groups = so.Groups.uniform(2, 1)
    softmax, lasso = so.solvers.masks.SoftmaxMask().equivalent(1.0, groups), so.GroupLasso(1.0, groups, weights="none")
    values = [np.array([float(penalty.value(p)) for p in points]) for penalty in (softmax, lasso)]
    radii = np.sqrt(0.25 / values[0]), _exp_mask_radii(points), 0.25 / values[1]
    a = np.geomspace(1e-3, 1, 10)
    slopes = {f"decay_{decay:g}": [penalty_slope(x, decay) for x in a] for decay in (0.0, 1e-3, 0.1)}
    names = ("softmax", "exp_mask", "group_lasso")
    return {"levels": {"angle": angle} | dict(zip(names, radii, strict=True)), "slopes": {"a": a} | slopes}


def _exp_mask_radii(points: np.ndarray) -> np.ndarray:
    """The r [m] at which the exponential-mask penalty of r * points [m, 2] is 1/4, by bisection."""
    low, high, rho = np.zeros(len(points)), np.full(len(points), 4.0), so.penalties.ExpMask()
    for _ in range(50):
        middle = (low + high) / 2
        below = rho.value(middle[:, None] * points).sum(axis=1) < 0.25
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high


THEOREM = Theorem(
    name="softmax_mask_is_two_thirds_norm",
    ledger="A7",
    title="The normalised softmax mask is a squared l_{2, 2/3} norm",
    statement=(
        r"For masks A = n softmax(l) and weight decay on the weights alone: \inf_l \sum_g \|u_g\|^2 / A_g^2 = "
        r"(\sum_g \|u_g\|^{2/3})^3 / n^2, attained at A_g proportional to \|u_g\|^{2/3} where all u_g are "
        r"nonzero. This is h(R_q) with h(r) = r^2 / n^2, q = t^{2/3}, for which Theorem 1.1 holds; decay on the "
        r"logits, or clipping, makes it quadratic at 0."
    ),
    source="ours; the mask is that of Algorithm 1 of SequentialAttention++ (arXiv 2402.17902)",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("logit decay", "the slope of the penalty in a small group, with and without it", _fixed_logit_decay),
        Fixed("Theorem 1.1", "global minima for lam > L |b| / (tau_1 - tau_2)", _fixed_theorem),
        Fixed("descent", "gradient descent on the factors of a quadratic", _fixed_descent),
        *(Fixed(name, "gradients of real data at 0", lambda n=name: _fixed_real(n)) for name in REAL_DATA),
    ),
    curves=curves,
    sizes={"quick": 100, "standard": 2000, "full": 50_000},
    attack=attack,
    printed="not printed",
)
