"""Sets and their Euclidean projections.

Every set S has
  project(v, out=None)   a nearest point of S to v [...], exact up to rounding; for nonconvex sets ties are broken by
                         the lowest index, always in the same way;
  contains(v)            whether v is in S: exact for mask sets, up to rounding for convex ones;
  distance(v)            |v - project(v)|_2, a float;
  support(v)             bool mask of the entries that the projection keeps (mask sets; some of them may be 0) or leaves
                         different from 0 (the others);
  example_shape(rng)     the shape of an array that the set fits;
  convex                 whether S is convex; then support_function(y) = max of <w, y> over S, a float;
  keeps_entries          whether S is a mask set: a union of coordinate subspaces, on which the projection keeps some
                         entries bitwise and sets the others to 0: project(v) == where(support(v), v, 0).

A class of one's own with these can be used wherever a set of this package can.  Arrays may be NumPy's, torch's or of
any library of the array API standard; integers and booleans become float64.  `out` may be v itself; nothing else is
modified.  ValueError: an array that does not fit the set, that has no axis or no entry, or NaN or infinite entries.
"""

from . import libraries
from .box import Box
from .capped_simplex import CappedSimplex
from .channels import Channels
from .group_ball import GroupBall
from .indicator import Indicator
from .intersection import Intersection
from .k_support_ball import KSupportBall
from .l1_ball import L1Ball
from .nm import NM
from .pattern_library import PatternLibrary
from .product import Product
from .top_blocks import TopBlocks
from .top_groups import TopGroups
from .transposable_nm import TransposableNM

__all__ = [
    "NM",
    "Box",
    "CappedSimplex",
    "Channels",
    "GroupBall",
    "Indicator",
    "Intersection",
    "KSupportBall",
    "L1Ball",
    "PatternLibrary",
    "Product",
    "TopBlocks",
    "TopGroups",
    "TransposableNM",
    "libraries",
]
