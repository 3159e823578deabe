"""Small recorded data in the formats that theory and experiments write."""

import copy
import csv
import json

import numpy as np

from theory import THEOREMS

QS = ("Power(1/2)", "Power(2/3)", "Log(1)", "Ratio", "ExpMask")


HYPOTHESES = [
    {"name": "subadditive", "statement": "q(a + b) <= q(a) + q(b)", "necessary": True, "why": ""},
    {"name": "minimiser", "statement": "b* is known", "necessary": False, "why": "it defines b*"},
]
COUNTEREXAMPLES = [
    {
        "drops": "subadditive",
        "title": "the exp mask",
        "why": "two groups cost less than one",
        "claim": "sum |u_g| <= R(u)",
        "separation": 0.2,
        "tolerance": 1e-30,
        "separated": True,
        "exact": True,
    }
]
FIXED = [
    {
        "name": "digits",
        "margin": 0.0,
        "tolerance": 1e-12,
        "passed": True,
        "evidence": "F_R(w) = F_GL(w)",
        "detail": "real data",
    },
    {
        "name": "diabetes",
        "margin": None,
        "tolerance": None,
        "passed": None,
        "evidence": "not run: no scikit-learn",
        "detail": "real data",
    },
]


def verdict_row(name, **changes):
    """A row of verdicts.json, with fields of its own."""
    row = {
        "name": name,
        "ledger": "A9",
        "title": f"Title of {name}",
        "source": "A paper, Theorem 1.1",
        "kind": "certified",
        "statement": r"For \lambda > 0: L + \lambda \sum_g \|u_g\| \ge 0",
        "printed": "holds",
        "verdict": "holds",
        "expected": "holds",
        "ok": True,
        "failure": "",
        "not_run": [],
        "revision": "ba9876543210",
        "versions": {"python": "3.11.1", "numpy": "2.1"},
        "instances": 1234,
        "rejected": 5,
        "worst_margin": -2.5e-17,
        "worst_seed": 987654321,
        "worst_claim": "F_R(w) <= F_GL(w)",
        "seed": 7,
        "n": 1239,
        "level": "standard",
        "seconds": 1.25,
        "tolerance": 4e-15,
        "hypotheses": HYPOTHESES,
        "counterexamples": COUNTEREXAMPLES,
        "fixed": FIXED,
        "attacks": {"tried": 4321, "below": 0},
        "certificates": {"asked": 1234, "proved": 1234},
    }
    return copy.deepcopy(row) | changes


def study_rows():
    rows = []
    for name in ("diabetes", "digits"):
        rows.append(
            {
                "type": "window",
                "dataset": name,
                "lambda_max": 0.5,
                "lower_ratio": 0.9,
                "upper_ratio": 1.0,
                "group": 2,
                "group_name": "bmi",
                "n_samples": 442,
                "n_features": 55,
                "n_groups": 10,
                "reason": "one group",
            }
        )
        for ratio, n_active in ((1.1, 0), (0.999, 1), (0.95, 1), (0.8, 1), (0.5, 2), (0.1, 7)):
            inside = 0.9 < ratio < 1
            row = {"type": "active", "dataset": name, "lam_ratio": ratio, "n_active": n_active, "in_window": inside}
            rows.append(row | {"gap": 1e-11, "verdict": "proved"})
        for rho in QS:
            proved = rho != "ExpMask"
            rows.append(
                {
                    "type": "certificate",
                    "dataset": name,
                    "rho": rho,
                    "lam_ratio": 0.95,
                    "n_active": 1,
                    "norm": 0.01,
                    "verdict": "proved" if proved else "undecided",
                    "lower": 0.0,
                    "upper": 1e-13 if proved else None,
                    "scale": 0.5,
                    "tol": 1e-9,
                    "distance": 1e-4 if proved else None,
                    "reason": "sandwich" if proved else "subadditivity is undecided",
                }
            )
            for k, attack in enumerate(("gaussian", "zero", "one other group", "two groups", "local descent") * 2):
                margin = 10.0 ** -(k % 5) if proved else 0.1 - 0.03 * k
                row = {"type": "competitor", "dataset": name, "rho": rho, "attack": attack, "margin": margin}
                lasso = margin / 2 if proved else margin + 0.1
                row |= {"margin_group_lasso": lasso, "allowance": 1e-12, "distance": 0.1 * (k + 1), "n_active": 2}
                rows.append(row)
    return rows


