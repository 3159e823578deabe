"""ADMM on a nonconvex set lowers its augmented Lagrangian at every sweep once rho is above the largest curvature."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

import sparseopt as so

from ..exact_linear import dot, solve
from ..instances import REAL_DATA, integer_quadratic
from ..sequential_attention.scalar_functions import SLACK
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Number, Theorem
from .exact import ONE_OF_TWO, SIGNS, ExactRun, fractions, minus, periodic_orbit, square
from .runs import Run, draw_run, real_run

SWEEPS = 30


@dataclass(frozen=True)
class Trace:
    """What the theorem compares: one entry per state, one per sweep for the moves |x+ - x|^2.

    lagrangians, losses: of the state, and f(z).  apart: |x - z|^2.  The rest as in `ExactRun`.
    """

    lagrangians: list[Any]
    losses: list[Any]
    apart: list[Any]
    moves: list[Any]
    rho: Any
    curvature: Any
    bound: Any
    convex: bool
    tolerance: Number


def trace(instance: Run | ExactRun) -> Trace:
    """The trace of a run, with the rounding of its Lagrangians."""
    if isinstance(instance, ExactRun):
        states = instance.states
        return Trace(
            [instance.lagrangian(s) for s in states],
            [instance.loss(s.z) for s in states],
            [square(minus(s.x, s.z)) for s in states],
            [square(minus(t.x, s.x)) for s, t in itertools.pairwise(states)],
            instance.rho,
            instance.curvature,
            instance.bound,
            instance.convex,
            0,
        )
    found, problem = instance.states, instance.problem
    return Trace(
        [s.augmented_lagrangian for s in found],
        [float(problem.datafit.value(s.z)) for s in found],
        [float(np.sum((s.x - s.w) ** 2)) for s in found],
        [float(np.sum((t.x - s.x) ** 2)) for s, t in itertools.pairwise(found)],
        instance.rho,
        instance.curvature,
        instance.bound,
        True,
        instance.value_rounding,
    )


def modulus(rho: Any, curvature: Any, convex: bool) -> Any:
    """c of the descent; where the theorem gives none, L / 100, as then any positive number is refuted."""
    if convex:
        c = (rho - curvature) * (rho + 2 * curvature) / (2 * rho) if rho < 2 * curvature else rho / 2
    else:
        c = (rho - 2 * curvature) * (rho + curvature) / (2 * rho)
    return c if c > 0 else curvature / 100


def conclusion(instance: Run | ExactRun) -> tuple[Evidence, ...]:
    """Descent, the lower bound of the Lagrangian, and that the moves are summable."""
    t = trace(instance)
    c, al = modulus(t.rho, t.curvature, t.convex), t.lagrangians
    rises = [after - before + c * move for (before, after), move in zip(itertools.pairwise(al), t.moves, strict=True)]
    room = (t.rho - t.curvature) / 2
    below = [f + room * d - value for f, d, value in zip(t.losses, t.apart, al, strict=True)]
    total = len(al) * t.tolerance
    return (
        Evidence("AL+ <= AL - c |x+ - x|^2", max(rises), 0 * al[0], t.tolerance),
        Evidence("AL >= f(z) + (rho - L)/2 |x - z|^2", max(below), 0 * al[0], t.tolerance),
        Evidence("c sum |x+ - x|^2 <= AL_0 - inf f", c * sum(t.moves), al[0] - t.bound, total),
        *(_stationary(instance) if isinstance(instance, Run) else ()),
    )


def _stationary(instance: Run) -> tuple[Evidence, ...]:
    """z is as near to z - gradient(z) / rho as the set is, but for twice the movement of that point in the last sweep.

    z is nearest to x - gradient(x) / rho for the x before.
    """
    before, z, rho = instance.states[-2].x, instance.states[-1].w, instance.rho
    v, earlier = z - instance.gradient(z) / rho, before - instance.gradient(before) / rho
    excess = float(np.linalg.norm(v - z) - np.linalg.norm(v - instance.project(v)))
    moved = 2 * float(np.linalg.norm(v - earlier))
    claim = "z is nearest to z - gradient(z) / rho, to the movement of a sweep"
    return (Evidence(claim, excess, moved, instance.rounding),)


def draw(rng: np.random.Generator) -> Run | ExactRun:
    """rho / L from 1.001 to 5; one instance in five is rational, and half of those have a loss that is not convex."""
    if rng.random() < 0.8:
        return draw_run(rng, SWEEPS, 1 + float(10 ** rng.uniform(-3, np.log10(4))))
    start = fractions([int(v) for v in rng.integers(-5, 6, 2)])
    if rng.random() < 0.5:
        H, b = integer_quadratic(rng, 2)
        best = solve(H, b)
        assert best is not None
        curvature = max(sum(abs(h) for h in row) for row in H)
        rho = curvature * (1 + Fraction(1, int(rng.integers(1, 50))))
        return ExactRun(H, b, ONE_OF_TWO, rho, start, curvature, -dot(b, best) / 2, sweeps=8)
    h, slope = (Fraction(int(v)) for v in rng.integers(-5, 6, 2))
    run = ExactRun([[h]], [slope], SIGNS, Fraction(1), start[:1], max(abs(h), Fraction(1)), Fraction(0), convex=False)
    bound = min(run.loss(list(point.at)) for point in SIGNS)
    return replace(run, bound=bound, rho=run.curvature * (2 + Fraction(1, int(rng.integers(1, 50)))), sweeps=12)


def strength_margin(instance: Run | ExactRun) -> float:
    """rho / L less 1, for losses that are not convex less 2."""
    convex = isinstance(instance, Run) or instance.convex
    return float(instance.rho / instance.curvature) - (1 if convex else 2)


def curvature_margin(instance: Run | ExactRun) -> float:
    """Room of the eigenvalues of H in [0, L], or in [-L, L] where f is not called convex, plus 2^-40; 1 for floats."""
    if isinstance(instance, Run):
        return 1.0  # the smoothness of the package, which has tests of its own
    values = np.linalg.eigvalsh(np.array(instance.H, dtype=float))
    L, least = float(instance.curvature), 0.0 if instance.convex else -float(instance.curvature)
    return float(min(L - values[-1], values[0] - least)) + SLACK


def bounded_margin(instance: Run | ExactRun) -> float:
    """How far below the loss the claimed bound is, in one variable at a time; 1 where it is a sum of squares."""
    if isinstance(instance, Run):
        return 1.0 if instance.bound == 0 or instance.mu > 0 else -1.0
    if not all(isinstance(piece, type(ONE_OF_TWO[0])) for piece in instance.pieces):
        return 1.0 if all(instance.loss(p.project([Fraction(0)])) >= instance.bound for p in instance.pieces) else -1.0
    rows = [(instance.H[i][i], instance.b[i]) for i in range(len(instance.b))]
    if any(h <= 0 and b != 0 for h, b in rows):
        return -1.0
    least = min((-b * b / h / 2 for h, b in rows if h > 0), default=Fraction(0))
    return 1.0 if least >= instance.bound else -1.0


def dual_margin(instance: Run | ExactRun) -> float:
    """1 where u starts at -gradient / rho."""
    if isinstance(instance, Run) or instance.dual is None:
        return 1.0
    slope = instance.gradient(instance.start)
    return -float(max(abs(g + instance.rho * u) for g, u in zip(slope, instance.dual, strict=True))) or 1.0


HYPOTHESES = (
    Hypothesis("rho above L", "rho > L for convex f, rho > 2 L for others", strength_margin),
    Hypothesis("curvature", "L bounds |f''|, and f is convex where rho <= 2 L", curvature_margin),
    Hypothesis(
        "order Z",
        "a sweep updates z, x, u in this order",
        lambda i: 1.0 if (i.solver.z_first if isinstance(i, Run) else i.z_first) else -1.0,
    ),
    Hypothesis("bounded below", "f is bounded below on the set", bounded_margin),
    Hypothesis("dual start", "u starts at -gradient(x) / rho", dual_margin),
    Hypothesis(
        "closed set",
        "the set is closed, so that every point has a nearest one",
        lambda i: 1.0,
        necessary=False,
        why="without it there is no projection, and no algorithm to speak of",
    ),
)

COUPLED = [fractions([10, 9]), fractions([9, 10])]
"""H of the sparse counterexample: eigenvalues 1 and 19."""


def coupled_run(rho: int) -> ExactRun:
    """f = w'Hw/2 - b'w, H = [[10, 9], [9, 10]], b = (-3, 3), over vectors with one nonzero entry."""
    return ExactRun(
        COUPLED, fractions([-3, 3]), ONE_OF_TWO, Fraction(rho), fractions([1, 0]), Fraction(19), Fraction(-9)
    )


def cycling_instance() -> ExactRun:
    """rho = 18 < L = 19, started on the exact orbit of period 2."""
    run = coupled_run(18)
    orbit = periodic_orbit(run, (0, 1))
    assert orbit is not None
    assert orbit.strict
    return replace(run, start=orbit.states[0].x)


def signs_run(h: int, rho: Fraction, start: Fraction, convex: bool = True) -> ExactRun:
    """f = h x^2 / 2 over {-1, 1}."""
    size = Fraction(abs(h))
    return ExactRun([[Fraction(h)]], [Fraction(0)], SIGNS, rho, [start], size, Fraction(h, 2), convex=convex)


def order_x_instance() -> ExactRun:
    """f = 2 w_1^2 + w_2^2 / 2 + 2 w_1 + w_2 with L = 4, rho = 5, in order X from (-4, 4)."""
    H = [fractions([4, 0]), fractions([0, 1])]
    start, b = fractions([-4, 4]), fractions([-2, -1])
    return ExactRun(H, b, ONE_OF_TWO, Fraction(5), start, Fraction(4), Fraction(-2), z_first=False, sweeps=6)


def unbounded_instance() -> ExactRun:
    """f = w_1^2 / 2 - w_2, rho = 2: w_2 grows by 1/2 at every sweep."""
    H = [fractions([1, 0]), fractions([0, 0])]
    start, b = fractions([0, 1]), fractions([0, 1])
    return ExactRun(H, b, ONE_OF_TWO, Fraction(2), start, Fraction(1), Fraction(-10), sweeps=60)


COUNTEREXAMPLES = (
    Counterexample(
        "rho above L",
        "rho = 18, L = 19, one of two entries",
        "the orbit x = (-57, 111)/523, (-111, 57)/523 has period 2: the support changes at every sweep",
        cycling_instance,
    ),
    Counterexample(
        "rho above L",
        "x^2 / 2 on {-1, 1} with rho = 1/2",
        "x = 1/5 and -1/5 in turn, |x| = rho / (2 L + rho), for ever",
        lambda: signs_run(1, Fraction(1, 2), Fraction(1, 5)),
    ),
    Counterexample(
        "rho above L",
        "-x^2 / 2 on {-1, 1} with rho = 3/2",
        "a loss that is not convex needs rho > 2 L: here the Lagrangian rises",
        lambda: signs_run(-1, Fraction(3, 2), Fraction(1, 10), convex=False),
    ),
    Counterexample(
        "curvature",
        "L = 10 claimed of a loss with 19",
        "rho = 18 is above the claimed bound, and the orbit of period 2 is still there",
        lambda: replace(cycling_instance(), curvature=Fraction(10)),
    ),
    Counterexample(
        "curvature",
        "a concave loss called convex",
        "-x^2 / 2 on {-1, 1} with rho = 3/2: the Lagrangian rises",
        lambda: signs_run(-1, Fraction(3, 2), Fraction(1, 10)),
    ),
    Counterexample("order Z", "x before z", "the Lagrangian rises from 0.67 to 1.10 though rho > L", order_x_instance),
    Counterexample(
        "bounded below",
        "w_1^2 / 2 - w_2",
        "the second entry grows without end, so the moves do not vanish",
        unbounded_instance,
    ),
    Counterexample(
        "dual start",
        "u = 1 at x = 0",
        "x^2 / 2 on {-1, 1} with rho = 2: the first sweep raises the Lagrangian from -1 to 1",
        lambda: replace(signs_run(1, Fraction(2), Fraction(0)), dual=[Fraction(1)]),
    ),
)


def _fixed_orbits() -> tuple[Evidence, ...]:
    found = []
    for name, run, size in (
        ("sparse vectors, rho = 18", coupled_run(18), square(fractions(["57/523", "111/523"]))),
        ("{-1, 1}, rho = 1/2", signs_run(1, Fraction(1, 2), Fraction(1)), Fraction(1, 25)),
        ("{-1, 1}, rho = 99/100", signs_run(1, Fraction(99, 100), Fraction(1)), Fraction(99, 299) ** 2),
    ):
        orbit = periodic_orbit(run, (0, 1))
        assert orbit is not None
        first, second, third = orbit.states
        found += [
            Evidence(f"{name}: both selections are the nearest pieces", int(not orbit.strict), 0),
            Evidence(f"{name}: the third state is the first", square(minus(third.x, first.x)), Fraction(0)),
            Evidence(f"{name}: the second is not", -square(minus(second.x, first.x)), -Fraction(1, 100)),
            Evidence(f"{name}: its size", abs(square(first.x) - size), Fraction(0)),
        ]
    return tuple(found)


def _fixed_package() -> tuple[Evidence, ...]:
    """The package runs into the orbit at rho = 18, settles at rho = 20, and says which one is safe."""
    found = []
    problem = so.Problem.quadratic(np.array(COUPLED, float), np.array([-3.0, 3.0]), so.sets.NM(1, 2))
    for rho, cycles in ((18.0, True), (20.0, False)):
        run = Run(problem, so.solvers.ADMM(rho=rho), np.array([1.0, 0.0]), 400, -9.0)
        last = [s.w != 0 for s in run.states[-20:]]
        flips = sum(bool((a != b).any()) for a, b in itertools.pairwise(last))
        found.append(Evidence(f"changes of the support at rho = {rho:g}", abs(flips - 19 * cycles), 0))
        promised = run.states[-1].descent_guaranteed
        found.append(Evidence(f"descent is promised at rho = {rho:g} iff it is above L", int(promised == cycles), 0))
    return tuple(found)


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    found: list[Evidence] = []
    for ratio in (1.01, 2.5):
        run = real_run(name, SWEEPS, ratio)
        held = min(h.margin(run) for h in HYPOTHESES) > 0
        found += [Evidence(f"all hypotheses hold at rho = {ratio} L", int(not held), 0), *conclusion(run)]
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """moves: |x+ - x| over the sweeps.  settled: share of runs whose support rests.  orbit: x and z on it.

    map: the share that rests, over rho / L and the correlation of the two entries.
    """
    return {"moves": _moves(), "settled": _settled(seed), "orbit": _orbit(), "map": _map(seed)}


def _moves() -> Columns:
    columns: dict[str, list[float]] = {"sweep": list(range(1, 61))}
    problem = so.Problem.quadratic(np.array(COUPLED, float), np.array([-3.0, 3.0]), so.sets.NM(1, 2))
    for rho in (18, 20, 38):
        run = Run(problem, so.solvers.ADMM(rho=float(rho)), np.array([1.0, 0.0]), 60, -9.0)
        columns[f"rho_{rho}"] = [max(move, 0.0) ** 0.5 for move in trace(run).moves]
    return columns


def _settled(seed: int) -> Columns:
    """Every column of W is a problem of its own: H as above, random b and starts, one of two entries."""
    rng, count, sweeps = np.random.default_rng(seed), 200, 100
    X = np.linalg.cholesky(np.array(COUPLED, float)).T * np.sqrt(2)
    Y = 2 * np.linalg.solve(X.T, rng.standard_normal((2, count)))
    problem = so.Problem(X, so.MultiResponse(Y), so.sets.NM(1, 2, axis=0))
    ratios, start = np.linspace(0.5, 1.2, 8), rng.standard_normal((2, count))
    shares: dict[str, list[float]] = {"z": [], "x": []}
    for ratio, order in itertools.product(ratios, shares):
        solver = so.solvers.ADMM(rho=19 * float(ratio), z_first=order == "z")
        states = Run(problem, solver, start, sweeps, 0.0).states[-20:]
        changed = np.any([(s.w != 0) != (t.w != 0) for s, t in itertools.pairwise(states)], axis=(0, 1))
        shares[order].append(float(np.mean(~changed)))
    return {"ratio": ratios, "order_z": shares["z"], "order_x": shares["x"]}


def _map(seed: int) -> Columns:
    """Blocks [[1, c], [c, 1]] / (1 + c) of curvature 1 beside each other, so that one run shows every c."""
    rng, count, correlations = np.random.default_rng(seed), 100, np.linspace(0, 0.95, 20)
    H = np.zeros((40, 40))
    for i, c in enumerate(correlations):
        H[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = np.array([[1, c], [c, 1]]) / (1 + c)
    X = np.linalg.cholesky(H).T * np.sqrt(40)
    Y = 40 * np.linalg.solve(X.T, rng.standard_normal((40, count)))
    problem, start = so.Problem(X, so.MultiResponse(Y), so.sets.NM(1, 2, axis=0)), rng.standard_normal((40, count))
    found: dict[str, list[float]] = {"ratio": [], "correlation": [], "rests": []}
    for ratio in np.linspace(0.2, 1.3, 12):
        states = Run(problem, so.solvers.ADMM(rho=float(ratio)), start, 80, 0.0).states[-20:]
        changed = np.any([(s.w != 0) != (t.w != 0) for s, t in itertools.pairwise(states)], axis=0)
        share = (~changed).reshape(20, 2, count).all(axis=1).mean(axis=1)
        for name, values in zip(found, ([ratio] * 20, correlations, share), strict=True):
            found[name] += [float(value) for value in values]
    return found


def _orbit() -> Columns:
    orbit = periodic_orbit(coupled_run(18), (0, 1))
    assert orbit is not None
    rows = [[float(v) for v in (*s.x, *s.z)] for s in orbit.states[1:]]
    return dict(zip(("x_1", "x_2", "z_1", "z_2"), zip(*rows, strict=True), strict=True))


THEOREM = Theorem(
    name="admm_descends",
    ledger="C2",
    title="ADMM on a nonconvex set descends when rho exceeds the curvature",
    statement=(
        r"Let f be convex with curvature at most L, S closed, f bounded below on S, and \rho > L. In the order z, x, "
        r"u, started with u = -\nabla f(x) / \rho, every sweep lowers the augmented Lagrangian by at least "
        r"c |x^+ - x|^2, c = (\rho - L)(\rho + 2 L) / (2 \rho) for \rho < 2 L and \rho / 2 from there on; it stays "
        r"above f(z) + (\rho - L) |x - z|^2 / 2; so moves are square summable, x - z \to 0, and every limit point z "
        r"satisfies z \in P_S(z - \nabla f(z) / \rho). If f is not convex, \rho > 2 L and "
        r"c = (\rho - 2 L)(\rho + L) / (2 \rho). Below L the iterates may cycle."
    ),
    source="ours; ADMM pattern pruning (arXiv 2407.08334)",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("orbits", "the linear systems of the orbits of period 2, solved in rational numbers", _fixed_orbits),
        Fixed("package", "the same two settings as the package runs them", _fixed_package),
        *(
            Fixed(name, "real data with at most 3 groups, rho = 1.01 L and 2.5 L", lambda n=name: _fixed_real(n))
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 40, "standard": 300, "full": 20_000},
    printed="not printed",
)
