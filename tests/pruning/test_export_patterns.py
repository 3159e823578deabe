"""Files of patterns: bit for bit what was written, small, and readable by the manifest alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

from nets import adamw, batch, net, sparsifier, train  # noqa: E402
from torch import nn  # noqa: E402

from sparseopt.pruning import export, load_patterns  # noqa: E402
from sparseopt.pruning.deploy import timing  # noqa: E402


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch):
    monkeypatch.setattr(timing, "MOST", 1)


def bits(tensor):
    return tensor.contiguous().view(-1).view(torch.uint8)


def same_bits(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert torch.equal(bits(found[name]), bits(tensor)), name


@pytest.mark.parametrize("granularity", ["pattern", "2:4", "odd block"])
def test_bit_for_bit(tmp_path, granularity):
    model = net()
    optimiser = adamw(model)
    sparsifier(model, optimiser, granularity=granularity, total_steps=3)
    train(model, optimiser, 4)
    model.first.weight.data[0, 0] = -0.0
    x, _ = batch()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    back = export(model, "patterns", x, path=tmp_path / "files")
    same_bits(load_patterns(tmp_path / "files"), state)
    same_bits(back.state_dict(), state)
    same_bits(model.state_dict(), state)
    with torch.no_grad():
        assert torch.equal(back(x), model.eval()(x))
    rows = {row.name: row for row in back.export_report.rows}
    assert rows["first"].target.startswith("patterns ")
    w, packed = model.first.weight, safetensors.load_file(tmp_path / "files" / "model.safetensors")
    parts = [packed["index.first.weight"], packed["values.first.weight"], model.first.bias]
    assert rows["first"].size == sum(part.nbytes for part in parts)
    assert rows["first"].size_dense == w.nbytes + model.first.bias.nbytes
    assert rows["head"].target == "dense"


def test_the_files_are_what_the_manifest_says(tmp_path):
    """Read with the manifest and NumPy only, as an accelerator would."""
    model = net()
    optimiser = adamw(model)
    sparsifier(model, optimiser, granularity="pattern", total_steps=2)
    train(model, optimiser, 3)
    export(model, "patterns", batch()[0], path=tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    tensors = safetensors.load_file(tmp_path / manifest["tensors"])
    library, (r, c) = tensors["library"].numpy(), manifest["tile"]
    assert library.shape == (manifest["patterns"], r, c)
    assert len(np.unique(library, axis=0)) == len(library)
    for name in ("first.weight", "conv.weight"):
        layer, values = manifest["layers"][name], iter(tensors[f"values.{name}"].tolist())
        w = np.zeros(layer["shape"], dtype=np.float32).reshape(layer["shape"][0], -1, layer["taps"])
        index = tensors[f"index.{name}"].numpy()
        for tap, i, j in np.ndindex(index.shape):
            for k, m in zip(*np.nonzero(library[index[tap, i, j]]), strict=True):
                w[i * r + k, j * c + m, tap] = next(values)
        assert next(values, None) is None
        assert np.array_equal(w.reshape(layer["shape"]), dict(model.named_parameters())[name].detach().numpy())


def test_half_types_transposed_and_shared_weights(tmp_path):
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(8, 6)
            self.linear = nn.Linear(6, 5)
            self.decoder = nn.Linear(6, 8)
            self.decoder.weight = self.embedding.weight

        def forward(self, tokens):
            x = self.embedding(tokens)
            return self.linear(x), self.decoder(x)

    torch.manual_seed(0)
    for dtype in (torch.bfloat16, torch.float64):
        model = Both().to(dtype)
        model.linear.weight.data[:2, 1:4] = 0
        model.embedding.weight.data[3] = 0
        state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        back = export(model, "patterns", torch.arange(8), path=tmp_path / str(dtype))
        same_bits(back.state_dict(), state)
        assert back.decoder.weight is back.embedding.weight


def test_what_is_refused(tmp_path):
    model, x = net(), batch()[0]
    with pytest.raises(ValueError, match="needs the folder to write to"):
        export(model, "patterns", x)
    with pytest.raises(ValueError, match="no other takes one"):
        export(model, "auto", x, path=tmp_path)
    with pytest.raises(ValueError, match="no weight is 0"):
        export(model, "patterns", x, path=tmp_path)
    with pytest.raises(ValueError, match=r"manifest.json is missing"):
        load_patterns(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "other"}')
    with pytest.raises(ValueError, match="not patterns 1"):
        load_patterns(tmp_path)


def test_a_manifest_that_was_changed_is_refused(tmp_path):
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
    with torch.no_grad():
        model[0].weight[:, 4:] = 0
    export(model, "patterns", torch.randn(2, 8), path=tmp_path)
    file = tmp_path / "manifest.json"
    text = file.read_text()
    file.write_text(json.dumps(json.loads(text)))  # written otherwise
    assert load_patterns(tmp_path).keys() == model.state_dict().keys()
    layer = json.loads(text)["layers"]["0.weight"]
    others = [{"shape": [4, 16]}, {"kept": 3}, {"taps": 2}, {"transposed": True}, {"dtype": "float64"}]
    for change in [{"tile": [2, 8]}, {"dense": []}, {"layers": {}}] + [
        {"layers": {"0.weight": layer | x}} for x in others
    ]:
        file.write_text(json.dumps(json.loads(text) | change))
        with pytest.raises(ValueError, match="was changed"):
            load_patterns(tmp_path)
    file.write_text(text[:50])
    with pytest.raises(ValueError, match="cannot be read"):
        load_patterns(tmp_path)
    file.write_text(text)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="is missing"):
        load_patterns(tmp_path)
