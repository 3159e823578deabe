"""The block operations in plain torch: what the compiled ones mean, and what runs where those cannot.

w, g, z, u: matrices [rows, channels * taps]; cut: `Cut`; arrays over blocks are [grid].  Half types are
computed in float32.
"""

from __future__ import annotations

import torch

from .layout import HALF, Cut

LARGEST_POWER = 1000
"""Of two, which and whose inverse float64 has."""


def working(x: torch.Tensor) -> torch.Tensor:
    """x itself, or in float32 for half types."""
    return x.float() if x.dtype in HALF else x


def spread(values: torch.Tensor, cut: Cut, w: torch.Tensor) -> torch.Tensor:
    """values [grid] repeated over their blocks, [rows, channels * taps]."""
    rows, channels = w.shape[0], w.shape[1] // cut.taps
    tall = values.repeat_interleave(cut.r, dim=0)[:rows]
    return tall.repeat_interleave(cut.c, dim=1)[:, :channels].reshape(rows, -1)


def block_sums(x: torch.Tensor, cut: Cut) -> torch.Tensor:
    """Sum of x over each block, [grid]."""
    return _blocks(x, cut).sum(dim=(1, 3))


def _blocks(x: torch.Tensor, cut: Cut) -> torch.Tensor:
    """x as [down, r, across, c, taps], with zeros beyond its border."""
    rows, columns = x.shape
    down, across, taps = cut.grid(x)
    padded = x.new_zeros(down * cut.r, across * cut.c, taps)
    padded[:rows, : columns // taps] = x.reshape(rows, -1, taps)
    return padded.reshape(down, cut.r, across, cut.c, taps)


def block_norms(w: torch.Tensor, cut: Cut) -> torch.Tensor:
    """Euclidean norm of each block, [grid]: in float64, where squares of float32 neither overflow nor vanish.

    Of float64 after multiplication with the power of two that makes the largest entry of a block about 1.
    """
    if w.dtype != torch.float64:
        return block_sums(w.double() ** 2, cut).sqrt().to(w.dtype)
    blocks = _blocks(w, cut)
    power = torch.frexp(blocks.abs().amax(dim=(1, 3))).exponent.clamp(-LARGEST_POWER, LARGEST_POWER)
    squares = torch.ldexp(blocks, -power[:, None, :, None]) ** 2
    return torch.ldexp(squares.sum(dim=(1, 3)).sqrt(), power)


def block_dots(a: torch.Tensor, b: torch.Tensor, cut: Cut) -> torch.Tensor:
    """Sum of a b over each block, [grid]."""
    return block_sums(a.double() * b.double(), cut).to(a.dtype)


def scale_blocks(w: torch.Tensor, scale: torch.Tensor, cut: Cut) -> torch.Tensor:
    """Each block of w times its scale; exactly 0 where that is 0."""
    factor = spread(working(scale), cut, w)
    return torch.where(factor == 0, 0.0, working(w) * factor).to(w.dtype)


def mask_blocks(w: torch.Tensor, kept: torch.Tensor, cut: Cut) -> torch.Tensor:
    """w in the blocks with kept (bool [grid]), else 0."""
    return torch.where(spread(kept, cut, w), w, torch.zeros((), dtype=w.dtype, device=w.device))


def add_scaled_blocks(g: torch.Tensor, w: torch.Tensor, scale: torch.Tensor, cut: Cut) -> torch.Tensor:
    """g plus each block of w times its scale."""
    return (working(g) + scale_blocks(working(w), working(scale), cut)).to(g.dtype)


def power_blocks_vjp(g: torch.Tensor, w: torch.Tensor, norms: torch.Tensor, cut: Cut) -> torch.Tensor:
    """|w_b| g_b + <w_b, g_b> w_b / |w_b| for each block, 0 for a zero one."""
    norms, inner = working(norms), working(block_dots(w, g, cut))
    along = torch.where(norms > 0, inner / torch.where(norms > 0, norms, torch.ones_like(norms)), norms)
    return (scale_blocks(working(g), norms, cut) + scale_blocks(working(w), along, cut)).to(g.dtype)


def admm_update(
    w: torch.Tensor, z: torch.Tensor, u: torch.Tensor, kept: torch.Tensor, cut: Cut
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(z, u, residuals): z = w + u in the kept blocks, else 0; u + w - z; [|w - z|^2, |z - z before|^2] in float64."""
    total = working(w) + working(u)
    projected = mask_blocks(total, kept, cut).to(z.dtype)
    apart, moved = (w - projected).double(), (projected - z).double()
    residuals = torch.stack([(apart**2).sum(), (moved**2).sum()])
    return projected, (total - working(projected)).to(u.dtype), residuals


def augment(g: torch.Tensor, w: torch.Tensor, z: torch.Tensor, u: torch.Tensor, rho: float) -> torch.Tensor:
    """g + rho (w - z + u)."""
    return (working(g) + rho * (working(w) - working(z) + working(u))).to(g.dtype)


def attract(g: torch.Tensor, w: torch.Tensor, z: torch.Tensor, rho: float) -> torch.Tensor:
    """g + rho (w - z)."""
    return (working(g) + rho * (working(w) - working(z))).to(g.dtype)


def sparse_decay(w: torch.Tensor, g: torch.Tensor, kept: torch.Tensor, pull: float, cut: Cut) -> torch.Tensor:
    """g + pull * w in the blocks without kept, else g."""
    return torch.where(spread(kept, cut, w), g, (working(g) + pull * working(w)).to(g.dtype))
