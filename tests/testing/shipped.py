"""Every shipped object, as the batteries see it."""

from __future__ import annotations

import numpy as np
from planted import uneven

import sparseopt as so
from sparseopt.penalties import L0, MCP, SCAD, ExpMask, Linear, Log, Power, Ratio, Square
from sparseopt.sets import (
    NM,
    Box,
    CappedSimplex,
    Channels,
    GroupBall,
    Intersection,
    KSupportBall,
    L1Ball,
    PatternLibrary,
    Product,
    TopBlocks,
    TopGroups,
    TransposableNM,
)
from sparseopt.solvers import masks

WEIGHTS = np.array([0.3, 5.0, 1.7])
LIBRARY = np.random.default_rng(0).random((12, 2, 3)) < 0.5

SCALAR_PENALTIES = [
    *(Linear(), Power(0.5), Power(2 / 3), Power(0.9), Log(0.3), Log(1.0), Log(2.0), Ratio(), ExpMask(), L0(), Square()),
    *(MCP(), MCP(0.5), MCP(1.1), MCP(50.0), SCAD(), SCAD(1.5), SCAD(2.0), SCAD(30.0)),
]

PENALTIES = {
    "GroupLasso": lambda groups: so.GroupLasso(0.7, groups),
    "GroupLasso positive": lambda groups: so.GroupLasso(0.7, groups, positive=True),
    "GroupLasso unweighted": lambda groups: so.GroupLasso(3.0, groups, weights="none"),
    "GroupLasso with a free group": lambda groups: so.GroupLasso(0.7, groups, np.r_[0.0, np.ones(groups.n_groups - 1)]),
    "GroupLasso, one forced out": lambda groups: so.GroupLasso(
        0.7, groups, np.r_[np.inf, np.ones(groups.n_groups - 1)]
    ),
    "GroupLasso, other weights": so.GroupLasso(0.7, uneven(), WEIGHTS),
    "SparseGroupLasso": lambda groups: so.SparseGroupLasso(0.7, groups, l1_ratio=0.3),
    "SparseGroupLasso, l1 alone": lambda groups: so.SparseGroupLasso(0.7, groups, l1_ratio=1.0),
    "GroupElasticNet": lambda groups: so.GroupElasticNet(0.7, groups, l2=0.4),
    "GroupLq": lambda groups: so.GroupLq(0.7, groups),
    "GroupLogSum": lambda groups: so.GroupLogSum(0.7, groups, eps=0.5),
    "GroupExpMask": lambda groups: so.GroupExpMask(0.7, groups),
    "GroupMCP": lambda groups: so.GroupMCP(0.7, groups),
    "GroupMCP very concave": so.GroupMCP(0.7, uneven(), gamma=0.2, weights=WEIGHTS),
    "GroupSCAD": lambda groups: so.GroupSCAD(0.7, groups),
    "GroupSCAD very concave": so.GroupSCAD(0.7, uneven(), a=1.2, weights=WEIGHTS),
    "GroupL0": lambda groups: so.GroupL0(0.7, groups),
    "KSupport": lambda groups: so.KSupport(0.7, groups, 1),
    "KSupport, two of three": so.KSupport(0.7, uneven(), 2),
    "Ratio of groups": lambda groups: so.penalties.GroupPenalty(Ratio(), 0.7, groups),
}
"""Penalties with a prox, or functions that make them from groups."""

VALUES_ALONE = {
    "InverseSum": lambda groups: so.InverseSum(0.7, groups, Power(0.5)),
    "SmartDecay": lambda groups: so.SmartDecay(0.7, groups, 1),
}
"""Penalties without a prox: few properties apply."""

SETS = {
    "TopGroups": TopGroups(2, uneven()),
    "TopGroups of drawn groups": lambda groups: TopGroups(1, groups),
    "TopGroups, none": TopGroups(0, uneven()),
    "TopGroups, all": TopGroups(3, uneven()),
    "NM": NM(2, 4),
    "NM along axis 0": NM(1, 3, axis=0),
    "NM padded": NM(2, 4, remainder="pad"),
    "PatternLibrary": PatternLibrary(LIBRARY),
    "PatternLibrary padded": PatternLibrary(LIBRARY, remainder="pad"),
    "Channels": Channels(2),
    "Channels along the last axis": Channels(1, axis=-1),
    "TopBlocks": TopBlocks(2, (2, 2)),
    "TransposableNM": TransposableNM(2, 4),
    "TransposableNM, small": TransposableNM(1, 2),
    "TransposableNM, by flow": TransposableNM(2, 5),
    "L1Ball": L1Ball(1.5),
    "KSupportBall": KSupportBall(1.5, 2),
    "Box": Box(-1.0, 0.5),
    "Intersection": Intersection(TopGroups(1, uneven()), Box(-1.0, 1.0)),
    "Intersection, convex": Intersection(CappedSimplex(1.5), Box(0.0, 0.8)),
    "Product": Product([NM(1, 3), L1Ball(1.0)], so.Groups.from_sizes([3, 2])),
    "GroupBall": GroupBall(1.5, uneven()),
    "GroupBall of drawn groups": lambda groups: GroupBall(0.7, groups),
    "GroupBall, one point": GroupBall(0.0, uneven()),
    "CappedSimplex": CappedSimplex(1.5),
    "CappedSimplex, integer": CappedSimplex(2),
    "CappedSimplex, one point": CappedSimplex(0),
}

