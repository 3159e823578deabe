"""Losses with one mistake each; all else is inherited from the correct ones."""

from __future__ import annotations

import numpy as np
from planted import Planted

import sparseopt as so

INTEGRAL = "the value is the integral of the gradient"


class SumForMean(so.LeastSquares):
    def gradient(self, z):
        return super().gradient(z) * self.n_samples


class SignOfTheGradient(so.Logistic):
    def gradient(self, z):
        return -super().gradient(z)


class CurvatureTooSmall(so.Logistic):
    """The bound 1/8 where it is 1/4."""

    def curvature(self, d):
        return super().curvature(d) / 2


class ConjugateWithoutHalf(so.LeastSquares):
    def conjugate(self, u):
        return 2 * super().conjugate(u) - u @ self.target


class OffsetForgotten(so.Poisson):
    def gradient(self, z):
        return super().gradient(z - self.offset)


class HuberCutAtTwice(so.Huber):
    def gradient(self, z):
        return so.Huber(self.y, 2 * self.delta).gradient(z)


class NotConvex(so.LeastSquares):
    def value(self, z):
        return float(self.share @ np.log1p(self.residual(z) ** 2))

    def gradient(self, z):
        r = self.residual(z)
        return -2 * self.share * r / (1 + r**2)


class InterceptRemembered(so.LeastSquares):
    """The constant of the call before."""

    last = 0.0

    def gradient(self, z):
        used, self.last = self.last, self.share @ (self.y - z)
        return -self.share * (self.y - z - used)


class Overwrites(so.LeastSquares):
    def gradient(self, z):
        z -= self.y
        return self.share * z


class HessianOfTheMean(so.Logistic):
    def hessian(self, z, d):
        return self.hessian_weights(np.full_like(z, z.mean())) * d


class DualTooGood(so.Huber):
    def dual(self, z, limit):
        return super().dual(z, limit) + 0.01


def datafits() -> list[Planted]:
    """The wrong losses."""
    rng = np.random.default_rng(0)
    y, labels, counts = rng.standard_normal(6), np.array([0, 1, 1, 0, 1, 0]), rng.poisson(1.5, 6)
    entries = [
        ("sum for mean", SumForMean(y), INTEGRAL),
        ("sign of the gradient", SignOfTheGradient(labels), INTEGRAL),
        ("curvature bound too small", CurvatureTooSmall(labels), "the curvature bounds the gradient"),
        ("conjugate without the half", ConjugateWithoutHalf(y), "value and conjugate are Fenchel dual"),
        ("offset forgotten in the gradient", OffsetForgotten(counts, offset=0.5 * y), INTEGRAL),
        ("threshold off by a factor", HuberCutAtTwice(y, 0.3), INTEGRAL),
        ("not convex", NotConvex(y), "the value is convex"),
        (
            "intercept remembered",
            InterceptRemembered(y, intercept=True),
            "arguments are left alone and nothing is remembered",
        ),
        ("argument overwritten", Overwrites(y), "arguments are left alone and nothing is remembered"),
        ("Hessian at the mean", HessianOfTheMean(labels), "the Hessian is the derivative of the gradient"),
        ("dual value too good", DualTooGood(y, 0.3), "the dual value is that of a multiple of the gradient"),
    ]
    return [Planted("datafit", *entry) for entry in entries]
