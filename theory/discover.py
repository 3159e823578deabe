"""Finds the theorems: every module of a subpackage that has a `THEOREM`."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from .theorem import Theorem


def theorems() -> tuple[Theorem, ...]:
    """All theorems, in the order of the ledger.  Raises ValueError where a name is not that of its file, or is double.

    Modules without a `THEOREM` hold what several theorems share.
    """
    here = Path(__file__).parent
    packages = [found.name for found in iter_modules([str(here)]) if found.ispkg]
    files = [f"{package}.{found.name}" for package in packages for found in iter_modules([str(here / package)])]
    found = {}
    for file in files:
        theorem = getattr(import_module(f".{file}", __package__), "THEOREM", None)
        if theorem is None:
            continue
        if file.rpartition(".")[2] != theorem.name:
            raise ValueError(
                f"theory/{file.replace('.', '/')}.py holds the theorem {theorem.name!r}: give both one name"
            )
        if theorem.name in found:
            raise ValueError(f"there are two theorems {theorem.name!r}: rename one and its file")
        found[theorem.name] = theorem
    return tuple(sorted(found.values(), key=_place))


def _place(theorem: Theorem) -> tuple[str, int, str]:
    """A2 comes before A10; what has no entry of this form comes last."""
    found = re.fullmatch(r"([A-Z])(\d+).*", theorem.ledger)
    return (found[1], int(found[2]), theorem.name) if found else ("~", 0, theorem.name)
