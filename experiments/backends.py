"""Where the parts of a study are computed: processes of this machine, a Dask cluster, or jobs of SLURM.

A backend has `results(calls)`, which yields (index, value) of every call as it finishes, in any order.  Values do not
depend on the backend: every call runs with BLAS on one thread, whose sums have one order.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from theory.extras import require
from theory.pool import one_thread

Call = Callable[[], Any]
NAMES = ("joblib", "dask", "slurm")


class Backend(Protocol):
    """What computes the calls."""

    def results(self, calls: Sequence[Call]) -> Iterator[tuple[int, Any]]:
        """(index, value) of every call, as it finishes."""


@dataclass(frozen=True)
class Joblib:
    """workers: processes of this machine; 1 computes in this process."""

    workers: int = 1

    def results(self, calls: Sequence[Call]) -> Iterator[tuple[int, Any]]:
        """As they finish."""
        if min(self.workers, len(calls)) <= 1:
            yield from map(computed, enumerate(calls))
            return
        joblib = require("joblib")
        run = joblib.Parallel(n_jobs=self.workers, return_as="generator_unordered")
        yield from run(joblib.delayed(computed)(call) for call in enumerate(calls))


@dataclass(frozen=True)
class Dask:
    """address: of a scheduler, such as tcp://host:8786; "" starts `workers` processes on this machine."""

    workers: int = 1
    address: str = ""

    def results(self, calls: Sequence[Call]) -> Iterator[tuple[int, Any]]:
        """As they finish.  Raises OSError where nobody answers at the address."""
        distributed = require("distributed")
        local = {"n_workers": self.workers, "threads_per_worker": 1, "dashboard_address": None}
        with distributed.Client(**({"address": self.address} if self.address else local)) as client:
            futures = client.map(computed, list(enumerate(calls)), pure=False)
            for future in distributed.as_completed(futures):
                yield future.result()


@dataclass(frozen=True)
class Slurm:
    """One array of jobs.  workers: jobs at a time.  folder: of logs and results, seen by all nodes.

    per_job: calls of a job, one after another.  minutes: limit of a job.  partition: "" is the default one.
    cluster: "slurm"; "local" and "debug" of submitit, which need no scheduler, try a study out.
    """

    folder: Path
    workers: int = 1
    per_job: int = 8
    minutes: int = 60
    partition: str = ""
    cluster: str = "slurm"

    def results(self, calls: Sequence[Call]) -> Iterator[tuple[int, Any]]:
        """Job by job, as they finish.  Raises ValueError where SLURM is asked for and not there."""
        if self.cluster == "slurm" and shutil.which("sbatch") is None:
            raise ValueError("sbatch is not on the PATH: log in where jobs are submitted, or take --backend joblib")
        submitit = require("submitit")
        executor = submitit.AutoExecutor(folder=self.folder, cluster=self.cluster)
        executor.update_parameters(name="sparseopt", timeout_min=self.minutes, cpus_per_task=1)
        if self.cluster == "slurm":
            executor.update_parameters(slurm_array_parallelism=self.workers)
            executor.update_parameters(**({"slurm_partition": self.partition} if self.partition else {}))
        numbered = list(enumerate(calls))
        chunks = [numbered[i : i + self.per_job] for i in range(0, len(numbered), self.per_job)]
        for job in submitit.helpers.as_completed(executor.map_array(computed_all, chunks)):
            yield from job.result()


def computed(call: tuple[int, Call]) -> tuple[int, Any]:
    """The index, and what the call returns."""
    index, function = call
    with one_thread():
        return index, function()


def computed_all(calls: Sequence[tuple[int, Call]]) -> list[tuple[int, Any]]:
    """The same for several calls."""
    return [computed(call) for call in calls]
