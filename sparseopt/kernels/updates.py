"""What training with a mask does to whole layers, in one pass: the ADMM triple and the decay of SR-STE."""

from __future__ import annotations

from typing import Any

import torch

from . import compiled, device
from .blocks import checked_kept, checked_like, checked_scale
from .layout import Cut, checked_cut, host
from .operators import operator

Tensor = torch.Tensor


def sum_norms(w: Tensor, u: Tensor, cut: Any) -> Tensor:
    """|w_b + u_b| of each block, [grid], without forming w + u: what the projection of ADMM ranks."""
    return _sum_norms(w, checked_like(u, w, "u"), *checked_cut(w, cut))


def scale_blocks_into_(out: Tensor, w: Tensor, scale: Tensor, cut: Any) -> Tensor:
    """out <- scale_b w_b for each block: `scale_blocks` into memory that is there."""
    cut = checked_cut(w, cut)
    _scale_into(checked_like(out, w, "out"), w, checked_scale(scale, w, cut), *cut)
    return out


def mask_blocks_into_(out: Tensor, w: Tensor, kept: Tensor, cut: Any) -> Tensor:
    """out <- w in the blocks with kept (bool [grid]), else 0."""
    cut = checked_cut(w, cut)
    _mask_into(checked_like(out, w, "out"), w, checked_kept(kept, w, cut), *cut)
    return out


def power_blocks_into_(out: Tensor, w: Tensor, cut: Any) -> Tensor:
    """out <- |w_b| w_b for each block; returns the norms [grid].  out and w are different memory."""
    return _power_into(checked_like(out, w, "out"), w, *checked_cut(w, cut))


def power_blocks_vjp_(g: Tensor, w: Tensor, norms: Tensor, cut: Any) -> Tensor:
    """Backward pass of `power_blocks_into_` in place: g <- |w_b| g_b + <w_b, g_b> w_b / |w_b|, 0 for a zero block.

    norms: |w_b|, [grid].
    """
    cut = checked_cut(w, cut)
    _power_vjp(checked_like(g, w, "g"), w, checked_scale(norms, w, cut), *cut)
    return g


def scale_blocks_vjp_(g: Tensor, w: Tensor, scale: Tensor, cut: Any) -> Tensor:
    """Backward pass of `scale_blocks` in place: g <- scale_b g_b, and <w_b, g_b before> [grid] is returned."""
    cut = checked_cut(w, cut)
    return _scale_vjp(checked_like(g, w, "g"), w, checked_scale(scale, w, cut), *cut)


def add_scaled_blocks_(g: Tensor, w: Tensor, scale: Tensor, cut: Any) -> Tensor:
    """g <- g_b + scale_b w_b for each block, in place."""
    cut = checked_cut(w, cut)
    _add_scaled(checked_like(g, w, "g"), w, checked_scale(scale, w, cut), *cut)
    return g


def admm_update_(w: Tensor, z: Tensor, u: Tensor, kept: Tensor, cut: Any) -> Tensor:
    """z <- w + u in the blocks with kept (bool [grid]), else 0; u <- u + w - z: both in place, in one pass.

    Returns [|w - z|^2, |z - z before|^2], float64 on the device of w: the squares of the primal residual and of the
    dual one / rho.
    """
    cut = checked_cut(w, cut)
    checked_like(z, w, "z")
    checked_like(u, w, "u")
    checked_kept(kept, w, cut)
    return _admm_update(z, u, w, kept, *cut)


def augment_(g: Tensor, w: Tensor, z: Tensor, u: Tensor, rho: float) -> Tensor:
    """g <- g + rho (w - z + u) in place: the gradient of rho/2 |w - z + u|^2 of ADMM; matrices like w."""
    checked_cut(w, (1, 1))
    for name, other in (("g", g), ("z", z), ("u", u)):
        checked_like(other, w, name)
    _augment(g, w, z, u, float(rho))
    return g


def sparse_decay_(g: Tensor, w: Tensor, kept: Tensor, pull: float, cut: Any) -> Tensor:
    """g <- g + pull (1 - mask) w in place: the sparse-refined term of SR-STE; kept: bool [grid]."""
    cut = checked_cut(w, cut)
    checked_like(g, w, "g")
    checked_kept(kept, w, cut)
    _sparse_decay(g, w, kept, float(pull), *cut)
    return g


@operator("sum_norms")
def _sum_norms(w: Tensor, u: Tensor, r: int, c: int, taps: int) -> Tensor:
    cut = Cut(r, c, taps)
    at = host(cut, w, u)
    if at is None:
        return device.sum_norms(w, u, cut)
    return compiled.sum_norms(at, [w], [u])[0]


