"""Operations on the blocks of a matrix, as torch operators: compiled for the CPU and CUDA, plain torch elsewhere.

All take w [rows, channels * taps] and a `Cut` (or (r, c), (r, c, taps)); arrays over blocks are
[grid] = [ceil(rows / r), ceil(channels / c), taps].  float32, float64, bfloat16, float16 (computed in float32).
Functions that end in _ change their first argument in place; leaves need torch.no_grad() around them.  Raises
ValueError for tensors that are not such matrices and cuts that do not fit.
"""

from __future__ import annotations

from typing import Any

import torch

from .._native import radial_twin
from . import compiled, device, reference
from .layout import Cut, checked_cut, host
from .operators import operator

Tensor = torch.Tensor


def block_norms(w: Tensor, cut: Any) -> Tensor:
    """|w_b| of each block, [grid], differentiable (0 at zero blocks).  Relative error a few ulp, in any range."""
    return _block_norms(w, *checked_cut(w, cut))


def block_dots(a: Tensor, b: Tensor, cut: Any) -> Tensor:
    """<a_b, b_b> of each block, [grid], differentiable: with a gradient b its magnitude is the score |<w, g>|."""
    return _block_dots(a, checked_like(b, a, "b"), *checked_cut(a, cut))


def scale_blocks(w: Tensor, scale: Tensor, cut: Any) -> Tensor:
    """scale_b w_b, differentiable in both without ever spreading scale [grid]; exactly 0 where scale is 0."""
    cut = checked_cut(w, cut)
    return _scale_blocks(w, checked_scale(scale, w, cut), *cut)


def scale_blocks_(w: Tensor, scale: Tensor, cut: Any) -> Tensor:
    """`scale_blocks` in place."""
    cut = checked_cut(w, cut)
    _scale_blocks_in_place(w, checked_scale(scale, w, cut), *cut)
    return w


def mask_blocks_(w: Tensor, kept: Tensor, cut: Any) -> Tensor:
    """Set the blocks without kept (bool [grid]) to 0, in place; others stay bitwise."""
    cut = checked_cut(w, cut)
    _mask_blocks_in_place(w, checked_kept(kept, w, cut), *cut)
    return w


def block_prox_(w: Tensor, rho: Any, step: float | Tensor, cut: Any) -> Tensor:
    """argmin over x of |x - w|^2 / 2 + sum_b step_b rho(|x_b|), in place; returns the norms [grid] before.

    rho: a scalar penalty of `sparseopt.penalties`, or any object with .prox(v, step).  step: >= 0, a number or [grid].
    A block that is not finite becomes NaN.
    """
    cut = checked_cut(w, cut)
    steps = checked_step(step, w, cut)
    twin = radial_twin(rho)
    if twin is not None:
        return _block_prox_in_place(w, steps, *twin, *cut)
    norms = block_norms(w, cut)
    v = reference.working(norms)
    shrunk = rho.prox(v, steps.to(v.dtype) if steps.ndim else float(steps))
    scale = torch.where(v > 0, shrunk / torch.where(v > 0, v, torch.ones_like(v)), v)  # v is 0 or NaN
    scale_blocks_(w, torch.where(torch.isfinite(v), scale, torch.full_like(v, torch.nan)), cut)
    return norms


def checked_step(step: float | Tensor, w: Tensor, cut: Cut) -> Tensor:
    """step as float64, one number or [grid]; ValueError for another number of them."""
    if isinstance(step, (int, float)):
        return torch.full((), float(step), dtype=torch.float64, device=w.device)  # nothing to copy from the host
    steps = torch.as_tensor(step, dtype=torch.float64, device=w.device)
    return _over_blocks(steps, w, cut, "step") if steps.ndim else steps


def checked_like(b: Tensor, a: Tensor, name: str) -> Tensor:
    """b; ValueError unless it has the shape and dtype of a."""
    if b.shape != a.shape or b.dtype != a.dtype:
        raise ValueError(f"{name} is {b.dtype} {tuple(b.shape)}: it must be like w, {a.dtype} {tuple(a.shape)}")
    return b


def _over_blocks(values: Tensor, w: Tensor, cut: Cut, name: str) -> Tensor:
    if tuple(values.shape) != cut.grid(w):
        raise ValueError(f"{name} has shape {tuple(values.shape)}: w has blocks {cut.grid(w)}, one number for each")
    return values


def checked_scale(scale: Tensor, w: Tensor, cut: Cut) -> Tensor:
    """scale; ValueError unless it has one number for each block of w."""
    return _over_blocks(scale, w, cut, "scale")


def checked_kept(kept: Tensor, w: Tensor, cut: Cut) -> Tensor:
    """kept; ValueError unless it is a bool tensor over the blocks of w."""
    if kept.dtype != torch.bool:
        raise ValueError(f"kept has dtype {kept.dtype}: give a bool tensor, True for the blocks to keep")
    return _over_blocks(kept, w, cut, "kept")


@operator("block_norms")
def _block_norms(w: Tensor, r: int, c: int, taps: int) -> Tensor:
    cut = Cut(r, c, taps)
    at = host(cut, w)
    return device.block_norms(w, cut) if at is None else compiled.norms(at, [w])[0]


