"""One thread: these networks are too small for more.  Places where tensors lie, for the CUDA kernels."""

from __future__ import annotations

import pytest

from sparseopt._native import build_info


@pytest.fixture(autouse=True)
def _one_thread():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["emulator", pytest.param("cuda", marks=pytest.mark.gpu)])
def place(request, monkeypatch):
    """Where the tensors lie: on a CUDA device, or on the CPU, which `emulate` of the tests turns into one."""
    if request.param == "cuda":
        torch = pytest.importorskip("torch")
        if not build_info()["cuda_architectures"] or not torch.cuda.is_available():
            pytest.skip("no CUDA device, or CUDA was not compiled in")
        return "cuda"
    request.module.emulate(request.getfixturevalue("emulator"), monkeypatch)
    return "cpu"
