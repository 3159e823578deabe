"""Theorems as data: every statement with its hypotheses, check, counterexamples and figure data.

A new theorem is one new file in a subpackage, with a `THEOREM` that is named like the file.
"""

from .check import Report, Request, check, check_all
from .discover import theorems
from .extras import MissingExtra, require
from .theorem import Attack, Counterexample, Evidence, Fixed, Hypothesis, Theorem

THEOREMS: tuple[Theorem, ...] = theorems()

__all__ = [
    "THEOREMS",
    "Attack",
    "Counterexample",
    "Evidence",
    "Fixed",
    "Hypothesis",
    "MissingExtra",
    "Report",
    "Request",
    "Theorem",
    "check",
    "check_all",
    "require",
]
