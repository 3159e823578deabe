"""Weights that somebody else changes: loaded ahead of the first step, changed or moved between steps."""

from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")

from nets import METHODS, batch, cases, net, sgd, sparsifier, train, wanted  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

import sparseopt.pruning.sparsifier as sparsifiers  # noqa: E402

BEHIND = ["SequentialAttention", "Powerpropagation", "SMART", "SRSTE"]
"""Methods that train other weights behind those that the layers compute with."""


@pytest.mark.parametrize("method", cases(METHODS, ("GroupLasso", "SRSTE")))
def test_weights_loaded_ahead_of_the_first_step_count(method):
    def run(late):
        model, source = net(1), net(2)
        if not late:
            model.load_state_dict(source.state_dict())
        opt = torch.optim.SGD(model.parameters(), lr=0.0)
        sp = sparsifier(model, opt, method)
        if late:
            model.load_state_dict(source.state_dict())
        train(model, opt, 22)
        assert sp.finished
        return model

    for a, b in zip(run(True).parameters(), run(False).parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", cases(METHODS, ("GroupLasso", "SRSTE")))
def test_every_method_warns_of_a_pruned_checkpoint(method):
    pruned = net()
    opt = sgd(pruned)
    sparsifier(pruned, opt, total_steps=1)
    train(pruned, opt, 1)
    for late in (False, True):
        model = net(1)
        if not late:
            model.load_state_dict(pruned.state_dict())
        opt = sgd(model)
        sparsifier(model, opt, method)
        if late:
            model.load_state_dict(pruned.state_dict())
        with pytest.warns(UserWarning, match="masks_from_zeros"):
            train(model, opt, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            train(model, opt, 1)


@pytest.mark.parametrize("method", cases(BEHIND))
def test_weights_changed_behind_the_back_of_a_method_are_refused(method):
    model = net()
    opt = sgd(model)
    sparsifier(model, opt, method)
    train(model, opt, 8)
    same = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():  # exchanged for an average, and back
        model.first.weight.mul_(0.5)
        model.first.weight.copy_(same["first.weight"])
    train(model, opt, 1)
    with torch.no_grad():
        model.first.weight.clamp_(-0.01, 0.01)
    with pytest.raises(ValueError, match="changed between steps"):
        train(model, opt, 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("method", cases([*BEHIND, "SMART activation", "ADMM"]))
def test_models_may_be_moved_between_steps(method, dtype):
    for steps in (0, 8):
        model = net()
        opt = sgd(model)
        sp = sparsifier(model, opt, method)
        train(model, opt, steps)
        model.to(dtype).to(memory_format=torch.channels_last)
        for i in range(steps, 21):
            x, y = batch(i)
            cross_entropy(model(x.to(dtype)), y).backward()
            opt.step()
            opt.zero_grad()
        assert {p.dtype for p in model.parameters()} == {dtype}
        assert model.conv.weight.is_contiguous(memory_format=torch.channels_last)
        assert {layer.name: int((layer.norms() > 0).sum()) for layer in sp.layers} == wanted(sp)


@pytest.mark.parametrize("method", cases(BEHIND))
def test_what_goes_by_way_of_data_is_noticed_in_the_end(method, monkeypatch):
    monkeypatch.setattr(sparsifiers, "LOOK_EVERY", 4)
    for already, seen in ((1, 1), (3, 5)):  # steps of the phase
        model = net()
        opt = sgd(model)
        sp = sparsifier(model, opt, method, total_steps=60)
        while sp.phase.kind not in sp.method.soft_kind:
            train(model, opt, 1, first=sp.step)
        train(model, opt, already, first=sp.step)
        with pytest.raises(ValueError, match="changed between steps"):  # noqa: PT012
            while True:
                model.first.weight.data.clamp_(-0.01, 0.01)
                train(model, opt, 1, first=sp.step)
        assert sp.step == sp.phase.start + seen


@pytest.mark.parametrize("method", cases([*BEHIND, "SMART activation"]))
def test_to_look_changes_nothing(method, monkeypatch):
    results = []
    for every in (1000, 2):
        monkeypatch.setattr(sparsifiers, "LOOK_EVERY", every)
        model = net()
        opt = sgd(model)
        sparsifier(model, opt, method, total_steps=12)
        train(model, opt, 14)
        results.append(model.state_dict())
    for name, tensor in results[0].items():
        assert torch.equal(tensor, results[1][name]), name


@pytest.mark.parametrize("method", ["Magnitude", "ADMM", "GroupLasso"])
def test_methods_that_train_the_weights_themselves_go_on_from_what_they_are(method):
    results = []
    for by_data in (False, True):
        model = net()
        opt = sgd(model)
        sp = sparsifier(model, opt, method, total_steps=12)
        train(model, opt, 4)
        for _ in range(3):
            with torch.no_grad():
                (model.first.weight.data if by_data else model.first.weight).clamp_(-0.02, 0.02)
            train(model, opt, 1, first=sp.step)
        train(model, opt, 7, first=sp.step)
        assert sp.finished
        assert float(model.first.weight.detach().abs().max()) < 0.05
        results.append(model.first.weight.detach().clone())
    assert torch.equal(*results)
