"""Calls past the dispatcher: where nothing has to see them, and only there."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

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
