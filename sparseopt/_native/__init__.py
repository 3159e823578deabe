"""The compiled core: block operations in C++ and CUDA, with the pure NumPy reference that stands in without a compiler.

Free of torch, and of the rest of the package: numbers, arrays and pointers only.
"""

from .blocks import BlockLayout, RadialProx, block_norms, block_prox, block_prox_ptr, radial_twin
from .loader import HAS_NATIVE, build_info

__all__ = [
    "HAS_NATIVE",
    "BlockLayout",
    "RadialProx",
    "block_norms",
    "block_prox",
    "block_prox_ptr",
    "build_info",
    "radial_twin",
]
