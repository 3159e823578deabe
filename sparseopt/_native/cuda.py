"""Passes over grids of blocks on CUDA devices (csrc/grid.h), on addresses there, unchecked: `sparseopt.kernels` checks.

Nothing waits for the device.  There is no pure-Python stand-in here: `sparseopt.kernels.reference` is that.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from .grid import GridLayout
from .loader import core


class Pass(IntEnum):
    """What a call does: the order of `so_pass`, which says which of its addresses it reads and writes."""

    DOTS = 0
    NORMS = 1
    VJP = 2
    PROX = 3
    POWER = 4
    POWER_VJP = 5
    SCALE = 6
    MASK = 7
    ADD = 8
    DECAY = 9
    AUGMENT = 10
    ADMM = 11


class Call(NamedTuple):
    """One pass over matrices of a common layout; addresses on the device, 0 for what the pass does not use.

    dtype: 0 float32, 1 float64, 2 bfloat16, 3 float16.  values: over blocks, of the working type or bytes.  results:
    over blocks, of the dtype.  work: `work_of` numbers in double precision.  prox: (code, parameter, address of the
    step, one for each block), as `RadialProx`.
    """

    kind: Pass
    dtype: int
    matrices: tuple[int, int, int, int]
    grid: GridLayout
    values: int = 0
    results: int = 0
    work: int = 0
    number: float = 0.0
    prox: tuple[int, float, int, bool] = (0, 0.0, 0, False)


def takes(grid: GridLayout) -> bool:
    """Whether CUDA was compiled in and its kernels take matrices of this size, up to 2^30 entries in a row or block."""
    return core is not None and bool(core.grid_cuda_takes(grid))


def work_of(grid: GridLayout) -> int:
    """Numbers that `Pass.ADMM` needs; the first two become its residuals."""
    return int(core.grid_cuda_work(grid))


def launch(calls: list[Call], *, device: int = 0, stream: int = 0) -> None:
    """Queue calls of one pass, dtype and number on a stream of a device, up to twelve of them in a launch.

    Raises RuntimeError as `check_launch`.
    """
    kind, dtype, number = int(calls[0].kind), calls[0].dtype, calls[0].number
    given = [(c.matrices, (c.values, c.results, c.work), c.prox, c.grid) for c in calls]
    check_launch(core.grid_cuda(kind, dtype, number, given, device, stream))


class ProductCall(NamedTuple):
    """A product with a block-sparse matrix (csrc/product.h); addresses on the device, 0 for none.

    tensors: values, x, bias, y, starts, at, order.  sizes: n, outputs, inputs, side of the blocks, their number.
    """

    dtype: int
    transposed: bool
    tensors: tuple[int, int, int, int, int, int, int]
    sizes: tuple[int, int, int, int, int]


def launch_product(call: ProductCall, *, device: int = 0, stream: int = 0) -> None:
    """Queue a product on a stream of a device; RuntimeError as `check_launch`."""
    check_launch(core.product_cuda(*call, device, stream))


def check_launch(code: int) -> None:
    """RuntimeError for a code other than 0 of what queues a kernel: that of CUDA, -1 when it was not compiled in."""
    if code:
        raise RuntimeError(f"the CUDA kernel was not launched: error code {code}")
