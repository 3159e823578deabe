"""Hoff's identity: masks with squared decay are the group LASSO, and 0 is a saddle that descent from 0 cannot leave."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

import sparseopt as so

from ..instances import EPS, conditioned_quadratic, random_groups
from ..theorem import Attack, Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .factors import ExactFactors, Factors, descent_evidence, draw_factors, free_margin, strengths_margin

HALF = Fraction(1, 2)


def best(norms: np.ndarray) -> np.ndarray:
    """m = sqrt a."""
    return np.sqrt(norms)


def exact_instance(s: Fraction, **changes: Fraction | int) -> ExactFactors:
    """a = s^2: the mask s costs (s^2 + a^2 / s^2) / 2 = a, and another mask m costs (m - a / m)^2 / 2 more."""
    rivals = tuple(s * Fraction(n, 8) for n in (1, 4, 7, 9, 16, 64))
    decay = {"c_mask": HALF, "c_weight": HALF} | changes
    return ExactFactors(s**2, s, s**2, rivals, power=2, **decay)


def draw(rng: np.random.Generator) -> Factors | ExactFactors:
    """Group norms from 1e-4 to 1e4; one instance in eight is rational."""
    if rng.random() < 0.125:
        return exact_instance(Fraction(int(rng.integers(1, 100)), int(rng.integers(1, 100))))
    return draw_factors(rng, so.solvers.masks.HoffProduct(), best)


def conclusion(instance: Factors | ExactFactors) -> tuple[Evidence, ...]:
    """The penalty is attained; the masks of both signs cost the same."""
    if isinstance(instance, ExactFactors):
        return instance.evidence()
    norms = instance.groups.norms(instance.w)
    flipped = abs(instance.cost(-best(norms)) - instance.value)
    return (
        instance.attained(),
        Evidence("the opposite signs cost the same", flipped, 0.0, 64 * EPS * instance.value),
        _saddle(instance),
    )


def _saddle(instance: Factors) -> Evidence:
    """L = <b, u> with |b_1| = 2 lam: along m_1 = t, v_1 = -t b_1 / |b_1| the objective falls by lam t^2 from (0, 0)."""
    groups, t = instance.groups, 0.5
    first = np.where(groups.labels == 0, instance.w, 0.0)
    direction = first / np.linalg.norm(first)
    m = np.zeros(groups.n_groups)
    m[0] = t
    v = -t * direction
    change = float(2 * direction @ instance.mask.weights(groups, v, m) + instance.mask.decay(groups, v, m)[0])
    return Evidence("(0, 0) is a saddle where a gradient exceeds lam", change, -(t**2), 64 * EPS)


def attack(instance: Factors | ExactFactors) -> Attack:
    """Random factors, or the rational rivals."""
    if isinstance(instance, Factors):
        return instance.attack()
    found = instance.evidence()[1:]
    return Attack.of(found)


HYPOTHESES = (
    Hypothesis(
        "equal decay", "masks and weights both have the decay lam / 2", lambda i: strengths_margin(i, HALF, HALF)
    ),
    Hypothesis("free masks", "the masks range over all real numbers", free_margin),
)

COUNTEREXAMPLES = (
    Counterexample(
        "equal decay",
        "four times the decay on the masks",
        "at a = 1 the mask 1 costs 5/2, and no mask less than 2: the group LASSO at another lam",
        lambda: exact_instance(Fraction(1), c_mask=Fraction(2)),
    ),
    Counterexample(
        "free masks",
        "masks of at least 1/2",
        "at a = 1/16 the mask 1/2 costs 17/128 > 1/16: near 0 the penalty is a ridge",
        lambda: exact_instance(Fraction(1, 4), floor=HALF),
    ),
)


def _fixed_descent() -> tuple[Evidence, ...]:
    mask = so.solvers.masks.HoffProduct()
    return tuple(e for ratio in (0.1, 0.5) for e in descent_evidence(mask, ratio, seed=3, steps=300))


def _fixed_stuck() -> tuple[Evidence, ...]:
    """From v = m = 0 nothing moves, at every lam, although 0 is not a solution."""
    loss = conditioned_quadratic(np.random.default_rng(0), random_groups(np.random.default_rng(0), 3, 2), 3.0)
    mask = so.solvers.masks.HoffProduct()
    zero, m = np.zeros(len(loss.b)), np.zeros(loss.groups.n_groups)
    dv, dm = mask.pull_back(loss.groups, zero, m, -loss.b)
    problem = loss.problem.with_lam(0.5 * float(loss.tau.max()))
    better = so.solve(problem, tol=1e-8).w
    moved = float(np.abs(dv).max() + np.abs(dm).max())
    return (
        Evidence("the gradient in (v, m) vanishes at (0, 0)", moved, 0.0),
        Evidence("the group LASSO is lower elsewhere", problem.objective(better), problem.objective(zero)),
    )


def flow(start: tuple[float, float], steps: int = 120) -> tuple[list[float], list[float], list[float]]:
    """Mask, weight and objective along gradient descent for (v m - 1)^2 / 2 + lam (v^2 + m^2) / 2 at lam = 1/4."""
    mask, groups = so.solvers.masks.HoffProduct(), so.Groups.uniform(1, 1)
    m, v, path = np.array([start[0]]), np.array([start[1]]), []
    for _ in range(steps):
        w = mask.weights(groups, v, m)
        decay, decay_v, decay_m = mask.decay(groups, v, m)
        path.append((float(m[0]), float(v[0]), float((w[0] - 1) ** 2 / 2 + decay / 4)))
        dv, dm = mask.pull_back(groups, v, m, w - 1)
        v, m = v - 0.1 * (dv + decay_v / 4), m - 0.1 * (dm + decay_m / 4)
    masks, weights, values = (list(column) for column in zip(*path, strict=True))
    return masks, weights, values


def curves(seed: int) -> dict[str, Columns]:
    """flow: gradient descent on one mask and weight from four starts, one of them (0, 0).  Nothing is random."""
    columns: dict[str, list] = {"start": [], "step": [], "m": [], "v": [], "objective": []}
    for name, start in {"a": (0.0, 0.0), "b": (0.05, 0.0), "c": (1.5, -0.2), "d": (-1.2, -0.1)}.items():
        path = flow(start)
        columns["start"] += [name] * len(path[0])
        columns["step"] += list(range(len(path[0])))
        for key, values in zip(("m", "v", "objective"), path, strict=True):
            columns[key] += values
    return {"flow": columns}


THEOREM = Theorem(
    name="hoff_product_is_group_lasso",
    ledger="A6",
    title="Products with squared decay are the group LASSO",
    statement=(
        r"For every L and \lambda > 0: \inf_{m, \beta} L(m_g \beta_g) + (\lambda/2) (\|m\|^2 + \|\beta\|^2) = "
        r"\inf_u L(u) + \lambda \sum_g \|u_g\|, attained at m_g = \sqrt{\|u_g\|}. (0, 0) is stationary for every "
        r"L and \lambda, a saddle where \|\nabla_g L(0)\| > \lambda."
    ),
    source="Hoff's identity, used by SequentialAttention++ (arXiv 2402.17902); the saddle is ours",
    kind="closed form",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("descent", "gradient descent on the factors ends at the group LASSO", _fixed_descent),
        Fixed("stuck at 0", "the gradient in the factors vanishes at 0, which is no solution", _fixed_stuck),
    ),
    curves=curves,
    sizes={"quick": 100, "standard": 2000, "full": 50_000},
    attack=attack,
    printed="holds",
)
