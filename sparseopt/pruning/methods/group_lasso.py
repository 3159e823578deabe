"""Training with a group penalty, by its prox after every step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ... import kernels
from ..._array import positive_scalar
from ...penalties import Linear
from ...penalties.scalar import checked_rho
from ..layer import Layer
from ..schedules import Phase, Timeline, checked_fraction
from ..sharding import norms_of
from .base import Method

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier

Tensor = torch.Tensor


@dataclass(frozen=True)
class GroupLasso(Method):
    """min L(w) + lam sum_b sqrt(size_b) rho(|w_b|), by proximal training; then the largest units are kept and trained.

    rho: a scalar penalty of `sparseopt.penalties`, default Linear(), the group LASSO; MCP(), SCAD(), Log(), ... give
    nonconvex ones.  lam: > 0; after a step with learning rate lr the prox takes the step length lr.  None: the step is
    such that under the group LASSO a unit of median norm that no gradient holds up vanishes within the phase.
    until: fraction of the steps with the penalty.
    """

    rho: Any = field(default_factory=Linear)
    lam: float | None = None
    until: float = 0.6
    needs_counted = True

    def __post_init__(self) -> None:
        checked_rho(self.rho, "prox")
        checked_fraction(self.until, "until")
        if self.lam is not None:
            positive_scalar(self.lam, "lam")

    def timeline(self, total_steps: int) -> Timeline:
        """Penalised, sparse."""
        return Timeline.of(total_steps, ("penalised", self.until))

    def enter(self, sp: Sparsifier, phase: Phase) -> None:
        """Measure the weights for a step of the prox of its own."""
        if phase.kind == "penalised" and self.lam is None:
            norms = norms_of(sp.layers)
            ratios = [x.double() / layer.sizes.to(x.device).sqrt() for layer, x in zip(sp.layers, norms, strict=True)]
            sp.memory["step"] = torch.cat(ratios).median() / (phase.stop - phase.start)
        super().enter(sp, phase)

    def after(self, sp: Sparsifier, phase: Phase) -> None:
        """The prox."""
        if phase.kind != "penalised":
            return
        for layer in sp.layers:
            weight = layer.weights[0].parameter
            step = float(sp.memory["step"]) if self.lam is None else self.lam * sp.optimisers.learning_rate(weight)
            self._prox(layer, step * layer.sizes.double().sqrt())

    def leave(self, sp: Sparsifier, phase: Phase) -> None:
        """Forget the step."""
        sp.memory.pop("step", None)

    def _prox(self, layer: Layer, steps: Tensor) -> None:
        if len(layer.views) == 1 and layer.group is None:
            view = layer.views[0]
            equal = bool((steps == steps[0]).all())
            given = float(steps[0]) if equal else view.grid(steps).to(view.weight.parameter.device)
            view.change(lambda w: kernels.block_prox_(w, self.rho, given, view.cut))
            return
        norms = norms_of([layer])[0]
        shrunk = self.rho.prox(norms, steps.to(norms))
        layer.scale(torch.where(norms > 0, shrunk / torch.where(norms > 0, norms, torch.ones_like(norms)), norms))