@operator("scale_blocks_into_", mutates_args=("out",))
def _scale_into(out: Tensor, w: Tensor, scale: Tensor, r: int, c: int, taps: int) -> None:
    cut = Cut(r, c, taps)
    at = host(cut, w, out)
    if at is None:
        device.scale_blocks_into_(out, w, scale, cut)
    else:
        compiled.scale(at, [out], [w], [scale])


@operator("mask_blocks_into_", mutates_args=("out",))
def _mask_into(out: Tensor, w: Tensor, kept: Tensor, r: int, c: int, taps: int) -> None:
    cut = Cut(r, c, taps)
    at = host(cut, w, out)
    if at is None:
        device.mask_blocks_into_(out, w, kept, cut)
    else:
        compiled.mask(at, [out], [w], [kept])


@operator("power_blocks_into_", mutates_args=("out",))
def _power_into(out: Tensor, w: Tensor, r: int, c: int, taps: int) -> Tensor:
    cut = Cut(r, c, taps)
    at = host(cut, w, out)
    if at is None:
        return device.power_blocks_into_(out, w, cut)
    norms = w.new_empty(cut.grid(w))
    compiled.power(at, [out], [norms], [w])
    return norms


@operator("power_blocks_vjp_", mutates_args=("g",))
def _power_vjp(g: Tensor, w: Tensor, norms: Tensor, r: int, c: int, taps: int) -> None:
    cut = Cut(r, c, taps)
    at = host(cut, w, g)
    if at is None:
        device.power_blocks_vjp_(g, w, norms, cut)
    else:
        compiled.power_vjp(at, [g], [w], [norms])


@operator("scale_blocks_vjp_", mutates_args=("g",))
def _scale_vjp(g: Tensor, w: Tensor, scale: Tensor, r: int, c: int, taps: int) -> Tensor:
    cut = Cut(r, c, taps)
    at = host(cut, w, g)
    if at is None:
        return device.scale_blocks_vjp_(g, w, g, scale, cut)
    dscale = w.new_empty(cut.grid(w))
    compiled.scale_vjp(at, [g], [dscale], [g], [w], [scale])
    return dscale


@operator("add_scaled_blocks_", mutates_args=("g",))
def _add_scaled(g: Tensor, w: Tensor, scale: Tensor, r: int, c: int, taps: int) -> None:
    cut = Cut(r, c, taps)
    at = host(cut, w, g)
    if at is None:
        device.add_scaled_blocks_(g, w, scale, cut)
    else:
        compiled.add_scaled(at, [g], [w], [scale])


@operator("admm_update_", mutates_args=("z", "u"))
def _admm_update(z: Tensor, u: Tensor, w: Tensor, kept: Tensor, r: int, c: int, taps: int) -> Tensor:
    cut = Cut(r, c, taps)
    at = host(cut, w, z, u)
    if at is None:
        return device.admm_update_(z, u, w, kept, cut)
    return compiled.admm(at, [w], [z], [u], [kept])[0]


@operator("augment_", mutates_args=("g",))
def _augment(g: Tensor, w: Tensor, z: Tensor, u: Tensor, rho: float) -> None:
    at = host(Cut(1, w.shape[1]), w, g, z, u)
    if at is None:
        device.augment_(g, w, z, u, rho)
    else:
        compiled.augment(at, [g], [w], [z], [u], rho)


@operator("sparse_decay_", mutates_args=("g",))
def _sparse_decay(g: Tensor, w: Tensor, kept: Tensor, pull: float, r: int, c: int, taps: int) -> None:
    cut = Cut(r, c, taps)
    at = host(cut, w, g)
    if at is None:
        device.sparse_decay_(g, w, kept, pull, cut)
    else:
        compiled.decay(at, [g], [w], [kept], pull)


@_sum_norms.register_fake
def _(w: Tensor, u: Tensor, r: int, c: int, taps: int) -> Tensor:
    return w.new_empty(Cut(r, c, taps).grid(w))


@_power_into.register_fake
def _(out: Tensor, w: Tensor, r: int, c: int, taps: int) -> Tensor:
    return w.new_empty(Cut(r, c, taps).grid(w))


@_scale_vjp.register_fake
def _(g: Tensor, w: Tensor, scale: Tensor, r: int, c: int, taps: int) -> Tensor:
    return w.new_empty(Cut(r, c, taps).grid(w))


@_admm_update.register_fake
def _(z: Tensor, u: Tensor, w: Tensor, kept: Tensor, r: int, c: int, taps: int) -> Tensor:
    return w.new_empty(2, dtype=torch.float64)
