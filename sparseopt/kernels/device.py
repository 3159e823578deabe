"""The block operations where the compiled core of the CPU cannot run: CUDA kernels, else the formulas of `reference`.

The arguments are those of `reference`, checked; what ends in _ changes its first argument in place.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from .._native import cuda
from .._native.cuda import Pass
from .._native.grid import GridLayout
from . import reference
from .layout import Cut, common_layout

Tensor = torch.Tensor

TYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
"""Codes of the dtypes that the kernels take."""


@dataclass(frozen=True)
class Device:
    """Tensors of one layout on a CUDA device, as the kernels take them."""

    w: Tensor
    grid: GridLayout

    def run(
        self,
        kind: Pass,
        *matrices: Tensor | None,
        rho: tuple[int, float] = (0, 0.0),
        step: Tensor | None = None,
        **over_blocks: Any,
    ) -> None:
        """Queue a pass over matrices on the current stream, or note it where calls are put `together`.

        rho, step: of `Pass.PROX`.  Other tensors or numbers as `cuda.Call` names them.
        """
        addresses = [0 if m is None else m.data_ptr() for m in matrices] + [0] * (4 - len(matrices))
        given = {name: x.data_ptr() if isinstance(x, Tensor) else x for name, x in over_blocks.items()}
        if step is not None:
            given["prox"] = (*rho, step.data_ptr(), step.ndim > 0)
        call = cuda.Call(kind, TYPES[self.w.dtype], tuple(addresses), self.grid, **given)  # type: ignore[arg-type]
        where = (max(self.w.get_device(), 0), stream_of(self.w))
        noted = getattr(_noted, "calls", None)
        if noted is None:
            cuda.launch([call], device=where[0], stream=where[1])
        else:
            kept = [matrices, step, over_blocks]  # memory that is not to be used again before the launch
            noted.setdefault((kind, call.dtype, call.number, *where), []).append((call, kept))

    def working(self, values: Tensor) -> Tensor:
        """Values over blocks in the type that the kernels compute in, contiguous."""
        return values.to(working_dtype(self.w)).contiguous()


_noted = threading.local()


@contextmanager
def together() -> Iterator[None]:
    """Queue the passes that are called inside when it ends, those of one kind in common launches.

    For independent matrices: inside, no pass may need the result of another.
    """
    calls: dict[tuple[Any, ...], list[tuple[cuda.Call, Any]]] = {}
    _noted.calls = calls
    try:
        yield
    finally:
        _noted.calls = None
    for (*_, index, stream), group in calls.items():
        cuda.launch([call for call, _ in group], device=index, stream=stream)


def usable(w: Tensor) -> bool:
    """Whether kernels for the device of w are there."""
    return w.device.type == "cuda"


def stream_of(w: Tensor) -> int:
    """The current stream of the device of w."""
    return int(torch.cuda.current_stream(w.device).cuda_stream)


def working_dtype(w: Tensor) -> torch.dtype:
    """That in which numbers like those of w are computed."""
    return torch.float64 if w.dtype == torch.float64 else torch.float32


def on_device(cut: Cut, w: Tensor, *others: Tensor) -> Device | None:
    """What the kernels need to know of w and other matrices like it; None where they cannot take them."""
    if not usable(w) or w.dtype not in TYPES:
        return None
    at = common_layout(cut, w, others)
    return Device(w, at) if at is not None and cuda.takes(at) else None


def block_norms(w: Tensor, cut: Cut) -> Tensor:
    """`reference.block_norms`."""
    at = on_device(cut, w)
    if at is None:
        return reference.block_norms(w, cut)
    out = w.new_empty(cut.grid(w))
    at.run(Pass.NORMS, w, None, results=out)
    return out


def sum_norms(w: Tensor, u: Tensor, cut: Cut) -> Tensor:
    """Norms of the blocks of w + u."""
    at = on_device(cut, w, u)
    if at is None:
        return reference.block_norms(reference.working(w) + reference.working(u), cut).to(w.dtype)
    out = w.new_empty(cut.grid(w))
    at.run(Pass.NORMS, w, u, results=out)
    return out


def block_dots(a: Tensor, b: Tensor, cut: Cut) -> Tensor:
    """`reference.block_dots`."""
    at = on_device(cut, a, b)
    if at is None:
        return reference.block_dots(a, b, cut)
    out = a.new_empty(cut.grid(a))
    at.run(Pass.DOTS, a, b, results=out)
    return out


def scale_blocks_into_(out: Tensor, w: Tensor, scale: Tensor, cut: Cut) -> None:
    """out <- `reference.scale_blocks`."""
    at = on_device(cut, w, out)
    if at is None:
        out.copy_(reference.scale_blocks(w, scale, cut))
        return
    at.run(Pass.SCALE, w, out, values=at.working(scale))


def mask_blocks_into_(out: Tensor, w: Tensor, kept: Tensor, cut: Cut) -> None:
    """out <- `reference.mask_blocks`."""
    at = on_device(cut, w, out)
    if at is not None:
        at.run(Pass.MASK, w, out, values=kept.contiguous())
    elif out is w:
        w.masked_fill_(~reference.spread(kept, cut, w), 0.0)
    else:
        out.copy_(reference.mask_blocks(w, kept, cut))


def scale_blocks_vjp_(dw: Tensor, w: Tensor, g: Tensor, scale: Tensor, cut: Cut) -> Tensor:
    """dw <- `reference.scale_blocks` of g, which may be dw; returns `reference.block_dots` of w and g."""
    at = on_device(cut, w, g, dw)
    if at is None:
        dscale = reference.block_dots(w, g, cut)
        dw.copy_(reference.scale_blocks(g, scale, cut))
        return dscale
    dscale = w.new_empty(cut.grid(w))
    at.run(Pass.VJP, w, g, dw, values=at.working(scale), results=dscale)
    return dscale


def add_scaled_blocks_(g: Tensor, w: Tensor, scale: Tensor, cut: Cut) -> None:
    """g <- `reference.add_scaled_blocks`."""
    at = on_device(cut, w, g)
    if at is None:
        g.copy_(reference.add_scaled_blocks(g, w, scale, cut))
        return
    at.run(Pass.ADD, w, g, values=at.working(scale))


def power_blocks_into_(out: Tensor, w: Tensor, cut: Cut) -> Tensor:
    """out <- |w_b| w_b; returns the norms."""
    at = on_device(cut, w, out)
    if at is None:
        norms = reference.block_norms(w, cut)
        out.copy_(reference.scale_blocks(w, norms, cut))
        return norms
    norms = w.new_empty(cut.grid(w))
    at.run(Pass.POWER, w, out, results=norms)
    return norms


def power_blocks_vjp_(g: Tensor, w: Tensor, norms: Tensor, cut: Cut) -> None:
    """g <- `reference.power_blocks_vjp`."""
    at = on_device(cut, w, g)
    if at is None:
        g.copy_(reference.power_blocks_vjp(g, w, norms, cut))
        return
    at.run(Pass.POWER_VJP, w, g, values=at.working(norms))


def sparse_decay_(g: Tensor, w: Tensor, kept: Tensor, pull: float, cut: Cut) -> None:
    """g <- `reference.sparse_decay`."""
    at = on_device(cut, w, g)
    if at is None:
        g.copy_(reference.sparse_decay(w, g, kept, pull, cut))
        return
    at.run(Pass.DECAY, w, g, values=kept.contiguous(), number=pull)


def augment_(g: Tensor, w: Tensor, z: Tensor, u: Tensor, rho: float) -> None:
    """g <- `reference.augment`."""
    at = on_device(Cut(1, w.shape[1]), w, z, u, g)
    if at is None:
        g.copy_(reference.augment(g, w, z, u, rho))
        return
    at.run(Pass.AUGMENT, w, z, u, g, number=rho)


def admm_update_(z: Tensor, u: Tensor, w: Tensor, kept: Tensor, cut: Cut) -> Tensor:
    """z, u <- `reference.admm_update`; returns its residuals, on the device."""
    at = on_device(cut, w, z, u)
    if at is None:
        new_z, new_u, residuals = reference.admm_update(w, z, u, kept, cut)
        z.copy_(new_z)
        u.copy_(new_u)
        return residuals
    work = w.new_empty(cuda.work_of(at.grid), dtype=torch.float64)
    at.run(Pass.ADMM, w, z, u, values=kept.contiguous(), work=work)
    return work[:2]


def block_prox_(w: Tensor, step: Tensor, kind: int, parameter: float, cut: Cut) -> Tensor | None:
    """Prox of the blocks of w in place by the twin of a penalty; returns the norms before, None where it cannot run.

    step: float64 [] or [grid], on the device of w.
    """
    at = on_device(cut, w)
    if at is None:
        return None
    norms = w.new_empty(cut.grid(w))
    at.run(Pass.PROX, w, w, results=norms, rho=(kind, parameter), step=step.contiguous())
    return norms
