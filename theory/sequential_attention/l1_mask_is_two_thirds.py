"""Lemma 2.2: masks with l1 decay are the group l_{2/3} penalty, and 0 is a local minimum that descent cannot leave."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

import sparseopt as so

from ..instances import EPS
from ..theorem import Attack, Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .factors import ExactFactors, Factors, descent_evidence, draw_factors, free_margin, strengths_margin
from .scalar_functions import SLACK

ONE = Fraction(1)


def best(norms: np.ndarray) -> np.ndarray:
    """m = (2 a^2)^(1/3)."""
    return np.cbrt(2 * norms**2)


def exact_instance(s: Fraction, **changes: Fraction | int) -> ExactFactors:
    """a = 2 s^3: the mask 2 s^2 costs (3/2) 2^(1/3) a^(2/3) = 3 s^2; another, m, (m - 2 s^2)^2 (m + s^2) / m^2 more."""
    mask = 2 * s**2
    rivals = tuple(mask * Fraction(n, 8) for n in (1, 4, 7, 9, 16, 64))
    return ExactFactors(2 * s**3, mask, 3 * s**2, rivals, **changes)


def draw(rng: np.random.Generator) -> Factors | ExactFactors:
    """Group norms from 1e-4 to 1e4; one instance in eight is rational."""
    if rng.random() < 0.125:
        return exact_instance(Fraction(int(rng.integers(1, 100)), int(rng.integers(1, 100))))
    return draw_factors(rng, so.solvers.masks.L1Mask(), best)


def conclusion(instance: Factors | ExactFactors) -> tuple[Evidence, ...]:
    """The penalty is attained; near 0 the factored objective is above its value at 0."""
    if isinstance(instance, ExactFactors):
        return instance.evidence()
    return instance.attained(), _stuck_at_zero(instance)


def _stuck_at_zero(instance: Factors) -> Evidence:
    """L(m v) + |m|_1 + |v|^2 > L(0) for L = <b, u> with |b| = 1 and |v| < 1 / 2: the linear part of any L, lam = 1."""
    rng, groups = np.random.default_rng(instance.seed), instance.groups
    b = instance.w / np.linalg.norm(instance.w)
    m = rng.standard_normal(groups.n_groups) * 10 ** rng.uniform(-6, 0)
    v = -b * float(rng.uniform(0, 0.5))
    decay = instance.mask.decay(groups, v, m)[0] + instance.mask.rest(m)
    rise = float(b @ instance.mask.weights(groups, v, m) + decay)
    return Evidence(
        "(0, 0) is a strict local minimum: |m| / 2 <= rise", float(np.abs(m).sum()) / 2, rise, 64 * EPS * 10
    )


def attack(instance: Factors | ExactFactors) -> Attack:
    """Random factors, or the rational rivals."""
    if isinstance(instance, Factors):
        return instance.attack()
    found = instance.evidence()[1:]
    return Attack.of(found)


HYPOTHESES = (
    Hypothesis("equal decay", "masks and weights have the same decay lam > 0", lambda i: strengths_margin(i, ONE, ONE)),
    Hypothesis(
        "l1 decay",
        "the decay of the masks is |m|_1",
        lambda i: SLACK - abs(i.power - 1) if isinstance(i, ExactFactors) else 1.0,
    ),
    Hypothesis("free masks", "the masks range over all real numbers", free_margin),
)

COUNTEREXAMPLES = (
    Counterexample(
        "equal decay",
        "half the decay on the masks",
        "at a = 2 a mask of 4 costs 9/4 instead of 3",
        lambda: exact_instance(ONE, c_mask=Fraction(1, 2)),
    ),
    Counterexample(
        "l1 decay",
        "squared decay of the masks",
        "at a = 2: m^2 + a^2 / m^2 >= 2 a = 4 > 3, the group LASSO (Hoff's identity, ledger A6)",
        lambda: exact_instance(ONE, power=2),
    ),
    Counterexample(
        "free masks",
        "masks of at least 3",
        "at a = 2 the mask 3 costs 3 + 4/9 > 3: a floor under the masks takes the kink away",
        lambda: exact_instance(ONE, floor=Fraction(3)),
    ),
)


def _fixed_descent() -> tuple[Evidence, ...]:
    return tuple(descent_evidence(so.solvers.masks.L1Mask(), 0.3, seed=2))


def _fixed_prox() -> tuple[Evidence, ...]:
    """The two-level minimisation over (u, m) for L = (u - v)^2 / 2 against the prox of the penalty, on a grid of m."""
    masks, penalty = np.geomspace(1e-3, 10, 4001), so.penalties.Power(2 / 3)
    found = []
    for v, lam in ((3.0, 0.5), (2.0, 1.0), (1.0, 0.2), (0.7, 0.5)):
        step = lam * 1.5 * 2 ** (1 / 3)
        at = float(penalty.prox(np.array([v]), step)[0])
        value = (at - v) ** 2 / 2 + step * float(penalty.value(np.array([at]))[0])
        u = v / (1 + 2 * lam / masks**2)  # minimises over u for a given mask
        grid = float(min(((u - v) ** 2 / 2 + lam * (masks + u**2 / masks**2)).min(), v**2 / 2))
        found.append(Evidence(f"prox at {v}, lam {lam}: not above the grid of masks", value, grid, 64 * EPS * v**2))
        found.append(Evidence(f"prox at {v}, lam {lam}: within 1e-4 of it", grid - value, 1e-4))
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """masks: the cost of one group over its mask, for three norms; value: the penalty.  Nothing is random."""
    m = np.geomspace(0.05, 20, 97)
    groups, mask = so.Groups.uniform(1, 1), so.solvers.masks.L1Mask()
    columns: dict[str, object] = {"m": m}
    for a in (0.1, 1.0, 10.0):
        case = Factors(mask, best, groups, np.array([a]), 0)
        columns[f"cost_{a:g}"] = [case.cost(np.array([u])) for u in m]
        columns[f"value_{a:g}"] = [case.value] * len(m)
    return {"masks": columns}


THEOREM = Theorem(
    name="l1_mask_is_two_thirds",
    ledger="A4",
    title="Masks with l1 decay are the group l_{2/3} penalty",
    statement=(
        r"For every L and \lambda > 0: \inf_{m, \beta} L(m_g \beta_g) + \lambda (\|m\|_1 + \|\beta\|^2) = \inf_u "
        r"L(u) + \lambda (3/2) 2^{1/3} \sum_g \|u_g\|^{2/3}, attained at m_g = (2 \|u_g\|^2)^{1/3}. (0, 0) is a "
        r"strict local minimum of the left side for every L with bounded gradient."
    ),
    source="SequentialAttention++ (arXiv 2402.17902), Lemma 2.2; the local minimum is ours",
    kind="closed form",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("descent", "gradient descent on the factors of a quadratic", _fixed_descent),
        Fixed("prox", "minimising over mask and weight together is the prox of the penalty", _fixed_prox),
    ),
    curves=curves,
    sizes={"quick": 100, "standard": 2000, "full": 50_000},
    attack=attack,
    printed="holds",
)
