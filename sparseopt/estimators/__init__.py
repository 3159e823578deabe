"""scikit-learn estimators (needs scikit-learn): fit and predict around `solve` and `cross_validate`."""

from .classifiers import GroupLassoClassifier, GroupLassoClassifierCV
from .conventions import from_adelie, from_celer, from_group_lasso, from_skglm
from .counts import GroupPoissonRegressor
from .multi_task import MultiTaskGroupLassoRegressor
from .regressors import (
    GroupLassoRegressor,
    GroupLassoRegressorCV,
    GroupMCPRegressor,
    GroupSCADRegressor,
    SparseGroupLassoRegressor,
)

__all__ = [
    "GroupLassoClassifier",
    "GroupLassoClassifierCV",
    "GroupLassoRegressor",
    "GroupLassoRegressorCV",
    "GroupMCPRegressor",
    "GroupPoissonRegressor",
    "GroupSCADRegressor",
    "MultiTaskGroupLassoRegressor",
    "SparseGroupLassoRegressor",
    "from_adelie",
    "from_celer",
    "from_group_lasso",
    "from_skglm",
]
