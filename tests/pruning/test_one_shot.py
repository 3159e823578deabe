"""Wanda and SparseGPT against their definitions, written out entry by entry in NumPy."""

from __future__ import annotations

from collections import UserDict

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nets import Net, batch  # noqa: E402
from torch import nn  # noqa: E402

from sparseopt.pruning import NM, Block, Channel, Head, Pattern, Unstructured, one_shot  # noqa: E402
from sparseopt.pruning.inputs import columns  # noqa: E402
from sparseopt.pruning.weights import weights_of  # noqa: E402


class Conv1D(nn.Module):
    """Hugging Face's linear layer with the weight [inputs, outputs]."""

    def __init__(self, outputs, inputs):
        super().__init__()
        self.nf = outputs
        self.weight = nn.Parameter(torch.randn(inputs, outputs))

    def forward(self, x):
        return x @ self.weight


def linear(seed=0, transposed=False):
    torch.manual_seed(seed)
    layer = Conv1D(8, 12) if transposed else nn.Linear(12, 8, bias=False)
    x = torch.randn(40, 12) @ torch.randn(12, 12) * torch.arange(1, 13)  # correlated inputs of unequal sizes
    w = layer.weight.detach().T if transposed else layer.weight.detach()
    return nn.Sequential(layer), x, w.double().numpy().copy(), x.double().numpy()


def pruned(model, granularity, x, method, sparsity=0.5):
    given = {"sparsity": sparsity} if granularity.counted else {}
    report = one_shot.prune_once(
        model, granularity, [x[:15], (x[15:30],), UserDict(input=x[30:])], method=method, **given
    )
    layer = model[0]
    w = layer.weight.detach()
    return (w.T if isinstance(layer, Conv1D) else w).double().numpy(), report


@pytest.mark.parametrize("method", [one_shot.Wanda(), one_shot.SparseGPT()], ids=repr)
def test_inputs_that_are_not_finite_are_refused(method):
    for wrong in (torch.nan, torch.inf):
        model, x, w, _ = linear()
        x[3, 2] = wrong
        with pytest.raises(ValueError, match=r"inputs of 0\.weight are NaN, infinite or too large"):
            pruned(model, Block(2, 3), x, method)
        assert np.array_equal(model[0].weight.detach().double().numpy(), w)


