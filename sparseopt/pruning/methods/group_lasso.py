"""Training with a group penalty, by its prox after every step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from ... import kernels
from ..._array import positive_scalar
from ...penalties import Linear
from ...penalties.scalar import checked_rho
from .. import together
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
    such that under the group LASSO those units vanish within the phase that no gradient holds up and that are of less
    than median norm, or fewer where fewer are to be dropped.
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
            sp.memory["step"] = _vanishing(sp) / (phase.stop - phase.start)
        super().enter(sp, phase)

    def after(self, sp: Sparsifier, phase: Phase) -> None:
        """The prox."""
        if phase.kind != "penalised":
            return
        if self.lam is None:
            steps = [float(sp.memory["step"])] * len(sp.layers)
        else:
            weights = [layer.weights[0].parameter for layer in sp.layers]
            steps = [self.lam * sp.optimisers.learning_rate(weight) for weight in weights]
        pairs = list(zip(sp.layers, steps, strict=True))
        self._prox([(layer, step) for layer, step in pairs if layer.alone])
        for layer, step in pairs:
            if not layer.alone:
                self._prox_of_parts(layer, step * layer.sizes.double().sqrt())

    def leave(self, sp: Sparsifier, phase: Phase) -> None:
        """Forget the step."""
        sp.memory.pop("step", None)

    def _prox(self, pairs: list[tuple[Layer, float]]) -> None:
        """Of layers whose units lie together, with the step of each."""
        views = [layer.views[0] for layer, _ in pairs]
        steps = [_steps(layer, step) for layer, step in pairs]
        together.change(views, lambda cuts, ws: kernels.foreach_block_prox_(ws, self.rho, steps, cuts))

    def _prox_of_parts(self, layer: Layer, steps: Tensor) -> None:
        """Of a layer whose units have parts in several weights or processes."""
        norms = norms_of([layer])[0]
        shrunk = self.rho.prox(norms, steps.to(norms))
        layer.scale(torch.where(norms > 0, shrunk / torch.where(norms > 0, norms, torch.ones_like(norms)), norms))


def _vanishing(sp: Sparsifier) -> Tensor:
    """The |w_b| / sqrt(size_b) not exceeded by as many units as are to be dropped, at most the median; float64 []."""
    pairs = zip(sp.layers, norms_of(sp.layers), strict=True)
    ratios = torch.cat([norms.double().cpu() / layer.sizes.sqrt() for layer, norms in pairs])
    count = min(sp.allocation.dropped([layer.units for layer in sp.layers]), (len(ratios) + 1) // 2)
    return ratios.kthvalue(count).values if count else torch.zeros((), dtype=torch.float64)


def _steps(layer: Layer, step: float) -> float | Tensor:
    """step sqrt(size): a number where all units are of one size, else [grid]."""
    if layer.size is not None:
        return step * math.sqrt(layer.size)
    view = layer.views[0]
    return view.grid(step * layer.sizes.double().sqrt()).to(view.weight.parameter.device)
