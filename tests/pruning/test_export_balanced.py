"""Blocks balanced over block rows: in pruning, as a gather and a batched product, and as an ONNX graph."""

from __future__ import annotations

import pickle

import pytest

torch = pytest.importorskip("torch")

from nets import METHODS, adamw, batch, net, train  # noqa: E402
from torch import nn  # noqa: E402

from sparseopt.pruning import Block, Sparsifier, export, methods, one_shot  # noqa: E402
from sparseopt.pruning.deploy import modules, timing  # noqa: E402

ALL = {"least_speedup": 0}


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch):
    monkeypatch.setattr(timing, "MOST", 1)


def balanced(model, block, sparsity=0.5, method="Magnitude", steps=3, **others):
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    chosen = Block(*block, balance="row")
    return Sparsifier(
        model, chosen, method=METHODS[method], sparsity=sparsity, total_steps=steps, optimizer=optimiser, **others
    )


def kept(layer, block):
    """Blocks that are not 0 in each block row of a weight [outputs, inputs], over all taps."""
    w = layer.weight.detach().flatten(2) if layer.weight.ndim > 2 else layer.weight.detach()[:, :, None]
    r, c = block
    tiles = w.reshape(w.shape[0] // r, r, w.shape[1] // c, c, w.shape[2])
    return (tiles != 0).any(dim=3).any(dim=1).sum(dim=(1, 2))


@pytest.mark.parametrize("method", ["Magnitude", "SMART", "SequentialAttention", "ADMM"])
def test_every_block_row_keeps_equally_many(method):
    model = net()
    optimiser = adamw(model)
    chosen = Block(4, 4, balance="row")
    sp = Sparsifier(model, chosen, method=METHODS[method], sparsity=0.75, total_steps=8, optimizer=optimiser)
    train(model, optimiser, 10)
    assert kept(model.first, (4, 4)).tolist() == [4] * 8  # of 16
    assert kept(model.second, (4, 4)).tolist() == [2] * 8  # of 8
    assert kept(model.conv, (4, 4)).tolist() == [4] * 4  # of 18: 13.5 are dropped, rounded
    assert sp.allocation.counts([layer.units for layer in sp.layers]) == [16, 32, 16]


def test_soft_masks_of_each_row_add_up_to_what_it_keeps():
    model = net()
    optimiser = adamw(model)
    chosen, given = Block(4, 4, balance="row"), {"sparsity": 0.75, "total_steps": 20, "optimizer": optimiser}
    sp = Sparsifier(model, chosen, method=methods.SMART(pretrain=0), **given)
    train(model, optimiser, 3)
    for i, (layer, count) in enumerate(zip(sp.layers, (4, 4, 2), strict=True)):
        rows = layer.balanced.grouped(sp.memory[f"soft.{i}"])
        torch.testing.assert_close(rows.sum(1), torch.full((len(rows),), float(count)), rtol=1e-4, atol=0)


def test_the_largest_of_each_row_are_kept():
    layer = nn.Linear(12, 8, bias=False)
    layer.weight.data = torch.arange(96.0).reshape(8, 12) + 1
    balanced(nn.Sequential(layer), (4, 4), 0.6, smallest=1).fold()
    assert kept(layer, (4, 4)).tolist() == [1, 1]
    assert torch.equal(layer.weight.data[:, 8:] != 0, torch.ones(8, 4, dtype=torch.bool))


class Conv1D(nn.Module):
    """As in Hugging Face's GPT-2: a linear layer with a weight [inputs, outputs]."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf, self.weight, self.bias = nf, nn.Parameter(torch.randn(nx, nf)), nn.Parameter(torch.randn(nf))

    def forward(self, x):
        return torch.addmm(self.bias, x, self.weight)


def test_rows_are_outputs_of_transposed_weights():
    torch.manual_seed(0)
    model = nn.Sequential(Conv1D(8, 16))
    balanced(model, (4, 2), 0.75).fold()
    tiles = model[0].weight.detach().t().reshape(2, 4, 8, 2)
    assert (tiles != 0).any(dim=3).any(dim=1).sum(dim=1).tolist() == [2, 2]
    x = torch.randn(3, 16)
    fast = export(model, "csr", x, **ALL)
    with torch.no_grad():
        torch.testing.assert_close(fast(x), model(x), rtol=0, atol=1e-5)


def test_what_is_refused():
    with pytest.raises(ValueError, match="balance is 'column': allowed are None and \"row\""):
        Block(4, 4, balance="column")
    with pytest.raises(ValueError, match='use scope="layer"'):
        balanced(net(), (4, 4), scope="global")
    model = net()
    with pytest.raises(ValueError, match="RigL does not balance"):
        Sparsifier(model, Block(4, 4, balance="row"), method=methods.RigL(), total_steps=5, optimizer=adamw(model))
    with pytest.raises(ValueError, match="Wanda does not balance"):
        one_shot.prune_once(net(), Block(4, 4, balance="row"), [batch()[0]])


def pruned(bias=True):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(96, 64, bias=bias), nn.ReLU(), nn.Linear(64, 32, bias=bias))
    balanced(model, (16, 16), 0.5, include=["."], smallest=1).fold()
    return model


def test_a_gather_and_a_batched_product():
    for model, x in ((pruned(), torch.randn(5, 96)), (pruned(False), torch.randn(2, 3, 96))):
        fast = export(model, "balanced", x, **ALL)
        assert [type(layer) for layer in fast] == [modules.BalancedLinear, nn.ReLU, modules.BalancedLinear]
        assert torch.equal(fast[0].weight, model[0].weight.data)
        assert fast[0].values.numel() == (model[0].weight != 0).sum()
        with torch.no_grad():
            torch.testing.assert_close(fast(x), model(x), rtol=0, atol=1e-5)
            assert fast(x).is_contiguous()
        other = export(pruned(model[0].bias is not None), "balanced", x, **ALL)
        other.load_state_dict(fast.state_dict())
        assert torch.equal(other(x), fast(x))


def test_a_few_blocks_more_are_filled_up():
    torch.manual_seed(0)
    layer = nn.Linear(160, 96)
    mask = torch.ones(6, 10, dtype=torch.bool)
    mask[:, 5:] = False
    mask[2, 5] = True  # 31 blocks; balanced 36
    mask[3] = False
    mask[3, 1:6] = True
    layer.weight.data *= mask.repeat_interleave(16, 0).repeat_interleave(16, 1)
    x = torch.randn(4, 160)
    fast = export(layer, "balanced", x, **ALL)
    assert torch.equal(fast.weight, layer.weight.data)
    with torch.no_grad():
        torch.testing.assert_close(fast(x), layer(x), rtol=0, atol=1e-5)
    layer.weight.data[:48] = 0
    row = export(layer, "balanced", x, **ALL).export_report.rows[0]
    assert row.target == "dense"
    assert 'prune with Block(..., balance="row")' in row.reason


def test_a_graph_in_bfloat16_is_refused():
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    with pytest.raises(ValueError, match=r"export model\.float"):
        export(net().bfloat16(), "onnx", batch()[0].bfloat16())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_graph_for_onnx_runtime(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model, x = pruned(), torch.randn(5, 96)
    fast = export(model, "onnx", x, **ALL)
    report = fast.export_report
    assert [row.target for row in report.rows] == ["balanced 16x16", "balanced 16x16"]
    assert report.size < report.size_dense
    with torch.no_grad():
        expected = model(x)
    torch.testing.assert_close(fast(x), expected, rtol=0, atol=1e-5)
    assert torch.equal(pickle.loads(pickle.dumps(fast))(x), fast(x))
    assert fast(torch.cat([x, x, x])).shape[0] == 3 * len(x)  # not the batch of the sample
    fast.save(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert torch.equal(torch.from_numpy(y), fast(x))
    dense = export(net(), "onnx", (batch()[0],))
    assert {row.target for row in dense.export_report.rows} == {"dense"}
