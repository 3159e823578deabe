"""A k-sparse minimiser of the k-support problem is the global minimiser of SMART with weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

import sparseopt as so

from ..exact_linear import Matrix, Vector, dot, product
from ..instances import EPS, REAL_DATA, Instance, conditioned_quadratic, random_groups, random_loss, real_data
from ..sequential_attention.scalar_functions import SLACK
from ..theorem import Attack, Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .smart_decay_penalty import ExactDecay

PROOF_TOL = 1e-6
"""Relative gap to which global optimality is asked for."""

COMPETITORS = 8


@dataclass(frozen=True)
class Sandwich:
    """SMART with weight decay lam and k groups for a loss."""

    loss: Instance
    k: int
    lam: float

    @cached_property
    def problem(self) -> so.Problem:
        """The nonconvex problem."""
        return self.loss.problem.with_penalty(so.SmartDecay(self.lam, self.loss.groups, self.k))

    @cached_property
    def companion(self) -> so.Problem:
        """The convex problem of the squared k-support norm."""
        return self.problem.with_penalty(self.problem.penalty.companion)

    @cached_property
    def w(self) -> np.ndarray:
        """The k largest groups [p] of the solution of the convex problem."""
        solution = so.solve(self.companion, tol=1e-10, max_iter=20_000, throw=False).w
        return np.asarray(so.sets.TopGroups(self.k, self.loss.groups).project(solution))

    @property
    def pull(self) -> np.ndarray:
        """|gradient_g| [G] at w."""
        return np.asarray(self.loss.groups.norms(self.loss.H @ self.w - self.loss.b))

    @cached_property
    def certificate(self) -> so.certify.Certificate:
        """Of global optimality of w."""
        return so.certify.global_gap(self.problem, self.w, tol=PROOF_TOL)

    @property
    def sparsity(self) -> float:
        """|gradient|_(k) - |gradient|_(k+1) at the exact minimiser at least, relative to the first; > 0: k-sparse.

        gradient_g is off by at most sqrt(2 gap trace H_gg).
        """
        traces = np.bincount(self.loss.groups.labels, weights=np.diag(self.loss.H))
        error = np.sqrt(2 * min(self.certificate.upper, 1e300) * traces)
        ranked = np.argsort(-self.pull)
        last, first = ranked[: self.k], ranked[self.k :]
        room = (self.pull - error)[last].min() - (self.pull + error)[first].max(initial=0.0)
        return float(room / max(self.pull.max(), float(np.finfo(float).tiny)))

    @property
    def explicit(self) -> float:
        """The lam from which on the k-support minimiser is k-sparse, inf at a tie."""
        return explicit_strength(self.loss, self.k)

    def rounding(self, u: np.ndarray) -> float:
        """64 eps p times the size of the terms of the objective at u."""
        size = float(np.abs(u) @ np.abs(self.loss.H) @ np.abs(u) + np.abs(self.loss.b) @ np.abs(u))
        return 64 * EPS * len(u) * (size + float(self.problem.penalty.value(u)) + self.certificate.scale)


def explicit_strength(loss: Instance, k: int) -> float:
    """L |b| / (|b|_(k) - |b|_(k+1)) with the largest curvature L; |b|_(k) of the group norms."""
    ordered = -np.sort(-loss.groups.norms(loss.b))
    gap = float(ordered[k - 1] - ordered[k])
    return float(loss.eigenvalues[-1]) * float(np.linalg.norm(loss.b)) / gap if gap > 0 else np.inf


@dataclass(frozen=True)
class ExactCase:
    """f = w'Hw/2 - b'w with two coefficients, each a group, k = 1, all rational; points by their cube roots >= 0.

    minimiser: of f + companion_lam (k-support norm)^2.  competitors: points to compare.  mu: strong convexity.
    """

    H: Matrix
    b: Vector
    lam: Fraction
    minimiser: tuple[Fraction, Fraction]
    competitors: tuple[tuple[Fraction, Fraction], ...]
    mu: Fraction = Fraction(1)
    companion_lam: Fraction | None = None

    def point(self, roots: tuple[Fraction, Fraction]) -> Vector:
        """The coefficients."""
        return [r**3 for r in roots]

    def value(self, roots: tuple[Fraction, Fraction]) -> Fraction:
        """f + lam Omega_1."""
        w = self.point(roots)
        return dot(w, product(self.H, w)) / 2 - dot(self.b, w) + self.lam * ExactDecay(roots, 1).value()

    @property
    def kkt_error(self) -> Fraction:
        """Violation of the optimality conditions of the convex problem; 0 at its minimiser.

        For k = 1 its penalty is companion_lam (sum |w_i|)^2.
        """
        w, lam = self.point(self.minimiser), self.lam if self.companion_lam is None else self.companion_lam
        pull, worst = 2 * lam * sum(w, Fraction(0)), Fraction(0)
        for x, h, b in zip(w, product(self.H, w), self.b, strict=True):
            worst = max(worst, abs(h - b + pull) if x else abs(h - b) - pull)
        return worst

    @property
    def room(self) -> Fraction:
        """How strictly the zero group is dual feasible; negative for two active groups."""
        w = self.point(self.minimiser)
        pulls = sorted((abs(h - b) for h, b in zip(product(self.H, w), self.b, strict=True)), reverse=True)
        return -min(w) if all(w) else pulls[0] - pulls[1]


def conclusion(instance: Sandwich | ExactCase) -> tuple[Evidence, ...]:
    """w is certified to be a global minimiser; both objectives agree; for a large lam the support is known."""
    if isinstance(instance, ExactCase):
        return _exact(instance)
    certificate, w = instance.certificate, instance.w
    upper = certificate.upper if certificate.proved else np.inf
    difference = abs(instance.problem.objective(w) - instance.companion.objective(w))
    found = [
        Evidence("F(w) - min F, certified", upper, PROOF_TOL * certificate.scale, 0.0, certificate.proved),
        Evidence("F(w) is the value of the convex problem", difference, 0.0, instance.rounding(w)),
    ]
    if instance.lam > instance.explicit:
        norms = instance.loss.groups.norms(instance.loss.b)
        top = set(np.argsort(-norms)[: instance.k].tolist())
        wrong = len(top.symmetric_difference(instance.loss.groups.active(w).tolist()))
        found.append(Evidence("the support is that of the k largest gradients at 0", wrong, 0))
    return tuple(found)


def _exact(instance: ExactCase) -> tuple[Evidence, ...]:
    best, found, farthest = instance.value(instance.minimiser), [], Fraction(0)
    for roots in instance.competitors:
        pairs = zip(instance.point(roots), instance.point(instance.minimiser), strict=True)
        distance = sum(((x - y) ** 2 for x, y in pairs), Fraction(0))
        excess = instance.value(roots) - best
        found.append(Evidence("mu/2 |u - w|^2 <= F(u) - F(w)", instance.mu / 2 * distance, excess))
        farthest = max(farthest, distance) if excess <= 0 else farthest
    return (*found, Evidence("no point as good as w is away from w", farthest, Fraction(0)))


def attack(instance: Sandwich | ExactCase) -> Attack:
    """Points around w, and the minimisers on other supports: F(u) - F(w) >= mu/2 |u - w|^2."""
    if isinstance(instance, ExactCase):
        found = list(_exact(instance))
        return Attack.of(found)
    rng, w, loss, found = np.random.default_rng(len(instance.w)), instance.w, instance.loss, []
    size = float(np.abs(w).max()) or 1.0
    points = [w + size * s * rng.standard_normal(len(w)) for s in 10.0 ** rng.uniform(-3, 0.5, COMPETITORS)]
    for _ in range(COMPETITORS):
        kept = np.isin(loss.groups.labels, rng.permutation(loss.groups.n_groups)[: instance.k])
        u, inside = np.zeros(len(w)), np.ix_(kept, kept)
        u[kept] = np.linalg.solve(loss.H[inside] + 2 * instance.lam * np.eye(int(kept.sum())), loss.b[kept])
        points.append(u)
    here = instance.problem.objective(w) - max(instance.certificate.upper, 0.0)
    for u in points:
        limit = instance.problem.objective(u) - here
        bound = loss.mu / 2 * max(float(np.linalg.norm(u - w)) - instance.certificate.distance, 0.0) ** 2
        found.append(Evidence("mu/2 |u - w|^2 <= F(u) - F(w)", bound, limit, instance.rounding(u)))
    return Attack.of(found)


def draw(rng: np.random.Generator) -> Sandwich | ExactCase:
    """lam up to 3 times the explicit strength, or down to a tenth of it; one instance in five is rational."""
    if rng.random() < 0.2:
        return _exact_draw(rng)
    if rng.random() < 0.5:
        loss = conditioned_quadratic(rng, random_groups(rng, int(rng.integers(3, 8)), 3), 10 ** rng.uniform(0, 1.5))
    else:
        loss = random_loss(rng)
    k = int(rng.integers(1, loss.groups.n_groups))
    return Sandwich(loss, k, explicit_strength(loss, k) * float(10 ** rng.uniform(-1, 0.5)))


def _exact_draw(rng: np.random.Generator) -> ExactCase:
    """H = [[1, c], [c, 1]] with the minimiser (1, 0), and competitors on a grid."""
    c, lam = Fraction(int(rng.integers(-5, 6)), 8), Fraction(int(rng.integers(1, 40)), 8)
    second = c + 2 * lam * Fraction(int(rng.integers(-7, 8)), 8)
    grid = [(Fraction(i, 4), Fraction(j, 4)) for i in range(6) for j in range(6) if (i, j) != (4, 0)]
    zero, one = Fraction(0), Fraction(1)
    return ExactCase([[one, c], [c, one]], [1 + 2 * lam, second], lam, (one, zero), tuple(grid), 1 - abs(c))


def sparse_margin(instance: Sandwich | ExactCase) -> float:
    """How strictly the other groups are below the k active ones."""
    return instance.sparsity if isinstance(instance, Sandwich) else float(instance.room) + SLACK * (instance.room >= 0)


def unique_margin(instance: Sandwich | ExactCase) -> float:
    """Strong convexity, or strict dual feasibility: the gradient at the minimiser is unique, and gives its groups."""
    if isinstance(instance, Sandwich):
        return max(instance.loss.mu, instance.sparsity)
    return float(max(instance.mu, instance.room))


HYPOTHESES = (
    Hypothesis("k-sparse", "the minimiser of the k-support problem has at most k active groups", sparse_margin),
    Hypothesis("unique", "the k-support problem has one minimiser", unique_margin),
    Hypothesis(
        "same strength",
        "both problems have the same lam and k",
        lambda i: -1.0 if isinstance(i, ExactCase) and i.companion_lam not in (None, i.lam) else 1.0,
    ),
    Hypothesis(
        "minimiser",
        "w is known: the k-support problem is solved",
        lambda i: SLACK - float(i.kkt_error) if isinstance(i, ExactCase) else 1.0,
        necessary=False,
        why="it defines w",
    ),
)

IDENTITY = [[Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)]]


def tied_instance() -> ExactCase:
    """b = (1, 1), lam = 7/4: the convex minimiser is (1/8, 1/8), and (27/125, 0) is lower."""
    half, better = (Fraction(1, 2),) * 2, (Fraction(3, 5), Fraction(0))
    return ExactCase(IDENTITY, [Fraction(1)] * 2, Fraction(7, 4), half, (better, better[::-1]))


def weak_instance() -> ExactCase:
    """lam = 1/4, b = (89, 51)/432: the convex minimiser is (1/8, 1/27), and ((129/250)^3, 0) is lower."""
    b = [Fraction(89, 432), Fraction(51, 432)]
    minimiser, better = (Fraction(1, 2), Fraction(1, 3)), (Fraction(129, 250), Fraction(0))
    return ExactCase(IDENTITY, b, Fraction(1, 4), minimiser, (better,))


def duplicate_instance() -> ExactCase:
    """f = (w_1 + w_2)^2 / 2 - 2 (w_1 + w_2), lam = 1/2: the points of w_1 + w_2 = 1, w >= 0 minimise the convex one."""
    ones, ends = [[Fraction(1)] * 2] * 2, ((Fraction(1), Fraction(0)), (Fraction(0), Fraction(1)))
    return ExactCase(ones, [Fraction(2)] * 2, Fraction(1, 2), ends[0], (ends[1],), mu=Fraction(0))


def strength_instance() -> ExactCase:
    """b = (1/4, 0): with lam = 15/2 the convex minimiser is (1/64, 0), while lam = 1/2 has (1/8, 0)."""
    b, better = [Fraction(1, 4), Fraction(0)], (Fraction(1, 2), Fraction(0))
    minimiser = (Fraction(1, 4), Fraction(0))
    return ExactCase(IDENTITY, b, Fraction(1, 2), minimiser, (better,), companion_lam=Fraction(15, 2))


COUNTEREXAMPLES = (
    Counterexample(
        "k-sparse",
        "a tie of two gradients",
        "the convex minimiser is dense for every lam; SMART has two minimisers, one on each axis",
        tied_instance,
    ),
    Counterexample("k-sparse", "a small lam", "without a tie, but with lam below what makes it sparse", weak_instance),
    Counterexample(
        "unique", "duplicate columns", "both ends of a segment of minimisers minimise SMART", duplicate_instance
    ),
    Counterexample(
        "same strength", "another lam", "the minimiser for lam = 15/2 is none for lam = 1/2", strength_instance
    ),
)


def sharpest(loss: Instance, k: int) -> Sandwich:
    """The smallest lam of explicit strength / 4^j at which the minimiser is shown to be k-sparse."""
    case = Sandwich(loss, k, 1.01 * explicit_strength(loss, k))
    for _ in range(6):
        weaker = Sandwich(loss, k, case.lam / 4)
        if not (weaker.certificate.proved and weaker.sparsity > 0):
            break
        case = weaker
    return case


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    """k = 3, at the explicit strength and at the smallest that is proved."""
    found: list[Evidence] = []
    loss = real_data(name)
    strong, weak = Sandwich(loss, 3, 1.01 * explicit_strength(loss, 3)), sharpest(loss, 3)
    for case in (strong, weak):
        margins = [h.margin(case) for h in HYPOTHESES]
        found.append(Evidence("all hypotheses hold", int(not min(margins) > 0), 0))
        found += [*conclusion(case), attack(case).evidence]
    return (*found, Evidence("the explicit strength is not needed", weak.lam, strong.explicit))


def _fixed_never_proved() -> tuple[Evidence, ...]:
    """Ties, dense minimisers and wrong points are not proved."""
    groups = so.Groups.uniform(2, 1)
    problem = so.Problem.quadratic(np.eye(2), np.ones(2), so.SmartDecay(1.75, groups, 1))
    points = {"the dense minimiser of a tie": [0.125, 0.125], "one axis of a tie": [2 / 9, 0.0], "0": [0.0, 0.0]}
    return tuple(
        Evidence(f"not proved: {name}", int(so.certify.global_gap(problem, w, tol=PROOF_TOL).proved), 0)
        for name, w in points.items()
    )


def curves(seed: int) -> dict[str, Columns]:
    """active: active groups of the convex minimiser on a random loss, k = 3, over lam / explicit strength, and whether
    global optimality is proved.  slice: both objectives along a line through the minimiser of two groups, k = 1.
    """
    loss = conditioned_quadratic(np.random.default_rng(seed), so.Groups.uniform(8, 2), 10.0)
    ratios, rows = np.geomspace(1e-3, 3, 15), []
    for ratio in ratios:
        case = Sandwich(loss, 3, float(ratio) * explicit_strength(loss, 3))
        dense = so.solve(case.companion, tol=1e-9, max_iter=20_000, throw=False).w
        norms = loss.groups.norms(dense)
        rows.append((int(np.sum(norms > 1e-6 * norms.max())), int(case.certificate.proved)))
    active, proved = zip(*rows, strict=True)
    t, two = np.linspace(-1, 1.5, 101), so.Groups.uniform(2, 1)
    problem = so.Problem.quadratic(np.eye(2), np.array([1.0, 0.6]), so.SmartDecay(0.8, two, 1))
    convex = problem.with_penalty(problem.penalty.companion)
    points = [np.array([(1 - 0.5 * s) / 2.6, 0.5 * s / 2.6]) for s in t]
    return {
        "active": {"ratio": ratios, "active": active, "proved": proved},
        "slice": {
            "t": t,
            "smart": [problem.objective(u) for u in points],
            "k_support": [convex.objective(u) for u in points],
        },
    }


THEOREM = Theorem(
    name="smart_global_optimum",
    ledger="B5",
    title="A k-sparse minimiser of the k-support problem is globally optimal for SMART",
    statement=(
        r"If L + \lambda \|w\|_{ksp}^2 has a unique minimiser with at most k active groups, it is the unique minimiser "
        r"of L + \lambda \Omega_k, the infimum of SMART with weight decay over all masks, at every temperature. For "
        r"quadratic L with curvature at most C that holds whenever \lambda > C |b| / (|b|_{(k)} - |b|_{(k+1)}), b the "
        r"negative gradient at 0, and its active groups are then the k largest of b."
    ),
    source="ours, the analogue of Theorem 1.1 of SequentialAttention++ for SMART (arXiv 2403.19969)",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("never proved", "ties and wrong points", _fixed_never_proved),
        *(
            Fixed(
                name,
                "real data at the explicit strength and at the smallest that is proved",
                lambda n=name: _fixed_real(n),
            )
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 20, "standard": 200, "full": 5000},
    attack=attack,
    printed="not printed",
)
