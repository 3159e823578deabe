"""Guarantees of the solvers: duality, screening, rates, prox formulas, recovery."""
