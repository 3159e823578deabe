"""Estimators: every check of scikit-learn, the objectives, the groups of columns, other packages' conventions."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections import Counter

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so

pytest.importorskip("sklearn")
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GroupKFold, ShuffleSplit
from sklearn.utils.estimator_checks import check_estimator

from sparseopt import estimators

CHECKS = {
    "GroupLassoRegressor": 60,
    "GroupMCPRegressor": 60,
    "GroupSCADRegressor": 60,
    "SparseGroupLassoRegressor": 60,
    "GroupPoissonRegressor": 60,
    "MultiTaskGroupLassoRegressor": 60,
    "GroupLassoClassifier": 63,
}
"""Checks of the installed scikit-learn (1.9), those for absent optional packages included."""

VALIDATED = {"GroupLassoRegressorCV": 60, "GroupLassoClassifierCV": 63}
NOT_INSTALLED = ("pandas is not installed", "SCIPY_ARRAY_API is not set")


def conforms(estimator, expected: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        records = check_estimator(estimator, on_skip=None)  # raises at the first failure
    counts = Counter(record["status"] for record in records)
    skipped = [str(record["exception"]) for record in records if record["status"] == "skipped"]
    assert all(reason.startswith(NOT_INSTALLED) for reason in skipped)
    assert counts["passed"] + counts["skipped"] == len(records) == expected
    assert counts["passed"] >= expected - 3


@pytest.mark.sample(every=4)
@pytest.mark.parametrize("name", CHECKS)
def test_every_check_of_scikit_learn(name):
    conforms(getattr(estimators, name)(), CHECKS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", VALIDATED)
def test_every_check_of_scikit_learn_with_cross_validation(name):
    conforms(getattr(estimators, name)(n_lambdas=5, ratio=0.1, cv=3), VALIDATED[name])


def data(T: int | None = None):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6))
    signal = X[:, :2] @ rng.standard_normal((2, T or 1)) + 1
    Y = signal + 0.3 * rng.standard_normal(signal.shape)
    return X, Y if T else Y[:, 0], rng.uniform(0.5, 2, 40)


GROUPS = so.Groups.from_sizes([2, 3, 1])
SQUARES = {
    "GroupLassoRegressor": so.GroupLasso(0.1, GROUPS),
    "SparseGroupLassoRegressor": so.SparseGroupLasso(0.1, GROUPS),
    "GroupMCPRegressor": so.GroupMCP(0.1, GROUPS),
    "GroupSCADRegressor": so.GroupSCAD(0.1, GROUPS),
}


@pytest.mark.parametrize("name", SQUARES)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_regressors_solve_what_they_say(name, form):
    X, y, s = data()
    found = getattr(estimators, name)(GROUPS, lam=0.1).fit(form(X), y, s)
    result = so.solve(so.Problem(X, so.LeastSquares(y, s, intercept=True), SQUARES[name]), tol=1e-10)
    np.testing.assert_allclose(found.coef_, result.w, atol=1e-6)
    assert found.intercept_ == pytest.approx(result.intercept, abs=1e-6)
    assert found.status_ is so.Status.CONVERGED
    assert found.active_groups_.tolist() == GROUPS.active(result.w).tolist()
    assert found.lam_ == 0.1
    np.testing.assert_allclose(found.predict(X), X @ found.coef_ + found.intercept_)


@pytest.mark.parametrize("classes", [2, 3])
def test_classifiers(classes):
    X, y, s = data()
    labels = np.array(["a", "b", "c"])[np.digitize(y, np.quantile(y, np.arange(1, classes) / classes))]
    found = estimators.GroupLassoClassifier(GROUPS, lam=0.05).fit(X, labels, s)
    codes = np.unique(labels, return_inverse=True)[1]
    loss = so.Logistic if classes == 2 else so.Multinomial
    result = so.solve(so.Problem(X, loss(codes, s, intercept=True), so.GroupLasso(0.05, GROUPS)), tol=1e-8)
    np.testing.assert_allclose(found.coef_, np.atleast_2d(result.w.T), atol=1e-4)
    P = found.predict_proba(X)
    np.testing.assert_allclose(P.sum(axis=1), 1)
    assert (found.classes_[P.argmax(axis=1)] == found.predict(X)).all()
    assert found.score(X, labels) > 0.7
    assert found.dual_gap_ <= 1e-10


def test_poisson_and_multi_task():
    X, Y, s = data(T=3)
    counts = np.random.default_rng(1).poisson(np.exp(X[:, 0]))
    found = estimators.GroupPoissonRegressor(GROUPS, lam=0.05).fit(X, counts, s)
    result = so.solve(so.Problem(X, so.Poisson(counts, s, intercept=True), so.GroupLasso(0.05, GROUPS)), tol=1e-10)
    np.testing.assert_allclose(found.coef_, result.w, atol=1e-5)
    np.testing.assert_allclose(found.predict(X), np.exp(X @ found.coef_ + found.intercept_))
    found = estimators.MultiTaskGroupLassoRegressor(GROUPS, lam=0.05).fit(X, Y, s)
    result = so.solve(so.Problem(X, so.MultiResponse(Y, s, intercept=True), so.GroupLasso(0.05, GROUPS)), tol=1e-10)
    np.testing.assert_allclose(found.coef_, result.w.T, atol=1e-5)
    assert found.predict(X).shape == Y.shape


def test_cross_validation_equals_the_function():
    X, y, _ = data()
    found = estimators.GroupLassoRegressorCV(GROUPS, n_lambdas=6, ratio=0.05, cv=4, one_standard_error=True).fit(X, y)
    problem = so.Problem(X, so.LeastSquares(y, intercept=True), so.GroupLasso(1.0, GROUPS))
    folds = np.repeat(np.arange(4), 10)
    expected = so.selection.cross_validate(problem, folds, n_lambdas=6, ratio=0.05, tol=1e-10)
    np.testing.assert_allclose(found.cv_losses_, expected.losses, rtol=1e-6)
    assert found.lam_ == expected.lams[expected.one_standard_error]
    np.testing.assert_allclose(found.coef_, expected.result_one_standard_error.w, atol=1e-6)
    by_group = estimators.GroupLassoRegressorCV(GROUPS, n_lambdas=4, ratio=0.1, cv=GroupKFold(3))
    assert by_group.fit(X, y, sample_groups=np.arange(40) // 5).cv_losses_.shape == (4, 3)
    with pytest.raises(ValueError, match="train on all samples"):
        by_group.set_params(cv=ShuffleSplit(3, train_size=0.4, test_size=0.2)).fit(X, y)


@pytest.mark.parametrize(
    "groups",
    [
        GROUPS,
        [0, 0, 1, 1, 1, 2],
        [[0, 1], [2, 3, 4], [5]],
        [range(2), {2, 3, 4}, (5,)],
        {"u": [0, 1], "v": (2, 3, 4), "w": 5},
        {"u": range(2), "v": {2, 3, 4}, "w": 5},
    ],
)
def test_groups_in_every_form(groups):
    X, y, _ = data()
    expected = estimators.GroupLassoRegressor(GROUPS).fit(X, y).coef_
    assert (estimators.GroupLassoRegressor(groups).fit(X, y).coef_ == expected).all()


def test_groups_by_column_name():
    from sparseopt.estimators.columns import resolve_groups

    names = np.array(["a", "b", "c", "d", "e", "f"], dtype=object)
    made = resolve_groups({"u": ["a", "c"], "v": ["b", "d", "e", "f"]}, 6, names)
    assert made.labels.tolist() == [0, 1, 0, 1, 1, 1]
    assert made.names == ("u", "v")
    for groups, message in [
        ({"u": ["a", "z"]}, "'z'"),
        ({"u": ["a", "b"]}, "in no group: c, d"),
        ([0, 1], "2 columns"),
    ]:
        with pytest.raises(ValueError, match=message):
            resolve_groups(groups, 6, names)
    assert resolve_groups([["a", 2], [1, "d", 4, "f"]], 6, names) == made
    with pytest.raises(ValueError, match="no column names"):
        resolve_groups([["a"]], 1)
    for groups in (3, "ab"):
        with pytest.raises(ValueError, match="groups is"):
            resolve_groups(groups, 6)
    with pytest.raises(ValueError, match=r"lists\[0\]"):
        resolve_groups([["a", [1]], ["b"]], 6, names)


def test_active_groups_of_overlapping_groups_with_collinear_columns():
    """Standardised, a group of collinear columns has fewer coefficients than columns."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 9))
    X[:, 1] = X[:, 0]
    y = X[:, 3:5] @ [2.0, -1.0] + 0.1 * rng.standard_normal(50)
    groups = so.Groups.from_lists([[0, 1, 2], [2, 3], [3, 4, 5], [5, 6, 7, 8]], 9, overlap="latent")
    one = estimators.GroupLassoRegressor(groups, ratio=0.5, standardize="group").fit(X, y)
    several = estimators.GroupLassoRegressorCV(groups, lams=[one.lam_], cv=2, standardize="group").fit(X, y)
    for found in (one, several):
        assert found.active_groups_.tolist() == [1, 2]
        assert not found.coef_[[0, 1, 6, 7, 8]].any()


