"""The studies of open questions on small configs: what they count is right where it is known."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import sparseopt as so
from experiments import critical_points, phase_transition, pruning_schedules, smart_hypotheses
from experiments.many_starts import (
    Quadratic,
    concave_minima,
    distinct,
    log_sum,
    mask_minima,
    masks,
    power,
    smart_minima,
)
from theory.exact_lasso import ExactLasso
from theory.open_questions import gradual_pruning, smart_trajectories
from theory.open_questions.one_critical_point import random_quadratic
from theory.open_questions.piecewise import Piecewise, mcp, scad


def rows(study, **changes):
    config = replace(study.Config(), **changes)
    return [row | {"config": config.__dict__} for part in study.main(config) for row in part.compute()]


@pytest.fixture(scope="module")
def transition():
    changes = {"instances": 2, "per_part": 1, "groups": 8, "active": 2, "samples": (16,), "actives": (), "proved": 2}
    return rows(phase_transition, **changes, proved_groups=4, proved_samples=(8, 10))


@pytest.mark.slow
def test_with_many_samples_everything_recovers_and_the_same_instances_are_compared(transition):
    table = phase_transition.recovery(transition)
    many = [i for i, m in enumerate(table["samples"]) if m == 16]
    assert [table["method"][i] for i in many] == list(phase_transition.METHODS)
    assert all(table["share"][i] == 1.0 and table["trials"][i] == 2 and table["lower"][i] < 1 for i in many)
    assert phase_transition.top(np.array([0, 0, 3, 0, 0, 1.0]), so.Groups.uniform(3, 2), 2) == [1, 2]


def test_wins_are_of_the_same_instances():
    found = {method: [1, 0, 0] for method in phase_transition.METHODS} | {"MCP": [0, 1, 1]}
    made = [{"type": "recovery", "samples": 9, "active": 2, "instances": [0, 1, 2], "recovered": found}]
    table = phase_transition.recovery(made)
    k = table["method"].index("MCP")
    assert (table["wins"][k], table["losses"][k], table["trials"][k]) == (2, 1, 3)
    assert table["share"][k] == pytest.approx(2 / 3)


def test_no_solver_is_below_the_proved_minimum(transition):
    made = [row for row in transition if row["type"] == "optimality"]
    assert all(value == 1 for row in made for value in row["proved"])
    assert all(value >= -1e-6 for row in made for name in ("reweighted", "path") for value in row[f"excess_{name}"])
    table = phase_transition.optimality(transition)
    assert table["proved"] == table["trials"] == [2, 2]
    assert table["truth"][-1] == 1.0


def test_a_search_without_a_proof_is_left_out():
    columns = {"proved": [1, 0], "truth": [0, 1], "lasso": [1, 1], "excess_reweighted": [0.0, 0], "excess_path": [1, 0]}
    table = phase_transition.optimality([{"type": "optimality", "samples": 6, **columns}] * 3)
    assert (table["trials"], table["proved"]) == ([6], [3])
    assert (table["truth"], table["reweighted"], table["path"]) == ([0.0], [1.0], [0.0])


def test_screening_finds_the_points_of_the_full_enumeration():
    several = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        loss = random_quadratic(rng, 2 + seed % 2)
        lam = max(abs(v) for v in loss.b) * Fraction(1, 2) + Fraction(1, 997)
        for pieces in (mcp(lam, Fraction(6, 5)), mcp(lam, Fraction(1, 3)), scad(lam, Fraction(21, 10))):
            problem = Piecewise(loss, pieces)
            assert problem.screened == problem.critical
            several += len(problem.critical) > 1
    assert several >= 3


def test_screening_leaves_singular_patterns_to_the_fractions():
    """gamma = 1 and H = 1: the concave piece is flat; every point of it is critical where b = lam."""
    loss = ExactLasso.of([[1]], [2], 1)
    assert [point.u for point in Piecewise(loss, mcp(Fraction(1), Fraction(1))).screened] == [(Fraction(2),)]
    with pytest.raises(ValueError, match="continuum"):
        _ = Piecewise(ExactLasso.of([[1]], [1], 1), mcp(Fraction(1), Fraction(1))).screened


def test_many_starts_find_all_minima_of_one_variable():
    """Against the sign changes of the slope on a fine grid."""
    t = np.linspace(1e-4, 4, 400_001)
    for b, lam in ((2.0, 0.3), (1.2, 0.3), (0.6, 0.5), (1.0, 2.0)):
        loss = Quadratic(np.eye(1), np.array([b]))
        starts = loss.starts(np.random.default_rng(0), 20)
        for penalty, infinite in ((log_sum(0.1), False), (power(0.5), True)):
            slope = t - b + lam * penalty.slope(t)
            minima = int(((slope[:-1] < 0) & (slope[1:] >= 0)).sum()) + (infinite or b < lam / 0.1)
            assert concave_minima(loss, penalty, lam, starts, 600) == minima


def test_the_power_has_a_minimum_on_every_support_at_small_strength():
    H = np.array([[1.0, 0.3, 0.1], [0.3, 1, 0.2], [0.1, 0.2, 1]])
    loss = Quadratic(H, H @ np.array([1.0, -2, 1.5]))
    starts = loss.starts(np.random.default_rng(0), 4)
    assert concave_minima(loss, power(0.5), 1e-3, starts, 300) == 8


def test_the_exp_mask_has_two_minima_where_it_is_concave_enough():
    """H = 1: one below 10.547; at 12 the prox has two local minima for some b (ledger D7)."""
    starts = np.array([[0.0], [1.0], [4.0], [8.0]])
    found = [mask_minima(Quadratic(np.eye(1), np.array([b])), 12.0, starts, 1500) for b in (11.0, 11.6, 12.2)]
    assert found == [1, 2, 1]
    assert mask_minima(Quadratic(np.eye(1), np.array([10.0])), 10.5, starts, 0) == 1


def test_masks_give_the_penalty_of_smart_with_decay():
    rng = np.random.default_rng(0)
    for k in (1, 2, 4):
        u = rng.standard_normal((20, 5)) ** 3
        f = masks(u, k)
        assert (f > 0).all()
        assert (f <= 1).all()
        assert np.allclose(f.sum(axis=1), k)
        penalty = so.SmartDecay(1.0, so.Groups.uniform(5, 1), k)
        assert np.allclose((u**2 / f**2).sum(axis=1), [penalty.value(row) for row in u])


def test_alternation_stays_at_the_proved_minima_of_smart():
    """The fit over each support of k entries, a little away from its zeros, is returned to."""
    H = np.array([[1.0, 0.3, 0.1], [0.3, 1, 0.2], [0.1, 0.2, 1]])
    loss = Quadratic(H, H @ np.array([1.0, -2, 1.5]))
    starts = np.array([u for u in loss.fits() if np.count_nonzero(u) == 2]) + 1e-6
    assert smart_minima(loss, 0.1, 2, starts, 60) == (3, 0)


def test_points_are_counted_once():
    assert len(distinct([np.zeros(2), np.full(2, 1e-6), np.array([0, 1e-3]), np.zeros(2)])) == 2


def test_counts_of_a_small_study():
    made = rows(critical_points, instances=2, dimensions=(1, 2), shares=(0.01, 2.0), starts=8, steps=300, rounds=40)
    table = critical_points.counts(made)
    found = {
        (p, share, name): (mean, critical)
        for p, share, name, mean, critical in zip(
            *(table[key] for key in ("p", "lam_over_tau", "penalty", "mean", "mean_critical")), strict=True
        )
    }
    assert found[1, 2.0, "SCAD, a = 3.7"] == (1, 1)
    assert found[2, 0.01, "l_1/2"][0] > found[2, 2.0, "l_1/2"][0]
    assert found[2, 2.0, "l_0"][0] <= 4
    assert found[2, 2.0, "SMART, proved"][0] <= 2
    assert all(row["exact"][name][k][2] == 0 for row in made for name in row["exact"] for k in (0, 1))


def test_one_step_is_one_shot_and_orthogonal_blocks_do_not_care():
    problem = gradual_pruning.random_problem(np.random.default_rng(0))
    assert problem.pruned(4.0, True, 1) == problem.pruned(gradual_pruning.ONE_SHOT, True)
    free = gradual_pruning.Quadratic(np.eye(12), np.arange(12.0), 3, 2)
    assert free.pruned(4.0, True, 3) == free.pruned(gradual_pruning.ONE_SHOT, True)
    assert free.share(free.fit(np.arange(12) >= 6)) == free.pruned(4.0, True, 3)


def test_tables_of_schedules_and_blocks():
    made = rows(pruning_schedules, problems=3, per_part=2, shapes=(0.0, 4.0), steps=(2,), blocks=(1, 4))
    table = pruning_schedules.schedules(made)
    gains = [row["gradual"]["2"][1] - row["one_shot"] for row in made]
    assert table["c"] == [0.0, 4.0]
    assert table["mean"][1] == pytest.approx(np.mean(gains))
    assert table["won"][1] == np.mean(np.array(gains) > 0)
    sizes = pruning_schedules.block_sizes(made)
    assert sizes["size"] == [1, 4]
    assert sizes["gradual"][0] == pytest.approx(np.mean([row["block_gradual"][0] for row in made]))


def test_hypotheses_of_smart_fail_where_they_should():
    tied = smart_hypotheses.observed(smart_trajectories.tied_instance())
    assert (tied["gap"], tied["leak"], tied["near"]) == (0, 0, 0)
    fast = smart_hypotheses.observed(smart_trajectories.fast_instance())
    assert (fast["settled"], fast["gap"], fast["near"], fast["changed"]) == (1, 1, 0, 0.0)


def test_a_real_trajectory_moves_whole_groups():
    case = smart_hypotheses.real_trajectory(np.random.default_rng(0), "breast_cancer", 60)
    assert case.groups.n_groups == 10
    assert case.kept.sum() == 3 * smart_hypotheses.KEPT_GROUPS
    assert np.linalg.eigvalsh(case.H)[-1] == pytest.approx(1)
    made = rows(smart_hypotheses, runs=2, per_part=1, steps=(3, 40), datasets=("breast_cancer",))
    table = smart_hypotheses.shares(made)
    both = {(s, T, w): n for s, T, w, n in zip(*(table[k] for k in ("source", "steps", "what", "trials")), strict=True)}
    assert both["breast_cancer", 40, "settled"] == 2
    with pytest.raises(ValueError, match="allowed are diabetes, breast_cancer, digits"):
        smart_hypotheses.quadratic("iris")
