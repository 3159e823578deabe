"""One solver on one instance, in its own process: python solver_worker.py SOLVER INSTANCE REPEATS -> one JSON line.

The loosest tolerance of the solver's grid that reaches the target gap is found first, which also compiles what compiles
at first use; then the timed runs.  CPU seconds of the process; the caller limits it to one thread.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any

import numpy as np
from solver_instances import SEVERAL, Instance, build, huber_threshold, relative_gap

TARGET = 1e-6
SLOWEST = 30.0  # CPU seconds of one solve: slower solvers are not repeated


def sparseopt(instance: Instance, tol: float) -> np.ndarray:
    """Coefficients [lams, p] or [lams, p, T] of ours; tol: relative gap."""
    import sparseopt as so

    y = instance.y
    losses = {
        "ls": lambda: so.LeastSquares(y),
        "huber": lambda: so.Huber(y, huber_threshold(y)),
        "logistic": lambda: so.Logistic(y),
        "poisson": lambda: so.Poisson(y),
        "cox": lambda: so.Cox(y[:, 0], y[:, 1]),
        "multi": lambda: so.MultiResponse(y),
        "multinomial": lambda: so.Multinomial(y, n_classes=instance.shape.outputs),
    }
    penalty = so.GroupLasso(instance.lams[0], so.Groups.from_sizes(instance.sizes), weights=instance.weights)
    problem = so.Problem(instance.X, losses[instance.shape.kind](), penalty)
    if len(instance.lams) == 1:
        return so.solve(problem, tol=tol, throw=False).w[None]
    return np.array([r.w for r in so.solve_path(problem, lams=instance.lams, tol=tol, throw=False)])


def skglm(instance: Instance, tol: float, newton: bool = False) -> np.ndarray:
    """Those of skglm; tol: what it calls so; newton: by its prox-Newton method instead of block descent."""
    from skglm.datafits import LogisticGroup, PoissonGroup, QuadraticGroup, QuadraticMultiTask
    from skglm.penalties import L2_1, WeightedGroupL2
    from skglm.solvers import GroupBCD, GroupProxNewton, MultiTaskBCD

    X, y = instance.X, instance.y
    if instance.shape.kind in ("cox", "huber"):
        return _skglm_entries(instance, tol)
    if instance.shape.kind == "multi":
        solver = MultiTaskBCD(fit_intercept=False, tol=tol * instance.lams[0], max_iter=200, max_epochs=10000)
        start = np.zeros((instance.shape.p, y.shape[1])), np.zeros(y.shape, order="F")
        return solver.solve(X, y, QuadraticMultiTask(), L2_1(instance.lams[0]), *start)[0][None]
    starts = np.arange(0, instance.shape.p + 1, instance.shape.size, dtype=np.int32)
    index = np.arange(instance.shape.p, dtype=np.int32)
    kinds = {"ls": QuadraticGroup, "logistic": LogisticGroup, "poisson": PoissonGroup}
    datafit = kinds[instance.shape.kind](starts, index)
    w, fitted, path = np.zeros(instance.shape.p), np.zeros(instance.shape.n), []
    for lam in instance.lams:
        solver = GroupBCD(max_iter=200, max_epochs=10000) if not newton else GroupProxNewton(max_iter=200)
        solver.tol = tol * lam * instance.weights[0]
        w = solver.solve(X, y, datafit, WeightedGroupL2(lam, instance.weights, starts, index), w, fitted)[0]
        path.append(w.copy())
    return np.array(path)


def _skglm_entries(instance: Instance, tol: float) -> np.ndarray:
    """Those of skglm for losses that it has for groups of one alone."""
    from skglm.datafits import Cox, Huber
    from skglm.penalties import L1
    from skglm.solvers import AndersonCD, ProxNewton
    from skglm.utils.jit_compilation import compiled_clone

    w, path, y = np.zeros(instance.shape.p), [], np.asfortranarray(instance.y)
    datafit: Any = Cox() if instance.shape.kind == "cox" else Huber(huber_threshold(y))
    for lam in instance.lams:
        fitted = instance.X @ w
        options = {"fit_intercept": False, "warm_start": True, "tol": tol * lam, "max_iter": 200}
        solver = ProxNewton(**options) if instance.shape.kind == "cox" else AndersonCD(**options, max_epochs=10000)
        w = solver.solve(instance.X, y, compiled_clone(datafit), compiled_clone(L1(lam)), w, fitted)[0]
        path.append(w.copy())
    return np.array(path)


def skglm_newton(instance: Instance, tol: float) -> np.ndarray:
    """Those of skglm's prox-Newton method; tol: what it calls so."""
    return skglm(instance, tol, newton=True)


def celer(instance: Instance, tol: float) -> np.ndarray:
    """Those of celer; tol: what it calls so."""
    from celer import celer_path

    groups = [list(range(j, j + instance.shape.size)) for j in range(0, instance.shape.p, instance.shape.size)]
    options = {"groups": groups, "weights": instance.weights, "tol": tol, "max_iter": 100, "prune": 1}
    return celer_path(instance.X, instance.y, "grouplasso", alphas=instance.lams, **options)[1].T


