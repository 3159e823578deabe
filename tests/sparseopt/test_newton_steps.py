"""Newton steps on logistic and Poisson losses in one compiled call, against the same steps in Python."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt._native import HAS_NATIVE, build_info
from sparseopt._native.loader import address
from sparseopt._native.newton import End
from sparseopt._native.reading import padded
from sparseopt.solvers import GroupBCD, descent, frames
from sparseopt.solvers.descent import GroupDescent
from sparseopt.solvers.support_newton import support_step

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason=f"no compiled core: {build_info()['reason']}")

DESIGNS = {
    "dense": lambda X: X,
    "float32": lambda X: np.asfortranarray(X, dtype=np.float32),
    "sparse": lambda X: sparse.csc_matrix(np.where(np.abs(X) > 0.8, X, 0.0)),
}
STEPS = 3


def of_loss(loss, design, intercept):
    """40 samples with weights, some of them 0, and offsets; 8 groups of 2, scattered."""
    rng = np.random.default_rng(3)
    X = np.asfortranarray(rng.standard_normal((40, 16)))
    eta = X[:, :4].sum(axis=1) / 2
    y = rng.poisson(np.exp(eta)) if loss is so.Poisson else np.where(rng.random(40) < 1 / (1 + np.exp(-eta)), 1, -1)
    y = eta + 3 + rng.standard_normal(40) if loss is so.LeastSquares else y
    weights, offset = np.where(np.arange(40) % 9 == 0, 0.0, rng.uniform(0.5, 2, 40)), rng.uniform(-0.5, 0.5, 40)
    groups = so.Groups.from_labels(rng.permutation(np.arange(16) % 8))
    X = DESIGNS[design](X)
    problem = so.Problem(X, loss(y, weights, offset, intercept), so.GroupLasso(1.0, groups))
    return problem.with_lam(0.1 * so.lambda_max(problem))


def run_of(problem):
    run = GroupDescent(so.Problem(problem.X, problem.datafit, problem.penalty), np.zeros(16), GroupBCD(anderson=0))
    run.working = np.arange(8)
    return run


@pytest.mark.parametrize(
    ("loss", "design", "intercept"), list(itertools.product((so.Logistic, so.Poisson), DESIGNS, (False, True)))
)
def test_steps_are_those_of_python(loss, design, intercept, monkeypatch):
    """But for sweeps in NumPy, which do not end where the next model makes up for what is left."""
    monkeypatch.setattr(frames, "STEPS", frames.STEPS._replace(next=0.0))
    problem = of_loss(loss, design, intercept)
    ours, other = run_of(problem), run_of(problem)
    made, why, error = ours.frame._steps(ours, 0.0, np.inf, STEPS)
    last = np.inf
    for _ in range(made):
        assert other.frame._step(other)
        expected = other.working_error()
        if expected > frames.SLOW * last:
            other.frame.epochs *= 2
        last = expected
    assert made == STEPS
    assert why is End.MANY_MODELS
    np.testing.assert_allclose(ours.by_position, other.by_position, atol=1e-10 * np.abs(other.by_position).max())
    np.testing.assert_allclose(ours.scores, other.scores, rtol=1e-8)
    assert error == pytest.approx(expected, rel=1e-6)
    assert ours.columns_read == other.columns_read
    assert ours.problem.objective(ours.by_column(ours.by_position)) == pytest.approx(ours.value, rel=1e-13)


@pytest.mark.parametrize(
    ("loss", "design", "intercept"),
    list(itertools.product((so.Logistic, so.Poisson, so.LeastSquares), DESIGNS, (False, True))),
)
@pytest.mark.parametrize("scale", [0.0, 0.3, 3.0])
def test_a_point_is_what_python_says(loss, design, intercept, scale, monkeypatch):
    """Objective, slopes, products with X, scores, violation and gap; the latter may be larger, by multiples above 1."""
    problem = of_loss(loss, design, intercept)
    w = scale * np.where(problem.penalty.groups.labels % 2 == 0, np.random.default_rng(5).standard_normal(16), 0.0)
    one = GroupDescent(problem, w, GroupBCD())
    monkeypatch.setattr(descent, "look", lambda frame, run, start: False)
    other = GroupDescent(problem, w, GroupBCD())
    assert one.point is not None
    assert other.point is None
    assert one.value == pytest.approx(other.value, rel=1e-14)
    for name in ("z", "force", "by_position", "norms", "gradient", "scores"):
        expected = getattr(other, name)
        np.testing.assert_allclose(getattr(one, name), expected, atol=1e-13 * np.abs(expected).max(), err_msg=name)
    assert one.measures.n_active == other.measures.n_active == np.count_nonzero(other.norms)
    assert one.measures.violation == pytest.approx(other.measures.violation, rel=1e-12)
    expected = other.gap
    if loss is not so.LeastSquares:
        expected = other.value + problem.datafit.conjugate(-min(1 / other.scores.max(), 1.0) * other.force)
    assert one.gap == pytest.approx(expected, rel=1e-9, abs=1e-14 * other.value)
    assert one.gap >= other.gap - 1e-14 * abs(other.value)


@pytest.mark.parametrize("loss", [so.Logistic, so.Poisson])
def test_extreme_predictors(loss):
    """Values, slopes and conjugates of the compiled loop have a few ulp, also where exponentials nearly underflow."""
    eta = np.concatenate([np.linspace(-700, 700, 41), np.geomspace(1e-18, 30, 25), -np.geomspace(1e-18, 30, 25)])
    eta = np.minimum(eta, 30) if loss is so.Poisson else eta
    group = so.Groups.uniform(1, 1)
    for k, at in enumerate(eta):  # one at a time: sums would hide small ones
        fit = loss([(-1.0, 1.0)[k % 2]] if loss is so.Logistic else [float(k % 3)])
        free, held = (
            GroupDescent(so.Problem([[1.0]], fit, so.GroupLasso(lam, group)), np.array([at]), GroupBCD())
            for lam in (1e-100, 1e3)
        )
        assert free.point is not None
        assert free.value == pytest.approx(fit.value(np.array([at])), rel=1e-14, abs=1e-97)
        gradient = fit.gradient(np.array([at]))
        assert free.force[0] == pytest.approx(-gradient[0], rel=4e-15, abs=4e-16 * (loss is so.Poisson) * (k % 3))
        gap = held.value + fit.conjugate(gradient * min(1.0, 1 / max(held.scores[0], 1.0)))
        assert held.gap == pytest.approx(gap, rel=1e-14, abs=4e-16 * held.value)


def test_addresses_are_those_of_the_arrays():
    array = np.arange(6.0)
    frozen = np.zeros(3, dtype=np.float32)
    frozen.setflags(write=False)
    for each in (array, array[::2], array[::-1], frozen, np.zeros((2, 0)), np.zeros((3, 4), order="F")[:, 1]):
        assert address(each) == each.ctypes.data
    assert address(None) == 0


def test_steps_that_overshoot_are_shortened():
    """From far away the models of the Poisson loss lie below it: a part of the step is taken, which gets there."""
    problem = of_loss(so.Poisson, "dense", True)
    run = run_of(problem)
    far = np.where(np.arange(16) % 2 == 0, 9.0, -9.0).reshape(16, 1)
    run.inner.set_coefficients(far)
    run.move(far)
    error, values = np.inf, [run.value]
    while error > 1e-9:
        made, _, error = run.frame._steps(run, 1e-9, np.inf, 1)
        assert made == 1
        values.append(run.value)
    assert 5 < len(values) < 100
    assert (np.diff(values) <= 1e-12 * np.abs(values[1:])).all()
    np.testing.assert_allclose(run.inner.coefficients(), run.by_position, atol=1e-13 * np.abs(far).max())
    assert so.solve(problem, tol=1e-8).objective == pytest.approx(run.value, rel=1e-7)


def test_steps_on_the_support_wait_until_sweeps_are_many(monkeypatch):
    """Easy problems do without them; hard ones get them once a model takes more than the cheap sweeps."""
    at = []

    def seen(run):
        at.append(run.frame.epochs)
        return support_step(run)

    monkeypatch.setattr(frames, "support_step", seen)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 60)) + rng.standard_normal((60, 1))
    y = np.where(X[:, :5].sum(axis=1) + rng.standard_normal(60) > 0, 1, -1)
    problem = so.Problem(X, so.Logistic(y), so.GroupLasso(1.0, so.Groups.uniform(12, 5)))
    lam = so.lambda_max(problem)
    so.solve(problem.with_lam(lam / 10), tol=1e-6)
    assert not at
    so.solve(problem.with_lam(lam / 3000), tol=1e-6, callback=lambda state: None)  # by rounds
    assert at
    assert min(at) > frames.CHEAP_SWEEPS


def test_interruptions():
    run = run_of(of_loss(so.Logistic, "dense", True))
    run.ask = lambda: True
    made, why, _ = run.frame._steps(run, 0.0, np.inf, STEPS)
    assert (made, why) == (0, End.INTERRUPTED)
    assert not run.by_position.any()

    def failing():
        raise KeyError("from the question")

    run.ask = failing
    with pytest.raises(KeyError, match="from the question"):
        run.frame._steps(run, 0.0, np.inf, STEPS)


@pytest.mark.parametrize("solver", [None, GroupBCD()], ids=["default", "descent"])
def test_counts_of_many_magnitudes(solver):
    """The first model of an exponential loss is right on a billionth of the way to its minimum."""
    rng = np.random.default_rng(0)
    X = sparse.random(2000, 40, 0.006, format="csc", random_state=rng)
    y = rng.poisson(np.exp(np.clip(40 * (X @ rng.standard_normal(40)), -5, 21))).astype(float)
    assert y.max() > 1e8
    problem = so.Problem(X, so.Poisson(y), so.GroupLasso(1.0, so.Groups.uniform(2, 20)))
    problem = problem.with_lam(so.lambda_max(problem) / 5)
    result = so.solve(problem, solver)
    assert so.certify.duality_gap(problem, result.w, tol=2e-6).proved


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("intercept", [True, False])
def test_sweeps_do_not_raise_a_model_whose_curvatures_were_taken_too_small(compiled, intercept):
    """The weights of a model lie on a few samples, the curvatures were measured when they did not."""
    problem = of_loss(so.Poisson, "dense", intercept)
    run = run_of(problem)
    run.inner.compiled = compiled
    run.frame._set_model(10 * problem.X[:, 3], None)
    inner, share, values = run.inner, run.inner.share, []
    used = share > 0
    inner.r[:] = padded(run.force)
    inner.factor[:] = 1e-3 * inner.factor.max()
    for epoch in range(6):
        if epoch:
            inner.run(
                run.working,
                10 * np.ones(8),
                scored=True,
                max_epochs=1,
                epochs_per_cycle=1,
                anderson=0,
                gap_target=-1.0,
                ask=run.ask,
            )
        residual = inner.r[0, :40] + (inner.r[0, 40] * share if intercept else 0)
        penalty = problem.penalty.value(run.by_column(inner.coefficients()))
        values.append(0.5 * (residual[used] ** 2 / share[used]).sum() + penalty)
    assert (np.diff(values) <= 1e-12 * values[0]).all()
    assert values[-1] < 0.999 * values[0]


def test_sweeps_on_a_model_end_where_the_next_one_makes_up_for_the_rest(monkeypatch):
    """Two groups, nearly orthogonal: a sweep is most of what can be done for a model that is far from the loss."""
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((1000, 16)))
    y = rng.poisson(np.exp(np.minimum(X[:, :4].sum(axis=1), 5)))
    problem = so.Problem(X, so.Poisson(y), so.GroupLasso(0.1, so.Groups.uniform(2, 8)))
    columns = []
    for part in (0.03, 0.0):
        monkeypatch.setattr(frames, "STEPS", frames.STEPS._replace(next=part))
        run = run_of(problem)
        run.working = np.arange(2)
        made, _, _ = run.frame._steps(run, 0.0, np.inf, 1)
        assert made == 1
        columns.append(run.columns_read)
    assert columns[0] < 0.8 * columns[1]
