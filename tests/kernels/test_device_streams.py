"""On a CUDA device: operations wait for nothing, run on the current stream, in graphs, and where their tensors are."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sparseopt import kernels  # noqa: E402
from sparseopt.kernels import BlockSparse, device_products  # noqa: E402
from sparseopt.penalties import Linear  # noqa: E402

pytestmark = pytest.mark.gpu
CUT = (32, 32)
PATTERNS = np.random.default_rng(0).random((9, 4, 4)) < 0.5


@pytest.fixture
def device():
    """The last device, so that it is not the current one where there are several."""
    if not device_products.COMPILED or not torch.cuda.is_available():
        pytest.skip("no CUDA device, or CUDA was not compiled in")
    return torch.device("cuda", torch.cuda.device_count() - 1)


def drawn(shape, device, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(device)


class Inputs:
    """Tensors that stay where they are."""

    def __init__(self, device):
        self.w, self.g, self.u = (drawn((256, 512), device, seed) for seed in range(3))
        self.scale = torch.rand(8, 16, 1, device=device)
        self.kept = self.scale > 0.5
        self.x, self.back = drawn((70, 512), device, 3), drawn((70, 256), device, 4)
        self.blocks = BlockSparse.of(kernels.mask_blocks_(self.w.clone(), self.kept, CUT), 32)


def everything(at):
    """The result of every operation, which changes no input."""
    w, g, z, u = at.w.clone(), at.g.clone(), at.g.clone(), at.u.clone()
    results = [
        kernels.block_norms(at.w, CUT),
        kernels.block_dots(at.w, at.g, CUT),
        kernels.sum_norms(at.w, at.u, CUT),
        kernels.scale_blocks(at.w, at.scale, CUT),
        kernels.mask_blocks_(at.w.clone(), at.kept, CUT),
        kernels.sparse_decay_(at.g.clone(), at.w, at.kept, 0.1, CUT),
        kernels.augment_(at.g.clone(), at.w, z, u, 0.1),
        kernels.scale_blocks_vjp_(g, at.w, at.scale, CUT),
        kernels.admm_update_(at.w, z, u, at.kept, CUT),
        kernels.block_prox_(w, Linear(), 5.0, CUT),
        kernels.project_nm(at.w, 2, 4),
        kernels.project_top_blocks(at.w, 20, CUT),
        kernels.project_patterns(at.w, PATTERNS),
        kernels.soft_topk(at.w, 50, 0.1),
        kernels.block_linear(at.x, at.blocks),
        kernels.block_linear(at.x[:1], at.blocks),
        kernels.products.block_linear_transposed(at.back, at.blocks),
        *kernels.foreach_block_norms([at.w, at.g], [CUT, CUT]),
    ]
    return [*results, w, g, z, u]


def test_nothing_waits_for_the_device(device):
    at = Inputs(device)
    everything(at)  # patterns are brought to the device once
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        everything(at)
    finally:
        torch.cuda.set_sync_debug_mode(before)


def test_a_graph_gives_the_bits_of_single_calls(device):
    with torch.cuda.device(device):
        at, stream = Inputs(device), torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                everything(at)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = everything(at)
        for tensor in (at.w, at.g, at.u, at.x):
            tensor.mul_(-0.5)
        graph.replay()
        for found, expected in zip(captured, everything(at), strict=True):
            assert torch.equal(found, expected)


def test_streams_keep_their_order(device):
    """Work on a stream of one's own comes after what is queued there, however long that takes."""
    at = Inputs(device)
    expected = everything(at)
    torch.cuda.synchronize(device)
    stream = torch.cuda.Stream(device)
    source, at.w = at.w, torch.empty_like(at.w)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        torch.cuda._sleep(20_000_000)
        at.w.copy_(source)
        found = everything(at)
    stream.synchronize()
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)
