"""Certified supports are never wrong and decide everything at an accurate point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import random_problem

import sparseopt as so


@given(seed=st.integers(0, 10**6), exponent=st.floats(-10, 0))
def test_support_is_never_wrong(seed, exponent):
    problem = random_problem(seed, n=5 if seed % 3 == 0 else 20, ratio=0.2)
    accurate = so.solve(problem, tol=1e-13, throw=False).w
    rng = np.random.default_rng(seed)
    shown = so.certify.support(problem, accurate + 10.0**exponent * rng.standard_normal(len(accurate)))
    norms = problem.penalty.groups.norms(accurate)
    assert (norms[shown.zero] < 1e-6).all()
    assert (norms[shown.nonzero] > 0).all()
    both = np.concatenate([shown.zero, shown.nonzero, shown.undecided])
    assert sorted(both) == list(range(problem.penalty.groups.n_groups))


def test_everything_is_decided_at_an_accurate_point_of_a_strongly_convex_problem():
    problem = random_problem(1, n=30)
    w = so.solve(problem, tol=1e-13, throw=False).w
    shown = so.certify.support(problem, w)
    assert len(shown.undecided) == 0
    assert list(shown.nonzero) == list(problem.penalty.groups.active(w))


def test_other_penalties_are_refused():
    problem = random_problem(1)
    with pytest.raises(ValueError, match="plain group LASSO"):
        so.certify.support(problem.with_penalty(so.GroupMCP(1.0, problem.penalty.groups)), np.zeros(8))
