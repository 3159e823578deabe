"""ADMM: the alternating direction method of multipliers, with projections on any set."""

from __future__ import annotations

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
UNEQUAL = 10.0
"""Ratio of primal and dual residual from which the balanced rule changes rho by 2."""


@dataclass(frozen=True)
class ADMM(Method):
    """min L(w) + indicator of z, w = z, z sparse: gradient steps on L + rho/2 |w - z + u|^2, z = P(w + u), u += w - z.

    P projects on the sparse weights of any granularity.  rho: > 0, the first one.  rule: "constant", "growing" (by
    `growth` from the first to the last update) or "balanced" (times or over 2 where one of the residuals |w - z| and
    rho |z - z before| is 10 times the other); u is rescaled when rho changes.  updates: of z and u, spread evenly.
    pretrain: dense fraction of the steps; until: where projection on P(w) and masked retraining begin.
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
        """z and u."""
        return ("z", "u") if phase.kind == "admm" else ()

    def enter(self, sp: Sparsifier, phase: Phase) -> None:
        """z = P(w), u = 0."""
        if phase.kind == "admm":
            sp.memory["rho"] = torch.tensor(self.rho, dtype=torch.float64)
            for layer, kept in zip(sp.layers, sp.choose(sp.norms() if sp.counted else []), strict=True):
                for view in layer.views:
                    z = view.matrix().contiguous().clone()
                    sp.memory["z." + view.name] = kernels.mask_blocks_(z, view.grid(kept), view.cut)
                    sp.memory["u." + view.name] = torch.zeros_like(z)
        super().enter(sp, phase)

    def leave(self, sp: Sparsifier, phase: Phase) -> None:
        """Forget z and u."""
        sp.memory.clear()

    def before(self, sp: Sparsifier, phase: Phase) -> None:
        """Add rho (w - z + u) to the gradients."""
        if phase.kind != "admm":
            return
        rho = float(sp.memory["rho"])
        views = [view for view in together.views_of(sp.layers) if view.weight.parameter.grad is not None]
        ws, zs, us = together.matrices_of(views), _memory(sp, "z", views), _memory(sp, "u", views)
        together.change(
            views,
            lambda gradients: kernels.foreach_augment_(gradients, ws, zs, us, rho),
            [view.weight.parameter.grad for view in views],
        )

    def after(self, sp: Sparsifier, phase: Phase) -> None:
        """Every now and then the projection and the multipliers."""
        count = phase.due(sp.step, self.updates)
        if phase.kind == "admm" and count:
            self._update(sp, count)

    def _update(self, sp: Sparsifier, count: int) -> None:
        rho = float(sp.memory["rho"])
        views = together.views_of(sp.layers)
        zs, us = _memory(sp, "z", views), _memory(sp, "u", views)
        splitting = kernels.Splitting(_contiguous(views), zs, us, together.cuts_of(views))
        masks = together.grids_of(sp.layers, _projections(sp, splitting))
        squares = [torch.stack(own).sum(0) for own in _by_layer(sp, splitting.project(masks))]
        residuals = torch.stack([each.to(squares[0].device) for each in summed(sp.layers, squares)]).sum(0)
        primal, dual = float(residuals[0].sqrt()), rho * float(residuals[1].sqrt())
        for name, value in (("primal", primal), ("dual", dual), ("rho", rho)):
            sp.record(name, value)
        factor = self._factor(primal, dual, rho, count)
        sp.memory["rho"] *= factor
        for view in together.views_of(sp.layers) if factor != 1 else ():
            sp.memory["u." + view.name] /= factor

    def _factor(self, primal: float, dual: float, rho: float, count: int) -> float:
        """By which rho changes after an update."""
        if self.rule == "growing":
            return self.growth ** (1 / self.updates) if count <= self.updates else 1.0
        if self.rule == "constant":
            return 1.0
        return 2.0 if primal > UNEQUAL * dual else 0.5 if dual > UNEQUAL * primal else 1.0


def _memory(sp: Sparsifier, what: str, views: list[View]) -> list[Tensor]:
    """z or u of views."""
    return [sp.memory[f"{what}.{view.name}"] for view in views]


def _contiguous(views: list[View]) -> list[Tensor]:
    return [w.contiguous() for w in together.matrices_of(views)]


def _by_layer(sp: Sparsifier, found: list[Tensor]) -> list[list[Tensor]]:
    """Results for all views, those of each layer together."""
    parts = iter(found)
    return [[next(parts) for _ in layer.views] for layer in sp.layers]


def _projections(sp: Sparsifier, splitting: kernels.Splitting) -> list[Tensor]:
    """Masks of P(w + u) for every layer."""
    if sp.counted:
        parts = zip(sp.layers, _by_layer(sp, splitting.norms()), strict=True)
        norms = [layer.root([part.flatten() for part in own]) for layer, own in parts]
        return sp.choose(sp.comparable(rooted(sp.layers, norms)))
    return masks_of(sp.layers, [[_sum(sp, view) for view in layer.views] for layer in sp.layers])


def _sum(sp: Sparsifier, view: View) -> Tensor:
    return view.matrix() + sp.memory["u." + view.name]
