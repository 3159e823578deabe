"""The figures: every module fig_*.py, found by its name.

Such a module has draw(recorded, plt), caption(recorded), NAME and TITLE; one with several figures has FIGURES instead,
a dictionary of objects that have these.  CURVES, if there is one, says which curves of the theorem NAME are committed,
and every which row of them: {"shape": 10} commits every tenth row of the curve "shape".
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any


def _modules() -> list[Any]:
    names = [found.name for found in iter_modules([str(Path(__file__).parent)]) if found.name.startswith("fig_")]
    return [import_module(f".{name}", __package__) for name in names]


FIGURES: dict[str, Any] = {}
"""Theorem, solver in the plane, or measurement -> what draws its figure."""

CURVES: list[tuple[str, str, int]] = []
"""Theorem, curve, and which part of its rows is committed: every third, fourth, ..."""

for _module in _modules():
    FIGURES |= getattr(_module, "FIGURES", None) or {_module.NAME: _module}
    CURVES += [(_module.NAME, curve, step) for curve, step in getattr(_module, "CURVES", {}).items()]
