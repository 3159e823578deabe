"""Calls past the dispatcher: where nothing has to see them, and only there."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.autograd import forward_ad  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from sparseopt import kernels  # noqa: E402


class Seen(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


def test_modes_see_the_operators():
    w, kept = torch.randn(4, 6), torch.zeros(2, 2, 1, dtype=torch.bool)
    with Seen() as seen:
        kernels.mask_blocks_(w, kept, (2, 3))
        kernels.block_norms(w, (2, 3))
    assert "sparseopt::mask_blocks_" in seen.names
    assert "sparseopt::block_norms" in seen.names
    assert not bool(w.any())


def test_changes_in_place_are_known_to_autograd():
    w = torch.randn(4, 6)
    x = torch.randn(6, requires_grad=True)
    product = w @ x  # keeps w for its derivative
    before = w._version
    kernels.mask_blocks_(w, torch.ones(2, 2, 1, dtype=torch.bool), (2, 3))
    assert w._version == before + 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.sum().backward()


def test_derivatives_are_taken_where_they_are_asked_for():
    w = torch.randn(4, 6, requires_grad=True)
    kernels.block_norms(w, (2, 3)).sum().backward()
    assert w.grad is not None
    with torch.no_grad():
        assert kernels.block_norms(w, (2, 3)).grad_fn is None
    assert kernels.block_norms(w.detach(), (2, 3)).grad_fn is None
    assert kernels.block_norms(w, (2, 3)).requires_grad


TANGENTS = {
    "block_norms": lambda w: kernels.block_norms(w, (2, 3)),
    "scale_blocks": lambda w: kernels.scale_blocks(w, torch.ones(2, 2, 1), (2, 3)),
    "mask_blocks_": lambda w: kernels.mask_blocks_(w, torch.ones(2, 2, 1, dtype=torch.bool), (2, 3)),
    "project_nm": lambda w: kernels.project_nm(w, 1, 2),
    "block_linear": lambda w: kernels.block_linear(w, kernels.BlockSparse.of(torch.ones(16, 6), 16)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch prepares its own formulas by torch.jit
@pytest.mark.parametrize("name", TANGENTS)
def test_tangents_are_refused_rather_than_dropped(name):
    w, d = torch.randn(4, 6), torch.randn(4, 6)
    with forward_ad.dual_level(), pytest.raises(RuntimeError, match=f"{name} has no forward-mode derivative"):
        TANGENTS[name](forward_ad.make_dual(w.clone(), d))
    with pytest.raises(RuntimeError, match=f"{name} has no forward-mode derivative"):
        torch.func.jvp(TANGENTS[name], (w.clone(),), (d,))
    with forward_ad.dual_level():  # of another tensor
        assert torch.equal(torch.as_tensor(TANGENTS[name](w.clone())), torch.as_tensor(TANGENTS[name](w.clone())))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tangents_of_soft_topk():
    x, d = torch.randn(30, dtype=torch.float64), torch.randn(30, dtype=torch.float64)
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(kernels.soft_topk(forward_ad.make_dual(x, d), 5, 0.3)).tangent
    step = 1e-6
    difference = (kernels.soft_topk(x + step * d, 5, 0.3) - kernels.soft_topk(x - step * d, 5, 0.3)) / (2 * step)
    torch.testing.assert_close(found, difference, rtol=0, atol=1e-7)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_traced_calls_run_anew():
    blocks = kernels.BlockSparse.of(torch.randn(20, 24), 16)
    x, y = torch.randn(3, 24), torch.randn(3, 24)
    traced = torch.jit.trace(lambda x: kernels.block_linear(x, blocks), (x,))
    assert torch.equal(traced(y), kernels.block_linear(y, blocks))