def adelie(instance: Instance, tol: float) -> np.ndarray:
    """Those of adelie; tol: what it calls so."""
    import adelie as ad

    X, y, lams, options = instance.X, instance.y, instance.lams, {}
    design = ad.matrix.sparse if instance.shape.density else ad.matrix.dense
    if instance.shape.kind == "ls":
        glm = ad.glm.gaussian(y=y, dtype=np.float64)
    elif instance.shape.kind == "logistic":
        glm, options = ad.glm.binomial(y=(y > 0).astype(float), dtype=np.float64), {"irls_tol": tol}
    elif instance.shape.kind == "poisson":
        glm, options = ad.glm.poisson(y=y, dtype=np.float64), {"irls_tol": tol}
    elif instance.shape.kind == "cox":
        time, event = np.ascontiguousarray(y.T)
        glm, options = ad.glm.cox(start=np.zeros(len(y)), stop=time, status=event, dtype=np.float64), {"irls_tol": tol}
    elif instance.shape.kind == "multinomial":
        chosen = np.eye(instance.shape.outputs)[y]
        glm, lams, options = ad.glm.multinomial(chosen, dtype=np.float64), lams / chosen.shape[1], {"irls_tol": tol}
    else:
        glm, lams = ad.glm.multigaussian(y=np.ascontiguousarray(y), dtype=np.float64), lams / y.shape[1]
    starts = np.arange(0, instance.shape.p, instance.shape.size)
    state = ad.grpnet(
        design(X, method="naive", n_threads=1),
        glm,
        groups=starts,
        penalty=instance.weights,
        lmda_path=lams,
        alpha=1,
        intercept=False,
        tol=tol,
        early_exit=False,
        adev_tol=1.0,
        progress_bar=False,
        n_threads=1,
        **options,
    )
    shape = (instance.shape.p, -1) if instance.shape.kind in SEVERAL else (instance.shape.p,)
    return np.array([b.toarray().reshape(shape) for b in state.betas])


def adelie_covariance(instance: Instance, tol: float) -> np.ndarray:
    """Those of adelie's covariance method; tol: what it calls so."""
    import adelie as ad

    X, y, n = instance.X, instance.y, instance.shape.n
    gram = ad.matrix.dense(np.asfortranarray(X.T @ X) / n, method="cov", n_threads=1)
    starts = np.arange(0, instance.shape.p, instance.shape.size)
    options = {"groups": starts, "penalty": instance.weights, "lmda_path": instance.lams, "alpha": 1}
    options |= {"early_exit": False, "progress_bar": False, "n_threads": 1}
    state = ad.gaussian_cov(A=gram, v=X.T @ y / n, tol=tol * float(y @ y) / n, **options)
    return state.betas.toarray()


def sklearn(instance: Instance, tol: float) -> np.ndarray:
    """Those of scikit-learn, for groups of one; tol: what it calls so."""
    from sklearn.linear_model import MultiTaskLasso, lasso_path

    if instance.shape.kind == "ls":
        options = {"alphas": instance.lams, "tol": tol, "max_iter": 100000, "copy_X": False}
        return lasso_path(instance.X, instance.y, **options)[1].T
    model = MultiTaskLasso(alpha=instance.lams[0], fit_intercept=False, tol=tol, max_iter=100000)
    return model.fit(instance.X, instance.y).coef_.T[None]


def decades(first: int, last: int) -> list[float]:
    """1e-first, 3e-(first + 1), 1e-(first + 1), ..., 1e-last."""
    return [10.0**-first, *(c * 10.0**-e for e in range(first + 1, last + 1) for c in (3, 1))]


SOLVERS = {
    "sparseopt": (sparseopt, decades(5, 9)),
    "skglm": (skglm, decades(2, 7)),
    "skglm-newton": (skglm_newton, decades(2, 7)),
    "celer": (celer, decades(5, 9)),
    "adelie": (adelie, [10.0**-e for e in range(8, 19)]),
    "adelie-cov": (adelie_covariance, [10.0**-e for e in range(8, 17)]),
    "sklearn": (sklearn, decades(5, 9)),
}


def timed(name: str, instance: Instance, tol: float) -> tuple[float, float]:
    """CPU seconds of one solve, and the largest gap over its strengths."""
    start = time.process_time()
    path = SOLVERS[name][0](instance, tol)
    seconds = time.process_time() - start
    if len(path) != len(instance.lams):
        return seconds, float("inf")
    return seconds, max(relative_gap(instance, w, lam) for w, lam in zip(path, instance.lams, strict=True))


def calibrate(name: str, instance: Instance) -> tuple[float, float]:
    """The loosest tolerance that reaches the target, by bisection of the grid, and the seconds of the last run."""
    grid = SOLVERS[name][1]
    timed(name, instance, grid[0])  # compiles what compiles at first use
    low, high = 0, len(grid) - 1
    while low < high:
        middle = (low + high) // 2
        seconds, gap = timed(name, instance, grid[middle])
        if gap <= TARGET or seconds > SLOWEST:
            high = middle
        else:
            low = middle + 1
    return grid[low], timed(name, instance, grid[low])[0]


def main(name: str, label: str, repeats: int) -> dict[str, object]:
    """The row of one solver on one instance."""
    warnings.filterwarnings("ignore")
    instance = build(label)
    tol, seconds = calibrate(name, instance)
    runs = [timed(name, instance, tol) for _ in range(repeats if seconds < SLOWEST / 5 else 1)]
    return {
        "solver": name,
        "instance": label,
        "tol": tol,
        "seconds": [round(s, 5) for s, _ in runs],
        "gap": max(g for _, g in runs),
        "numpy": np.__version__,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
