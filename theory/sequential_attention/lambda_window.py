"""The remarks on lambda after Theorem 1.1: no group is active from lambda_max on, exactly one in a window below it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

import sparseopt as so

from ..instances import EPS, REAL_DATA, Instance, orthonormal_regression, quadratic, random_loss, real_data
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .scalar_functions import SLACK
from .strength import AtStrength, ExactStrength

SOLVE_TOL = 1e-9
PROOF_TOL = 1e-8
"""Relative duality gaps that the solver is asked for and that are to be certified."""

WINDOW_SHRINKAGE = 2e-12
"""`lambda_window` narrows its window by 1e-12 of the lead, more than all of its rounding errors."""

MAX_ITER = 20_000


def draw(rng: np.random.Generator) -> AtStrength:
    """A random loss, weighted or not; lam above lambda_max, at .999 of the window's width below it, or inside."""
    loss = random_loss(rng, "sqrt" if rng.random() < 0.3 else "none")
    window = loss.window
    kind = rng.integers(4)
    if kind == 0:
        return AtStrength(loss, float(loss.tau.max()) * (1 + 10 ** rng.uniform(-6, 0)))
    depth = 0.999 if kind == 1 else rng.uniform(0.001, 0.999)
    return AtStrength(loss, window.upper - depth * (window.upper - window.lower))


def conclusion(instance: AtStrength | ExactStrength) -> tuple[Evidence, ...]:
    """0 is the solution from lambda_max on; exactly the group of the largest gradient is active in the window."""
    if isinstance(instance, ExactStrength):
        return instance.evidence()
    return _zero_evidence(instance) if instance.lam >= instance.tau else _window_evidence(instance)


def _zero_evidence(instance: AtStrength) -> tuple[Evidence, ...]:
    zero = np.zeros(len(instance.loss.b))
    certificate = so.certify.duality_gap(instance.problem, zero, tol=PROOF_TOL)
    claim, limit = "the gap at 0 is certified to be 0", PROOF_TOL * certificate.scale
    step = instance.problem.penalty.prox(instance.loss.b, 1.0)
    return (
        Evidence(claim, certificate.upper, limit, 0.0, certificate.proved),
        Evidence("a proximal gradient step stays at 0", float(np.abs(step).max()), 0.0, instance.rounding),
    )


def _window_evidence(instance: AtStrength) -> tuple[Evidence, ...]:
    problem, loss = instance.problem, instance.loss
    zero, w = problem.objective(np.zeros(len(loss.b))), problem.objective(instance.one_group)
    size = abs(zero) + abs(w) + float(np.linalg.norm(loss.b) * np.linalg.norm(instance.one_group))
    rounding = 64 * EPS * len(loss.b) * size
    solved = so.solve(problem, tol=SOLVE_TOL, max_iter=MAX_ITER, throw=False)
    certificate = so.certify.duality_gap(problem, solved.w, tol=PROOF_TOL)
    limit = PROOF_TOL * certificate.scale
    norm, g = float(np.linalg.norm(instance.one_group)), instance.window.group
    room = (instance.tau - instance.lam) * loss.problem.penalty.weights[g]
    drop = max(room - instance.rounding, 0.0) ** 2 / (2 * float(np.linalg.norm(loss.block(g, g), 2)))
    found = [
        Evidence("the other groups are strictly dual feasible", instance.largest_other_gradient(), instance.lam),
        Evidence("the group of the largest gradient is active", instance.block_error, norm),
        Evidence("0 is not a solution: F(0) - F(b*) >= (tau - lam)^2 / (2 |H_11|)", drop, zero - w, rounding),
        Evidence("the solver's point is certified by its gap", certificate.upper, limit, 0.0, certificate.proved),
        Evidence("the solver's point is no better than b*", w, solved.objective, rounding),
        Evidence("b* is no better than the gap allows", solved.objective - w, certificate.upper, rounding),
        Evidence("a proximal gradient step stays at b*", instance.prox_movement, 0.0, 3 * instance.block_error),
    ]
    if (loss.problem.penalty.weights == 1).all() and loss.mu > 0:
        claim = "the window contains tau - (tau - tau_2) mu / (mu + L)"
        found.append(Evidence(claim, instance.window.lower, instance.tau - _simple_width(loss), instance.rounding))
    return tuple(found)


def _simple_width(loss: Instance) -> float:
    """(tau - tau_2) mu / (mu + L), the window from strong convexity and smoothness alone."""
    second, first = np.sort(loss.tau)[-2:]
    return float((first - second) * loss.mu / (loss.mu + loss.eigenvalues[-1]))


def convexity_margin(instance: AtStrength | ExactStrength) -> float:
    """Smallest eigenvalue of the Hessian plus 2^-40; relative to the largest one for floats."""
    if isinstance(instance, ExactStrength):
        return float(instance.curvature) + SLACK
    return float(instance.loss.eigenvalues[0] / instance.loss.eigenvalues[-1]) + SLACK


