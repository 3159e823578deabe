"""SR-STE, ADMM and hard thresholding of one strength rest at the same points, and these are easy to describe."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

import sparseopt as so

from ..exact_linear import Matrix, Vector, block, solve
from ..instances import EPS, REAL_DATA, conditioned_quadratic, integer_quadratic, real_data
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .exact import ONE_OF_TWO, Coordinates, ExactRun, State, fractions, minus, square

UNITS = [fractions([1, 0]), fractions([0, 1])]
"""The Hessian of |w - b|^2 / 2."""


@dataclass(frozen=True)
class Candidate:
    """A mask [p] for a quadratic loss over a set of masks, and the strength lam of all three methods.

    classes: lists of coordinates among which entries of the mask may be exchanged.
    """

    problem: so.Problem
    mask: np.ndarray
    lam: float
    classes: Sequence[Sequence[int]]

    @cached_property
    def z(self) -> np.ndarray:
        """The minimiser of the loss on the mask [p]."""
        H, b = self.problem.datafit.H, self.problem.datafit.b
        z = np.zeros(len(b))
        z[self.mask] = np.linalg.solve(H[np.ix_(self.mask, self.mask)], b[self.mask])
        return z

    @cached_property
    def slope(self) -> np.ndarray:
        """The gradient at z [p], set to 0 on the mask, where it is."""
        return np.where(self.mask, 0.0, np.asarray(self.problem.gradient(self.z)))

    @property
    def dense(self) -> np.ndarray:
        """z on the mask, -gradient / lam elsewhere [p]."""
        return self.z - self.slope / self.lam

    @property
    def room(self) -> float:
        """min over the classes of lam min_on |w| - max_off |gradient|."""
        return min(
            self.lam * np.abs(self.z[on]).min(initial=np.inf) - np.abs(self.slope[off]).max(initial=0.0)
            for on, off in self._halves
            if len(on) and len(off)
        )

    @property
    def _halves(self) -> list[tuple[np.ndarray, np.ndarray]]:
        rows = [np.asarray(c) for c in self.classes]
        return [(c[self.mask[c]], c[~self.mask[c]]) for c in rows]

    @property
    def rounding(self) -> float:
        """64 eps p, condition of the block, size of the dense vector times max(1, L / lam)."""
        kept = self.problem.datafit.H[np.ix_(self.mask, self.mask)]
        size = float(np.linalg.norm(self.dense)) * max(1.0, float(self.problem.smoothness) / self.lam)
        return 64 * EPS * len(self.z) * float(np.linalg.cond(kept)) * size


@dataclass(frozen=True)
class ExactCandidate:
    """The same in rational numbers, with the strengths of the three methods one by one; point: instead of z."""

    H: Matrix
    b: Vector
    pieces: tuple[Coordinates, ...]
    choice: int
    lam: Fraction
    pull: Fraction | None = None
    point: Vector | None = None

    @property
    def run(self) -> ExactRun:
        """ADMM with rho = lam from z, whose gradient / rho is the right dual."""
        return ExactRun(self.H, self.b, self.pieces, self.lam, self.z, Fraction(1), Fraction(0))

    @cached_property
    def refit(self) -> Vector:
        """The minimiser on the mask."""
        kept = self.pieces[self.choice].kept
        inside = solve(block(self.H, kept), [self.b[i] for i in kept])
        assert inside is not None
        return [inside[kept.index(i)] if i in kept else Fraction(0) for i in range(len(self.b))]

    @property
    def z(self) -> Vector:
        """The point in question."""
        return self.refit if self.point is None else self.point

    @property
    def room(self) -> Fraction:
        """lam min_on |w| - max_off |gradient|, of all coordinates."""
        kept, slope = self.pieces[self.choice].kept, ExactRun.gradient(self._shell, self.z)
        return self.lam * min(abs(self.z[i]) for i in kept) - max(abs(g) for i, g in enumerate(slope) if i not in kept)

    @property
    def _shell(self) -> ExactRun:
        return ExactRun(self.H, self.b, self.pieces, self.lam, self.b, Fraction(1), Fraction(0))

    def rests(self) -> dict[str, bool]:
        """Whether each of the methods stays; nearest points may be shared."""
        run, kept, z = self._shell, self.pieces[self.choice].kept, self.z
        slope, pull = run.gradient(z), self.lam if self.pull is None else self.pull
        thresholded = [x - g / self.lam for x, g in zip(z, slope, strict=True)]
        state = State(z, z, [-g / self.lam for g in slope])
        after = run.sweep(state, self.pieces[self.choice])
        straight = [x if i in kept else -g / pull for i, (x, g) in enumerate(zip(z, slope, strict=True))]
        flat = all(slope[i] == 0 for i in kept)
        return {
            "hard thresholding": self._nearest(thresholded) and run.pieces[self.choice].project(thresholded) == z,
            "ADMM": self._nearest(thresholded) and (after.x, after.z, after.u) == (state.x, state.z, state.u),
            "SR-STE": self._nearest(straight) and flat,
        }

    def _nearest(self, v: Vector) -> bool:
        found = self._shell.distances(v)
        return found[self.choice] == min(found)


def conclusion(instance: Candidate | ExactCandidate) -> tuple[Evidence, ...]:
    """All three rest where the criterion says so, and none of them elsewhere."""
    if isinstance(instance, ExactCandidate):
        fixed = instance.room >= 0
        return tuple(
            Evidence(f"{name} rests iff lam min_on |w| >= max_off |gradient|", int(rests != fixed), 0)
            for name, rests in instance.rests().items()
        )
    return _float(instance)


def _float(instance: Candidate) -> tuple[Evidence, ...]:
    moves, room, tolerance = movements(instance), instance.room, instance.rounding
    if room > tolerance * instance.lam:
        return tuple(Evidence(f"{name} rests", moved, 0.0, tolerance) for name, moved in moves.items())
    if room < -tolerance * instance.lam:
        limit = -room / instance.lam
        return tuple(Evidence(f"{name} moves", limit, moved, tolerance) for name, moved in moves.items())
    return (Evidence("the criterion is about to change", 0.0, 0.0),)


def movements(instance: Candidate) -> dict[str, float]:
    """How far each method goes from z at once or in one step, in z or, where its mask stays, in the dense vector.

    Where entries a on and b > |a| off the mask are exchanged, z moves by |b| > |b| - |a| at least.
    """
    problem, lam = instance.problem, instance.lam
    starts: dict[str, tuple[Any, np.ndarray]] = {
        "hard thresholding": (so.solvers.IHT(step_size=1 / lam), instance.z),
        "ADMM": (so.solvers.ADMM(rho=lam), instance.z),
        "SR-STE": (so.solvers.SRSTE(pull=lam, step_size=0.5 / lam), instance.dense),
    }
    found = {}
    for name, (solver, start) in starts.items():
        states = list(itertools.islice(so.iterate(problem, solver, start), 2))
        found[name] = max(float(np.linalg.norm(state.w - instance.z)) for state in states)
        if name == "SR-STE" and (states[0].mask == instance.mask).all():
            found[name] = float(np.linalg.norm(states[1].dense - start))
    return found


def draw(rng: np.random.Generator) -> Candidate | ExactCandidate:
    """Any mask of 2:4 or of the 3 largest of 8 entries, lam / L from 0.2 to 5; one instance in five is rational."""
    if rng.random() < 0.2:
        H, b = integer_quadratic(rng, 3)
        pieces = tuple(Coordinates(kept) for kept in itertools.combinations(range(3), int(rng.integers(1, 3))))
        choice = int(rng.integers(3))
        candidate = ExactCandidate(H, b, pieces, choice, Fraction(int(rng.integers(1, 60)), 4))
        return candidate
    groups = so.Groups.uniform(8, 1)
    case = conditioned_quadratic(rng, groups, float(10 ** rng.uniform(0, 1.5)))
    by_four = rng.random() < 0.5
    chosen: Any = so.sets.NM(2, 4) if by_four else so.sets.TopGroups(3, groups)
    classes = [range(4), range(4, 8)] if by_four else [range(8)]
    problem = so.Problem.quadratic(case.H, case.b, chosen)
    good = np.linalg.solve(case.H, case.b) if rng.random() < 0.6 else rng.standard_normal(8)
    return Candidate(problem, np.asarray(chosen.support(good)), float(10 ** rng.uniform(-0.7, 0.7)), classes)


def strength_margin(instance: Candidate | ExactCandidate) -> float:
    """1 where rho, pull and 1 / step are one number lam."""
    same = isinstance(instance, Candidate) or instance.pull in (None, instance.lam)
    return 1.0 if same else -abs(float(instance.lam - instance.pull))  # type: ignore[union-attr, operator]


def exchange_margin(instance: Candidate | ExactCandidate) -> float:
    """1 where every entry on the mask may be exchanged for every one off it, of its class."""
    if isinstance(instance, Candidate):
        return 1.0
    masks = {frozenset(piece.kept) for piece in instance.pieces}
    kept = set(instance.pieces[instance.choice].kept)
    swaps = (kept - {i} | {j} for i in kept for j in range(len(instance.b)) if j not in kept)
    return 1.0 if all(frozenset(swap) in masks for swap in swaps) else -1.0


def refit_margin(instance: Candidate | ExactCandidate) -> float:
    """1 where z minimises the loss on its mask."""
    if isinstance(instance, Candidate) or instance.point is None:
        return 1.0
    return -float(square(minus(instance.point, instance.refit))) or 1.0


HYPOTHESES = (
    Hypothesis("one strength", "pull = rho = 1 / step = lam > 0", strength_margin),
    Hypothesis("single exchanges", "any entry on the mask may be exchanged for any one off it", exchange_margin),
    Hypothesis("refit", "z minimises f on its mask, and w = z - gradient(z) / lam", refit_margin),
    Hypothesis(
        "positive strength",
        "lam > 0",
        lambda i: float(i.lam),
        necessary=False,
        why="w is not defined for lam = 0; the plain straight-through estimator rests only where the gradient is 0",
    ),
)


def two_targets(choice: int, lam: str, **choices: Any) -> ExactCandidate:
    """f = |w - (1, 4/5)|^2 / 2 over one of two entries, the mask of the entry `choice`."""
    return ExactCandidate(UNITS, fractions([1, "4/5"]), ONE_OF_TWO, choice, Fraction(lam), **choices)


def library_instance() -> ExactCandidate:
    """f = |w - (2, 1/10, 1, 0)|^2 / 2 over the patterns {1, 2} and {3, 4} with lam = 1."""
    unit = [[Fraction(int(i == j)) for j in range(4)] for i in range(4)]
    pieces = (Coordinates((0, 1)), Coordinates((2, 3)))
    return ExactCandidate(unit, fractions([2, "1/10", 1, 0]), pieces, 0, Fraction(1))


COUNTEREXAMPLES = (
    Counterexample(
        "one strength",
        "rho = 2, pull = 1/2",
        "for the target (1, 4/5) the second entry alone is a fixed point of ADMM, and not of SR-STE",
        lambda: two_targets(1, "2", pull=Fraction(1, 2)),
    ),
    Counterexample(
        "single exchanges",
        "a library of two patterns",
        "the pattern with energy 4 + 1/100 stays, though its small entry is below one of the gradients outside",
        library_instance,
    ),
    Counterexample(
        "refit",
        "half of the minimiser",
        "(1/2, 0) for the target (1, 4/5) moves at once, though lam / 2 exceeds the gradient outside",
        lambda: two_targets(0, "2", point=fractions(["1/2", 0])),
    ),
)


def _fixed_thresholds() -> tuple[Evidence, ...]:
    """y = (1, 4/5): the right mask is a fixed point from lam = 4/5 on, the wrong one from 5/4 on."""
    found = []
    for choice, critical in ((0, Fraction(4, 5)), (1, Fraction(5, 4))):
        for factor, rests in ((Fraction(999, 1000), 0), (Fraction(1), 1), (Fraction(2), 1)):
            answers = two_targets(choice, str(critical * factor)).rests().values()
            claim = f"mask {choice + 1} rests at {factor} of {critical}: {'yes' if rests else 'no'}"
            found.append(Evidence(claim, sum(a != bool(rests) for a in answers), 0))
    return tuple(found)


def flips(pull: float, steps: int = 400, last: int = 200) -> int:
    """Changes of the mask of the target (1, 4/5) in the last steps of SR-STE from (0.1, 0.5)."""
    problem = so.Problem.quadratic(np.eye(2), np.array([1.0, 0.8]), so.sets.NM(1, 2))
    states = so.iterate(problem, so.solvers.SRSTE(pull=pull, step_size=0.1), np.array([0.1, 0.5]))
    return sum(state.flips > 0 for state in itertools.islice(states, steps - last + 1, steps + 1))


def _fixed_package() -> tuple[Evidence, ...]:
    """Small strengths flip for ever, large ones keep the wrong mask, a masked gradient never leaves it."""
    wrong = so.Problem.quadratic(np.eye(2), np.array([1.0, 0.8]), so.sets.NM(1, 2))
    far = so.Problem.quadratic(np.eye(2), np.array([3.0, 0.5]), so.sets.NM(1, 2))
    start = np.array([0.1, 0.5])
    kept = _end(wrong, so.solvers.SRSTE(pull=2.0, step_size=0.1), start)
    found = _end(far, so.solvers.SRSTE(pull=1.5, step_size=0.1), start)
    return (
        *(Evidence(f"the mask changes for lam = {pull}", 1, flips(pull)) for pull in (0.0, 0.2, 0.5)),
        *(Evidence(f"the mask rests for lam = {pull}", flips(pull), 0) for pull in (0.9, 1.1)),
        Evidence("lam = 2 keeps the wrong mask", float(np.abs(kept.w - [0.0, 0.8]).max()), 0.0, 1e-12),
        Evidence("lam = 3/2 finds the target (3, 1/2)", float(np.abs(found.dense - [3, 1 / 3]).max()), 0.0, 1e-12),
    )


def _end(problem: so.Problem, solver: Any, start: np.ndarray) -> Any:
    return next(itertools.islice(so.iterate(problem, solver, start), 400, None))


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    """The largest entries of the gradient at 0, and of the least-squares fit, at five strengths."""
    loss, found = real_data(name), list[Evidence]()
    p = len(loss.b)
    chosen = so.sets.TopGroups(5, so.Groups.uniform(p, 1))
    problem = so.Problem.quadratic(loss.H, loss.b, chosen)
    for point in (loss.b, np.linalg.lstsq(loss.H, loss.b)[0]):
        mask = np.asarray(chosen.support(point))
        for ratio in (0.01, 0.1, 0.5, 2.0, 10.0):
            found += conclusion(Candidate(problem, mask, ratio * float(problem.smoothness), [range(p)]))
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """flips: share of runs of SR-STE whose masks still change, and the share that rests on the best mask, over lam / L.

    Every column is a problem of its own: H = [[1, c], [c, 1]], targets and starts at random, one of two entries.
    """
    rng, count, steps, last = np.random.default_rng(seed), 200, 300, 60
    H, targets = np.array([[1.0, 0.4], [0.4, 1.0]]), rng.standard_normal((2, count))
    X = np.linalg.cholesky(H).T * np.sqrt(2)
    problem = so.Problem(X, so.MultiResponse(X @ targets), so.sets.NM(1, 2, axis=0))
    best = np.abs(H @ targets).argmax(axis=0)
    start, ratios = rng.standard_normal((2, count)), np.linspace(0.05, 3, 20)
    moving, right = [], []
    for ratio in ratios:
        solver = so.solvers.SRSTE(pull=float(ratio) * 1.4, step_size=0.5 / (1.4 * max(1.0, float(ratio))))
        masks = [s.mask for s in itertools.islice(so.iterate(problem, solver, start), steps - last, steps)]
        changed = np.any([a != b for a, b in itertools.pairwise(masks)], axis=(0, 1))
        moving.append(float(changed.mean()))
        right.append(float((~changed & masks[-1][best, np.arange(count)]).mean()))
    return {"flips": {"ratio": ratios, "moving": moving, "best": right}}


THEOREM = Theorem(
    name="srste_fixed_points",
    ledger="C4",
    title="SR-STE, ADMM and hard thresholding rest at the same points",
    statement=(
        r"For SR-STE with pull \lambda > 0, ADMM with \rho = \lambda and iterative hard thresholding with step "
        r"1 / \lambda, over masks whose entries may be exchanged one by one, the fixed points are the same: "
        r"w = z - \nabla f(z) / \lambda with z \in P_S(w). On the mask the gradient is 0, so z is least squares there, "
        r"without shrinkage; off it w = -\nabla f(z) / \lambda. A mask is one iff "
        r"\lambda min_{on} |w| \ge max_{off} |\nabla f|: a small \lambda has none and oscillates, a large one keeps "
        r"wrong masks."
    ),
    source="ours; SR-STE as in ADMM pattern pruning (arXiv 2407.08334)",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("thresholds", "the target (1, 4/5), in rational numbers", _fixed_thresholds),
        Fixed("package", "oscillation, a frozen mask, and a mask that is found", _fixed_package),
        *(
            Fixed(name, "real data with 5 entries at five strengths", lambda n=name: _fixed_real(n))
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 60, "standard": 1000, "full": 30_000},
    printed="not printed",
)
