"""Soft top-k, forward and backward into reused buffers, in copies: times of `torch.Tensor.copy_` of the same vector.

    python -m experiments.benchmarks.soft_topk [--rounds 15] [--n 10000000]

One thread, float32, n = 1e7, k = n / 10, processor time, minimum of alternating rounds; the gain of a second thread in
wall time.  Bars: see BARS.  Appends the raw timings of every round to out/bench/soft_topk.jsonl.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import sparseopt as so
from sparseopt._native import build_info

from .measured import bar, record

OUT = Path("out/bench/soft_topk.jsonl")
TEMPERATURES = (10.0, 1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6)
TIED = ("steps", "zeros", "two levels", "ten levels", "rectified")
RIVAL_ROUNDS = 3
BARS = {"x86-64-v4": (5.5, 7.0), "x86-64-v3": (8.0, 10.5)}
"""Instruction set -> copies allowed at tau = 0.1, warm and cold."""


@dataclass(frozen=True)
class Config:
    """Sizes and repetitions."""

    n: int = 10_000_000
    rounds: int = 15
    seed: int = 0


class Vector:
    """x [n], a gradient and buffers, all aligned as torch aligns them."""

    def __init__(self, x: np.ndarray, seed: int) -> None:
        import torch

        self.tensor = torch.from_numpy(x).clone()
        self.x = self.tensor.numpy()
        self.copy = torch.empty_like(self.tensor)
        self.g = torch.randn(self.tensor.shape, generator=torch.Generator().manual_seed(seed)).numpy()
        self.f, self.d = torch.empty_like(self.tensor).numpy(), torch.empty_like(self.tensor).numpy()
        self.k = x.shape[-1] // 10

    def cold(self, tau: float, threads: int = 1) -> Callable[[], object]:
        """Forward and backward with a new operator."""

        def go() -> None:
            op = so.SoftTopK(self.k, tau, threads=threads)
            op(self.x, out=self.f)
            op.vjp(self.g, out=self.d)

        return go

    def warm(self, tau: float, threads: int = 1) -> Callable[[], object]:
        """The same with an operator that has solved this x before."""
        op = so.SoftTopK(self.k, tau, threads=threads)
        op(self.x, out=self.f)

        def go() -> None:
            op(self.x, out=self.f)
            op.vjp(self.g, out=self.d)

        return go

    def straight_through(self) -> None:
        """torch.topk, its mask, and a copy of the gradient."""
        import torch

        mask = torch.from_numpy(self.f).zero_()
        mask.scatter_(-1, torch.topk(self.tensor, self.k, sorted=False).indices, 1.0)
        torch.from_numpy(self.d).copy_(torch.from_numpy(self.g))

    def bisections(self, tau: float = 0.1) -> None:
        """64 bisections of t, sigmoid, and the closed-form gradient, in torch."""
        import torch

        z, g = self.tensor / tau, torch.from_numpy(self.g)
        low, high = -float(z.max()) - 20, -float(z.min()) + 20
        for _ in range(64):
            t = (low + high) / 2
            low, high = (low, t) if float(torch.sigmoid(z + t).sum()) > self.k else (t, high)
        f = torch.sigmoid(z + t)
        v = f * (1 - f)
        _ = v * (g - torch.dot(v, g) / v.sum()) / tau


def vectors(config: Config) -> dict[str, Vector]:
    """The data: Gaussian, the same in steps of 1/2, with nine tenths zeros, rectified; levels; 4096 Gaussian rows."""
    rng = np.random.default_rng(config.seed)
    x = rng.standard_normal(config.n, dtype=np.float32)
    zeros = np.where(rng.random(config.n) < 0.9, np.float32(0), x)
    two = rng.permutation((np.arange(config.n) < config.n // 10).astype(np.float32))
    rows = rng.standard_normal((4096, 1000), dtype=np.float32)
    ten = np.floor(10 * rng.random(config.n)) / 10
    tied = (np.round(2 * x) / 2, zeros, two, ten, np.maximum(x, 0))
    data = {"gauss": x, **dict(zip(TIED, tied, strict=True)), "rows": rows}
    return {name: Vector(np.ascontiguousarray(a, dtype=np.float32), config.seed) for name, a in data.items()}


def contestants(data: dict[str, Vector]) -> dict[str, Callable[[], object]]:
    """Everything timed, by name."""
    found: dict[str, Callable[[], object]] = {
        f"copy {name}": (lambda v=v: v.copy.copy_(v.tensor)) for name, v in data.items() if name in ("gauss", "rows")
    }
    found["warm 0.1"] = data["gauss"].warm(0.1)
    found |= {f"cold {tau:g}": data["gauss"].cold(tau) for tau in TEMPERATURES}
    for kind in TIED:
        found |= {f"{kind} {tau:g}": data[kind].cold(tau) for tau in (10.0, 1.0, 0.1, 0.01, 1e-3, 1e-6)}
    return found | {"rows warm": data["rows"].warm(0.1), "rows cold": data["rows"].cold(0.1)}


def timed(go: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Seconds of one call."""
    start = clock()
    go()
    return clock() - start


