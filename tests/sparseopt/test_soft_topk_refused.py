"""What the soft top-k and its alternatives refuse."""

from __future__ import annotations

import numpy as np
import pytest

import sparseopt as so


@pytest.mark.parametrize("changed", ["x", "out"])
def test_changes_before_the_backward_pass_are_noticed(changed):
    arrays = {"x": np.random.default_rng(0).normal(size=50), "out": np.empty(50)}
    op = so.SoftTopK(25, 1.0)
    op(arrays["x"], out=arrays["out"])
    if changed == "x":
        op = so.SoftTopK(25, 1.0)
        op(arrays["x"])
    arrays[changed] *= 1.5
    for derivative in (lambda: op.vjp(np.ones(50)), op.derivative_k, op.derivative_tau):
        with pytest.raises(ValueError, match="changed"):
            derivative()


@pytest.mark.parametrize("k", [-1, 4, 1.5, 1.0, True, None, "1", np.nan])
def test_bad_k(k):
    with pytest.raises(ValueError, match="k is"):
        so.soft_topk(np.arange(3.0), k, 1.0)


@pytest.mark.parametrize("tau", [0, -1.0, np.nan, np.inf, 1e-300, None, "1", [1.0, 2.0]])
def test_bad_temperature(tau):
    with pytest.raises(ValueError, match="tau is"):
        so.soft_topk(np.arange(3.0), 1, tau)


@pytest.mark.parametrize(
    "x",
    [np.float64(1.0), np.zeros(0), np.zeros((0, 3)), np.array(["a"]), np.ones(3, complex), np.array([object()])],
    ids=lambda x: f"{x.dtype}{list(np.shape(x))}",
)
@pytest.mark.parametrize("kind", [so.SoftTopK, so.LapSumTopK, so.CappedSimplexTopK, so.StraightThroughTopK])
def test_bad_arrays(kind, x):
    op = kind(0) if kind is so.StraightThroughTopK else kind(0, 1.0)
    with pytest.raises(ValueError, match="x "):
        op(x)


@pytest.mark.parametrize("kind", ["bfloat16", "requires_grad"])
def test_tensors_that_numpy_does_not_take(kind):
    torch = pytest.importorskip("torch")
    x = torch.ones(3, dtype=torch.bfloat16) if kind == "bfloat16" else torch.ones(3, requires_grad=True)
    with pytest.raises(ValueError, match=r"sparseopt\.kernels\.soft_topk"):
        so.soft_topk(x, 1, 1.0)
    with pytest.raises(ValueError, match="one shape"):
        so.soft_topk([[1.0, 2.0], [3.0]], 1, 1.0)


def test_bad_out_and_bad_gradients():
    x, op = np.arange(4.0), so.SoftTopK(2, 1.0)
    read_only = np.empty(4)
    read_only.flags.writeable = False
    for _ in range(2):  # the second time the operator has a state
        for out in (x, x[::-1], np.empty(3), np.empty(4, np.float32), [0.0] * 4, read_only):
            with pytest.raises(ValueError, match="out "):
                op(x, out=out)
        f = np.empty(4)
        op(x, out=f)
        for out in (x, f, np.empty(5), read_only):
            with pytest.raises(ValueError, match="out "):
                op.vjp(np.ones(4), out=out)
        with pytest.raises(ValueError, match="g is"):
            op.vjp(np.ones(3))
    with pytest.raises(ValueError, match="threads"):
        so.SoftTopK(2, 1.0, threads=0)
