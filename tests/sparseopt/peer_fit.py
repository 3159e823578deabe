"""One fit by another package, in the environment of the peers: python peer_fit.py NAME data.npz -> a JSON line.

Each model is given its own parameters, `alpha` and `sizes` of the file; sparseopt is not imported.
"""

from __future__ import annotations

import json
import sys
import warnings

import numpy as np


def skglm(data):
    from skglm import GroupLasso

    model = GroupLasso(_lists(data["sizes"]), float(data["alpha"]), tol=1e-12, fit_intercept=True, max_iter=10_000)
    model.fit(data["X"], data["y"])
    return model.coef_, model.intercept_


def celer(data):
    from celer import GroupLasso

    weights = np.arange(1.0, len(data["sizes"]) + 1)
    options = {"weights": weights, "tol": 1e-12, "fit_intercept": True, "max_iter": 10_000}
    model = GroupLasso(_lists(data["sizes"]), float(data["alpha"]), **options).fit(data["X"], data["y"])
    return model.coef_, model.intercept_


def adelie(data):
    import adelie as ad

    starts = np.cumsum(data["sizes"]) - data["sizes"]
    options = {"lmda_path": [float(data["alpha"])], "groups": starts, "alpha": 1, "tol": 1e-16, "early_exit": False}
    state = ad.grpnet(
        np.asfortranarray(data["X"]), ad.glm.gaussian(y=data["y"]), intercept=True, progress_bar=False, **options
    )
    return state.betas.toarray()[0], state.intercepts[0]


def group_lasso(data):
    from group_lasso import GroupLasso

    labels = np.repeat(np.arange(len(data["sizes"])), data["sizes"])
    options = {"l1_reg": float(data["alpha"]) / 2, "n_iter": 100_000, "tol": 1e-12, "supress_warning": True}
    model = GroupLasso(labels, group_reg=float(data["alpha"]), **options)
    model.fit(data["X"], data["y"])
    return model.coef_, model.intercept_


def _lists(sizes):
    ends = np.cumsum(sizes)
    return [list(range(end - size, end)) for size, end in zip(sizes, ends, strict=True)]


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    coefficients, intercept = globals()[sys.argv[1]](np.load(sys.argv[2]))
    print(json.dumps([np.ravel(coefficients).tolist(), float(np.ravel(intercept)[0])]))