def strictness_margin(instance: AtStrength | ExactStrength) -> float:
    """lam - tau, or the strong convexity where it is larger; 1 below lambda_max, where it is not asked for."""
    if isinstance(instance, ExactStrength):
        tau = instance.gradients_at_zero[0]
        return 1.0 if instance.lam < tau else float(max(instance.lam - tau, instance.curvature))
    return 1.0 if instance.lam < instance.tau else max(instance.lam / instance.tau - 1, instance.loss.mu)


def lead_margin(instance: AtStrength | ExactStrength) -> float:
    """(tau - tau_2) / tau; 1 from lambda_max on, where it is not asked for."""
    exact = isinstance(instance, ExactStrength)
    taus = instance.gradients_at_zero if exact else np.sort(instance.loss.tau)[::-1]
    if instance.lam >= taus[0] or len(taus) == 1:
        return 1.0
    return float((taus[0] - taus[1]) / taus[0])


def window_margin(instance: AtStrength | ExactStrength) -> float:
    """Distance of lam to the ends of the window, relative to its upper end; 1 from lambda_max on."""
    exact = isinstance(instance, ExactStrength)
    tau = instance.gradients_at_zero[0] if exact else instance.tau
    lower = instance.lower if exact else instance.window.lower
    upper = tau if exact else instance.window.upper
    return 1.0 if instance.lam >= tau else float(min(instance.lam - lower, upper - instance.lam) / upper)


HYPOTHESES = (
    Hypothesis("convex", "L is convex", convexity_margin),
    Hypothesis("strict", "for lam >= tau: lam > tau or L is strictly convex", strictness_margin),
    Hypothesis("one largest gradient", "for lam < tau: one group alone has the largest gradient at 0", lead_margin),
    Hypothesis("in the window", "for lam < tau: lam is in the window of so.certify.lambda_window", window_margin),
)


def _halves(u: tuple[Fraction, ...], target: tuple[Fraction, ...]) -> Fraction:
    return sum(((x - t) ** 2 for x, t in zip(u, target, strict=True)), Fraction(0)) / 2


def identity_instance(target: tuple[Fraction, Fraction], lam: Fraction, lower: Fraction) -> ExactStrength:
    """L = |u - target|^2 / 2 for target > 0, whose group LASSO is max(target - lam, 0)."""
    first, second = (max(t - lam, Fraction(0)) for t in target)
    return ExactStrength(
        value=lambda *u: _halves(u, target),
        gradient=lambda *u: tuple(x - t for x, t in zip(u, target, strict=True)),
        lam=lam,
        minimiser=(first, second),
        competitors=(),
        curvature=Fraction(1),
        lower=lower,
    )


def double_well_instance() -> ExactStrength:
    """L = (x^2 - 1)^2, lam = 1/10 > tau = 0: L + lam |x| is 1/10 at x = 1 and 1 at 0."""
    ends = ((Fraction(1),), (Fraction(-1),))
    return ExactStrength(
        value=lambda x: (x * x - 1) ** 2,
        gradient=lambda x: (4 * x * (x * x - 1),),
        lam=Fraction(1, 10),
        minimiser=ends[0],
        competitors=ends,
        curvature=Fraction(-4),
        lower=Fraction(0),
    )


def huber_instance() -> ExactStrength:
    """L = Huber(x - 2) with delta = 1, lam = tau = 1: linear near 0, so that [0, 1] minimises."""
    return ExactStrength(
        value=lambda x: (x - 2) ** 2 / 2 if abs(x - 2) <= 1 else abs(x - 2) - Fraction(1, 2),
        gradient=lambda x: (max(min(x - 2, Fraction(1)), Fraction(-1)),),
        lam=Fraction(1),
        minimiser=(Fraction(0),),
        competitors=((Fraction(1, 2),), (Fraction(1),), (Fraction(3, 2),)),
        curvature=Fraction(0),
        lower=Fraction(0),
    )


COUNTEREXAMPLES = (
    Counterexample("convex", "a double well", "0 is stationary for every lam, not minimal", double_well_instance),
    Counterexample("strict", "Huber at lam = tau", "L is linear near 0, so a segment minimises", huber_instance),
    Counterexample(
        "one largest gradient",
        "a tie",
        "L = (x - 1)^2/2 + (y - 1)^2/2: the solution (1 - lam, 1 - lam) is dense for every lam < 1",
        lambda: identity_instance((Fraction(1), Fraction(1)), Fraction(9, 10), Fraction(0)),
    ),
    Counterexample(
        "in the window",
        "lam far below the window",
        "L = (x - 1)^2/2 + (y - 4/5)^2/2 at lam = 3/10: (7/10, 1/2); the window is (4/5, 1)",
        lambda: identity_instance((Fraction(1), Fraction(4, 5)), Fraction(3, 10), Fraction(4, 5)),
    ),
)


