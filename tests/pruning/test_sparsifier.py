"""Sparsity is exact, nothing revives, names stay: for every method and granularity."""

from __future__ import annotations

import copy
import io
import pickle

import pytest

torch = pytest.importorskip("torch")

from nets import COUNTED, GRANULARITIES, METHODS, PRUNED, adamw, batch, net, sgd, sparsifier, train, wanted  # noqa: E402

from sparseopt.pruning import Head, Sparsifier, methods  # noqa: E402

CASES = (
    [(method, "block") for method in METHODS]
    + [
        (method, granularity)
        for method in ("Magnitude", "SRSTE", "ADMM")
        for granularity in GRANULARITIES
        if granularity != "block"
    ]
    + [("SMART", "2:4"), ("SMART activation", "2:4")]
)
SLOW_CASES = [
    (method, granularity) for method in METHODS for granularity in COUNTED if (method, granularity) not in CASES
]


def check_exact(method, granularity, optimiser):
    model = net()
    names, identities = set(model.state_dict()), [id(p) for p in model.parameters()]
    opt = optimiser(model)
    sp = sparsifier(model, opt, method, granularity)
    train(model, opt, 20)
    assert sp.finished
    masks = {layer.name: sp.masks[layer.name].clone() for layer in sp.layers}
    if sp.counted:
        assert {name: int(mask.sum()) for name, mask in masks.items()} == wanted(sp)
    before = sp.sparsity
    zero = {name: dict(model.named_parameters())[name] == 0 for name in (layer.name for layer in sp.layers)}
    train(model, opt, 5, first=20)
    assert not any(bool(layer.norms()[~masks[layer.name]].any()) for layer in sp.layers), "revived"
    for name, was_zero in zero.items() if method != "RigL" else ():  # whose grown units fill up later
        assert bool((dict(model.named_parameters())[name][was_zero] == 0).all()), "revived"
    dropped = sum(int(layer.sizes[~masks[layer.name]].sum()) for layer in sp.layers)
    wanted_sparsity = dropped / sum(layer.entries for layer in sp.layers)
    if method == "RigL":  # entries of dead outputs in grown units stay 0
        assert all(bool(((norms > 0) == masks[x.name]).all()) for x, norms in zip(sp.layers, sp.norms(), strict=True))
        assert sp.sparsity >= wanted_sparsity
    else:
        assert sp.sparsity == before == pytest.approx(wanted_sparsity)
    folded = sp.fold()
    assert set(folded.state_dict()) == names
    assert [id(p) for p in folded.parameters()] == identities
    assert all("forward" not in module.__dict__ for module in folded.modules())
    assert all(bool(torch.isfinite(p).all()) for p in folded.parameters())


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(("method", "granularity"), CASES)
def test_exact_and_nothing_revives(method, granularity):
    check_exact(method, granularity, sgd)


@pytest.mark.slow
@pytest.mark.parametrize("optimiser", [sgd, adamw])
@pytest.mark.parametrize(("method", "granularity"), CASES + SLOW_CASES)
def test_exact_for_every_pair(method, granularity, optimiser):
    check_exact(method, granularity, optimiser)


@pytest.mark.parametrize("method", ["Magnitude", "SMART", "ADMM", "SRSTE"])
def test_a_global_budget_is_met_together(method):
    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt, method, scope="global", sparsity=0.8)
    train(model, opt, 20)
    units, kept = sum(x.units for x in sp.layers), sum(int(mask.sum()) for mask in sp.masks.values())
    assert kept == units - int(0.8 * units + 0.5)
    assert len({float(mask.float().mean()) for mask in sp.masks.values()}) > 1


