"""Channels that are taken out: smaller layers, the same outputs, constants in the biases, what has to stay."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch_pruning")

from torch import nn  # noqa: E402

from sparseopt.pruning import Channel, Sparsifier, export  # noqa: E402
from sparseopt.pruning.deploy import timing  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*torch_pruning.*", "ignore::UserWarning")
ALL = {"least_speedup": 0}


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch):
    monkeypatch.setattr(timing, "MOST", 1)


def shrunk(model, x):
    """The exported model, after checks that hold for all of them."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    small = export(model, "channels", x, **ALL)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with torch.no_grad():
        y, expected = small(x), copy.deepcopy(model).eval()(x)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    return small


def rows(small):
    return {row.name: row for row in small.export_report.rows}


def perceptron(axis="out"):
    """With half of the outputs (or inputs) of its first layers zero."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 8), nn.GELU(), nn.Linear(8, 4))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    exclude = ["4"] if axis == "out" else ["0"]
    Sparsifier(
        model, Channel(axis), sparsity=0.5, total_steps=2, optimizer=optimiser, exclude=exclude, include=["."]
    ).fold()
    return model


@pytest.mark.parametrize("axis", ["out", "in"])
def test_linear_layers(axis):
    small = shrunk(perceptron(axis), torch.randn(5, 12))
    assert [tuple(small[i].weight.shape) for i in (0, 2, 4)] == [(8, 12), (4, 8), (4, 4)]
    assert rows(small)["0"].target == "channels 8x12"
    assert rows(small)["0"].size < rows(small)["0"].size_dense
    assert rows(small)["4"].target == "channels 4x4"


def convolutions(beta, padding=1):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3, padding=padding),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 5),
    )
    model[0].weight.data[[1, 3]] = 0
    model[1].bias.data[:] = beta
    model[3].weight.data[2] = 0
    model[3].bias.data[2] = 0.7
    return model


def test_convolutions_with_norms_and_flattened_channels():
    small = shrunk(convolutions(beta=-0.5), torch.randn(2, 3, 7, 7))
    assert small[0].weight.shape == (6, 3, 3, 3)
    assert small[1].num_features == 6
    assert small[3].weight.shape == (5, 6, 3, 3)
    assert small[7].weight.shape == (5, 20)  # the constant 0.7 is in its bias


def test_constants_behind_padding_stay():
    """At the border a padded convolution sees zeros, not the constant: no bias can stand in for that."""
    x = torch.randn(2, 3, 7, 7)
    small = shrunk(convolutions(beta=0.5), x)
    assert small[0].weight.shape == (8, 3, 3, 3)
    assert rows(small)["0"].reason == "no channel is constant or unread"
    small = shrunk(convolutions(beta=0.5, padding=0), x)
    assert small[0].weight.shape == (6, 3, 3, 3)


class Residual(nn.Module):
    """y = W2 relu(x' + W1 x'), x' = W0 x: all channels are written twice."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 10), nn.Linear(10, 10), nn.Linear(10, 3)

    def forward(self, x):
        x = self.first(x)
        return self.last(torch.relu(x + self.second(x)))


def test_residual_channels_go_where_all_writers_are_silent():
    torch.manual_seed(0)
    model = Residual()
    model.first.weight.data[[1, 2]] = 0
    model.second.weight.data[[2, 5]] = 0
    small = shrunk(model, torch.randn(4, 6))
    assert small.first.weight.shape == (9, 6)
    assert small.second.weight.shape == (9, 9)
    assert small.last.weight.shape == (3, 9)


def test_what_has_to_stay():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4), nn.Linear(4, 4))
    model[0].weight.data[1] = 0
    model[2].weight.data[0] = 0
    small = shrunk(model, torch.randn(5, 6))
    assert [tuple(small[i].weight.shape) for i in (0, 2)] == [(4, 6), (4, 4)]
    assert rows(small)["2"].reason == "its outputs leave the model"
    model[2].weight.data[:, 1] = 0  # unread, but it counts in the norm
    assert "other outputs" in rows(shrunk(model, torch.randn(5, 6)))["0"].reason
    silent = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2))
    silent[0].weight.data[:] = 0
    assert shrunk(silent, torch.randn(5, 6))[0].weight.shape == (1, 6)
