"""Export: what is replaced and by what, the report, the model as it was, and what is refused."""

from __future__ import annotations

import copy
import pickle
import time

import pytest

torch = pytest.importorskip("torch")

from nets import adamw, batch, net, sparsifier, train  # noqa: E402
from torch import nn  # noqa: E402

from sparseopt.pruning import Block, Sparsifier, export, methods  # noqa: E402
from sparseopt.pruning.deploy import layers, modules, timing  # noqa: E402

ALL = {"least_speedup": 0}
"""Replace whatever can be: small layers are not faster."""


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch):
    monkeypatch.setattr(timing, "MOST", 1)


def zeroed(layer, b, kept=0.3, seed=0):
    """The layer with about that share of the b x b blocks of its weight [outputs, inputs] (or each tap of it)."""
    rng = torch.Generator().manual_seed(seed)
    w = layer.weight.data
    mask = torch.rand(-(-w.shape[0] // b), -(-w.shape[1] // b), generator=rng) < kept
    mask[0, 0], mask[-1, -1] = True, False
    spread = mask.repeat_interleave(b, 0)[: w.shape[0]].repeat_interleave(b, 1)[:, : w.shape[1]]
    w *= spread.reshape(*spread.shape, *[1] * (w.ndim - 2))
    return layer


def linear(b=32, shape=(64, 96), **others):
    torch.manual_seed(0)
    return zeroed(nn.Linear(shape[1], shape[0], **others), b)


def sample(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def same(found, expected):
    """Equal up to the rounding of some hundred products of numbers of about 1."""
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("target", ["dense", "sparse", "bsr", "csr"])
def test_a_single_linear_layer(target):
    for layer, x in ((linear(), sample(4, 96)), (linear(16, bias=False), sample(2, 3, 96))):
        before = copy.deepcopy(layer.state_dict())
        fast = export(layer, target, x, **ALL)
        assert fast is not layer
        assert type(layer) is nn.Linear
        assert layer.training
        assert not fast.training
        assert all(torch.equal(layer.state_dict()[name], before[name]) for name in before)
        with torch.no_grad():
            y = fast(x)
            same(y, layer(x))
        assert y.is_contiguous()
        if target == "dense":
            assert torch.equal(fast.weight, layer.weight)
            assert fast.weight.data_ptr() != layer.weight.data_ptr()
        else:
            assert torch.equal(fast.weight, layer.weight.data)


def test_blocks_are_found_from_the_zeros():
    for b in (16, 32, 64):
        layer = linear(b, (192, 256))
        fast = export(layer, "sparse", sample(2, 256), **ALL)
        assert fast.values.shape[1] == b
        assert fast.export_report.rows[0].target == f"sparse {b}x{b}"
        stored = (layer.weight != 0).sum()
        assert fast.values.numel() == stored
    ragged = linear(32, (100, 70))
    fast = export(ragged, "sparse", sample(3, 70), **ALL)
    assert torch.equal(fast.weight, ragged.weight.data)


def test_gradients_and_state_of_a_sparse_layer():
    layer, x = linear(16), sample(5, 96).requires_grad_()
    fast = export(layer, "sparse", x.detach(), **ALL)
    (found,) = torch.autograd.grad((fast(x) ** 2).sum(), x)
    (expected,) = torch.autograd.grad((layer(x) ** 2).sum(), x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    other = export(linear(16), "sparse", x.detach(), **ALL)
    other.load_state_dict(fast.state_dict())
    for twin in (other, copy.deepcopy(fast), pickle.loads(pickle.dumps(fast))):
        assert torch.equal(twin(x), fast(x))


def test_the_model_of_a_sparsifier():
    model = net()
    optimiser = adamw(model)
    sp = sparsifier(model, optimiser, total_steps=4, granularity="block")
    train(model, optimiser, 4)
    sp.fold()
    before = copy.deepcopy(model.state_dict())
    x, _ = batch()
    model.eval()
    expected = model(x)
    model.train()
    for target in ("auto", "csr", "sparse", "bsr"):
        fast = export(model, target, x, **ALL)
        with torch.no_grad():
            same(fast(x), expected)
        assert fast.export_report.difference < 1e-4
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert model.training
    rows = {row.name: row for row in export(model, "csr", x, **ALL).export_report.rows}
    assert rows["first"].target == rows["second"].target == "csr"
    assert rows["first"].sparsity == sp.report().rows[1].sparsity
    assert rows["head"].target == "dense"
    assert rows["head"].reason == "no weight is 0"
    assert rows["conv"].reason == "'csr' is for linear layers"
    assert rows["first"].size < rows["first"].size_dense


@pytest.mark.parametrize(("stride", "padding", "kernel"), [(1, 0, 1), (2, 1, 3), (1, (2, 0), (5, 1))])
def test_convolutions(stride, padding, kernel):
    torch.manual_seed(0)
    conv = zeroed(nn.Conv2d(32, 48, kernel, stride=stride, padding=padding), 16)
    x = sample(2, 32, 9, 7)
    fast = export(conv, "sparse", x, **ALL)
    assert isinstance(fast, modules.BlockSparseConv2d)
    with torch.no_grad():
        same(fast(x), conv(x))
        same(fast(x[0]), conv(x[0]))
    others = [nn.Conv2d(32, 48, 1, groups=2), nn.Conv2d(32, 48, 1, padding_mode="circular"), nn.Conv1d(32, 48, 1)]
    for other in (*others, nn.Conv2d(32, 48, 1, dilation=2), nn.Conv2d(32, 48, 1, padding="same")):
        x = sample(1, 32, 5) if isinstance(other, nn.Conv1d) else sample(1, 32, 5, 5)
        assert "plain" in export(zeroed(other, 16), "sparse", x, **ALL).export_report.rows[0].reason


class Shared(nn.Module):
    """Layers that must not be replaced, and one that is used twice."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(32, 64)
        self.attention = nn.MultiheadAttention(64, 2, batch_first=True)
        self.twice = linear(16, (64, 64))
        self.hooked = linear(16, (64, 64))
        self.hooked.register_forward_hook(lambda module, inputs, output: output + 1)
        self.unused = linear(16, (64, 64))
        self.decoder = nn.Linear(64, 32)
        self.decoder.weight = self.embedding.weight

    def forward(self, tokens, scale=1.0):
        x = self.embedding(tokens) * scale
        x = self.hooked(self.twice(self.twice(self.attention(x, x, x)[0])))
        return {"logits": (self.decoder(x),)}


def test_layers_that_are_read_otherwise_stay_dense():
    torch.manual_seed(0)
    model = Shared()
    for weight in (model.embedding.weight, model.attention.in_proj_weight, model.attention.out_proj.weight):
        weight.data[16:32] = 0
    tokens = torch.arange(12).reshape(2, 6)
    fast = export(model, "sparse", {"tokens": tokens, "scale": 2.0}, **ALL)
    rows = {row.name: row for row in fast.export_report.rows}
    assert [name for name, row in rows.items() if row.target != "dense"] == ["twice"]
    attention = model.attention
    assert rows["attention"].size_dense == attention.in_proj_weight.nbytes + attention.in_proj_bias.nbytes
    assert "looked up" in rows["embedding"].reason
    assert "tied to embedding.weight" in rows["decoder"].reason
    assert "in its own way" in rows["attention"].reason
    assert "in its own way" in rows["attention.out_proj"].reason
    assert "hooks" in rows["hooked"].reason
    assert rows["unused"].reason == "the sample does not reach it"
    with torch.no_grad():
        model.eval()
        same(fast(tokens)["logits"][0], model(tokens)["logits"][0])
        same(export(model, "csr", (tokens, 2.0), **ALL)(tokens)["logits"][0], model(tokens)["logits"][0])


def test_the_fast_path_of_transformer_layers():
    """It reads dense weights of its layers, which a sparse layer would have to form at each call."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.TransformerEncoderLayer(32, 2, 64, batch_first=True), linear(16, (32, 32)))
    model[0].linear1.weight.data[:32] = 0
    x = sample(2, 3, 32)
    fast = export(model, "sparse", x, **ALL)
    rows = {row.name: row for row in fast.export_report.rows}
    assert "fast path" in rows["0.linear1"].reason
    assert [name for name, row in rows.items() if row.target != "dense"] == ["1"]
    with torch.no_grad():
        same(fast(x), model.eval()(x))


def slowly(forward):
    """The forward pass, and ten milliseconds more."""

    def slow(self, x):
        time.sleep(0.01)
        return forward(self, x)

    return slow


def test_dense_where_that_is_faster(monkeypatch):
    sparse = modules.BlockSparseLinear
    monkeypatch.setattr(sparse, "forward", slowly(sparse.forward))
    layer, x = linear(32), sample(4, 96)
    report = export(layer, "sparse", x).export_report
    (row,) = report.rows
    assert row.target == "dense"
    assert "sparse 32x32 has 0.0" in row.reason
    assert row.speedup == report.speedup == 1.0
    assert type(export(layer, "sparse", x, **ALL)) is sparse


def test_replaced_where_that_is_faster(monkeypatch):
    model = nn.Sequential(linear(32), nn.ReLU(), linear(16, (32, 64)))
    monkeypatch.setattr(nn.Linear, "forward", slowly(nn.Linear.forward))
    fast = export(model, "sparse", sample(4, 96))
    assert [type(layer) for layer in fast] == [modules.BlockSparseLinear, nn.ReLU, modules.BlockSparseLinear]
    report = fast.export_report
    assert report.speedup > 1
    assert min(row.speedup for row in report.rows) > 1
    assert report.size < report.size_dense
    table = repr(report)
    assert "sparse 32x32" in table
    assert "whole model" in table
    assert len(table.splitlines()) == 5


def test_a_model_that_is_not_faster_as_a_whole_stays_dense(monkeypatch):
    real = timing.Stopwatch.measure

    def measure(self, model, sample, layers):
        real(self, model, sample, layers)
        sparse = any(isinstance(layer, modules.SparseLayer) for layer in layers.values())
        self.whole = 2.0 if sparse else 1.0  # though the layer itself is faster
        self.layers = {name: 1.0 if isinstance(layer, nn.Linear) else 0.5 for name, layer in layers.items()}

    monkeypatch.setattr(timing.Stopwatch, "measure", measure)
    fast = export(nn.Sequential(linear()), "sparse", sample(4, 96))
    assert type(fast[0]) is nn.Linear
    assert fast.export_report.rows[0].reason == "the model as a whole was not faster"


def test_a_layer_that_is_slower_beside_the_others_stays_dense(monkeypatch):
    real = timing.Stopwatch.measure

    def measure(self, model, sample, layers):
        real(self, model, sample, layers)
        sparse = [name for name, layer in layers.items() if isinstance(layer, modules.SparseLayer)]
        self.whole = 3.0 - len(sparse)
        self.layers = {name: 0.5 if name in sparse else 1.0 for name in layers}
        if len(sparse) == 2 and "chosen" in watched:
            self.layers["1"] = 2.0

    compared, watched = timing.compared, []

    def watching(contestants, sample, prepared):
        watched[:] = contestants
        return compared(contestants, sample, prepared)

    monkeypatch.setattr(timing.Stopwatch, "measure", measure)
    monkeypatch.setattr(timing, "compared", watching)
    fast = export(nn.Sequential(linear(32, (96, 96)), linear(32, (96, 96))), "sparse", sample(4, 96))
    assert [type(layer) for layer in fast] == [modules.BlockSparseLinear, nn.Linear]
    assert "not with the other layers" in fast.export_report.rows[1].reason


def test_nothing_that_is_zero_stays_dense_and_says_so():
    report = export(nn.Linear(32, 32), "auto", sample(2, 32)).export_report
    assert report.rows[0].target == "dense"
    assert report.rows[0].reason == "no weight is 0"
    single = nn.Linear(32, 32)
    single.weight.data[0, 0] = 0
    assert "blocks" in export(single, "sparse", sample(2, 32)).export_report.rows[0].reason
    double = linear(16).double()
    assert "float32" in export(double, "sparse", sample(2, 96).double()).export_report.rows[0].reason


def refused(model, message, target="auto", x=None, **others):
    with pytest.raises(ValueError, match=message):
        export(model, target, sample(2, 96) if x is None else x, **others)


class Placed(nn.Parameter):
    """As a parameter that processes share, a DTensor."""

    placements = ()


def test_what_is_refused(monkeypatch):
    layer = linear()
    refused(layer, "target is 'fast': allowed are 'auto'", "fast")
    refused(nn.Linear, "give a torch.nn.Module")
    refused(nn.ReLU(), "nothing to export")
    refused(nn.Embedding(3, 4), "nothing to export")
    refused(linear().to("meta"), "meta device")
    broken = linear()
    broken.weight.data[0, 0] = torch.nan
    refused(broken, "NaN or infinite")
    refused(layer, "does not run on the sample: RuntimeError", x=sample(2, 95))
    refused(layer, "keys are not names", x={1: sample(2, 96)})
    for least in (-1, "2", float("nan"), float("inf")):
        refused(layer, "least_speedup is", least_speedup=least)
    with pytest.raises(ValueError, match="sample is missing"):
        export(layer, "sparse")
    with monkeypatch.context() as without:
        without.setattr("importlib.util.find_spec", lambda name: None)
        refused(layer, r"target 'onnx' needs onnx: pip install 'sparseopt\[onnx\]'", "onnx")
        refused(layer, r"needs torch_pruning: pip install 'sparseopt\[channels\]'", "channels")
    sharded = linear()
    sharded.weight = Placed(sharded.weight.detach())
    refused(sharded, "spread over processes")
    tied = nn.Sequential(nn.utils.parametrizations.weight_norm(linear()))
    refused(tied, "0 has parametrised weights")


def test_two_of_four():
    if not torch.cuda.is_available():
        refused(linear(), r"needs the model on a CUDA device .*: torch finds none", "2:4")
    w = torch.ones(64, 128, dtype=torch.float16)
    assert "prune with NM(2, 4)" in layers.two_of_four(w)
    w[:, ::2] = 0
    assert layers.two_of_four(w) == "2:4 runs on CUDA devices only"
    assert "not torch.float32" in layers.two_of_four(w.float())
    assert "multiples of 32 outputs and 64 inputs" in layers.two_of_four(w[:20])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_two_of_four_on_a_device():
    layer = nn.Linear(128, 64).half().cuda()
    layer.weight.data[:, ::2] = 0
    x = sample(32, 128).half().cuda()
    fast = export(layer, "2:4", x, **ALL)
    assert fast.export_report.rows[0].target == "2:4"
    assert torch.equal(fast.weight, layer.weight)
    with torch.no_grad():
        torch.testing.assert_close(fast(x), layer(x), rtol=1e-2, atol=1e-2)


def test_in_the_middle_of_training():
    model = net()
    optimiser = adamw(model)
    Sparsifier(
        model, Block(16, 16), method=methods.SMART(), total_steps=20, optimizer=optimiser, smallest=1, sparsity=0.5
    )
    train(model, optimiser, 6)
    x, _ = batch()
    fast = export(model, "sparse", x, **ALL)
    with torch.no_grad():
        same(fast(x), model.eval()(x))
    model.train()
    train(model, optimiser, 20, first=6)
    assert export(model, "sparse", x, **ALL).export_report.rows[3].target == "sparse 16x16"