@pytest.mark.parametrize("name", ["GroupLassoRegressor", "GroupLassoRegressorCV", "GroupMCPRegressor"])
@pytest.mark.parametrize("weights", [[np.inf, np.inf], [0.0, 0.0], [0.0, 1.0]])
def test_no_strength_is_asked_for_where_all_have_the_same_solution(name, weights):
    """Groups that are forced out, that are free, and whose columns are combinations of free ones."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20, 2))
    X = np.c_[X, X @ rng.standard_normal((2, 2))]
    fitted = getattr(estimators, name)([[0, 1], [2, 3]], weights=weights).fit(X, rng.standard_normal(20))
    assert fitted.lam_ == 1.0
    assert fitted.status_ is so.Status.CONVERGED
    assert fitted.coef_[:2].any() == (weights[0] == 0)
    assert not fitted.coef_[2:].any() or weights[1] == 0


def test_wrong_ratios_and_constant_counts():
    X, y, _ = data()
    for ratio in ("0.1", 0.0, np.inf):
        with pytest.raises(ValueError, match="ratio is"):
            estimators.GroupLassoRegressor(GROUPS, ratio=ratio).fit(X, y)
    model = estimators.GroupPoissonRegressor(GROUPS).fit(X, np.arange(len(y)) % 3)
    assert model.score(X, np.full(len(y), 2)) == 0.0
    assert model.fit(X, np.full(len(y), 2)).score(X, np.full(len(y), 2)) in (0.0, 1.0)


def test_a_fit_that_falls_short_warns_and_says_so():
    rng = np.random.default_rng(0)
    X, groups = rng.standard_normal((100, 2700)), so.Groups.uniform(900, 3)  # a small design may be solved in one round
    with pytest.warns(ConvergenceWarning, match="MAX_ITER"):
        found = estimators.GroupLassoClassifier(groups, lam=0.01, tol=1e-12, max_iter=1).fit(X, rng.random(100) > 0.5)
    assert found.status_ is so.Status.MAX_ITER


def test_standardised_groups_map_back():
    X, y, _ = data()
    scales = np.r_[1, 10, 100, 1, 1, 7]
    one, two = (estimators.GroupLassoRegressor(GROUPS, standardize="group").fit(A, y) for A in (X, X * scales))
    np.testing.assert_allclose(one.coef_, two.coef_ * scales, atol=1e-6)


def test_conventions_of_other_packages():
    """Each against its objective as written in its documentation (group-lasso: as it is minimised)."""
    X, y, _ = data()
    sizes = np.array([2, 3, 1])

    def objective(w, scale):
        norms = GROUPS.norms(w)
        return ((y - X @ w) ** 2).sum() / (2 * len(y)) + (scale * norms).sum()

    cases = [
        (estimators.from_skglm(0.1), 0.1 * np.ones(3)),
        (estimators.from_celer(0.1, [1, 2, 3]), 0.1 * np.array([1, 2, 3])),
        (estimators.from_adelie(0.1), 0.1 * np.sqrt(sizes)),
        (estimators.from_group_lasso(0.1), 0.2 * np.sqrt(sizes)),
        (estimators.from_group_lasso(0.1, scale_reg=None), 0.2 * np.ones(3)),
    ]
    for arguments, scale in cases:
        w = estimators.GroupLassoRegressor(GROUPS, fit_intercept=False, **arguments).fit(X, y).coef_
        for direction in np.random.default_rng(0).standard_normal((50, 6)):
            assert objective(w, scale) <= objective(w + 1e-3 * direction, scale) + 1e-9
    assert estimators.from_group_lasso(0.1, 0.3) == {"lam": 0.8, "weights": "sqrt", "l1_ratio": 0.3 / 0.4}
    for wrong in (lambda: estimators.from_adelie(0.1, alpha=0.5), lambda: estimators.from_group_lasso(0.1, 0, "x")):
        with pytest.raises(ValueError, match=r"alpha|scale_reg"):
            wrong()


def test_importing_the_package_does_not_import_scikit_learn():
    code = "import sys, sparseopt; print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
