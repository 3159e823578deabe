"""What a Sparsifier refuses, in one sentence and before anything is changed."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

from nets import batch, net, sgd, sparsifier, train  # noqa: E402

from sparseopt.pruning import Block, Pattern, Sparsifier, Unstructured, methods  # noqa: E402

BAD = {
    "sparsity": ({"sparsity": 1.0}, "0 <= sparsity < 1"),
    "negative sparsity": ({"sparsity": -0.1}, "0 <= sparsity < 1"),
    "scope": ({"scope": "model"}, "scope"),
    "steps": ({"total_steps": 0}, "total_steps"),
    "expression": ({"exclude": ["("]}, "regular expression"),
    "one string": ({"exclude": "head"}, "list"),
    "everything excluded": ({"exclude": ["."]}, "nothing is left"),
    "less than one block": ({"sparsity": 0.999}, "less than one"),
    "no optimiser": ({"optimizer": None}, "optimizer is None"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_leave_the_model_as_it_was(case):
    given, message = BAD[case]
    model = net()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=message):
        sparsifier(model, sgd(model), **given)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert all("forward" not in module.__dict__ for module in model.modules())


def test_bad_models_methods_and_states():
    model = net()
    with pytest.raises(ValueError, match="does not own"):
        sparsifier(model, sgd(net()))
    with pytest.raises(ValueError, match="larger than the layer"):
        Sparsifier(model, Block(128, 128), total_steps=5, optimizer=sgd(model))
    with pytest.raises(ValueError, match="scope"):
        sparsifier(model, sgd(model), "SequentialAttention", scope="global")
    with pytest.raises(ValueError, match="counted"):
        sparsifier(model, sgd(model), "SMART", "pattern")
    with pytest.raises(ValueError, match="counted"):
        sparsifier(model, sgd(model), "RigL", "2:4")
    with pytest.raises(ValueError, match="leave sparsity out"):
        sparsifier(model, sgd(model), "SRSTE", "2:4", sparsity=0.9)
    with pytest.raises(ValueError, match="start"):
        methods.SMART(start=0.0)
    with pytest.raises(ValueError, match="1e-290 <= end"):
        methods.SMART(end=1e-300)
    with pytest.raises(ValueError, match="instance"):
        Sparsifier(model, Unstructured(), method=methods.SMART, total_steps=5, optimizer=sgd(model))
    meta = torch.nn.Sequential(torch.nn.Linear(64, 64, device="meta"))
    with pytest.raises(ValueError, match="meta"):
        Sparsifier(meta, Unstructured(), total_steps=5, optimizer=sgd(meta))
    ruined = net()
    ruined.first.weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        sparsifier(ruined, sgd(ruined))
    expanded = net()
    expanded.first.weight = torch.nn.Parameter(torch.randn(1, 64).expand(32, 64))
    with pytest.raises(ValueError, match=r"share memory: give its module a \.clone"):
        sparsifier(expanded, sgd(expanded))
    sp = sparsifier(model, sgd(model))
    other = net()
    with pytest.raises(ValueError, match="other layers or settings"):
        sp.load_state_dict(sparsifier(other, sgd(other), granularity="channel").state_dict())
    with pytest.raises(ValueError, match="lacks"):
        sp.load_state_dict({})


@pytest.mark.parametrize("method", ["Magnitude", "SMART", "SMART weight"])
def test_nan_gradients_are_reported_when_masks_are_chosen(method):
    model = net()
    opt = sgd(model)
    sparsifier(model, opt, method, total_steps=1)
    model.first.weight.grad = torch.full_like(model.first.weight, torch.nan)
    with pytest.raises(ValueError, match="not finite"):
        opt.step()


def test_nan_gradients_are_reported_when_units_are_exchanged():
    for size in (torch.nan, torch.inf):  # inf of the gradient is NaN in the momentum of the next step
        model = net()
        opt = sgd(model)
        sparsifier(model, opt, "RigL", total_steps=4)
        for parameter in (model.conv.weight, model.first.weight, model.second.weight):
            parameter.grad = torch.full_like(parameter, size)
        with pytest.raises(ValueError, match="not finite"):
            [opt.step() for _ in range(3)]


def test_states_know_patterns_and_not_addresses():
    def state(granularity, method):
        model = net()
        return Sparsifier(model, granularity, method=method, total_steps=5, optimizer=sgd(model))

    libraries = [[[[1, 0], [1, 0]], other] for other in ([[0, 1], [0, 1]], [[1, 1], [0, 0]])]
    one, other = (state(Pattern(library), methods.SRSTE()) for library in libraries)
    with pytest.raises(ValueError, match="other layers or settings"):
        one.load_state_dict(other.state_dict())
    one, other = (state(Block(4, 4), methods.Magnitude(growth=lambda t: t)) for _ in range(2))
    one.load_state_dict(other.state_dict())


@pytest.mark.parametrize("method", ["SMART", "ADMM"])
def test_states_with_nan(method):
    model = net()
    sp = sparsifier(model, sgd(model), method, total_steps=4)
    train(model, sp.optimisers.all[0], 1)
    state, before = sp.state_dict(), sp.state_dict()
    name = next(name for name in state if name.startswith("memory.") and state[name].is_floating_point())
    state[name].view(-1)[-1] = torch.nan
    with pytest.raises(ValueError, match=f"NaN in {name}"):
        sp.load_state_dict(state)
    assert all(torch.equal(x, sp.state_dict()[name]) for name, x in before.items())


def test_a_search_over_several_devices():
    places = [SimpleNamespace(parameter=torch.empty(1, device=place)) for place in ("cpu", "meta")]
    sp = SimpleNamespace(weights=places, counted=True, allocation=SimpleNamespace(scope="global"))
    with pytest.raises(ValueError, match=r"cpu, meta.*one device"):
        methods.SMART().check(sp)
    sp.allocation.scope = "layer"
    methods.SMART().check(sp)


def test_two_sparsifiers_of_one_optimiser():
    model = net()
    opt = sgd(model)
    one = sparsifier(model, opt, "SMART", exclude=["second"])
    with pytest.raises(ValueError, match="another Sparsifier"):
        sparsifier(model, opt)
    two = sparsifier(model, opt, "SRSTE", "2:4", exclude=["conv", "first"])
    train(model, opt, 22)
    assert [layer.name for layer in one.layers] == ["conv.weight", "first.weight"]
    assert one.sparsity == 0.75
    assert two.sparsity == 0.5
    one.fold()
    two.fold()
    sparsifier(model, opt)


def test_two_sparsifiers_of_different_optimisers():
    model = net()
    first = torch.optim.SGD([*model.conv.parameters(), *model.first.parameters()], lr=0.05)
    known = {id(p) for p in [*model.conv.parameters(), *model.first.parameters()]}
    second = torch.optim.Adam([p for p in model.parameters() if id(p) not in known], lr=1e-3)
    every = sgd(model)  # which owns the weights of both
    one = sparsifier(model, first, "SMART", exclude=["second"])
    two = sparsifier(model, second, "ADMM", exclude=["conv", "first"])
    before = copy.deepcopy(model.state_dict())
    for exclude in (["second"], ["conv", "first"]):
        with pytest.raises(ValueError, match="another Sparsifier"):
            sparsifier(model, every, exclude=exclude)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert not every._optimizer_step_pre_hooks
    for i in range(22):
        x, y = batch(i)
        torch.nn.functional.cross_entropy(model(x), y).backward()
        first.step()
        second.step()
        model.zero_grad()
    assert one.finished
    assert two.finished
    assert one.sparsity == two.sparsity == 0.75
    one.fold()
    sparsifier(model, every, exclude=["second"])


def test_a_sparsifier_that_was_dropped_is_in_nobodys_way():
    model = net()
    sparsifier(model, sgd(model), "SMART")  # it and its optimiser know each other
    sparsifier(model, sgd(model))


def test_inputs_that_cannot_be_seen_are_refused_at_the_start():
    model = torch.nn.TransformerEncoderLayer(32, 4, 64)
    opt = sgd(model)
    with pytest.raises(ValueError, match="cannot be measured"):
        Sparsifier(model, Block(4, 4), method=methods.SMART("activation"), total_steps=50, optimizer=opt)
    assert not any(module._forward_pre_hooks for module in model.modules())
