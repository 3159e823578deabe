"""Bad input: a ValueError that says what was given and what is allowed, and nothing is modified."""

from __future__ import annotations

import math

import numpy as np
import pytest
from reference import random_problem
from scipy import sparse

import sparseopt as so
from sparseopt.datafits import Quadratic
from sparseopt.penalties import GroupPenalty
from sparseopt.solvers import FISTA, ProximalGradient

GROUPS = so.Groups.from_sizes([2, 3, 1, 2])
X = random_problem(0).X
Y = random_problem(0).datafit.y


def problem(design=X, y=Y, groups=GROUPS, **datafit):
    return so.Problem(design, so.LeastSquares(y, **datafit), so.GroupLasso(0.1, groups))


def refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def with_entry(array, value):
    changed = np.array(array, dtype=np.result_type(array, type(value)))
    changed.flat[1] = value
    return changed


@pytest.mark.parametrize(
    ("lists", "arguments", "message"),
    [
        ([[0, 1], [1, 2]], {}, r"coefficient 1 is in two groups .*must not overlap"),
        ([[0, 0], [1]], {}, r"(coefficient 0 is in two groups|contains 0 twice)"),
        ([[0], [2]], {}, "coefficient 1 is in no group: add it"),
        ([[0, 1]], {"n_features": 3}, "coefficient 2 is in no group"),
        ([[0], []], {}, r"lists\[1\] has shape \(0,\): give a non-empty list"),
        ([], {}, "at least one group is needed"),
        ([[0], [-1]], {}, r"lists\[1\] contains -1: indices must be between"),
        ([[0], [5]], {"n_features": 2}, r"lists\[1\] contains 5: indices must be between 0 and 1"),
        ([[0.5], [1]], {}, r"lists\[0\] has dtype float64: integers"),
        ([["a"], [1]], {}, r"lists\[0\] has dtype <U1: integers"),
        ([[True], [False]], {}, r"lists\[0\] has dtype bool: integers"),
        ([[[0, 1]], [2]], {}, "non-empty list of integers"),
        (None, {}, "^lists is None: give a list"),
        ([0, 1], {}, r"^lists\[0\] is of type int: give a list"),
        ([[0, [1]]], {}, r"^lists\[0\] cannot be made an array"),
        ([[0, 10**12]], {}, "coefficient 1 is in no group: .* 0 to 1000000000000 are all listed"),
        ([[0, 1]], {"n_features": 10**12}, "coefficient 2 is in no group"),
        ([[0, 1]], {"n_features": 2.7}, "^n_features is 2.7: integers are needed"),
        ([[0, 1]], {"n_features": True}, "^n_features is True: integers are needed"),
    ],
)
def test_lists_that_are_no_partition(lists, arguments, message):
    refuses(lambda: so.Groups.from_lists(lists, **arguments), message)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([2, 0], r"sizes\[1\] is 0: every group needs a coefficient"),
        ([2, -1], r"sizes\[1\] is -1"),
        ([], "give a non-empty list of integers"),
        ([1.5], "dtype float64: integers are needed"),
        ([[1, 2]], "shape"),
        (3, "^sizes is of type int: give a list"),
        (None, "^sizes is None: give a list"),
    ],
)
def test_sizes(sizes, message):
    refuses(lambda: so.Groups.from_sizes(sizes), message)


@pytest.mark.parametrize(("n_groups", "size"), [(0, 2), (2, 0), (-1, 2), (1.5, 2), (2, "a")])
def test_uniform_groups(n_groups, size):
    refuses(lambda: so.Groups.uniform(n_groups, size), "must be at least 1|integers are needed")


@pytest.mark.parametrize("labels", [[], [[0, 1]], [0.0, math.nan], 3])
def test_labels(labels):
    refuses(lambda: so.Groups.from_labels(np.array(labels)), "labels (has shape|contains NaN)")


def test_labels_that_do_not_sort():
    refuses(lambda: so.Groups.from_labels([None, 1]), "^labels cannot be sorted .*None is no label")
    refuses(lambda: so.Groups.from_labels(3), "^labels is of type int: give a list")


