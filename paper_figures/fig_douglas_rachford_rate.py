"""Rates of Douglas-Rachford splitting."""

from __future__ import annotations

from typing import Any

from .rates import draw_rates
from .recorded import Recorded, prose

NAME = "douglas_rachford_rate"
TITLE = "The tight rate of Douglas-Rachford splitting"
CURVES = {"rates": 1, "proofs": 1}


def caption(recorded: Recorded) -> str:
    """What is seen, with the theorem and the seed."""
    return prose(f"{NAME}.txt", seed=recorded.verdict(NAME)["seed"])


def draw(recorded: Recorded, plt: Any) -> Any:
    """Rates and shares."""
    return draw_rates(recorded, plt, NAME, "$|s_{k+1}-s_k|^2\\,/\\,|s_0-s^*|^2$")