def _fixed_sharp() -> tuple[Evidence, ...]:
    loss = quadratic("identity", np.eye(2), [1.0, 0.8], so.Groups.uniform(2, 1))
    window = loss.window
    outside = AtStrength(loss, 0.8 * (1 - 1e-3))
    w = so.solve(outside.problem, tol=1e-12, throw=False).w
    return (
        Evidence("the window of the identity begins at 4/5", abs(window.lower - 0.8), 0.0, WINDOW_SHRINKAGE),
        Evidence("two groups are active just below it", 1e-4, float(np.abs(w).min())),
        *conclusion(AtStrength(loss, window.upper - 0.999 * (window.upper - window.lower))),
    )


def _fixed_empty() -> tuple[Evidence, ...]:
    groups, rng = so.Groups.from_sizes([2, 2]), np.random.default_rng(0)
    X = rng.standard_normal((12, 4))
    X[:, 1] = 0.0
    y = X[:, 0] + 0.1 * rng.standard_normal(12)
    dead = so.Problem(X, so.LeastSquares(y), so.GroupLasso(1.0, groups, "none"))
    tied = quadratic("tie", np.eye(2), [1.0, 1.0], so.Groups.uniform(2, 1)).problem
    at_zero = so.certify.duality_gap(dead.with_lam(0.9 * so.lambda_max(dead)), np.zeros(4), tol=PROOF_TOL)
    no_window, no_lead = (so.certify.lambda_window(problem).empty for problem in (dead, tied))
    return (
        Evidence("a zero column in the leading group gives no window", float(not no_window), 0.5),
        Evidence("a tie gives no window", float(not no_lead), 0.5),
        Evidence("0 is not proved optimal below lambda_max", float(at_zero.proved), 0.5),
    )


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    found: list[Evidence] = []
    for weights in ("none", "sqrt"):
        loss = real_data(name, weights)
        window = loss.window
        for depth in (0.001, 0.5, 0.999):
            case = AtStrength(loss, window.upper - depth * (window.upper - window.lower))
            held = min(h.margin(case) for h in HYPOTHESES) > 0
            found += [Evidence("all hypotheses hold", float(not held), 0.5), *conclusion(case)]
    return tuple(found)


def curves(seed: int) -> dict[str, Columns]:
    """active_groups: their number over lam / tau, with the window.  widths: guaranteed and observed, over tau."""
    return {"active_groups": _active_groups(seed), "widths": _widths(seed)}


def _active_groups(seed: int) -> Columns:
    rng = np.random.default_rng(seed)
    loss = orthonormal_regression(rng, so.Groups.uniform(12, 3), 120)
    window, tau = loss.window, float(loss.tau.max())
    ratios, counts = np.linspace(1.1, 0.3, 65), []
    w = np.zeros(len(loss.b))
    for ratio in ratios:
        w = so.solve(loss.problem.with_lam(ratio * tau), tol=SOLVE_TOL, w0=w).w
        counts.append(len(loss.groups.active(w)))
    lower = np.full(len(ratios), window.lower / tau)
    return {"lam_over_tau": ratios, "active_groups": counts, "window_lower_over_tau": lower}


def _widths(seed: int, instances: int = 40) -> Columns:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(instances):
        loss = random_loss(rng)
        window, tau = loss.window, float(loss.tau.max())
        if not window.empty:
            rows.append((_simple_width(loss) / tau, 1 - window.lower / tau, 1 - _observed_lower(loss) / tau))
    simple, explicit, observed = (list(column) for column in zip(*rows, strict=True))
    return {"strong_convexity": simple, "explicit": explicit, "observed": observed}


def _observed_lower(loss: Instance) -> float:
    """The lam at which a second group enters, by bisection on the one-group solution."""
    low, high = 0.0, float(loss.tau.max()) * (1 - 1e-9)
    for _ in range(25):
        middle = (low + high) / 2
        case = AtStrength(loss, middle)
        if case.largest_other_gradient() < middle:
            high = middle
        else:
            low = middle
    return high


THEOREM = Theorem(
    name="lambda_window",
    ledger="A11",
    title="No active group from lambda_max on, exactly one in a window below it",
    statement=(
        r"Let \tau_g = \|\nabla_g L(0)\| and \tau = \tau_1 be the largest. For convex L, 0 minimises "
        r"L + \lambda \sum_g \|u_g\| iff \lambda \ge \tau, uniquely if \lambda > \tau or L is strictly convex. For "
        r"quadratic L with \tau_1 > \tau_h for the others, exactly group 1 is active for \tau - d < \lambda < \tau, "
        r"d = \min_h (\tau - \tau_h) \mu_1 / (\mu_1 + \|H_{h1}\|), \mu_1 = \lambda_{min}(H_{11})."
    ),
    source="SequentialAttention++ (arXiv 2402.17902), remarks after Theorem 1.1; the explicit window is ours",
    kind="certified",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=(
        Fixed("sharp", "for the identity the window ends where the second group enters", _fixed_sharp),
        Fixed("no window", "ties and zero columns give no window, and 0 is not proved below lambda_max", _fixed_empty),
        *(
            Fixed(name, "real data at .001, .5 and .999 of the window's width", lambda name=name: _fixed_real(name))
            for name in REAL_DATA
        ),
    ),
    curves=curves,
    sizes={"quick": 60, "standard": 600, "full": 10_000},
    printed="holds with a repair",
)
