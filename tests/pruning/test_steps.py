"""What happens around and between steps: closures, scalers, several optimisers, half types."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from nets import METHODS, batch, cases, net, sgd, sparsifier, train, wanted  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from sparseopt.pruning import Block, Sparsifier, methods  # noqa: E402

CHANGING = ["SequentialAttention", "Powerpropagation", "SMART", "SMART gradient", "RigL", "ADMM", "SRSTE"]
"""Methods that look at gradients, or change them."""
STEPS = 9


def fused(model):
    return [torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)]


def scaler(enabled=True):
    return torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=10**6, enabled=enabled)


def halves(model):
    """Two optimisers."""
    first = [*model.stem.parameters(), *model.conv.parameters(), *model.first.parameters()]
    known = {id(p) for p in first}
    return [
        torch.optim.SGD(part, lr=0.05, momentum=0.9)
        for part in (first, [p for p in model.parameters() if id(p) not in known])
    ]


def check_same(model, other, **tolerance):
    for (name, a), b in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, **(tolerance or {"rtol": 0, "atol": 0}), msg=name)


@pytest.mark.parametrize("method", cases(CHANGING))
def test_a_closure_is_evaluated_with_the_weights_of_the_layers(method):
    def run(with_closure):
        model = net()
        opt = sgd(model)
        sparsifier(model, opt, method, total_steps=10)
        for i in range(STEPS):
            x, y = batch(i)

            def closure(x=x, y=y):
                opt.zero_grad()
                loss = cross_entropy(model(x), y)
                loss.backward()
                return loss

            if with_closure:
                assert opt.step(closure).item() > 0
            else:
                closure()
                opt.step()
        return model

    check_same(run(True), run(False))


def test_a_closure_by_name_and_one_that_is_evaluated_twice():
    class Twice(torch.optim.SGD):
        def step(self, closure=None):
            closure()
            return super().step(closure)

    x, y = batch()
    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt)
    opt.step(closure=lambda: cross_entropy(model(x), y).backward())
    assert sp.step == 1
    model = net()
    opt = Twice(model.parameters(), lr=0.1)
    sparsifier(model, opt)
    with pytest.raises(ValueError, match="evaluates its closure again"):
        opt.step(lambda: cross_entropy(model(x), y).backward())


@pytest.mark.parametrize(("optimisers_of", "skipped"), [(fused, (2, 3)), (halves, ())])
@pytest.mark.parametrize("method", cases(CHANGING))
def test_optimisers_under_a_scaler(method, optimisers_of, skipped):
    def run(scaled):
        model = net()
        optimisers = optimisers_of(model)
        sp = sparsifier(model, optimisers, method, total_steps=10)
        scale = scaler(scaled)
        for i in range(STEPS):
            x, y = batch(i)
            scale.scale(cross_entropy(model(x), y)).backward()
            if i in skipped:
                model.first.weight.grad.fill_(torch.inf)
            for opt in optimisers:
                if scaled or i not in skipped:
                    scale.step(opt)
                opt.zero_grad()
            scale.update()
        assert sp.step == STEPS - len(skipped)
        return model

    check_same(run(True), run(False), rtol=1e-5, atol=1e-6)  # buffers of the norm see the same batches


@pytest.mark.parametrize("skipped", [0, 1])
@pytest.mark.parametrize("method", cases(CHANGING))
def test_one_of_several_optimisers_is_skipped(method, skipped):
    model = net()
    optimisers = halves(model)
    sp = sparsifier(model, optimisers, method, total_steps=10)
    ruined = (model.first, model.second)[skipped]
    scale = scaler()
    for i in range(STEPS):
        x, y = batch(i)
        scale.scale(cross_entropy(model(x), y)).backward()
        if i == 3:
            ruined.weight.grad.fill_(torch.inf)
        for opt in optimisers:
            scale.step(opt)
            assert not sp.opened  # the layers compute with what they should
            opt.zero_grad()
        scale.update()
    assert sp.step == STEPS - skipped
    train_all(model, optimisers, 3)
    assert {layer.name: int((layer.norms() > 0).sum()) for layer in sp.layers} == wanted(sp) or method == "RigL"


def train_all(model, optimisers, steps):
    for i in range(steps):
        x, y = batch(i)
        cross_entropy(model(x), y).backward()
        for opt in optimisers:
            opt.step()
            opt.zero_grad()


@pytest.mark.parametrize("method", cases(["ACDC", "SMART"]))
def test_fused_sgd_with_momentum(method):
    def run(together):
        model = net()
        opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, fused=together)
        sp = sparsifier(model, opt, method)
        train(model, opt, 22)
        assert sp.finished
        return model

    check_same(run(True), run(False), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", cases(METHODS, ("SMART",)))
def test_the_optimiser_stays_that_of_the_model(method):
    model = net()
    opt = torch.optim.SGD(model.named_parameters(), lr=0.05, momentum=0.9)
    sparsifier(model, opt, method)
    names = [name for name, _ in model.named_parameters()]
    for i in range(22):
        train(model, opt, 1, first=i)
        assert opt.param_groups[0]["param_names"] == names
        assert all(a is b for a, b in zip(opt.param_groups[0]["params"], model.parameters(), strict=True))
        assert set(opt.state) <= set(model.parameters())


@pytest.mark.parametrize("method", cases(METHODS, ("SMART",)))
def test_checkpoints_of_torch_distributed(method):
    from torch.distributed.checkpoint import state_dict as distributed

    pairs = []
    for seed in (0, 1):
        model = net(seed)
        opt = sgd(model)
        pairs.append((model, opt, sparsifier(model, opt, method)))
    (model, opt, sp), (again, other, resumed) = pairs
    train(model, opt, 8)
    states = copy.deepcopy(distributed.get_state_dict(model, opt))  # they share memory with the optimiser
    distributed.set_state_dict(again, other, model_state_dict=states[0], optim_state_dict=states[1])
    resumed.load_state_dict(sp.state_dict())
    train(model, opt, 14, first=8)
    train(again, other, 14, first=8)
    assert sp.step == resumed.step == 22
    check_same(model, again)


def test_importances_under_muon():
    model = net()
    opt = torch.optim.Muon([model.first.weight, model.second.weight], lr=0.01)
    sp = sparsifier(model, opt, "SMART", exclude=["conv"])
    train(model, opt, 20)
    assert sp.sparsity == 0.75


def test_importances_of_half_types_are_trained():
    model = net().to(torch.bfloat16)
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)  # beside 1 too little for bfloat16
    sp = sparsifier(model, opt, "SMART")
    moved = []
    for i in range(10):
        x, y = batch(i)
        cross_entropy(model(x.to(torch.bfloat16)), y).backward()
        opt.step()
        opt.zero_grad()
        if sp.phase.kind == "search":
            moved.append(sp.memory["logits.0"].clone())
    assert bool((moved[0] != moved[-1]).float().mean() > 0.9)


def test_a_state_that_was_cut_changes_nothing():
    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt, "SRSTE")
    train(model, opt, 3)
    state, before = sp.state_dict(), {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name, change in {
        "memory.behind.first.weight": lambda x: x[:5],
        "step": lambda x: x - 100,
    }.items():
        with pytest.raises(ValueError, match="cut short"):
            sp.load_state_dict(state | {name: change(state[name])})
    assert sp.step == 3
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    train(model, opt, 1)


@pytest.mark.parametrize("method", ["Magnitude", "SMART", "GroupLasso"])
def test_a_state_without_one_of_its_entries_is_refused(method):
    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt, method, total_steps=8)
    for steps in (3, 6):  # in the second phase, and in the last one
        train(model, opt, steps)
        state = sp.state_dict()
        for name in [name for name in state if not name.startswith("history.")]:
            with pytest.raises(ValueError, match=r"lacks|other layers or settings|cut short|masks of"):
                sp.load_state_dict({other: value for other, value in state.items() if other != name})
            for wrong in (state[name].double()[None], state[name].flatten()[:0]):
                with pytest.raises(ValueError, match=r"other layers or settings|cut short"):
                    sp.load_state_dict(state | {name: wrong})
        sp.load_state_dict({name: value for name, value in state.items() if not name.startswith("history.")})


def test_weights_that_are_nan_are_nan_beside_those_behind_them():
    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt, "Powerpropagation")
    train(model, opt, 2)
    sp.memory["behind.first.weight"][0, 0] = torch.nan
    with torch.no_grad():
        model.first.weight.mul_(1.5)
    with pytest.raises(ValueError, match="changed between steps"):
        train(model, opt, 1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_units_of_half_types_are_ranked_in_single_precision(dtype):
    torch.manual_seed(0)
    weight = torch.randn(256, 256).to(dtype)  # 256 norms between 14 and 18: bfloat16 has 64 numbers there
    masks = []
    for own in (dtype, torch.float64):
        for method in ("Magnitude", "ADMM"):
            layer = torch.nn.Linear(256, 256, bias=False)
            layer.weight.data = weight.to(own, copy=True)
            model = torch.nn.Sequential(layer, torch.nn.Linear(256, 2).to(own))
            opt = torch.optim.SGD(model.parameters(), lr=0.0)
            sp = Sparsifier(model, Block(16, 16), method=METHODS[method], sparsity=0.5, total_steps=2, optimizer=opt)
            for _ in range(2):
                model(torch.ones(1, 256, dtype=own)).sum().backward()
                opt.step()
            masks.append(sp.masks["0.weight"])
    assert all(torch.equal(mask, masks[0]) for mask in masks)


def test_decay_of_logits_is_optional():
    """With gradients of 0 only decay moves logits."""
    norms = []
    for decay in (None, 0.0):
        model = net()
        opt = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
        method = methods.SequentialAttention(rounds=2, logit_decay=decay)
        sp = Sparsifier(model, Block(4, 4), method=method, sparsity=0.5, total_steps=40, optimizer=opt)
        sp.memory["logits.0"].data.fill_(1.0)
        for _ in range(3):
            for p in model.parameters():
                p.grad = torch.zeros_like(p)
            opt.step()
        norms.append(sp.memory["logits.0"].detach().clone())
    assert torch.allclose(norms[0], torch.full_like(norms[0], 0.99**3))
    assert torch.equal(norms[1], torch.ones_like(norms[1]))
    with pytest.raises(ValueError, match="logit_decay"):
        methods.SequentialAttention(logit_decay=-1.0)


def test_every_process_takes_part_in_the_state(monkeypatch):
    pytest.importorskip("transformers")
    from types import SimpleNamespace

    from sparseopt.pruning.callbacks import trainer_callback

    model = net()
    sp = sparsifier(model, sgd(model))
    called = []
    monkeypatch.setattr(type(sp), "state_dict", lambda self: called.append(self) or {})
    callback = trainer_callback(sp)
    others = SimpleNamespace(global_step=1, is_world_process_zero=False)
    callback.on_save(SimpleNamespace(output_dir="nowhere"), others, None)
    assert called == [sp]
