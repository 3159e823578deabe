"""Best k groups of one instance by one solver, in its own process: python group_omp_worker.py SOLVER SHAPE REPEATS.

Prints one JSON line.  k is the number of true groups.  A first fit is not timed; CPU seconds of the process, which the
caller limits to one thread.  The loss is recomputed from the coefficients alone.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np
from solver_instances import Instance, build, norms


def sparseopt(instance: Instance) -> np.ndarray:
    """Coefficients [p] of our group OMP."""
    import sparseopt as so

    best = so.sets.TopGroups(instance.shape.active, so.Groups.from_sizes(instance.sizes))
    problem = so.Problem(instance.X, so.LeastSquares(instance.y), best)
    return so.solve(problem, so.solvers.GroupOMP(), throw=False).w


def abess(instance: Instance) -> np.ndarray:
    """Coefficients [p] of the splicing of abess."""
    from abess import LinearRegression

    labels = np.repeat(np.arange(len(instance.weights)), instance.shape.size)
    model = LinearRegression(support_size=[instance.shape.active], group=labels, fit_intercept=False, thread=1)
    return model.fit(instance.X, instance.y).coef_.ravel()


SOLVERS = {"sparseopt": sparseopt, "abess": abess}


def timed(name: str, instance: Instance) -> tuple[float, np.ndarray]:
    """CPU seconds of one fit, and its coefficients [p]."""
    start = time.process_time()
    w = SOLVERS[name](instance)
    return time.process_time() - start, w


def main(name: str, letter: str, repeats: int) -> dict[str, object]:
    """The row of one solver on one shape."""
    warnings.filterwarnings("ignore")
    instance = build(f"{letter}10")  # the strength plays no role
    timed(name, instance)
    runs = [timed(name, instance) for _ in range(repeats)]
    w = runs[-1][1]
    residual = instance.y - instance.X @ w
    return {
        "solver": name,
        "instance": letter,
        "seconds": [round(seconds, 5) for seconds, _ in runs],
        "loss": float(residual @ residual) / (2 * len(residual)),
        "groups": int(np.count_nonzero(norms(instance.shape, w))),
        "numpy": np.__version__,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
