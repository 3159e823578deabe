"""Sets with one mistake each in their projection; all else is inherited from the correct ones."""

from __future__ import annotations

import numpy as np
from planted import Planted, uneven

import sparseopt as so
from sparseopt.sets import NM, CappedSimplex, Channels, GroupBall, PatternLibrary, TopGroups

LIBRARY = np.random.default_rng(0).random((8, 2, 3)) < 0.5
NEAREST = "the projection is nearest"
LOCALLY = "nothing next to the projection is nearer"
JUMPS = "jumps of the projection are ties"
CONDUCT = "arguments are left alone and out is filled"


def kept_by_score(scores: np.ndarray, k: int) -> np.ndarray:
    """Mask of the k largest of scores [..., n]; ties by lowest index."""
    order = np.argsort(-scores, axis=-1, kind="stable")
    return np.argsort(order, axis=-1, kind="stable") < k


class ByMask:
    """The projection follows the mask, also where there is a compiled one."""

    def project(self, v, out=None):
        found = np.where(self.support(v), v, np.zeros_like(v))
        if out is None:
            return found
        out[...] = found
        return out


class SumsOfMagnitudes(ByMask, TopGroups):
    """|w| for w squared."""

    def support(self, v):
        sums = np.abs(v.reshape(len(v), -1)).sum(axis=1)
        kept = kept_by_score(np.bincount(self.groups.labels, sums), self.k)[self.groups.labels]
        return kept if v.ndim == 1 else np.repeat(kept[:, None], v.shape[1], axis=1)


class OneTooFew(TopGroups):
    def project(self, v, out=None):
        return TopGroups(self.k - 1, self.groups).project(v, out)


class OneTooMany(TopGroups):
    def project(self, v, out=None):
        return TopGroups(self.k + 1, self.groups).project(v, out)


class GroupsShifted(TopGroups):
    def project(self, v, out=None):
        return TopGroups(self.k, so.Groups.from_labels(np.roll(self.groups.labels, 1))).project(v, out)


class FloatSums(ByMask, TopGroups):
    """Energies added up in float32."""

    def support(self, v):
        squares = (v.reshape(len(v), -1).astype(np.float32) ** 2).sum(axis=1)
        energies = np.zeros(self.groups.n_groups, np.float32)
        np.add.at(energies, self.groups.labels, squares)
        kept = kept_by_score(energies, self.k)[self.groups.labels]
        return kept if v.ndim == 1 else np.repeat(kept[:, None], v.shape[1], axis=1)


class SignedValues(ByMask, NM):
    def support(self, v):
        windows = v.reshape(*v.shape[:-1], -1, self.m)
        return kept_by_score(windows, self.n).reshape(v.shape)


class TiesAtRandom(ByMask, NM):
    rng = np.random.default_rng(0)

    def support(self, v):
        windows = np.abs(v).reshape(*v.shape[:-1], -1, self.m)
        order = np.lexsort((self.rng.random(windows.shape), -windows))
        return (np.argsort(order, axis=-1) < self.n).reshape(v.shape)


class TiesToTheHighest(ByMask, NM):
    def support(self, v):
        return np.flip(super().support(np.flip(v, axis=-1)), axis=-1)


class WrongAxis(NM):
    def project(self, v, out=None):
        if v.ndim == 2 and v.shape[0] % self.m == 0:
            return NM(self.n, self.m, axis=0).project(v, out)
        return super().project(v, out)


class ShiftedWindows(NM):
    def project(self, v, out=None):
        return np.roll(super().project(np.roll(v, 1, axis=-1)), -1, axis=-1)


class SumsInLibrary(ByMask, PatternLibrary):
    """Patterns by their sum of magnitudes."""

    def support(self, v):
        return super().support(np.sqrt(np.abs(v)))


class LastPatternForgotten(ByMask, PatternLibrary):
    def support(self, v):
        return PatternLibrary(self.patterns[:-1]).support(v)

    def contains(self, v):
        return PatternLibrary(self.patterns).contains(v)


class DistanceSquared(Channels):
    def distance(self, v):
        return super().distance(v) ** 2


class EverythingIsInside(Channels):
    def contains(self, v):
        return True


