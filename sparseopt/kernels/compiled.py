"""The compiled operations on lists of matrices in the host's memory, described by `layout.hosts`: one call for a list.

Arguments are checked already.  An operation on one matrix is that on a list of one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .._native import grid as native
from .._native.grid import Grids

Tensor = torch.Tensor
Tensors = Sequence[Tensor]


def _at(tensors: Tensors) -> list[int]:
    return [x.data_ptr() for x in tensors]


def _factors(scales: Tensors, ws: Tensors) -> list[Tensor]:
    """As the core takes them; the caller holds them until it is done."""
    dtype = ws[0].dtype
    return [
        scale if scale.dtype is dtype and scale.is_contiguous() else scale.to(dtype).contiguous() for scale in scales
    ]


def _flags(kepts: Tensors) -> list[Tensor]:
    return [kept.contiguous() for kept in kepts]


def per_block(grids: Grids, ws: Tensors) -> list[Tensor]:
    """Memory for a number for each block."""
    shapes = [(-(-g.rows // g.br), -(-g.channels // g.bc), g.taps) for g in grids.layouts]
    return [w.new_empty(shape) for w, shape in zip(ws, shapes, strict=True)]


def norms(grids: Grids, ws: Tensors, memory: list[Tensor] | None = None) -> list[Tensor]:
    """|w_b|, in new memory or in what is given."""
    out = per_block(grids, ws) if memory is None else memory
    native.norms_ptr(_at(ws), _at(out), grids)
    return out


def sum_norms(grids: Grids, ws: Tensors, us: Tensors) -> list[Tensor]:
    """|w_b + u_b|."""
    out = per_block(grids, ws)
    native.sum_norms_ptr(_at(ws), _at(us), _at(out), grids)
    return out


def dots(grids: Grids, a: Tensors, b: Tensors) -> list[Tensor]:
    """<a_b, b_b>."""
    out = per_block(grids, a)
    native.dots_ptr(_at(a), _at(b), _at(out), grids)
    return out


def scale(grids: Grids, outs: Tensors, ws: Tensors, scales: Tensors) -> None:
    """out = scale_b w_b; out may be w."""
    factors = _factors(scales, ws)
    native.scale_ptr(_at(ws), _at(factors), _at(outs), grids)


def mask(grids: Grids, outs: Tensors, ws: Tensors, kepts: Tensors) -> None:
    """out = w where kept, else 0; out may be w."""
    flags = _flags(kepts)
    native.mask_ptr(_at(ws), _at(flags), _at(outs), grids)


def remask(grids: Grids, outs: Tensors, ws: Tensors, kepts: Tensors, changed: Tensors) -> None:
    """The same, which out is already but in the blocks that are changed."""
    flags, news = _flags(kepts), _flags(changed)
    native.remask_ptr(_at(ws), _at(flags), _at(news), _at(outs), grids)


def mask_norms(grids: Grids, outs: Tensors, found: Tensors, ws: Tensors, kepts: Tensors) -> None:
    """out = w where kept, else 0, and found = |w_b|."""
    flags = _flags(kepts)
    native.mask_norms_ptr(_at(ws), _at(flags), _at(found), _at(outs), grids)


def scale_vjp(grids: Grids, dws: Tensors, dscales: Tensors, gs: Tensors, ws: Tensors, scales: Tensors) -> None:
    """dw = scale_b g_b, which may be g, and dscale = <w_b, g_b>."""
    factors = _factors(scales, ws)
    native.scale_vjp_ptr(_at(ws), _at(gs), _at(factors), _at(dws), _at(dscales), grids)


def add_scaled(grids: Grids, gs: Tensors, ws: Tensors, scales: Tensors) -> None:
    """g += scale_b w_b."""
    factors = _factors(scales, ws)
    native.add_scaled_ptr(_at(ws), _at(factors), _at(gs), grids)


def power(grids: Grids, outs: Tensors, found: Tensors, ws: Tensors) -> None:
    """out = |w_b| w_b and found = |w_b|."""
    native.power_ptr(_at(ws), _at(found), _at(outs), grids)


def power_vjp(grids: Grids, gs: Tensors, ws: Tensors, found: Tensors) -> None:
    """g = |w_b| g_b + <w_b, g_b> w_b / |w_b|."""
    factors = _factors(found, ws)
    native.power_vjp_ptr(_at(ws), _at(factors), _at(gs), grids)


def prox(grids: Grids, ws: Tensors, found: Tensors, steps: Tensors, rho: tuple[int, float]) -> None:
    """Radial prox in place, found = |w_b| before.  steps: float64 in the host's memory, of one or of all blocks."""
    given = _flags(steps)
    native.prox_ptr(_at(ws), _at(found), _at(given), [step.ndim > 0 for step in given], rho, grids)


def admm(grids: Grids, ws: Tensors, zs: Tensors, us: Tensors, kepts: Tensors) -> Tensor:
    """The ADMM triple in place; returns the squares of the residuals, float64 [matrices, 2]."""
    flags = _flags(kepts)
    squares = native.admm_ptr(_at(ws), _at(zs), _at(us), _at(flags), grids)
    return torch.tensor(squares, dtype=torch.float64).reshape(-1, 2)


def augment(grids: Grids, gs: Tensors, ws: Tensors, zs: Tensors, us: Tensors, rho: float) -> None:
    """g += rho (w - z + u)."""
    native.augment_ptr(_at(ws), _at(zs), _at(us), _at(gs), rho, grids)


def attract(grids: Grids, gs: Tensors, ws: Tensors, zs: Tensors, rho: float) -> None:
    """g += rho (w - z)."""
    native.augment_ptr(_at(ws), _at(zs), [], _at(gs), rho, grids)


def decay(grids: Grids, gs: Tensors, ws: Tensors, kepts: Tensors, pull: float) -> None:
    """g += pull w where not kept."""
    flags = _flags(kepts)
    native.decay_ptr(_at(ws), _at(gs), _at(flags), pull, grids)
