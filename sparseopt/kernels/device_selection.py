"""Soft top-k and the projections onto mask sets by CUDA kernels: queued on the current stream, nothing is waited for.

What the CPU refuses is seen in the result: rows without a solution are NaN, and the windows, tiles and blocks of
entries that are not finite stay as they are.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from .._native import projections, topk
from .._native.projections import Plane
from ..sets import NM, PatternLibrary, TopBlocks
from .blocks import block_norms
from .device import TYPES, stream_of, working_dtype
from .device_products import COMPILED
from .layout import Cut
from .updates import mask_blocks_into_

Tensor = torch.Tensor
SUFFIX = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16", torch.float16: "f16"}
LARGEST_WORK = 1 << 26
"""Bytes that a soft top-k may need beside its rows: many short ones need more, and go to the host."""


def usable(x: Tensor) -> bool:
    """Whether kernels for the device of x are there, and take its entries."""
    return COMPILED and x.device.type == "cuda" and x.dtype in TYPES and x.numel() > 0


def usable_soft_topk(x: Tensor) -> bool:
    """The same for the soft top-k of the rows of x [..., n]."""
    return usable(x) and topk.cuda_bytes(*_rows(x)) <= max(LARGEST_WORK, 4 * x.numel() * x.element_size())


def soft_topk(x: Tensor, k: int, tau: float) -> tuple[Tensor, Tensor, Tensor]:
    """(f, rows, work): the soft top-k of x [..., n], and what `soft_topk_vjp` needs.

    Half types are computed in float32.  A row with NaN, more +inf than k or too few entries above -inf is NaN.
    """
    rows = x.detach().to(working_dtype(x)).contiguous()
    shape, out = _rows(x), torch.empty_like(rows)
    work = torch.empty(topk.cuda_bytes(*shape), dtype=torch.uint8, device=x.device)
    codes = torch.empty(shape[0], dtype=torch.int32, device=x.device)
    addresses = (rows.data_ptr(), out.data_ptr(), work.data_ptr(), codes.data_ptr())
    topk.forward_cuda_ptr(*addresses, shape, k, tau, _dtype(rows), device=_index(x), stream=stream_of(x))
    return out.to(x.dtype), rows, work


def soft_topk_vjp(g: Tensor, rows: Tensor, work: Tensor, k: int, tau: float) -> Tensor:
    """The product of g [..., n] with the derivative of `soft_topk`."""
    given = g.to(rows.dtype).contiguous()
    out = torch.empty_like(given)
    addresses = (rows.data_ptr(), given.data_ptr(), out.data_ptr(), work.data_ptr())
    topk.backward_cuda_ptr(*addresses, _rows(rows), k, tau, _dtype(rows), device=_index(g), stream=stream_of(g))
    return out.to(g.dtype)


def takes(a_set: NM | PatternLibrary | TopBlocks, w: Tensor) -> bool:
    """Whether `project_into_` takes this set and w; ValueError where w does not fit the set."""
    if not usable(w) or not w.is_contiguous():
        return False
    a_set.check_fit(w)
    if isinstance(a_set, NM):
        return a_set.m <= projections.LARGEST_TILE
    return not isinstance(a_set, PatternLibrary) or a_set.tile[0] * a_set.tile[1] <= projections.LARGEST_TILE


def project_into_(out: Tensor, a_set: NM | PatternLibrary | TopBlocks, w: Tensor) -> None:
    """out <- the projection of w, both contiguous; out may be w."""
    cols = w.shape[-1]
    if isinstance(a_set, TopBlocks):
        cut, matrix = Cut(*a_set.block), w.detach().reshape(-1, cols)
        order = torch.sort(block_norms(matrix, cut).flatten(), descending=True, stable=True).indices
        kept = torch.zeros(len(order), dtype=torch.bool, device=w.device).index_fill_(0, order[: a_set.k], True)
        mask_blocks_into_(out.detach().view(-1, cols), matrix, kept.view(cut.grid(matrix)), cut)
        return
    plane = Plane(w.numel() // cols, cols, cols, cols, SUFFIX[w.dtype])
    where = {"device": _index(w), "stream": stream_of(w)}
    if isinstance(a_set, NM):
        projections.project_nm_cuda_ptr(w.data_ptr(), out.data_ptr(), plane, a_set.n, a_set.m, **where)
        return
    masks = _on_device(a_set.masks.masks.tobytes(), w.device)
    projections.project_library_cuda_ptr(w.data_ptr(), out.data_ptr(), plane, a_set.masks, masks.data_ptr(), **where)


@lru_cache(maxsize=32)
def _on_device(masks: bytes, device: torch.device) -> Tensor:
    return torch.from_numpy(np.frombuffer(masks, np.int64).copy()).to(device)


def _rows(x: Tensor) -> tuple[int, int]:
    return x.numel() // x.shape[-1], x.shape[-1]


def _dtype(rows: Tensor) -> np.dtype:
    return np.dtype(np.float64 if rows.dtype == torch.float64 else np.float32)


def _index(x: Tensor) -> int:
    return max(x.get_device(), 0)
