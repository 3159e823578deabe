"""Timings of the compiled operations: contestants alternate in one run, the minimum of each counts."""
