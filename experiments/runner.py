"""Runs a study and records its rows, one JSON object a line; an interrupted run continues where it stopped.

A study is a module with a frozen dataclass `Config` and `main(config)`, which yields `Part`s: named pieces of work
whose rows are computed only when asked for, on the backend of the run.  Each part is recorded when it is finished, so
a kill loses only the parts under way, and `read_rows` gives them in the order of the study, the same rows for any
number of workers.  It may have FULL, the config of a long run, and TIMED = True where its rows are times.

The file is append-only.  The key of a row starts with a digest of the config, the sources and the library versions, so
a run whose sources changed starts anew in the same file and never mixes with the old rows; every finished run is closed
by a row of type "run", and `read_rows` returns the last one.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from sparseopt import provenance
from sparseopt.provenance import versions

from .backends import Backend, Joblib

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Part:
    """A piece of a study.  name: unique in the study.  compute: returns its rows, dicts that JSON can hold."""

    name: str
    compute: Callable[[], Iterable[dict[str, Any]]]


@dataclass(frozen=True)
class Run:
    """One study with one config, recorded in `path`.  backend: what computes its parts."""

    study: ModuleType
    config: Any
    path: Path
    backend: Backend = field(default_factory=Joblib)

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.study.__name__.rpartition(".")[2]

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits that stand for config, sources and versions."""
        text = json.dumps([self.name, asdict(self.config), source_digest(self.study), versions()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @cached_property
    def header(self) -> dict[str, Any]:
        """What every row carries besides its key and payload."""
        return {
            "study": self.name,
            "seed": getattr(self.config, "seed", None),
            "config": asdict(self.config),
            "revision": revision(),
            "versions": versions(),
            "device": f"{platform.machine()} CPU",
        }

    def execute(self) -> int:
        """Compute and append what is missing; the number of rows written."""
        from tqdm import tqdm

        start = time.perf_counter()
        known = repair(self.path)
        counts = Counter(row["key"].rpartition("/")[0] for row in known)
        sizes = {row["key"].rpartition("/")[0]: row["rows_in_part"] for row in known}
        parts = list(self.study.main(self.config))
        missing = [i for i, part in enumerate(parts) if counts[self._key(part)] < sizes.get(self._key(part), 1)]
        keys, written = {row["key"] for row in known}, 0
        results = self.backend.results([_Rows(parts[i].compute) for i in missing])
        with self.path.open("a", encoding="utf-8") as file:
            for k, rows in tqdm(results, desc=self.name, unit=" parts", total=len(missing)):
                written += self._record(missing[k], parts[missing[k]], rows, keys, file)
            closed = bool(known) and not missing and known[-1]["key"] == f"{self.digest}/run/0"
            if not closed:
                ending = {"type": "run", "parts": len(parts), "seconds": round(time.perf_counter() - start, 3)}
                self._write(file, f"{self.digest}/run/0", {"rows_in_part": 1} | ending)
        return written

    def _key(self, part: Part) -> str:
        return f"{self.digest}/{part.name}"

    def _record(self, number: int, part: Part, rows: list[dict[str, Any]], keys: set[str], file: Any) -> int:
        named = {f"{self._key(part)}/{i}": row for i, row in enumerate(rows)}
        new = {key: row for key, row in named.items() if key not in keys}
        for key, row in new.items():
            self._write(file, key, {"part": number, "rows_in_part": len(rows)} | row)
        return len(new)

    def _write(self, file: Any, key: str, row: dict[str, Any]) -> None:
        file.write(json.dumps(self.header | {"key": key} | row, allow_nan=False) + "\n")
        file.flush()


@dataclass(frozen=True)
class _Rows:
    """The rows of a part as a list, which can be sent from a worker."""

    compute: Callable[[], Iterable[dict[str, Any]]]

    def __call__(self) -> list[dict[str, Any]]:
        return list(self.compute())


def repair(path: Path) -> list[dict[str, Any]]:
    """The rows of `path`, after cutting off a last line that an interruption left incomplete.

    Makes the folder when there is none.  Raises ValueError when another line is damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return []
    data = path.read_bytes()
    complete = data.rfind(b"\n") + 1
    if complete < len(data):
        os.truncate(path, complete)
    return list(_parse(path, data[:complete]))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of the last finished run in `path`, without its closing row, in the order of the study.

    Raises ValueError, naming the command that makes the file, when it is missing or holds no finished run.
    """
    advice = f"run `python -m experiments run {path.stem}`"
    if not path.exists():
        raise ValueError(f"{path} is missing: {advice}")
    data = path.read_bytes()
    rows = list(_parse(path, data[: data.rfind(b"\n") + 1]))
    closing = [row for row in rows if row.get("type") == "run"]
    if not closing:
        raise ValueError(f"{path} holds no finished run: {advice} again, it continues where it stopped")
    digest = closing[-1]["key"].partition("/")[0]
    found = [row for row in rows if row["key"].startswith(f"{digest}/") and row.get("type") != "run"]
    return sorted(found, key=lambda row: row.get("part", 0))  # stable; older files have no numbers and are in order


def _parse(path: Path, data: bytes) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(data.decode("utf-8").splitlines(), start=1):
        try:
            yield json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"line {number} of {path} is damaged ({error.msg}): delete the file and run again"
            ) from error


def source_digest(study: ModuleType) -> str:
    """Hash of the sources of sparseopt, Python and compiled, of theory and experiments, and of the study."""
    return provenance.source_digest(
        ROOT / "sparseopt", ROOT / "theory", *(ROOT / "experiments").glob("*.py"), Path(str(study.__file__)).resolve()
    )


def revision() -> str:
    """The commit of the checkout, as `sparseopt.provenance.revision` gives it."""
    return provenance.revision(ROOT)
