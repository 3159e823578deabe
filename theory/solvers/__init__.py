"""Guarantees of the solvers: duality, screening, rates, prox formulas, recovery."""

from . import duality_gap_bounds, gap_safe_screening, lambda_max_is_sharp, unique_solution

THEOREMS = (
    duality_gap_bounds.THEOREM,
    lambda_max_is_sharp.THEOREM,
    gap_safe_screening.THEOREM,
    unique_solution.THEOREM,
)
