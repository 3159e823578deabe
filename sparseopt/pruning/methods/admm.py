"""ADMM: the alternating direction method of multipliers, with projections on any set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ... import kernels
from ..._array import positive_scalar
from .. import together
from ..layer import View
from ..schedules import Phase, Timeline, checked_fraction, checked_steps
from ..sharding import masks_of, rooted, summed
from .base import Method

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier

Tensor = torch.Tensor
RULES = ("constant", "growing", "balanced")
ANCHOR = "anchor"
"""Of z - u in memory: w is drawn to it."""
UNEQUAL = 10.0
"""Ratio of primal and dual residual from which the balanced rule changes rho by 2."""


@dataclass(frozen=True)
class ADMM(Method):
    """min L(w) + indicator of z, w = z, z sparse: gradient steps on L + rho/2 |w - z + u|^2, z = P(w + u), u += w - z.

    P projects on the sparse weights of any granularity.  rho: > 0, the first one.  rule: "constant", "growing" (by
    `growth` from the first to the last update) or "balanced" (times or over 2 where one of the residuals |w - z| and
    rho |z - z before| is 10 times the other); u is rescaled when rho changes.  updates: of z and u, spread evenly.
    pretrain: dense fraction of the steps; until: where projection on P(w) and masked retraining begin.
    Either z or u of a unit is 0, up to the rounding of half types: z - u is kept, and the mask, and z and u are formed
    for their updates alone.
    Recorded: "primal" and "dual" residual and "rho" at every update.
    Source: Boyd et al. (2011), 3.1.1 and 3.4.1; ADMM pattern pruning (arXiv 2407.08334).
    """

    rho: float = 1e-3
    rule: str = "growing"
    growth: float = 100.0
    updates: int = 30
    pretrain: float = 0.0
    until: float = 0.6

    def __post_init__(self) -> None:
        positive_scalar(self.rho, "rho")
        positive_scalar(self.growth, "growth")
        checked_steps(self.updates, "updates")
        if self.rule not in RULES:
            raise ValueError(f"rule is {self.rule!r}: allowed are {', '.join(map(repr, RULES))}")
        if checked_fraction(self.pretrain, "pretrain") > checked_fraction(self.until, "until"):
            raise ValueError(f"pretrain is {self.pretrain} and until is {self.until}: pretrain <= until is needed")

    def timeline(self, total_steps: int) -> Timeline:
        """Dense, admm, sparse."""
        return Timeline.of(total_steps, ("dense", self.pretrain), ("admm", self.until - self.pretrain))

    def of_views(self, phase: Phase) -> tuple[str, ...]:
        """z - u."""
        return (ANCHOR,) if phase.kind == "admm" else ()

    def enter(self, sp: Sparsifier, phase: Phase) -> None:
        """z = P(w), u = 0."""
        if phase.kind == "admm":
            sp.memory["rho"] = torch.tensor(self.rho, dtype=torch.float64)
            self._keep(sp, sp.choose(sp.norms() if sp.counted else []))
            for view, anchor in zip(together.views_of(sp.layers), _projected(sp, _contiguous), strict=True):
                sp.memory[f"{ANCHOR}.{view.name}"] = anchor
        super().enter(sp, phase)

    def leave(self, sp: Sparsifier, phase: Phase) -> None:
        """Forget z and u."""
        sp.memory.clear()

    def before(self, sp: Sparsifier, phase: Phase) -> None:
        """Add rho (w - z + u) to the gradients."""
        if phase.kind != "admm":
            return
        rho = float(sp.memory["rho"])
        views = together.views_of(sp.layers)
        weights = together.weights_of(views)
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        anchors = _anchors(sp, views)
        cuts = views.dense(gradients, weights, anchors) if len(gradients) == len(weights) else None
        if cuts is not None:
            kernels.foreach_attract_(gradients, weights, anchors, rho, cuts)
            return
        held = [view for view in views if view.weight.parameter.grad is not None]
        ws, anchors = together.matrices_of(held), _anchors(sp, held)
        together.change(
            held,
            lambda _, gradients: kernels.foreach_attract_(gradients, ws, anchors, rho),
            [view.weight.parameter.grad for view in held],
        )

    def after(self, sp: Sparsifier, phase: Phase) -> None:
        """Every now and then the projection and the multipliers."""
        count = phase.due(sp.step, self.updates)
        if phase.kind == "admm" and count:
            self._update(sp, count)

    def _update(self, sp: Sparsifier, count: int) -> None:
        rho = float(sp.memory["rho"])
        views = together.views_of(sp.layers)
        anchors = _anchors(sp, views)
        zs = _projected(sp, _anchors)
        us = [z - anchor for z, anchor in zip(zs, anchors, strict=True)]
        splitting = kernels.Splitting(_contiguous(sp, views), zs, us, together.cuts_of(views))
        masks = _projections(sp, splitting, us)
        found = splitting.project(together.grids_of(sp.layers, masks))
        squares = [torch.stack(own).sum(0) for own in _by_layer(sp, found)]
        residuals = torch.stack([each.to(squares[0].device) for each in summed(sp.layers, squares)]).sum(0)
        primal, dual = float(residuals[0].sqrt()), rho * float(residuals[1].sqrt())
        for name, value in (("primal", primal), ("dual", dual), ("rho", rho)):
            sp.record(name, value)
        factor = self._factor(primal, dual, rho, count)
        sp.memory["rho"] *= factor
        self._keep(sp, masks)
        for anchor, z, u in zip(anchors, zs, us, strict=True):
            torch.sub(z, u if factor == 1 else u.div_(factor), out=anchor)

    def _keep(self, sp: Sparsifier, masks: list[Tensor]) -> None:
        for i, mask in enumerate(masks):
            sp.memory[f"kept.{i}"] = mask

    def _factor(self, primal: float, dual: float, rho: float, count: int) -> float:
        """By which rho changes after an update."""
        if self.rule == "growing":
            return self.growth ** (1 / self.updates) if count <= self.updates else 1.0
        if self.rule == "constant":
            return 1.0
        return 2.0 if primal > UNEQUAL * dual else 0.5 if dual > UNEQUAL * primal else 1.0


def _anchors(sp: Sparsifier, views: list[View]) -> list[Tensor]:
    """z - u of views."""
    return [sp.memory[f"{ANCHOR}.{view.name}"] for view in views]


def _contiguous(_: Sparsifier, views: list[View]) -> list[Tensor]:
    return [w.contiguous() for w in together.matrices_of(views)]


def _projected(sp: Sparsifier, matrices: Callable[[Sparsifier, list[View]], list[Tensor]]) -> list[Tensor]:
    """Matrices of all views, copied, with 0 in the units that are not kept."""
    views = together.views_of(sp.layers)
    found = [matrix.clone() for matrix in matrices(sp, views)]
    kept = together.grids_of(sp.layers, [sp.memory[f"kept.{i}"] for i in range(len(sp.layers))])
    kernels.foreach_mask_blocks_(found, kept, together.cuts_of(views))
    return found


def _by_layer(sp: Sparsifier, found: list[Tensor]) -> list[list[Tensor]]:
    """Results for all views, those of each layer together."""
    parts = iter(found)
    return [[next(parts) for _ in layer.views] for layer in sp.layers]


def _projections(sp: Sparsifier, splitting: kernels.Splitting, us: list[Tensor]) -> list[Tensor]:
    """Masks of P(w + u) for every layer."""
    if sp.counted:
        parts = zip(sp.layers, _by_layer(sp, splitting.norms()), strict=True)
        norms = [layer.root([part.flatten() for part in own]) for layer, own in parts]
        return sp.choose(sp.comparable(rooted(sp.layers, norms)))
    sums = [view.matrix() + u for view, u in zip(together.views_of(sp.layers), us, strict=True)]
    return masks_of(sp.layers, _by_layer(sp, sums))
