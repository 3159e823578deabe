"""Figure data of the rates: textbook bound, tight bound, its proof, and what runs do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import sparseopt as so

from ..theorem import Columns
from .composite_run import Run, slope_problem
from .tight_rates import STEPS, recorded, recorded_bound

LAST = 30
RUNS = 12


def composite_curves(
    seed: int,
    name: str,
    draw: Callable[[np.random.Generator], Run],
    textbook: Callable[[int], float],
    rate: Callable[[int], float],
    solver: Any,
) -> dict[str, Columns]:
    """rates: over k; observed: the largest (F(x_k) - F*) / (L R^2) of RUNS runs.  proofs: as `proofs`."""
    rng = np.random.default_rng(seed)
    runs = [draw(rng) for _ in range(RUNS)]
    shares = [np.maximum(r.excess, 0) / (r.problem.smoothness * r.distance**2) for r in runs]
    steps = list(range(1, LAST + 1))
    worst = []
    for k in steps:
        states = so.iterate(slope_problem(2 * rate(k)), solver, np.array([1.0, 0.0]))
        worst.append(2 * rate(k) * abs(float(next(itertools.islice(states, k, None)).w[0])))
    columns = {
        "k": steps,
        "textbook": [textbook(k) for k in steps],
        "tight": [rate(k) for k in steps],
        "worst_instance": worst,
        "observed": [max(float(share[k]) for share in shares) for k in steps],
    }
    return {"rates": columns, "proofs": proofs(name)}


def proofs(name: str) -> Columns:
    """Over the number of steps: the bound with an exact proof, and PEPit's number."""
    return {
        "k": list(range(1, STEPS + 1)),
        "proved": [float(recorded_bound(name, n)) for n in range(1, STEPS + 1)],
        "pepit": [row["pepit"] for row in recorded(name)],
    }
