"""Objects that lie about themselves: none of them gets a proof."""

from __future__ import annotations

import numpy as np
import pytest

import sparseopt as so

GROUPS = so.Groups.uniform(2, 1)
DATA = np.eye(2), np.array([2.0, 0.1])


def problem(datafit=None, penalty=None):
    X, y = DATA
    return so.Problem(X, datafit or so.LeastSquares(y), penalty or so.GroupLasso(0.5, GROUPS, weights="none"))


def test_a_companion_of_ones_own_is_not_asked_for():
    class Weighted(so.InverseSum):
        @property
        def companion(self):
            return so.GroupLasso(self.lam, self.groups, weights=[0.1, 10])

    lying = problem(penalty=Weighted(0.5, GROUPS, so.penalties.Power(0.5)))
    w = so.solve(problem(penalty=so.GroupLasso(0.5, GROUPS, weights=[0.1, 10])), tol=1e-10).w
    assert not so.certify.global_gap(lying, w).proved


def test_subclasses_of_datafits_are_refused():
    class Louder(so.LeastSquares):
        def value(self, z):
            return 10 * super().value(z)

        def gradient(self, z):
            return 10 * super().gradient(z)

    w = so.solve(problem(), tol=1e-10).w
    with pytest.raises(ValueError, match="Louder has no certificate"):
        so.certify.duality_gap(problem(Louder(DATA[1])), w)


def test_subclasses_of_penalties_are_refused():
    class Nothing(so.GroupLasso):
        def value(self, w):
            return 0.0 * super().value(w)

    w = so.solve(problem(), tol=1e-10).w
    with pytest.raises(ValueError, match="no certificate"):
        so.certify.duality_gap(problem(penalty=Nothing(0.5, GROUPS)), w)
    with pytest.raises(ValueError, match="not the group LASSO"):
        so.certify.lambda_window(problem(penalty=Nothing(0.5, GROUPS)))


class Jump:
    """t + 5 [t >= 1], which is not subadditive; its slope enclosures keep silent about the jump."""

    slope0, weak_convexity, convex = 1.0, np.inf, False

    def value(self, t):
        return t + 5.0 * (t >= 1)

    def slope(self, t):
        return np.ones_like(t)

    def inverse(self, y):
        return np.where(y < 1, y, np.maximum(y - 5, 1))

    def enclose(self, low, high):
        return (low + 5.0 * (low >= 1), high + 5.0 * (high >= 1)), (1.0, 1.0), (0.0, 0.0)


def test_a_jump_is_not_proved_subadditive():
    assert so.certify.subadditivity(Jump(), 4.0).verdict == "undecided"
    H, b = np.array([[1.0, 1.0], [1.0, 1.1]]), np.array([2.8, 2.75])
    quadratic = so.Problem.quadratic(H, b, so.InverseSum(1.0, GROUPS, Jump()))
    assert not so.certify.global_gap(quadratic, [1.8, 0.0]).proved


def test_enclosures_are_compared_with_values():
    class Linearised(so.penalties.ExpMask):
        def enclose(self, low, high):
            return (low, high), (1.0, 1.0), (0.0, 0.0)

    assert so.certify.subadditivity(Linearised(), 4.0).verdict == "undecided"


def test_an_overflowing_objective_is_undecided():
    groups = so.Groups.uniform(2, 1)
    huge = so.Problem(np.eye(3)[:, :2], so.LeastSquares([1e160, 1e100, 1e162]), so.GroupLasso(1e158, groups))
    with np.errstate(all="ignore"):
        assert so.certify.duality_gap(huge, [1e160 - 3e158, 0.0]).verdict == "undecided"


def test_a_loss_without_a_sandwich_is_undecided_with_a_reason():
    logistic = so.Problem(np.eye(2), so.Logistic([0, 1]), so.InverseSum(0.1, GROUPS, so.penalties.Power(0.5)))
    certificate = so.certify.global_gap(logistic, np.zeros(2))
    assert certificate.verdict == "undecided"
    assert "Logistic" in certificate.reason
