"""Branch and bound: the global minimum of small group-l0, MCP and SCAD least squares, with its proof."""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass, field

import numpy as np

from .._array import checked_seconds, positive_scalar
from .._native.blas import one_blas_thread
from ..problem import Problem
from ..solve import State
from .incumbent import Incumbent
from .relaxation import Box, ConcaveModel, relax

MOST_SETS = 6
"""Sets of groups tried to close a node."""


@dataclass(frozen=True)
class Optimum:
    """What a search found and proved.

    w: [p], the best point.  objective: its objective, in floats.  lower: rigorous lower bound of the global minimum.
    nodes: relaxations solved.  seconds: wall clock.  proved: whether objective - lower is within the tolerance;
    reason: one sentence.
    """

    w: np.ndarray
    objective: float
    lower: float
    nodes: int
    seconds: float
    proved: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class ProvedState(State):
    """State of branch and bound.  optimum: the outcome of the search."""

    optimum: Optimum = field(repr=False)


@dataclass(frozen=True)
class BranchAndBound:
    """Exact minimisation of LeastSquares or a quadratic + GroupL0, GroupMCP or GroupSCAD, for some tens of groups.

    A node says of each group that it is small, |w_g| in an interval on which its penalty is replaced by the chord; that
    it pays the full penalty and is otherwise free; or nothing, when it is free and pays nothing.  The relaxation is a
    group LASSO over the small groups with the others projected out; any of its points gives a rigorous lower bound.
    Undecided groups are split into small and paid, small ones later by halving their interval.  A node is also closed
    when for each number j of further paid groups one of j + 1 disjoint sets of groups, all small, is too expensive.

    node_limit: relaxations, > 0.  time_limit: wall-clock seconds or None.  tol: relative gap, objective - lower <=
    tol * max(|objective|, |objective - objective(0)|, smallest full penalty of a group).
    `prove(problem)` returns an `Optimum`; in `solve` the search
    is run by `init`, and the state's `optimum` tells whether the point is proved (the status speaks of stationarity).
    The work is exponential in the worst case; where columns outnumber samples, so do the nodes.
    Source: leaps and bounds of Furnival and Wilson (1974) for the projections; the set argument is our own.
    """

    node_limit: int = 1_000_000
    time_limit: float | None = None
    tol: float = 1e-7

    check_every = 1

    def __post_init__(self) -> None:
        positive_scalar(self.node_limit, "node_limit")
        positive_scalar(self.tol, "tol")
        checked_seconds(self.time_limit)

    def prove(self, problem: Problem, w0: np.ndarray | None = None) -> Optimum:
        """Search until the gap is closed or a limit is reached.  w0: [p], a first incumbent.

        Raises ValueError for another loss or penalty.
        """
        start = time.perf_counter()
        with one_blas_thread():
            model = ConcaveModel(problem)
            incumbent = Incumbent(model, w0, np.inf if self.time_limit is None else start + self.time_limit)
            return _Search(model, incumbent, self, start).run()

    def init(self, problem: Problem, w0: np.ndarray) -> ProvedState:
        """The outcome of the whole search; ValueError for another loss or penalty."""
        optimum = self.prove(problem, w0)
        return ProvedState(w=optimum.w, z=problem.X @ optimum.w, passes=1.0, optimum=optimum)

    def step(self, problem: Problem, state: ProvedState) -> ProvedState:
        """Nothing is left to do."""
        return state


