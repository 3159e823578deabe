"""Recorded rates: what is stored is what the semidefinite programs give, and the exact checks refuse what is wrong."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from theory.exact_linear import pivots, positive_definite, rank, solve
from theory.solvers import tight_rates
from theory.solvers.performance import composite
from theory.solvers.tight_rates import BITS, METHODS, STEPS, composite_rate, nesterov_momenta, recorded

by_name = pytest.mark.parametrize("name", METHODS)


@by_name
def test_recorded_rows_are_complete(name):
    rows = recorded(name)
    assert [row["n"] for row in rows] == list(range(1, STEPS + 1))
    for row in rows:
        assert float(Fraction(row["bound"])) == pytest.approx(row["pepit"], rel=tight_rates.PROMISED)
        assert min(numerator for _, numerator in row["multipliers"]) >= 0


@by_name
def test_certificates_of_two_steps(name):
    evidence = tight_rates.certificate(name, 2, None)
    assert all(e.passed for e in evidence)
    assert evidence[0].certified


@pytest.mark.parametrize(("n", "kind"), [(1, Fraction), (2, Fraction), (3, "ball")])
def test_fista_is_rational_for_two_steps_and_in_balls_from_three_on(n, kind):
    forms = [inequality.form for inequality in composite(nesterov_momenta(n)).inequalities]
    numbers = [value for form in forms for row in form for value in row if value != 0]
    assert numbers
    assert all(isinstance(value, Fraction) == (kind is Fraction) for value in numbers)


def test_closed_forms():
    assert composite_rate([0.0] * 9) == pytest.approx(1 / 40)
    assert composite_rate([float(v) for v in nesterov_momenta(10)]) == pytest.approx(0.0126471, rel=1e-5)
    assert tight_rates.fixed_point_rate(1) == Fraction(1, 4)


@pytest.mark.slow
@by_name
def test_the_programs_give_the_recorded_numbers(name):
    """Solved again in floats, rounded and proved again; the numbers of PEPit for one and two steps."""
    pytest.importorskip("PEPit", reason="needs the extra pep")
    from theory.solvers import estimation

    for n in (1, 2):
        lam, bound = estimation.multipliers(METHODS[name].estimate(n))
        assert METHODS[name].estimate(n).proves(lam, bound)
        assert float(bound) == pytest.approx(float(tight_rates.recorded_bound(name, n)), rel=1e-6)
        assert estimation.pepit_rate(name, n) == pytest.approx(recorded(name)[n - 1]["pepit"], rel=1e-3)
        assert all((value * 2**BITS).denominator == 1 for value in lam)


def test_pivots_are_those_of_cholesky():
    A = [[4, 2, 0], [2, 3, 1], [0, 1, 2]]
    exact = [[Fraction(v) for v in row] for row in A]
    expected = np.diag(np.linalg.cholesky(np.array(A, dtype=float))) ** 2
    assert [float(v) for v in pivots(exact)] == pytest.approx(expected.tolist())
    assert positive_definite(exact)
    exact[2][2] = Fraction(1, 2)
    assert not positive_definite(exact)  # singular


def test_singular_systems_are_none():
    singular = [[Fraction(1), Fraction(2)], [Fraction(2), Fraction(4)]]
    assert solve(singular, [Fraction(1), Fraction(1)]) is None
    assert rank(singular) == 1
    assert solve([[Fraction(0), Fraction(2)], [Fraction(1), Fraction(1)]], [Fraction(4), Fraction(5)]) == [3, 2]
