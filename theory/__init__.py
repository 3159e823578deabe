"""Theorems as data: every statement with its hypotheses, check, counterexamples and figure data.

A new theorem is one new file with a `THEOREM`, named like the file, and one line below.
"""

from . import admm_patterns, smart, solvers
from .check import Report, check
from .sequential_attention import inverse_sum_dominates, lambda_window, one_group_global_optimum
from .theorem import Attack, Counterexample, Evidence, Fixed, Hypothesis, Theorem

THEOREMS: tuple[Theorem, ...] = (
    inverse_sum_dominates.THEOREM,
    one_group_global_optimum.THEOREM,
    lambda_window.THEOREM,
    *smart.THEOREMS,
    *admm_patterns.THEOREMS,
    *solvers.THEOREMS,
)

__all__ = [
    "THEOREMS",
    "Attack",
    "Counterexample",
    "Evidence",
    "Fixed",
    "Hypothesis",
    "Report",
    "Theorem",
    "check",
]
