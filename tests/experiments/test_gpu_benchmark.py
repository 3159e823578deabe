"""The benchmark for CUDA devices, run on the CPU at toy sizes: it needs no GPU to be right."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from experiments.benchmarks import gpu


def test_every_operation_is_timed_and_reported(capsys):
    config = gpu.Config(sizes=((64, 96),), batches=(1, 4), side=64, each=gpu.OperatorConfig(rounds=1, device="cpu"))
    timings = gpu.run(config, with_compile=False)
    gpu.report(config, timings)
    printed = capsys.readouterr().out
    for name in (*gpu.MATRICES_MOVED, "soft top-k"):
        assert f"  {name}: " in printed
        assert {f"64 x 96 {name}: {who}" for who in ("ours", "eager")} <= set(timings)
    assert printed.count("share of copy_") == len(gpu.MATRICES_MOVED)
    assert printed.count("dense / ours") == 4
    assert all(len(seconds) == 1 and seconds[0] > 0 for seconds in timings.values())


def test_without_a_device_nothing_is_measured(monkeypatch, capsys):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    monkeypatch.setattr("sys.argv", ["gpu"])
    with pytest.raises(SystemExit, match="1"):
        gpu.main()
    assert "no CUDA device" in capsys.readouterr().err
