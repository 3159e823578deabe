"""Losses as the block descent sees them: the weighted least-squares problems by which each is treated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._native.bcd import BlockCache
from .._native.newton import COX, HUBER, End, Limits, SampleLoss, newton_steps
from .._native.reading import padded
from ..datafits import Cox, LeastSquares, Multinomial, MultiResponse
from ..datafits.pointwise import Pointwise
from ..problem import Problem
from .columns import descent_of, kept_columns
from .compiled_loss import compiled_loss
from .exact_model import exact_minimum, has_exact_model
from .free_step import free_step
from .smoothing import smoothed_start
from .support_newton import support_step

if TYPE_CHECKING:
    from .descent import GroupDescent

MAX_EPOCHS = 300
"""Sweeps of one round at most, so that callbacks are served."""

INNER_TARGET = 0.1
"""Gap on the working set at which a round ends, relative to that of the problem; or to its own, where it goes on."""

CHEAP_ROUND = 0.5
"""Columns read / p up to which a round of Newton steps goes on beyond its target: the next pass reads more."""

MAX_NEWTON = 20
"""Newton steps of one round of least squares at most."""

FIRST_SWEEPS = 20
"""Sweeps after which it is asked first whether a Gram matrix would have cost less (as in csrc/cpu/bcd_path.cpp)."""

EPOCHS_BETWEEN = 60
"""Sweeps between two of them."""

EPOCHS_PER_MODEL = 6
"""Sweeps on the first quadratic models: one cycle, since an accurate minimum of a wrong model is worth little."""

SLOW = 0.7
"""A model that leaves more than this part of the gap of the one before was not lowered enough: sweeps are doubled."""

CREEPING = 0.97
"""The same for models that are not made better by more sweeps."""

CHEAP_SWEEPS = 24
"""Sweeps on a model up to which they cost less than a Newton step on the support, where the loop is compiled."""

SETTLED = 1.0
"""Sweeps that move no block gradient by more than this part of the wanted gap, times the strengths, end a cycle."""

MAX_MODELS = 20
"""Quadratic models of one round at most."""

HALVINGS = 12
"""Step lengths tried on the way to the minimum of a model: halves, and beyond GENTLE of them sixteenths.

