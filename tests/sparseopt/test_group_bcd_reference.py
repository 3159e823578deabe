"""The descent in NumPy: the iterates of the compiled loops, and what runs where nothing was compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from test_group_bcd import BCD, LOSSES, glm_problem, instance

import sparseopt as so
from sparseopt._native import HAS_NATIVE, build_info
from sparseopt._native.reading import padded
from sparseopt.solvers import frames
from sparseopt.solvers.columns import as_least_squares
from sparseopt.solvers.descent import GroupDescent

needs_native = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")

PENALTIES = {
    "lasso": lambda lam, groups: so.GroupLasso(lam, groups),
    "unpenalised": lambda lam, groups: so.GroupLasso(lam, groups, weights=np.arange(groups.n_groups) % 7 > 0),
    "elastic net": lambda lam, groups: so.GroupElasticNet(lam, groups, l2=0.1 * lam),
    "sparse group": lambda lam, groups: so.SparseGroupLasso(lam, groups, l1_ratio=0.4),
    "lasso in groups": lambda lam, groups: so.SparseGroupLasso(lam, groups, l1_ratio=1.0),
    "positive": lambda lam, groups: so.GroupLasso(lam, groups, positive=True),
    "mcp": lambda lam, groups: so.GroupMCP(lam, groups, gamma=3.0),
    "scad": lambda lam, groups: so.GroupSCAD(lam, groups),
    "log": lambda lam, groups: so.GroupLogSum(0.5 * lam, groups, eps=0.3),
    "lq": lambda lam, groups: so.GroupLq(lam, groups, q=0.5),
    "l0": lambda lam, groups: so.GroupL0(0.3 * lam, groups),
}


def designs():
    """Least squares with one and several outputs, dense and sparse, weighted, with an intercept, scattered groups."""
    sizes, weight = (1, 2, 3, 10, 11, 7, 66), np.random.default_rng(1).uniform(0, 2, 120)
    plain = instance(0, n=120, sizes=sizes)
    order = np.random.default_rng(0).permutation(plain.n_features)
    scattered = so.Groups.from_labels(plain.penalty.groups.labels[order])
    yield "plain", plain
    yield "intercept", instance(0, n=120, sizes=sizes, intercept=True)
    yield "weighted", instance(0, n=120, sizes=sizes, sample_weight=weight, intercept=True)
    yield "scattered", plain.with_penalty(so.GroupLasso(plain.penalty.lam, scattered))
    thin = np.where(np.random.default_rng(2).random(plain.X.shape) < 0.3, plain.X, 0.0)
    yield "sparse", so.Problem(sparse.csc_matrix(thin), plain.datafit, plain.penalty)
    yield "float32", so.Problem(plain.X.astype(np.float32), plain.datafit, plain.penalty)
    yield "outputs", glm_problem("multi_response", 1, intercept=True)


DESIGNS = dict(designs())


@pytest.fixture(autouse=True)
def sweeps_to_the_end(monkeypatch):
    """Those in NumPy do not end where the next model makes up for what is left."""
    monkeypatch.setattr(frames, "STEPS", frames.STEPS._replace(next=0.0))


def first_round(problem, compiled, anderson):
    """A run after one round of sweeps, with the loops compiled or in NumPy, on data of its own."""
    fresh = so.Problem(problem.X, problem.datafit, problem.penalty)
    run = GroupDescent(as_least_squares(fresh), np.zeros(problem.w_shape), BCD(accuracy=1e-7, anderson=anderson))
    run.inner.compiled, run.inner.products_pay = compiled, lambda columns, sweeps: False
    run.round()
    return run


def assert_same_round(problem, anderson, accuracy):
    one, other = (first_round(problem, compiled, anderson) for compiled in (True, False))
    size = np.abs(one.by_position).max()
    assert size > 0
    np.testing.assert_allclose(other.by_position, one.by_position, atol=accuracy * size, rtol=0)
    np.testing.assert_array_equal(other.norms > 0, one.norms > 0)
    survey = problem.n_features if one.point is not None and isinstance(one.frame, frames.NewtonFrame) else 0
    assert (
        other.columns_read - survey == one.columns_read
    )  # as many visits of the same blocks; steps in one call end with the survey
    assert other.gap is None or abs(other.gap - one.gap) <= accuracy * abs(one.value)


ROUNDING = 1e-11
"""Of a block, solved to 1e-13 of its largest term, over some dozens of sweeps."""

MIXED = 1e-6
"""With extrapolation: its weights come from a system regularised at 1e-12, so eps / 1e-12 of a last step is free."""


FEW = {(design, "lasso") for design in DESIGNS} | {("plain", penalty) for penalty in PENALTIES}
"""Every design and every penalty once; the other pairs are slow tests."""

PAIRS = [
    pytest.param(design, penalty, marks=() if (design, penalty) in FEW else pytest.mark.slow)
    for design in DESIGNS
    for penalty in PENALTIES
]


LASSO_FIRST = ["lasso", *(pytest.param(name, marks=pytest.mark.slow) for name in PENALTIES if name != "lasso")]


def of_pair(design, penalty):
    problem = DESIGNS[design]
    return problem.with_penalty(PENALTIES[penalty](problem.penalty.lam, problem.penalty.groups))


@needs_native
@pytest.mark.parametrize(("design", "penalty"), PAIRS)
def test_iterates_are_those_of_the_compiled_loops(design, penalty):
    assert_same_round(of_pair(design, penalty), 0, ROUNDING)


@needs_native
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize(
    "penalty", ["lasso", *(pytest.param(name, marks=pytest.mark.slow) for name in list(PENALTIES)[1:])]
)
def test_extrapolated_iterates_too(design, penalty):
    assert_same_round(of_pair(design, penalty), 5, MIXED)


@pytest.mark.sample(every=5)
@needs_native
@pytest.mark.parametrize("penalty", ["lasso", "elastic net", "sparse group", "mcp"])
@pytest.mark.parametrize("loss", LOSSES)
def test_models_of_other_losses_too(loss, penalty, monkeypatch):
    monkeypatch.setattr(frames, "MAX_MODELS", 3)  # of a nonconvex problem, rounding picks the hill to descend later
    if loss in ("cox", "huber"):  # whose compiled steps have other models: the sweeps alone are compared
        monkeypatch.setattr(frames, "compiled_loss", lambda problem: None)
    problem = glm_problem(loss, 4, intercept=True, ratio=0.2, weighted=True)
    problem = problem.with_penalty(PENALTIES[penalty](problem.penalty.lam, problem.penalty.groups))
    assert_same_round(problem, 0, MIXED)  # curvatures are measured, so that rounding is fed back


@pytest.mark.parametrize("size", [1e155, 1e200, 1e300])
@pytest.mark.parametrize("penalty", ["lasso", "elastic net", "sparse group", "mcp", "l0"])
def test_a_divergence_is_left_to_its_user(penalty, size):
    """A model below the loss may send the sweeps away; nothing of that is taken."""
    problem = glm_problem("multinomial", 4, intercept=True, ratio=0.2)
    problem = problem.with_penalty(PENALTIES[penalty](problem.penalty.lam, problem.penalty.groups))
    run = GroupDescent(problem, np.zeros(problem.w_shape), BCD())
    run.inner.compiled = False
    run.frame._set_model(run.z, None)
    run.inner.r[:] = size * padded(run.force)
    everything = np.arange(problem.penalty.groups.n_groups)
    run.inner.run(everything, run.scores.copy(), scored=True, max_epochs=2, ask=run.ask)
    before, value = run.by_position, run.value
    run.frame._line_search(run, before, run.inner.coefficients())
    assert run.value <= value


FALLBACK = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from test_group_bcd import BCD, LOSSES, glm_problem, instance
from test_group_bcd_reference import DESIGNS, PENALTIES, assert_solved
import sparseopt as so
assert not so._native.HAS_NATIVE
assert "sparseopt._native.bcd_reference" not in sys.modules
step = int(sys.argv[2])
for problem in list(DESIGNS.values())[::step]:
    assert so.solvers.GroupBCD.suits(problem)
    result = assert_solved(problem)
    assert np.isfinite(result.history.gap).all()
for penalty in list(PENALTIES.values())[::step]:
    problem = instance(1, n=100, sizes=(5,) * 12)
    assert_solved(problem.with_penalty(penalty(problem.penalty.lam, problem.penalty.groups)))
for loss in LOSSES[::step]:
    assert_solved(glm_problem(loss, 1, intercept=True, ratio=0.2))
path = so.solve_path(instance(2), n_lambdas=5, ratio=0.1)
assert all(result.status is so.Status.CONVERGED for result in path)
print("solved")
"""


def assert_solved(problem):
    """By the default solver, which is the descent, and certified from the coefficients alone where convex."""
    states = []
    result = so.solve(problem, tol=1e-7, callback=states.append)
    assert type(states[0]).__name__ == "DescentState"
    if problem.convex:
        assert so.certify.duality_gap(problem, result.latent, tol=2e-7).proved
    else:
        scale = np.max(problem.penalty.groups.norms(problem.gradient_at_zero))
        assert problem.violation(result.latent) <= 1e-7 * scale
    return result


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_is_the_default_where_nothing_was_compiled(step):
    """On every problem, or on every third."""
    command = [sys.executable, "-c", FALLBACK, str(Path(__file__).parent), str(step)]
    env = os.environ | {"SPARSEOPT_DISABLE_NATIVE": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "solved\n", done.stderr
