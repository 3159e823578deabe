"""DDP and FSDP2 with 2 and 3 processes prune as one process does."""

from __future__ import annotations

import multiprocessing
import os
import socket

import pytest

torch = pytest.importorskip("torch")

import parallel_worker  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without distributed"),
]
ROUNDING = 1e-9
"""Weights of order 1 in float64: sums over processes are in another order, a few hundred operations long."""


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def started(size, folder, cases, begin=None):
    """Results of every process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["parallel_worker", "torch.distributed.tensor.parallel"])
    os.environ["MASTER_PORT"] = str(free_port())
    processes = [
        context.Process(target=parallel_worker.process, args=(rank, size, str(folder), cases, begin))
        for rank in range(size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    assert [process.exitcode for process in processes] == [0] * size
    return [torch.load(folder / f"{size}-{rank}.pt") for rank in range(size)]


CASES = {2: parallel_worker.CASES[::2], 3: parallel_worker.CASES[1::4]}
"""torchrun with the worker runs all of them."""


def check_same(found, wanted, message):
    assert found["sparsity"] == wanted["sparsity"]
    for name, mask in wanted["masks"].items():
        assert torch.equal(found["masks"][name], mask), (message, name)
    for name, weight in wanted["weights"].items():
        torch.testing.assert_close(found["weights"][name], weight, rtol=0, atol=ROUNDING, msg=message)


@pytest.mark.parametrize("size", [2, 3])
def test_as_one_process(size, tmp_path):
    cases = CASES[size]
    single = {case: parallel_worker.run("single", *case) for case in cases}
    for results in started(size, tmp_path, cases):
        refused = results.pop("refused")
        assert len(results) == 2 * len(cases)
        for (how, *case), found in results.items():
            wanted = single[tuple(case)]
            check_same(found, wanted, f"{how} {case}")
        if size == 2:
            assert "Shard(dim=1)" in refused[0]
            assert "exclude the layer" in refused[1]
            assert "use fully_shard" in refused[2]
            assert "after fully_shard" in refused[3]


MOVED = [("SMART", "odd block"), ("ADMM balanced", "odd block"), ("SRSTE", "odd block"), ("Magnitude", "block")]


def test_other_numbers_of_processes_go_on(tmp_path):
    begin = tmp_path / "states"
    begin.mkdir()
    single = {case: parallel_worker.run("single", *case) for case in MOVED}
    for size in (2, 3):  # the first ones write, the others go on
        for results in started(size, tmp_path, MOVED, str(begin)):
            for case in MOVED:
                check_same(results["fsdp", *case], single[case], f"{size} processes: {case}")
    for case in MOVED:
        check_same(parallel_worker.run("single", *case, begin), single[case], f"one process: {case}")
