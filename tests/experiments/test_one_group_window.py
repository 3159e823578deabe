"""The study on one data set with a small config: windows, certificates, and an attack that finds what it should."""

from dataclasses import replace

import numpy as np
import pytest

import sparseopt as so
from experiments.one_group_window import PENALTIES, Config, load, main
from theory.competitors import descend

CONFIG = Config(datasets=("breast_cancer",), grid=12, per_scale=2, starts=3, steps=40)


@pytest.fixture(scope="module")
def rows():
    return [row for part in main(CONFIG) for row in part.compute()]


def of_type(rows, kind):
    return [row for row in rows if row["type"] == kind]


def test_the_window_is_visible(rows):
    (window,) = of_type(rows, "window")
    assert window["group_name"] == "concave points"
    assert 0.015 < 1 - window["lower_ratio"] < 0.02
    assert window["upper_ratio"] == pytest.approx(1.0, abs=1e-11)
    assert (window["n_samples"], window["n_features"], window["n_groups"]) == (569, 30, 10)


def test_every_solution_is_certified_and_the_window_has_one_group(rows):
    active = of_type(rows, "active")
    assert {row["verdict"] for row in active} == {"proved"}
    assert all(row["gap"] <= CONFIG.tol for row in active)
    inside = [row for row in active if row["in_window"]]
    assert len(inside) >= 5
    assert {row["n_active"] for row in inside} == {1}
    assert {row["n_active"] for row in active if row["lam_ratio"] > 1} == {0}
    assert max(row["n_active"] for row in active) > 1


def test_certificates_are_proved_for_subadditive_q_and_never_for_the_exp_mask(rows):
    verdicts = {row["rho"]: row["verdict"] for row in of_type(rows, "certificate")}
    assert verdicts.keys() == PENALTIES.keys()
    assert verdicts.pop("ExpMask") != "proved"
    assert set(verdicts.values()) == {"proved"}


def test_no_competitor_is_below_but_for_the_exp_mask_the_attack_succeeds(rows):
    competitors = of_type(rows, "competitor")
    below = {row["rho"] for row in competitors if row["margin"] < -row["allowance"]}
    assert below == {"ExpMask"}
    assert min(row["margin"] for row in competitors if row["rho"] == "ExpMask") < -0.1
    attacks = {"zero", "gaussian", "one other group", "two groups", "local descent"}
    for rho in PENALTIES:
        assert {row["attack"] for row in competitors if row["rho"] == rho} == attacks


def test_the_sandwich_holds_for_every_competitor(rows):
    for row in of_type(rows, "competitor"):
        if row["rho"] != "ExpMask":
            assert row["margin"] - row["margin_group_lasso"] >= -row["allowance"]


def test_the_study_is_deterministic_and_the_seed_matters(rows):
    def margins(config):
        part = next(part for part in main(config) if part.name == "breast_cancer/competitor/Ratio")
        return [row["margin"] for row in part.compute()]

    assert margins(CONFIG) == [row["margin"] for row in of_type(rows, "competitor") if row["rho"] == "Ratio"]
    assert margins(CONFIG) != margins(replace(CONFIG, seed=1))


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ValueError, match="allowed are diabetes, breast_cancer, digits"):
        load("iris")


@pytest.mark.parametrize("rho", PENALTIES)
def test_descent_never_increases_the_objective_and_stops_at_the_global_minimiser(rho):
    H, b = np.diag([1.0, 2.0, 1.0]), np.array([2.0, 0.3, 0.1])
    problem = so.Problem.quadratic(H, b, so.InverseSum(0.5, so.Groups.uniform(3, 1), PENALTIES[rho]))
    for start in np.random.default_rng(0).normal(size=(5, 3)):
        end = descend(problem, start, 200)
        assert problem.objective(end) <= problem.objective(start)
    best = descend(problem, np.array([1.0, 0.0, 0.0]), 200)
    if rho != "ExpMask":
        np.testing.assert_allclose(best, [1.5, 0, 0], atol=1e-6)
