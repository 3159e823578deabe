"""Intervals and the sign test against what is known of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from theory.intervals import paired_interval, sign_test, wilson


def test_the_ends_of_wilson_solve_its_equation():
    """|share - p| = z sqrt(p (1 - p) / n) at both ends, inside [0, 1]; all or nothing reaches the end of the scale."""
    for wins, n in ((3, 10), (17, 20), (40, 81)):
        for p in wilson(wins, n):
            assert abs(wins / n - p) == pytest.approx(1.96 * (p * (1 - p) / n) ** 0.5)
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
    assert wilson(10, 10)[0] < 1


def test_the_paired_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    ends = [paired_interval(rng.standard_normal(200) + 0.3)[1:] for _ in range(400)]
    covered = sum(lower <= 0.3 <= upper for lower, upper in ends)
    assert 380 <= covered < 400  # 396 expected, four standard deviations below


def test_the_sign_test_is_the_tail_of_the_binomial():
    assert sign_test(38, 0) == Fraction(1, 2**38)
    assert sign_test(2, 1) == Fraction(1, 2)
    assert sign_test(0, 3) == 1