def test_which_layers_are_pruned_and_why_not():
    model = net()
    sp = sparsifier(model, sgd(model))
    assert [layer.name for layer in sp.layers] == PRUNED
    reasons = {item.name: item.reason for item in sp.skipped}
    assert reasons["stem.weight"] == "stem"
    assert reasons["head.weight"] == "head"
    assert "depthwise" in reasons["depthwise.weight"]
    table = str(sp.report())
    assert all(name in table for name in [*PRUNED, *reasons])
    sp.fold()
    sp = sparsifier(model, sgd(model), exclude=["^first$"], include=["head"])
    assert [layer.name for layer in sp.layers] == ["conv.weight", "second.weight", "head.weight"]


def test_frozen_and_tied_weights_stay_dense():
    model = net()
    model.first.weight.requires_grad_(False)
    model.extra = torch.nn.Linear(32, 32)
    model.extra.weight = model.second.weight
    sp = sparsifier(model, sgd(model))
    reasons = {item.name: item.reason for item in sp.skipped}
    assert reasons["first.weight"] == "frozen"
    assert "tied to extra.weight" in reasons["second.weight"]
    with pytest.raises(ValueError, match="one shared parameter"):
        sparsifier(model, sgd(model), include=["extra"])


def test_sparsity_given_per_layer():
    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt, sparsity={"conv": 0.5, ".": 0.75})
    train(model, opt, 20)
    assert [row.sparsity for row in sp.report().rows] == [0.5, 0.75, 0.75]


@pytest.mark.parametrize("method", ["Magnitude", "SMART activation", "Powerpropagation", "SRSTE"])
def test_copies_and_pickles_in_every_phase(method):
    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt, method)
    x, _ = batch()
    for steps in (0, 8, 12):
        train(model, opt, steps)
        model.eval()
        expected = model(x)
        buffer = io.BytesIO()
        torch.save(model, buffer)
        buffer.seek(0)
        copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(buffer, weights_only=False)]
        for other in copies:
            assert torch.equal(other(x), expected)
        model.train()
    assert sp.finished


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("method", METHODS)
def test_resume_is_bitwise(method):
    whole, part, resumed = (net() for _ in range(3))
    optimisers = [sgd(whole), sgd(part), sgd(resumed)]
    sparsifiers = [sparsifier(m, o, method) for m, o in zip((whole, part, resumed), optimisers, strict=True)]
    for stop, order in zip((3, 9, 14, 19), [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)], strict=True):
        train(part, optimisers[1], stop - sparsifiers[1].step, first=sparsifiers[1].step)
        saved = io.BytesIO()
        torch.save([sparsifiers[1].state_dict(), part.state_dict(), optimisers[1].state_dict()], saved)
        saved.seek(0)
        states = torch.load(saved, weights_only=True)
        resumed = net(1)
        opt = sgd(resumed)
        sp = sparsifier(resumed, opt, method)
        owners = (sp, resumed, opt)
        for i in order:
            owners[i].load_state_dict(states[i])
        train(whole, optimisers[0], stop + 2 - sparsifiers[0].step, first=sparsifiers[0].step)
        train(resumed, opt, 2, first=stop)
        for (name, a), b in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
            assert torch.equal(a, b), (stop, name)
        train(part, optimisers[1], 2, first=stop)


def test_the_state_fits_safetensors(tmp_path):
    pytest.importorskip("safetensors")
    from safetensors.torch import load_file, save_file

    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt, "SMART")
    train(model, opt, 6)
    save_file(sp.state_dict(), tmp_path / "sparse.safetensors")
    sp.load_state_dict(load_file(tmp_path / "sparse.safetensors"))
    assert sp.step == 6


def test_a_pruned_checkpoint_without_its_state():
    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt)
    train(model, opt, 20)
    again = net(1)
    other = sgd(again)
    new = sparsifier(again, other)
    again.load_state_dict(model.state_dict())
    with pytest.warns(UserWarning, match="masks_from_zeros"):
        train(again, other, 1)
    again.load_state_dict(model.state_dict())
    new.masks_from_zeros()
    train(again, other, 3)
    assert new.finished
    assert new.sparsity == sp.sparsity
    fresh = net()
    with pytest.raises(ValueError, match="no unit is 0"):
        sparsifier(fresh, sgd(fresh)).masks_from_zeros()


