"""Torch faces of the compiled block operations: operators with shape functions and derivatives, on any device.

On the CPU and on CUDA devices they run compiled, in place, without spreading what belongs to blocks over their
entries; elsewhere, and for half types on the CPU, the formulas of `reference` stand in.  They work under
torch.compile(fullgraph=True), and on a device in CUDA graphs: they run on the current stream and wait for nothing.
"""

from . import reference
from .blocks import block_dots, block_norms, block_prox_, mask_blocks_, scale_blocks, scale_blocks_
from .foreach import (
    foreach_admm_update_,
    foreach_attract_,
    foreach_augment_,
    foreach_block_norms,
    foreach_block_prox_,
    foreach_mask_blocks_,
    foreach_mask_blocks_into_,
    foreach_mask_norms_into_,
    foreach_power_blocks_into_,
    foreach_power_blocks_vjp_,
    foreach_remask_blocks_into_,
    foreach_scale_blocks_,
    foreach_scale_blocks_into_,
    foreach_scale_blocks_vjp_,
    foreach_sparse_decay_,
    foreach_sum_norms,
)
from .layout import Cut, Cuts
from .products import BlockSparse, block_linear, block_linear_transposed
from .projections import (
    project_nm,
    project_nm_,
    project_patterns,
    project_patterns_,
    project_top_blocks,
    project_top_blocks_,
)
from .splitting import Splitting
from .topk import soft_topk, soft_topk_with_vjp
from .updates import (
    add_scaled_blocks_,
    admm_update_,
    augment_,
    mask_blocks_into_,
    power_blocks_into_,
    power_blocks_vjp_,
    scale_blocks_into_,
    scale_blocks_vjp_,
    sparse_decay_,
    sum_norms,
)

__all__ = [
    "BlockSparse",
    "Cut",
    "Cuts",
    "Splitting",
    "add_scaled_blocks_",
    "admm_update_",
    "augment_",
    "block_dots",
    "block_linear",
    "block_linear_transposed",
    "block_norms",
    "block_prox_",
    "foreach_admm_update_",
    "foreach_attract_",
    "foreach_augment_",
    "foreach_block_norms",
    "foreach_block_prox_",
    "foreach_mask_blocks_",
    "foreach_mask_blocks_into_",
    "foreach_mask_norms_into_",
    "foreach_power_blocks_into_",
    "foreach_power_blocks_vjp_",
    "foreach_remask_blocks_into_",
    "foreach_scale_blocks_",
    "foreach_scale_blocks_into_",
    "foreach_scale_blocks_vjp_",
    "foreach_sparse_decay_",
    "foreach_sum_norms",
    "mask_blocks_",
    "mask_blocks_into_",
    "power_blocks_into_",
    "power_blocks_vjp_",
    "project_nm",
    "project_nm_",
    "project_patterns",
    "project_patterns_",
    "project_top_blocks",
    "project_top_blocks_",
    "reference",
    "scale_blocks",
    "scale_blocks_",
    "scale_blocks_into_",
    "scale_blocks_vjp_",
    "soft_topk",
    "soft_topk_with_vjp",
    "sparse_decay_",
    "sum_norms",
]
