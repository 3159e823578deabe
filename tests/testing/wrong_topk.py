"""Soft top-k operators with one mistake each; all else is inherited from the plain correct one."""

from __future__ import annotations

import numpy as np
from bisected_topk import BisectedTopK
from planted import Planted

import sparseopt as so
from sparseopt.soft_topk import ThresholdCertificate

CERTIFICATE = "the certificate encloses the threshold"
JACOBIAN = "vjp is the Jacobian in closed form"


class NotNormalised(BisectedTopK):
    """The threshold halfway between the two entries, without solving for it."""

    def solve(self, x, k):
        ordered = -np.sort(-x)
        return self.sigmoid((x - (ordered[k - 1] + ordered[k]) / 2) / self.tau)


class HardMask(BisectedTopK):
    """The hard mask with a straight-through gradient."""

    def solve(self, x, k):
        f = np.zeros_like(x)
        f[np.argsort(-x, kind="stable")[:k]] = 1.0
        return f


class Softmax(BisectedTopK):
    """k times the softmax, cut at 1."""

    def solve(self, x, k):
        e = np.exp(np.clip((x - x.max()) / self.tau, -700, 0))
        return np.minimum(k * e / e.sum(), 1.0)


class TemperatureForgottenInTheGradient(BisectedTopK):
    def vjp(self, g, out=None):
        return super().vjp(g) * self.tau


class DiagonalJacobian(BisectedTopK):
    """The threshold is held fixed."""

    def vjp(self, g, out=None):
        return self.variances() * g / self.tau


class ForwardNotTransposed(BisectedTopK):
    def jvp(self, d, out=None):
        return self.variances() * d / self.tau


class NotANumber(BisectedTopK):
    """0 / 0 where all values are 0 or 1."""

    def vjp(self, g, out=None):
        v = self.variances()
        with np.errstate(invalid="ignore"):
            return v * (g - (v * g).sum(axis=-1, keepdims=True) / v.sum(axis=-1, keepdims=True)) / self.tau


class OneTooMany(BisectedTopK):
    def solve(self, x, k):
        return super().solve(x, min(k + 1, len(x) - 1)) if len(x) > 2 else super().solve(x, k)


class TiesByNoise(BisectedTopK):
    def solve(self, x, k):
        return super().solve(x + self.tau * 1e-3 * np.arange(len(x)), k)


class WarmStartKept(BisectedTopK):
    """The threshold of the first call is used for ever."""

    def row(self, x):
        self.kept = getattr(self, "kept", x)
        return super().row(self.kept if self.kept.shape == x.shape else x)


class NaNGoesThrough(BisectedTopK):
    def check(self, x):
        super().check(np.nan_to_num(x, posinf=np.inf, neginf=-np.inf))


class InfinitiesClipped(BisectedTopK):
    def __call__(self, x, out=None):
        self.check(x)
        return super().__call__(np.clip(x, -1e3, 1e3), out)


class BatchAsOneRow(BisectedTopK):
    def __call__(self, x, out=None):
        if x.ndim == 1:
            return super().__call__(x, out)
        return super().__call__(x.ravel()).reshape(x.shape)


class SinglePrecision(BisectedTopK):
    def solve(self, x, k):
        return super().solve(x, k).astype(np.float32).astype(np.float64)


class CertificateOfNothing(so.SoftTopK):
    """The threshold of x in half precision, said to be exact."""

    def __call__(self, x, out=None):
        return super().__call__(np.asarray(x).astype(np.float16).astype(np.float64))

    def certificate(self):
        return ThresholdCertificate(0.0, 0.0, 0.0)


class CertificateOfEverything(so.SoftTopK):
    def certificate(self):
        return ThresholdCertificate(0.0, 0.0, 1.0)


def topk() -> list[Planted]:
    """The wrong operators."""
    entries = [
        ("threshold not solved for", NotNormalised, "the values sum to k"),
        ("hard mask", HardMask, "large temperatures are uniform"),
        ("softmax times k", Softmax, "the values sum to k"),
        ("temperature forgotten in the gradient", TemperatureForgottenInTheGradient, JACOBIAN),
        ("threshold held fixed in the gradient", DiagonalJacobian, JACOBIAN),
        ("jvp not the transpose", ForwardNotTransposed, "jvp is the transpose of vjp"),
        ("0 / 0 where the values are hard", NotANumber, "small temperatures and extremes are safe"),
        ("one too many", OneTooMany, "the values sum to k"),
        ("ties by noise", TiesByNoise, "the order is kept and ties are equal"),
        ("threshold of the first call", WarmStartKept, "nothing is remembered"),
        ("NaN goes through", NaNGoesThrough, "bad input is refused"),
        ("infinite entries clipped", InfinitiesClipped, "infinite entries are chosen or left"),
        ("a batch as one row", BatchAsOneRow, "rows are independent"),
        ("float32 accumulation", SinglePrecision, "the values sum to k"),
        ("certificate of a wrong threshold", CertificateOfNothing, CERTIFICATE),
        ("certificate that says nothing", CertificateOfEverything, CERTIFICATE),
    ]
    return [Planted("topk", *entry) for entry in entries]
