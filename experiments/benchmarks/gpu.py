"""The torch operators and the block-sparse product on a CUDA device, against eager and compiled torch.

    python -m experiments.benchmarks.gpu [--device cuda] [--rounds 20] [--no-compile]

4096 x 4096 and 10240 x 9760 (1e8) float32 in 32 x 32 blocks; contestants alternate in one run, timed by events of the
device, minimum of each.  Bars: operations in place at 80 % or more of the bandwidth of `torch.Tensor.copy_`, counting
the fewest bytes that each must move; soft top-k, forward and backward, in at most 8 copies at 1e8 entries; the fused
ones at least 3 times faster than eager, none slower than `torch.compile`; the product, 90 % of its blocks zero, not
slower than the dense layer.  Appends the raw timings of every round to experiments/results/gpu/ (on the CPU, where it
only shows that it runs, to out/bench/).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sparseopt import kernels

from .measured import bar, record
from .operators import FUSED, Calls, Contest
from .operators import Config as OperatorConfig

SIZES = ((4096, 4096), (10240, 9760))
MATRICES_MOVED = {
    "prox": 2.0,
    "scores and mask": 2.9,
    "admm triple": 6.2,
    "norms": 1.0,
    "expand-multiply": 2.0,
    "its backward": 3.0,
    "mask": 0.9,
    "SR-STE decay": 3.0,
    "ADMM gradient": 5.0,
    "N:M": 2.0,
}
"""Operation -> reads and writes of a whole matrix, at the least: with 10 % of the blocks kept, a mask writes 90 % and
reads nothing, and the triple writes u, and z where it changes."""

EACH = OperatorConfig(rounds=20, device="cuda")


@dataclass(frozen=True)
class Config:
    """What is timed.  sizes: of the matrices.  batches, side: of the product, side x side.  each: all but sizes."""

    sizes: tuple[tuple[int, int], ...] = SIZES
    batches: tuple[int, ...] = (1, 32, 256, 4096)
    side: int = 4096
    each: OperatorConfig = EACH


class Clock:
    """Seconds of a call, by events of the device, or by the clock on the CPU."""

    def __init__(self, device: str) -> None:
        import torch

        self.cuda = torch.cuda if device == "cuda" else None

    def __call__(self, call: Callable[[], Any]) -> float:
        """One call, from the moment the device is idle."""
        if self.cuda is None:
            start = time.perf_counter()
            call()
            return time.perf_counter() - start
        self.cuda.synchronize()
        first, last = self.cuda.Event(enable_timing=True), self.cuda.Event(enable_timing=True)
        self.cuda._sleep(1_000_000)  # the host queues the whole call meanwhile
        first.record()
        call()
        last.record()
        self.cuda.synchronize()
        return 1e-3 * float(first.elapsed_time(last))


def operators(config: Config, rows: int, columns: int, with_compile: bool) -> Calls:
    """Operation -> contestant -> call, and "copy_" and "mul_(1.0)"."""
    contest = Contest(replace(config.each, size=rows, columns=columns))
    calls = contest.calls()
    for name in MATRICES_MOVED if with_compile else ():
        compiled = compiled_or_none(name, calls[name]["eager"])
        calls[name] |= {} if compiled is None else {"compiled": compiled}
    plain = {"copy_": lambda: contest.out.copy_(contest.w), "mul_(1.0)": lambda: contest.w.mul_(1.0)}
    return calls | {"plain": plain}


def compiled_or_none(name: str, call: Callable[[], Any]) -> Callable[[], Any] | None:
    """What torch.compile makes of a call, after it ran once; None where it cannot, which is printed."""
    import torch

    torch._dynamo.reset()  # fixed sizes: nothing is known of the last ones
    compiled = torch.compile(call)
    try:
        compiled()
    except Exception as error:  # whatever the compiler of another library raises
        print(f"{name}: torch.compile gave up, {type(error).__name__}")
        return None
    return compiled


def products(config: Config) -> Calls:
    """ "product DTYPE BATCH" -> contestant -> call."""
    import torch

    each, n, b = config.each, config.side, config.each.block
    rng = torch.Generator().manual_seed(each.seed)
    mask = torch.rand(n // b, n // b, generator=rng) < each.kept
    w = torch.randn(n, n, generator=rng) * mask.repeat_interleave(b, 0).repeat_interleave(b, 1)
    calls: Calls = {}
    for dtype in (torch.float32, torch.bfloat16):
        dense = w.to(each.device, dtype)
        blocks = kernels.BlockSparse.of(dense, b)
        for batch in config.batches:
            x = torch.randn(batch, n, generator=rng).to(each.device, dtype)
            calls[f"product {str(dtype).removeprefix('torch.')} {batch}"] = {
                "ours": lambda x=x, blocks=blocks: kernels.block_linear(x, blocks),  # type: ignore[misc]
                "eager": lambda x=x, dense=dense: torch.nn.functional.linear(x, dense),  # type: ignore[misc]
                "gradient": lambda x=x, blocks=blocks: kernels.products.block_linear_transposed(x, blocks),  # type: ignore[misc]
            }
    return calls


def timed(calls: Calls, config: Config, prefix: str) -> dict[str, list[float]]:
    """Seconds of every round, by "prefix operation: contestant"; they alternate."""
    clock = Clock(config.each.device)
    timings: dict[str, list[float]] = {}
    for i in range(config.each.rounds + 3):
        for name, group in calls.items():
            for who, call in group.items():
                seconds = clock(call)
                if i > 2:  # the first rounds warm up, and compile
                    timings.setdefault(f"{prefix}{name}: {who}", []).append(seconds)
    return timings


def run(config: Config, with_compile: bool) -> dict[str, list[float]]:
    """Seconds of every round of every contestant, at every size."""
    timings: dict[str, list[float]] = {}
    for rows, columns in config.sizes:
        timings |= timed(operators(config, rows, columns, with_compile), config, f"{rows} x {columns} ")
    return timings | timed(products(config), config, "")


def report_operators(config: Config, best: dict[str, float], size: tuple[int, int]) -> None:
    """Print the bars of the operators at one size."""
    prefix, block = f"{size[0]} x {size[1]} ", config.each.block
    entries, copy = size[0] * size[1], best[prefix + "plain: copy_"]
    print(f"{prefix}float32, blocks of {block}: copy_ {8e-9 * entries / copy:.0f} GB/s, {1e6 * copy:.1f} us")
    for name in [key.removeprefix(prefix).removesuffix(": ours") for key in best if key.endswith(": ours")]:
        ours, eager, compiled = (best.get(f"{prefix}{name}: {who}") for who in ("ours", "eager", "compiled"))
        if ours is None or eager is None:
            continue
        print(f"  {name}: {1e6 * ours:.1f} us, {ours / copy:.2f} copies, eager {eager / copy:.2f}")
        if name in MATRICES_MOVED:
            bar(f"{name}: share of copy_", MATRICES_MOVED[name] / 2 * copy / ours, least=0.8)
        elif entries >= 99_000_000:
            bar(f"{name}: copies", ours / copy, most=8.0)
        if name in FUSED:
            bar(f"{name}: eager / ours", eager / ours, least=3.0)
        if compiled is not None:
            bar(f"{name}: ours / compiled", ours / compiled, most=1.0)


def report(config: Config, timings: dict[str, list[float]]) -> None:
    """Print every operation with its bars."""
    best = {name: min(seconds) for name, seconds in timings.items()}
    for size in config.sizes:
        report_operators(config, best, size)
    print(f"product with {config.side} x {config.side}, {1 - config.each.kept:.0%} of the blocks zero")
    for name in [key.removesuffix(": ours") for key in best if key.startswith("product") and key.endswith(": ours")]:
        ours, dense, gradient = (best[f"{name}: {who}"] for who in ("ours", "eager", "gradient"))
        print(f"  {name}: {1e6 * ours:.1f} us, gradient {1e6 * gradient:.1f} us, dense {1e6 * dense:.1f} us")
        bar(f"{name}: dense / ours", dense / ours, least=1.0)


def main() -> None:
    """Run, print, record."""
    parser = argparse.ArgumentParser(description="torch operators on a CUDA device")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--rounds", type=int, default=EACH.rounds)
    parser.add_argument("--no-compile", action="store_true")
    given = parser.parse_args()
    import torch

    if given.device == "cuda" and not torch.cuda.is_available():
        parser.exit(1, "torch finds no CUDA device: nothing was measured\n")
    config = Config(each=OperatorConfig(rounds=given.rounds, device=given.device))
    timings = run(config, not given.no_compile)
    report(config, timings)
    on_gpu = given.device == "cuda"
    device = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}" if on_gpu else ""
    record(Path("experiments/results/gpu" if on_gpu else "out/bench") / "operators_gpu.jsonl", config, timings, device)


if __name__ == "__main__":
    main()