BAD_NUMBERS = [
    (math.nan, "is nan: all entries must be finite"),
    (math.inf, "is inf: all entries must be finite"),
    (-math.inf, "is -inf: all entries must be finite"),
]
BAD_TYPES = [
    (lambda a: a.astype(complex), "has dtype complex128: give real numbers"),
    (lambda a: a.astype(object), "has dtype object: give real numbers"),
    (lambda a: a.astype(str), "has dtype <U32: give real numbers"),
    (lambda a: a.astype(np.float16), "has dtype float16: give real numbers"),
    (lambda a: np.ma.masked_array(a, mask=a > 1), "is a masked array: fill or drop"),
    (lambda a: a.astype("M8[s]"), "has dtype datetime64"),
]
PLACES = {
    "X": (X, lambda a: problem(design=a)),
    "y": (Y, lambda a: problem(y=a)),
    "offset": (np.ones(12), lambda a: problem(offset=a)),
    "sample_weight": (np.ones(12), lambda a: problem(sample_weight=a)),
    "weights": (np.ones(4), lambda a: so.GroupLasso(0.1, GROUPS, weights=a)),
    "w": (np.ones(8), lambda a: problem().objective(a)),
    "w0": (np.ones(8), lambda a: so.solve(problem(), w0=a)),
    "H": (np.eye(8), lambda a: Quadratic(a, np.ones(8))),
    "b": (np.ones(8), lambda a: Quadratic(np.eye(8), a)),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("value", "message"), BAD_NUMBERS)
def test_nan_and_infinite_entries(place, value, message):
    good, use = PLACES[place]
    if place == "weights":
        message = "weights are >= 0"
        if value == math.inf:
            pytest.skip("an infinite weight is allowed: it forces its group out")
    bad = with_entry(good, value)
    before = bad.copy()
    refuses(lambda: use(bad), rf"^{place}\[.*{message}")
    assert np.array_equal(bad, before, equal_nan=True)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("convert", "message"), BAD_TYPES)
def test_dtypes_that_are_not_real(place, convert, message):
    good, use = PLACES[place]
    refuses(lambda: use(convert(good)), f"^{place} {message}")


@pytest.mark.parametrize("place", PLACES)
def test_integers_and_booleans_are_converted(place):
    good, use = PLACES[place]
    use(np.round(good * 3 + 1).astype(np.int64) if place != "H" else np.eye(8, dtype=np.int64))
    use(np.ones_like(good, dtype=bool) if place != "H" else np.eye(8, dtype=bool))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", [">f4", "<f4", ">f8", "<f8"])
def test_any_byte_order_is_read(place, dtype):
    good, use = PLACES[place]
    use((np.eye(8) if place == "H" else good).astype(dtype))


@pytest.mark.parametrize("place", PLACES)
def test_wrong_lengths_and_dimensions(place):
    good, use = PLACES[place]
    for bad in (good[:-1], np.concatenate([good, good]), good[None], good[..., None][..., None], good[:0], 1.0):
        with pytest.raises(ValueError, match=r"shape|entries|rows|columns|samples|empty|dimensions"):
            use(bad)


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_array, sparse.coo_array])
def test_sparse_designs(form):
    for value, word in [(math.nan, "nan"), (math.inf, "inf")]:
        refuses(lambda value=value: problem(design=form(with_entry(X, value))), rf"^X\.data\[.*{word}")
    refuses(lambda: problem(design=form(X.astype(complex))), "X has dtype complex128")
    refuses(lambda: problem(design=form((0, 8))), "X is empty")
    refuses(lambda: problem(design=form((12, 0))), "X is empty")
    refuses(lambda: problem(design=form(X[:5])), "X has 5 rows, but the datafit has 12 samples")
    refuses(lambda: problem(design=form(X[:, :5])), "X has 5 columns, but the groups cover 8")


@pytest.mark.parametrize("shape", [(0, 8), (12, 0), (0, 0)])
def test_an_empty_design(shape):
    refuses(lambda: problem(design=np.zeros(shape)), "X is empty, shape .*at least one entry is needed")


