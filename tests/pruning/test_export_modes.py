"""Exported layers where dense ones work too: autocast, half types, inference mode, compilers, empty batches."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from sparseopt.pruning import export  # noqa: E402
from sparseopt.pruning.deploy import timing  # noqa: E402

FORMATS = ["sparse", "bsr", "csr", "balanced"]


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch):
    monkeypatch.setattr(timing, "MOST", 1)


def model(dtype=torch.float32):
    """Two sparse layers around a dense one; 2 of 4 blocks in each row."""
    torch.manual_seed(0)
    first, second = nn.Linear(64, 64), nn.Linear(64, 64)
    with torch.no_grad():
        for layer in (first, second):
            layer.weight[:32, 32:] = 0
            layer.weight[32:, :32] = 0
    return nn.Sequential(first, nn.Linear(64, 64), second).to(dtype)


def exported(dense, target, dtype=torch.float32):
    return export(dense, target, torch.randn(4, 64, dtype=dtype), least_speedup=0)


@pytest.mark.parametrize("target", FORMATS)
def test_as_the_dense_model_in_every_mode(target):
    dense = model()
    fast = exported(dense, target)
    assert [row.target.split()[0] for row in fast.export_report.rows] == [target, "dense", target]
    for shape in [(64,), (0, 64), (1, 64), (2, 3, 64), (2, 0, 64)]:
        x = torch.randn(shape)
        with torch.inference_mode():
            torch.testing.assert_close(fast(x), dense(x), rtol=0, atol=1e-5)
    x = torch.randn(8, 64)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        found, expected = fast(x), dense(x)
    torch.testing.assert_close(
        found, expected, rtol=0, atol=0.05
    )  # of type bfloat16, some roundings of numbers below 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("target", FORMATS)
def test_cast_to_half_types_behind_the_export(target, dtype):
    fast = exported(model(), target)[0].to(dtype)
    x, w, bias = torch.randn(5, 64).to(dtype), fast.weight.double(), fast.bias.double()
    with torch.no_grad():
        found = fast(x)
    assert found.dtype == dtype
    size = x.double().abs() @ w.abs().T + bias.abs()
    rounding = (torch.finfo(dtype).eps + 64 * torch.finfo(torch.float32).eps) * size  # of product and sum; of 64 terms
    assert bool(((found.double() - x.double() @ w.T - bias).abs() <= rounding).all())


@pytest.mark.slow
@pytest.mark.parametrize("target", FORMATS)
def test_compiled_as_one_graph(target):
    dense = model()
    compiled = torch.compile(exported(dense, target), backend="aot_eager", fullgraph=True)
    x = torch.randn(8, 64)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), dense(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_types(dtype):
    dense = model(dtype)
    x = torch.randn(8, 64, dtype=dtype)
    for target in ("auto", "csr", "bsr"):
        fast = exported(dense, target, dtype)
        with torch.no_grad():
            torch.testing.assert_close(fast(x), dense(x), rtol=0, atol=1e-10 if dtype == torch.float64 else 0.05)
        if dtype == torch.float64:
            with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
                assert fast(x).dtype == dense(x).dtype


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_the_own_product_on_a_device(dtype):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    layer = nn.Linear(96, 64, device="cuda", dtype=dtype)
    with torch.no_grad():
        layer.weight[:32] = 0
        layer.weight[:, :32] = 0
    x = torch.randn(8, 96, device="cuda", dtype=dtype)
    found = export(layer, "sparse", x, least_speedup=0)
    assert found.export_report.rows[0].target.startswith("sparse")
    torch.testing.assert_close(found(x), layer(x), rtol=2e-2, atol=96 * torch.finfo(dtype).eps)
