"""Heads of attentions as Hugging Face names them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from sparseopt.pruning import Head, Sparsifier, methods  # noqa: E402

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 16}


def vit():
    return transformers.ViTModel(transformers.ViTConfig(image_size=8, patch_size=4, **SIZES))


def bert():
    return transformers.BertModel(transformers.BertConfig(vocab_size=9, **SIZES))


def albert():
    return transformers.AlbertModel(transformers.AlbertConfig(vocab_size=9, embedding_size=8, **SIZES))


def distilbert():
    sizes = {"dim": 16, "n_layers": 1, "n_heads": 4, "hidden_dim": 16}
    return transformers.DistilBertModel(transformers.DistilBertConfig(vocab_size=9, **sizes))


def t5():
    sizes = {"d_model": 16, "d_kv": 4, "num_heads": 4, "num_layers": 1, "d_ff": 16}
    return transformers.T5EncoderModel(transformers.T5Config(vocab_size=9, **sizes))


def clip():
    return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(image_size=8, patch_size=4, **SIZES))


def llama(**given):
    return transformers.LlamaModel(transformers.LlamaConfig(vocab_size=9, **SIZES, **given))


def built(model):
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    return Sparsifier(
        model, Head(), method=methods.Magnitude(), sparsity=0.5, total_steps=1, optimizer=optimiser, smallest=2
    )


@pytest.mark.parametrize("build", [vit, bert, albert, distilbert, t5, clip, llama])
def test_heads_go_from_all_four_projections(build):
    torch.manual_seed(0)
    model = build()
    sp = built(model)
    (layer,) = sp.layers
    assert layer.units == 4
    assert layer.entries == 4 * 16 * 16
    sp.fold()
    *inputs, output = (view.weight.parameter.detach() for view in layer.views)
    gone = [(w.reshape(4, 4, 16) == 0).all(dim=2).all(dim=1) for w in inputs]
    gone.append((output.reshape(16, 4, 4) == 0).all(dim=2).all(dim=0))
    assert int(gone[0].sum()) == 2
    assert all(torch.equal(each, gone[0]) for each in gone)


def test_shared_keys_stay_dense():
    with pytest.raises(ValueError, match="as many heads of keys and values as of queries"):
        built(llama(num_key_value_heads=2))
