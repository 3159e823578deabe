"""Rates of FISTA."""

from __future__ import annotations

from typing import Any

from .rates import draw_rates
from .recorded import Recorded, prose

NAME = "fista_rate"
TITLE = "The tight rate of FISTA"
CURVES = {"rates": 1, "proofs": 1}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Rates and shares."""
    return draw_rates(recorded, plt, NAME, "$(F(x_k)-F^*)\\,/\\,(L R^2)$")