def naive_wanda(w, x, r, c, per_row):
    scores = np.abs(w) * np.linalg.norm(x, axis=0)
    units = np.array([[np.linalg.norm(scores[i : i + r, j : j + c]) for j in range(0, 12, c)] for i in range(0, 8, r)])
    kept = np.zeros(units.shape, dtype=bool)
    rows = range(len(units)) if per_row else [slice(None)]
    for row in rows:
        order = np.argsort(-units[row], axis=None, kind="stable")
        flat = np.zeros(order.size, dtype=bool)
        flat[order[: order.size // 2]] = True
        kept[row] = flat.reshape(units[row].shape)
    return w * np.kron(kept, np.ones((r, c)))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("granularity", "r", "c"), [(Unstructured(), 1, 1), (Block(2, 3), 2, 3)])
@pytest.mark.parametrize("per", ["output", "layer"])
def test_wanda_is_its_definition(granularity, r, c, per, transposed):
    model, x, w, inputs = linear(transposed=transposed)
    found, report = pruned(model, granularity, x, one_shot.Wanda(per))
    np.testing.assert_array_equal(found, naive_wanda(w, inputs, r, c, per == "output"))
    assert report.sparsity == 0.5
    assert not np.array_equal(found != 0, naive_wanda(w, np.eye(12), r, c, per == "output") != 0)  # magnitude


def test_wanda_of_windows():
    model, x, w, inputs = linear()
    found, _ = pruned(model, NM(2, 4), x, one_shot.Wanda())
    scores = (np.abs(w) * np.linalg.norm(inputs, axis=0)).reshape(8, 3, 4)
    best = np.argsort(-scores, axis=2)[..., :2]
    wanted = np.zeros_like(scores)
    np.put_along_axis(wanted, best, 1.0, axis=2)
    np.testing.assert_array_equal(found, w * wanted.reshape(8, 12))


def naive_sparsegpt(w, x, r, c, panel, choose=None):
    """Column after column, with the inverse of what is left of the Hessian found anew for each."""
    w, h = w.copy(), x.T @ x
    h += 0.01 * np.trace(h) / len(h) * np.eye(len(h))
    kept = np.ones_like(w, dtype=bool)
    for j in range(12):
        if choose is None and j % panel == 0:
            scores = np.zeros((8 // r, panel // c))
            for i in range(8 // r):
                for b in range(panel // c):
                    first = j + b * c
                    inverse = np.linalg.inv(h[first:, first:])[:c, :c]  # blocks before are decided
                    for row in w[i * r : (i + 1) * r, first : first + c]:
                        scores[i, b] += row @ np.linalg.solve(inverse, row)
            order = np.argsort(-scores, axis=None, kind="stable")
            flat = np.zeros(order.size, dtype=bool)
            flat[order[: order.size // 2]] = True
            kept[:, j : j + panel] = np.kron(flat.reshape(scores.shape), np.ones((r, c)))
        if choose is not None and j % c == 0:
            inverse = np.array([np.linalg.inv(h[i:, i:])[0, 0] for i in range(j, j + c)])
            kept[:, j : j + c] = choose(np.abs(w[:, j : j + c]) / np.sqrt(inverse))
        inverse = np.linalg.inv(h[j:, j:])
        change = np.where(kept[:, j], 0.0, w[:, j])[:, None] * inverse[0] / inverse[0, 0]
        w[:, j:] -= change
    return np.where(kept, w, 0.0)


def two_of_four(scores):
    return np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1) < 2


CASES = {
    "single weights": (Unstructured(), 1, 1, 4, None),
    "blocks": (Block(2, 2), 2, 2, 4, None),
    "wide blocks": (Block(4, 3), 4, 3, 6, None),
    "2:4": (NM(2, 4), 1, 4, 4, two_of_four),
}


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_sparsegpt_is_its_definition(case, transposed):
    granularity, r, c, panel, choose = CASES[case]
    model, x, w, inputs = linear(transposed=transposed)
    found, report = pruned(model, granularity, x, one_shot.SparseGPT(panel=panel))
    wanted = naive_sparsegpt(w, inputs, r, c, panel, choose)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(w).max())  # weights are float32
    np.testing.assert_array_equal(found != 0, wanted != 0)
    assert report.sparsity == 0.5


def test_sparsegpt_keeps_the_outputs_better_than_masks_alone():
    for granularity in (Unstructured(), Block(2, 3), NM(2, 4), Pattern([[[1, 0], [0, 1]], [[0, 1], [1, 0]]])):
        errors = []
        for method in (one_shot.SparseGPT(), one_shot.Wanda()):
            model, x, w, inputs = linear(3)
            found, _ = pruned(model, granularity, x, method)
            errors.append(np.linalg.norm(inputs @ (found - w).T))
        assert errors[0] < errors[1], granularity


def test_columns_times_weights_are_the_outputs():
    torch.manual_seed(0)
    layers = [
        (nn.Linear(5, 4, bias=False), torch.randn(2, 3, 5)),
        (nn.Conv2d(3, 4, 3, padding="same", dilation=2, bias=False), torch.randn(2, 3, 8, 8)),
        (nn.Conv2d(3, 4, (3, 1), stride=2, padding=1, padding_mode="reflect", bias=False), torch.randn(2, 3, 8, 8)),
        (nn.Conv1d(3, 4, 3, padding=1, bias=False), torch.randn(2, 3, 8)),
    ]
    for layer, x in layers:
        weight = next(weights_of(layer))
        y = layer(x) if isinstance(layer, nn.Linear) else layer(x).flatten(2).transpose(1, 2)
        found = columns(weight, x) @ layer.weight.detach().flatten(1).T
        torch.testing.assert_close(found, y.reshape(-1, 4).detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", [one_shot.Wanda(per="layer"), one_shot.SparseGPT()], ids=["Wanda", "SparseGPT"])
def test_whole_models(method):
    for granularity in (Block(4, 4), Block(5, 3), Channel(), Channel("in"), NM(2, 4), Unstructured()):
        torch.manual_seed(0)
        model = Net()
        given = {"sparsity": 0.5} if granularity.counted else {}
        report = one_shot.prune_once(model, granularity, [batch(i)[0] for i in range(2)], method=method, **given)
        assert model.training
        assert not any(module._forward_pre_hooks for module in model.modules())
        for row in report.rows:
            assert row.kept == (row.units - int(0.5 * row.units + 0.5) if granularity.counted else row.units // 2)
            assert row.zeros == dict(model.named_parameters())[row.name].eq(0).sum()
        if granularity != Block(5, 3):  # whose blocks at the border are smaller
            assert report.sparsity == 0.5


def test_what_cannot_be_done_is_refused_and_changes_nothing():
    model, x, w, _ = linear()
    attention = nn.TransformerEncoderLayer(8, 2, 16)
    one = torch.randn(3, 1, 8)
    cases = [
        ((model, Unstructured(), []), {}, "empty"),
        ((model, Channel(), [x]), {"sparsity": 0.5}, 'per="layer"'),
        ((attention, Block(2, 2), [one]), {}, "cannot be measured"),
        ((attention, Head(), [one]), {"smallest": 1, "sparsity": 0.5}, "cannot be measured"),
        ((nn.ModuleList([model[0]]), Unstructured(), [x]), {}, None),
    ]
    for arguments, given, message in cases:
        with pytest.raises(ValueError if message else NotImplementedError, match=message):
            one_shot.prune_once(*arguments, **given)
    np.testing.assert_array_equal(model[0].weight.detach().double().numpy(), w)
    with pytest.raises(ValueError, match="damping"):
        one_shot.SparseGPT(damping=0)
    with pytest.raises(ValueError, match="per is"):
        one_shot.Wanda("row")


class Named(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(input=x)


def test_inputs_given_by_name():
    model, x, _, _ = linear()
    other = Named(linear()[0][0])
    one_shot.prune_once(model, Block(2, 3), [x], sparsity=0.5)
    one_shot.prune_once(other, Block(2, 3), [x], sparsity=0.5)
    assert torch.equal(other.layer.weight, model[0].weight)
