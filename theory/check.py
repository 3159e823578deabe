"""Checks a theorem: random instances, fixed ones, counterexamples; and says when the check itself is worth nothing."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .theorem import Attack, Counterexample, Evidence, Fixed, Theorem

HOLDS, FAILS, VACUOUS, POWERLESS = "holds", "fails", "vacuous", "powerless"

CHUNK = 4
"""Instances a parallel worker takes at a time."""


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

    allow_missing: whether fixed checks that could not run, for want of a library, are accepted.
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
    def ok(self) -> bool:
        """Whether the verdict is the one the theorem should get, and everything was run or allowed not to."""
        return self.verdict == self.theorem.expected and (self.allow_missing or not self.not_run)


def check(
    theorem: Theorem, n: int, seed: int = 0, *, workers: int = 1, progress: bool = False, allow_missing: bool = False
) -> Report:
    """Check `theorem` on n random instances, its fixed instances and its counterexamples.

    An error inside the theorem makes the verdict "fails", with its message; it does not end the run.

    seed: every instance has its own, derived from (seed, name, index), so the report does not depend on `workers`
    (processes, by joblib) nor on the order.  progress: a bar on standard error (tqdm).
    """
    start = time.perf_counter()
    seeds = [instance_seed(theorem.name, seed, index) for index in range(n)]
    trials = _run_trials(theorem, seeds, workers, progress)
    fixed = tuple(_run_fixed(case) for case in theorem.fixed)
    separations = tuple(_separate(theorem, counterexample) for counterexample in theorem.counterexamples)
    return Report(theorem, n, seed, trials, fixed, separations, time.perf_counter() - start, allow_missing)


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


def _run_trials(theorem: Theorem, seeds: list[int], workers: int, progress: bool) -> tuple[Trial, ...]:
    chunks = [seeds[i : i + CHUNK] for i in range(0, len(seeds), CHUNK)]
    found: Iterable[list[Trial]]
    if workers > 1 and len(chunks) > 1:
        from joblib import Parallel, delayed

        run = Parallel(n_jobs=min(workers, len(chunks)), return_as="generator")
        found = run(delayed(_run_chunk)(theorem, chunk) for chunk in chunks)
    else:
        found = (_run_chunk(theorem, chunk) for chunk in chunks)
    trials: list[Trial] = []
    for chunk in _with_progress(found, len(chunks), theorem.name, progress):
        trials += chunk
    return tuple(trials)


def _run_chunk(theorem: Theorem, seeds: list[int]) -> list[Trial]:
    return [run_trial(theorem, seed) for seed in seeds]


def _with_progress(items: Iterable[Any], total: int, name: str, progress: bool) -> Iterator[Any]:
    if not progress:
        return iter(items)
    from tqdm import tqdm

    return iter(tqdm(items, total=total, desc=name, unit=" chunks", leave=False))


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
