"""Layers with a sparse weight: what `export` puts in the place of dense ones."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ...kernels import BlockSparse, block_linear
from ...kernels.layout import HALF

Tensor = torch.Tensor


class SparseLayer(nn.Module):
    """x [..., inputs] -> x W' + bias for a weight W [outputs, inputs] that is stored sparse, in buffers."""

    values: Tensor

    def __init__(self, w: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = w.shape
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())

    def product(self, x: Tensor) -> Tensor:
        """x W' + bias for x of the type of the weight."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """x W' + bias; under autocast in the type of the weight, and of the type that a dense layer would give."""
        device = x.device.type
        if not torch.is_autocast_enabled(device) or self.values.dtype == torch.float64:
            return self.product(x)
        with torch.autocast(device, enabled=False):
            return self.product(x.to(self.values.dtype)).to(torch.get_autocast_dtype(device))

    def extra_repr(self) -> str:
        """For print(model)."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class BlockSparseLinear(SparseLayer):
    """W in b x b blocks, b = 16, 32 or 64: the own product, compiled for float32 on the CPU and for CUDA.

    Differentiable in x.
    """

    starts: Tensor
    columns: Tensor

    def __init__(self, w: Tensor, bias: Tensor | None, b: int) -> None:
        super().__init__(w, bias)
        blocks = BlockSparse.of(w, b)
        self._checked: BlockSparse | None = None
        for name in ("values", "starts", "columns"):
            self.register_buffer(name, getattr(blocks, name))

    @property
    def blocks(self) -> BlockSparse:
        """The weight; checked once for the tensors that are there."""
        if torch.compiler.is_compiling():
            return BlockSparse(self.values, self.starts, self.columns, self.out_features, self.in_features)
        known = self._checked
        if known is None or known.values is not self.values or known.columns is not self.columns:
            known = BlockSparse(self.values, self.starts, self.columns, self.out_features, self.in_features)
            self._checked = known
        return known

    @property
    def weight(self) -> Tensor:
        """The dense weight, formed at each access."""
        return self.blocks.dense()

    def product(self, x: Tensor) -> Tensor:
        """x W' + bias."""
        return block_linear(x, self.blocks, self.bias)


class CompressedLinear(SparseLayer):
    """W in a format of torch: "csr", or "bsr" in b x b blocks that divide it; for inference."""

    rows: Tensor
    columns: Tensor

    def __init__(self, w: Tensor, bias: Tensor | None, layout: str, b: int = 0) -> None:
        super().__init__(w, bias)
        with warnings.catch_warnings():  # torch warns once that these formats are in beta state
            warnings.simplefilter("ignore", UserWarning)
            sparse = w.detach().to_sparse_csr() if layout == "csr" else w.detach().to_sparse_bsr((b, b))
            self.register_buffer("values", sparse.values().clone())
            self.register_buffer("rows", sparse.crow_indices().to(torch.int32))
            self.register_buffer("columns", sparse.col_indices().to(torch.int32))
            self._matrix()

    def _matrix(self) -> Tensor:
        return _compressed(self.values, self.rows, self.columns, self.out_features, self.in_features)

    @property
    def weight(self) -> Tensor:
        """The dense weight, formed at each access."""
        return self._matrix().to_dense()

    def product(self, x: Tensor) -> Tensor:
        """(W x')' + bias: torch's own linear is several times slower with these formats."""
        x2 = x.reshape(-1, self.in_features)
        given = (self.values, self.rows, self.columns, x2, self.out_features)
        y = torch.ops.sparseopt.compressed(*given) if torch.compiler.is_compiling() else _product(*given)
        y = y.contiguous() if self.bias is None else torch.add(y, self.bias).contiguous()
        return y.view(*x.shape[:-1], self.out_features)


def _compressed(values: Tensor, rows: Tensor, columns: Tensor, outputs: int, inputs: int) -> Tensor:
    """The matrix in blocks, where values are, or in single entries."""
    build: Any = torch.sparse_bsr_tensor if values.ndim == 3 else torch.sparse_csr_tensor
    return build(rows, columns, values, size=(outputs, inputs), check_invariants=False)


def _product(values: Tensor, rows: Tensor, columns: Tensor, x: Tensor, outputs: int) -> Tensor:
    """x W' of x [n, inputs]; half types on the host in float32, as torch has no such product for them."""
    if x.is_cpu and x.dtype in HALF and values.dtype == x.dtype:
        return _product(values.float(), rows, columns, x.float(), outputs).to(x.dtype)
    return (_compressed(values, rows, columns, outputs, x.shape[1]) @ x.t()).t()


