"""Norms of the blocks of a matrix and the radial prox on them: checks in Python, work in C++ or in the reference."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import reference
from .loader import address, core

TWINS = {
    "Linear": ("LINEAR", None),
    "Power": ("POWER", "q"),
    "Log": ("LOG", "eps"),
    "Ratio": ("RATIO", None),
    "ExpMask": ("EXP_MASK", None),
    "MCP": ("MCP", "gamma"),
    "SCAD": ("SCAD", "a"),
    "L0": ("L0", None),
}
"""Scalar penalties with a C++ twin (csrc/radial.h): class -> its code, attribute that holds its parameter."""

SUFFIX = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}


@dataclass(frozen=True)
class BlockLayout:
    """A matrix [rows, cols] in memory, cut into blocks br x bc.

    ld, ld_out: distance between rows of the input and of the output, in elements; columns are neighbours.
    dtype: float32 or float64.
    """

    rows: int
    cols: int
    ld: int
    ld_out: int
    block: tuple[int, int]
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, int, int, int, int, int]:
        """What the compiled functions take."""
        return (self.rows, self.cols, self.ld, self.ld_out, *self.block)

    @property
    def function_suffix(self) -> str:
        """f32 or f64."""
        return SUFFIX[np.dtype(self.dtype)]


@dataclass(frozen=True)
class RadialProx:
    """Code and parameter of a penalty's C++ twin, and a pointer to its step: one double, or one for each block."""

    kind: int
    parameter: float
    step: int
    per_block: bool


def radial_twin(rho: Any) -> tuple[int, float] | None:
    """(code, parameter) of the C++ twin of a scalar penalty; None where it has none or nothing is compiled.

    A class of one's own has none, whatever its name, nor has a subclass: its prox is called in Python.
    """
    kind = type(rho)
    if core is None or kind.__name__ not in TWINS or not kind.__module__.startswith("sparseopt.penalties"):
        return None
    code, attribute = TWINS[kind.__name__]
    return getattr(core, code), float(getattr(rho, attribute)) if attribute else 0.0


def block_norms(w: np.ndarray, block: tuple[int, int], out: np.ndarray | None = None) -> np.ndarray:
    """Frobenius norm of each block of a matrix.

    w: [R, C], float32 or float64 (integers and booleans are converted to float64), any strides.
    block: (br, bc), dividing R and C.  out: [R/br, C/bc], C order, dtype of w.
    Returns [R/br, C/bc] of the dtype of w (fresh unless `out` was given); NaN or inf where a block holds one.
    Relative error: a few ulp of the dtype for float64, br * bc / 16 ulp at most for float32 (squares are summed in the
    dtype, in 16 lanes, always in the same order).  Raises ValueError for other arrays and for blocks that do not fit.
    """
    w = _matrix(w)
    block = _block(block, w.shape)
    out = _grid_array(out, "out", w, block)
    if core is None:
        out[...] = reference.norms(w, block)
        return out
    rows = _with_rows(w)
    layout = _layout(rows, rows, block)
    getattr(core, "block_norms_" + layout.function_suffix)(address(rows), address(out), layout.shape, 0)
    return out


