"""Choosing along a path: cross-validation, information criteria, refits, adaptive weights, stability selection."""

from .adaptive import adaptive_weights
from .criteria import InformationCriteria, degrees_of_freedom, information_criteria
from .cross_validation import CrossValidation, cross_validate
from .folds import group_folds, k_folds
from .refit import refit_on_support
from .stability import StabilitySelection, stability_selection

__all__ = [
    "CrossValidation",
    "InformationCriteria",
    "StabilitySelection",
    "adaptive_weights",
    "cross_validate",
    "degrees_of_freedom",
    "group_folds",
    "information_criteria",
    "k_folds",
    "refit_on_support",
    "stability_selection",
]
