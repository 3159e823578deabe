"""Threads of the BLAS that NumPy and SciPy are linked with."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib import import_module
from typing import Any


def one_blas_thread() -> AbstractContextManager[object]:
    """BLAS on one thread, where threadpoolctl is installed: for a few hundred columns its threads only wait."""
    controller = _controller()
    return nullcontext() if controller is None else controller.limit(limits=1, user_api="blas")


@cache
def _controller() -> Any:
    """What knows the libraries, looked for once; None without threadpoolctl."""
    import scipy.linalg  # noqa: F401  # whose library is not NumPy's

    try:
        return import_module("threadpoolctl").ThreadpoolController()
    except ImportError:
        return None
