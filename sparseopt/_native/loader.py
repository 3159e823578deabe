"""Find the compiled extension, or say why there is none."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any


def _load() -> tuple[Any, str]:
    if os.environ.get("SPARSEOPT_DISABLE_NATIVE") == "1":
        return None, "switched off by SPARSEOPT_DISABLE_NATIVE=1"
    try:
        return importlib.import_module("._core", __package__), ""
    except ImportError as error:
        return None, f"not built, or built for another machine ({error})"


core, reason = _load()
"""The extension `_core` (None without it), and why it is missing ("" with it)."""

HAS_NATIVE: bool = core is not None


def _address(array: Any) -> int:
    return 0 if array is None else array.ctypes.data


address: Callable[[Any], int] = _address if core is None else core.address
"""Address of the first entry of a NumPy array [...], which the caller keeps alive; 0 for None."""


def build_info() -> dict[str, Any]:
    """What was built and what this machine offers.

    native: bool; reason: why not native, "" if it is; file; compiler; isa: instruction set in use;
    isa_available: 0 (baseline), 3 or 4 (x86-64-v3, -v4); cuda_architectures: list of str, empty without CUDA;
    threads: OpenMP's own choice.
    """
    if core is None:
        return {
            "native": False,
            "reason": reason,
            "file": None,
            "compiler": None,
            "isa": None,
            "isa_available": None,
            "cuda_architectures": [],
            "threads": 1,
        }
    return {
        "native": True,
        "reason": "",
        "file": core.__file__,
        "compiler": core.compiler(),
        "isa": core.isa_in_use(),
        "isa_available": core.isa_available(),
        "cuda_architectures": core.cuda_architectures().split(),
        "threads": core.threads(),
    }
