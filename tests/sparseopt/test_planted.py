"""Planted bugs: each makes a named check of this folder fail, which shows that the check has power."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import test_ball
import test_duality_gap
import test_global_gap
import test_group_penalties
import test_groups
import test_inverse_sum
import test_path
import test_penalties
import test_solve
from reference import check_group_prox, random_problem

import sparseopt as so
from sparseopt.penalties import ExpMask, GroupPenalty, Linear, Log, Power, Ratio
from sparseopt.solvers import FISTA

duality_gap, evaluation, global_gap, subadditivity = (
    import_module(f"sparseopt.certify.{name}") for name in ("duality_gap", "evaluation", "global_gap", "subadditivity")
)


def caught(check, *arguments, **keywords):
    """The check must fail by an assertion."""
    with pytest.raises(AssertionError):
        check(*arguments, **keywords)


def test_weights_left_out_of_the_prox(monkeypatch):
    def prox(self, v, step=1.0, out=None):
        norms = self.groups.norms(v)
        shrunk = self.rho.prox(norms, step * self.lam)
        return self.groups.scale(v, np.divide(shrunk, norms, out=np.zeros_like(norms), where=norms > 0))

    monkeypatch.setattr(GroupPenalty, "prox", prox)
    v = np.random.default_rng(1).standard_normal(7) * 2
    for rho in (Linear(), Power(0.5), Log(1.0), Ratio(), ExpMask()):
        P = test_group_penalties.penalty(rho)
        check_group_prox(GroupPenalty(rho, 0.7, P.groups, weights="none"), v, 1.0, 0.7 * np.ones(3))
        caught(check_group_prox, P, v, 1.0, 0.7 * test_group_penalties.WEIGHTS["array"])


def test_a_dual_point_that_is_not_rescaled(monkeypatch):
    """FISTA then stops at once; its violation gives it away."""
    gap = so.Problem.gap_from
    monkeypatch.setattr(so.Problem, "gap_from", lambda self, w, z, gradient, *late: gap(self, w, z, 0 * gradient))
    caught(test_solve.test_every_solver_reaches_a_tiny_gap, FISTA())


def test_a_certificate_whose_dual_point_is_not_rescaled(monkeypatch):
    monkeypatch.setattr(duality_gap, "feasible_multiple", lambda norms, strength: np.inf)
    monkeypatch.setattr(duality_gap, "infeasible_multiple", lambda norms, strength: np.inf)
    problem = random_problem(0)
    caught(test_duality_gap.assert_encloses, problem, np.zeros(problem.n_features), 1e-11)
    caught(test_duality_gap.test_zero_is_proved_from_lambda_max_on)
    caught(test_duality_gap.test_solutions_are_proved_and_wrong_points_are_not, 0)


def test_the_sum_of_q_where_its_inverse_is_meant(monkeypatch):
    def value(self, w):
        return self.lam * self.rho.value(self.groups.norms(w)).sum()

    monkeypatch.setattr(so.InverseSum, "value", value)
    caught(test_inverse_sum.test_value_is_not_the_sum)
    caught(test_inverse_sum.test_one_active_group_is_charged_exactly_its_norm, Power(0.5))
    caught(test_inverse_sum.test_lemma_2_4_the_group_lasso_is_below.hypothesis.inner_test, 0, 3, 1)


def test_the_exp_mask_taken_for_subadditive(monkeypatch):
    monkeypatch.setattr(subadditivity, "CONCAVE_BY_FORMULA", (Linear, Log, Power, Ratio, ExpMask))
    caught(test_global_gap.test_the_exp_mask_is_never_proved)


def test_two_active_groups_accepted(monkeypatch):
    two = np.array([0])
    monkeypatch.setattr(so.Groups, "active", lambda self, w: two)
    monkeypatch.setattr(global_gap, "_not_strictly_feasible", lambda *arguments: None)
    caught(test_global_gap.test_a_two_group_minimiser_is_never_proved, Power(0.5))


def test_an_eigenvalue_without_its_rounding_error(monkeypatch):
    monkeypatch.setattr(test_ball, "smallest_eigenvalue", lambda A: max(float(np.linalg.eigvalsh(A)[0]), 0.0))
    caught(test_ball.test_singular_and_indefinite_matrices_have_no_positive_bound)


def test_a_product_without_its_rounding_error(monkeypatch):
    def product(X, v, norms):
        return evaluation.Ball.exact(X @ v.mid)

    monkeypatch.setattr(evaluation, "product", product)
    monkeypatch.setattr(evaluation, "gamma", lambda k: 0.0)
    problem = random_problem(0)
    w = so.solve(problem, tol=1e-10).w
    assert so.certify.duality_gap(problem, w).proved  # a wrong bound is not seen at a good point: the products are
    monkeypatch.setattr(test_ball, "product", product)
    caught(test_ball.test_products_with_dense_and_sparse_matrices.hypothesis.inner_test, 0)


def test_norms_without_the_guard_against_overflow(monkeypatch):
    monkeypatch.setattr(so.Groups, "_guarded_norms", lambda self, w: self._norms(np, w))
    caught(test_groups.test_norms_at_every_scale, test_groups.uneven_groups(), 1e200)
    caught(test_groups.test_norms_at_every_scale, test_groups.uneven_groups(), 1e-200)


def test_the_threshold_of_the_power_prox_off_by_a_cube_root(monkeypatch):
    prox = Power.prox
    monkeypatch.setattr(Power, "prox", lambda self, v, step=1.0, out=None: prox(self, v, step * 2 ** (1 / 3), out))
    caught(test_penalties.test_prox_beats_a_fine_grid_and_random_competitors, Power(0.5), np.float64)
    caught(test_penalties.test_jump_of_the_power_prox, 0.5)
    caught(test_penalties.test_prox_of_the_square_root_in_closed_form)


def test_a_tie_that_goes_to_the_larger_norm(monkeypatch):
    prox = Ratio.prox
    monkeypatch.setattr(Ratio, "prox", lambda self, v, step=1.0, out=None: prox(self, v * (1 + 1e-9), step, out))
    caught(test_penalties.test_ties_go_to_the_smaller_norm)


def test_lambda_max_without_the_weights(monkeypatch):
    weighted = so.lambda_max

    def unweighted(problem):
        return weighted(problem.with_penalty(so.GroupLasso(1.0, problem.penalty.groups, weights="none")))

    monkeypatch.setattr(so, "lambda_max", unweighted)
    caught(test_path.test_lambda_max_written_out)