Exponential losses far from their minimum have models that are good on a billionth of the way.
"""

GENTLE = 4
"""Halvings before the step lengths fall faster (as in csrc/cpu/bcd_newton.inc)."""

CURVATURE_MARGIN = 1.1
"""Measured curvatures are taken this much larger."""

STEEPNESS = (None, 1.0, 4.0, 16.0, 64.0, 256.0)
"""Models that are tried in turn: measured curvatures, then multiples of their bounds at the present point."""

SMALLEST_SHARE = 1e-6
"""Weights of a model are at least this part of the largest one, so that it is strictly convex in the fit."""

OF_NEXT = 0.03
"""Part of what the next model is expected to leave of the gap that sweeps on the present one leave (compiled loop)."""

STEPS = Limits(
    models=MAX_MODELS,
    epochs=EPOCHS_PER_MODEL,
    most_epochs=CHEAP_SWEEPS,
    epochs_per_cycle=EPOCHS_PER_MODEL,
    anderson=0,
    halvings=HALVINGS,
    target=0.0,
    slow=SLOW,
    last=np.inf,
    smallest_share=SMALLEST_SHARE,
    margin=CURVATURE_MARGIN,
    next=OF_NEXT,
)
"""Of a round of Newton steps, but for what it has to reach."""


def steps_on(loss: SampleLoss, **changes: Any) -> Limits:
    """STEPS with these changes.  Models that lie above the loss are many, and cost little."""
    return STEPS._replace(slow=CREEPING if loss.kind in (COX, HUBER) else SLOW, **changes)


LOOK = STEPS._replace(models=0, scored=False)
"""Of a call that only tells what the point is."""


class LeastSquaresFrame:
    """Least squares, also with several responses: one descent, with the duality gap measured inside."""

    def __init__(self, problem: Problem) -> None:
        datafit: Any = problem.datafit
        share = datafit.share if datafit.equal_share is None else None
        self.store, cache = kept_columns(problem)
        blocks = self._blocks(problem, cache)
        self.inner = descent_of(problem, self.store, blocks, share=share, target=padded(datafit.target))
        self.loss = compiled_loss(problem)
        self.needed = 0  # sweeps that did not reach the target, before models from a Gram matrix went on

    def _blocks(self, problem: Problem, cache: BlockCache) -> BlockCache:
        """Where the eigenbases of the blocks are kept."""
        return cache

    def descend(self, run: GroupDescent, target: float) -> None:
        """Lower the objective over run.working until the relative gap there is at most target."""
        self._lower_from(run, target, self.needed)

    def _lower_from(self, run: GroupDescent, target: float, swept: int) -> None:
        """The same where so many sweeps do not reach it, in this round or the last one.

        Where sweeps are slow, as with more active columns than samples, Newton steps on the support come between them;
        where few columns are active, models from the Gram matrix as soon as they would have cost less.
        """
        for _ in range(MAX_NEWTON):
            ever = not run.norms.any() or self._products_pay(run, MAX_EPOCHS)
            left = MAX_EPOCHS - swept
            if swept:
                if self._by_products(run, target, swept) <= target:
                    return
                if left <= 0 and not support_step(run):
                    return
                self.inner.set_coefficients(run.by_position)
            epochs = EPOCHS_BETWEEN if left <= 0 else min(max(swept, FIRST_SWEEPS), left) if ever else left
            if self._swept(run, target, swept == 0, epochs) or run.ask():
                return
            swept += epochs

    def _products_pay(self, run: GroupDescent, sweeps: int) -> bool:
        """Whether models from the Gram matrix of the active columns are made here, for less than so many sweeps."""
        columns = int(self.store.groups.sizes[run.norms > 0].sum())
        return in_one_call(self, run) and self.inner.products_pay(columns, sweeps)

    def _by_products(self, run: GroupDescent, target: float, swept: int) -> float:
        """Lower the objective from the Gram matrix of the columns that may move, where so many sweeps cost more.

        Returns the relative gap over run.working then, inf where nothing was done.
        """
        if not self._products_pay(run, swept):
            return np.inf
        assert self.loss is not None
        limits = steps_on(self.loss, epochs=swept, target=target, scored=False)
        scores = run.scores.copy()
        done, point = newton_steps(self.inner, self.loss, run.working, scores, padded(run.z), limits, run.ask)
        run.count(done.columns)
        if done.models == 0:
            return np.inf
        run.take(point, scores)
        self.needed = swept
        return done.error

    def _swept(self, run: GroupDescent, target: float, scored: bool, epochs: int) -> bool:
        """Sweep at most so often; whether the target was reached.  scored: whether run.scores belong to the point."""
        self.inner.r[:] = padded(run.force if self.inner.share is not None else run.force * self.store.n)
        convex = run.measured_by_gap
        report = self.inner.run(
            run.working,
            run.scores.copy(),
            scored=scored,
            max_epochs=epochs,
            gap_target=target if convex else -1.0,
            violation_target=0.0 if convex else target * run.violation_scale,
            settled=SETTLED * target * run.smallest_strength if convex else 0.0,
            anderson=run.options.anderson,
            ask=run.ask,
        )
        run.count(report[-1])
        after, reached = self.inner.coefficients(), report[0] < epochs
        if not (reached and look(self, run, after)):
            run.move(after)
        return reached


class NewtonFrame:
    """Other losses: proximal Newton steps on diagonal models of the loss, each lowered by one cycle of sweeps."""

    def __init__(self, problem: Problem) -> None:
        self.datafit: Any = problem.datafit
        self.store, cache = kept_columns(problem)
        share = np.full(self.store.n, 1.0 / self.store.n)
        self.inner = descent_of(problem, self.store, cache, share=share, unweighted_blocks=True, factor_limit=1.0)
        self.loss = compiled_loss(problem)
        self.epochs = EPOCHS_PER_MODEL
        self.scale = 1.0  # of a model that bounds the curvature of all outputs of a sample by one number
        self.started, self.exact, self.stuck = False, True, False

    def descend(self, run: GroupDescent, target: float) -> None:
        """Lower the objective over run.working until the relative gap there is at most target."""
        self._start(run)
        free_step(run)
        self._lower(run, target)
        free_step(run)

    def _lower(self, run: GroupDescent, target: float) -> None:
        """Models, each lowered and replaced by the next."""
        self.epochs, left, models, begun, wanted = EPOCHS_PER_MODEL, np.inf, 0, run.columns_read, target
        self.exact, self.stuck = True, False
        while models < MAX_MODELS and not run.ask():
            made, slow, left = self._models(run, wanted, left, MAX_MODELS - models)
            models += made
            if made == 0 or left <= run.goal:
                return
            if left <= target:
                if slow or run.columns_read - begun > CHEAP_ROUND * run.store.p:
                    return
                wanted = max(run.goal, INNER_TARGET * left)
            if slow:
                self.epochs = min(2 * self.epochs, MAX_EPOCHS)
                if (self.stuck or not has_exact_model(run)) and support_step(run):
                    self.inner.set_coefficients(run.by_position)
                self.stuck = True

    def _models(self, run: GroupDescent, target: float, last: float, most: int) -> tuple[int, bool, float]:
        """Models lowered, 0 where the objective does not go down, whether the last one was slow, and the error then."""
        if in_one_call(self, run) and not (self.stuck and has_exact_model(run)):
            made, why, left = self._steps(run, target, last, most)
            if made or why is End.INTERRUPTED:
                return made, why is End.SLOW, left
        exact = self.exact and last < np.inf and self._exact_step(run, last)
        if not (exact or self._step(run)):
            return 0, False, last
        left = run.working_error()
        self.exact = not exact or left <= SLOW * last
        return 1, left > SLOW * last, left

    def _exact_step(self, run: GroupDescent, error: float) -> bool:
        """A step towards the minimum of the model with the true Hessian, where that pays; whether there was one."""
        after = exact_minimum(run, error, MAX_EPOCHS if self.stuck else self.epochs)
        if after is None or not self._line_search(run, run.by_position, after):
            return False
        self.inner.set_coefficients(run.by_position)
        return True

    def _steps(self, run: GroupDescent, target: float, last: float, most: int) -> tuple[int, End, float]:
        """Several models in one call: their number, why it ended, and the error over the working set."""
        assert self.loss is not None
        changes = {"models": most, "epochs": self.epochs, "target": target, "last": last}
        limits = steps_on(self.loss, anderson=run.options.anderson, **changes)
        scores = run.scores.copy()  # what a call that makes no step leaves there may not even be finite
        done, point = newton_steps(self.inner, self.loss, run.working, scores, padded(run.z), limits, run.ask)
        run.count(done.columns)
        if done.models and not point.value <= run.value + 4 * np.finfo(float).eps * abs(run.value):
            self.inner.set_coefficients(run.by_position)  # intercepts among offsets of thousands are not found there
            return 0, End.STUCK, last
        if done.models:
            run.take(point, scores)
        if done.why is End.SLOW:  # sweeps were doubled up to there
            self.epochs = max(self.epochs, limits.most_epochs)
        return done.models, done.why, done.error

    def _start(self, run: GroupDescent) -> None:
        """Once, before the first model: a better point, where one is known."""
        w = None if self.started else smoothed_start(run)
        self.started = True
        if w is not None and run.try_move(w.reshape(len(w), -1)[self.store.columns], run.value):
            self.inner.set_coefficients(run.by_position)
            run.working = np.union1d(run.working, np.flatnonzero(run.norms > 0))

    def _step(self, run: GroupDescent) -> bool:
        """One model, lowered, and a step towards its minimum; False when the objective does not go down.

        After a failure the model is made steeper, up to one that lies above the loss, and swept over once.
        """
        for steepness in STEEPNESS:
            self._set_model(run.z, steepness)
            self.inner.r[:] = padded(run.force)
            before, z = run.by_position, run.z
            epochs = self.epochs if steepness is None else 1
            report = self.inner.run(
                run.working,
                run.scores.copy(),
                scored=True,
                max_epochs=epochs,
                epochs_per_cycle=min(epochs, EPOCHS_PER_MODEL),
                anderson=run.options.anderson if steepness is None else 0,
                ask=run.ask,
            )
            run.count(report[-1])
            if self._line_search(run, before, self.inner.coefficients()):
                self._learn(run.z - z, run.z)
                return True
            self.inner.set_coefficients(before)
            if run.ask():
                break
        return False

    def _set_model(self, z: np.ndarray, steepness: float | None) -> None:
        """Weights of the model at z: measured curvatures, or a multiple of their bounds."""
        share = (self.scale if steepness is None else steepness) * loss_curvature(self.datafit, z)
        if hasattr(self.datafit, "majorising_weights") and (steepness is not None or not share.any()):
            share = (steepness or 1.0) * self.datafit.majorising_weights(z)
        if not share.any():  # the loss is flat to rounding
            bound = self.datafit.smoothness_bound
            share = self.datafit.share * (bound if np.isfinite(bound) else 1.0)
        share = np.maximum(share, SMALLEST_SHARE * share.max())
        self.inner.reweight(share)
        limit = self.store.n * float(share.max())
        self.inner.fields["factor_limit"] = limit
        unknown = CURVATURE_MARGIN * float(share.sum())
        factor: Any = self.inner.factor
        measured = np.minimum(np.where(factor > 0, factor, unknown), limit)
        factor[:] = measured if steepness is None else limit

    def _line_search(self, run: GroupDescent, before: np.ndarray, after: np.ndarray) -> bool:
        """A step towards `after`, shortened until it does not go up, and on while it goes lower; whether there is one.

        The longest step that does not go up may end where the loss bends most.
        """
        length = 1.0
        if not np.isfinite(after).all():  # the model lies below the loss, and the sweeps left for infinity
            return False
        lower = False
        for tried in range(HALVINGS):
            w = after if length == 1 else before + length * (after - before)
            if run.try_move(w, run.value):
                lower = True
                if length == 1:
                    break
                self.inner.set_coefficients(w)
            elif lower or run.ask():
                break
            length /= 2 if tried < GENTLE else 16
        return lower

    def _learn(self, d: np.ndarray, z: np.ndarray) -> None:
        """The curvature along the last step d, relative to the bound, where one number stands for all outputs."""
        if not isinstance(self.datafit, Multinomial):
            return
        h = loss_curvature(self.datafit, z)[:, None]
        if self.datafit.fit_intercept:
            d = d - (h * d).sum(axis=0) / (h.sum() or 1.0)
        bound = float((h * d * d).sum())
        if bound > 0:
            measured = float((d * self.datafit.hessian(z, d)).sum()) / bound
            self.scale = float(np.clip(CURVATURE_MARGIN * measured, 0.05, 1.0))


def loss_curvature(datafit: Any, z: np.ndarray) -> np.ndarray:
    """h [n] with Hessian <= diag(h) at z, one number for all outputs of a sample.

    Equal to the Hessian for losses of single samples; sum_k m_k q_k for Cox; twice the largest P (1 - P) for the
    multinomial loss, which bounds diag(P) - P P' by Gershgorin's theorem.
    """
    if isinstance(datafit, Pointwise):
        return datafit.hessian_weights(z)
    if isinstance(datafit, Cox):
        return datafit.expected(z)
    P = np.exp(datafit.log_probabilities(z))
    return 2 * datafit.share * (P * (1 - P)).max(axis=1)


def in_one_call(frame: LeastSquaresFrame | NewtonFrame, run: GroupDescent) -> bool:
    """Whether the compiled loop knows the loss, and the norms of the groups decide."""
    return frame.loss is not None and frame.inner.compiled and run.by_norms and run.measured_by_gap


def look(frame: LeastSquaresFrame | NewtonFrame, run: GroupDescent, w: np.ndarray) -> bool:
    """`GroupDescent.take` the point w [p, T], by position, if one call tells all of it; whether it did."""
    if not (run.small and in_one_call(frame, run)):
        return False
    assert frame.loss is not None
    scores = np.zeros(len(run.strength))
    seen, point = newton_steps(frame.inner, frame.loss, run.may_move, scores, frame.inner.fit(w), LOOK, run.ask)
    run.count(seen.columns)
    if not (np.isfinite(seen.value) and seen.gap < np.inf):  # beyond the range in which it knows the loss
        return False
    run.take(point._replace(w=w), scores)  # these bits, not those of a way to the eigenbases and back
    return True


def frame_of(problem: Problem) -> LeastSquaresFrame | NewtonFrame:
    """The frame of the problem's loss."""
    of_squares = isinstance(problem.datafit, LeastSquares | MultiResponse)
    return LeastSquaresFrame(problem) if of_squares else NewtonFrame(problem)
