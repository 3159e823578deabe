"""SMART: pruning by a differentiable top-k with falling temperature."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from ... import kernels
from ...soft_topk import ExponentialTemperature
from ...soft_topk.arguments import checked_tau
from ..allocation import check_scores, kept_of
from ..granularity import NM
from ..inputs import Tap, check_observable, mean_squares, squares, weighted
from ..layer import Grouping, Layer
from ..schedules import Phase, Timeline, checked_fraction
from ..sharding import check_parallel, norms_of, summed
from .soft_masks import Found, Products, SoftMasks, logits_of

if TYPE_CHECKING:
    from ..sparsifier import Sparsifier

Tensor = torch.Tensor
IMPORTANCES = ("learned", "weight", "gradient", "activation")
MEMORY = 0.9
"""Share of the old gradients and activations that is kept at every step."""
WithDerivative = tuple[Tensor, Callable[[Tensor], Tensor]]
SEEN = "seen."
HALF_A_UNIT = 0.5
"""Of a layer's mask values, which add up to the units that it keeps."""
INNER = "inner products"


@dataclass(frozen=True)
class SMART(SoftMasks):
    """min L(f_tau(m) w) over w and importances m of the units, f_tau the soft top-k at a temperature that falls.

    importance: "learned" (m starts at the norms of the units, divided by their mean, and is trained by the optimiser of
    the weights), "weight" (m is these norms at every step), "gradient" (a running mean of |<w_b, gradient_b>|) or
    "activation" (norms of |w| |x|, |x| the running root mean square of the inputs of a weight in training).
    pretrain: dense fraction of the steps; search: fraction with soft masks, tau from `start` to `end` exponentially, in
    units of the mean importance; then the k units of largest importance are kept and trained.
    scope "global" ranks the units of all layers together, in the search as in the end.  N:M keeps n of every window of
    m by a soft top-k of its own, balanced blocks equally many of each row of blocks; patterns are refused.
    Source: SMART (arXiv 2403.19969); soft top-k: `sparseopt.SoftTopK`, ledger B1 to B4.
    """

    importance: str = "learned"
    pretrain: float = 0.1
    search: float = 0.6
    start: float = 1.0
    end: float = 1e-4
    chooses = True
    soft_kind: ClassVar[tuple[str, ...]] = ("search",)

    def __post_init__(self) -> None:
        if self.importance not in IMPORTANCES:
            raise ValueError(f"importance is {self.importance!r}: allowed are {', '.join(map(repr, IMPORTANCES))}")
        if checked_fraction(self.pretrain, "pretrain") + checked_fraction(self.search, "search") > 1:
            raise ValueError(f"pretrain + search is {self.pretrain + self.search:g}: at most 1 is allowed")
        checked_tau(self.start, "start")
        checked_tau(self.end, "end")

    def check(self, sp: Sparsifier) -> None:
        """Units that are counted, or windows that are not cut off; those of a common search on one device."""
        places = sorted({str(weight.parameter.device) for weight in sp.weights})
        if _shared(sp) and len(places) > 1:
            raise ValueError(
                f'SMART with scope="global" searches in all layers together, but these are on {", ".join(places)}: put '
                'them on one device, or use scope="layer"'
            )
        if self.importance == "activation":
            check_parallel(sp.group)
            for weight in sp.weights:
                check_observable(weight)
        if sp.counted:
            return
        if not isinstance(sp.granularity, NM) or sp.granularity.indivisible == "pad":
            raise ValueError(
                f"SMART needs units that are counted, or NM(n, m) with whole windows, not {sp.granularity!r}: use "
                'SRSTE, ADMM, ACDC or Magnitude, or NM(n, m, indivisible="skip")'
            )

    def timeline(self, total_steps: int) -> Timeline:
        """Dense, search, sparse."""
        return Timeline.of(total_steps, ("dense", self.pretrain), ("search", self.search))

    def enter(self, sp: Sparsifier, phase: Phase) -> None:
        """Start from the norms; at the end keep the largest importances."""
        if phase.kind == "search":
            self.create(sp, _pooled(sp, _relative(sp, sp.norms())))
            self.set_values(sp, self._values(sp, logits_of(sp), phase)[0])
        elif phase.kind == "sparse":
            scores = _per_layer(sp, logits_of(sp)) if logits_of(sp) else sp.norms()
            if logits_of(sp):
                _open_best(sp, scores)
                self.fold(sp)
            sp.forget(SEEN)
            sp.prune(scores if sp.counted else [score - score.min() + 1 for score in scores])  # sets rank magnitudes
        super().enter(sp, phase)

    def attach(self, sp: Sparsifier, phase: Phase) -> None:
        """Look at the inputs of the layers."""
        super().attach(sp, phase)
        if phase.kind == "search" and self.importance == "activation":
            sp.taps = [Tap(weight, squares, training=True) for weight in sp.weights]

    def detach(self, sp: Sparsifier, phase: Phase) -> None:
        """Look away."""
        super().detach(sp, phase)
        for tap in sp.taps:
            tap.handle.remove()
        sp.taps = []

    def before(self, sp: Sparsifier, phase: Phase) -> None:
        """Derivatives of the weights, and of the importances or their running mean."""
        if phase.kind != "search":
            return
        learned = self.importance == "learned"
        self.pull_back(sp, (lambda logits: self._values(sp, logits, phase)) if learned else None)
        if self.importance == "gradient":
            sp.carry(INNER, [layer.products() for layer in sp.layers])

    def after(self, sp: Sparsifier, phase: Phase) -> None:
        """Masks at the new temperature."""
        if phase.kind != "search":
            return
        if self.importance == "learned":
            self.train(sp)
        elif self.importance == "gradient":
            scores = [total.abs() for total in summed(sp.layers, sp.carried[INNER])]
            for old, new in zip(logits_of(sp), _pooled(sp, _relative(sp, sp.comparable(scores))), strict=True):
                old.lerp_(new.to(old), 1 - MEMORY)
        else:
            scores = sp.norms() if self.importance == "weight" else _seen(sp)
            for old, new in zip(logits_of(sp), _pooled(sp, _relative(sp, scores)), strict=True):
                old.copy_(new)
        with _numbers(logits_of(sp)):
            if self.importance == "learned":
                self.evaluate(sp, lambda logits: self._values(sp, logits, phase))
            else:
                self.set_values(sp, self._values(sp, logits_of(sp), phase)[0])
        sp.record("temperature", self._temperature(sp, phase))

    def _temperature(self, sp: Sparsifier, phase: Phase) -> float:
        return ExponentialTemperature(self.start, self.end, phase.stop - phase.start)(sp.step - phase.start)

    def _values(self, sp: Sparsifier, logits: list[Tensor], phase: Phase) -> Found:
        """The soft top-k of every pool, cut into layers."""
        tau = self._temperature(sp, phase)
        if sp.counted:
            budgets = zip(logits, sp.allocation.targets, sp.allocation.groupings, strict=False)  # a shared one is one
            found = [_budgeted(x, target, group, tau) for x, target, group in budgets]
        else:
            found = [_windowed(sp.granularity, layer, x, tau) for layer, x in zip(sp.layers, logits, strict=True)]
        values, pulls = zip(*found, strict=True)
        return _per_layer(sp, list(values)), lambda products: [
            None if product is None else pull(product)
            for pull, product in zip(pulls, _per_pool(sp, products), strict=True)
        ]


