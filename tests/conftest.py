"""Settings of Hypothesis, the array libraries that every formula is run with, and the emulated CUDA kernels."""

from __future__ import annotations

import ctypes
import gc
import importlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from sparseopt._native import build_info

settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile("thorough", settings.get_profile("ci"), derandomize=False, max_examples=1000)
settings.load_profile("ci")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a test marked sample(every=k), the cases 0, k, 2k, ... are fast; the others slow.  `first` tests begin.

    Choose k without a common factor with the numbers of values of the parameters, so that each value is among the fast.
    """
    seen = Counter()
    for item in items:
        sample = item.get_closest_marker("sample")
        if sample is None:
            continue
        test = (item.parent.nodeid, item.originalname)
        if seen[test] % sample.kwargs["every"]:
            item.add_marker(pytest.mark.slow)
        seen[test] += 1
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


def pytest_collection_finish():
    """What was imported and collected lives to the end: the garbage collector need not look at it in every pass."""
    gc.freeze()


@pytest.fixture(params=["numpy", "torch", "array_api_strict"])
def xp(request):
    """Array namespace; `numpy.asarray` turns its arrays back."""
    if request.param == "array_api_strict":
        return pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return importlib.import_module(f"array_api_compat.{request.param}")


@pytest.fixture(scope="session")
def emulator():
    """The library with the emulated CUDA kernels, which the set-up builds beside the core."""
    path = Path(build_info()["file"]).with_name("_emulator.so")
    if not path.exists():
        pytest.skip("the emulator was not built (it is only in editable installs)")
    library = ctypes.CDLL(str(path))
    library.so_emulated_grid_work.restype = ctypes.c_int64
    library.so_emulated_topk_bytes.restype = ctypes.c_int64
    return library