class EntriesRescaled(Channels):
    """Kept entries make up for the energy of the others."""

    def project(self, v, out=None):
        found = super().project(v)
        energy = float((found**2).sum())
        return found * np.sqrt(float((v**2).sum()) / energy) if energy > 0 else found


class InPlace(Channels):
    def project(self, v, out=None):
        return super().project(v, out=v if out is None and v.flags.writeable else out)


class ScaledToTheBall(GroupBall):
    """v radius / sum of norms: on the ball, not nearest."""

    def project(self, v, out=None):
        total = self.groups.norms(v).sum()
        return v * (self.radius / total) if total > self.radius else +v


class AlwaysOnTheSphere(GroupBall):
    def project(self, v, out=None):
        total = self.groups.norms(v).sum()
        return super().project(v * (2 * self.radius / total)) if 0 < total < self.radius else super().project(v, out)


class ThresholdDoubled(GroupBall):
    def project(self, v, out=None):
        return super().project(2 * super().project(v) - v) if not self.contains(v) else super().project(v, out)


class DivisionByZero(GroupBall):
    def project(self, v, out=None):
        norms = self.groups.norms(v)
        shrunk = self.groups.norms(super().project(v))
        return self.groups.scale(v, shrunk / norms)


class CapAfterwards(CappedSimplex):
    """Projected on the simplex of sum k, then cut at 1."""

    def project(self, v, out=None):
        ordered = -np.sort(-v, axis=-1)
        n = np.arange(1, v.shape[-1] + 1)
        thetas = (np.cumsum(ordered, axis=-1) - self.k) / n
        last = (ordered > thetas).sum(axis=-1, keepdims=True) - 1
        return np.clip(v - np.take_along_axis(thetas, last, axis=-1), 0, 1)


class NaNGoesThrough(CappedSimplex):
    def project(self, v, out=None):
        return super().project(np.nan_to_num(v), out)


class SupportFunctionOfTheCube(CappedSimplex):
    def support_function(self, y):
        return float(np.maximum(y, 0).sum())


def sets() -> list[Planted]:
    """The wrong sets."""
    groups = uneven()
    entries = [
        ("groups by sums of magnitudes", SumsOfMagnitudes(1, groups), JUMPS),
        ("one group too few", OneTooFew(2, groups), NEAREST),
        ("one group too many", OneTooMany(1, groups), "the projection is in the set"),
        ("groups off by one", GroupsShifted(1, groups), "the projection is in the set"),
        ("float32 accumulation", FloatSums(1, groups), NEAREST),
        ("signed values instead of magnitudes", SignedValues(2, 4), NEAREST),
        ("ties by random order", TiesAtRandom(2, 4), "ties are always broken in the same way"),
        ("ties to the highest index", TiesToTheHighest(2, 4), "ties go to the lowest index"),
        ("along the wrong axis", WrongAxis(1, 2), "the projection is in the set"),
        ("windows off by one", ShiftedWindows(1, 3), "the projection is in the set"),
        ("patterns by sums of magnitudes", SumsInLibrary(LIBRARY), JUMPS),
        ("last pattern forgotten", LastPatternForgotten(np.eye(4).reshape(4, 2, 2)), LOCALLY),
        ("distance squared", DistanceSquared(1), "the distance is that of the projection"),
        ("everything is inside", EverythingIsInside(1), "contains exactly what has distance 0"),
        ("kept entries rescaled", EntriesRescaled(1), "kept entries are untouched"),
        ("argument overwritten", InPlace(1), CONDUCT),
        ("scaled to the ball", ScaledToTheBall(1.0, groups), "the residual is normal to the set"),
        ("moved to the sphere from inside", AlwaysOnTheSphere(1.0, groups), LOCALLY),
        ("threshold doubled", ThresholdDoubled(1.0, groups), "the residual is normal to the set"),
        ("division by the norm of a zero group", DivisionByZero(1.0, groups), "the projection is in the set"),
        ("cap after the projection", CapAfterwards(2), "the projection is in the set"),
        ("NaN goes through", NaNGoesThrough(1), "NaN and infinite entries are refused"),
        ("support function of a cube", SupportFunctionOfTheCube(1), "the residual is normal to the set"),
    ]
    return [Planted("set", *entry) for entry in entries]
