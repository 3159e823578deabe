"""Projections onto mask sets as torch operators: faces of `sparseopt.sets`, which hold the formulas.

On a CUDA device nothing is waited for: NaN and infinite entries are not refused there, their windows, tiles and blocks
stay as they are.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch

from ..sets import NM, PatternLibrary, TopBlocks
from . import device_selection
from .operators import operator
from .reference import working

Tensor = torch.Tensor


def project_nm(w: Tensor, n: int, m: int) -> Tensor:
    """The n largest magnitudes of each m consecutive entries of w [..., C], others 0: `sets.NM(n, m)`."""
    return _project_nm(w, n, m)


def project_nm_(w: Tensor, n: int, m: int) -> Tensor:
    """`project_nm` in place."""
    _project_nm_in_place(w, n, m)
    return w


def project_patterns(w: Tensor, patterns: Any) -> Tensor:
    """In each tile of w [..., R, C] the one of patterns [K, r, c] with the largest energy: `sets.PatternLibrary`."""
    return _project_patterns(w, _patterns(patterns))


def project_patterns_(w: Tensor, patterns: Any) -> Tensor:
    """`project_patterns` in place."""
    _project_patterns_in_place(w, _patterns(patterns))
    return w


def project_top_blocks(w: Tensor, k: int, block: tuple[int, int]) -> Tensor:
    """The k blocks r x c of w [..., R, C] with the largest norms, others 0: `sets.TopBlocks(k, block)`."""
    return _project_top_blocks(w, k, *block)


def project_top_blocks_(w: Tensor, k: int, block: tuple[int, int]) -> Tensor:
    """`project_top_blocks` in place."""
    _project_top_blocks_in_place(w, k, *block)
    return w


def _patterns(patterns: Any) -> Tensor:
    return patterns if isinstance(patterns, torch.Tensor) else torch.as_tensor(np.asarray(patterns, dtype=bool).copy())


@lru_cache(maxsize=16)
def _library(shape: tuple[int, ...], packed: bytes) -> PatternLibrary:
    """The library of these patterns: its masks are prepared once."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=int(np.prod(shape)))
    return PatternLibrary(bits.reshape(shape).astype(bool))


def _library_of(patterns: Tensor) -> PatternLibrary:
    array = patterns.cpu().numpy().astype(bool)
    return _library(array.shape, np.packbits(array).tobytes())


def _projected(a_set: Any, w: Tensor) -> Tensor:
    source = w.contiguous()
    if device_selection.takes(a_set, source):
        out = torch.empty_like(source)
        device_selection.project_into_(out, a_set, source)
        return out
    return a_set.project(working(w).contiguous()).to(w.dtype)


def _project_in_place(a_set: Any, w: Tensor) -> None:
    if device_selection.takes(a_set, w):
        device_selection.project_into_(w, a_set, w)
    elif working(w) is w and w.is_contiguous():
        a_set.project(w.detach(), out=w.detach())
    else:
        w.copy_(_projected(a_set, w))


@operator("project_nm")
def _project_nm(w: Tensor, n: int, m: int) -> Tensor:
    return _projected(NM(n, m), w)


@operator("project_nm_", mutates_args=("w",))
def _project_nm_in_place(w: Tensor, n: int, m: int) -> None:
    _project_in_place(NM(n, m), w)


@operator("project_patterns")
def _project_patterns(w: Tensor, patterns: Tensor) -> Tensor:
    return _projected(_library_of(patterns), w)


@operator("project_patterns_", mutates_args=("w",))
def _project_patterns_in_place(w: Tensor, patterns: Tensor) -> None:
    _project_in_place(_library_of(patterns), w)


@operator("project_top_blocks")
def _project_top_blocks(w: Tensor, k: int, r: int, c: int) -> Tensor:
    return _projected(TopBlocks(k, (r, c)), w)


@operator("project_top_blocks_", mutates_args=("w",))
def _project_top_blocks_in_place(w: Tensor, k: int, r: int, c: int) -> None:
    _project_in_place(TopBlocks(k, (r, c)), w)


@_project_nm.register_fake
def _(w: Tensor, n: int, m: int) -> Tensor:
    return torch.empty_like(w, memory_format=torch.contiguous_format)


@_project_patterns.register_fake
def _(w: Tensor, patterns: Tensor) -> Tensor:
    return torch.empty_like(w, memory_format=torch.contiguous_format)


@_project_top_blocks.register_fake
def _(w: Tensor, k: int, r: int, c: int) -> Tensor:
    return torch.empty_like(w, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(output)
    ctx.others = len(inputs) - 1


def _backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    """The derivative where the mask does not change: g on the kept entries."""
    (projected,) = ctx.saved_tensors
    return torch.where(projected != 0, g, torch.zeros_like(g)), *[None] * ctx.others


for _projection in (_project_nm, _project_patterns, _project_top_blocks):
    _projection.register_autograd(_backward, setup_context=_keep)