def test_a_moving_average_is_pruned_too():
    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt)
    average = copy.deepcopy(model)
    for i in range(24):
        train(model, opt, 1, first=i)
        for a, b in zip(average.parameters(), model.parameters(), strict=True):
            a.data.lerp_(b.data, 0.1)
    assert bool((average.first.weight != 0).all())
    sp.apply_to(average)
    assert torch.equal(average.first.weight == 0, model.first.weight == 0)
    with pytest.raises(ValueError, match="no parameter"):
        sp.apply_to(torch.nn.Linear(2, 2))


def test_steps_are_those_of_the_optimiser():
    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt, total_steps=4)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for i in range(4):
        x, y = batch(i)
        for _ in range(2):  # accumulated
            scaler.scale(torch.nn.functional.cross_entropy(model(x), y)).backward()
        if i == 1:
            model.first.weight.grad.fill_(torch.inf)
        scaler.step(opt)
        scaler.update()
        opt.zero_grad()
    assert sp.step == 3


@pytest.mark.parametrize("method", ["SMART", "SequentialAttention"])
def test_a_gradient_scaler_does_not_change_the_masks(method):
    results = []
    for scale in (None, 256.0):
        model = net()
        opt = sgd(model)
        sparsifier(model, opt, method)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale or 1.0, enabled=scale is not None, growth_interval=10**6)
        for i in range(8):
            x, y = batch(i)
            scaler.scale(torch.nn.functional.cross_entropy(model(x), y)).backward()
            scaler.step(opt)
            scaler.update()
            opt.zero_grad()
        results.append(model)
    for a, b in zip(*(model.parameters() for model in results), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_several_optimisers_and_schedulers():
    model = net()
    convolutions = torch.optim.SGD([*model.stem.parameters(), *model.conv.parameters()], lr=0.1, momentum=0.9)
    known = {id(p) for group in convolutions.param_groups for p in group["params"]}
    others = torch.optim.AdamW([p for p in model.parameters() if id(p) not in known], lr=1e-3)
    sp = sparsifier(model, [convolutions, others], "SMART", scope="global")
    schedulers = [torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=25) for o in (convolutions, others)]
    for i in range(24):
        x, y = batch(i)
        torch.nn.functional.cross_entropy(model(x), y).backward()
        for item in (convolutions, others, *schedulers):
            item.step()
        model.zero_grad()
    assert sp.finished
    assert sp.step == 24
    assert sp.sparsity > 0.5


def test_channels_last():
    model = net().to(memory_format=torch.channels_last)
    opt = sgd(model)
    sp = sparsifier(model, opt, "SMART")
    train(model, opt, 22)
    assert sp.report().rows[0].sparsity == 0.75
    assert model.conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_heads_of_torch_attention():
    for method in (methods.Magnitude(), methods.SMART(), methods.GroupLasso()):
        torch.manual_seed(0)
        model = torch.nn.TransformerEncoderLayer(32, 8, 64, dropout=0.0, batch_first=True)
        opt = torch.optim.SGD(model.parameters(), lr=0.1)
        sp = Sparsifier(model, Head(), method=method, sparsity=0.5, total_steps=10, optimizer=opt)
        for _ in range(12):
            model(torch.randn(2, 5, 32)).pow(2).mean().backward()
            opt.step()
            opt.zero_grad()
        sp.fold()
        rows = model.self_attn.in_proj_weight.reshape(3, 8, -1).abs().sum(2) == 0
        columns = model.self_attn.out_proj.weight.reshape(32, 8, 4).abs().sum((0, 2)) == 0
        assert int(columns.sum()) == 4
        assert bool((rows == columns).all())


def test_compiled_models_train():
    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt, "SMART", total_steps=6)
    compiled = torch.compile(model, backend="aot_eager")
    train(compiled, opt, 7)
    assert sp.sparsity == 0.75