class _Search:
    """The tree.  heap: open boxes by lower bound, with a start for their relaxation."""

    def __init__(self, model: ConcaveModel, incumbent: Incumbent, options: BranchAndBound, start: float) -> None:
        self.model, self.incumbent, self.options = model, incumbent, options
        self.closed, self.nodes, self.start = np.inf, 0, start
        self.order = itertools.count()
        root = model.root()
        self.heap: list[tuple[float, int, Box, np.ndarray]] = []
        self._push(model.floor + model.base(root), root, np.zeros(len(model.b)))

    @property
    def cut(self) -> float:
        """Boxes whose bound reaches it are closed."""
        best = self.incumbent.value
        scale = max(abs(best), abs(best - self.model.c), self.model.smallest_full)
        return best - self.options.tol * scale

    def run(self) -> Optimum:
        """Take the box of the lowest bound until none is open or a limit is reached."""
        stopped = ""
        while self.heap and self.heap[0][0] < self.cut:
            stopped = self._limit()
            if stopped:
                break
            bound, _, box, start = heapq.heappop(self.heap)
            self._explore(bound, box, start)
        lower = min(self.closed, self.heap[0][0] if self.heap else np.inf, self.incumbent.value)
        proved = lower >= self.cut
        reason = "every box is closed" if proved else f"{stopped or 'rounding errors'}: the gap is not closed"
        seconds = time.perf_counter() - self.start
        return Optimum(self.incumbent.w, self.incumbent.value, float(lower), self.nodes, seconds, bool(proved), reason)

    def _out_of_time(self) -> bool:
        limit = self.options.time_limit
        return limit is not None and time.perf_counter() - self.start > limit

    def _limit(self) -> str:
        if self._out_of_time():
            return f"the time limit of {self.options.time_limit:g} s was reached"
        return f"the limit of {self.options.node_limit} nodes was reached" if self._full() else ""

    def _full(self) -> bool:
        return self.nodes >= self.options.node_limit

    def _push(self, bound: float, box: Box, start: np.ndarray) -> None:
        if bound >= self.cut:
            self.closed = min(self.closed, bound)
        else:
            heapq.heappush(self.heap, (bound, next(self.order), box, start))

    def _explore(self, bound: float, box: Box, start: np.ndarray) -> None:
        """Solve the relaxation, then pay for one undecided group after the other, leaving the small twins open."""
        model, self.nodes = self.model, self.nodes + 1
        box, inverse = model.inverted(box)
        w = relax(model, box, inverse, start, self.cut)
        while True:
            bound = max(bound, model.bound(box, w))
            undecided = box.undecided
            if bound >= self.cut:
                break
            if self._out_of_time():
                self._push(bound, box, w)
                return
            if len(undecided) == 0:
                self._split(bound, box, w)
                return
            closed = self._by_sets(bound, box, w, inverse)
            if closed >= self.cut:
                bound = closed
                break
            costs = removal_costs(model, box, w, inverse, undecided)
            g = int(undecided[np.argmax(costs)])
            self._push_small(bound, box, g, w)
            box = box.paid(g)
        self.closed = min(self.closed, bound)

    def _push_small(self, bound: float, box: Box, g: int, w: np.ndarray) -> None:
        self._push(bound, box.shrunk(np.array([g]), 0.0, self.model.flat[[g]]), w)

    def _split(self, bound: float, box: Box, w: np.ndarray) -> None:
        """Halve the interval of the small group whose chord is farthest below its penalty at w."""
        model = self.model
        self.incumbent.offer(w)
        norms = np.clip(model.groups.norms(w), box.lower, box.upper)
        ends = model.value(box.lower), model.value(box.upper)
        width = np.where(box.upper > box.lower, box.upper - box.lower, 1.0)
        chord = ends[0] + (ends[1] - ends[0]) * (norms - box.lower) / width
        g = int(np.argmax(np.where(box.small, model.value(np.where(box.small, norms, 0.0)) - chord, -1.0)))
        low, high = box.lower[g], box.upper[g]
        middle = float(np.clip(norms[g], 0.9 * low + 0.1 * high, 0.1 * low + 0.9 * high))
        if bound >= self.cut or not low < middle < high:
            self.closed = min(self.closed, bound)
            return
        self._push(bound, box.shrunk(np.array([g]), low, np.array([middle])), w)
        self._push(bound, box.shrunk(np.array([g]), middle, np.array([high])), w)

    def _by_sets(self, bound: float, box: Box, w: np.ndarray, inverse: np.ndarray) -> float:
        """A lower bound over the box from disjoint sets of undecided groups, or -inf where the attempt fails.

        With j further paid groups, which cost at least the j smallest full penalties, one of j + 1 disjoint sets has
        none of them: all its groups are small, for which a relaxation is solved.
        """
        model, undecided = self.model, box.undecided
        dues = np.concatenate([[0.0], np.cumsum(np.sort(model.full[undecided]))]) * (1 - 1e-14)
        enough = np.flatnonzero(bound + dues >= self.cut)
        count = int(enough[0]) if len(enough) else len(dues)
        if count > min(len(undecided), MOST_SETS):
            return -np.inf
        missing = self.cut - bound - dues[:count]
        excess = max(len(model.columns(np.flatnonzero(~box.small))) - model.rank, 0) * len(model.flat) / len(model.b)
        if excess * count >= len(undecided):
            return -np.inf
        found = bound + dues[count] if count < len(dues) else np.inf
        costs = removal_costs(model, box, w, inverse, undecided)
        for part, due in zip(deal(undecided, costs, missing, excess), dues, strict=False):
            child, shrunk_inverse = model.inverted(box.shrunk(part, 0.0, model.flat[part]))
            if not child.curvature > 0:
                return -np.inf
            point = relax(model, child, shrunk_inverse, w, self.cut - due)
            if len(part) == len(undecided):
                self.incumbent.offer(point)
            reached = model.bound(child, point) + due
            if reached < self.cut:
                return -np.inf
            found = min(found, reached)
        return found


def removal_costs(model: ConcaveModel, box: Box, w: np.ndarray, inverse: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """What setting each of these free groups [k] to zero would cost: w_g' (inverse_gg)^-1 w_g / 2."""
    free = model.columns(np.flatnonzero(~box.small))
    position = np.zeros(len(w), dtype=int)
    position[free] = np.arange(len(free))
    costs, sizes = np.zeros(len(groups)), np.array([len(model.members[g]) for g in groups])
    for size in np.unique(sizes):
        chosen = np.flatnonzero(sizes == size)
        members = np.stack([model.members[g] for g in groups[chosen]])
        at = position[members]
        blocks = inverse[at[:, :, None], at[:, None, :]]
        costs[chosen] = (w[members] * np.linalg.solve(blocks, w[members][:, :, None])[:, :, 0]).sum(axis=1) / 2
    return costs


def deal(groups: np.ndarray, costs: np.ndarray, missing: np.ndarray, excess: float) -> list[np.ndarray]:
    """Groups [k] dealt, expensive ones first, into len(missing) sets of sizes proportional to their shares.

    A set first has to remove `excess` groups before its relaxation costs anything; the rest is shared as `missing`.
    """
    spare = max(len(groups) - excess * len(missing), 1.0)
    sizes = (excess + spare * missing / missing.sum()).tolist()
    parts: list[list[int]] = [[] for _ in missing]
    filled = [0.5 / size for size in sizes]
    for g in groups[np.argsort(-costs)].tolist():
        least = filled.index(min(filled))
        parts[least].append(g)
        filled[least] += 1 / sizes[least]
    return [np.array(sorted(part), dtype=int) for part in parts]
