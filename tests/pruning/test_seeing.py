"""Progress bars, pictures and scalars show what the Sparsifier did."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from nets import net, sgd, sparsifier, train  # noqa: E402


@pytest.fixture(scope="module")
def pruned():
    model = net()
    opt = sgd(model)
    sp = sparsifier(model, opt, "SMART", total_steps=10)
    train(model, opt, 12)
    return sp


def test_recorded_sparsity_is_the_true_one(pruned):
    steps, values = zip(*pruned.history["sparsity"], strict=True)
    assert steps == (7,)  # pretrain 0.1, search 0.6
    assert values[-1] == pytest.approx(pruned.sparsity)
    for method, kinds in (("ACDC", {0.0, 0.75}), ("SRSTE", {0.75})):
        model = net()
        opt = sgd(model)
        sp = sparsifier(model, opt, method, total_steps=10)
        train(model, opt, 8)
        assert {round(value, 6) for _, value in sp.history["sparsity"]} == kinds


def test_scalars(pruned):
    scalars = pruned.scalars()
    assert scalars["sparsity"] == pruned.sparsity
    assert {f"sparsity/{row.name}": row.sparsity for row in pruned.report().rows}.items() <= scalars.items()
    assert scalars["temperature"] == pruned.history["temperature"][-1][1] > 0
    assert all(isinstance(value, float) for value in scalars.values())


def test_picture(pruned):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    figure = pruned.plot()
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == [*(layer.name for layer in pruned.layers), *pruned.history]
    image = figure.axes[1].images[0].get_array()
    assert image.mean() == pytest.approx(1 - pruned.report().rows[1].sparsity)
    line = figure.axes[-1].lines[0]
    assert list(line.get_xdata()) == [step for step, _ in pruned.history[titles[-1]]]
    with pytest.raises(ValueError, match="name some of"):
        pruned.plot(["nowhere"])
    matplotlib.pyplot.close("all")


def test_bars_for_phases_where_they_are_asked_for(capsys):
    pytest.importorskip("tqdm")
    for progress in (None, True):
        model = net()
        opt = sgd(model)
        sparsifier(model, opt, "SMART", total_steps=10, progress=progress)
        train(model, opt, 12)
        text = capsys.readouterr().err
        if progress is None:
            assert text == ""
    for phase, steps in (("dense", 1), ("search", 6), ("sparse", 3)):
        assert f"{phase}: 100%" in text
        assert f"{steps}/{steps}" in text
    model = net()
    with pytest.raises(ValueError, match="progress"):
        sparsifier(model, sgd(model), progress="yes")