@contextmanager
def _numbers(logits: list[Tensor]) -> Iterator[None]:
    """ValueError for NaN among logits: of a soft top-k within it, or, on devices, where that does not look, ahead."""
    elsewhere = [logit for logit in logits if not logit.is_cpu]
    if elsewhere:
        check_scores(torch.stack([norm.cpu() for norm in torch._foreach_norm(elsewhere)]))  # as NaN as they are
    try:
        yield
    except ValueError:
        for logit in logits:
            check_scores(logit)
        raise


def _relative(sp: Sparsifier, scores: list[Tensor]) -> list[Tensor]:
    """Scores divided by the mean of their pool."""
    pools = _pooled(sp, scores)
    means = [pool.mean() for pool in pools] * (len(scores) if len(pools) == 1 else 1)
    return [
        score / torch.where(mean > 0, mean, torch.ones_like(mean)) for score, mean in zip(scores, means, strict=False)
    ]


def _seen(sp: Sparsifier) -> list[Tensor]:
    """Norms of |w| |x| of the units, after the running means took in what the taps saw."""
    matrices = {}
    for tap in sp.taps:
        name, new = SEEN + tap.weight.name, tap.take(sp.group)
        if new is None and tap.weight.parameter.grad is not None:
            raise ValueError(
                f"the inputs of {tap.weight.name} were not seen: a model compiled before the search began does not "
                "call the hooks that look at them; compile it after that, take pretrain=0, or another importance"
            )
        if new is not None:
            mean = mean_squares(new)
            old = sp.memory.get(name, mean).to(mean)
            sp.memory[name] = old.lerp(mean, 1 - MEMORY)
        if name in sp.memory:
            matrices[tap.weight.name] = weighted(tap.weight, sp.memory[name])
    if not matrices:
        return sp.norms()
    views = [[matrices.get(view.weight.name, view.weight.parameter) for view in layer.views] for layer in sp.layers]
    return sp.comparable(norms_of(sp.layers, views))