def test_what_is_no_array_of_the_right_shape():
    refuses(lambda: problem(design=[[1.0, 2.0], [3.0]]), "X cannot be made an array")
    refuses(lambda: so.LeastSquares(None), "y is None: give an array of real numbers")
    refuses(lambda: so.LeastSquares(Y[:, None]), r"give 1 dimension, e\.g\. y\.ravel\(\)$")
    refuses(lambda: so.LeastSquares(np.stack([Y, Y])), "give 1 dimension$")
    refuses(lambda: so.certify.duality_gap(problem(), so.solve(problem())), "w is of type Result: give its .w")
    refuses(lambda: so.GroupLasso(0.1, [2, 2]), "groups is of type list: give a sparseopt.Groups")


BAD_SCALARS = [True, np.True_, 0, 0.0, -1.0, math.nan, math.inf, -math.inf, "1", None, 1j, [1.0, 2.0], [], object]


@pytest.mark.parametrize("lam", BAD_SCALARS, ids=repr)
def test_strengths(lam):
    makers = [
        lambda: so.GroupLasso(lam, GROUPS),
        lambda: so.GroupLq(lam, GROUPS),
        lambda: so.GroupLogSum(lam, GROUPS),
        lambda: so.GroupExpMask(lam, GROUPS),
        lambda: so.InverseSum(lam, GROUPS, so.penalties.Power(0.5)),
        lambda: so.GroupLasso(1.0, GROUPS).with_lam(lam),
        lambda: problem().with_lam(lam),
    ]
    for make in makers:
        refuses(make, "^lam is .*positive")


def test_strengths_of_every_numeric_type_are_fine():
    for lam in (1, np.float32(1), np.int8(1), np.array(1.0)):
        assert so.GroupLasso(lam, GROUPS).lam == 1.0


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 1, -1, 1], r"weights\[2\] is -1.0: weights"),
        ([1.0, 1, 1], "weights has 3 entries, but there are 4 groups"),
        (np.ones(8), "weights has 8 entries, but there are 4 groups"),
        (np.ones((4, 1)), r"weights has shape \(4, 1\)"),
        ("uniform", """weights is 'uniform': allowed are "sqrt", "none" or an array"""),
        (2.0, r"weights has shape \(\)"),
    ],
)
def test_weights(weights, message):
    refuses(lambda: so.GroupLasso(1.0, GROUPS, weights=weights), message)


@pytest.mark.parametrize(
    ("sample_weight", "message"),
    [
        (-np.ones(12), r"sample_weight\[0\] is -1.0: weights must not be negative"),
        (np.zeros(12), "sample_weight sums to 0"),
        (np.full(12, 1e308), "sample_weight sums to inf"),
        (np.ones(11), "sample_weight has 11 entries, but there are 12 samples"),
    ],
)
def test_sample_weights(sample_weight, message):
    refuses(lambda: so.LeastSquares(Y, sample_weight), message)


@pytest.mark.parametrize("groups", [None, [2, 3, 1, 2], "groups"])
def test_groups_must_be_groups(groups):
    refuses(lambda: so.GroupLasso(1.0, groups), "give a sparseopt.Groups")
    refuses(lambda: so.InverseSum(1.0, groups, so.penalties.Power(0.5)), "give a sparseopt.Groups")


def test_quadratics():
    refuses(lambda: Quadratic([[1.0, 2], [3, 4]], [1.0, 1]), r"H is not symmetric: give \(H \+ H\.T\) / 2")
    refuses(lambda: Quadratic(np.diag([1.0, -1]), [1.0, 1]), "eigenvalue -1: it must be positive semidefinite")
    refuses(lambda: Quadratic(np.eye(3), [1.0, 1]), r"H has shape \(3, 3\) and b \(2,\)")
    refuses(lambda: Quadratic(np.ones((2, 3)), [1.0, 1]), "H must be")


BAD_TOLERANCES = [True, -1e-3, math.nan, math.inf, "1e-6", None]


@pytest.mark.parametrize("tol", BAD_TOLERANCES)
def test_tolerances(tol):
    R = problem().with_penalty(so.InverseSum(0.1, GROUPS, so.penalties.Power(0.5)))
    message = "^tol is .*give a finite number >= 0"
    refuses(lambda: so.solve(problem(), tol=tol), message)
    refuses(lambda: so.certify.duality_gap(problem(), np.zeros(8), tol=tol), message)
    refuses(lambda: so.certify.global_gap(R, np.zeros(8), tol=tol), message)


