"""RigL, activations and windows of SMART against their definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nets import adamw, net, sgd, sparsifier, train  # noqa: E402

from sparseopt.pruning import NM, Sparsifier, Unstructured, methods  # noqa: E402
from sparseopt.pruning.methods.rigl import exchanged  # noqa: E402
from sparseopt.pruning.schedules import Cubic, Phase  # noqa: E402


def naive_exchange(mask, norms, gradients, share):
    mask = list(mask)
    others = [i for i, kept in enumerate(mask) if not kept and gradients[i] > 0]
    moves = min(int(share * sum(mask)), len(others))
    for i in sorted((i for i, kept in enumerate(mask) if kept), key=lambda i: (norms[i], -i))[:moves]:
        mask[i] = False
    for i in sorted(others, key=lambda i: (-gradients[i], i))[:moves]:
        mask[i] = True
    return mask


def test_exchange_is_its_definition():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(2, 12))
        mask = rng.random(n) < 0.5
        norms, gradients = rng.integers(0, 4, (2, n)).astype(float)  # with ties and zeros
        share = float(rng.random())
        found = exchanged(*(torch.tensor(item) for item in (mask, norms, gradients)), share)
        assert found.tolist() == naive_exchange(mask, norms, gradients, share)


@pytest.mark.parametrize("optimiser", [sgd, adamw])
def test_grown_units_start_anew(optimiser):
    model = net()
    opt = optimiser(model)
    sp = sparsifier(model, opt, "RigL")  # exchanges every third step
    train(model, opt, 2)
    old = [sp.masks[layer.name] for layer in sp.layers]
    train(model, opt, 1, first=2)
    assert sp.latest["moved"] > 0
    for layer, before in zip(sp.layers, old, strict=True):
        grown = ~before & sp.masks[layer.name]
        assert sp.masks[layer.name].sum() == before.sum()
        assert not bool(layer.norms()[grown].any())
        states = opt.state[layer.views[0].weight.parameter].values()
        for value in (value for value in states if value.shape == layer.views[0].weight.parameter.shape):
            assert not bool(layer.norms([value])[grown].any())
            assert bool(layer.norms([value])[~grown].all())


def test_activations_weigh_the_weights():
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Linear(5, 3))
    opt = torch.optim.SGD(model.parameters(), lr=0.0)
    method = methods.SMART("activation", pretrain=0, search=1)
    sp = Sparsifier(model, Unstructured(), method=method, sparsity=0.5, total_steps=9, optimizer=opt)
    assert [layer.name for layer in sp.layers] == ["0.weight"]  # the last one is the head
    x = torch.randn(2, 7, 6) * torch.arange(1, 7)
    with torch.no_grad():
        model(100 * x)  # not training
        w = sp.memory["behind.0.weight"].clone()
        means = 0.0
        for i in range(3):
            batch = x / (i + 1)
            with torch.enable_grad():
                model(batch[0]).sum().backward()
                model(batch[1]).sum().backward()
            opt.step()
            now = batch.reshape(-1, 6).square().mean(0)
            means = now if i == 0 else 0.9 * means + 0.1 * now
        score = (w.abs() * means.sqrt()).flatten()
    torch.testing.assert_close(sp.memory["logits.0"], score / score.mean())


def test_inputs_that_a_compiled_model_does_not_show():
    for pretrain in (0.0, 0.2):
        torch._dynamo.reset()
        model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Linear(5, 3))
        opt = torch.optim.SGD(model.parameters(), lr=0.1)
        method = methods.SMART("activation", pretrain=pretrain)
        sp = Sparsifier(model, Unstructured(), method=method, sparsity=0.5, total_steps=10, optimizer=opt)
        compiled = torch.compile(model, backend="eager")
        for i in range(2):
            compiled(torch.ones(4, 6)).sum().backward()
            opt.step()
            if pretrain == 0:
                torch.testing.assert_close(sp.memory["seen.0.weight"], torch.ones(6))
            elif i == 1:
                compiled(torch.ones(4, 6)).sum().backward()
                with pytest.raises(ValueError, match="compile it after that"):
                    opt.step()


def test_windows_of_smart_keep_n_of_m():
    for importance in ("learned", "gradient"):
        model = net()
        opt = sgd(model)
        method = methods.SMART(importance)
        sp = Sparsifier(model, NM(1, 4), method=method, total_steps=12, optimizer=opt, scope="global")
        train(model, opt, 4)
        for i, layer in enumerate(sp.layers):
            soft = sp.memory[f"soft.{i}"].reshape(*layer.views[0].weight.shape, -1).permute(2, 0, 1)
            torch.testing.assert_close(soft.reshape(-1, 4).sum(1), torch.ones(layer.units // 4), rtol=1e-5, atol=0)
        train(model, opt, 10, first=4)
        for layer in sp.layers:
            planes = layer.views[0].weight.parameter.detach().flatten(2) if "conv" in layer.name else None
            w = planes.permute(2, 0, 1) if planes is not None else layer.views[0].weight.parameter.detach()
            assert bool(((w != 0).reshape(-1, 4).sum(1) == 1).all())


@pytest.mark.parametrize("length", [1, 3, 7, 10, 19, 100])
def test_updates_are_as_many_as_asked_for(length):
    for updates in (1, 4, 10, 30):
        found = [Phase("", 5, 5 + length).due(step, updates) for step in range(5, 6 + length)]
        steps = [i for i, count in enumerate(found) if count]
        assert [found[i] for i in steps] == list(range(1, min(updates, length) + 1))
        assert steps[-1] == length
        gaps = {b - a for a, b in itertools.pairwise([0, *steps])}
        assert max(gaps) - min(gaps) <= 1


def test_cubic_gradual_magnitude():
    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt, "Magnitude", "unstructured", total_steps=20)
    train(model, opt, 20)
    steps, values = zip(*sp.history["sparsity"], strict=True)
    wanted = [0.9 * Cubic()(min(step / 15, 1.0)) for step in steps]  # until the fraction 0.75 of the steps
    assert steps[:15] == tuple(range(1, 16))
    assert values == pytest.approx(wanted, abs=1e-3)
