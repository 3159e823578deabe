"""Pruned attention maps: exactly as sparse as asked for, dense at 0, a softmax over what is kept."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from sparseopt.pruning import AttentionBlocks, prune_attention  # noqa: E402


def tensors(length=13, seed=0):
    rng = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(2, 3, length, 5, generator=rng, dtype=torch.float64) for _ in range(3))
    mask = torch.zeros(2, 1, length, length, dtype=torch.float64)
    mask[1, :, :, -3:] = torch.finfo(torch.float64).min
    return q, k, v, mask


def naive(q, k, v, mask, b, count, importance):
    """Query after query in plain loops."""
    length = q.shape[2]
    products = q @ k.transpose(2, 3) * 0.3 + mask
    dense = products.softmax(-1)
    weights = torch.zeros_like(dense)
    starts = range(0, length, b)
    for sample in range(q.shape[0]):
        for head in range(q.shape[1]):
            for row in starts:
                rows, scores = slice(row, row + b), []
                for column in starts:
                    columns = slice(column, column + b)
                    if importance == "attention":
                        scores.append(float(dense[sample, head, rows, columns].sum()))
                    else:
                        means = (q[sample, head, rows].sum(0) / b) @ (k[sample, head, columns].sum(0) / b)
                        scores.append(float(means * 0.3 + mask[sample, 0, rows, columns].max()))
                order = sorted(range(len(scores)), key=lambda i: -scores[i])[:count]
                inside = [j for i in sorted(order) for j in range(i * b, min((i + 1) * b, length))]
                for query in range(row, min(row + b, length)):
                    weights[sample, head, query, inside] = products[sample, head, query, inside].softmax(0)
    return weights @ v, weights


@pytest.mark.parametrize("importance", ["attention", "pooled"])
@pytest.mark.parametrize(("length", "sparsity", "count"), [(16, 0.5, 2), (13, 0.75, 1), (13, 0.0, 4)])
def test_against_loops(importance, length, sparsity, count):
    q, k, v, mask = tensors(length)
    blocks = AttentionBlocks(4, sparsity, importance, maps=True)
    found, weights = blocks(q, k, v, mask, 0.3)
    wanted, wanted_weights = naive(q, k, v, mask, 4, count, importance)
    torch.testing.assert_close(weights, wanted_weights)
    torch.testing.assert_close(found, wanted)
    if sparsity == 0:
        torch.testing.assert_close(weights, (q @ k.transpose(2, 3) * 0.3 + mask).softmax(-1))


def test_gradients():
    q, k, v, mask = (tensor[:1, :1] for tensor in tensors(8))
    for tensor in (q, k, v):
        tensor.requires_grad_(True)
    blocks = AttentionBlocks(4, 0.5)
    assert torch.autograd.gradcheck(lambda q, k, v: blocks(q, k, v, mask, 0.3)[0], (q, k, v))


def test_bad_arguments():
    for given, message in [({"block": 0}, "block"), ({"sparsity": 1.0}, "sparsity"), ({"importance": "x"}, "allowed")]:
        with pytest.raises(ValueError, match=message):
            AttentionBlocks(**given)
    with pytest.raises(ValueError, match="no self-attention"):
        prune_attention(torch.nn.Linear(2, 2))


@pytest.mark.slow
def test_bert():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, vocab_size=50
    )
    with pytest.raises(ValueError, match="eager"):
        prune_attention(transformers.BertModel._from_config(config, attn_implementation="sdpa"), AttentionBlocks())
    model = transformers.BertModel._from_config(config, attn_implementation="eager").eval()
    ids = torch.randint(50, (3, 32))
    seen = torch.ones(3, 32, dtype=torch.long)
    seen[1, 24:] = 0
    given = {"input_ids": ids, "attention_mask": seen, "output_attentions": True}
    dense = model(**given)
    names = list(model.state_dict())
    prune_attention(model, AttentionBlocks(8, 0.0, maps=True))
    assert torch.equal(model(**given).last_hidden_state, dense.last_hidden_state)
    prune_attention(model, AttentionBlocks(8, 0.5, maps=True))
    pruned = model(**given)
    assert len(pruned.attentions) == 2
    for weights in pruned.attentions:
        zero = (weights.reshape(3, 4, 4, 8, 4, 8).abs().sum((3, 5)) == 0).double()
        assert bool((zero[[0, 2]].mean((1, 2, 3)) == 0.5).all())
        torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4, 32))
    assert not torch.equal(pruned.last_hidden_state, dense.last_hidden_state)
    assert torch.equal(copy.deepcopy(model)(**given).last_hidden_state, pruned.last_hidden_state)
    model(**given).last_hidden_state.sum().backward()
    assert list(model.state_dict()) == names
    prune_attention(model)
    assert torch.equal(model(**given).last_hidden_state, dense.last_hidden_state)
