"""Differentiable top-k: the soft operator with its certificate, what it is compared with, and temperature schedules."""

from .alternatives import CappedSimplexTopK, LapSumTopK, StraightThroughTopK
from .certificate import ThresholdCertificate
from .operator import SoftTopK, soft_topk
from .schedules import (
    AnnealingTemperature,
    ExponentialTemperature,
    InverseTemperature,
    LinearTemperature,
    temperature_for,
)

__all__ = [
    "AnnealingTemperature",
    "CappedSimplexTopK",
    "ExponentialTemperature",
    "InverseTemperature",
    "LapSumTopK",
    "LinearTemperature",
    "SoftTopK",
    "StraightThroughTopK",
    "ThresholdCertificate",
    "soft_topk",
    "temperature_for",
]
