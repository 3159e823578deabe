"""The torch operators on a 4096 x 4096 float32 matrix in 32 x 32 blocks, one thread, against eager and compiled torch.

    python -m experiments.benchmarks.operators [--rounds 12] [--no-compile]

Processor time, contestants alternating in one run, minimum of each.  Bars: block prox, scores and mask, the ADMM
triple with its projection and soft top-k at least 3 times faster than the best eager version; the others not slower
than eager.  Eager versions reduce over both axes of a block at once, as one writes it ("eager"), or form the products
of its rows by `torch.bmm` ("eager bmm"), which is up to twice as fast; the best one counts.  The ADMM triple has more
of them, with the sum in u, and with all but the blocks that enter or leave left alone.
All as multiples of `W.mul_(1.0)`, and scores and mask also of what memory sets as a floor: reading all (`sum`) and
writing zeros (`zero_`).  Appends the raw timings of every round to out/bench/operators.jsonl.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import sparseopt
from sparseopt import kernels
from sparseopt._native import build_info
from sparseopt.penalties import Linear

from .measured import bar, one_thread, record

OUT = Path("out/bench/operators.jsonl")
FUSED = ("prox", "norms and mask", "scores and mask", "admm triple", "soft top-k")
"""Operators with the bar of 3; for the others it is 1."""
FLOORS = {"norms and mask": ("read w",), "scores and mask": ("read w", "read g")}
"""What is read at least; zeros are written in either case."""
Calls = dict[str, dict[str, Callable[[], Any]]]


@dataclass(frozen=True)
class Config:
    """What is timed.  kept: share of the blocks that are kept.  columns: as many as rows if 0."""

    size: int = 4096
    columns: int = 0
    block: int = 32
    kept: float = 0.1
    rounds: int = 12
    seed: int = 0
    device: str = "cpu"


class Contest:
    """Matrices and the ways to treat them: ours, eager torch, and functions that torch.compile may fuse."""

    def __init__(self, config: Config) -> None:
        import torch

        self.torch, n, m, b = torch, config.size, config.columns or config.size, config.block
        rng, on = torch.Generator(config.device).manual_seed(config.seed), {"device": config.device}
        self.w, self.g, self.u = (torch.randn(n, m, generator=rng, **on) for _ in range(3))
        self.z, self.out = torch.zeros(n, m, **on), torch.empty(n, m, **on)
        self.tiles, self.cut, self.k = (n // b, b, m // b, b), (b, b), int(config.kept * (n // b) * (m // b))
        self.scale = torch.rand(n // b, m // b, 1, generator=rng, **on) + 0.5
        self.mask = torch.rand(n // b, m // b, 1, generator=rng, **on) < config.kept

    def tiled(self, x: Any) -> Any:
        """x as [R / b, b, C / b, b]."""
        return x.view(self.tiles)

    def spread(self, values: Any) -> Any:
        """Values of the blocks against `tiled`."""
        return values.view(self.tiles[0], 1, self.tiles[2], 1)

    def top(self, scores: Any) -> Any:
        """Mask of the k largest scores, float, by torch."""
        mask = self.torch.zeros(scores.numel(), device=scores.device)
        mask[scores.flatten().topk(self.k, sorted=False).indices] = 1.0
        return self.spread(mask)

    def kept(self, scores: Any) -> Any:
        """Mask [grid] of the k largest scores, by ours; on a device by torch, which does not wait for it."""
        if scores.device.type != "cpu":
            return self.top(scores).view(self.scale.shape) != 0
        array = scores.flatten().numpy().astype(np.float64)
        chosen = sparseopt.sets.selection.largest(array, self.k, 0.0, lambda chosen: array[chosen])
        return self.torch.from_numpy(chosen).view(self.scale.shape)

    @cached_property
    def splitting(self) -> kernels.Splitting:
        """The matrices of ADMM; every contestant has its own z and u, and goes on from its last update."""
        return kernels.Splitting([self.w], [self.z.clone()], [self.u.clone()], [self.cut])

    @cached_property
    def in_place(self) -> tuple[Any, Any]:
        """z and u of an eager contestant."""
        return self.z.clone(), self.u.clone()

    @cached_property
    def by_rows(self) -> dict[str, Any]:
        """z and u of another one, and the rows of z, of one block each, that are not 0."""
        offsets = self.torch.arange(self.cut[0], device=self.w.device) * self.tiles[2]
        return {"z": self.z.clone(), "u": self.u.clone(), "rows": offsets[:0], "offsets": offsets}

    def calls(self) -> Calls:
        """Operator -> contestant -> call."""
        return self.fused() | self.single()

    def floors(self) -> dict[str, Callable[[], Any]]:
        """What memory does at best."""
        return {"read w": self.w.sum, "read g": self.g.sum, "write zeros": self.w.zero_}

    def fused(self) -> Calls:
        """Those of several steps."""
        w, g, cut = self.w, self.g, self.cut
        return {
            "prox": {
                "ours": lambda: kernels.block_prox_(w, Linear(), 1e-6, cut),
                "eager": lambda: self.eager_prox(self.norms),
                "eager bmm": lambda: self.eager_prox(self.norms_by_bmm),
            },
            "norms and mask": {
                "ours": lambda: kernels.mask_blocks_(w, self.kept(kernels.block_norms(w, cut)), cut),
                "eager": lambda: self.eager_mask(self.norms(w)),
                "eager bmm": lambda: self.eager_mask(self.norms_by_bmm(w)),
            },
            "scores and mask": {
                "ours": lambda: kernels.mask_blocks_(w, self.kept(kernels.block_dots(w, g, cut).abs()), cut),
                "eager": lambda: self.eager_mask(self.dots(w, g).abs_()),
                "eager bmm": lambda: self.eager_mask(self.dots_by_bmm(w, g).abs_()),
            },
            "admm triple": {
                "ours": self.triple,
                "eager": lambda: self.eager_triple(self.norms),
                "eager bmm": lambda: self.eager_triple(self.norms_by_bmm),
                "eager in place": self.eager_triple_in_place,
                "eager in place, rows": self.eager_triple_by_rows,
            },
            "soft top-k": {
                "ours": lambda: self.soft(lambda x: kernels.soft_topk(x, x.numel() // 10, 0.1)),
                "eager": lambda: self.soft(self.bisection),
            },
        }

    def single(self) -> Calls:
        """Those of one step."""
        t, w, g, u, z, out, cut = self.torch, self.w, self.g, self.u, self.z, self.out, self.cut
        rest = (~self.mask).float()
        return {
            "norms": {
                "ours": lambda: kernels.block_norms(g, cut),
                "eager": lambda: self.norms(g),
                "eager bmm": lambda: self.norms_by_bmm(g),
            },
            "expand-multiply": {
                "ours": lambda: kernels.scale_blocks_into_(out, w, self.scale, cut),
                "eager": lambda: t.mul(self.tiled(w), self.spread(self.scale), out=self.tiled(out)),
            },
            "its backward": {
                "ours": lambda: kernels.scale_blocks_vjp_(g, w, self.scale, cut),
                "eager": self.eager_backward,
            },
            "mask": {
                "ours": lambda: kernels.mask_blocks_(w, self.mask, cut),
                "eager": lambda: self.tiled(w).mul_(self.spread(self.mask.float())),
            },
            "SR-STE decay": {
                "ours": lambda: kernels.sparse_decay_(g, w, self.mask, 1e-6, cut),
                "eager": lambda: self.tiled(g).addcmul_(self.tiled(w), self.spread(rest), value=1e-6),
            },
            "ADMM gradient": {
                "ours": lambda: kernels.augment_(g, w, z, u, 1e-6),
                "eager": lambda: g.add_(w, alpha=1e-6).sub_(z, alpha=1e-6).add_(u, alpha=1e-6),
            },
            "N:M": {"ours": lambda: kernels.project_nm_(w, 2, 4), "eager": self.eager_nm},
        }

    def soft(self, call: Callable[[Any], Any]) -> None:
        """Forward and backward of a soft top-k of all entries."""
        x = self.w.flatten().requires_grad_()
        call(x).backward(self.g.flatten())

    def triple(self) -> None:
        """The update of z and u."""
        (norms,) = self.splitting.norms()
        self.splitting.project([self.kept(norms)])

    def norms(self, x: Any) -> Any:
        """Norms of the blocks [grid], by torch."""
        return self.torch.linalg.vector_norm(self.tiled(x), dim=(1, 3))

    def norms_by_bmm(self, x: Any) -> Any:
        """The same."""
        return self.dots_by_bmm(x, x).sqrt_()

    def dots(self, a: Any, b: Any) -> Any:
        """<a, b> of the blocks [grid], by torch."""
        return self.tiled(self.torch.mul(a, b, out=self.out)).sum((1, 3))

    def dots_by_bmm(self, a: Any, b: Any) -> Any:
        """The same."""
        down, rows, across, columns = self.tiles
        return self.torch.bmm(a.view(-1, 1, columns), b.view(-1, columns, 1)).view(down, rows, across).sum(1)

    def eager_prox(self, norms_of: Callable[[Any], Any]) -> None:
        """Group soft threshold."""
        self.tiled(self.w).mul_(self.spread((1 - 1e-6 / norms_of(self.w)).clamp_min_(0)))

    def eager_mask(self, scores: Any) -> None:
        """The blocks with the largest scores stay."""
        self.tiled(self.w).mul_(self.top(scores))

    def eager_triple(self, norms_of: Callable[[Any], Any]) -> None:
        """The update of z and u."""
        t, out = self.torch, self.out
        t.add(self.w, self.u, out=out)
        mask = self.top(norms_of(out))
        t.mul(self.tiled(out), mask, out=self.tiled(self.z))
        t.sub(out, self.z, out=self.u)

    def eager_triple_in_place(self) -> None:
        """The same with the sum in u, as ours."""
        z, u = self.in_place
        mask = self.top(self.norms_by_bmm(u.add_(self.w)))
        self.torch.mul(self.tiled(u), mask, out=self.tiled(z))
        self.tiled(u).mul_(1 - mask)

    def eager_triple_by_rows(self) -> None:
        """The same, moving but the rows of blocks that are kept, or were so before."""
        own, (_, b, across, _) = self.by_rows, self.tiles
        z, u = own["z"].view(-1, b), own["u"].view(-1, b)
        kept = self.norms_by_bmm(own["u"].add_(self.w)).flatten().topk(self.k, sorted=False).indices.sort().values
        z.index_fill_(0, own["rows"], 0)
        own["rows"] = rows = ((kept // across * b * across + kept % across)[:, None] + own["offsets"]).flatten()
        z.index_copy_(0, rows, u.index_select(0, rows))
        u.index_fill_(0, rows, 0)

    def eager_backward(self) -> None:
        """Both derivatives of scale times w."""
        products = self.torch.mul(self.w, self.g, out=self.out)
        self.tiled(products).sum((1, 3))
        self.tiled(self.g).mul_(self.spread(self.scale))

    def bisection(self, x: Any) -> Any:
        """sigmoid(x / 0.1 + t) with t by 30 bisections, with its derivative by implicit differentiation."""
        t = self.torch
        with t.no_grad():
            low, high, k = -100.0, 100.0, x.numel() // 10
            s = x / 0.1
            for _ in range(30):
                middle = (low + high) / 2
                low, high = (low, middle) if float(t.sigmoid(s + middle).sum()) > k else (middle, high)
            f = t.sigmoid(s + high)
            v = f * (1 - f)
        return f + (v * (x - x.detach() - (v * (x - x.detach())).sum() / v.sum())) / 0.1

    def eager_nm(self) -> None:
        """2:4 by topk of groups."""
        groups = self.w.view(-1, 4)
        indices = groups.abs().topk(2, dim=1, sorted=False).indices
        groups.mul_(self.torch.zeros_like(groups).scatter_(1, indices, 1.0))

    def compiled(self) -> Calls:
        """What torch.compile makes of the eager versions without a selection, in place as they are."""
        t, w, g, u, z, out = self.torch, self.w, self.g, self.u, self.z, self.out
        rest, scale = (~self.mask).float(), self.scale

        @t.compile
        def prox() -> None:
            norms = t.linalg.vector_norm(self.tiled(w), dim=(1, 3), keepdim=True)
            self.tiled(w).mul_((1 - 1e-6 / norms).clamp_min(0))

        @t.compile
        def decay() -> None:
            self.tiled(g).addcmul_(self.tiled(w), self.spread(rest), value=1e-6)

        @t.compile
        def gradient() -> None:
            g.add_(1e-6 * (w - z + u))

        @t.compile
        def expand() -> None:
            self.tiled(out).copy_(self.tiled(w) * self.spread(scale))

        return {
            "prox": {"compiled": prox},
            "SR-STE decay": {"compiled": decay},
            "ADMM gradient": {"compiled": gradient},
            "expand-multiply": {"compiled": expand},
        }


def run(config: Config, with_compile: bool) -> dict[str, list[float]]:
    """CPU seconds of every round, by "operator: contestant"."""
    import torch

    torch.set_num_threads(1)
    contest = Contest(config)
    source, calls = contest.w.clone(), contest.calls()
    for name, more in contest.compiled().items() if with_compile else ():
        calls[name] |= more
    flat = {f"{name}: {who}": call for name, group in calls.items() for who, call in group.items()}
    flat = {"mul_(1.0)": lambda: contest.w.mul_(1.0)} | contest.floors() | flat
    timings: dict[str, list[float]] = {name: [] for name in flat}
    for i in range(config.rounds + 1):
        for name, call in flat.items():
            if "soft top-k: eager" in name and i > 2:
                continue
            contest.w.copy_(source)
            start = time.process_time()
            call()
            if i:  # the first round warms up
                timings[name].append(time.process_time() - start)
    return timings


def report(config: Config, timings: dict[str, list[float]]) -> None:
    """Print the table and the bars."""
    best = {name: min(seconds) for name, seconds in timings.items()}
    base = best.pop("mul_(1.0)")
    print(f"operators, {config.size} x {config.size} float32, blocks of {config.block}, one thread,")
    print(f"minimum of {config.rounds} alternating rounds, {build_info()['isa']}; mul_(1.0) {1e3 * base:.2f} ms")
    for name in dict.fromkeys(key.rpartition(": ")[0] for key in best if ": " in key):
        found = {key.rpartition(": ")[2]: seconds for key, seconds in best.items() if key.startswith(f"{name}: ")}
        print(f"  {name}: " + ", ".join(f"{who} {seconds / base:.2f}" for who, seconds in found.items()) + " mul_")
        ours, eager = found["ours"], min(seconds for who, seconds in found.items() if who.startswith("eager"))
        bar(f"{name}: eager / ours", eager / ours, least=3.0 if name in FUSED else 1.0)
        if name in FLOORS:
            floor = sum(best[read] for read in FLOORS[name]) + (1 - config.kept) * best["write zeros"]
            print(f"  {name}: the floor of memory is {floor / base:.2f} mul_, eager / floor {eager / floor:.2f}")
        if "compiled" in found:
            bar(f"{name}: ours / compiled", ours / found["compiled"], most=1.1)


def main() -> None:
    """Run, print, record."""
    parser = argparse.ArgumentParser(description="torch operators against eager and compiled torch")
    parser.add_argument("--rounds", type=int, default=Config.rounds)
    parser.add_argument("--no-compile", action="store_true")
    given = parser.parse_args()
    one_thread(__spec__.name)
    config = Config(rounds=given.rounds)
    timings = run(config, not given.no_compile)
    report(config, timings)
    record(OUT, config, timings)


if __name__ == "__main__":
    main()
