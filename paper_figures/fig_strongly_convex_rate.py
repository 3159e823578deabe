"""Rates of FISTA with constant momentum at condition 4."""

from __future__ import annotations

from typing import Any

from .rates import draw_rates
from .recorded import Recorded, prose

NAME = "strongly_convex_rate"
TITLE = "Linear convergence of FISTA with constant momentum"
CURVES = {"rates": 1, "proofs": 1}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Rates and shares."""
    return draw_rates(recorded, plt, NAME, "$(F(x_k)-F^*)\\,/\\,(F(x_0)-F^*+\\mu R^2/2)$", logarithmic=False)
