"""Projections of a 4096 x 4096 float32 matrix onto mask sets, in place, on one thread, against `W.mul_(1.0)`.

    python -m experiments.benchmarks.projections [--rounds 40]

Bars: multiples of the CPU time of mul_, contestants alternating in one run, the minimum of each; every run starts from
the same Gaussian matrix.  Appends the raw timings of every round to out/bench/projections.jsonl.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparseopt._native import build_info
from sparseopt.sets import NM, PatternLibrary, TopBlocks, TransposableNM

from .measured import bar, one_thread, record

OUT = Path("out/bench/projections.jsonl")


@dataclass(frozen=True)
class Config:
    """What is timed.  kept: share of the blocks that are kept."""

    size: int = 4096
    block: int = 32
    kept: float = 0.1
    patterns: int = 32
    rounds: int = 40
    seed: int = 0


def contestants(config: Config) -> dict[str, tuple[Any, float]]:
    """The sets, and their bars as multiples of mul_."""
    rng = np.random.default_rng(config.seed)
    half = np.tile(np.arange(16) < 8, (config.patterns, 1))
    blocks = int(config.kept * (config.size // config.block) ** 2)
    return {
        "NM(2, 4)": (NM(2, 4), 1.4),
        "NM(2, 8)": (NM(2, 8), 3.0),
        "NM(4, 8)": (NM(4, 8), 3.0),
        "top 32x32 blocks, 10 %": (TopBlocks(blocks, (config.block, config.block)), 2.0),
        "32 patterns of 4x4": (PatternLibrary(rng.permuted(half, axis=1).reshape(-1, 4, 4)), 4.5),
        "TransposableNM(2, 4)": (TransposableNM(2, 4), 5.5),
    }


def run(config: Config) -> dict[str, list[float]]:
    """CPU seconds of every round of every contestant, after a check of each that also warms it up."""
    import torch

    torch.set_num_threads(1)
    source = torch.randn(config.size, config.size, generator=torch.Generator().manual_seed(config.seed))
    w = source.clone()
    calls: dict[str, Callable[[], Any]] = {"mul_(1.0)": lambda: w.mul_(1.0)}
    for name, (chosen, _) in contestants(config).items():
        calls[name] = lambda chosen=chosen: chosen.project(w, out=w)
        check(name, chosen, source)
    timings: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(config.rounds):
        for name, call in calls.items():
            w.copy_(source)
            start = time.process_time()
            call()
            timings[name].append(time.process_time() - start)
    return timings


def check(name: str, chosen: Any, source: Any) -> None:
    """Stop unless the compiled projection of a corner of the matrix is that of the formula."""
    corner = source.numpy()[:256, :256].copy()
    small = TopBlocks(6, chosen.block) if isinstance(chosen, TopBlocks) else chosen
    if (small.project(corner) != np.where(small.support(corner), corner, 0)).any():
        sys.exit(f"{name} computes something else than its formula")


def report(config: Config, timings: dict[str, list[float]]) -> None:
    """Print the table and the bars."""
    best = {name: min(seconds) for name, seconds in timings.items()}
    base = best["mul_(1.0)"]
    print(f"projections in place, {config.size} x {config.size} float32, one thread,")
    print(f"minimum of {config.rounds} alternating rounds, {build_info()['isa']}; mul_(1.0) {1e3 * base:.2f} ms")
    for name, (_, limit) in contestants(config).items():
        bar(f"{name} / mul_(1.0)", best[name] / base, most=limit)


def main() -> None:
    """Run, print, record."""
    parser = argparse.ArgumentParser(description="compiled projections against mul_")
    parser.add_argument("--rounds", type=int, default=Config.rounds)
    config = Config(rounds=parser.parse_args().rounds)
    one_thread(__spec__.name)
    timings = run(config)
    report(config, timings)
    record(OUT, config, timings)


if __name__ == "__main__":
    main()