def _budgeted(x: Tensor, target: float, group: Grouping | None, tau: float) -> WithDerivative:
    """The soft top-k of the units [n] of a budget, or of each group that is to keep equally many; and g -> J'g."""
    if group is None:
        return kernels.soft_topk_with_vjp(x, kept_of(len(x), target), tau)
    values, pull = kernels.soft_topk_with_vjp(group.grouped(x), kept_of(group.size, target), tau)
    return group.flat(values), lambda g: group.flat(pull(group.grouped(g)))


def _open_best(sp: Sparsifier, scores: list[Tensor]) -> None:
    """Where a shared budget has closed a whole layer: its best unit, which is kept all the same, does not enter as 0.

    A layer of zeros alone passes nothing on, also no gradient, and would stay so.
    """
    for i, score in enumerate(scores if _shared(sp) else []):
        soft = sp.memory[f"soft.{i}"]
        if float(soft.sum()) < HALF_A_UNIT:
            soft[score.argmax()] = 1.0


def _windowed(granularity: NM, layer: Layer, x: Tensor, tau: float) -> WithDerivative:
    """The soft top-k of every window of m inputs, of values of single entries [n] in the order of memory; g -> J'g."""
    weight = layer.weights[0]
    rows, channels = weight.shape
    order = [0, 2, 1] if not weight.transposed else [1, 2, 0]  # the inputs last
    back = [order.index(axis) for axis in range(3)]

    def windows(entries: Tensor) -> Tensor:
        return entries.reshape(rows, channels, weight.taps).permute(*order).reshape(-1, granularity.m)

    def entries(found: Tensor) -> Tensor:
        lengths = [(rows, channels, weight.taps)[axis] for axis in order]
        return found.reshape(lengths).permute(*back).reshape(-1)

    values, pull = kernels.soft_topk_with_vjp(windows(x), granularity.n, tau)
    return entries(values), lambda g: entries(pull(windows(g)))


def _pooled(sp: Sparsifier, scores: list[Tensor]) -> list[Tensor]:
    """One tensor for each budget."""
    return [torch.cat(scores)] if _shared(sp) else scores


def _shared(sp: Sparsifier) -> bool:
    """Whether layers share one budget."""
    return sp.counted and sp.allocation.scope == "global"


def _per_pool(sp: Sparsifier, products: Products) -> Products:
    """Derivatives by the values of every pool; 0 for layers without one beside others."""
    if not _shared(sp):
        return products
    pairs = zip(products, sp.layers, strict=True)
    like = next(product for product in products if product is not None)
    return [torch.cat([like.new_zeros(layer.units) if product is None else product for product, layer in pairs])]


def _per_layer(sp: Sparsifier, pools: list[Tensor]) -> list[Tensor]:
    """The pools cut into layers."""
    if not _shared(sp):
        return pools
    return list(pools[0].split([layer.units for layer in sp.layers]))
