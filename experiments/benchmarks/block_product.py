"""The block-sparse product: a 4096 x 4096 layer, 90 % of its 32 x 32 blocks zero, against dense and other formats.

    python -m experiments.benchmarks.block_product [--rounds 10] [--batch 1 32 256] [--block 32] [--threads 1]

One thread, processor time (with more of them, elapsed time), contestants alternating in one run, minimum of each; at
batch 1 the caches are flushed ahead of every call.  Bars: the own product and its gradient with respect to the input at
least 6 times faster than those of the dense layer at batch 1, 8 times at 32 and 256.  "gradient" is the product of the
gradient that arrives with the weight, "backward" the same by torch.autograd.grad, with what that costs by itself.
ONNX Runtime with the graph of a balanced layer (as many blocks in every row, rounded up) at least 2.5 times faster than
with the dense one.
Appends the raw timings of every round to out/bench/block_product.jsonl.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparseopt._native import build_info

from .measured import bar, one_thread, record

OUT = Path("out/bench/block_product.jsonl")
BARS = {1: 6.0, 32: 8.0, 256: 8.0}
ONNX_BAR = 2.5
FLUSHED = 1
"""Largest batch at which the caches are flushed: larger ones evict the dense weights by themselves."""
Calls = dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Config:
    """What is timed.  kept: share of the blocks that are kept."""

    size: int = 4096
    block: int = 32
    kept: float = 0.1
    rounds: int = 10
    seed: int = 0
    threads: int = 1


class Contest:
    """The layer, dense and in its sparse forms."""

    def __init__(self, config: Config) -> None:
        import torch
        from torch import nn

        from sparseopt.pruning.deploy.modules import BalancedLinear, BlockSparseLinear, CompressedLinear

        self.torch, self.rng = torch, torch.Generator().manual_seed(config.seed)
        n, b = config.size, config.block
        self.dense = nn.Linear(n, n)
        grid = (n // b) ** 2
        mask = torch.zeros(grid, dtype=torch.bool)
        mask[torch.randperm(grid, generator=self.rng)[: int(config.kept * grid)]] = True
        mask = mask.view(n // b, n // b).repeat_interleave(b, 0).repeat_interleave(b, 1)
        w = torch.randn(n, n, generator=self.rng) * mask
        self.dense.weight.data.copy_(w)
        bias = self.dense.bias
        self.layers = {
            "dense": self.dense,
            "sparse": BlockSparseLinear(w, bias, b),
            "bsr": CompressedLinear(w, bias, "bsr", b),
            "csr": CompressedLinear(w, bias, "csr"),
        }
        rows = torch.rand(n // b, n // b, generator=self.rng).argsort(dim=1) < math.ceil(config.kept * (n // b))
        balanced = torch.randn(n, n, generator=self.rng) * rows.repeat_interleave(b, 0).repeat_interleave(b, 1)
        self.layers["balanced"] = BalancedLinear(balanced, bias, b)
        self.cold = np.ones(1 << 23)

    def flush(self) -> None:
        """Read 64 MB, twice the last level of the cache."""
        self.cold.sum()

    def calls(self, batch: int) -> Calls:
        """Contestant -> call, forward and the gradient with respect to the input."""
        from sparseopt.kernels import block_linear_transposed
        from sparseopt.pruning.deploy.runtime import to_onnx

        torch = self.torch
        x, g = (torch.randn(batch, self.dense.in_features, generator=self.rng) for _ in range(2))

        def forward(layer: Any) -> Any:
            with torch.no_grad():
                return layer(x)

        def gradient() -> Any:
            with torch.no_grad():
                return g @ self.dense.weight

        def backward(layer: Any) -> Callable[[], Any]:
            leaf = x.clone().requires_grad_()
            y = layer(leaf)
            return lambda: torch.autograd.grad(y, leaf, g, retain_graph=True)

        blocks = self.layers["sparse"].blocks
        calls = {name: (lambda layer=layer: forward(layer)) for name, layer in self.layers.items()}
        calls |= {"gradient dense": gradient, "gradient sparse": lambda: block_linear_transposed(g, blocks)}
        calls |= {f"backward {name}": backward(self.layers[name]) for name in ("dense", "sparse")}
        for name in ("dense", "balanced"):
            graph = to_onnx(self.layers[name], x)
            calls[f"onnx {name}"] = lambda graph=graph: graph(x)
        return calls


def run(config: Config, batches: list[int]) -> dict[str, list[float]]:
    """CPU seconds of every round, by "batch: contestant"; elapsed ones where there is more than one thread."""
    import torch

    torch.set_num_threads(config.threads)
    clock = time.process_time if config.threads == 1 else time.perf_counter
    contest = Contest(config)
    timings: dict[str, list[float]] = {}
    for batch in batches:
        calls = contest.calls(batch)
        for i in range(config.rounds + 1):
            for name, call in calls.items():
                if batch <= FLUSHED:
                    contest.flush()
                start = clock()
                call()
                if i:  # the first round warms up
                    timings.setdefault(f"{batch}: {name}", []).append(clock() - start)
    return timings


def report(config: Config, timings: dict[str, list[float]]) -> None:
    """Print the table and the bars."""
    best = {name: min(seconds) for name, seconds in timings.items()}
    kept = f"{config.kept:.0%} of the blocks of {config.block} kept"
    print(f"block-sparse product, {config.size} x {config.size} float32, {kept},")
    print(f"{config.threads} thread, minimum of {config.rounds} alternating rounds, {build_info()['isa']}")
    for batch in dict.fromkeys(name.partition(": ")[0] for name in best):
        for name, seconds in best.items():
            of, _, who = name.partition(": ")
            if of == batch:
                faster = best[f"{batch}: {who.partition(' ')[0]} dense" if " " in who else f"{batch}: dense"] / seconds
                print(f"  batch {batch}, {who}: {1e3 * seconds:.2f} ms, {faster:.2f} times the speed of dense")
        for what in ("", "gradient "):
            faster = best[f"{batch}: {what}dense"] / best[f"{batch}: {what}sparse"]
            bar(f"batch {batch}: {what}dense / sparse", faster, least=BARS.get(int(batch), 1.0))
        faster = best[f"{batch}: onnx dense"] / best[f"{batch}: onnx balanced"]
        bar(f"batch {batch}: onnx dense / onnx balanced", faster, least=ONNX_BAR)


def main() -> None:
    """Run, print, record."""
    parser = argparse.ArgumentParser(description="block-sparse product against dense layers and torch's formats")
    parser.add_argument("--rounds", type=int, default=Config.rounds)
    parser.add_argument("--batch", type=int, nargs="+", default=list(BARS))
    parser.add_argument("--block", type=int, choices=(16, 32, 64), default=Config.block)
    parser.add_argument("--threads", type=int, default=Config.threads)
    given = parser.parse_args()
    if given.threads == 1:
        one_thread(__spec__.name)
    config = Config(rounds=given.rounds, block=given.block, threads=given.threads)
    timings = run(config, given.batch)
    report(config, timings)
    record(OUT, config, timings)


if __name__ == "__main__":
    main()
