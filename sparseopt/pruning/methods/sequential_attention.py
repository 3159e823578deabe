"""SequentialAttention++ for blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from ..._array import positive_scalar, real_number
from ..allocation import kept_of
from ..schedules import Exponential, Phase, Timeline, checked_fraction, checked_steps
from .soft_masks import Found, Products, SoftMasks, logits_of

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier

Tensor = torch.Tensor


@dataclass(frozen=True)
class SequentialAttention(SoftMasks):
    """min L(A(m) w) over w and logits m of the units of each layer, A = n softmax(m), on a shrinking support.

    warmup: dense fraction of the steps; then `rounds` times a sparsification, a masked and a dense phase in equal
    parts, the last dense one longer by `extension` and replaced by a sparsification; final: fraction with the last
    masks, in which A is multiplied into the weights.  In a sparsification the sparsity grows by the curve
    (1 - e^(-c t)) / (1 - e^-c), keeping the units of largest logit (attention is clipped to [density, 1 / density], and
    clipped values tie).  The optimiser forgets its momenta at every change.  logit_decay: weight decay of the logits,
    >= 0; None: that of the weights.
    Every layer has its own sparsity: a common ranking can cut a layer off, and is refused.
    Source: SequentialAttention++ (arXiv 2402.17902), with the schedule of its ImageNet runs.
    """

    warmup: float = 0.1
    rounds: int = 7
    extension: float = 0.05
    final: float = 0.15
    c: float = 4.0
    updates: int = 20
    logit_decay: float | None = None
    needs_counted = True
    chooses = True
    soft_kind: ClassVar[tuple[str, ...]] = ("dense", "sparsify", "masked")

    def __post_init__(self) -> None:
        checked_steps(self.rounds, "rounds")
        checked_steps(self.updates, "updates")
        positive_scalar(self.c, "c")
        if self.logit_decay is not None and not 0 <= real_number(self.logit_decay) < float("inf"):
            raise ValueError(f"logit_decay is {self.logit_decay!r}: give a finite number >= 0, or None")
        fixed = sum(checked_fraction(getattr(self, name), name) for name in ("warmup", "extension", "final"))
        if fixed > 1:
            raise ValueError(f"warmup + extension + final is {fixed:g}: give fractions that leave time for the rounds")

    def check(self, sp: Sparsifier) -> None:
        """One budget for each layer."""
        if sp.allocation.scope == "global":
            raise ValueError('SequentialAttention compares logits within layers only: use scope="layer", or SMART')

    def timeline(self, total_steps: int) -> Timeline:
        """As above; all but the last phase with soft masks."""
        part = (1 - self.warmup - self.extension - self.final) / (3 * self.rounds)
        turn = [("sparsify", part), ("masked", part), ("dense", part)]
        rounds = turn * (self.rounds - 1) + [("sparsify", part), ("masked", part), ("sparsify", part + self.extension)]
        return Timeline.of(total_steps, ("dense", self.warmup), *rounds)

    def enter(self, sp: Sparsifier, phase: Phase) -> None:
        """Choose the support; at the end multiply the attention into the weights."""
        if phase.start > 0:
            sp.optimisers.reset(sp.parameters())
        if not logits_of(sp):
            self.create(sp, [torch.zeros_like(norms) for norms in sp.norms()])
        support = sp.choose(logits_of(sp), 1.0 if phase.kind in ("masked", "sparse") else 0.0)
        sp.record_masks(support)
        self._set(sp, support)
        if phase.kind == "sparse":
            self.fold(sp)
            for i, layer in enumerate(sp.layers):
                sp.masks[layer.name] = support[i]
                del sp.memory[f"support.{i}"]
        super().enter(sp, phase)

    def before(self, sp: Sparsifier, phase: Phase) -> None:
        """Derivatives of the weights and the logits."""
        if phase.kind != "sparse":
            self.pull_back(sp, lambda logits: self._values(sp, logits, _support(sp)))

    def after(self, sp: Sparsifier, phase: Phase) -> None:
        """New attention; every now and then a smaller support."""
        if phase.kind == "sparse":
            return
        self.train(sp)
        support = _support(sp)
        if phase.kind == "sparsify" and phase.due(sp.step, self.updates):
            support = sp.choose(logits_of(sp), Exponential(self.c)(phase.progress(sp.step)))
            sp.record_masks(support)
        self._set(sp, support)

    def _set(self, sp: Sparsifier, support: list[Tensor]) -> None:
        for i, mask in enumerate(support):
            sp.memory[f"support.{i}"] = mask
        self.evaluate(sp, lambda logits: self._values(sp, logits, support))

    def _values(self, sp: Sparsifier, logits: list[Tensor], support: list[Tensor]) -> Found:
        """Clipped attention times the support."""
        targets = sp.allocation.targets
        densities = [kept_of(len(x), target) / len(x) for x, target in zip(logits, targets, strict=True)]
        return _attention(logits, support, densities)


def _attention(logits: list[Tensor], masks: list[Tensor], densities: list[float]) -> Found:
    """n softmax(logits) of each layer, clipped to [density, 1 / density], times its mask; and g -> J'g.

    The derivative is 0 where values are clipped.  Layers are worked on together: with small ones calls cost most.
    """
    sizes = [len(logit) for logit in logits]
    shares = [torch.softmax(logit.detach(), dim=0) for logit in logits]
    attention = torch._foreach_mul(shares, [float(n) for n in sizes])
    clipped = torch._foreach_maximum(attention, densities)
    torch._foreach_minimum_(clipped, [1 / density for density in densities])

    def pull(products: Products) -> Products:
        there = [i for i, product in enumerate(products) if product is not None]
        inner = torch._foreach_mul([product for product in products if product is not None], [follow[i] for i in there])
        sums = [x.sum() for x in inner]
        torch._foreach_addcmul_(inner, [shares[i] for i in there], sums, value=-1)
        found = dict(zip(there, inner, strict=True))
        return [found.get(i) for i in range(len(products))]

    values = list(torch._foreach_mul(clipped, masks))
    follow = torch._foreach_mul(values, [a == b for a, b in zip(clipped, attention, strict=True)])
    return values, pull


def _support(sp: Sparsifier) -> list[Tensor]:
    return [sp.memory[f"support.{i}"] for i in range(len(sp.layers))]
