"""The batteries: one function for each kind of object.  What they check is in the files named after the kinds.

Those, and Hypothesis, are imported when a battery runs, so that `import sparseopt` does not pay for them.

All of them draw `examples` examples of each property from `seed` (0 lists the properties), and return a record of each.
The first example of a seed is the simplest one, the same for every seed; of several seeds, seed=range(20), it is tried
once, and each draws `examples` others.
They raise BatteryFailed, with the smallest failing input and the violated inequality, where a property fails or fewer
than `minimum` properties apply, unless raises=False; `only` chooses properties by name, and then nothing is counted.
They raise ValueError for what is no object of the kind.  Sets and penalties are tried with arrays of torch and of the
strict array API too, unless they declare numpy_only = True.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .record import Record


def check_penalty(
    penalty: Any,
    *,
    examples: int = 100,
    seed: int | Iterable[int] = 0,
    raises: bool = True,
    minimum: int = 12,
    only: Iterable[str] | None = None,
) -> list[Record]:
    """Look for counterexamples to what is true of every penalty with the traits that this one declares.

    penalty: an object with `groups` and `value(w)`, and what it has of prox, violation, convex, weak_convexity, slope0,
    critical_lam, dual_limit, conjugate, with_lam; or a function that makes one from `Groups`, which are then drawn too
    (one-element ones, very uneven ones, interleaved ones); or a scalar penalty, with `value`, `slope`, `prox` of norms.
    """
    from . import penalty as of_groups
    from . import scalar_penalty
    from .battery import run_battery, source_of

    source = source_of(penalty, "value", "penalty")
    chosen = of_groups.PROPERTIES if hasattr(source.example, "groups") else scalar_penalty.PROPERTIES
    return run_battery(source, chosen, examples=examples, seed=seed, raises=raises, minimum=minimum, only=only)


def check_set(
    projector: Any,
    *,
    examples: int = 100,
    seed: int | Iterable[int] = 0,
    raises: bool = True,
    minimum: int = 11,
    only: Iterable[str] | None = None,
) -> list[Record]:
    """Look for counterexamples to what is true of every set and its projection, by the traits that it declares.

    projector: an object with project(v, out=None) and example_shape(rng), and what it has of contains, distance,
    support, support_function, convex, keeps_entries, energy_error (the relative shortfall of the kept energy that the
    set declares, default 0); or a function that makes one from `Groups`, which are drawn too.
    """
    from .battery import run_battery, source_of
    from .set import PROPERTIES

    source = source_of(projector, "project", "projector")
    return run_battery(source, PROPERTIES, examples=examples, seed=seed, raises=raises, minimum=minimum, only=only)


def check_datafit(
    datafit: Any,
    *,
    examples: int = 100,
    seed: int | Iterable[int] = 0,
    raises: bool = True,
    minimum: int = 7,
    only: Iterable[str] | None = None,
) -> list[Record]:
    """Look for counterexamples to what is true of every convex, differentiable loss.

    datafit: an object with n_samples, n_outputs (None where z is [n], T where it is [n, T]), value(z), gradient(z),
    smoothness_bound, and what it has of hessian, curvature, hessian_weights, conjugate, dual, intercept and
    fit_intercept.
    """
    from .battery import fixed, require, run_battery
    from .datafit import PROPERTIES

    source = fixed(require(datafit, "datafit", "value", "gradient"))
    return run_battery(source, PROPERTIES, examples=examples, seed=seed, raises=raises, minimum=minimum, only=only)


def check_topk(
    make: Any,
    *,
    examples: int = 100,
    seed: int | Iterable[int] = 0,
    raises: bool = True,
    minimum: int = 16,
    only: Iterable[str] | None = None,
) -> list[Record]:
    """Look for counterexamples to what is true of the soft top-k operator, sigmoid(x / tau + t) with sum k.

    make: a function make(k, tau), e.g. the class SoftTopK, of operators op with op(x, out=None) and op.vjp(g) for
    x [..., n] in float32 or float64, and what they have of op.jvp(d) and op.threshold.
    """
    from .battery import fixed, run_battery
    from .topk import PROPERTIES

    if not callable(make):
        raise ValueError(f"make is {make!r}: give a function of k and tau, e.g. the class SoftTopK")
    return run_battery(fixed(make), PROPERTIES, examples=examples, seed=seed, raises=raises, minimum=minimum, only=only)


def check_solver(
    solver: Any,
    *,
    problems: Iterable[Any] | None = None,
    examples: int = 100,
    seed: int | Iterable[int] = 0,
    raises: bool = True,
    minimum: int = 5,
    only: Iterable[str] | None = None,
) -> list[Record]:
    """Look for counterexamples to what is true of every solver, on small random problems of the kinds it treats.

    solver: an object with init(problem, w0) and step(problem, state).  Kinds: group LASSO, group MCP, at most k groups,
    all with least squares; or `problems`, functions rng -> Problem with least squares, which are tried as these kinds
    if their penalty is of one of them.  What init refuses with ValueError is left out; ValueError where none is left.
    """
    from .battery import fixed, require, run_battery
    from .solver import PROPERTIES, trial

    source = fixed(trial(require(solver, "solver", "init", "step"), problems))
    return run_battery(source, PROPERTIES, examples=examples, seed=seed, raises=raises, minimum=minimum, only=only)
