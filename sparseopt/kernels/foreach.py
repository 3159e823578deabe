"""Operations on the blocks of many matrices in one call, such as the layers of a model: `foreach_<name>` of `<name>`.

Every tensor argument is a list with an entry for each matrix, and so is the result.  The numbers are those of the
operation on each matrix alone, bit for bit.  Matrices of one dtype in the host's memory are worked on in one compiled
call, those on a CUDA device in common launches; others one by one.  None of these is differentiable.  ValueError as
from the single operations, and for lists of different lengths.  cuts: a list, or, but for `foreach_augment_`
and `foreach_block_prox_`, `Cuts` of a list that is worked on again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .._native import radial_twin
from .._native.grid import Grids
from . import blocks, compiled, device, reference, updates
from .blocks import checked_kept, checked_like, checked_scale
from .layout import Cut, Cuts, checked_cut, hosts
from .operators import operator

Tensor = torch.Tensor
Tensors = Sequence[Tensor]


def foreach_block_norms(ws: Tensors, cuts: Sequence[Any]) -> list[Tensor]:
    """|w_b| of each block, [grid]."""
    return _norms(*_checked(ws, cuts))


def foreach_sum_norms(ws: Tensors, us: Tensors, cuts: Sequence[Any]) -> list[Tensor]:
    """|w_b + u_b| of each block, [grid]."""
    ws, flat = _checked(ws, cuts, us=(us, _like))
    return _sum_norms(ws, list(us), flat)


def foreach_mask_blocks_(ws: Tensors, kepts: Tensors, cuts: Sequence[Any]) -> None:
    """Set the blocks without kept (bool [grid]) to 0."""
    ws, flat = _checked(ws, cuts, kepts=(kepts, checked_kept))
    _mask(ws, list(kepts), flat)


def foreach_mask_blocks_into_(outs: Tensors, ws: Tensors, kepts: Tensors, cuts: Sequence[Any]) -> None:
    """out <- w in the blocks with kept (bool [grid]), else 0."""
    ws, flat = _checked(ws, cuts, outs=(outs, _like), kepts=(kepts, checked_kept))
    _mask_into(list(outs), ws, list(kepts), flat)


def foreach_remask_blocks_into_(
    outs: Tensors, ws: Tensors, kepts: Tensors, changed: Tensors, cuts: Sequence[Any]
) -> None:
    """out <- w in the blocks with kept (bool [grid]), else 0, as it is already but in those with changed (alike)."""
    ws, flat = _checked(ws, cuts, outs=(outs, _like), kepts=(kepts, checked_kept), changed=(changed, checked_kept))
    _remask_into(list(outs), ws, list(kepts), list(changed), flat)


def foreach_mask_norms_into_(outs: Tensors, ws: Tensors, kepts: Tensors, cuts: Sequence[Any]) -> list[Tensor]:
    """out <- w in the blocks with kept (bool [grid]), else 0; returns the norms [grid] of w.  No out may be a w."""
    ws, flat = _checked(ws, cuts, outs=(outs, _like), kepts=(kepts, checked_kept))
    norms = _numbers(ws, flat)
    _mask_norms_into(list(outs), norms, ws, list(kepts), flat)
    return norms


def foreach_scale_blocks_(ws: Tensors, scales: Tensors, cuts: Sequence[Any]) -> None:
    """w <- scale_b w_b; scale: [grid]."""
    ws, flat = _checked(ws, cuts, scales=(scales, checked_scale))
    _scale(ws, list(scales), flat)


def foreach_scale_blocks_into_(outs: Tensors, ws: Tensors, scales: Tensors, cuts: Sequence[Any]) -> None:
    """out <- scale_b w_b; scale: [grid]."""
    ws, flat = _checked(ws, cuts, outs=(outs, _like), scales=(scales, checked_scale))
    _scale_into(list(outs), ws, list(scales), flat)


def foreach_scale_blocks_vjp_(gs: Tensors, ws: Tensors, scales: Tensors, cuts: Sequence[Any]) -> list[Tensor]:
    """g <- scale_b g_b; returns <w_b, g_b before>, [grid]."""
    ws, flat = _checked(ws, cuts, gs=(gs, _like), scales=(scales, checked_scale))
    dscales = _numbers(ws, flat)
    _scale_vjp(list(gs), dscales, ws, list(scales), flat)
    return dscales


def foreach_power_blocks_into_(outs: Tensors, ws: Tensors, cuts: Sequence[Any]) -> list[Tensor]:
    """out <- |w_b| w_b; returns the norms [grid].  No out may be a w."""
    ws, flat = _checked(ws, cuts, outs=(outs, _like))
    norms = _numbers(ws, flat)
    _power_into(list(outs), norms, ws, flat)
    return norms


def foreach_power_blocks_vjp_(gs: Tensors, ws: Tensors, norms: Tensors, cuts: Sequence[Any]) -> None:
    """g <- |w_b| g_b + <w_b, g_b> w_b / |w_b|; norms: |w_b|, [grid]."""
    ws, flat = _checked(ws, cuts, gs=(gs, _like), norms=(norms, checked_scale))
    _power_vjp(list(gs), ws, list(norms), flat)


def foreach_sparse_decay_(gs: Tensors, ws: Tensors, kepts: Tensors, pull: float, cuts: Sequence[Any]) -> None:
    """g <- g + pull w in the blocks without kept (bool [grid])."""
    ws, flat = _checked(ws, cuts, gs=(gs, _like), kepts=(kepts, checked_kept))
    _sparse_decay(list(gs), ws, list(kepts), float(pull), flat)


def foreach_augment_(gs: Tensors, ws: Tensors, zs: Tensors, us: Tensors, rho: float) -> None:
    """g <- g + rho (w - z + u)."""
    ws, _ = _checked(ws, [(1, 1)] * len(ws), gs=(gs, _like), zs=(zs, _like), us=(us, _like))
    _augment(list(gs), ws, list(zs), list(us), float(rho))


def foreach_attract_(gs: Tensors, ws: Tensors, zs: Tensors, rho: float, cuts: Cuts | None = None) -> None:
    """g <- g + rho (w - z): the gradient of rho/2 |w - z|^2.  Cuts, if any, say what they say, and no more."""
    ws, flat = _checked(ws, [(1, 1)] * len(ws) if cuts is None else cuts, gs=(gs, _like), zs=(zs, _like))
    _attract(list(gs), ws, list(zs), float(rho), flat)


def foreach_admm_update_(ws: Tensors, zs: Tensors, us: Tensors, kepts: Tensors, cuts: Sequence[Any]) -> list[Tensor]:
    """z <- w + u where kept (bool [grid]), else 0; u <- u + w - z; returns [|w - z|^2, |z - z before|^2] of each."""
    ws, flat = _checked(ws, cuts, zs=(zs, _like), us=(us, _like), kepts=(kepts, checked_kept))
    return list(_admm_update(list(zs), list(us), ws, list(kepts), flat).unbind())


def foreach_block_prox_(ws: Tensors, rho: Any, steps: Sequence[float | Tensor], cuts: Sequence[Any]) -> list[Tensor]:
    """w <- argmin over x of |x - w|^2 / 2 + sum_b step_b rho(|x_b|); returns the norms [grid] before.

    rho and each step as for `block_prox_`.
    """
    twin = radial_twin(rho)
    if twin is None:
        return [blocks.block_prox_(w, rho, step, cut) for w, step, cut in zip(ws, steps, cuts, strict=True)]
    ws, flat = _checked(ws, cuts)
    given = [blocks.checked_step(step, w, cut) for step, w, cut in zip(steps, ws, _threes(flat), strict=True)]
    norms = _numbers(ws, flat)
    _block_prox(ws, norms, given, *twin, flat)
    return norms


def _like(x: Tensor, w: Tensor, cut: Cut) -> Tensor:
    return checked_like(x, w, "a matrix beside w")


def _checked(
    ws: Tensors, cuts: Sequence[Any], **others: tuple[Tensors, Callable[[Tensor, Tensor, Cut], Tensor]]
) -> tuple[list[Tensor], list[int]]:
    """ws, and the cuts as the operators take them, after checks of the lists named beside them."""
    if isinstance(cuts, Cuts):
        if any(kept.dtype != torch.bool for given, check in others.values() if check is checked_kept for kept in given):
            raise ValueError("kept has another dtype than bool: give True for the blocks to keep")
        matrices = [given for given, check in others.values() if check is _like]
        cuts.check([ws, *matrices], [given for given, check in others.values() if check is not _like])
        return list(ws), cuts
    lengths = {"ws": len(ws), "cuts": len(cuts)} | {name: len(given) for name, (given, _) in others.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the lists have lengths {lengths}: give one entry for each matrix")
    found = [checked_cut(w, cut) for w, cut in zip(ws, cuts, strict=True)]
    for given, check in others.values():
        for x, w, cut in zip(given, ws, found, strict=True):
            check(x, w, cut)
    return list(ws), [size for cut in found for size in cut]


def _at(cuts: Sequence[int], *lists: Tensors) -> Grids | None:
    """Where matrices and others like them lie; None where the compiled core cannot take them."""
    return cuts.at(lists[0]) if isinstance(cuts, Cuts) else hosts(_threes(cuts), *lists)


def _threes(flat: Sequence[int]) -> list[Cut]:
    return [Cut(*flat[i : i + 3]) for i in range(0, len(flat), 3)]


def _one_by_one(function: Callable[..., Any], flat: Sequence[int], *lists: Sequence[Any]) -> list[Any]:
    with device.together():
        return [function(*given, *cut) for *given, cut in zip(*lists, _threes(flat), strict=True)]


@operator("foreach_block_norms")
def _norms(ws: Tensors, cuts: Sequence[int]) -> list[Tensor]:
    at = _at(cuts, ws)
    return _one_by_one(blocks._block_norms, cuts, ws) if at is None else compiled.norms(at, ws, _numbers(ws, cuts))


@operator("foreach_sum_norms")
def _sum_norms(ws: Tensors, us: Tensors, cuts: Sequence[int]) -> list[Tensor]:
    at = _at(cuts, ws, us)
    return _one_by_one(updates._sum_norms, cuts, ws, us) if at is None else compiled.sum_norms(at, ws, us)


@operator("foreach_mask_blocks_", mutates_args=("ws",))
def _mask(ws: Tensors, kepts: Tensors, cuts: Sequence[int]) -> None:
    at = _at(cuts, ws)
    if at is None:
        _one_by_one(blocks._mask_blocks_in_place, cuts, ws, kepts)
    else:
        compiled.mask(at, ws, ws, kepts)


@operator("foreach_mask_blocks_into_", mutates_args=("outs",))
def _mask_into(outs: Tensors, ws: Tensors, kepts: Tensors, cuts: Sequence[int]) -> None:
    at = _at(cuts, ws, outs)
    if at is None:
        _one_by_one(updates._mask_into, cuts, outs, ws, kepts)
    else:
        compiled.mask(at, outs, ws, kepts)


@operator("foreach_remask_blocks_into_", mutates_args=("outs",))
def _remask_into(outs: Tensors, ws: Tensors, kepts: Tensors, changed: Tensors, cuts: Sequence[int]) -> None:
    at = _at(cuts, ws, outs)
    if at is None:
        _one_by_one(updates._mask_into, cuts, outs, ws, kepts)
    else:
        compiled.remask(at, outs, ws, kepts, changed)


@operator("foreach_mask_norms_into_", mutates_args=("outs", "norms"))
def _mask_norms_into(outs: Tensors, norms: Tensors, ws: Tensors, kepts: Tensors, cuts: Sequence[int]) -> None:
    at = _at(cuts, ws, outs)
    if at is None:
        _copy(norms, _one_by_one(blocks._block_norms, cuts, ws))
        _one_by_one(updates._mask_into, cuts, outs, ws, kepts)
    else:
        compiled.mask_norms(at, outs, norms, ws, kepts)


@operator("foreach_scale_blocks_", mutates_args=("ws",))
def _scale(ws: Tensors, scales: Tensors, cuts: Sequence[int]) -> None:
    at = _at(cuts, ws)
    if at is None:
        _one_by_one(blocks._scale_blocks_in_place, cuts, ws, scales)
    else:
        compiled.scale(at, ws, ws, scales)


@operator("foreach_scale_blocks_into_", mutates_args=("outs",))
def _scale_into(outs: Tensors, ws: Tensors, scales: Tensors, cuts: Sequence[int]) -> None:
    at = _at(cuts, ws, outs)
    if at is None:
        _one_by_one(updates._scale_into, cuts, outs, ws, scales)
    else:
        compiled.scale(at, outs, ws, scales)


@operator("foreach_scale_blocks_vjp_", mutates_args=("gs", "dscales"))
def _scale_vjp(gs: Tensors, dscales: Tensors, ws: Tensors, scales: Tensors, cuts: Sequence[int]) -> None:
    at = _at(cuts, ws, gs)
    if at is None:
        _copy(dscales, _one_by_one(updates._scale_vjp, cuts, gs, ws, scales))
    else:
        compiled.scale_vjp(at, gs, dscales, gs, ws, scales)


@operator("foreach_power_blocks_into_", mutates_args=("outs", "norms"))
def _power_into(outs: Tensors, norms: Tensors, ws: Tensors, cuts: Sequence[int]) -> None:
    at = _at(cuts, ws, outs)
    if at is None:
        _copy(norms, _one_by_one(updates._power_into, cuts, outs, ws))
    else:
        compiled.power(at, outs, norms, ws)


@operator("foreach_power_blocks_vjp_", mutates_args=("gs",))
def _power_vjp(gs: Tensors, ws: Tensors, norms: Tensors, cuts: Sequence[int]) -> None:
    at = _at(cuts, ws, gs)
    if at is None:
        _one_by_one(updates._power_vjp, cuts, gs, ws, norms)
    else:
        compiled.power_vjp(at, gs, ws, norms)


@operator("foreach_sparse_decay_", mutates_args=("gs",))
def _sparse_decay(gs: Tensors, ws: Tensors, kepts: Tensors, pull: float, cuts: Sequence[int]) -> None:
    at = _at(cuts, ws, gs)
    if at is None:
        _one_by_one(updates._sparse_decay, cuts, gs, ws, kepts, [pull] * len(ws))
    else:
        compiled.decay(at, gs, ws, kepts, pull)


@operator("foreach_augment_", mutates_args=("gs",))
def _augment(gs: Tensors, ws: Tensors, zs: Tensors, us: Tensors, rho: float) -> None:
    at = hosts([Cut(1, w.shape[1]) for w in ws], ws, gs, zs, us)
    if at is None:
        with device.together():
            for g, w, z, u in zip(gs, ws, zs, us, strict=True):
                updates._augment(g, w, z, u, rho)
    else:
        compiled.augment(at, gs, ws, zs, us, rho)


@operator("foreach_attract_", mutates_args=("gs",))
def _attract(gs: Tensors, ws: Tensors, zs: Tensors, rho: float, cuts: Sequence[int]) -> None:
    at = cuts.by_rows(ws) if isinstance(cuts, Cuts) else hosts([Cut(1, w.shape[1]) for w in ws], ws, gs, zs)
    if at is None:
        for g, w, z in zip(gs, ws, zs, strict=True):
            g.copy_(reference.attract(g, w, z, rho))
    else:
        compiled.attract(at, gs, ws, zs, rho)


@operator("foreach_admm_update_", mutates_args=("zs", "us"))
def _admm_update(zs: Tensors, us: Tensors, ws: Tensors, kepts: Tensors, cuts: Sequence[int]) -> Tensor:
    at = _at(cuts, ws, zs, us)
    if at is None:
        squares = _one_by_one(updates._admm_update, cuts, zs, us, ws, kepts)
        return torch.stack([square.to(ws[0].device) for square in squares])
    return compiled.admm(at, ws, zs, us, kepts)


@operator("foreach_block_prox_", mutates_args=("ws", "norms"))
def _block_prox(ws: Tensors, norms: Tensors, steps: Tensors, kind: int, parameter: float, cuts: Sequence[int]) -> None:
    at = _at(cuts, ws)
    if at is None:
        numbers = [kind] * len(ws), [parameter] * len(ws)
        _copy(norms, _one_by_one(blocks._block_prox_in_place, cuts, ws, steps, *numbers))
    else:
        compiled.prox(at, ws, norms, [step.cpu() for step in steps], (kind, parameter))


def _copy(to: Tensors, given: Tensors) -> None:
    for a, b in zip(to, given, strict=True):
        a.copy_(b)


def _numbers(ws: Tensors, cuts: Sequence[int]) -> list[Tensor]:
    """Memory for a number for each block; torch traces no lists that operators return beside what they change."""
    if isinstance(cuts, Cuts):
        return cuts.numbers(ws[0])
    return [w.new_empty(cut.grid(w)) for w, cut in zip(ws, _threes(cuts), strict=True)]


@_norms.register_fake
def _(ws: Tensors, cuts: Sequence[int]) -> list[Tensor]:
    return _numbers(ws, cuts)


@_sum_norms.register_fake
def _(ws: Tensors, us: Tensors, cuts: Sequence[int]) -> list[Tensor]:
    return _numbers(ws, cuts)


@_admm_update.register_fake
def _(zs: Tensors, us: Tensors, ws: Tensors, kepts: Tensors, cuts: Sequence[int]) -> Tensor:
    return ws[0].new_empty((len(ws), 2), dtype=torch.float64)
