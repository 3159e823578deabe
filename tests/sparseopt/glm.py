"""Small problems over every loss and every convex penalty, and the losses written out in slow, obvious loops."""

from __future__ import annotations

import math

import numpy as np

import sparseopt as so

N, CLASSES = 14, 3

LOSSES = ["LeastSquares", "Logistic", "Huber", "Poisson", "Multinomial", "MultiResponse", "Cox", "CoxEfron"]
WITH_INTERCEPT = LOSSES[:6]
PENALTIES = ["GroupLasso", "SparseGroupLasso", "GroupElasticNet", "unpenalised group", "positive", "forced out"]


def datafit(name: str, seed: int = 0, *, intercept: bool = False, plain: bool = False, n: int = N, **options):
    """A datafit with random data; weights and offset are random too unless plain.  options: for the constructor."""
    rng = np.random.default_rng(seed)
    options |= {"intercept": intercept} if intercept else {}
    several = name in ("Multinomial", "MultiResponse")
    if not plain:
        options["sample_weight"] = rng.uniform(0.2, 2, n) * (rng.uniform(size=n) > 0.1)
        options["offset"] = 0.5 * rng.standard_normal((n, CLASSES) if several else n)
    y = rng.standard_normal(n)
    if name == "LeastSquares":
        return so.LeastSquares(y, **options)
    if name == "Logistic":
        return so.Logistic(np.r_[0, 1, rng.integers(0, 2, n - 2)], **options)
    if name == "Huber":
        return so.Huber(y, 0.6, **options)
    if name == "Poisson":
        return so.Poisson(rng.poisson(1.5, n), **options)
    if name == "Multinomial":
        return so.Multinomial(np.r_[np.arange(CLASSES), rng.integers(0, CLASSES, n - CLASSES)], **options)
    if name == "MultiResponse":
        return so.MultiResponse(rng.standard_normal((n, CLASSES)), **options)
    event = np.r_[True, True, rng.uniform(size=n - 2) < 0.7]
    return so.Cox(rng.integers(1, 6, n), event, "efron" if name == "CoxEfron" else "breslow", **options)


def shape_of(fit) -> tuple[int, ...]:
    return (fit.n_samples,) if fit.n_outputs is None else (fit.n_samples, fit.n_outputs)


def penalty(name: str, groups: so.Groups):
    ones = np.ones(groups.n_groups)
    if name == "GroupLasso":
        return so.GroupLasso(1.0, groups)
    if name == "SparseGroupLasso":
        return so.SparseGroupLasso(1.0, groups, l1_ratio=0.4)
    if name == "GroupElasticNet":
        return so.GroupElasticNet(1.0, groups, l2=0.1)
    if name == "unpenalised group":
        return so.GroupLasso(1.0, groups, weights=np.r_[ones[:1], 0.0, ones[2:]])
    if name == "forced out":
        return so.GroupLasso(1.0, groups, weights=np.r_[ones[:1], np.inf, ones[2:]])
    return so.GroupLasso(1.0, groups, positive=True)


def problem(loss: str, name: str, seed: int = 0, *, ratio: float = 0.3, n: int = N, **options) -> so.Problem:
    """A random problem at `ratio` times its lambda_max."""
    groups = so.Groups.from_sizes([2, 1, 3])
    X = np.random.default_rng(seed + 100).standard_normal((n, groups.n_features))
    made = so.Problem(X, datafit(loss, seed, n=n, **options), penalty(name, groups))
    return made.with_lam(ratio * so.lambda_max(made))


def slow_value(fit, eta) -> float:
    """The loss at eta = z + offset + b, sample by sample."""
    weight, total = fit.sample_weight, 0.0
    if isinstance(fit, so.Cox):
        return slow_cox(fit, eta)
    for i in range(fit.n_samples):
        total += weight[i] * slow_sample(fit, i, eta[i])
    return total / weight.sum()


def slow_sample(fit, i: int, eta) -> float:
    if isinstance(fit, so.MultiResponse):
        return sum((fit.Y[i, t] - eta[t]) ** 2 / 2 for t in range(len(eta)))
    y = fit.y[i]
    if isinstance(fit, so.LeastSquares):
        return (y - eta) ** 2 / 2
    if isinstance(fit, so.Logistic):
        return math.log(1 + math.exp(-eta if y > 0 else eta))
    if isinstance(fit, so.Poisson):
        return math.exp(eta) - y * eta
    if isinstance(fit, so.Huber):
        r = abs(y - eta)
        return r * r / 2 if r <= fit.delta else fit.delta * r - fit.delta**2 / 2
    return math.log(sum(math.exp(e) for e in eta)) - eta[y]


def slow_cox(fit, eta) -> float:
    weight, total = fit.sample_weight, 0.0
    for t in np.unique(fit.time[fit.event & (weight > 0)]):
        dead = [i for i in range(fit.n_samples) if fit.time[i] == t and fit.event[i] and weight[i] > 0]
        risk = sum(weight[j] * math.exp(eta[j]) for j in range(fit.n_samples) if fit.time[j] >= t)
        tied = sum(weight[j] * math.exp(eta[j]) for j in dead)
        mean = sum(weight[i] for i in dead) / len(dead)
        for position, i in enumerate(dead):
            if fit.ties == "breslow":
                total += weight[i] * math.log(risk)
            else:
                total += mean * math.log(risk - position / len(dead) * tied)
            total -= weight[i] * eta[i]
    return total / weight.sum()