def plane_rows():
    """Rows of the study two_groups: two paths, a grid and a resting point for every solver."""
    axis = [-0.5, 0.0, 0.5, 1.0]
    value = [(x - 0.7) ** 2 + x * y + y**2 for y in axis for x in axis]
    rows = []
    for figure in ("admm", "iht", "srste", "group_omp", "ompr", "mask_descent"):
        labels = ("Hoff product", "exp mask") if figure == "mask_descent" else ("loss",)
        for label in labels:
            rows.append({"type": "grid", "figure": figure, "label": label, "axis": axis, "value": value})
            rows.append({"type": "resting", "figure": figure, "label": label, "points": [[0.7, 0.0]]})
        for k in range(2):
            label = labels[k] if len(labels) > 1 else f"setting {k}"
            w = [[0.9 - 0.1 * k, 0.5], [0.8, 0.2 * k], [0.7, 0.0]]
            path = {"type": "path", "figure": figure, "label": label, "w": w, "other": [[0.9, 0.6], *w[1:]]}
            rows.append(path | {"trace": [1.0, 0.5, 0.25 + k], "caution": None})
    return rows


def write_study(folder, rows, *, closed=True, study="one_group_window", seed=5):
    header = {
        "study": study,
        "seed": seed,
        "config": {"seed": seed},
        "revision": "0123456789ab",
        "versions": {"numpy": "2.0"},
        "device": "x86_64 CPU",
    }
    ending = [{"type": "run", "parts": 1, "seconds": 0.1}] if closed else []
    path = folder / "experiments" / f"{study}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(header | {"key": f"aaa/{i}", "rows_in_part": 1} | row) for i, row in enumerate(rows + ending)]
    path.write_text("\n".join(lines) + "\n")


def write_curve(folder, name, columns):
    path = folder / "theory" / "curves" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        rows = zip(*columns.values(), strict=True)
        writer.writerows([value if isinstance(value, str) else repr(float(value)) for value in row] for row in rows)


def curves():
    axis = np.linspace(-0.3, 0.9, 13)
    x, y = (grid.ravel() for grid in np.meshgrid(axis, axis))
    lasso = ((x - 1) ** 2 + (y - 0.7) ** 2) / 2 + 0.5 * (abs(x) + abs(y))
    t, distance = np.linspace(0, 3, 31), np.geomspace(1e-3, 1, 12)
    ratios = np.linspace(1.1, 0.2, 10)
    return {
        "one_group_global_optimum.contour": {"x": x, "y": y, "inverse_sum": lasso + abs(x * y), "group_lasso": lasso},
        "one_group_global_optimum.margins": {
            "q": ["sqrt", "log"] * 6,
            "distance": distance,
            "excess": [*distance[:-2] ** 1.5, np.inf, 0.0],
            "bound": distance**2 / 10,
        },
        "inverse_sum_dominates.range_holes": {"t": t}
        | {name: t + i for i, name in enumerate(("ratio", "tanh", "jump", "staircase"))},
        "inverse_sum_dominates.inverse": {"y": t}
        | {name: np.where(t < 2, t, np.inf) for name in ("ratio", "tanh", "jump", "staircase")},
        "lambda_window.active_groups": {
            "lam_over_tau": ratios,
            "active_groups": np.arange(10) // 2,
            "window_lower_over_tau": np.full(10, 0.7),
        },
        "lambda_window.widths": {
            "strong_convexity": distance / 10,
            "explicit": distance / 3,
            "observed": np.minimum(distance, 1),
        },
    }


def add_curves(folder, name):
    """The curves of a theorem for which there are none above, as theory makes them at seed 7."""
    theorem = next((t for t in THEOREMS if t.name == name), None)
    if theorem is None or any(curve.startswith(f"{name}.") for curve in curves()):
        return
    for curve, columns in theorem.curves(7).items():
        write_curve(folder, f"{name}.{curve}", columns)
