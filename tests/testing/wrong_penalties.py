"""Penalties with one mistake each; all else is inherited from the correct ones."""

from __future__ import annotations

import numpy as np
from planted import Planted, uneven

import sparseopt as so
from sparseopt.penalties import MCP, GroupPenalty, Log

MINIMISES = "the prox minimises its objective"
STATIONARY = "the prox is stationary for the violation"
JUMPS = "jumps of the prox have equal objectives on both sides"


class WeightsForgotten(so.GroupLasso):
    def prox(self, v, step=1.0, out=None):
        return so.GroupLasso(self.lam, self.groups, weights="none").prox(v, step, out)


class ValueHalved(so.GroupLasso):
    def value(self, w):
        return super().value(w) / 2


class EntryByEntry(so.GroupLasso):
    def prox(self, v, step=1.0, out=None):
        entries = so.Groups.uniform(self.groups.n_features, 1)
        weights = self.weights[self.groups.labels]
        return so.GroupLasso(self.lam, entries, weights=weights).prox(v, step, out)


class HardThreshold(so.GroupLasso):
    def prox(self, v, step=1.0, out=None):
        kept = self.groups.spread(self.groups.norms(v) > step * self.strength)
        return np.where(kept if v.ndim == 1 else kept[:, None], v, 0.0)


class StepSquared(so.GroupLasso):
    def prox(self, v, step=1.0, out=None):
        return super().prox(v, step**2, out)


class GroupsShifted(so.GroupLasso):
    def prox(self, v, step=1.0, out=None):
        shifted = so.Groups.from_labels(np.roll(self.groups.labels, 1))
        return so.GroupLasso(self.lam, shifted, weights=self.weights).prox(v, step, out)


class InPlace(so.GroupLasso):
    def prox(self, v, step=1.0, out=None):
        return super().prox(v, step, out=v if out is None and v.flags.writeable and v.dtype.kind == "f" else out)


class Smoothed(so.GroupLasso):
    def prox(self, v, step=1.0, out=None):
        factors = np.maximum(1 - step * self.strength / (self.groups.norms(v) + 1e-6), 0)
        return self.groups.scale(v, factors)


class DivisionByZero(so.GroupLasso):
    def prox(self, v, step=1.0, out=None):
        factors = np.maximum(1 - step * self.strength / self.groups.norms(v), 0)
        return self.groups.scale(v, factors)


class ThresholdOffByRootTwo(so.GroupL0):
    def prox(self, v, step=1.0, out=None):
        return super().prox(v, step / 2, out)


class SinglePrecision(so.GroupLasso):
    def prox(self, v, step=1.0, out=None):
        return super().prox(v.astype(np.float32), step).astype(v.dtype)


class DualLimitWithoutWeights(so.GroupLasso):
    def dual_limit(self, c):
        largest = self.groups.norms(c).max()
        return self.lam / largest if largest > 0 else np.inf


class CriticalLamOfTheSmallest(so.GroupLasso):
    def critical_lam(self, c):
        return float((self.groups.norms(c) / self.weights).min())


class CalledConvex(so.GroupMCP):
    convex = True


class CurvatureUnderstated(so.GroupLogSum):
    @property
    def weak_convexity(self):
        return super().weak_convexity / 3


class ZeroGroupsNeverViolate(so.GroupLasso):
    def violation(self, w, gradient):
        return np.where(self.groups.norms(w) == 0, 0.0, super().violation(w, gradient))


class ConjugateWithoutHalf(so.GroupElasticNet):
    def conjugate(self, c):
        return 2 * super().conjugate(c)


class SquaresOverflow(so.GroupLasso):
    def prox(self, v, step=1.0, out=None):
        norms = np.sqrt(np.bincount(self.groups.labels, v**2))
        shrunk = np.maximum(norms - step * self.strength, 0)
        return self.groups.scale(v, shrunk / np.where(norms > 0, norms, 1.0))


class AlwaysDouble(so.GroupLasso):
    def prox(self, v, step=1.0, out=None):
        return super().prox(v.astype(np.float64), step)


class SlopeAtZeroUnweighted(so.GroupLasso):
    @property
    def slope0(self):
        return np.full(self.groups.n_groups, self.lam)


class FirstOutputOnly(so.GroupLasso):
    def value(self, w):
        return super().value(w if w.ndim == 1 else w[:, :1] + w[:, -1:])


class FirmEverywhere(MCP):
    """The firm threshold also where the step is too long for it: the other candidate is forgotten."""

    def prox(self, v, step=1.0, out=None):
        return np.where(v > step, v, 0.0) if step >= self.gamma else super().prox(v, step, out)


class NotComparedWithZero(Log):
    """The larger stationary point, whether or not 0 is better."""

    def prox(self, v, step=1.0, out=None):
        inside = (v + self.eps) ** 2 - 4 * step
        root = (v - self.eps + np.sqrt(np.maximum(inside, 0))) / 2
        return np.where((inside >= 0) & (root > 0), root, 0.0)


class SlopeWithoutFactor(Log):
    def slope(self, t):
        return super().slope(t) * self.eps


def penalties() -> list[Planted]:
    """The wrong penalties: of groups, and scalar ones."""
    lasso = [
        ("weights forgotten in the prox", WeightsForgotten, MINIMISES),
        ("value halved", ValueHalved, "the value is the integral of the slopes"),
        ("soft threshold entry by entry", EntryByEntry, STATIONARY),
        ("hard threshold", HardThreshold, "the prox is monotone, firmly nonexpansive where convex"),
        ("step squared", StepSquared, STATIONARY),
        ("groups off by one", GroupsShifted, STATIONARY),
        ("argument overwritten", InPlace, "arguments are left alone and out is filled"),
        ("norms smoothed", Smoothed, STATIONARY),
        ("division by the norm of a zero group", DivisionByZero, "zero groups stay zero"),
        ("computed in float32", SinglePrecision, STATIONARY),
        ("dual norm without weights", DualLimitWithoutWeights, "dual_limit is dual feasible"),
        ("least instead of largest ratio", CriticalLamOfTheSmallest, "critical_lam is where 0 becomes stationary"),
        ("zero groups never violate", ZeroGroupsNeverViolate, "the violation bounds the prox residual"),
        ("squares overflow", SquaresOverflow, "subnormal and huge coefficients are safe"),
        ("float64 whatever comes in", AlwaysDouble, "the dtype is kept"),
        ("slope at zero without weights", SlopeAtZeroUnweighted, "slope0 is the slope at zero"),
        ("outputs added before their norm", FirstOutputOnly, "several outputs are one block"),
    ]
    groups = uneven()
    others = [
        ("threshold off by a factor", ThresholdOffByRootTwo(0.7, groups), JUMPS),
        ("called convex", CalledConvex(0.7, groups), "convexity is as declared"),
        ("weak convexity understated", CurvatureUnderstated(0.7, groups), "convexity is as declared"),
        ("conjugate twice as large", ConjugateWithoutHalf(0.7, groups, l2=0.5), "value and conjugate are Fenchel dual"),
        ("second candidate forgotten", GroupPenalty(FirmEverywhere(0.5), 0.7, groups), JUMPS),
        ("scalar, not compared with zero", NotComparedWithZero(0.3), JUMPS),
        ("scalar, slope without its factor", SlopeWithoutFactor(0.3), "the value is the integral of the slope"),
    ]
    planted = [Planted("penalty", bug, make(0.7, groups), caught_by) for bug, make, caught_by in lasso]
    return planted + [Planted("penalty", *entry) for entry in others]