@pytest.mark.parametrize("max_iter", [0, -1, 1.5, "10", math.inf, True])
def test_iteration_limits(max_iter):
    refuses(lambda: so.solve(problem(), max_iter=max_iter), "max_iter is .*give a positive integer")


@pytest.mark.parametrize("time_limit", [0, -1.0, math.nan, "1", True])
def test_time_limits(time_limit):
    refuses(lambda: so.solve(problem(), time_limit=time_limit), "time_limit is .*positive seconds")


@pytest.mark.parametrize("step_size", [0.0, -1.0, math.nan, math.inf, "1"])
@pytest.mark.parametrize("solver", [FISTA, ProximalGradient])
def test_step_sizes(solver, step_size):
    refuses(lambda: so.solve(problem(), solver(step_size=step_size)), "step_size is")


@pytest.mark.parametrize("level", ["exactly", "Float", "", None, 1, ["float"]])
def test_unknown_levels(level):
    refuses(lambda: so.certify.duality_gap(problem(), np.zeros(8), level=level), "level is .*allowed are.*'float'")


@pytest.mark.parametrize("certifier", [so.certify.duality_gap, so.certify.global_gap])
def test_points_to_certify(certifier):
    at = problem().with_penalty(so.GroupLasso(0.1, GROUPS, weights="none"))
    refuses(lambda: certifier(at, np.zeros(7)), r"w has shape \(7,\), but the problem has 8 coefficients")
    refuses(lambda: certifier(at, np.full(8, math.nan)), r"w\[0\] is nan")
    refuses(lambda: certifier(at, np.zeros((8, 1))), "w has shape")


def test_a_path_without_a_gradient():
    refuses(lambda: so.lambda_max(problem(y=np.zeros(12))), "the gradient at 0 vanishes")
    refuses(lambda: so.lambda_max(problem(design=np.zeros((12, 8)))), "the gradient at 0 vanishes")


def test_a_window_of_another_penalty():
    at = problem().with_penalty(so.GroupLq(0.1, GROUPS))
    refuses(lambda: so.certify.lambda_window(at), "is not the group LASSO")


@pytest.mark.parametrize("tol", [np.float32(1e-3), np.float64(1e-3), np.array(1e-3), np.int8(0), 0])
def test_tolerances_of_every_numeric_type_are_fine(tol):
    so.solve(problem(), tol=tol, max_iter=np.int64(2), time_limit=np.float32(5), throw=False)
    assert so.certify.duality_gap(problem(), np.zeros(8), tol=tol).tol == float(tol)


def test_a_problem_of_other_things():
    datafit, penalty = so.LeastSquares(Y), so.GroupLasso(0.1, GROUPS)
    for wrong, kind in [(Y, "of type ndarray"), (None, "None"), (penalty, "of type GroupLasso")]:
        refuses(lambda wrong=wrong: so.Problem(X, wrong, penalty), f"^datafit is {kind}: give a datafit")
    refuses(lambda: so.Problem(X, so.LeastSquares, penalty), "^datafit is the class LeastSquares")
    for wrong, kind in [(None, "None"), (datafit, "of type LeastSquares"), (so.GroupLasso, "the class GroupLasso")]:
        refuses(lambda wrong=wrong: so.Problem(X, datafit, wrong), f"^penalty is {kind}: give a penalty")
        refuses(lambda wrong=wrong: problem().with_penalty(wrong), f"^penalty is {kind}: give a penalty")
    refuses(lambda: problem().with_datafit(Y), "^datafit is of type ndarray")
    refuses(lambda: so.Problem(datafit, X, penalty), "X is of type LeastSquares: give an array")


def test_solvers_must_be_instances():
    for wrong, kind in [("fista", "'fista'"), (FISTA, "the class FISTA"), (problem(), "of type Problem")]:
        refuses(lambda wrong=wrong: so.solve(problem(), wrong), f"^solver is {kind}: give an instance")
        refuses(lambda wrong=wrong: next(so.iterate(problem(), wrong)), f"^solver is {kind}: give an instance")
    refuses(lambda: so.solve(FISTA(), problem()), "^problem is of type FISTA: give a sparseopt.Problem")


