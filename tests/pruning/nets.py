"""Small networks, data and loops for the tests of pruning."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from sparseopt.pruning import NM, Block, Channel, Pattern, Sparsifier, Unstructured, methods


class Net(nn.Module):
    """A stem, a convolution, a depthwise one, two linear layers and a head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.conv = nn.Conv2d(8, 16, 3, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.norm = nn.BatchNorm2d(16)
        self.first = nn.Linear(64, 32)
        self.second = nn.Linear(32, 32)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        x = functional.relu(self.conv(functional.relu(self.stem(x))))
        x = functional.avg_pool2d(functional.relu(self.norm(self.depthwise(x))), 4).flatten(1)
        return self.head(functional.relu(self.second(functional.relu(self.first(x)))))


PRUNED = ["conv.weight", "first.weight", "second.weight"]


def cases(names, fast=("SMART", "ADMM")):
    """Methods as parameters, of which only some are fast tests."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]


def net(seed=0):
    torch.manual_seed(seed)
    return Net()


def batch(seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, 8, 8, generator=rng), torch.randint(4, (4,), generator=rng)


def train(model, optimiser, steps, first=0):
    for i in range(first, first + steps):
        x, y = batch(i)
        functional.cross_entropy(model(x), y).backward()
        optimiser.step()
        optimiser.zero_grad()


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)


def adamw(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-2)


METHODS = {
    "Magnitude": methods.Magnitude(),
    "GroupLasso": methods.GroupLasso(),
    "SequentialAttention": methods.SequentialAttention(rounds=2),
    "ACDC": methods.ACDC(rounds=2),
    "Powerpropagation": methods.Powerpropagation(),
    "SMART": methods.SMART(),
    "SMART weight": methods.SMART("weight"),
    "SMART gradient": methods.SMART("gradient"),
    "SMART activation": methods.SMART("activation"),
    "RigL": methods.RigL(updates=4),
    "ADMM": methods.ADMM(updates=5),
    "ADMM balanced": methods.ADMM(rule="balanced", updates=5, pretrain=0.2),
    "SRSTE": methods.SRSTE(pull=1e-2),
}
GRANULARITIES = {
    "block": (Block(4, 4), 0.75),
    "odd block": (Block(5, 3), 0.6),
    "flat block": (Block(4, 6, conv="flat"), 0.75),
    "unstructured": (Unstructured(), 0.9),
    "channel": (Channel(), 0.5),
    "input channel": (Channel("in"), 0.5),
    "2:4": (NM(2, 4), None),
    "pattern": (Pattern([[[1, 0], [1, 0]], [[0, 1], [0, 1]], [[1, 1], [0, 0]]]), None),
}
COUNTED = [name for name, (granularity, _) in GRANULARITIES.items() if granularity.counted]


def sparsifier(model, optimiser, method="Magnitude", granularity="block", total_steps=20, **others):
    given, sparsity = GRANULARITIES[granularity]
    return Sparsifier(
        model,
        given,
        method=METHODS[method],
        **{"sparsity": sparsity, "total_steps": total_steps, "optimizer": optimiser, **others},
    )


def wanted(sp):
    """Weights that are to be kept, by counting units."""
    return {
        layer.name: k for layer, k in zip(sp.layers, sp.allocation.counts([x.units for x in sp.layers]), strict=True)
    }
