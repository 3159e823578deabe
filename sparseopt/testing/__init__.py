"""Batteries: properties of penalties, sets, losses, solvers and top-k operators, run on objects of your own."""

from .check import check_datafit, check_penalty, check_set, check_solver, check_topk
from .pytest_items import each_property
from .record import BatteryFailed, Record

__all__ = [
    "BatteryFailed",
    "Record",
    "check_datafit",
    "check_penalty",
    "check_set",
    "check_solver",
    "check_topk",
    "each_property",
]
