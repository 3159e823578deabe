"""Checks a theorem: random instances, fixed ones, counterexamples; and says when the check itself is worth nothing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .pool import Timed, in_order
from .theorem import Attack, Counterexample, Evidence, Fixed, Theorem

HOLDS, FAILS, VACUOUS, POWERLESS = "holds", "fails", "vacuous", "powerless"
SAMPLED = "sampled"

SMALLEST_CHUNK, MOST_CHUNKS = 4, 128
"""Instances that a worker takes at a time are at least so many; of a theorem there are at most so many chunks."""


@dataclass(frozen=True)
class Trial:
    """One random instance.  evidence: worst first, empty where a hypothesis does not hold (rejected)."""

    seed: int
    evidence: tuple[Evidence, ...]
    attack: Attack | None = None


@dataclass(frozen=True)
class Separation:
    """What a counterexample did.  evidence: the conclusion that fails.  alone: it violates its hypothesis only.

    broken: it ended with an error, which the evidence names.
    """

    counterexample: Counterexample
    evidence: Evidence
    alone: bool
    broken: bool = False

    @property
    def separated(self) -> bool:
        """Whether it shows that the hypothesis is needed."""
        return self.alone and self.evidence.separated


@dataclass(frozen=True)
class FixedOutcome:
    """What a fixed check did.  evidence: the worst, None when it could not run.  problem: why not."""

    fixed: Fixed
    evidence: Evidence | None
    count: int
    problem: str = ""


@dataclass(frozen=True)
class Report:
    """Everything a check found; the verdict follows from it.

    seconds: spent by all workers together.  allow_missing: whether fixed checks that could not run, for want of a
    library, are accepted.
    """

    theorem: Theorem
    n: int
    seed: int
    trials: tuple[Trial, ...]
    fixed: tuple[FixedOutcome, ...]
    separations: tuple[Separation, ...]
    seconds: float = field(compare=False)
    allow_missing: bool = False

    @property
    def accepted(self) -> tuple[Trial, ...]:
        """Trials whose instance satisfies the hypotheses."""
        return tuple(trial for trial in self.trials if trial.evidence)

    @property
    def worst(self) -> Trial | None:
        """The accepted trial with the worst evidence."""
        return min(self.accepted, key=lambda trial: trial.evidence[0].order, default=None)

    @property
    def powerless_hypotheses(self) -> tuple[str, ...]:
        """Necessary hypotheses that no counterexample shows to be needed."""
        shown = {s.counterexample.drops for s in self.separations if s.separated}
        return tuple(h.name for h in self.theorem.hypotheses if h.necessary and h.name not in shown)

    @property
    def verdict(self) -> str:
        """ "fails" if any evidence fails or could not be evaluated; "vacuous" if fewer than half of the draws
        (or none) satisfy the hypotheses; "powerless" if a necessary hypothesis has no counterexample or one does not
        separate; else "holds".
        """
        return next(self._failures(), (HOLDS, ""))[0]

    @property
    def failure(self) -> str:
        """The first item that keeps the verdict from being "holds", in one sentence; "" if there is none."""
        return next(self._failures(), (HOLDS, ""))[1]

    def _failures(self) -> Iterator[tuple[str, str]]:
        """(verdict, what is wrong), the gravest first."""
        worst = self.worst
        if worst is not None and not worst.evidence[0].passed:
            yield FAILS, f"instance seed {worst.seed}: {_broken(worst.evidence[0])}"
        for case in self.fixed:
            if case.evidence is not None and not case.evidence.passed:
                yield FAILS, f"fixed check {case.fixed.name}: {_broken(case.evidence)}"
        for s in self.separations:
            if s.broken:
                yield FAILS, f"counterexample {s.counterexample.title!r}: {_broken(s.evidence)}"
        if not self.accepted or 2 * len(self.accepted) < len(self.trials):
            yield VACUOUS, f"{len(self.accepted)} of {len(self.trials)} draws meet the hypotheses"
        for s in self.separations:
            if not s.separated:
                yield POWERLESS, f"counterexample {s.counterexample.title!r} does not separate"
        for name in self.powerless_hypotheses:
            yield POWERLESS, f"no counterexample shows that the hypothesis {name!r} is needed"

    @property
    def not_run(self) -> tuple[str, ...]:
        """Names of the fixed checks that could not run."""
        return tuple(case.fixed.name for case in self.fixed if case.evidence is None)

    @property
    def kind(self) -> str:
        """The evidence that was given: that of the theorem, but "sampled" where a certificate could not be made."""
        lacking = any(case.evidence is None and case.fixed.certifies for case in self.fixed)
        return SAMPLED if lacking else self.theorem.kind

    @property
    def ok(self) -> bool:
        """Whether the verdict is the one the theorem should get, and everything was run or allowed not to."""
        return self.verdict == self.theorem.expected and (self.allow_missing or not self.not_run)


@dataclass(frozen=True)
class Request:
    """What to check: a theorem on n random instances of a seed.  allow_missing: as in `Report`."""

    theorem: Theorem
    n: int
    seed: int = 0
    allow_missing: bool = False

    @property
    def calls(self) -> list[Callable[[], Any]]:
        """Everything that is to be computed, in parts that do not depend on one another."""
        seeds = [instance_seed(self.theorem.name, self.seed, index) for index in range(self.n)]
        size = max(SMALLEST_CHUNK, -(-self.n // MOST_CHUNKS))
        chunks = [seeds[i : i + size] for i in range(0, len(seeds), size)]
        trials = [partial(_run_chunk, self.theorem, chunk) for chunk in chunks]
        fixed = [partial(_run_fixed, case) for case in self.theorem.fixed]
        return trials + fixed + [partial(_separate, self.theorem, case) for case in self.theorem.counterexamples]

    def report(self, results: Sequence[Timed]) -> Report:
        """The report made of the results of `calls`."""
        last, middle = len(self.theorem.counterexamples), len(self.theorem.fixed)
        values = [result.value for result in results]
        start = len(values) - last - middle
        trials = tuple(trial for chunk in values[:start] for trial in chunk)
        fixed, separations = tuple(values[start : start + middle]), tuple(values[start + middle :])
        seconds = sum(result.seconds for result in results)
        return Report(self.theorem, self.n, self.seed, trials, fixed, separations, seconds, self.allow_missing)


def check_all(requests: Sequence[Request], *, workers: int = 1, progress: bool = False) -> Iterator[Report]:
    """The reports of the requests, each as soon as it and those before it are finished.

    An error inside a theorem makes its verdict "fails", with its message; it does not end the run.

    Every instance has its own seed, derived from (seed, name, index), and BLAS runs on one thread, so a report does not
    depend on `workers` (processes, by joblib) nor on the order.  progress: a bar on standard error (tqdm).
    """
    calls = [request.calls for request in requests]
    names = [request.theorem.name for request, mine in zip(requests, calls, strict=True) for _ in mine]
    results = in_order([call for mine in calls for call in mine], names, workers, progress)
    for request, mine in zip(requests, calls, strict=True):
        yield request.report([next(results) for _ in mine])


def check(
    theorem: Theorem, n: int, seed: int = 0, *, workers: int = 1, progress: bool = False, allow_missing: bool = False
) -> Report:
    """Check one theorem on n random instances, its fixed instances and its counterexamples, as `check_all`."""
    (report,) = check_all([Request(theorem, n, seed, allow_missing)], workers=workers, progress=progress)
    return report


def instance_seed(name: str, seed: int, index: int) -> int:
    """Seed below 2^48 of the instance `index`: draw(numpy.random.default_rng(instance_seed(...))) makes it again."""
    digest = hashlib.sha256(f"{seed}/{name}/{index}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def run_trial(theorem: Theorem, seed: int) -> Trial:
    """Draw the instance of `seed`, test the hypotheses, evaluate the conclusion and attack it.

    An error in any of these becomes evidence that fails.
    """
    try:
        return _trial(theorem, seed)
    except Exception as error:
        return Trial(seed, (_error_evidence(error),))


def _trial(theorem: Theorem, seed: int) -> Trial:
    instance = theorem.draw(np.random.default_rng(seed))
    if any(not hypothesis.margin(instance) > 0 for hypothesis in theorem.hypotheses):
        return Trial(seed, ())
    evidence = list(theorem.conclusion(instance))
    attack = theorem.attack(instance) if theorem.attack else None
    if attack:
        evidence.append(attack.evidence)
    return Trial(seed, tuple(sorted(evidence, key=lambda e: e.order)), attack)


def _error_evidence(error: Exception) -> Evidence:
    """Evidence that fails, and is worse than any other, for something that could not be evaluated."""
    return Evidence(f"it can be evaluated, but {type(error).__name__}: {error}", math.inf, 0.0)


def _broken(evidence: Evidence) -> str:
    return f"{evidence.claim} (margin {evidence.margin:.3g}, tolerance {float(evidence.tolerance):.3g})"


def _run_chunk(theorem: Theorem, seeds: list[int]) -> list[Trial]:
    return [run_trial(theorem, seed) for seed in seeds]


def _run_fixed(case: Fixed) -> FixedOutcome:
    try:
        evidence = sorted(case.evidence(), key=lambda e: e.order)
    except ImportError as error:
        return FixedOutcome(case, None, 0, f"not run: {error}")
    except Exception as error:
        evidence = [_error_evidence(error)]
    return FixedOutcome(case, evidence[0], len(evidence))


def _separate(theorem: Theorem, counterexample: Counterexample) -> Separation:
    try:
        return _separation(theorem, counterexample)
    except Exception as error:
        return Separation(counterexample, _error_evidence(error), alone=False, broken=True)


def _separation(theorem: Theorem, counterexample: Counterexample) -> Separation:
    instance = counterexample.instance()
    held = {h.name: h.margin(instance) > 0 for h in theorem.hypotheses}
    alone = not held.pop(counterexample.drops) and all(held.values())
    evidence = theorem.conclusion(instance)
    failing = next((e for e in evidence if e.separated), min(evidence, key=lambda e: e.order))
    return Separation(counterexample, failing, alone)
