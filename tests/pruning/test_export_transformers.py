"""Export of a BERT and a ResNet of Hugging Face: the logits of the pruned model, for samples of keywords."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from sparseopt.pruning import Block, Sparsifier, export  # noqa: E402
from sparseopt.pruning.deploy import timing  # noqa: E402
from sparseopt.pruning.weights import weights_of  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TARGETS = ["sparse", "auto", "dense", "patterns"]


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch):
    monkeypatch.setattr(timing, "MOST", 1)


def bert():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    config = transformers.BertConfig(vocab_size=50, max_position_embeddings=16, initializer_range=0.2, **sizes)
    return transformers.BertForSequenceClassification(config)


def resnet():
    transformers = pytest.importorskip("transformers")
    sizes = {"embedding_size": 32, "hidden_sizes": [32, 64], "depths": [1, 2], "layer_type": "basic"}
    return transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=3, **sizes))


def inputs(build, n=2, seed=0):
    rng = torch.Generator().manual_seed(seed)
    if build is resnet:
        return {"pixel_values": torch.randn(n, 3, 32, 32, generator=rng)}
    mask = torch.ones(n, 8, dtype=torch.int64)
    mask[1:, 5:] = 0
    return {"input_ids": torch.randint(50, (n, 8), generator=rng), "attention_mask": mask}


def pruned(build, **others):
    """The model with 90 % of its blocks of 16 x 16 at 0, in eval mode."""
    torch.manual_seed(0)
    model = build()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    sp = Sparsifier(model, Block(16, 16, **others), sparsity=0.9, total_steps=2, optimizer=optimiser)
    for step in range(2):
        model(**inputs(build, seed=step)).logits.square().sum().backward()
        optimiser.step()
    return sp.fold().eval()


@torch.no_grad()
def logits(model, x):
    return model(**x).logits


def rounding(model, expected):
    """Of the sums of all layers, one after the other, each of as many numbers as an output has inputs."""
    terms = sum(weight.shape[1] * weight.taps for weight in weights_of(model) if weight.kind != "embedding")
    return terms * torch.finfo(torch.float32).eps * float(expected.abs().max())


def replaced(model, fast):
    """Targets of the layers that are not dense, after a look at names, keys and the model as it was."""
    rows = fast.export_report.rows
    assert [row.name for row in rows] == [weight.module_name for weight in weights_of(model)]
    return {row.name: row.target for row in rows if row.target != "dense"}


@pytest.mark.parametrize("build", [bert, resnet])
def test_logits_of_the_pruned_model(build, tmp_path):
    model = pruned(build)
    sparse = {weight.module_name for weight in weights_of(model) if float((weight.parameter == 0).float().mean()) > 0.8}
    assert len(sparse) == {bert: 13, resnet: 6}[build]
    x, others = inputs(build), inputs(build, n=3, seed=9)
    expected = [logits(model, x), logits(model, others)]
    tolerance = rounding(model, expected[1])
    dense = pruned(build, balance="row")  # other blocks
    assert float((logits(dense, others) - expected[1]).abs().max()) > 100 * tolerance
    for target in TARGETS:
        folder = {"path": tmp_path / "patterns"} if target == "patterns" else {}
        fast = export(model, target, x, least_speedup=0, **folder)
        for given, wanted in zip((x, others), expected, strict=True):
            found = logits(fast, given)
            torch.testing.assert_close(found, wanted, rtol=0, atol=0 if target in ("dense", "patterns") else tolerance)
        if target in ("sparse", "auto"):
            assert set(replaced(model, fast)) == sparse
            assert fast.export_report.size < 0.6 * fast.export_report.size_dense
        assert fast.export_report.difference <= tolerance


def test_balanced_layers():
    model, x = pruned(bert, balance="row"), inputs(bert)
    fast, others = export(model, "balanced", x, least_speedup=0), inputs(bert, n=3, seed=9)
    assert set(replaced(model, fast).values()) == {"balanced 16x16"}
    assert len(replaced(model, fast)) == 13
    expected = logits(model, others)
    torch.testing.assert_close(logits(fast, others), expected, rtol=0, atol=rounding(model, expected))
    images = pruned(resnet, balance="row")
    fast = export(images, "balanced", inputs(resnet), least_speedup=0)
    assert not replaced(images, fast)  # its only linear layer is the head
    assert torch.equal(logits(fast, inputs(resnet)), logits(images, inputs(resnet)))


@pytest.mark.parametrize(("build", "target"), [(bert, "sparse"), (bert, "balanced"), (bert, "bsr"), (resnet, "sparse")])
def test_the_result_is_traced_as_the_model_is(build, target):
    model, x = pruned(build, **({"balance": "row"} if target == "balanced" else {})), inputs(build)
    fast, other = export(model, target, x, least_speedup=0), inputs(build, seed=9)
    assert replaced(model, fast)
    expected = logits(model, other)
    with torch.no_grad():
        program = torch.export.export(fast, (), x).module()
        traced = torch.jit.trace(fast, example_kwarg_inputs=x, strict=False)
        results = [program(**other).logits, traced(**other)["logits"]]
    for found in results:
        torch.testing.assert_close(found, expected, rtol=0, atol=rounding(model, expected))