def block_prox(
    w: np.ndarray,
    block: tuple[int, int],
    rho: Any,
    step: float | np.ndarray,
    *,
    out: np.ndarray | None = None,
    norms: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """argmin_x |x - w|^2 / 2 + sum over blocks b of step_b * rho(|x_b|_F): each block times prox(|w_b|) / |w_b|.

    w: [R, C], float32 or float64 (integers and booleans are converted to float64), any strides; not changed unless it
    is also `out`.  block: (br, bc), dividing R and C.  rho: a scalar penalty of sparseopt, or any object with
    .prox(v, step), which is then called in Python.  step: >= 0, a number or [R/br, C/bc] (strengths times step length).
    out: [R, C] of the dtype of w, may be w.  norms: [R/br, C/bc], C order, receives the norms before the prox.
    threads: None for OpenMP's own choice; the result does not depend on it.
    Returns out (fresh unless given).  A zero block stays zero; a block with NaN or inf becomes NaN.
    Raises ValueError for other arrays, blocks that do not fit, and steps that are negative or not finite.
    """
    w = _matrix(w)
    block = _block(block, w.shape)
    steps = _steps(step, w, block)
    out = np.empty(w.shape, dtype=w.dtype) if out is None else _output(out, w)
    norms = None if norms is None else _grid_array(norms, "norms", w, block)
    threads = _threads(threads)
    twin = radial_twin(rho)
    if twin is None:
        result, v = reference.prox(w, block, rho, steps)
        out[...] = result
        if norms is not None:
            norms[...] = v
        return out
    source, target = _source_and_target(w, out)
    prox = RadialProx(*twin, address(steps), steps.ndim == 2)
    block_prox_ptr(
        address(source),
        address(target),
        _layout(source, target, block),
        prox,
        norms=address(norms),
        threads=threads,
    )
    if target is not out:
        out[...] = target
    return out


def block_prox_ptr(
    w: int, out: int, layout: BlockLayout, prox: RadialProx, *, norms: int = 0, threads: int = 0
) -> None:
    """`block_prox` on addresses in host memory, unchecked; norms 0: not wanted; threads 0: OpenMP's own choice."""
    function = getattr(core, "block_prox_" + layout.function_suffix)
    function(w, out, norms, layout.shape, prox.kind, prox.parameter, prox.step, prox.per_block, threads)


def _matrix(w: np.ndarray) -> np.ndarray:
    if not isinstance(w, np.ndarray) or w.ndim != 2 or w.size == 0:
        found = f"an array of shape {w.shape}" if isinstance(w, np.ndarray) else f"a {type(w).__name__}"
        raise ValueError(f"w is {found}: give a NumPy array [R, C] that is not empty")
    if w.dtype.kind in "iub":
        return w.astype(np.float64)
    if w.dtype not in SUFFIX:
        raise ValueError(f"w has dtype {w.dtype}: float32 or float64 is needed; convert it with w.astype(np.float32)")
    return w


def _block(block: tuple[int, int], shape: tuple[int, ...]) -> tuple[int, int]:
    try:
        br, bc = (operator.index(size) for size in block)
    except (TypeError, ValueError):
        raise ValueError(f"block is {block!r}: give two positive integers (rows, columns), such as (32, 32)") from None
    for size, length, name in ((br, shape[0], "rows"), (bc, shape[1], "columns")):
        if size < 1:
            raise ValueError(f"block is {(br, bc)}: give two positive integers (rows, columns), such as (32, 32)")
        if length % size:
            padded = -(-length // size) * size
            raise ValueError(
                f"blocks {br} x {bc} do not divide w of shape {list(shape)}: {size} does not divide {length} {name}; "
                f"choose a divisor, or pad w with zeros to {padded} {name}"
            )
    return br, bc


def _steps(step: float | np.ndarray, w: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    steps = np.asarray(step)
    if steps.dtype.kind not in "iubf":
        raise ValueError(f"step has dtype {steps.dtype}: give a number or an array of numbers >= 0")
    steps = np.ascontiguousarray(steps, dtype=np.float64) if steps.ndim else np.array(step, dtype=np.float64)
    grid = (w.shape[0] // block[0], w.shape[1] // block[1])
    if steps.ndim and steps.shape != grid:
        raise ValueError(f"step has shape {steps.shape}: give a number or one step for each block, shape {grid}")
    if not (np.isfinite(steps).all() and (steps >= 0).all()):
        raise ValueError("step has entries that are negative or not finite: steps are >= 0; 0 leaves a block as it is")
    return steps


def _threads(threads: int | None) -> int:
    if threads is None:
        return 0
    if operator.index(threads) < 1:
        raise ValueError(f"threads is {threads}: give a positive integer, or None for OpenMP's own choice")
    return operator.index(threads)


def _check_written(array: np.ndarray, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"{name} is {found}: it must be {dtype} {shape}, as w and block say")
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only: give an array that can be written")


def _output(out: np.ndarray, w: np.ndarray) -> np.ndarray:
    _check_written(out, "out", w.shape, w.dtype)
    return out


def _grid_array(array: np.ndarray | None, name: str, w: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    grid = (w.shape[0] // block[0], w.shape[1] // block[1])
    if array is None:
        return np.empty(grid, dtype=w.dtype)
    _check_written(array, name, grid, w.dtype)
    if not (array.flags.c_contiguous and array.flags.aligned):
        raise ValueError(f"{name} is not contiguous: give an array in C order, e.g. np.empty({grid}, {w.dtype})")
    return array


def _has_rows(a: np.ndarray) -> bool:
    """Whether columns are neighbours in memory and rows a whole number of elements apart."""
    return a.strides[1] == a.itemsize and a.strides[0] % a.itemsize == 0 and a.flags.aligned


def _with_rows(a: np.ndarray) -> np.ndarray:
    return a if _has_rows(a) else np.ascontiguousarray(a)


def _source_and_target(w: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Arrays the compiled core can take: w and out themselves, or copies where strides or overlap demand it."""
    same = address(w) == address(out) and w.strides == out.strides
    source = _with_rows(w)
    if same:
        return source, source if source is not w else out
    target = out if _has_rows(out) else np.empty(out.shape, dtype=out.dtype)
    if source is w and np.may_share_memory(w, target):
        source = w.copy()
    return source, target


def _layout(source: np.ndarray, target: np.ndarray, block: tuple[int, int]) -> BlockLayout:
    rows, cols = source.shape
    item = source.itemsize
    return BlockLayout(rows, cols, source.strides[0] // item, target.strides[0] // item, block, source.dtype)
