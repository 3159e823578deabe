"""Cost of a Sparsifier per training step: ResNet18 (32 x 32 pixels, batch 8) and BERT-base (4 x 32 tokens), one thread.

    python -m experiments.benchmarks.pruning_cost [--model resnet|bert] [--rounds 12]

Processor time of a step of a model with a Sparsifier and of its twin without one, in turn: each finds the caches as the
other left them.  Minimum of each.  Memory that is freed stays with the process: how much of it is given back, and
cleared by the system when it is needed again, depends on addresses alone, and makes up to a sixth of a step of either.
Bars: at most 3 % in hard phases, 12 % in soft and ADMM phases.  Raw timings go to out/bench/pruning_cost.jsonl.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparseopt._native import build_info

from .measured import bar, one_thread, record

OUT = Path("out/bench/pruning_cost.jsonl")
HARD, SOFT = 1.03, 1.12
KEPT = {"MALLOC_TRIM_THRESHOLD_": str(1 << 32), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}


@dataclass(frozen=True)
class Config:
    """What is timed: "resnet" or "bert"."""

    model: str = "resnet"
    rounds: int = 12


def build(name: str) -> tuple[Any, Any, dict[str, Any], tuple[int, int]]:
    """Model, optimiser, a batch, and the blocks."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    if name == "bert":
        model = BertForSequenceClassification(BertConfig())
        batch = {"input_ids": torch.randint(1000, (4, 32)), "labels": torch.randint(2, (4,))}
        return model, torch.optim.AdamW(model.parameters(), lr=1e-5), batch, (32, 32)
    sizes = {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "layer_type": "basic"}
    model = ResNetForImageClassification(ResNetConfig(num_labels=10, **sizes))
    batch = {"pixel_values": torch.randn(8, 3, 32, 32), "labels": torch.randint(10, (8,))}
    return model, torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9), batch, (16, 8)


def phases() -> dict[str, tuple[Any, float]]:
    """Methods that stay in one phase for long, and their bars."""
    from sparseopt.pruning import methods

    return {
        "hard masks": (methods.Magnitude(end=0.001), HARD),
        "SMART": (methods.SMART(pretrain=0, search=1), SOFT),
        "SequentialAttention": (methods.SequentialAttention(warmup=0.8), SOFT),
        "Powerpropagation": (methods.Powerpropagation(until=1), SOFT),
        "ADMM": (methods.ADMM(until=1), SOFT),
        "SR-STE": (methods.SRSTE(until=1), SOFT),
        "group LASSO": (methods.GroupLasso(until=1), SOFT),
    }


def stepper(model: Any, optimiser: Any, batch: dict[str, Any]) -> Callable[[], None]:
    """A step of training."""

    def step() -> None:
        model(**batch).loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def timed(call: Callable[[], None]) -> float:
    """CPU seconds of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    """Run, print, record."""
    parser = argparse.ArgumentParser(description="cost of a Sparsifier per step")
    parser.add_argument("--model", choices=("resnet", "bert"), default=Config.model)
    parser.add_argument("--rounds", type=int, default=Config.rounds)
    given = parser.parse_args()
    one_thread(__spec__.name, **KEPT)
    import torch

    from sparseopt.pruning import Block, Sparsifier

    torch.set_num_threads(1)
    print(f"{given.model}, one thread, {build_info()['isa']}, minimum of {given.rounds} alternating rounds")
    timings: dict[str, list[float]] = {}
    plain = stepper(*build(given.model)[:3])
    for name, (method, limit) in phases().items():
        model, optimiser, batch, block = build(given.model)
        Sparsifier(model, Block(*block), method=method, sparsity=0.9, total_steps=1000, optimizer=optimiser)
        pruned = stepper(model, optimiser, batch)
        for step in (pruned, plain, pruned, plain):
            step()
        with_it, without = [], []
        for _ in range(given.rounds):
            with_it.append(timed(pruned))
            without.append(timed(plain))
        ratio = min(with_it) / min(without)
        bar(f"{name}: {1e3 * min(without):.0f} ms", ratio, most=limit)
        timings |= {f"{name}: with": with_it, f"{name}: without": without}
    record(OUT, Config(given.model, given.rounds), timings)


if __name__ == "__main__":
    main()