@torch.library.custom_op("sparseopt::compressed", mutates_args=())
def _compiled_product(values: Tensor, rows: Tensor, columns: Tensor, x: Tensor, outputs: int) -> Tensor:
    return _product(values, rows, columns, x, outputs).contiguous()  # compilers do not know these formats


@_compiled_product.register_fake
def _(values: Tensor, rows: Tensor, columns: Tensor, x: Tensor, outputs: int) -> Tensor:
    return x.new_empty(x.shape[0], outputs)


class SemiStructuredLinear(SparseLayer):
    """W with at most two of each four consecutive inputs, packed for sparse tensor cores: half types on CUDA."""

    def __init__(self, w: Tensor, bias: Tensor | None) -> None:
        super().__init__(w, bias)
        packed: Any = torch.sparse.to_sparse_semi_structured(w.detach().contiguous())
        self.packed = nn.Parameter(packed, requires_grad=False)

    @property
    def weight(self) -> Tensor:
        """The dense weight, formed at each access."""
        return self.packed.to_dense()

    def forward(self, x: Tensor) -> Tensor:
        """x W' + bias."""
        return functional.linear(x, self.packed, self.bias)


class BalancedLinear(SparseLayer):
    """W in b x b blocks, equally many in each block row: a gather and a batched product, which ONNX has too.

    values [outputs / b, b, kept * b]: the kept blocks of each block row side by side; index [outputs / b * kept]: their
    block columns.  Rows with fewer blocks are filled up with zeros.
    """

    index: Tensor

    def __init__(self, w: Tensor, bias: Tensor | None, b: int) -> None:
        super().__init__(w, bias)
        self.b = b
        down, across = w.shape[0] // b, w.shape[1] // b
        tiles = w.detach().reshape(down, b, across, b).transpose(1, 2)
        kept = (tiles != 0).flatten(2).any(dim=2)
        count = max(1, int(kept.sum(dim=1).max()))
        index = kept.int().argsort(dim=1, descending=True, stable=True)[:, :count].sort(dim=1).values
        chosen = tiles[torch.arange(down, device=w.device)[:, None], index]
        self.register_buffer("values", chosen.transpose(1, 2).reshape(down, b, count * b).contiguous())
        self.register_buffer("index", index.flatten())

    @property
    def weight(self) -> Tensor:
        """The dense weight, formed at each access."""
        down, b = len(self.values), self.b
        tiles = self.values.new_zeros(down, self.in_features // b, b, b)
        chosen = self.values.reshape(down, b, -1, b).transpose(1, 2)
        tiles[torch.arange(down, device=tiles.device)[:, None], self.index.reshape(down, -1)] = chosen
        return tiles.transpose(1, 2).reshape(self.out_features, self.in_features)

    def product(self, x: Tensor) -> Tensor:
        """x W' + bias, of blocks of columns of x', which lie together in memory."""
        rows = x.reshape(-1, self.in_features).t().reshape(self.in_features // self.b, -1)
        parts = rows.index_select(0, self.index).reshape(len(self.values), self.values.shape[2], -1)
        y = torch.bmm(self.values, parts).reshape(self.out_features, -1).t()
        y = y.contiguous() if self.bias is None else torch.add(y, self.bias).contiguous()
        return y.reshape(*x.shape[:-1], self.out_features)


class BlockSparseConv2d(nn.Module):
    """A convolution as a product with its unfolded input: W [outputs, taps * inputs] in b x b blocks."""

    def __init__(self, conv: nn.Conv2d, b: int) -> None:
        super().__init__()
        self.kernel_size, self.stride = conv.kernel_size, conv.stride
        self.padding = (int(conv.padding[0]), int(conv.padding[1]))
        self.product = BlockSparseLinear(taps_first(conv), conv.bias, b)

    def forward(self, x: Tensor) -> Tensor:
        """x [N, C, H, W] or [C, H, W] -> the convolution, in channels-last memory."""
        if x.ndim == 3:
            return self(x[None])[0]
        (kh, kw), (sh, sw), (ph, pw) = self.kernel_size, self.stride, self.padding
        x = functional.pad(x, (pw, pw, ph, ph))
        patches = x.unfold(2, kh, sh).unfold(3, kw, sw).permute(0, 2, 3, 4, 5, 1)
        return self.product(patches.flatten(3)).permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        """For print(model)."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


def taps_first(conv: nn.Conv2d) -> Tensor:
    """The weight as [outputs, taps * inputs]: blocks of one tap stay blocks."""
    return conv.weight.detach().permute(0, 2, 3, 1).flatten(1)