def small(seed: int) -> float:
    """Seconds of forward and backward of 1000 entries, called from Python, warm."""
    go = Vector(np.random.default_rng(seed).standard_normal(1000, dtype=np.float32), seed).warm(0.1)
    return min(timed(lambda: [go() for _ in range(2000)]) / 2000 for _ in range(10))


def run(config: Config) -> dict[str, list[float]]:
    """Seconds of every round of every contestant; they alternate."""
    import torch

    torch.set_num_threads(1)
    data = vectors(config)
    entries = contestants(data)
    timings: dict[str, list[float]] = {name: [] for name in entries}
    for i in range(config.rounds + 1):
        for name, go in entries.items():
            seconds = timed(go)
            if i:  # the first round warms up
                timings[name].append(seconds)
    gauss = data["gauss"]
    rivals = {"topk": gauss.straight_through, "64 bisections": gauss.bisections}
    timings |= {name: [timed(go) for _ in range(RIVAL_ROUNDS)] for name, go in rivals.items()}
    timings["n = 1000"] = [small(config.seed)]
    return timings


def report(config: Config, timings: dict[str, list[float]]) -> None:
    """Print every contestant in copies, and the bars."""
    best = {name: min(seconds) for name, seconds in timings.items()}
    copy, isa = best["copy gauss"], build_info()["isa"]
    print(f"soft top-k, n = {config.n}, k = n/10, float32, one thread, minimum of {config.rounds} rounds, {isa}")
    for name, seconds in best.items():
        unit = best["copy rows"] if name.startswith("rows") else copy
        print(f"  {name:18}{1e3 * seconds:10.3f} ms {seconds / unit:8.2f} copies")
    warm, cold = BARS.get(isa, BARS["x86-64-v3"])
    cold_seconds = best["cold 0.1"]
    worst = max(best[f"cold {tau:g}"] for tau in TEMPERATURES)
    tied = max(seconds for name, seconds in best.items() if name.startswith(TIED))
    bar("warm, tau 0.1, copies", best["warm 0.1"] / copy, most=warm)
    bar("cold, tau 0.1, copies", cold_seconds / copy, most=cold)
    bar("cold, tau 1e-5, copies", best["cold 1e-05"] / copy, most=3.0)
    bar("worst tau / tau 0.1, continuous", worst / cold_seconds, most=1.4)
    bar("worst tied / tau 0.1", tied / cold_seconds, most=2.5)
    bar("rows [4096, 1000] warm, copies", best["rows warm"] / best["copy rows"], most=11.0)
    bar("rows [4096, 1000] cold, copies", best["rows cold"] / best["copy rows"], most=20.0)
    bar("n = 1000 from Python, microseconds", 1e6 * best["n = 1000"], most=10.0)
    bar("cold / torch.topk straight through", cold_seconds / best["topk"], most=1 / 7)
    bar("cold / 64 bisections", cold_seconds / best["64 bisections"], most=1 / 25)


def threads(config: Config, pairs: int = 20) -> None:
    """Print the gain of a second thread, wall time, best of alternating pairs."""
    x = np.random.default_rng(config.seed).standard_normal(config.n, dtype=np.float32)
    one, two = (Vector(x, config.seed).cold(0.1, threads=n) for n in (1, 2))
    wall = time.perf_counter
    gain = max(timed(one, wall) / timed(two, wall) for _ in range(pairs))
    bar("2 threads, times faster", gain, least=1.4)


def main() -> None:
    """Run, print, record."""
    parser = argparse.ArgumentParser(description="soft top-k in copies of its input")
    parser.add_argument("--rounds", type=int, default=Config.rounds)
    parser.add_argument("--n", type=int, default=Config.n)
    parser.add_argument("--threads-only", action="store_true", help="only the gain of a second thread")
    arguments = parser.parse_args()
    config = Config(n=arguments.n, rounds=arguments.rounds)
    if not arguments.threads_only:
        timings = run(config)
        report(config, timings)
        record(OUT, config, timings)
    threads(config)


if __name__ == "__main__":
    main()
