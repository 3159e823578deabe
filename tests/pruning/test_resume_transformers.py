"""Mid-run resume on a BERT (with dropout) and a ResNet of Hugging Face, bit for bit, for every method."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nets import METHODS  # noqa: E402

from sparseopt.pruning import Block, Sparsifier  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
STOPS = (3, 7)
TOTAL = 9


def bert():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return transformers.BertForSequenceClassification(transformers.BertConfig(vocab_size=20, **sizes))


def resnet():
    transformers = pytest.importorskip("transformers")
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
    return transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=3, **sizes))


def batch(model, step):
    rng = torch.Generator().manual_seed(step)
    if "Bert" in type(model).__name__:
        return {"input_ids": torch.randint(20, (2, 6), generator=rng), "labels": torch.randint(2, (2,), generator=rng)}
    images = torch.randn(2, 3, 16, 16, generator=rng)
    return {"pixel_values": images, "labels": torch.randint(3, (2,), generator=rng)}


def started(build, method, seed):
    torch.manual_seed(seed)
    model = build().train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    sp = Sparsifier(model, Block(4, 4), method=METHODS[method], sparsity=0.5, total_steps=TOTAL, optimizer=optimiser)
    return model, optimiser, sp


def trained(model, optimiser, sp, until):
    for step in range(sp.step, until):
        model(**batch(model, step)).loss.backward()
        optimiser.step()
        optimiser.zero_grad()


@pytest.mark.parametrize("build", [bert, resnet])
@pytest.mark.parametrize("method", METHODS)
def test_resume(build, method, tmp_path):
    whole = started(build, method, 0)
    torch.manual_seed(7)  # of dropout
    files = {}
    for stop in STOPS:
        trained(*whole, stop)
        model, optimiser, sp = whole
        parts = [sp.state_dict(), model.state_dict(), optimiser.state_dict(), torch.get_rng_state()]
        files[stop] = tmp_path / f"{stop}.pt"
        torch.save(parts, files[stop])
    trained(*whole, TOTAL + 2)
    assert whole[2].finished
    for stop in STOPS:
        model, optimiser, sp = started(build, method, 1)
        states = torch.load(files[stop], weights_only=True)
        for owner, state in zip((sp, model, optimiser), states[:3], strict=True):
            owner.load_state_dict(state)
        torch.set_rng_state(states[3])
        trained(model, optimiser, sp, TOTAL + 2)
        for (name, a), b in zip(whole[0].state_dict().items(), model.state_dict().values(), strict=True):
            assert torch.equal(a, b), (stop, name)
        assert all(torch.equal(mask, sp.masks[name]) for name, mask in whole[2].masks.items())