GENERATOR = np.random.default_rng(0)
Y, WEIGHT, OFFSET = GENERATOR.standard_normal(6), np.array([0.3, 2.0, 0.0, 1.0, 1.5, 0.7]), GENERATOR.standard_normal(6)
LABELS, COUNTS, CLASSES = np.array([0, 1, 1, 0, 1, 0]), np.array([0, 2, 1, 5, 0, 1]), np.array([0, 1, 2, 1, 0, 2])
MATRIX = GENERATOR.standard_normal((6, 4))
DATAFITS = {
    "LeastSquares": so.LeastSquares(Y),
    "LeastSquares, all options": so.LeastSquares(Y, WEIGHT, OFFSET, intercept=True),
    "LeastSquares, one sample": so.LeastSquares([2.0]),
    "Logistic": so.Logistic(LABELS),
    "Logistic, all options": so.Logistic(LABELS, WEIGHT, OFFSET, intercept=True),
    "Logistic, one sample": so.Logistic([1]),
    "Huber": so.Huber(Y, 0.6),
    "Huber, all options": so.Huber(Y, 0.6, WEIGHT, OFFSET, intercept=True),
    "Poisson": so.Poisson(COUNTS),
    "Poisson, all options": so.Poisson(COUNTS, WEIGHT, OFFSET, intercept=True),
    "Multinomial": so.Multinomial(CLASSES),
    "Multinomial with intercepts": so.Multinomial(CLASSES, WEIGHT, intercept=True),
    "MultiResponse": so.MultiResponse(MATRIX),
    "MultiResponse with intercepts": so.MultiResponse(MATRIX, WEIGHT, intercept=True),
    "Cox": so.Cox([3, 1, 1, 2, 5, 2], LABELS, sample_weight=WEIGHT),
    "Cox by Efron": so.Cox([3, 1, 1, 2, 5, 2], [1, 1, 1, 1, 0, 1], "efron"),
    "Quadratic": so.datafits.Quadratic(MATRIX.T @ MATRIX, np.ones(4)),
    "Quadratic, singular": so.datafits.Quadratic(np.diag([2.0, 0.0]), [1.0, 0.0]),
    "GramLeastSquares": so.datafits.GramLeastSquares(MATRIX.T @ MATRIX, MATRIX.T @ Y, Y @ Y, 6),
}

SOLVERS = {
    "ProximalGradient": so.solvers.ProximalGradient(),
    "FISTA": so.solvers.FISTA(),
    "FISTA, no restart": so.solvers.FISTA(restart=False),
    "GroupBCD": so.solvers.GroupBCD(),
    "GroupBCD, no extrapolation": so.solvers.GroupBCD(anderson=0),
    "ReweightedGroupLasso": so.solvers.ReweightedGroupLasso(),
    "ADMM": so.solvers.ADMM(rho=1.0, balancing=True),
    "ADMM, certified rho": so.solvers.ADMM(),
    "ADMM, x first": so.solvers.ADMM(z_first=False),
    "IHT": so.solvers.IHT(),
    "IHT, normalised": so.solvers.IHT(normalised=True),
    "IHT, debiased": so.solvers.IHT(debias=True),
    "GroupOMP": so.solvers.GroupOMP(),
    "OMPR": so.solvers.OMPR(),
    "SRSTE": so.solvers.SRSTE(),
}


def masked(mask, sizes=(2, 1, 3)):
    """A function rng -> problem with the regulariser that the mask stands for."""

    def problem(rng):
        groups = so.Groups.from_sizes(sizes)
        X = rng.standard_normal((groups.n_features + int(rng.integers(0, 8)), groups.n_features))
        y = X @ (rng.standard_normal(groups.n_features) * (rng.random(groups.n_groups) < 0.5)[groups.labels])
        y = y + 0.3 * rng.standard_normal(len(y))
        return so.Problem(X, so.LeastSquares(y), mask.equivalent(0.1 * float(np.abs(X.T @ y).max()) / len(y), groups))

    return problem


def tall(rng):
    """A group MCP problem that branch and bound decides in few nodes."""
    groups = so.Groups.from_sizes([2, 1, 3, 1])
    X = rng.standard_normal((30, 7))
    y = X @ (rng.standard_normal(7) * (rng.random(4) < 0.5)[groups.labels]) + 0.3 * rng.standard_normal(30)
    problem = so.Problem(X, so.LeastSquares(y), so.GroupMCP(1.0, groups, gamma=float(rng.choice([1.5, 3.0]))))
    return problem.with_lam(0.2 * problem.penalty.critical_lam(problem.gradient_at_zero))


WITH_PROBLEMS = {
    "MaskDescent": (so.solvers.MaskDescent(masks.HoffProduct()), masked(masks.HoffProduct()), 6),
    "MaskDescent, l1 mask": (so.solvers.MaskDescent(masks.L1Mask()), masked(masks.L1Mask()), 4),
    "MaskDescent, exponential": (so.solvers.MaskDescent(masks.ExponentialMask()), masked(masks.ExponentialMask()), 4),
    "MaskDescent, softmax": (so.solvers.MaskDescent(masks.SoftmaxMask()), masked(masks.SoftmaxMask()), 4),
    "MaskDescent, SMART": (so.solvers.MaskDescent(masks.SmartMask(1, 0.5)), masked(masks.SmartMask(1, 0.5)), 4),
    "BranchAndBound": (so.solvers.BranchAndBound(), tall, 5),
}
"""Name -> (solver, its problems, how many properties apply)."""
