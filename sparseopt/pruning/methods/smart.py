"""SMART: pruning by a differentiable top-k with falling temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from ... import kernels
from ..._array import positive_scalar
from ...soft_topk import ExponentialTemperature
from ..allocation import kept_of
from ..schedules import Phase, Timeline, checked_fraction
from .soft_masks import SoftMasks, logits_of

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier

Tensor = torch.Tensor
IMPORTANCES = ("learned", "weight", "gradient")
MEMORY = 0.9
"""Share of the old gradient score that is kept at every step."""


@dataclass(frozen=True)
class SMART(SoftMasks):
    """min L(f_tau(m) w) over w and importances m of the units, f_tau the soft top-k at a temperature that falls.

    importance: "learned" (m starts at the norms of the units, divided by their mean, and is trained by the optimiser of
    the weights), "weight" (m is these norms at every step) or "gradient" (a running mean of |<w_b, gradient_b>|).
    pretrain: dense fraction of the steps; search: fraction with soft masks, tau from `start` to `end` exponentially, in
    units of the mean importance; then the k units of largest importance are kept and trained.
    scope "global" ranks the units of all layers together, in the search as in the end.
    Source: SMART (arXiv 2403.19969); soft top-k: `sparseopt.SoftTopK`, ledger B1 to B4.
    """

    importance: str = "learned"
    pretrain: float = 0.1
    search: float = 0.6
    start: float = 1.0
    end: float = 1e-4
    needs_counted = True
    chooses = True
    soft_kind: ClassVar[tuple[str, ...]] = ("search",)

    def __post_init__(self) -> None:
        if self.importance not in IMPORTANCES:
            raise ValueError(f"importance is {self.importance!r}: allowed are {', '.join(map(repr, IMPORTANCES))}")
        if checked_fraction(self.pretrain, "pretrain") + checked_fraction(self.search, "search") > 1:
            raise ValueError(f"pretrain + search is {self.pretrain + self.search:g}: at most 1 is allowed")
        positive_scalar(self.start, "start")
        positive_scalar(self.end, "end")

    def timeline(self, total_steps: int) -> Timeline:
        """Dense, search, sparse."""
        return Timeline.of(total_steps, ("dense", self.pretrain), ("search", self.search))

    def enter(self, sp: Sparsifier, phase: Phase) -> None:
        """Start from the norms; at the end keep the largest importances."""
        if phase.kind == "search":
            self.create(sp, _pooled(sp, _relative(sp, sp.norms())))
            self.set_values(sp, self._values(sp, logits_of(sp), phase))
        elif phase.kind == "sparse":
            scores = _per_layer(sp, logits_of(sp)) if logits_of(sp) else sp.norms()
            if logits_of(sp):
                self.fold(sp)
            sp.prune(scores)
        super().enter(sp, phase)

    def before(self, sp: Sparsifier, phase: Phase) -> None:
        """Derivatives of the weights, and of the importances or their running mean."""
        if phase.kind != "search":
            return
        learned = self.importance == "learned"
        self.pull_back(sp, (lambda logits: self._values(sp, logits, phase)) if learned else None)
        if self.importance == "gradient":
            new = _pooled(sp, _relative(sp, sp.comparable([layer.products() for layer in sp.layers])))
            for old, score in zip(logits_of(sp), new, strict=True):
                old.lerp_(score.to(old), 1 - MEMORY)

    def after(self, sp: Sparsifier, phase: Phase) -> None:
        """Masks at the new temperature."""
        if phase.kind != "search":
            return
        if self.importance == "weight":
            for old, new in zip(logits_of(sp), _pooled(sp, _relative(sp, sp.norms())), strict=True):
                old.copy_(new)
        self.set_values(sp, self._values(sp, logits_of(sp), phase))
        sp.record("temperature", self._temperature(sp, phase))

    def _temperature(self, sp: Sparsifier, phase: Phase) -> float:
        return ExponentialTemperature(self.start, self.end, phase.stop - phase.start)(sp.step - phase.start)

    def _values(self, sp: Sparsifier, logits: list[Tensor], phase: Phase) -> list[Tensor]:
        """The soft top-k of every pool, cut into layers."""
        tau = self._temperature(sp, phase)
        targets = sp.allocation.targets
        values = [
            kernels.soft_topk(x, kept_of(len(x), target), tau) for x, target in zip(logits, targets, strict=False)
        ]
        return _per_layer(sp, values)


def _relative(sp: Sparsifier, scores: list[Tensor]) -> list[Tensor]:
    """Scores divided by the mean of their pool."""
    pools = _pooled(sp, scores)
    means = [pool.mean() for pool in pools] * (len(scores) if len(pools) == 1 else 1)
    return [
        score / torch.where(mean > 0, mean, torch.ones_like(mean)) for score, mean in zip(scores, means, strict=False)
    ]


def _pooled(sp: Sparsifier, scores: list[Tensor]) -> list[Tensor]:
    """One tensor for each budget."""
    return [torch.cat(scores)] if sp.allocation.scope == "global" else scores


def _per_layer(sp: Sparsifier, pools: list[Tensor]) -> list[Tensor]:
    """The pools cut into layers."""
    if sp.allocation.scope == "layer":
        return pools
    return list(pools[0].split([layer.units for layer in sp.layers]))
