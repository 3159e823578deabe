"""What a verification writes: rows, figure data, and the cache from which an interrupted run continues."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from sparseopt import provenance

from .check import FixedOutcome, Report, Separation
from .extras import extra_versions
from .theorem import Columns, Theorem


def row(report: Report, level: str) -> dict[str, Any]:
    """The JSON row of a report; numbers that are not finite become None.

    worst_margin, tolerance, worst_seed and worst_claim belong to the same evidence.  failure: the first item that keeps
    the verdict from being "holds".  not_run: fixed checks that could not run.
    """
    theorem, worst = report.theorem, report.worst
    evidence = worst.evidence[0] if worst else None
    return {
        "name": theorem.name,
        "ledger": theorem.ledger,
        "title": theorem.title,
        "source": theorem.source,
        "kind": report.kind,
        "statement": theorem.statement,
        "printed": theorem.printed,
        "verdict": report.verdict,
        "expected": theorem.expected,
        "ok": report.ok,
        "failure": report.failure,
        "not_run": list(report.not_run),
        "instances": len(report.accepted),
        "rejected": len(report.trials) - len(report.accepted),
        "worst_margin": number(evidence.margin) if evidence else None,
        "worst_seed": worst.seed if worst else None,
        "worst_claim": evidence.claim if evidence else None,
        "tolerance": number(evidence.tolerance) if evidence else None,
        "seed": report.seed,
        "n": report.n,
        "level": level,
        "seconds": round(report.seconds, 3),
        "hypotheses": [
            {"name": h.name, "statement": h.statement, "necessary": h.necessary, "why": h.why}
            for h in theorem.hypotheses
        ],
        "counterexamples": [_counterexample_row(separation) for separation in report.separations],
        "fixed": [_fixed_row(outcome) for outcome in report.fixed],
        "attacks": _attack_row(report),
        "certificates": _certificate_row(report),
        "revision": provenance.revision(),
        "versions": provenance.versions(),
    }


def verdict_text(row: Mapping[str, Any]) -> str:
    """The verdict of a row, with what was not run."""
    return row["verdict"] + (f", not run: {', '.join(row['not_run'])}" if row["not_run"] else "")


def _counterexample_row(separation: Separation) -> dict[str, Any]:
    case, evidence = separation.counterexample, separation.evidence
    return {
        "drops": case.drops,
        "title": case.title,
        "why": case.why,
        "claim": evidence.claim,
        "separation": number(evidence.lhs - evidence.rhs),
        "tolerance": number(evidence.tolerance),
        "separated": separation.separated,
        "exact": evidence.exact,
    }


def _fixed_row(outcome: FixedOutcome) -> dict[str, Any]:
    evidence = outcome.evidence
    return {
        "name": outcome.fixed.name,
        "margin": number(evidence.margin) if evidence else None,
        "tolerance": number(evidence.tolerance) if evidence else None,
        "passed": evidence.passed if evidence else None,
        "evidence": f"{evidence.claim} (the worst of {outcome.count})" if evidence else outcome.problem,
        "detail": outcome.fixed.detail,
    }


def _attack_row(report: Report) -> dict[str, int] | None:
    attacks = [trial.attack for trial in report.accepted if trial.attack]
    if report.theorem.attack is None:
        return None
    return {"tried": sum(a.tried for a in attacks), "below": sum(a.below for a in attacks)}


def _certificate_row(report: Report) -> dict[str, int] | None:
    answers = [e.certified for trial in report.accepted for e in trial.evidence if e.certified is not None]
    return {"asked": len(answers), "proved": sum(answers)} if answers else None


def number(value: float | Fraction) -> float | None:
    """A JSON number; None for NaN and infinities."""
    result = float(value)
    return result if math.isfinite(result) else None


def curve_rows(theorem: Theorem, seed: int) -> dict[str, dict[str, list[Any]]]:
    """The figure data of a theorem as plain lists of Python numbers and strings."""
    return {
        curve: {name: [_plain(v) for v in values] for name, values in columns.items()}
        for curve, columns in theorem.curves(seed).items()
    }


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def write_curve(path: Path, columns: Columns) -> None:
    """CSV with a header row; floats by repr, so that they are read back exactly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON, written at once so that a killed run leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
    draft.replace(path)


@dataclass(frozen=True)
class Cache:
    """Finished results in a folder, one JSON file each.

    A key is a hash of the request, of every source of sparseopt and theory (Python, compiled, recorded rates), and of
    the versions of libraries and extras, so a result is used again only where running again would give the same.
    """

    folder: Path
    state: str

    @classmethod
    def at(cls, folder: Path) -> Cache:
        """The cache in `folder` for the sources and libraries as they are now."""
        return cls(folder, _state())

    def find(self, name: str, request: Mapping[str, Any]) -> Any:
        """The stored result of `request`; None where there is none, or a damaged one."""
        try:
            return json.loads(self._path(name, request).read_text())
        except (OSError, ValueError):
            return None

    def store(self, name: str, request: Mapping[str, Any], result: Any) -> None:
        """Keep the result of `request`."""
        write_json(self._path(name, request), result)

    def _path(self, name: str, request: Mapping[str, Any]) -> Path:
        key = hashlib.sha256(json.dumps([self.state, name, dict(request)]).encode()).hexdigest()[:20]
        return self.folder / f"{name}-{key}.json"


def _state() -> str:
    sources = provenance.source_digest(provenance.ROOT / "sparseopt", Path(__file__).parent)
    return json.dumps([sources, provenance.versions(), extra_versions()])
