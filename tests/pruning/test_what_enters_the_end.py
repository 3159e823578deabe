"""Units that are kept at the end are not zeros that the search left behind."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nets import net, sgd, sparsifier, train  # noqa: E402

from sparseopt.pruning import Block, Sparsifier, methods  # noqa: E402


@pytest.mark.parametrize(("sparsity", "vanishing"), [(0.0, 0), (0.25, 16), (0.5, 32), (0.9, 32)])
def test_no_more_units_vanish_than_are_to_be_dropped(sparsity, vanishing):
    """Without gradients, by the penalty alone: of 64 blocks the smallest, at most half."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(32, 32)
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1)
    given = {"sparsity": sparsity, "total_steps": 10, "optimizer": optimiser}
    sp = Sparsifier(layer, Block(4, 4), method=methods.GroupLasso(until=0.8), **given)
    layer.weight.grad = torch.zeros(32, 32)
    for _ in range(7):
        optimiser.step()
    norms = sp.norms()[0].clone()
    assert int((norms == 0).sum()) < max(vanishing, 1)
    step = float(sp.memory["step"]) * 4
    assert int((norms < (1 + 1e-5) * step).sum()) == vanishing  # all that the last step of the phase sets to 0
    optimiser.step()
    assert sp.finished
    assert sp.sparsity == 1 - sum(int(mask.sum()) for mask in sp.masks.values()) / 64


def test_a_layer_that_a_shared_budget_closes_keeps_a_unit_with_weights():
    model = net()
    with torch.no_grad():
        model.second.weight *= 1e-3
    optimiser = sgd(model)
    sp = sparsifier(model, optimiser, "SMART weight", total_steps=10, scope="global")
    train(model, optimiser, 6)
    assert float(sp.memory["soft.2"].max()) < 1e-3
    trained = sp.memory["behind.second.weight"].clone()
    train(model, optimiser, 1, first=6)
    assert sp.finished
    kept = sp.masks["second.weight"].reshape(8, 8).repeat_interleave(4, 0).repeat_interleave(4, 1)
    assert int(sp.masks["second.weight"].sum()) == 1
    assert float(model.second.weight.detach()[kept].norm()) > 0.5 * float(trained[kept].norm())
    assert sp.sparsity == 0.75