def test_what_is_no_problem():
    w = np.zeros(8)
    calls = [so.solve, so.lambda_max, so.solve_path, so.selection.cross_validate, so.certify.lambda_window]
    proofs = (so.certify.duality_gap, so.certify.global_gap, so.certify.stationarity)
    calls += [lambda x, f=f: f(x, w) for f in (*proofs, so.certify.support, so.certify.uniqueness)]
    for call in calls:
        refuses(lambda call=call: call("x"), "^problem is 'x': give a sparseopt.Problem")


def test_scalar_penalties_must_be_instances():
    refuses(lambda: so.InverseSum(1, GROUPS, so.penalties.Power), "^rho is the class Power: give an instance")
    refuses(lambda: GroupPenalty(so.penalties.Linear, 1, GROUPS), "^rho is the class Linear: give an instance")
    refuses(lambda: GroupPenalty("linear", 1, GROUPS), "^rho is 'linear', without value and slope and prox")


@pytest.mark.parametrize("flag", ["no", None, 1, 0.0])
def test_flags_must_be_booleans(flag):
    classes = (Y > 0).astype(int)
    makers = [
        lambda: so.LeastSquares(Y, intercept=flag),
        lambda: so.datafits.Logistic(classes, intercept=flag),
        lambda: so.datafits.MultiResponse(Y[:, None], intercept=flag),
        lambda: so.datafits.Multinomial(classes, intercept=flag),
    ]
    for make in makers:
        refuses(make, "^intercept is .*: give True or False")
    refuses(lambda: so.GroupLasso(1.0, GROUPS, positive=flag), "^positive is .*: give True or False")


@pytest.mark.parametrize("solver", [None, FISTA()])
@pytest.mark.parametrize("scale", [1e-150, 1e-160, 1e-200, 1e-300])
def test_data_whose_squares_underflow(scale, solver):
    """Each was reported as converged, at w = 0 where the solution has active groups."""
    small = problem(y=scale * Y).with_lam(scale * 0.1)
    refuses(lambda: so.solve(small, solver), "objective at 0 is of size .*multiply y")
    quadratic = so.Problem.quadratic(X.T @ X, scale * X.T @ Y, small.penalty)
    refuses(lambda: so.solve(quadratic, solver), "objective at 0 is of size .*multiply y")


def test_data_that_vanish_are_fine():
    assert not so.solve(problem(y=np.zeros(12))).w.any()
    assert not so.solve(problem(y=np.ones(12), intercept=True)).w.any()
    assert not so.solve(so.Problem.quadratic(np.eye(8), np.zeros(8), so.GroupLasso(0.1, GROUPS))).w.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lams": 0.1}, r"^lams has shape \(\)"),
        ({"lams": "abc"}, "^lams has dtype"),
        ({"ratio": "1"}, "^ratio is '1': .*between 0 and 1"),
        ({"tol": "1"}, "^tol is '1': give a finite number"),
        ({"time_limit": "1"}, "^time_limit is '1': give positive seconds"),
        ({"max_deviance": "1"}, "^max_deviance is '1': give a share"),
    ],
)
def test_arguments_of_paths(options, message):
    refuses(lambda: so.solve_path(problem(), **options), message)


@pytest.mark.parametrize(
    "options",
    [{"working_set": 0}, {"anderson": 11}, {"anderson": -1}, {"threads": 0}, {"threads": 1.5}, {"anderson": True}],
)
def test_integers_of_the_block_descent(options):
    (name,) = options
    refuses(lambda: so.solvers.GroupBCD(**options), f"^{name} is .*give an integer of at least")


@pytest.mark.parametrize("options", [{"accuracy": "a"}, {"accuracy": -1.0}, {"time_limit": math.nan}])
def test_numbers_of_the_block_descent(options):
    (name,) = options
    refuses(lambda: so.solvers.GroupBCD(**options), f"^{name} is .*give a number >= 0")


def test_an_infinite_time_limit_is_none():
    assert so.solve(problem(), time_limit=math.inf).status is so.Status.CONVERGED
