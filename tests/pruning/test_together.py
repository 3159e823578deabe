"""Layers in one compiled call, as they lie in memory, against copies that are worked on one by one."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from sparseopt import kernels  # noqa: E402
from sparseopt._native import HAS_NATIVE  # noqa: E402
from sparseopt.pruning import Block, Sparsifier, methods, together  # noqa: E402

CHOSEN = {
    "masks": methods.Magnitude(end=0.2),
    "SMART": methods.SMART(pretrain=0, search=1),
    "attention": methods.SequentialAttention(warmup=0.2),
    "powers": methods.Powerpropagation(until=1),
    "straight": methods.SRSTE(until=1),
}


class Seen(TorchDispatchMode):
    """Lets every operation through."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def trained(method, *, idle=False, channels_last=False, mode=None):
    """Weights after some steps; idle: the first layer never has a gradient."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(6, 7, 3), torch.nn.Flatten(), torch.nn.Linear(28, 9), torch.nn.Linear(9, 4)
    )
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    given = {"sparsity": 0.5, "total_steps": 20, "optimizer": optimiser, "include": ["."], "smallest": 1}
    sp = Sparsifier(model, Block(3, 2), method=method, **given)
    for step in range(8):
        generator = torch.Generator().manual_seed(step)
        for i, parameter in enumerate(model.parameters()):
            parameter.grad = None if idle and i < 2 else torch.randn(parameter.shape, generator=generator)
        if mode is None:
            optimiser.step()
        else:
            with mode:
                optimiser.step()
    return [parameter.detach().clone() for parameter in model.parameters()], sp


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("idle", [False, True])
def test_as_they_lie_or_one_by_one(name, idle, monkeypatch):
    found, sp = trained(CHOSEN[name], idle=idle)
    assert sp.layers.views.cuts is not None
    monkeypatch.setattr(kernels.Cuts, "dense", staticmethod(lambda *_: False))
    expected, _ = trained(CHOSEN[name], idle=idle)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    start, _ = trained(CHOSEN[name], idle=True)
    assert torch.equal(start[0], found[0]) == idle


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("columns", [8, 16])
def test_masks_that_change_within_the_pass_for_the_norms(dtype, every, columns, monkeypatch):
    """Blocks with taps, cut off, and of whole lines of the cache, to the bits of two passes."""

    def run():
        torch.manual_seed(0)
        layers = torch.nn.Conv2d(20, 40, 3), torch.nn.Flatten(), torch.nn.Linear(40, 64), torch.nn.Linear(64, 32)
        model = torch.nn.Sequential(*layers).to(dtype)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        given = {"sparsity": 0.6, "total_steps": 12, "optimizer": optimiser, "include": ["."], "smallest": 1}
        method = methods.SRSTE(pull=1e-2, until=0.75, every=every)
        sp, states = Sparsifier(model, Block(16, columns), method=method, **given), []
        for step in range(12):
            if step == 5:  # goes on from a state
                sp.load_state_dict(sp.state_dict())
            generator = torch.Generator().manual_seed(step)
            for parameter in model.parameters():
                parameter.grad = torch.randn(parameter.shape, dtype=dtype, generator=generator)
            optimiser.step()
            states += [parameter.detach().clone() for parameter in model.parameters()]
        return states, sp.history["flips"]

    found, flips = run()
    monkeypatch.setattr(together, "masked_norms", lambda *_: None)
    expected, also = run()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert flips == also
    assert max(number for _, number in flips) > 0


def test_a_mode_or_another_order_of_memory():
    expected, _ = trained(CHOSEN["SMART"])
    for given in ({"mode": Seen()}, {"channels_last": True}):
        found, _ = trained(CHOSEN["SMART"], **given)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.skipif(not HAS_NATIVE, reason="nothing is compiled")
def test_what_is_dense():
    w = torch.ones(4, 6, 2, 2)
    with torch.no_grad():
        assert kernels.Cuts.dense([w, torch.nn.Parameter(w)], [w])
        for other in (w.half(), w.double(), w.to(memory_format=torch.channels_last), w.to("meta")):
            assert not kernels.Cuts.dense([w], [other])
        with Seen():
            assert not kernels.Cuts.dense([w])
    assert not kernels.Cuts.dense([w])  # autograd looks on


class Own(torch.Tensor):
    """Of a class of its own."""


@pytest.mark.skipif(not HAS_NATIVE, reason="no compiled core")
@pytest.mark.parametrize("wrong", ["entries", "values", "subclass", "count", "gaps", "dtype"])
def test_cuts_are_checked_against_what_they_are_given_with(wrong):
    cuts = kernels.Cuts([kernels.Cut(3, 2)] * 2, [(6, 4), (6, 8)])
    ws, scales = [torch.ones(6, 4), torch.ones(6, 8)], [torch.ones(4), torch.ones(8)]
    with torch.no_grad():
        kernels.foreach_scale_blocks_(ws, [2 * scale for scale in scales], cuts)
        assert all((w == 2).all() for w in ws)
        if wrong == "entries":
            ws[1] = torch.ones(6, 6)
        elif wrong == "values":
            scales[0] = torch.ones(3)
        elif wrong == "subclass":
            scales[0] = scales[0].as_subclass(Own)
        elif wrong == "count":
            ws, scales = ws[:1], scales[:1]
        elif wrong == "gaps":
            ws[1] = torch.ones(8, 6).T
        else:
            ws[1] = ws[1].double()
        with pytest.raises(ValueError, match=r"give a list of cuts instead|the cuts ask for"):
            kernels.foreach_scale_blocks_(ws, scales, cuts)


@pytest.mark.skipif(not HAS_NATIVE, reason="no compiled core")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cuts_do_not_change_how_gradients_are_attracted(dtype):
    generator = torch.Generator().manual_seed(0)
    shapes = [(6, 4), (40, 24, 3, 3)]
    cuts = kernels.Cuts([kernels.Cut(3, 2), kernels.Cut(16, 8, 9)], [(6, 4), (40, 216)])
    g, w, z = ([torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes] for _ in range(3))
    expected = [x.flatten(1).clone() for x in g]
    with torch.no_grad():
        kernels.foreach_attract_(expected, [x.flatten(1) for x in w], [x.flatten(1) for x in z], 0.3)
        kernels.foreach_attract_(g, w, z, 0.3, cuts)
    assert all(torch.equal(a.flatten(1), b) for a, b in zip(g, expected, strict=True))
