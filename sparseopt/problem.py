"""A composite problem: a smooth datafit of X @ w plus a penalty of w."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from ._array import as_float, check_finite, described, zeros_of
from ._native import HAS_NATIVE
from ._native.mapped import blocks_of_rows, product, transposed_product
from .datafits import Datafit, GramLeastSquares, Quadratic
from .first_reading import first_reading
from .groups import Groups
from .penalties import InverseSum, SmartDecay
from .sets.indicator import Indicator, is_set
from .unpenalised import beyond_rounding, movable, refit, unpenalised_columns

DENSE_LIMIT = 1500
"""Up to this size of the smaller side of X the largest curvature comes from a full eigenvalue decomposition."""


class Problem:
    """min over w of datafit(X @ w) + penalty(w).

    X: [n, p] dense or scipy.sparse, finite, float32 or float64 (integers and booleans are converted).
    datafit: e.g. LeastSquares(y) with n samples.  penalty: e.g. GroupLasso(lam, groups) over p coefficients; or a set
    they must be in, e.g. sets.TopGroups(k, groups), which is kept as `sets.Indicator` (0 in the set, inf elsewhere).
    Nothing is copied when X is a float array already; X, datafit and penalty are never modified.
    Overlapping groups (`Groups.from_lists(..., overlap="latent")`): X is given with its own columns, and the problem is
    one in the latent coefficients; its X is `groups.expand(X)`, a copy, and w stands for the latent coefficients
    everywhere here.  `collapse` maps them to the columns that were given, as `solve` does for Result.w.
    Raises ValueError for wrong shapes, an empty X, NaN or infinite entries, and what is no datafit or penalty.
    """

    def __init__(self, X: Any, datafit: Datafit, penalty: Any) -> None:
        self.X = _design(X)
        self.datafit = _checked_datafit(datafit)
        n, p = self.X.shape
        self.penalty = _checked_penalty(penalty, (p, *_outputs(datafit)))
        groups = self.penalty.groups
        if datafit.n_samples != n:
            raise ValueError(f"X has {n} rows, but the datafit has {datafit.n_samples} samples")
        if groups.n_columns != p:
            raise ValueError(f"X has {p} columns, but the groups cover {groups.n_columns} coefficients")
        if groups.columns is not None and isinstance(datafit, Quadratic):
            raise ValueError(
                "a quadratic has no columns that overlapping groups could share: with c = groups.columns give "
                "H[np.ix_(c, c)] (or XtX) and b[c] (or Xty), and as groups Groups.from_labels(groups.labels)"
            )
        self.X = groups.expand(self.X)
        self.kept: dict[str, Any] = {}  # what solvers learn of X and reuse: problems made by with_penalty share it
        self._check_finite()

    @classmethod
    def quadratic(cls, H: Any, b: Any, penalty: Any) -> Problem:
        """min over w of w' H w / 2 - b' w + penalty(w).  H: [p, p] symmetric positive semidefinite.  b: [p]."""
        datafit = Quadratic(H, b)
        return cls(sparse.identity(datafit.n_samples, format="csr"), datafit, penalty)

    @classmethod
    def from_gram(cls, XtX: Any, Xty: Any, yty: float, n: float, penalty: Any, means: Any = None) -> Problem:
        """min over w of (yty - 2 Xty'w + w' XtX w) / (2n) + penalty(w): least squares from sufficient statistics.

        XtX: [p, p].  Xty: [p].  yty: number.  n: number of samples, or their total weight.  All as sums over samples;
        `accumulate_gram` makes them from chunks.  means: (mean of each column [p], mean of y) when the statistics are
        those of centred data, so that Result.intercept is that of the data as they were.
        The same objective and solutions as with the data themselves, which need not fit in memory.
        Raises ValueError for wrong shapes, statistics that no data can have, and overlapping groups.
        """
        datafit = GramLeastSquares(XtX, Xty, yty, n, means)
        return cls(sparse.identity(datafit.n_samples, format="csr"), datafit, penalty)

    @property
    def n_features(self) -> int:
        """Number of coefficients p."""
        return int(self.X.shape[1])

    @property
    def w_shape(self) -> tuple[int, ...]:
        """Shape of the coefficients: (p,), or (p, T) for a datafit with T outputs."""
        return (self.n_features, *_outputs(self.datafit))

    @property
    def convex(self) -> bool:
        """Whether the objective is convex (every datafit is)."""
        return bool(self.penalty.convex)

    def collapse(self, w: np.ndarray) -> np.ndarray:
        """Coefficients of the columns of X as given, for w [p]: sums over latent ones; w itself without overlap."""
        return self.penalty.groups.collapse(w)

    def with_penalty(self, penalty: Any) -> Problem:
        """The same data under another penalty, or on a set; what is known of X is kept."""
        penalty = _checked_penalty(penalty, self.w_shape)
        if penalty.groups.n_features != self.n_features:
            raise ValueError(f"X has {self.n_features} columns, but the groups cover {penalty.groups.n_features}")
        return self._under(penalty)

    def _under(self, penalty: Any) -> Problem:
        other = Problem.__new__(Problem)
        other.__dict__ = self.__dict__ | {"penalty": penalty}
        other.__dict__.pop("unpenalised", None)
        return other

    def with_datafit(self, datafit: Datafit) -> Problem:
        """The same design and penalty with another datafit of as many samples and outputs; X is not copied."""
        _checked_datafit(datafit)
        if (datafit.n_samples, datafit.n_outputs) != (self.datafit.n_samples, self.datafit.n_outputs):
            raise ValueError(f"{type(datafit).__name__} has another number of samples or outputs than {self!r}")
        other = Problem.__new__(Problem)
        other.__dict__ = {"X": self.X, "datafit": datafit, "penalty": self.penalty, "kept": {}}
        return other

    def with_design(self, X: Any) -> Problem:
        """The same datafit and penalty with another finite design [n, p], one column for each coefficient."""
        other = Problem.__new__(Problem)
        other.__dict__ = {"X": X, "datafit": self.datafit, "penalty": self.penalty, "kept": {}}
        return other

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"kept": {}}

    def with_lam(self, lam: float) -> Problem:
        """The same problem at another strength of the penalty."""
        return self._under(self.penalty.with_lam(lam))

    def _check_finite(self) -> None:
        """One pass over X for two purposes: the gradient at 0 is kept, and every NaN or infinite entry shows in it."""
        with np.errstate(all="ignore"):  # other products may skip the rows where the gradient of the loss is 0
            if _by_columns(self.X) and np.isfinite(self.gradient_at_zero).all():
                return
        check_finite(*((self.X.data, "X.data") if sparse.issparse(self.X) else (self.X, "X")))

    def check_coefficients(self, w: Any, name: str = "w") -> np.ndarray:
        """w as float64 of the shape `w_shape`; ValueError for another shape or dtype, NaN or infinite entries."""
        array = as_float(w, name).astype(np.float64, copy=False)
        if array.shape != self.w_shape:
            wanted = f"{self.n_features} coefficients"
            if len(self.w_shape) == 2:
                wanted += f" for each of {self.w_shape[1]} outputs"
            raise ValueError(f"{name} has shape {array.shape}, but the problem has {wanted}: give {self.w_shape}")
        return array

    def product(self, w: np.ndarray) -> np.ndarray:
        """X w for w [p] or [p, T], in float64; a float32 X is not converted as a whole."""
        return product(self.X, w)

    def transposed_product(self, v: np.ndarray) -> np.ndarray:
        """X' v for v [n] or [n, T], in float64; a float32 X is not converted as a whole."""
        return transposed_product(self.X, v, self.kept)

    def feasible(self, w: np.ndarray) -> np.ndarray:
        """w [p] or [p, T], or its projection where the penalty is that of a set: a point to start from."""
        return self.penalty.prox(w) if isinstance(self.penalty, Indicator) else w

    def objective(self, w: Any) -> float:
        """datafit(X w) + penalty(w) at w [p] or [p, T], an intercept minimised out.  Rounding error of order n eps.

        As in `solve`, columns far from 0 count less a constant wherever that changes nothing (`recentred`).
        """
        w = self.check_coefficients(w)
        return self.datafit.value(self._near_zero().product(w)) + float(self.penalty.value(w))

    def gradient(self, w: Any) -> np.ndarray:
        """Gradient of the datafit at w [p] or [p, T], of the same shape; columns far from 0 as in `objective`."""
        return self._at(self.check_coefficients(w))[1]

    def _at(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X w [n], up to constants that change nothing, and the gradient [p]."""
        near = self._near_zero()
        z = near.product(w)
        return z, near.transposed_product(self.datafit.gradient(z))

    def _near_zero(self) -> Problem:
        from .recentred import recentred

        return recentred(self)[0]

    def violation(self, w: Any) -> float:
        """Largest distance over the groups of -gradient to the subdifferential of the penalty at w [p].

        Where the slope of the penalty at 0 is infinite, a zero group counts by its prox-gradient residual, since there
        every gradient is a subgradient.  Units of the gradient; 0 exactly at stationary points.
        """
        w = self.check_coefficients(w)
        return self.violation_from(w, self._at(w)[1])

    def violation_from(self, w: np.ndarray, gradient: np.ndarray) -> float:
        """`violation` at w [p] where the gradient [p] is known already."""
        self._require("prox", "violation")
        distances = np.array(self.penalty.violation(w, gradient))
        infinite = ~np.isfinite(np.broadcast_to(self.penalty.slope0, distances.shape))
        zero = infinite & (self.penalty.groups.norms(w) == 0)
        if zero.any():
            step = 1 / (self.smoothness if self.smooth else self.local_smoothness(self.product(w)))
            residual = self.penalty.groups.norms((w - self.penalty.prox(w - step * gradient, step)) / step)
            distances = np.where(zero, residual, distances)
        return float(distances.max())

    @property
    def smooth(self) -> bool:
        """Whether the gradient has a Lipschitz constant, `smoothness` (all datafits but Poisson)."""
        return bool(np.isfinite(self.datafit.smoothness_bound))

    def local_smoothness(self, z: np.ndarray) -> float:
        """Upper bound of the curvature at z = X w [n], as a function of w, for datafits with `hessian_weights`; > 0."""
        weights = self.datafit.hessian_weights(z)  # type: ignore[attr-defined]
        total = float(weights @ self._squared_row_norms)
        return total if total > 0 else 1.0

    @cached_property
    def _squared_row_norms(self) -> np.ndarray:
        squares = self.X.power(2).sum(axis=1) if sparse.issparse(self.X) else np.einsum("ij,ij->i", self.X, self.X)
        return np.asarray(squares, dtype=np.float64).ravel()

    def gap(self, w: Any) -> float:
        """Duality gap objective(w) - dual >= 0 at w [p], an upper bound on objective(w) - min, to rounding.

        Of the coefficients alone: the intercept is the best one for w, whatever was fitted elsewhere, as in
        `objective`.  The dual point is the residual, scaled to be feasible as well as possible.  Convex penalties with
        a finite slope at zero only, else ValueError.  `certify.duality_gap` encloses it rigorously.
        """
        w = self.check_coefficients(w)
        return self._near_zero().gap_from(w, *self._at(w))

    def gap_from(
        self, w: np.ndarray, z: np.ndarray, gradient: np.ndarray, late: Callable[[], bool] = lambda: False
    ) -> float:
        """`gap` at w [p] where z = X w [n] and the gradient [p] are known already.

        late: whether time is up; a fit of unpenalised groups then ends, and the gap is inf.
        """
        if not self.convex:
            raise ValueError(f"{self.penalty!r} is not convex, so there is no duality gap: use certify.global_gap")
        penalty = float(self.penalty.value(w))
        if hasattr(self.penalty, "conjugate"):  # the residual itself is feasible: f + f* leaves the penalty's terms
            return penalty + float(np.vdot(gradient, w)) + self.penalty.conjugate(-gradient)
        if len(self.unpenalised[0]):
            return self._gap_of_refit(self.datafit.value(z) + penalty, w, z, late)
        return self.datafit.value(z) + penalty - self.datafit.dual(z, self.penalty.dual_limit(-gradient))

    def _gap_of_refit(self, primal: float, w: np.ndarray, z: np.ndarray, late: Callable[[], bool]) -> float:
        """Gap with the dual point at z after an exact fit of the unpenalised groups: feasible for them to rounding.

        Where w >= 0 is asked for, those that are `movable`; on the others the gradient may not be negative.
        """
        chosen, columns = self.unpenalised
        moved = movable(self.datafit, self.penalty, w[chosen])
        z, fitted = refit(self.datafit, columns, z, late, moved)
        if not fitted:  # 0 is a dual point for all: the loss may be next to its infimum, which is not attained
            return np.inf if late() else primal - self.datafit.dual(z, 0.0)
        force = self.datafit.gradient(z)
        c = -self.transposed_product(force)
        c[chosen] = np.where(moved, 0.0, beyond_rounding(c[chosen], columns, force))
        # near a solution good multiples are near 1; larger ones would magnify what rounding leaves along the columns
        return primal - self.datafit.dual(z, min(self.penalty.dual_limit(c), 2.0))

    @cached_property
    def unpenalised(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions [k] of the unpenalised coefficients, and their columns of X [n, k], dense."""
        return unpenalised_columns(self.X, self.penalty)

    @cached_property
    def slopes_at_zero(self) -> np.ndarray:
        """Gradient of the datafit in X w at w = 0, [n] or [n, T]."""
        return self.datafit.gradient(zeros_of((self.X.shape[0], *_outputs(self.datafit))))

    @cached_property
    def gradient_at_zero(self) -> np.ndarray:
        """Gradient of the datafit at w = 0, [p] or [p, T]; kept, also for what `with_penalty` makes."""
        if not (HAS_NATIVE and _by_columns(self.X)):
            return transposed_product(self.X, self.slopes_at_zero)
        reading = first_reading(self.kept, self.X, self.datafit, self.penalty, self.slopes_at_zero)
        return reading.by_column(reading.pull, self.w_shape)

    @cached_property
    def smoothness(self) -> float:
        """Largest curvature of the datafit as a function of w, the Lipschitz constant of the gradient; > 0.

        Relative error 1e-12 up to min(n, p) = 1500, 1e-6 beyond (from below); 1 for an all-zero X.
        Raises ValueError when the squares of X overflow, and for datafits without one (Poisson).
        """
        n, p = self.X.shape
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                if isinstance(self.datafit, Quadratic):
                    largest = float(np.linalg.eigvalsh(self.datafit.H)[-1])
                elif min(n, p) <= DENSE_LIMIT:
                    largest = _largest_dense(self.X, self.datafit)
                else:
                    largest = _largest_lanczos(self.X, self.datafit)
        except np.linalg.LinAlgError:
            largest = np.inf
        if not np.isfinite(largest):
            raise ValueError("the squares of X overflow: rescale its columns, e.g. to unit length")
        return largest if largest > 0 else 1.0

    def _require(self, *names: str) -> None:
        missing = [name for name in names if not hasattr(self.penalty, name)]
        if missing:
            advice = "a solver needs them"
            if isinstance(self.penalty, InverseSum | SmartDecay):
                advice = "solve problem.with_penalty(penalty.companion), then certify.global_gap; or use MaskDescent"
            raise ValueError(f"{type(self.penalty).__name__} has no {' or '.join(missing)}: {advice}")

    def __repr__(self) -> str:
        n, p = self.X.shape
        return f"Problem(X [{n}, {p}], {type(self.datafit).__name__}, {self.penalty!r})"


def checked_problem(problem: Any) -> Problem:
    """The problem itself; ValueError for what is none."""
    if not isinstance(problem, Problem):
        raise ValueError(f"problem is {described(problem)}: give a sparseopt.Problem(X, datafit, penalty)")
    return problem


def _checked_datafit(datafit: Any) -> Datafit:
    if isinstance(datafit, type) or not hasattr(datafit, "n_samples"):
        raise ValueError(
            f"datafit is {described(datafit)}: give a datafit, e.g. Problem(X, sparseopt.LeastSquares(y), penalty)"
        )
    return datafit


def _outputs(datafit: Datafit) -> tuple[int, ...]:
    """(T,) for a datafit with T outputs, else ()."""
    return () if datafit.n_outputs is None else (datafit.n_outputs,)


def _checked_penalty(penalty: Any, shape: tuple[int, ...]) -> Any:
    """The penalty itself, or that of a set, for coefficients of this shape."""
    if is_set(penalty):
        return Indicator(penalty, shape)
    if isinstance(penalty, type) or not (
        isinstance(getattr(penalty, "groups", None), Groups) and hasattr(penalty, "value")
    ):
        raise ValueError(
            f"penalty is {described(penalty)}: give a penalty of groups, e.g. sparseopt.GroupLasso(0.1, groups), "
            "or a set, e.g. sparseopt.sets.TopGroups(3, groups)"
        )
    return penalty


def _design(X: Any) -> Any:
    if not sparse.issparse(X):
        return as_float(X, "X", ndim=2, finite=False)  # NaN and inf are looked for in `_check_finite`
    if 0 in X.shape:
        raise ValueError(f"X is empty, shape {X.shape}: at least one row and one column are needed")
    if X.dtype.kind not in "iub" and X.dtype not in (np.float32, np.float64):
        raise ValueError(f"X has dtype {X.dtype}: give real numbers (float32, float64, integer or bool)")
    X = X.tocsr() if X.format not in ("csr", "csc") else X
    return X if X.dtype.kind == "f" else X.astype(np.float64)


def _by_columns(X: Any) -> bool:
    """Whether X is stored by columns, so that a pass over X reads all of it, in place."""
    if sparse.issparse(X):
        return HAS_NATIVE and X.format == "csc" and X.dtype == np.float64 and X.indices.dtype == np.int32
    return X.strides[0] == X.itemsize and X.strides[1] >= X.itemsize * X.shape[0]


def _largest_dense(X: Any, datafit: Datafit) -> float:
    """From X' C X or R' X X' R, C = R R' the curvature, over blocks of columns: X is not copied as a whole."""
    n, p = X.shape
    blocks = blocks_of_rows(X.T)
    if p <= n:
        bent = (datafit.curvature(_dense_block(X, columns, datafit)) for columns in blocks)
        first = _dense_block(X, blocks[0], datafit) if len(blocks) == 1 else X
        return float(np.linalg.eigvalsh(np.hstack([transposed_product(first, each) for each in bent]))[-1])
    root, total = _curvature_root(datafit, n), np.zeros((n, n))
    for columns in blocks:
        part = root.T @ _dense_block(X, columns, datafit)
        total += part @ part.T
    return float(np.linalg.eigvalsh(total)[-1])


def _dense_block(X: Any, columns: slice, datafit: Datafit) -> np.ndarray:
    """These columns in float64, centred with an intercept: that changes nothing but the rounding of large means."""
    block = X[:, columns]
    block = np.asarray(block.todense() if sparse.issparse(X) else block, dtype=np.float64)
    return block - block.mean(axis=0) if datafit.fit_intercept else block


def _curvature_root(datafit: Datafit, n: int) -> np.ndarray:
    """R [n, n] with R R' = C."""
    values, vectors = np.linalg.eigh(datafit.curvature(np.eye(n)))
    return vectors * np.sqrt(np.maximum(values, 0))


def _largest_lanczos(X: Any, datafit: Datafit) -> float:
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    p = X.shape[1]
    operator = LinearOperator((p, p), matvec=lambda v: X.T @ datafit.curvature(X @ v.ravel()), dtype=np.float64)
    start = np.ones(p)
    try:
        return float(eigsh(operator, k=1, tol=1e-6, v0=start, return_eigenvectors=False)[0])
    except ArpackNoConvergence as error:
        return float(error.eigenvalues.max()) if len(error.eigenvalues) else float(operator.matvec(start).max())
