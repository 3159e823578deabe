"""Figures and the report: drawing only, from what `theory` and `experiments` recorded."""
