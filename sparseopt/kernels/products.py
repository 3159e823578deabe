"""The product with a block-sparse matrix as a torch operator: compiled for float32 on the CPU and for CUDA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from .._native import HAS_NATIVE
from .._native.products import SIDES, product_ptr, product_transposed_ptr
from . import device_products
from .operators import operator
from .reference import block_sums

Tensor = torch.Tensor


@dataclass(frozen=True)
class BlockSparse:
    """A matrix W [rows, cols] of which only the blocks that are not 0 are stored; b = 16, 32 or 64 is their side.

    values [count, b, b]: entry (i, o) of a block is W[row + o, column + i]; blocks cut off at the border are stored
    whole, with zeros.  starts [ceil(rows / b) + 1], int32: the blocks of block row r are starts[r], ...,
    starts[r + 1] - 1.  columns [count], int32: their block columns.
    """

    values: Tensor
    starts: Tensor
    columns: Tensor
    rows: int
    cols: int

    def __post_init__(self) -> None:
        b = checked_side(self.values.shape[-1])
        fit = self.values.shape == (len(self.columns), b, b) and self.starts.shape == (-(-self.rows // b) + 1,)
        tensors = (self.values, self.starts, self.columns)
        integers = self.starts.dtype == self.columns.dtype == torch.int32
        if not fit or not integers or not all(tensor.is_contiguous() for tensor in tensors):
            raise ValueError(
                "values, starts and columns do not belong together or are not contiguous: build them by BlockSparse.of"
            )

    @classmethod
    def of(cls, w: Tensor, b: int) -> BlockSparse:
        """The blocks of W [rows, cols] that have an entry other than 0 (NaN is one)."""
        tiles = _tiles(w.detach(), checked_side(b))
        kept = (tiles != 0).any(dim=(2, 3))
        starts = torch.zeros(len(kept) + 1, dtype=torch.int32, device=w.device)
        starts[1:] = kept.sum(dim=1).cumsum(0)
        return cls(tiles[kept].contiguous(), starts, kept.nonzero()[:, 1].to(torch.int32), *w.shape)

    def dense(self) -> Tensor:
        """W [rows, cols]."""
        b = self.values.shape[-1]
        w = self.values.new_zeros(len(self.starts) - 1, -(-self.cols // b), b, b)
        w[_rows_of(self.starts, len(self.values)), self.columns.long()] = self.values
        return w.permute(0, 3, 1, 2).reshape(w.shape[0] * b, -1)[: self.rows, : self.cols]


def checked_side(b: Any) -> int:
    """`b`; ValueError unless it is 16, 32 or 64."""
    if b not in SIDES:
        raise ValueError(f"the side of the blocks is {b!r}: allowed are 16, 32 and 64")
    return int(b)


def kept_blocks(w: Tensor, b: int) -> int:
    """How many b x b blocks of W [rows, cols] have an entry other than 0."""
    from .layout import Cut

    return int((block_sums((w.detach() != 0).float(), Cut(b, b)) > 0).sum())


def block_linear(x: Tensor, w: BlockSparse, bias: Tensor | None = None) -> Tensor:
    """x [..., cols] W' + bias [rows], differentiable in x and the bias: `torch.nn.functional.linear` for a sparse W.

    On the CPU in float32 and on CUDA devices compiled, the same bits for any number of threads and in every run;
    elsewhere a gather, a batched product and a sum.  W cannot be trained: RuntimeError in the backward pass where its
    values need a gradient.
    Raises ValueError for tensors that do not fit.
    """
    _check(x, w.values, w.cols, "x")
    if bias is not None and (bias.shape != (w.rows,) or bias.dtype != x.dtype):
        raise ValueError(f"bias is {bias.dtype} {tuple(bias.shape)}: it must be {x.dtype} [{w.rows}]")
    return _block_linear(x, w.values, w.starts, w.columns, bias, w.rows)


def block_linear_transposed(g: Tensor, w: BlockSparse) -> Tensor:
    """g [..., rows] W, differentiable in g: what `block_linear` makes of a gradient on its way to x."""
    _check(g, w.values, w.rows, "g")
    return _transposed(g, w.values, w.starts, w.columns, w.cols)


def _check(x: Tensor, values: Tensor, size: int, name: str) -> None:
    """ValueError unless x [..., size] is like the values of the matrix."""
    shape = x.shape
    if not shape or shape[-1] != size or x.dtype != values.dtype or x.device != values.device:
        raise ValueError(
            f"{name} is {x.dtype} {tuple(shape)} on {x.device}: the matrix takes {values.dtype} [..., {size}] on "
            f"{values.device}"
        )


def _tiles(w: Tensor, b: int) -> Tensor:
    """W as [block rows, block columns, in, out], with zeros beyond its border."""
    down, across = -(-w.shape[0] // b), -(-w.shape[1] // b)
    padded = w.new_zeros(down * b, across * b)
    padded[: w.shape[0], : w.shape[1]] = w
    return padded.reshape(down, b, across, b).permute(0, 2, 3, 1)


def _rows_of(starts: Tensor, count: int) -> Tensor:
    """Block row of each block [count], int64."""
    row = torch.arange(len(starts) - 1, device=starts.device)
    return row.repeat_interleave((starts[1:] - starts[:-1]).long(), output_size=count)


def _compiled(x: Tensor, values: Tensor) -> bool:
    return HAS_NATIVE and values.dtype == x.dtype == torch.float32 and x.device.type == values.device.type == "cpu"


def _summed(x: Tensor, matrices: Tensor, source: Tensor, target: Tensor, size: int) -> Tensor:
    """The formula: y [n, size] with block target[q] of it the sum of block source[q] of x [n, .] times matrices[q]."""
    b = matrices.shape[-1]
    blocks = -(-x.shape[1] // b)
    padded = torch.nn.functional.pad(x, (0, blocks * b - x.shape[1])).reshape(-1, blocks, b)
    products = torch.bmm(padded[:, source].transpose(0, 1), matrices)
    y = x.new_zeros(-(-size // b), len(x), b).index_add_(0, target, products)
    return y.transpose(0, 1).reshape(len(x), y.shape[0] * b)[:, :size]


@operator("block_linear")
def _block_linear(x: Tensor, values: Tensor, starts: Tensor, columns: Tensor, bias: Tensor | None, rows: int) -> Tensor:
    if device_products.usable(x, values):
        return device_products.product(x, values, starts, columns, bias, rows)
    if not _compiled(x, values):
        flat = x.reshape(-1, x.shape[-1])
        y = _summed(flat, values, columns.long(), _rows_of(starts, len(values)), rows)
        return (y if bias is None else y + bias).reshape(*x.shape[:-1], rows).contiguous()
    cols: int = x.shape[-1]
    x, y = x.contiguous(), x.new_empty(*x.shape[:-1], rows)
    bias = None if bias is None else bias.contiguous()
    w = (values.data_ptr(), starts.data_ptr(), columns.data_ptr(), rows, cols, values.shape[1], len(values))
    address = 0 if bias is None else bias.data_ptr()
    product_ptr(w, x.data_ptr(), address, y.data_ptr(), x.numel() // cols, threads=torch.get_num_threads())
    return y


@operator("block_linear_transposed")
def _transposed(g: Tensor, values: Tensor, starts: Tensor, columns: Tensor, cols: int) -> Tensor:
    if device_products.usable(g, values):
        return device_products.product_transposed(g, values, starts, columns, cols)
    if not _compiled(g, values):
        flat, source = g.reshape(-1, g.shape[-1]), _rows_of(starts, len(values))
        y = _summed(flat, values.transpose(1, 2), source, columns.long(), cols)
        return y.reshape(*g.shape[:-1], cols).contiguous()
    rows: int = g.shape[-1]
    g, y = g.contiguous(), g.new_empty(*g.shape[:-1], cols)
    w = (values.data_ptr(), starts.data_ptr(), columns.data_ptr(), rows, cols, values.shape[1], len(values))
    product_transposed_ptr(w, g.data_ptr(), y.data_ptr(), g.numel() // rows, threads=torch.get_num_threads())
    return y


@_block_linear.register_fake
def _(x: Tensor, values: Tensor, starts: Tensor, columns: Tensor, bias: Tensor | None, rows: int) -> Tensor:
    return x.new_empty(*x.shape[:-1], rows)


@_transposed.register_fake
def _(g: Tensor, values: Tensor, starts: Tensor, columns: Tensor, cols: int) -> Tensor:
    return g.new_empty(*g.shape[:-1], cols)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, values, starts, columns, _, _ = inputs
    ctx.save_for_backward(values, starts, columns)
    ctx.cols = x.shape[-1]


def _backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    _refuse_training(ctx)
    x = _transposed(g, *ctx.saved_tensors, ctx.cols) if ctx.needs_input_grad[0] else None
    bias = g.reshape(-1, g.shape[-1]).sum(0) if ctx.needs_input_grad[4] else None
    return x, None, None, None, bias, None


def _keep_transposed(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    g, values, starts, columns, _ = inputs
    ctx.save_for_backward(values, starts, columns)
    ctx.rows = g.shape[-1]


def _backward_transposed(ctx: Any, x: Tensor) -> tuple[Tensor | None, ...]:
    _refuse_training(ctx)
    return _block_linear(x, *ctx.saved_tensors, None, ctx.rows), None, None, None, None


def _refuse_training(ctx: Any) -> None:
    if ctx.needs_input_grad[1]:
        raise RuntimeError("the values of a block-sparse matrix have no gradient: train the dense weight, then export")


_block_linear.register_autograd(_backward, setup_context=_keep)
_transposed.register_autograd(_backward_transposed, setup_context=_keep_transposed)
