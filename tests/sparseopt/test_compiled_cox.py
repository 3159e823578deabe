"""Cox problems in the compiled proximal Newton steps, against those in Python and against what the theory says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt._native import HAS_NATIVE
from sparseopt.solvers import descent_path, frames
from sparseopt.solvers.compiled_loss import compiled_loss
from sparseopt.solvers.descent_path import DescentPath

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason="the compiled core is not built")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def survival(rng, n=60, p=20, size=2, ties="breslow", tied=False, **options):
    X = np.asfortranarray(rng.standard_normal((n, p)))
    time = rng.exponential(np.exp(-X[:, 0] + 0.5 * X[:, size]))
    time = np.ceil(4 * time) if tied else time
    loss = so.Cox(time, rng.random(n) < 0.7, ties, **options)
    return so.Problem(X, loss, so.GroupLasso(1.0, so.Groups.uniform(p // size, size)))


def at_part(problem, part):
    return problem.with_lam(part * so.lambda_max(problem))


def in_python(monkeypatch, problem, **options):
    """The solution without compiled steps."""
    with monkeypatch.context() as without:
        without.setattr(frames, "compiled_loss", lambda problem: None)
        without.setattr(descent_path, "compiled_loss", lambda problem: None)
        return so.solve(problem, **options)


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("part", [0.7, 0.2, 0.02])
@pytest.mark.parametrize("case", ["plain", "tied", "weights", "offset", "float32", "sparse", "sparse, all of it"])
def test_the_same_solution_as_in_python(monkeypatch, rng, case, part):
    weights, offset = {"sample_weight": rng.integers(0, 3, 60) + 0.5}, {"offset": 3 * rng.standard_normal(60)}
    options = {"weights": weights, "offset": offset, "sparse, all of it": weights | offset}.get(case, {})
    problem = survival(rng, tied=case in ("tied", "sparse, all of it"), **options)
    if case == "float32":
        problem = so.Problem(problem.X.astype(np.float32), problem.datafit, problem.penalty)
    if case.startswith("sparse"):
        X = sparse.random(60, 20, 0.3, format="csc", rng=rng)
        problem = so.Problem(X.multiply(np.arange(20) != 5).tocsc(), problem.datafit, problem.penalty)
    problem = at_part(problem, part)
    assert compiled_loss(problem) is not None
    found, other = so.solve(problem, tol=1e-9), in_python(monkeypatch, problem, tol=1e-9)
    # both gaps are at most 1e-9 of the larger of P and its distance to the loss at 0
    scale = max(abs(other.objective), abs(other.objective - problem.datafit.value(np.zeros(60))))
    assert abs(found.objective - other.objective) <= 2e-9 * scale
    assert problem.objective(found.w) == pytest.approx(found.objective, rel=1e-13)
    assert so.certify.duality_gap(problem, found.w, tol=2e-9).proved


def test_efron_without_ties_is_breslow(rng):
    X, time, event = rng.standard_normal((40, 6)), rng.exponential(size=40), rng.random(40) < 0.6
    penalty = so.GroupLasso(0.02, so.Groups.uniform(3, 2))
    both = [so.Problem(X, so.Cox(time, event, ties), penalty) for ties in ("breslow", "efron")]
    assert compiled_loss(both[1]) is not None
    assert (so.solve(both[0]).w == so.solve(both[1]).w).all()


def test_risk_sets_with_several_sums_have_no_compiled_loss(rng):
    tied = survival(rng, ties="efron", tied=True)
    assert compiled_loss(tied) is None


@pytest.mark.parametrize("density", [1.0, 0.3])
def test_models_have_the_true_hessian(rng, density):
    """Errors of proximal Newton steps square, those of steps under an upper bound of the curvature do not."""
    problem = survival(rng, n=400, p=30, size=3)
    if density < 1:
        X = sparse.csc_matrix(np.where(rng.random((400, 30)) < density, problem.X, 0.0))
        problem = so.Problem(X, problem.datafit, problem.penalty)
    problem = at_part(problem, 0.05)
    path = DescentPath(problem, 1e-12, several=False)
    result = next(path.solutions(np.array([problem.penalty.lam]), None))
    assert result.gap <= 1e-12
    steps = frames.newton_steps(
        path.inner,
        path.loss,
        path.working,
        np.zeros(10),
        path.inner.fit(np.zeros((30, 1))),
        frames.STEPS._replace(target=1e-12, scored=False),
        lambda: False,
    )
    assert steps[0].models <= 7


def test_risks_beyond_the_range_of_sums_are_left_to_logarithms(monkeypatch, rng):
    """Offsets over 2000: the sums over the last risk sets underflow, and the compiled steps give up."""
    problem = at_part(survival(rng, offset=np.linspace(0, 2000, 60)), 0.3)
    assert so.solve(problem, tol=1e-8).objective == in_python(monkeypatch, problem, tol=1e-8).objective


@pytest.mark.parametrize("wide", [False, True])
def test_paths(rng, wide):
    problem = survival(rng, n=40 if wide else 120, p=90 if wide else 24, size=3)
    path = so.solve_path(problem, n_lambdas=12, tol=1e-7)
    for result in path:
        assert so.certify.duality_gap(problem.with_lam(result.lam), result.w, tol=2e-7).proved


def test_dead_samples_at_one_time_share_its_mass(rng):
    """A dual value below that of the conjugate, and equal to it at the solution."""
    problem = at_part(survival(rng, tied=True, sample_weight=rng.integers(1, 4, 60)), 0.4)
    for tol in (1e-2, 1e-4, 1e-8):
        result = so.solve(problem, tol=tol)
        scale = max(result.objective, abs(result.objective - problem.datafit.value(np.zeros(60))))
        assert problem.gap(result.w) <= result.gap * scale + 1e-13


def test_slow_sweeps_over_sparse_columns_give_way_to_the_true_hessian(rng):
    """All groups become active: models that were swept over took 3 rounds."""
    X = sparse.random(400, 300, 0.02, format="csc", rng=rng, data_rvs=rng.standard_normal)
    time, censored = rng.exponential(np.exp(-1.5 * (X @ rng.standard_normal(300)))), rng.exponential(2.0, 400)
    loss = so.Cox(np.minimum(time, censored), time <= censored)
    problem = at_part(so.Problem(X, loss, so.GroupLasso(1.0, so.Groups.uniform(60, 5))), 0.02)
    result = so.solve(problem, tol=1e-8)
    assert result.n_iter == 1
    assert so.certify.duality_gap(problem, result.w, tol=2e-8).proved


def test_sweeps_on_a_model_below_the_loss_give_way_to_the_true_hessian():
    """Measured curvatures were too small where the weights of samples differ much."""
    rng = np.random.default_rng(7)
    X = sparse.random(800, 400, 0.01, format="csc", rng=rng, data_rvs=rng.standard_normal)
    time, censored = rng.exponential(np.exp(-3 * (X @ rng.standard_normal(400)))), rng.exponential(2.0, 800)
    loss = so.Cox(np.minimum(time, censored), time <= censored)
    problem = at_part(so.Problem(X, loss, so.GroupLasso(1.0, so.Groups.uniform(80, 5))), 0.02)
    assert so.solve(problem, tol=1e-8).n_iter == 1  # 2 before


def test_the_arrays_of_the_loss_are_made_once(rng):
    problem = survival(rng)
    assert compiled_loss(at_part(problem, 0.5)) is compiled_loss(problem)
    other = so.Cox(problem.datafit.time[::-1], problem.datafit.event)
    assert compiled_loss(problem.with_datafit(other)) is not compiled_loss(problem)


def test_slow_models_of_sparse_columns_give_way_to_exact_ones():
    """Offsets that nearly order the events: models that lie above the loss crept for thousands of rounds."""
    rng = np.random.default_rng(0)
    X = sparse.csc_matrix(np.round(rng.standard_normal((3, 54))) * (rng.random((3, 54)) < 0.3))
    loss = so.Cox([1.0, 2.0, 3.0], [True, True, False], offset=[5.0, -12.0, 10.0])
    problem = at_part(so.Problem(X, loss, so.GroupLasso(1.0, so.Groups.uniform(27, 2))), 0.004)
    assert so.solve(problem, tol=1e-7, max_iter=10).gap <= 1e-7  # 2 rounds; a gap of .09 after 31 before
