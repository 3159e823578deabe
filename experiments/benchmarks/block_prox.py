"""Block prox of a 4096 x 4096 float32 matrix in 32 x 32 blocks: the compiled core against eager torch, on one thread.

    python -m experiments.benchmarks.block_prox [--device cpu|cuda] [--rounds 25]

Bars (CPU): in place at most 2.0 times W.mul_(1.0), and at least 3 times faster than the best eager torch version.
Appends the raw timings of every round to out/bench/block_prox.jsonl.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparseopt import kernels
from sparseopt._native import BlockLayout, RadialProx, block_prox_ptr, build_info, radial_twin
from sparseopt.penalties import Linear

from .measured import bar, record

OUT = Path("out/bench/block_prox.jsonl")
BAR_MUL, BAR_EAGER = 2.0, 3.0


@dataclass(frozen=True)
class Config:
    """What is timed. step is small against the norm of a block (32), so that repeated shrinking leaves all of them."""

    size: int = 4096
    block: int = 32
    step: float = 1e-4
    rounds: int = 25
    device: str = "cpu"
    seed: int = 0


class Contest:
    """One matrix w [size, size] float32 and all the ways to shrink its blocks."""

    def __init__(self, config: Config) -> None:
        import torch

        self.config, self.torch = config, torch
        n, b = config.size, config.block
        generator = torch.Generator().manual_seed(config.seed)
        self.w = torch.randn(n, n, generator=generator).to(config.device)
        self.out = torch.empty_like(self.w)
        self.tiles = self.w.view(n // b, b, n // b, b)
        self.step = torch.full((), config.step, dtype=torch.float64, device=config.device)

    def operator(self) -> None:
        """The torch operator, in place."""
        kernels.block_prox_(self.w, Linear(), self.step, (self.config.block, self.config.block))

    def native(self, out: object) -> Callable[[], None]:
        """The compiled core on the CPU, from self.w into a tensor."""
        c = self.config
        twin = radial_twin(Linear())
        if twin is None:
            sys.exit("the compiled core is missing: run `make setup`, then `python -m sparseopt` says why")
        prox = RadialProx(*twin, self.step.data_ptr(), per_block=False)
        layout = BlockLayout(c.size, c.size, c.size, c.size, (c.block, c.block), np.dtype(np.float32))
        w, target = self.w.data_ptr(), out.data_ptr()  # type: ignore[attr-defined]
        return lambda: block_prox_ptr(w, target, layout, prox, threads=1)

    def factors(self, norms: object) -> object:
        """(1 - step / norm)_+ of the block norms."""
        return self.torch.clamp_min(1 - self.config.step / norms, 0.0)

    def eager_norm(self) -> None:
        """vector_norm over the two block axes, scaled in place."""
        norms = self.torch.linalg.vector_norm(self.tiles, dim=(1, 3), keepdim=True)
        self.tiles.mul_(self.factors(norms))

    def eager_norm_rows_first(self) -> None:
        """vector_norm of each row of a block, which is contiguous, then over the rows."""
        rows = self.torch.linalg.vector_norm(self.tiles, dim=3, keepdim=True)
        self.tiles.mul_(self.factors(self.torch.linalg.vector_norm(rows, dim=1, keepdim=True)))

    def eager_square_sum(self) -> None:
        """Squares into a buffer kept for it, summed over the block axes."""
        squares = self.torch.mul(self.w, self.w, out=self.out).view_as(self.tiles)
        self.tiles.mul_(self.factors(squares.sum(dim=(1, 3), keepdim=True).sqrt_()))

    def eager_einsum(self) -> None:
        """Sums of squares by einsum."""
        norms = self.torch.einsum("irjc,irjc->ij", self.tiles, self.tiles).sqrt_()
        self.tiles.mul_(self.factors(norms)[:, None, :, None])

    def eager_pool(self) -> None:
        """Sums of squares by pooling."""
        c = self.config
        squares = self.torch.mul(self.w, self.w, out=self.out)[None, None]
        sums = self.torch.nn.functional.avg_pool2d(squares, c.block, divisor_override=1)[0, 0]
        self.tiles.mul_(self.factors(sums.sqrt_())[:, None, :, None])

    def contestants(self) -> dict[str, Callable[[], object]]:
        """Everything timed, by name."""
        on_cpu = self.config.device == "cpu"
        native = {"native, into out": self.native(self.out)} if on_cpu else {}
        return {
            "mul_(1.0)": lambda: self.w.mul_(1.0),
            "native, in place": self.native(self.w) if on_cpu else self.operator,
            **native,
            "torch: vector_norm, mul_": self.eager_norm,
            "torch: row norms first, mul_": self.eager_norm_rows_first,
            "torch: square, sum, mul_": self.eager_square_sum,
            "torch: einsum, mul_": self.eager_einsum,
            "torch: square, avg_pool2d, mul_": self.eager_pool,
        }

    def check(self, name: str, go: Callable[[], object]) -> None:
        """Stop unless a contestant computes the block prox, in place or into out."""
        before = self.w.clone()
        norms = self.torch.linalg.vector_norm(self.tiles.double(), dim=(1, 3), keepdim=True)
        expected = self.w if name == "mul_(1.0)" else (self.tiles * self.factors(norms)).view_as(self.w)
        expected = expected.to(self.w.dtype).clone()
        go()
        result = self.out if "into out" in name else self.w
        self.torch.testing.assert_close(result, expected, rtol=1e-5, atol=0, msg=f"{name} computes something else")
        self.w.copy_(before)

    def seconds(self, run: Callable[[], object]) -> float:
        """One timed run, waiting for the device."""
        if self.config.device == "cuda":
            self.torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        if self.config.device == "cuda":
            self.torch.cuda.synchronize()
        return time.perf_counter() - start


def run(config: Config) -> dict[str, list[float]]:
    """Seconds of every round of every contestant; they alternate, after a check of each that also warms it up."""
    import torch

    torch.set_num_threads(1)
    contest = Contest(config)
    contestants = contest.contestants()
    for name, go in contestants.items():
        contest.check(name, go)
    timings: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(config.rounds):
        for name, go in contestants.items():
            timings[name].append(contest.seconds(go))
    return timings


def report(config: Config, timings: dict[str, list[float]]) -> None:
    """Print the table, and on the CPU the bars."""
    best = {name: min(seconds) for name, seconds in timings.items()}
    base, native = best["mul_(1.0)"], best["native, in place"]
    print(
        f"block prox, {config.size} x {config.size} float32, {config.block} x {config.block} blocks, {config.device},"
    )
    print(f"one thread, minimum of {config.rounds} alternating rounds, {build_info()['isa']}")
    for name, seconds in best.items():
        print(f"  {name:32} {1e3 * seconds:8.2f} ms {seconds / base:7.2f} x mul_")
    eager = {name: seconds for name, seconds in best.items() if name.startswith("torch:")}
    fastest = min(eager, key=lambda name: eager[name])
    if config.device == "cpu":
        bar("in place / mul_(1.0)", native / base, most=BAR_MUL)
        ratio = eager[fastest] / native
        bar("fastest eager torch / in place", ratio, least=BAR_EAGER)
    print(f"fastest eager torch: {fastest.removeprefix('torch: ')}")


def main() -> None:
    """Run, print, record."""
    parser = argparse.ArgumentParser(description="compiled block prox against eager torch")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=Config.rounds)
    arguments = parser.parse_args()
    config = Config(rounds=arguments.rounds, device=arguments.device)
    timings = run(config)
    report(config, timings)
    device = ""
    if config.device == "cuda":
        import torch

        device = torch.cuda.get_device_name()
    record(OUT, config, timings, device)


if __name__ == "__main__":
    main()
