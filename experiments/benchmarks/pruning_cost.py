"""Cost of a Sparsifier per training step: ResNet18 (32 x 32 pixels, batch 8) and BERT-base (4 x 32 tokens), one thread.

    python -m experiments.benchmarks.pruning_cost [--model resnet|bert] [--rounds 12] [--only "hard masks" SMART ...]

Processor time of a step of a model with a Sparsifier and of its twin without one, in turn: each finds the caches as the
other left them.  The figure is the median of the ratios of the rounds, with its 95 % interval by order statistics.
Beside it the floor: a third twin whose hooks only make the unavoidable passes over memory (see `pruning_floor`).
Memory that is freed stays with the process: how much of it is given back, and cleared by the system when it is needed
again, depends on addresses alone, and makes up to a sixth of a step of either.
Bars: at most 3 % in hard phases, 12 % in soft and ADMM phases.  Raw timings go to out/bench/pruning_cost.jsonl.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparseopt._native import build_info

from .measured import bar, one_thread, record
from .pruning_floor import Floor, compiled

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


def alternate(contest: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every contestant in every round."""
    found: dict[str, list[float]] = {name: [] for name in contest}
    for _ in range(rounds):
        for name, step in contest.items():
            found[name].append(timed(step))
    return found


def ratios(found: dict[str, list[float]], contestant: str) -> list[float]:
    """To the model without a Sparsifier, of every round."""
    return [a / b for a, b in zip(found[contestant], found["without"], strict=True)]


def median_of(values: list[float]) -> tuple[float, float, float]:
    """Median, and a 95 % interval for it that assumes nothing of how they are spread."""
    ordered, n = sorted(values), len(values)
    outside, below = 1, 0  # of the 2^n outcomes, those with at most `below` ratios under the median
    while 2 * (outside + math.comb(n, below + 1)) <= 0.05 * 2**n:
        below += 1
        outside += math.comb(n, below)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2, ordered[below], ordered[n - 1 - below]


def main() -> None:
    """Run, print, record."""
    parser = argparse.ArgumentParser(description="cost of a Sparsifier per step")
    parser.add_argument("--model", choices=("resnet", "bert"), default=Config.model)
    parser.add_argument("--rounds", type=int, default=Config.rounds)
    parser.add_argument("--only", nargs="*", choices=tuple(phases()), default=())
    given = parser.parse_args()
    one_thread(__spec__.name, **KEPT)
    import torch

    from sparseopt.pruning import Block, Sparsifier

    torch.set_num_threads(1)
    loops = compiled()
    print(f"{given.model}, one thread, {build_info()['isa']}, {given.rounds} alternating rounds")
    plain = stepper(*build(given.model)[:3])
    for name, (method, limit) in phases().items():
        if given.only and name not in given.only:
            continue
        model, optimiser, batch, block = build(given.model)
        sp = Sparsifier(model, Block(*block), method=method, sparsity=0.9, total_steps=1000, optimizer=optimiser)
        contest = {"with": stepper(model, optimiser, batch), "without": plain}
        alternate(contest, 2)
        if loops is not None:
            model, optimiser, batch, _ = build(given.model)
            Floor(loops, model, optimiser, sp, name)
            contest["floor"] = stepper(model, optimiser, batch)
        alternate(contest, 2)
        found = alternate(contest, given.rounds)
        bar(f"{name}: {1e3 * min(found['without']):.0f} ms", median_of(ratios(found, "with"))[0], most=limit)
        for contestant in [x for x in ("with", "floor") if x in found]:
            _, low, high = middle = median_of(ratios(found, contestant))
            print(f"    {contestant:6}{middle[0]:6.3f} [{low:.3f}, {high:.3f}]", flush=True)
        rows = {f"{name}: {contestant}": seconds for contestant, seconds in found.items()}
        record(OUT, Config(given.model, given.rounds), rows)


if __name__ == "__main__":
    main()
