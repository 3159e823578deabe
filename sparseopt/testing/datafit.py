"""What is true of every datafit: a convex, differentiable function of z, its conjugate, and its best constant."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import conduct, strategies
from .battery import Case, Property, has
from .inequality import at_most, close, rounding, same, true
from .quadrature import integral


def draw_predictor(fit: Any, case: Case, name: str = "z") -> np.ndarray:
    """z of the shape that the datafit takes, [n] or [n, T], entries of at most 5 in size: exponentials stay small."""
    shape = (fit.n_samples,) if fit.n_outputs is None else (fit.n_samples, fit.n_outputs)
    z = case.data.draw(strategies.arrays(shape))
    case.inputs[name] = z = z * min(1.0, 5.0 / max(np.abs(z).max(), 1e-300))
    return z


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b))


def _value_error(fit: Any, *points: np.ndarray) -> float:
    """Rounding error of values at these points: of the sizes of value, gradient times z, and value at 0."""
    sizes = [abs(fit.value(z)) + np.abs(fit.gradient(z) * z).sum() for z in points]
    return 8 * rounding(points[0].size, *sizes, fit.value(np.zeros_like(points[0])))


def value_is_integral(fit: Any, case: Case) -> None:
    """value(b) - value(a) is the integral of <gradient, b - a> along the segment, by rules that stop at kinks."""
    a, b = draw_predictor(fit, case, "a"), draw_predictor(fit, case, "b")

    def slopes(t: np.ndarray) -> np.ndarray:
        return np.array([_dot(fit.gradient(a + s * (b - a)), b - a) for s in t])

    size = _value_error(fit, a, b) + 1e-10 * float(np.abs(slopes(np.linspace(0, 1, 9))).max())
    found, error = integral(slopes, 0.0, 1.0, size)
    slack = error + 16 * size
    close(fit.value(b) - fit.value(a), found, slack, "value(b) - value(a) and the integral of the gradient")


def value_is_convex(fit: Any, case: Case) -> None:
    """value(b) >= value(a) + <gradient(a), b - a>."""
    a, b = draw_predictor(fit, case, "a"), draw_predictor(fit, case, "b")
    tangent = fit.value(a) + _dot(fit.gradient(a), b - a)
    at_most(tangent, fit.value(b), _value_error(fit, a, b), "value(a) + <gradient(a), b - a> and value(b)")


def gradient_is_lipschitz(fit: Any, case: Case) -> None:
    """<gradient(b) - gradient(a), b - a> <= <b - a, curvature(b - a)>, for each output."""
    a, b = draw_predictor(fit, case, "a"), draw_predictor(fit, case, "b")
    move, change = b - a, fit.gradient(b) - fit.gradient(a)
    columns = [move] if move.ndim == 1 else list(move.T)
    bound = sum(_dot(column, fit.curvature(column)) for column in columns)
    slack = rounding(a.size, np.abs(move) * (np.abs(fit.gradient(a)) + np.abs(fit.gradient(b))), bound)
    at_most(_dot(change, move), bound, slack, "<gradient(b) - gradient(a), b - a> and <b - a, curvature(b - a)>")


def hessian_is_the_derivative(fit: Any, case: Case) -> None:
    """hessian(z, d) is the central difference of the gradient along d, and a symmetric, positive form."""
    z, d, e = (draw_predictor(fit, case, name) for name in ("z", "d", "e"))
    size = max(np.abs(d).max(), 1e-300)
    d = d / size
    h = 1e-5
    ends = fit.gradient(z + h * d), fit.gradient(z - h * d)
    middle = fit.gradient(z + h / 2 * d), fit.gradient(z - h / 2 * d)
    coarse, fine = (ends[0] - ends[1]) / (2 * h), (middle[0] - middle[1]) / h
    # the fine difference has a quarter of the error of the coarse one, plus rounding of the gradients / h
    slack = 4 * np.abs(fine - coarse) + 1e-6 * np.abs(fine).max() + rounding(z.size, *map(np.abs, ends)) / h
    close(fit.hessian(z, d), fine, slack, "hessian(z, d) and the difference quotient of the gradient")
    forms = _dot(e, fit.hessian(z, d)), _dot(d, fit.hessian(z, e))
    slack = rounding(z.size, np.abs(e), np.abs(d)) * (
        1 + np.abs(fit.hessian(z, d)).max() + np.abs(fit.hessian(z, e)).max()
    )
    close(forms[0], forms[1], slack, "<e, hessian d> and <d, hessian e>")
    at_most(0.0, _dot(d, fit.hessian(z, d)), slack, "0 and <d, hessian(z, d)>")


def curvature_has_its_bound(fit: Any, case: Case) -> None:
    """<d, curvature(d)> <= smoothness_bound |d|^2, and >= <d, hessian(z, d)>."""
    z, d = draw_predictor(fit, case, "z"), draw_predictor(fit, case, "d")
    columns = [d] if d.ndim == 1 else list(d.T)
    bound = sum(_dot(column, fit.curvature(column)) for column in columns)
    slack = rounding(z.size, d**2, bound)
    at_most(0.0, bound, slack, "0 and <d, curvature(d)>")
    at_most(_dot(d, fit.hessian(z, d)), bound, slack, "<d, hessian(z, d)> and <d, curvature(d)>")


def fenchel_young(fit: Any, case: Case) -> None:
    """<u, z> <= value(z) + conjugate(u), with equality at u = gradient(z)."""
    from hypothesis import strategies as st

    z, other = draw_predictor(fit, case, "z"), draw_predictor(fit, case, "other")
    u = fit.gradient(z)
    alpha = case.draw(st.sampled_from((1.0, 0.9, 0.3, 0.0)), "alpha")
    slack = 1e4 * _value_error(fit, z, other)
    at_most(_dot(alpha * u, other), fit.value(other) + fit.conjugate(alpha * u), slack, "<u, z> and value + conjugate")
    close(fit.value(z) + fit.conjugate(u), _dot(u, z), slack, "value(z) + conjugate(gradient(z)) and <gradient(z), z>")


def dual_is_valid(fit: Any, case: Case) -> None:
    """dual(z, limit) is the dual value of a multiple of the gradient; at limit 1 no worse than that of the gradient."""
    from hypothesis import strategies as st

    z, other = draw_predictor(fit, case), draw_predictor(fit, case, "other")
    limit = case.draw(st.sampled_from((1.0, 0.5, 0.0)), "limit")
    found, slack, gradient = fit.dual(z, limit), 1e4 * _value_error(fit, z, other), fit.gradient(z)
    case.inputs["dual"] = found
    if limit == 1.0:
        at_most(-fit.conjugate(gradient), found, slack, "-conjugate(gradient(z)) and dual(z, 1)")
    if limit == 0.0:
        close(found, -fit.conjugate(0 * gradient), slack, "dual(z, 0) and -conjugate(0)")
    for w in (other, z):  # -f*(u) <= f(w) - <u, w>, here at the worse end of the multiples
        bound = fit.value(w) + max(0.0, -limit * _dot(gradient, w))
        at_most(found, bound, slack, "dual(z, limit), and value(w) - <alpha gradient(z), w> for some alpha")


def constant_is_fitted(fit: Any, case: Case) -> None:
    """With an intercept adding a constant to z changes nothing, and the gradient sums to 0; else it is 0."""
    z = draw_predictor(fit, case)
    intercept = np.asarray(fit.intercept(z), dtype=float)
    if not fit.fit_intercept:
        if not hasattr(fit, "means"):
            same(intercept, np.zeros_like(intercept), "the intercept of a datafit without one")
        return
    shifted, slack = z + 0.75, _value_error(fit, z, z + 0.75)
    close(fit.value(shifted), fit.value(z), slack, "value(z + 0.75) and value(z)")
    gradient = fit.gradient(z)
    close(
        gradient.sum(axis=0), 0.0 * intercept, 1e-9 * max(np.abs(gradient).sum(), 1e-300), "sum of the gradient and 0"
    )
    moved = np.asarray(fit.intercept(shifted)) - intercept + 0.75
    if moved.ndim:  # a constant common to all outputs may cancel
        moved = moved - moved.mean()
    close(moved, 0.0 * intercept, 1e-6 * (1 + np.abs(intercept)), "intercept(z + 0.75) + 0.75 less intercept(z)")


def weights_are_the_diagonal(fit: Any, case: Case) -> None:
    """hessian_weights >= 0; they are the diagonal of the Hessian, the intercept held fixed."""
    z = draw_predictor(fit, case)
    weights = fit.hessian_weights(z)
    at_most(0.0, weights, 0.0, "0 and hessian_weights(z)")
    if not fit.fit_intercept and fit.n_outputs is None:
        close(
            fit.hessian(z, np.ones_like(z)), weights, rounding(z.size, weights), "hessian(z, 1) and hessian_weights(z)"
        )


def arrays_are_left_alone(fit: Any, case: Case) -> None:
    """No argument is modified, gradients are fresh and of the shape of z, calls do not depend on earlier ones."""
    z, other = draw_predictor(fit, case), draw_predictor(fit, case, "other")
    for name in ("value", "gradient", "intercept", "conjugate"):
        if hasattr(fit, name):
            conduct.untouched(getattr(fit, name), z, name)
    first = np.array(fit.gradient(z))
    same(first.shape, z.shape, "shape of the gradient and of z")
    fit.gradient(other)
    same(np.asarray(fit.gradient(z)), first, "gradient(z) before and after another call")


def sizes_are_right(fit: Any, case: Case) -> None:
    """The value is a finite float, smoothness_bound > 0."""
    z = draw_predictor(fit, case)
    true(isinstance(fit.value(z), float) and np.isfinite(fit.value(z)), "value(z) is a finite float")
    true(fit.smoothness_bound >= 0, "smoothness_bound >= 0")


def _bounded(fit: Any) -> str:
    missing = has("curvature", "smoothness_bound")(fit)
    return missing or ("" if np.isfinite(fit.smoothness_bound) else "smoothness_bound is inf")


def _bounded_hessian(fit: Any) -> str:
    return _bounded(fit) or has("hessian")(fit)


PROPERTIES = [
    Property("the value is a finite number", sizes_are_right, costs=4),
    Property("the value is the integral of the gradient", value_is_integral, costs=4),
    Property("the value is convex", value_is_convex),
    Property("the curvature bounds the gradient", gradient_is_lipschitz, _bounded),
    Property("the curvature bounds the Hessian", curvature_has_its_bound, _bounded_hessian),
    Property("the Hessian is the derivative of the gradient", hessian_is_the_derivative, has("hessian")),
    Property("value and conjugate are Fenchel dual", fenchel_young, has("conjugate")),
    Property("the dual value is that of a multiple of the gradient", dual_is_valid, has("dual", "conjugate")),
    Property("the intercept is fitted", constant_is_fitted, has("intercept", "fit_intercept")),
    Property("Hessian weights are the diagonal", weights_are_the_diagonal, has("hessian_weights", "hessian")),
    Property("arguments are left alone and nothing is remembered", arrays_are_left_alone, costs=4),
]
"""Properties of datafits."""
