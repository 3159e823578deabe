"""Steps of soft phases against what they stand for: derivatives against autograd, ADMM against z and u held apart."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from sparseopt import kernels  # noqa: E402
from sparseopt.kernels import Cut, reference  # noqa: E402
from sparseopt.pruning import Block, Sparsifier, methods  # noqa: E402
from sparseopt.pruning.allocation import top  # noqa: E402
from sparseopt.pruning.methods.sequential_attention import _attention  # noqa: E402
from sparseopt.pruning.methods.soft_masks import pulled  # noqa: E402


def drawn(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(17,), (3, 8)])
def test_soft_topk_with_its_derivative_is_that_of_autograd(shape):
    x, g = drawn(*shape).requires_grad_(), drawn(*shape, seed=1)
    f = kernels.soft_topk(x, 5, 0.7)
    found, vjp = kernels.soft_topk_with_vjp(x.detach(), 5, 0.7)
    assert torch.equal(found, f)
    assert torch.equal(vjp(g), torch.autograd.grad(f, x, g)[0])


def test_derivative_of_attention_is_that_of_autograd():
    logits = [3 * drawn(40).requires_grad_(), drawn(7, seed=5).requires_grad_()]  # 3: clipped, above and below
    gs, masks, densities = [drawn(40, seed=1), drawn(7, seed=3)], [drawn(40, seed=2) > -1, drawn(7) < 9], [0.25, 0.5]
    attention = [len(logit) * torch.softmax(logit, 0) for logit in logits]
    values = [a.clamp(d, 1 / d) * mask for a, d, mask in zip(attention, densities, masks, strict=True)]
    assert 0 < int((attention[0] < 0.25).sum()) < 40
    assert bool((attention[0] > 4).any())
    assert not bool(masks[0].all())
    with torch.no_grad():
        found, pull = _attention([logit.detach() for logit in logits], masks, densities)
        pulled = pull(gs)
    for i in range(2):
        torch.testing.assert_close(found[i], values[i], rtol=1e-14, atol=0)
        derivative = torch.autograd.grad(values[i], logits[i], gs[i])[0]
        torch.testing.assert_close(pulled[i], derivative, rtol=1e-12, atol=1e-14)
    first, none = pull([gs[0], None])
    assert none is None
    assert torch.equal(first, pulled[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_products_with_small_gradients(dtype):
    """Of float16 they lie below its smallest number; of bfloat16 they are rounded to it."""
    model = torch.nn.Sequential(torch.nn.Linear(8, 12, bias=False)).to(dtype)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    given = {"sparsity": 0.5, "total_steps": 9, "optimizer": optimiser, "include": ["."], "smallest": 1}
    sp = Sparsifier(model, Block(4, 4), method=methods.SMART(pretrain=0), **given)
    w, g = (1e-3 * drawn(12, 8)).to(dtype), (1e-6 * drawn(12, 8, seed=1)).to(dtype)
    scale = drawn(6, seed=2).float()
    with torch.no_grad():
        model[0].weight.copy_(w)
        model[0].weight.grad = g.clone()
        found = pulled(sp.layers, [scale])[0]
    terms = reference.block_dots(w.double().abs(), g.double().abs(), Cut(4, 4)).flatten()
    kept = dtype if dtype == torch.bfloat16 else torch.float32
    error = (found - reference.block_dots(w.double(), g.double(), Cut(4, 4)).flatten()).abs()
    assert bool((error <= (torch.finfo(kept).eps + 16 * torch.finfo(torch.float32).eps) * terms).all())
    assert torch.equal(model[0].weight.grad, reference.scale_blocks(g, scale.reshape(3, 2, 1), Cut(4, 4)))


@pytest.mark.parametrize("k", [0, 1, 3, 4, 6, 9])
def test_top_of_scores_that_tie(k):
    scores = torch.tensor([2.0, 0.0, 2.0, 5.0, 2.0, 0.0, -1.0, 2.0, 7.0])
    order = sorted(range(9), key=lambda i: (-float(scores[i]), i))
    assert top(scores, k).nonzero().flatten().tolist() == sorted(order[:k])


@pytest.mark.parametrize(
    "scores",
    [
        drawn(3001).float(),
        drawn(3001).round(decimals=1),  # ties
        drawn(3001).sort().values,
        drawn(3001).repeat_interleave(2)[:3001],
        torch.where(torch.arange(3001) % 16 == 0, 5.0, drawn(3001)),  # a sample of every 16th that tells nothing
        torch.where(torch.arange(3001) % 16 == 0, -5.0, drawn(3001)),
        torch.cat([drawn(2990), torch.full((11,), torch.inf)]),
        torch.zeros(3001),
    ],
)
def test_top_of_many_scores(scores):
    for k in (1, 2, 40, 300, 1500, 2999):
        expected = torch.sort(scores, descending=True, stable=True).indices[:k].sort().values
        assert torch.equal(top(scores, k).nonzero().flatten(), expected)


@pytest.mark.parametrize("rule", ["growing", "balanced"])
def test_one_array_is_as_good_as_z_and_u(rule):
    model = torch.nn.Sequential(torch.nn.Linear(8, 6, bias=False).double(), torch.nn.Linear(6, 4, bias=False).double())
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    method = methods.ADMM(rho=0.5, rule=rule, updates=6, until=0.9)
    cut, included = Cut(2, 2), {"include": ["."], "smallest": 1}
    w = model[0].weight.detach().clone()
    sp = Sparsifier(model, Block(2, 2), method=method, sparsity=0.5, total_steps=20, optimizer=optimiser, **included)
    z, u, rho = reference.mask_blocks(w, top_half(w, cut), cut), torch.zeros_like(w), 0.5
    for step in range(1, 18):
        g = drawn(6, 8, seed=step)
        for parameter in model.parameters():
            parameter.grad = drawn(*parameter.shape, seed=step)
        optimiser.step()
        w = w - 0.1 * reference.augment(g, w, z, u, rho)
        if sp.timeline.at(step - 1).due(step, method.updates):
            z, u, _ = reference.admm_update(w, z, u, top_half(w + u, cut), cut)
            assert not bool(((z != 0) & (u != 0)).any())
            assert bool(z.any())
            assert bool(u.any())
            factor = float(sp.memory["rho"]) / rho if "rho" in sp.memory else 1.0
            rho, u = rho * factor, u / factor
        torch.testing.assert_close(model[0].weight.detach(), w, rtol=1e-12, atol=1e-14)
    assert len(sp.history["primal"]) > 3


def top_half(w, cut):
    norms = reference.block_norms(w, cut)
    return norms >= norms.flatten().topk(norms.numel() // 2).values.min()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_soft_topk_with_its_derivative_refuses_what_does_not_belong_to_it(dtype):
    x = drawn(17).to(dtype)
    found, vjp = kernels.soft_topk_with_vjp(x, 5, 0.7)
    assert torch.equal(found, kernels.soft_topk(x, 5, 0.7))
    assert vjp(drawn(17)).dtype == torch.float64  # that of the argument
    with pytest.raises(ValueError, match="shape"):
        vjp(drawn(16).to(dtype))
    found[3] += 1
    with pytest.raises(ValueError, match="changed"):
        vjp(drawn(17).to(dtype))
    x[0] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        kernels.soft_topk_with_vjp(x, 5, 0.7)


def test_importances_that_are_no_numbers_are_refused():
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 4))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    Sparsifier(model, Block(8, 8), method=methods.SMART(pretrain=0), total_steps=10, optimizer=optimiser)
    model(torch.ones(2, 64)).sum().backward()
    model[0].weight.grad[0, 0] = float("nan")
    with pytest.raises(ValueError, match="scores have NaN"):
        optimiser.step()


def test_scores_that_are_infinite_are_ranked_without_a_warning():
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 4))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    sp = Sparsifier(model, Block(8, 8), sparsity=0.5, total_steps=10, optimizer=optimiser)
    scores = torch.cat([torch.full((20,), torch.inf), torch.zeros(24), torch.full((20,), -torch.inf)])
    with torch.no_grad():
        assert sp.choose([scores])[0].nonzero().flatten().tolist() == list(range(32))
