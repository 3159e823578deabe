"""The study of solvers in the plane: what its figures show is so."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.two_groups import PARTS, Config, main

CONFIG = Config(grid=13, iterations=60, starts=2)


@pytest.fixture(scope="module")
def rows():
    return [row for part in main(CONFIG) for row in part.compute()]


def paths(rows, figure):
    return {row["label"]: row for row in rows if row["type"] == "path" and row["figure"] == figure}


def resting(rows, figure):
    return np.array(next(r["points"] for r in rows if r["type"] == "resting" and r["figure"] == figure))


def settles(path, points):
    return np.abs(points - np.array(path["w"][-1])).max(axis=1).min() < 1e-3


def test_every_solver_has_a_grid_paths_and_resting_points(rows):
    for figure in PARTS:
        own = [row for row in rows if row["figure"] == figure]
        assert {row["type"] for row in own} == {"grid", "path", "resting"}
        assert all(len(row["w"]) == len(row["trace"]) for row in own if row["type"] == "path")
        assert all(len(row["value"]) == 13**2 for row in own if row["type"] == "grid")


def test_admm_settles_above_the_curvature_and_not_below(rows):
    found = paths(rows, "admm")
    points = resting(rows, "admm")
    assert settles(found["order z, rho = 1.1 L"], points)
    assert settles(found["order x, rho = 1.1 L"], points)
    assert not settles(found["order z, rho = 0.8 L"], points)
    assert (np.diff(found["order z, rho = 1.1 L"]["trace"]) <= 1e-15).all()
    assert max(np.diff(found["order x, rho = 1.1 L"]["trace"])) > 1
    assert [bool(path["caution"]) for path in found.values()] == [False, False, True]


def test_iht_and_srste_settle_where_they_should(rows):
    found, points = paths(rows, "iht"), resting(rows, "iht")
    assert [label for label, path in found.items() if not settles(path, points)] == ["step 1.25 / L"]
    found, points = paths(rows, "srste"), resting(rows, "srste")
    assert [label for label, path in found.items() if not settles(path, points)] == ["pull 0.8 L"]
    assert found["pull 1.1 L"]["trace"][-1] == 0
    assert found["pull 0.8 L"]["trace"][-1] > 50


def test_the_greedy_solvers_take_the_better_axis(rows):
    (path,) = paths(rows, "group_omp").values()
    assert np.allclose(path["w"], [[0, 0], [1, 0], [0.8125, 0.3125]])
    for path in paths(rows, "ompr").values():
        assert np.allclose(path["w"][:3], [[0, 0.8], [1, 0], [1, 0]])


def test_mask_descent_ends_near_the_least_point_of_its_closed_form(rows):
    step = 1.2 / 12
    for row in rows:
        if row["type"] == "path" and row["figure"] == "mask_descent":
            best = next(r for r in rows if r["type"] == "resting" and r["label"] == row["label"])
            assert np.abs(np.array(row["w"][-1]) - best["points"][0]).max() <= step
            assert min(row["trace"]) >= -1e-12
            assert row["trace"][-1] < 1e-2
