"""Which weights can be pruned at all, and that all others are listed with the reason."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from sparseopt.pruning import Block, Sparsifier  # noqa: E402
from sparseopt.pruning.weights import choose_weights  # noqa: E402


def reasons(model, **given):
    chosen, skipped = choose_weights(model, given.get("exclude", ()), given.get("include", ()))
    return [weight.name for weight in chosen], {item.name: item.reason for item in skipped}


def layers():
    return [nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)]


@pytest.mark.parametrize(
    "wrap",
    [
        nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.spectral_norm,
        nn.utils.parametrizations.orthogonal,
        pytest.param(nn.utils.spectral_norm, marks=pytest.mark.filterwarnings("ignore")),
    ],
)
def test_computed_weights_stay_dense(wrap):
    model = nn.Sequential(*layers())
    wrap(model[1])
    chosen, skipped = reasons(model, include=["1"])
    assert chosen == ["0.weight"]
    assert skipped == {"1.weight": "computed from others (parametrised)", "2.weight": "head"}


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_all_matrices_are_listed():
    model = nn.Sequential(*layers(), nn.LSTM(8, 8), nn.ConvTranspose1d(8, 8, 3), nn.GroupNorm(2, 8), nn.Linear(8, 0))
    model.attention = nn.MultiheadAttention(8, 2, kdim=4, vdim=4)
    chosen, skipped = reasons(model)
    listed = {*chosen, *skipped}
    assert {name for name, parameter in model.named_parameters() if parameter.ndim > 1} == listed
    assert skipped["3.weight_hh_l0"] == "LSTM is not pruned"
    assert skipped["4.weight"] == "ConvTranspose1d is not pruned"
    assert skipped["6.weight"] == "empty"
    assert "MultiheadAttention" in skipped["attention.k_proj_weight"]


@pytest.mark.filterwarnings("ignore")
def test_quantised_and_lazy_layers():
    quantised = torch.ao.quantization.quantize_dynamic(nn.Sequential(*layers()[:2]), {nn.Linear})
    quantised.append(nn.Linear(8, 8))
    assert reasons(quantised) == (["2.weight"], {"0.weight": "quantised", "1.weight": "quantised"})
    lazy = nn.Sequential(nn.LazyLinear(8), nn.Linear(8, 8))
    optimiser = torch.optim.SGD(lazy.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="run the lazy model on one batch first"):
        Sparsifier(lazy, Block(2, 2), total_steps=3, optimizer=optimiser)


def test_names_are_those_of_the_model_inside_wrappers():
    inner = nn.Sequential(*layers())
    names = reasons(inner, exclude=["^1$"])
    assert reasons(torch.compile(inner, backend="eager"), exclude=["^1$"]) == names
    average = torch.optim.swa_utils.AveragedModel(inner)
    assert reasons(average, exclude=["^1$"]) == names
    optimiser = torch.optim.SGD(inner.parameters(), lr=0.1)
    sp = Sparsifier(inner, Block(2, 2), sparsity=0.5, total_steps=1, optimizer=optimiser)
    inner(torch.randn(2, 8)).sum().backward()
    optimiser.step()
    assert bool((average.module[0].weight != 0).all())
    sp.apply_to(average)
    assert torch.equal(average.module[0].weight == 0, inner[0].weight == 0)
    inner[1] = torch.compile(inner[1], backend="eager")
    assert reasons(inner, exclude=["^1$"]) == names


def test_sparse_gradients_are_refused():
    model = nn.Sequential(nn.Embedding(8, 8, sparse=True), nn.Linear(8, 8), nn.Linear(8, 2))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    Sparsifier(model, Block(2, 2), total_steps=3, optimizer=optimiser).fold()
    with pytest.raises(ValueError, match="sparse=False"):
        Sparsifier(model, Block(2, 2), total_steps=3, optimizer=optimiser, include=["^0$"])