@operator("block_dots")
def _block_dots(a: Tensor, b: Tensor, r: int, c: int, taps: int) -> Tensor:
    cut = Cut(r, c, taps)
    at = host(cut, a, b)
    return device.block_dots(a, b, cut) if at is None else compiled.dots(at, [a], [b])[0]


@operator("scale_blocks")
def _scale_blocks(w: Tensor, scale: Tensor, r: int, c: int, taps: int) -> Tensor:
    cut = Cut(r, c, taps)
    out = torch.empty_like(w, memory_format=torch.contiguous_format)
    at = host(cut, w, out)
    if at is None:
        device.scale_blocks_into_(out, w, scale, cut)
    else:
        compiled.scale(at, [out], [w], [scale])
    return out


@operator("scale_blocks_backward")
def _scale_blocks_backward(g: Tensor, w: Tensor, scale: Tensor, r: int, c: int, taps: int) -> tuple[Tensor, Tensor]:
    cut = Cut(r, c, taps)
    w, g = w.contiguous(), g.contiguous()
    dw, at = torch.empty_like(g), host(cut, w, g)
    if at is None:
        return dw, device.scale_blocks_vjp_(dw, w, g, scale, cut).to(scale.dtype)
    dscale = g.new_empty(cut.grid(w))
    compiled.scale_vjp(at, [dw], [dscale], [g], [w], [scale])
    return dw, dscale.to(scale.dtype)


@operator("scale_blocks_", mutates_args=("w",))
def _scale_blocks_in_place(w: Tensor, scale: Tensor, r: int, c: int, taps: int) -> None:
    cut = Cut(r, c, taps)
    at = host(cut, w)
    if at is None:
        device.scale_blocks_into_(w, w, scale, cut)
    else:
        compiled.scale(at, [w], [w], [scale])


@operator("mask_blocks_", mutates_args=("w",))
def _mask_blocks_in_place(w: Tensor, kept: Tensor, r: int, c: int, taps: int) -> None:
    cut = Cut(r, c, taps)
    at = host(cut, w)
    if at is None:
        device.mask_blocks_into_(w, w, kept, cut)
    else:
        compiled.mask(at, [w], [w], [kept])


@operator("block_prox_", mutates_args=("w",))
def _block_prox_in_place(w: Tensor, step: Tensor, kind: int, parameter: float, r: int, c: int, taps: int) -> Tensor:
    cut, x = Cut(r, c, taps), w
    if host(cut, w) is None:
        norms = device.block_prox_(w, step, kind, parameter, cut)
        if norms is not None:
            return norms
        x = reference.working(w).cpu().contiguous()
    at = host(cut, x)
    assert at is not None  # a contiguous tensor in the host's memory, and a twin is compiled
    norms = x.new_empty(cut.grid(x))
    compiled.prox(at, [x], [norms], [step.cpu()], (kind, parameter))
    if x is not w:
        w.copy_(x)
    return norms.to(device=w.device, dtype=w.dtype)


@_block_norms.register_fake
def _(w: Tensor, r: int, c: int, taps: int) -> Tensor:
    return w.new_empty(Cut(r, c, taps).grid(w))


@_block_dots.register_fake
def _(a: Tensor, b: Tensor, r: int, c: int, taps: int) -> Tensor:
    return a.new_empty(Cut(r, c, taps).grid(a))


@_scale_blocks.register_fake
def _(w: Tensor, scale: Tensor, r: int, c: int, taps: int) -> Tensor:
    return torch.empty_like(w, memory_format=torch.contiguous_format)


@_scale_blocks_backward.register_fake
def _(g: Tensor, w: Tensor, scale: Tensor, r: int, c: int, taps: int) -> tuple[Tensor, Tensor]:
    return torch.empty_like(g, memory_format=torch.contiguous_format), scale.new_empty(scale.shape)


@_block_prox_in_place.register_fake
def _(w: Tensor, step: Tensor, kind: int, parameter: float, r: int, c: int, taps: int) -> Tensor:
    return w.new_empty(Cut(r, c, taps).grid(w))


def _norms_backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    w, norms = ctx.saved_tensors
    scale = torch.where(norms > 0, g / torch.where(norms > 0, norms, torch.ones_like(norms)), torch.zeros_like(g))
    return torch.ops.sparseopt.scale_blocks(w, scale, *ctx.cut), None, None, None


def _dots_backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    a, b = ctx.saved_tensors
    scale = torch.ops.sparseopt.scale_blocks
    return scale(b, g, *ctx.cut), scale(a, g, *ctx.cut), None, None, None


def _scale_backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    dw, dscale = torch.ops.sparseopt.scale_blocks_backward(g, *ctx.saved_tensors, *ctx.cut)
    return dw, dscale, None, None, None


def _keep_inputs_and_norms(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0], output)
    ctx.cut = inputs[1:]


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.cut = inputs[2:]


_block_norms.register_autograd(_norms_backward, setup_context=_keep_inputs_and_norms)
_block_dots.register_autograd(_dots_backward, setup_context=_keep_inputs)
_scale_blocks.register_autograd(_scale_backward, setup_context=_keep_inputs)
