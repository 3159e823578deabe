"""What is true of the soft top-k operator f_i = sigmoid(x_i / tau + t) with sum f = k, and of its derivative.

The subject is a function make(k, tau) of operators op with op(x, out=None), op.vjp(g), and what they have of op.jvp(d),
op.threshold and op.certificate().
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import conduct, strategies
from .battery import Case, Property
from .inequality import Violation, at_most, close, rounding, same

TAUS = (1.0, 0.1, 10.0, 1e-3, 1e-6)
EPS = float(np.finfo(np.float64).eps)


def draw_input(case: Case, *, extreme: bool = False, largest: int = 8) -> np.ndarray:
    """x [n] with n from 1."""
    from hypothesis import strategies as st

    n = case.draw(st.integers(1, largest), "n")
    return case.draw(strategies.arrays((n,), extreme=extreme), "x")


def draw_operator(make: Any, case: Case, n: int, *, inside: bool = False, taus: tuple[float, ...] = TAUS) -> Any:
    """(op, k, tau); inside: 0 < k < n, which needs n > 1."""
    from hypothesis import strategies as st

    k = case.draw(st.integers(1, n - 1) if inside else st.integers(0, n), "k")
    tau = case.draw(st.sampled_from(taus), "tau")
    return make(k, tau), k, tau


def draw_inside(make: Any, case: Case, taus: tuple[float, ...] = TAUS) -> tuple[Any, np.ndarray, int, float]:
    """(op, x, k, tau) with 0 < k < n."""
    from hypothesis import strategies as st

    n = case.draw(st.integers(2, 8), "n")
    x = case.draw(strategies.arrays((n,)), "x")
    op, k, tau = draw_operator(make, case, n, inside=True, taus=taus)
    return op, x, k, tau


def _error(x: np.ndarray) -> float:
    """Rounding error of f, entries of which are at most 1."""
    return rounding(x.size, 1.0)


def sums_to_k(make: Any, case: Case) -> None:
    """sum f = k, to 64 eps max(k, 1), with 0 <= f <= 1."""
    x = draw_input(case)
    op, k, _ = draw_operator(make, case, x.size)
    f = np.array(op(x))
    case.inputs["f"] = f
    at_most(0.0, f, 0.0, "0 and f")
    at_most(f, 1.0, 0.0, "f and 1")
    close(math.fsum(f), k, 64 * EPS * max(k, 1), "sum f and k")


def keeps_order(make: Any, case: Case) -> None:
    """x_i >= x_j gives f_i >= f_j, up to an ulp or two of f_j, and equal entries equal values."""
    x = draw_input(case)
    op, _, _ = draw_operator(make, case, x.size)
    f = np.array(op(x))
    case.inputs["f"] = f
    order = np.argsort(x, kind="stable")
    at_most(f[order][:-1], f[order][1:], 4 * EPS * f[order][1:], "f in the order of x")
    tied = np.diff(x[order]) == 0
    same(f[order][:-1][tied], f[order][1:][tied], "f at equal entries of x")


def has_the_log_odds(make: Any, case: Case) -> None:
    """logit f_i - logit f_j = (x_i - x_j) / tau: all of f follows from its entry nearest to 1/2."""
    op, x, _, tau = draw_inside(make, case)
    f = np.array(op(x))
    case.inputs["f"] = f
    j = int(np.argmin(np.abs(f - 0.5)))
    if not 1e-3 < f[j] < 1 - 1e-3:
        return  # saturated: log-odds are lost in rounding; the bound for small tau speaks then
    with np.errstate(over="ignore"):
        expected = 1 / (1 + (1 - f[j]) / f[j] * np.exp(-(x - x[j]) / tau))
    close(f, expected, 1e4 * _error(x), "f, and sigmoid(logit f_j + (x - x_j) / tau)")


def is_shift_invariant(make: Any, case: Case) -> None:
    """f(x + c; tau) = f(x; tau) and f(2 x; 2 tau) = f(x; tau)."""
    op, x, k, tau = draw_inside(make, case)
    x = np.round(x * 8) / 8  # sums with c are exact
    case.inputs["x"] = x
    f = np.array(op(x))
    close(np.array(make(k, tau)(x + 4.0)), f, 64 * _error(x), "f(x + 4) and f(x)")
    close(np.array(make(k, 2 * tau)(2 * x)), f, 64 * _error(x), "f(2 x; 2 tau) and f(x; tau)")


def is_self_dual(make: Any, case: Case) -> None:
    """f_k(x) + f_{n-k}(-x) = 1."""
    x = draw_input(case)
    op, k, tau = draw_operator(make, case, x.size)
    other = np.array(make(x.size - k, tau)(-x))
    close(np.array(op(x)) + other, 1.0 + 0 * x, 64 * _error(x), "f_k(x) + f_(n-k)(-x) and 1")


def grows_with_k(make: Any, case: Case) -> None:
    """f_(k+1) >= f_k."""
    op, x, k, tau = draw_inside(make, case)
    at_most(np.array(op(x)), np.array(make(k + 1, tau)(x)), 64 * _error(x), "f_k and f_(k+1)")


def hardens(make: Any, case: Case) -> None:
    """|f - top|_1 <= 2 sqrt(k (n - k)) exp(-gap / (2 tau)), gap = x_(k) - x_(k+1)."""
    op, x, k, tau = draw_inside(make, case)
    f = np.array(op(x))
    case.inputs["f"] = f
    order = np.argsort(-x, kind="stable")
    top = np.zeros_like(x)
    top[order[:k]] = 1.0
    bound = 2 * math.sqrt(k * (x.size - k)) * math.exp(-min((x[order[k - 1]] - x[order[k]]) / (2 * tau), 700.0))
    at_most(float(np.abs(f - top).sum()), bound, 64 * _error(x), "|f - top|_1 and 2 sqrt(k (n-k)) e^(-gap / 2 tau)")


def softens(make: Any, case: Case) -> None:
    """|f_i - k / n| <= (max x - min x) / (4 tau)."""
    op, x, k, tau = draw_inside(make, case)
    bound = float(x.max() - x.min()) / (4 * tau)
    at_most(np.abs(np.array(op(x)) - k / x.size), bound, 64 * _error(x), "|f - k / n| and (max x - min x) / (4 tau)")


def is_lipschitz(make: Any, case: Case) -> None:
    """4 tau |f(x) - f(y)|^2 <= <f(x) - f(y), x - y>."""
    op, x, k, tau = draw_inside(make, case)
    y = x + tau * case.draw(strategies.arrays(x.shape), "(y - x) / tau")
    moved = np.array(op(x)) - np.array(make(k, tau)(y))
    slack = rounding(x.size, np.abs(x - y), 4 * tau) * 64
    meaning = "4 tau |f(x) - f(y)|^2 and <f(x) - f(y), x - y>"
    at_most(4 * tau * float(moved @ moved), float(moved @ (x - y)), slack, meaning)


def jacobian_is_right(make: Any, case: Case) -> None:
    """vjp(g) = v (g - <v, g> / sum v) / tau with v = f (1 - f)."""
    op, x, _, tau = draw_inside(make, case)
    g = case.draw(strategies.arrays(x.shape), "g")
    f = np.array(op(x))
    v = f * (1 - f)
    found = np.array(op.vjp(g))
    case.inputs |= {"f": f, "vjp": found}
    if v.sum() < 1e-6:  # v is lost in the rounding of f: only its size is known
        bound = 2 * (v + 64 * EPS) * (np.ptp(g) + rounding(x.size, np.abs(g).max())) / tau
        at_most(np.abs(found), bound, 0.0, "|vjp(g)| and 2 f (1 - f) (max g - min g) / tau")
        return
    expected = v * (g - v @ g / v.sum()) / tau
    slack = 1e3 * rounding(x.size, np.abs(g).max() / tau) / v.sum()
    close(found, expected, slack, "vjp(g) and v (g - <v, g> / sum v) / tau")


def gradient_is_the_difference(make: Any, case: Case) -> None:
    """<g, f(x + h d) - f(x - h d)> / (2 h) = <vjp(g), d>."""
    op, x, k, tau = draw_inside(make, case, taus=(1.0, 0.1, 10.0))
    g, d = case.draw(strategies.arrays(x.shape), "g"), case.draw(strategies.arrays(x.shape), "d")
    g, d = g / max(1.0, np.abs(g).max()), d / max(1.0, np.abs(d).max())
    op(x)
    slope = float(np.array(op.vjp(g)) @ d)
    h = 1e-4 * tau

    def quotient(h: float) -> float:
        return float(g @ (np.array(make(k, tau)(x + h * d)) - np.array(make(k, tau)(x - h * d)))) / (2 * h)

    # third derivatives of f are at most 1 / tau^3 an entry, rounding of x + h d is eps |x| / tau
    slack = x.size**2 * 1e-8 / tau + 64 * rounding(x.size, 1.0 + np.abs(x).max() / tau) / h
    close(slope, quotient(h), slack, "<vjp(g), d> and the difference quotient of <g, f>")


def jvp_is_the_transpose(make: Any, case: Case) -> None:
    """<g, jvp(d)> = <vjp(g), d>, and a constant d changes nothing."""
    op, x, _, tau = draw_inside(make, case)
    g, d = case.draw(strategies.arrays(x.shape), "g"), case.draw(strategies.arrays(x.shape), "d")
    op(x)
    forward, back = np.array(op.jvp(d)), np.array(op.vjp(g))
    tiny = float(np.finfo(np.float64).tiny)  # below it products have no relative precision
    slack = 64 * rounding(x.size, (np.abs(g).max() + tiny) * (np.abs(d).sum() + tiny) / tau)
    close(float(g @ forward), float(back @ d), slack, "<g, jvp(d)> and <vjp(g), d>")
    close(np.array(op.jvp(np.ones_like(x))), 0 * x, 64 * rounding(x.size, 1 / tau), "jvp(1) and 0")


def all_or_nothing_is_exact(make: Any, case: Case) -> None:
    """k = 0 gives 0 and k = n gives 1, exactly, with zero gradient; k of n equal entries give k / n."""
    from hypothesis import strategies as st

    x = draw_input(case)
    k = case.draw(st.sampled_from((0, x.size)), "k")
    op = make(k, case.draw(st.sampled_from(TAUS), "tau"))
    same(np.array(op(x)), np.full_like(x, float(k > 0)), "f where nothing or everything is chosen")
    same(np.array(op.vjp(np.arange(1.0, x.size + 1))), np.zeros_like(x), "vjp where nothing or everything is chosen")
    equal = np.full_like(x, x[0])
    part = make(1, 0.1)
    close(
        np.array(part(equal)), np.full_like(x, 1 / x.size), 64 * rounding(x.size, 1.0), "f of equal entries and k / n"
    )


def infinities_are_chosen(make: Any, case: Case) -> None:
    """+inf gives 1, -inf gives 0, both with zero gradient; the rest is solved for what is left."""
    op, x, k, tau = draw_inside(make, case)
    wide = np.concatenate([x, [np.inf, -np.inf]])
    case.inputs["x"] = wide
    op = make(k + 1, tau)
    f = np.array(op(wide))
    same(f[-2:], np.array([1.0, 0.0]), "f at +inf and -inf")
    close(f[:-2], np.array(make(k, tau)(x)), 64 * _error(x), "f of the rest, and f without the infinite entries")
    same(np.array(op.vjp(np.arange(1.0, wide.size + 1)))[-2:], np.zeros(2), "vjp at +inf and -inf")


def small_tau_is_safe(make: Any, case: Case) -> None:
    """Extremes and tiny tau give finite f and gradients: 0, never NaN, where f (1 - f) vanishes."""
    x = draw_input(case, extreme=True)
    op, k, _ = draw_operator(make, case, x.size, taus=(1.0, 1e-6, 1e-12))
    f = np.array(op(x))
    g = np.array(op.vjp(np.arange(1.0, x.size + 1)))
    case.inputs |= {"f": f, "vjp": g}
    at_most(~np.isfinite(f), 0.0, 0.0, "entries of f that are not finite")
    at_most(~np.isfinite(g), 0.0, 0.0, "entries of vjp(g) that are not finite")
    close(math.fsum(f), k, 64 * EPS * max(k, 1) * x.size, "sum f and k")


def bad_input_is_refused(make: Any, case: Case) -> None:
    """NaN, k outside 0..n or no integer, tau <= 0, more +inf than k, too few finite entries: ValueError."""
    from hypothesis import strategies as st

    x, nan, inf = np.array([1.0, 2.0, 3.0]), np.array([1.0, np.nan, 3.0]), np.array([np.inf, np.inf, 1.0])
    bad = {
        "NaN": lambda: make(1, 0.1)(nan),
        "k > n": lambda: make(4, 0.1)(x),
        "k < 0": lambda: make(-1, 0.1)(x),
        "k = 1.5": lambda: make(1.5, 0.1)(x),
        "tau = 0": lambda: make(1, 0.0)(x),
        "tau < 0": lambda: make(1, -1.0)(x),
        "more +inf than k": lambda: make(1, 0.1)(inf),
        "fewer usable entries than k": lambda: make(2, 0.1)(-inf),
    }
    name = case.draw(st.sampled_from(sorted(bad)), "input")
    try:
        found = bad[name]()
    except ValueError:
        return
    raise Violation(f"a ValueError for {name}: violated, the result is {np.asarray(found).tolist()}")


def rows_are_alone(make: Any, case: Case) -> None:
    """Leading axes are batches: each row as if it were alone."""
    x = draw_input(case)
    op, k, tau = draw_operator(make, case, x.size)
    rows = np.stack([x, -x, 2 * x])
    found = np.array(op(rows))
    expected = np.stack([np.array(make(k, tau)(row)) for row in rows])
    close(found, expected, 64 * _error(x), "f of rows together and alone")
    g = np.arange(1.0, x.size + 1)
    alone = make(k, tau)
    alone(rows[1])
    together = np.array(op.vjp(np.stack([g, g, g])))[1]
    close(together, np.array(alone.vjp(g)), 64 * rounding(x.size, x.size / tau), "vjp of rows together and alone")


def nothing_is_remembered(make: Any, case: Case) -> None:
    """An operator that was called before gives what a new one gives."""
    op, x, k, tau = draw_inside(make, case)
    y = case.draw(strategies.arrays(x.shape), "y")
    op(y)
    close(np.array(op(x)), np.array(make(k, tau)(x)), 64 * _error(x), "f(x) after f(y), and f(x) at once")


def arrays_are_left_alone(make: Any, case: Case) -> None:
    """No argument is modified, results are fresh, float32 stays float32 and is near the float64 result."""
    x = draw_input(case)
    op, k, tau = draw_operator(make, case, x.size, taus=(1.0, 0.1))
    conduct.untouched(op, x, "op")
    conduct.untouched(op.vjp, x, "vjp")
    # a new operator each time: a threshold kept from the last call may change the rounding
    conduct.fills_out(lambda a, out=None: make(k, tau)(a, out=out), x, "op")
    x = np.where(np.abs(x) < 1e-30, 0.0, x)
    conduct.keeps_dtype(op, x, "op")
    narrow = x.astype(np.float32)
    f, exact = np.array(op(narrow), dtype=np.float64), np.array(op(narrow.astype(np.float64)))
    slack = rounding(x.size, 1.0, eps=float(np.finfo(np.float32).eps))
    close(f, exact, slack, "f in float32 and in float64")


def threshold_is_that_of_f(make: Any, case: Case) -> None:
    """f = sigmoid(x / tau + threshold)."""
    op, x, _, tau = draw_inside(make, case, taus=(1.0, 10.0))
    f = np.array(op(x))
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-(x / tau + float(op.threshold))))
    close(f, expected, 64 * rounding(x.size, 1 + np.abs(x).max() / tau), "f and sigmoid(x / tau + threshold)")


def certificate_encloses_the_threshold(make: Any, case: Case) -> None:
    """lower <= |t - t*| <= upper for the t* with sum f = k, and upper <= 2 lower up to rounding."""
    op, x, k, tau = draw_inside(make, case, taus=(1.0, 0.1, 10.0))
    op(x)
    certificate, t = op.certificate(), float(op.threshold)
    lower, upper = float(certificate.lower), float(certificate.upper)
    case.inputs |= {"threshold": t, "lower": lower, "upper": upper}
    slack = rounding(x.size, 1 + abs(t) + np.abs(x).max() / tau)
    at_most(0.0, lower, 0.0, "0 and lower")
    at_most(lower, upper, 0.0, "lower and upper")
    at_most(upper, 2 * lower, slack, "upper and 2 lower")

    def excess(by: float) -> float:
        """sum f - k at the threshold moved by this much."""
        with np.errstate(over="ignore"):
            return math.fsum(1 / (1 + np.exp(-(x / tau + t + by)))) - k

    at_most(excess(-upper), 0.0, slack, "sum f - k at the threshold - upper, and 0")
    at_most(0.0, excess(upper), slack, "0, and sum f - k at the threshold + upper")
    # the exact one is not nearer than lower
    at_most(min(-excess(-lower), excess(lower)), 0.0, slack, "|sum f - k| on the nearer side at lower, and 0")


def _has(name: str) -> Any:
    def reason(make: Any) -> str:
        op = make(1, 1.0)
        op(np.array([0.0, 1.0]))
        return "" if hasattr(op, name) else f"the operator has no {name}"

    return reason


PROPERTIES = [
    Property("the values sum to k", sums_to_k),
    Property("the order is kept and ties are equal", keeps_order),
    Property("the log-odds are those of x / tau", has_the_log_odds),
    Property("shifts and scales change nothing", is_shift_invariant),
    Property("the operator is self-dual", is_self_dual),
    Property("the values grow with k", grows_with_k),
    Property("small temperatures are hard", hardens),
    Property("large temperatures are uniform", softens),
    Property("the operator is cocoercive", is_lipschitz),
    Property("vjp is the Jacobian in closed form", jacobian_is_right),
    Property("vjp is the derivative", gradient_is_the_difference),
    Property("jvp is the transpose of vjp", jvp_is_the_transpose, _has("jvp")),
    Property("k = 0, k = n and equal entries are exact", all_or_nothing_is_exact),
    Property("infinite entries are chosen or left", infinities_are_chosen),
    Property("small temperatures and extremes are safe", small_tau_is_safe),
    Property("bad input is refused", bad_input_is_refused, costs=2),
    Property("rows are independent", rows_are_alone, costs=2),
    Property("nothing is remembered", nothing_is_remembered),
    Property("arguments are left alone and out is filled", arrays_are_left_alone, costs=4),
    Property("the threshold is that of the values", threshold_is_that_of_f, _has("threshold"), costs=2),
    Property(
        "the certificate encloses the threshold", certificate_encloses_the_threshold, _has("certificate"), costs=2
    ),
]
"""Properties of soft top-k operators."""
