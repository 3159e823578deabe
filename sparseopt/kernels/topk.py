"""Soft top-k of torch tensors, differentiable."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from .._native import HAS_NATIVE
from .._native import topk as native
from ..soft_topk.arguments import checked_k, checked_tau
from ..soft_topk.operator import SINGLE_TEMPERATURES, SoftTopK
from . import device_selection
from .operators import PLAIN

Tensor = torch.Tensor
DTYPES: dict[torch.dtype, np.dtype[Any]] = {torch.float32: np.dtype(np.float32), torch.float64: np.dtype(np.float64)}
"""That the compiled core takes, and what NumPy calls them."""


def soft_topk(x: Tensor, k: int, tau: float) -> Tensor:
    """f = sigmoid(x / tau + t) over the last axis of x [..., n] with the t [...] that makes sum f = k, differentiable.

    k: integer, 0 <= k <= n.  tau > 0, in units of x.  Value and derivative are those of `sparseopt.SoftTopK`, of which
    this is the torch face.  Half types are computed in float32.
    Raises ValueError for other arguments, NaN, more +inf than k, fewer than k entries above -inf.  On a CUDA device
    nothing is waited for, and such rows are NaN; many rows of a few entries are computed on the host.
    """
    if torch.compiler.is_compiling():  # arguments are checked when the compiled code runs
        return torch.ops.sparseopt.soft_topk(x, k, tau)
    if not isinstance(x, torch.Tensor) or not x.is_floating_point() or x.ndim == 0 or x.numel() == 0:
        found = f"{x.dtype} {tuple(x.shape)}" if isinstance(x, torch.Tensor) else f"a {type(x).__name__}"
        raise ValueError(
            f"x is {found}: give a floating tensor [..., n] that is not empty; sparseopt.soft_topk is NumPy's"
        )
    return _SoftTopK.apply(x, *_checked(x, k, tau))


def soft_topk_with_vjp(x: Tensor, k: int, tau: float) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """f of `soft_topk`, and the function g -> J'g there, once or several times; without the cost of autograd."""
    k, tau = _checked(x, k, tau)
    if device_selection.usable_soft_topk(x):
        found = device_selection.soft_topk(x, k, tau)
        return found[0], lambda g: device_selection.soft_topk_vjp(g, *found[1:], k, tau)
    if _Addressed.takes(x, tau):
        addressed = _Addressed(x, k, tau)
        return addressed.f, addressed.vjp
    operator = SoftTopK(k, tau, threads=torch.get_num_threads())
    return _applied(operator, x), partial(_applied, operator.vjp)


class _Addressed:
    """The soft top-k f of a plain tensor on the host, without arrays: for small ones these take as long as the rest."""

    def __init__(self, x: Tensor, k: int, tau: float) -> None:
        self.x, self.f = x.detach(), torch.empty_like(x)
        self.arguments = (x.numel() // x.shape[-1], x.shape[-1], k, tau)
        self.state = native.new_state(DTYPES[x.dtype])
        at = self.x.data_ptr(), self.f.data_ptr()
        native.check(self.state.forward_ptr(*at, *self.arguments, False, torch.get_num_threads()), k)

    @staticmethod
    def takes(x: Tensor, tau: float) -> bool:
        """Whether the compiled core does, in the precision of x."""
        if not HAS_NATIVE or type(x) not in PLAIN or not x.is_cpu or not x.is_contiguous() or x.numel() == 0:
            return False
        low, high = SINGLE_TEMPERATURES
        return x.dtype is torch.float64 or (x.dtype is torch.float32 and low <= tau <= high)

    def vjp(self, g: Tensor) -> Tensor:
        """J'g.  ValueError for another shape, and where f was changed since."""
        if g.shape != self.x.shape:
            raise ValueError(f"g has shape {tuple(g.shape)}: x has {tuple(self.x.shape)}")
        given = g if g.dtype is self.x.dtype and g.is_cpu and g.is_contiguous() else g.to(self.x).contiguous()
        out = torch.empty_like(self.x)
        at = [tensor.data_ptr() for tensor in (self.x, self.f, given, out)]
        native.check(self.state.backward_ptr(*at, *self.arguments, torch.get_num_threads()), self.arguments[2])
        return out if given is g else out.to(g)


def _checked(x: Tensor, k: int, tau: float) -> tuple[int, float]:
    """(k, tau); ValueError unless they fit the rows of x."""
    k, tau = checked_k(k), checked_tau(tau)
    if k > x.shape[-1]:
        raise ValueError(f"k is {k}, but a row of x has {x.shape[-1]} entries: k is at most that")
    return k, tau


def _array(x: Tensor) -> Any:
    """x as a NumPy array, of the same memory where it can be; half types in float32."""
    x = x.detach()
    return (x.float() if x.dtype in (torch.bfloat16, torch.float16) else x).cpu().contiguous().numpy()


def _applied(function: Callable[..., Any], x: Tensor) -> Tensor:
    """A SoftTopK or its product with the derivative, of a tensor."""
    array = _array(x)
    out = np.empty(array.shape, array.dtype)
    function(array, out=out)
    result = torch.from_numpy(out)
    return result if x.is_cpu and result.dtype == x.dtype else result.to(device=x.device, dtype=x.dtype)


class _SoftTopK(torch.autograd.Function):
    """In eager mode the operator object keeps the thresholds for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, k: int, tau: float) -> Tensor:
        """f; keeps the operator, or what the device needs."""
        ctx.arguments, ctx.operator = (k, tau), None
        if device_selection.usable_soft_topk(x):
            f, *kept = device_selection.soft_topk(x, k, tau)
            ctx.save_for_backward(*kept)
            return f
        ctx.operator = SoftTopK(k, tau, threads=torch.get_num_threads())
        return _applied(ctx.operator, x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        """J'g."""
        if ctx.operator is None:
            return device_selection.soft_topk_vjp(g, *ctx.saved_tensors, *ctx.arguments), None, None
        return _applied(ctx.operator.vjp, g), None, None

    @staticmethod
    def jvp(ctx: Any, d: Tensor, *_: Any) -> Tensor:
        """J d, which is J'd."""
        return _applied(ctx.operator.vjp, d)


@torch.library.custom_op("sparseopt::soft_topk", mutates_args=())
def _soft_topk(x: Tensor, k: int, tau: float) -> Tensor:
    if device_selection.usable_soft_topk(x):
        return device_selection.soft_topk(x, *_checked(x, k, tau))[0]
    return _applied(SoftTopK(k, tau, threads=torch.get_num_threads()), x)


@torch.library.custom_op("sparseopt::soft_topk_backward", mutates_args=())
def _soft_topk_backward(g: Tensor, x: Tensor, k: int, tau: float) -> Tensor:
    if device_selection.usable_soft_topk(x):
        return device_selection.soft_topk_vjp(g, *device_selection.soft_topk(x, k, tau)[1:], k, tau)
    operator = SoftTopK(k, tau, threads=torch.get_num_threads())
    _applied(operator, x)
    return _applied(operator.vjp, g)


@_soft_topk.register_fake
def _(x: Tensor, k: int, tau: float) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@_soft_topk_backward.register_fake
def _(g: Tensor, x: Tensor, k: int, tau: float) -> Tensor:
    return torch.empty_like(g, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0])
    ctx.arguments = inputs[1:]


def _backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
    return torch.ops.sparseopt.soft_topk_backward(g, *ctx.saved_tensors, *ctx.arguments), None, None


_soft_topk.register_autograd(_backward, setup_context=_keep)
