"""Block descent under penalties that are sums over groups, but no functions of the norms: only their prox is known."""

from __future__ import annotations

import numpy as np
import pytest
from test_group_bcd import BCD, glm_problem, instance

import sparseopt as so


class LargestEntries:
    """lam sum_g |w_g|_inf, for w [p] or [p, T]; its dual norm is max_g |c_g|_1."""

    convex, weak_convexity = True, 0.0

    def __init__(self, lam, groups):
        self.lam, self.groups = lam, groups

    @property
    def slope0(self):
        return self.lam / np.sqrt(self.groups.sizes)

    def with_lam(self, lam):
        return type(self)(lam, self.groups)

    def restrict(self, groups):
        return type(self)(self.lam, self.groups.restrict(groups))

    def blocks(self):
        return [self.groups.members(g) for g in range(self.groups.n_groups)]

    def value(self, w):
        return self.lam * sum(np.abs(w[rows]).max() for rows in self.blocks())

    def prox(self, v, step=1.0, out=None):
        """v less its projection onto the l_1 ball: entries are cut at a common height."""
        w = np.zeros(v.shape)
        for rows in self.blocks():
            ordered = -np.sort(-np.abs(v[rows]).ravel())
            heights = (np.cumsum(ordered) - step * self.lam) / np.arange(1, len(ordered) + 1)
            height = heights.max()  # the excess over a height is convex, so the largest root is the right one
            if height > 0:
                w[rows] = np.clip(v[rows], -height, height)
        return w

    def violation(self, w, gradient):
        """|w - prox(w - gradient)| [G], 0 exactly at stationary points."""
        return self.groups.norms(w - self.prox(w - gradient))

    def critical_lam(self, c):
        return max(np.abs(c[rows]).sum() for rows in self.blocks())

    def dual_limit(self, c):
        return self.lam / self.critical_lam(c) if c.any() else np.inf


class Root(so.penalties.GroupPenalty):
    """A group penalty with a prox of its own, so that nothing may be concluded from its scalar part."""

    def __init__(self, lam, groups):
        super().__init__(so.penalties.Power(0.5), lam, groups)

    def prox(self, v, step=1.0, out=None):
        return super().prox(v, step, out)


LARGE = pytest.param((80, 3, 70, 1), marks=pytest.mark.slow)
"""Sizes of groups that the compiled loops leave to LAPACK."""


def under_largest_entries(problem, ratio=0.1):
    problem = problem.with_penalty(LargestEntries(1.0, problem.penalty.groups))
    return problem.with_lam(ratio * so.lambda_max(problem))


def test_the_prox_of_the_example_is_the_best_of_many():
    penalty, rng = LargestEntries(0.7, so.Groups.from_sizes([3, 1, 4])), np.random.default_rng(0)
    for _ in range(20):
        v = 2 * rng.standard_normal(8)
        w = penalty.prox(v, 0.5)
        rivals = [w + scale * rng.standard_normal(8) for scale in (1e-3, 1e-2, 0.1, 1) for _ in range(20)]
        values = [np.sum((x - v) ** 2) / 2 + 0.5 * penalty.value(x) for x in [w, *rivals, np.zeros(8)]]
        assert values[0] == min(values)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("sizes", [(5,) * 20, (1,) * 40, (1, 2, 3, 10, 11, 30, 7, 16), LARGE])
def test_least_squares_agree_with_fista(sizes, intercept):
    problem = under_largest_entries(instance(0, sizes=sizes, intercept=intercept))
    assert_as_low_as_fista(problem)


@pytest.mark.parametrize("loss", ["logistic", "poisson", "multi_response"])
def test_other_losses_agree_with_fista(loss):
    assert_as_low_as_fista(under_largest_entries(glm_problem(loss, 1, intercept=True), ratio=0.2))


def assert_as_low_as_fista(problem):
    assert BCD.treats(problem)
    assert not BCD.suits(problem)  # FISTA moves all groups at once
    mine, theirs = so.solve(problem, BCD(), tol=1e-7), so.solve(problem, so.solvers.FISTA(), tol=1e-7)
    scale = max(abs(mine.objective), abs(mine.objective - problem.objective(np.zeros(problem.w_shape))))
    assert abs(mine.objective - theirs.objective) <= 2e-7 * scale
    assert mine.w.any()


def test_paths():
    problem = under_largest_entries(instance(2, n=40, sizes=(4,) * 10))
    path, other = (so.solve_path(problem, 5, 0.1, tol=1e-7, solver=solver) for solver in (BCD(), None))
    for mine, theirs in zip(path, other, strict=True):
        assert mine.status is so.Status.CONVERGED
        assert abs(mine.objective - theirs.objective) <= 2e-7 * problem.objective(np.zeros(problem.w_shape))


def test_the_objective_of_a_nonconvex_one_never_rises():
    convex = instance(1, n=100, sizes=(5,) * 12)
    problem = convex.with_penalty(Root(convex.penalty.lam, convex.penalty.groups))
    result = so.solve(problem, BCD(), tol=1e-7)
    objectives = result.history.objective
    assert (np.diff(objectives) <= 1e-12 * np.abs(objectives[:-1])).all()
    assert problem.violation(result.w) <= 1e-7 * np.max(problem.penalty.groups.norms(problem.gradient_at_zero))
    assert result.w.any()


def test_unpenalised_groups_are_fitted():
    problem = instance(3, n=80, sizes=(4,) * 10)

    class Own(so.GroupLasso):
        def prox(self, v, step=1.0, out=None):
            return super().prox(v, step, out)

    weights = np.arange(10) % 5 > 0
    known, own = (
        problem.with_penalty(c(problem.penalty.lam, problem.penalty.groups, weights)) for c in (so.GroupLasso, Own)
    )
    one, other = (so.solve(p, BCD(), tol=1e-9) for p in (known, own))
    np.testing.assert_allclose(other.w, one.w, atol=1e-5 * np.abs(one.w).max())


class Failure(Exception):
    """Carries a value through the descent."""


@pytest.mark.parametrize("method", ["value", "prox", "violation", "restrict"])
def test_exceptions_come_through_unchanged(method):
    error, calls = Failure({"anything": 3}), []

    class Broken(LargestEntries):
        pass

    def broken(self, *arguments, **options):
        calls.append(0)
        if len(calls) > 1:
            raise error
        return getattr(LargestEntries, method)(self, *arguments, **options)

    problem = under_largest_entries(instance(2))
    problem = problem.with_penalty(Broken(problem.penalty.lam, problem.penalty.groups))
    setattr(Broken, method, broken)
    with pytest.raises(Failure) as caught:
        so.solve(problem, BCD(), tol=1e-12)
    assert caught.value is error


def test_a_time_limit_is_kept():
    problem = under_largest_entries(glm_problem("huber", 1, intercept=True), ratio=1e-3)
    result = so.solve(problem, BCD(), tol=1e-300, time_limit=0.2, throw=False)
    assert result.status is so.Status.TIME_LIMIT


def test_penalties_that_couple_groups_are_refused():
    problem = instance(2)
    coupled = problem.with_penalty(so.KSupport(0.1, problem.penalty.groups, 3))
    assert not BCD.treats(coupled)
    with pytest.raises(ValueError, match=r"not a sum over groups.*FISTA"):
        so.solve(coupled, BCD())
