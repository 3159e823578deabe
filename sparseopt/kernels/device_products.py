"""The product with a block-sparse matrix by CUDA kernels: addresses and orders of blocks, all on the device."""

from __future__ import annotations

import torch

from .._native import HAS_NATIVE, build_info, cuda
from .device import TYPES, stream_of

Tensor = torch.Tensor

COMPILED = HAS_NATIVE and bool(build_info()["cuda_architectures"])


def usable(x: Tensor, values: Tensor) -> bool:
    """Whether kernels take x [..., .] and these values."""
    same = x.dtype == values.dtype and x.device == values.device
    return COMPILED and same and x.device.type == "cuda" and x.dtype in TYPES and x.numel() > 0


def product(x: Tensor, values: Tensor, starts: Tensor, columns: Tensor, bias: Tensor | None, rows: int) -> Tensor:
    """x [..., cols] W' + bias, for W [rows, cols] stored as `BlockSparse`."""
    return _run(x, values, (starts, columns, None), bias, rows)


def product_transposed(g: Tensor, values: Tensor, starts: Tensor, columns: Tensor, cols: int) -> Tensor:
    """g [..., rows] W, for W [rows, cols] stored as `BlockSparse`."""
    return _run(g, values, by_columns(starts, columns, -(-cols // values.shape[1])), None, cols)


def by_columns(starts: Tensor, columns: Tensor, across: int) -> tuple[Tensor, Tensor, Tensor]:
    """(starts, block rows, order), int32: blocks order[starts[c]], ... lie in block column c, from the first row on."""
    row = torch.arange(len(starts) - 1, dtype=torch.int32, device=starts.device)
    row = row.repeat_interleave((starts[1:] - starts[:-1]).long(), output_size=len(columns))
    sorted_columns, order = torch.sort(columns, stable=True)
    bounds = torch.arange(across + 1, dtype=columns.dtype, device=columns.device)
    return torch.searchsorted(sorted_columns, bounds, out_int32=True), row[order], order.to(torch.int32)


def _run(
    x: Tensor, values: Tensor, blocks: tuple[Tensor, Tensor, Tensor | None], bias: Tensor | None, outputs: int
) -> Tensor:
    inputs = x.shape[-1]
    x, y = x.contiguous(), x.new_empty(*x.shape[:-1], outputs)
    bias = None if bias is None else bias.contiguous()
    tensors = (values, x, bias, y, *blocks)
    addresses = tuple(0 if tensor is None else tensor.data_ptr() for tensor in tensors)
    sizes = (x.numel() // inputs, outputs, inputs, values.shape[1], len(values))
    call = cuda.ProductCall(TYPES[x.dtype], blocks[2] is not None, addresses, sizes)  # type: ignore[arg-type]
    cuda.launch_product(call, device=max(x.get_device(), 0), stream=stream_of(x))
    return y
