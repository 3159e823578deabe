"""Properties and how they are run: draw, check, shrink, report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._array import checked_flag
from ..groups import Groups
from .inequality import Violation, shown
from .record import BatteryFailed, Record


@dataclass
class Case:
    """One example: what was drawn for it, by name, for the report."""

    data: Any
    inputs: dict[str, Any] = field(default_factory=dict)

    def draw(self, strategy: Any, name: str) -> Any:
        """A value of a Hypothesis strategy, remembered under `name`."""
        value = self.data.draw(strategy)
        self.inputs[name] = value
        return value

    def describe(self) -> str:
        """The inputs, one a line."""
        return "".join(f"\n    {name} = {shown(value)}" for name, value in self.inputs.items())


@dataclass(frozen=True)
class Property:
    """A statement about an object, and how to look for a counterexample.

    name: the statement.  check(subject, case): draws inputs, raises `Violation` where the statement is false.
    skip(subject): why the statement does not apply to the object, "" where it does.  costs: one example stands for so
    many others in time, so that fewer are run.
    """

    name: str
    check: Callable[[Any, Case], None]
    skip: Callable[[Any], str] = lambda subject: ""
    costs: int = 1


@dataclass(frozen=True)
class Source:
    """Where the objects under test come from: always the same one, or one drawn for each example.

    example: an object, whose attributes choose the properties.  draw(case): the object of one example.
    """

    example: Any
    draw: Callable[[Case], Any]


def fixed(subject: Any) -> Source:
    """The object itself, for every example."""
    return Source(subject, lambda case: subject)


def require(subject: Any, name: str, *methods: str) -> Any:
    """subject; ValueError unless it is an object with these methods, no class."""
    missing = [method for method in methods if not callable(getattr(subject, method, None))]
    if isinstance(subject, type) or missing:
        raise ValueError(f"{name} is {subject!r}: give an object with {', '.join(methods)}")
    return subject


def source_of(subject: Any, method: str, name: str) -> Source:
    """The object itself, or the objects that a function makes from groups, which are drawn for each example.

    Raises ValueError where `subject` is neither: it has no `method` and is a class or cannot be called.
    """
    from .strategies import groups

    if isinstance(subject, type) or not (callable(getattr(subject, method, None)) or callable(subject)):
        raise ValueError(
            f"{name} is {subject!r}: give an object with {method}(...), or a function that makes one of groups"
        )
    if hasattr(subject, method):
        return fixed(subject)
    example = subject(Groups.from_sizes([2, 1, 3]))
    return Source(example, lambda case: subject(case.draw(groups(), "groups")))


def has(*names: str) -> Callable[[Any], str]:
    """A `skip` of properties that need these public attributes."""

    def missing(subject: Any) -> str:
        absent = [name for name in names if not hasattr(subject, name)]
        return f"the object has no {' and no '.join(absent)}" if absent else ""

    return missing


def run_battery(
    source: Source,
    properties: Iterable[Property],
    *,
    examples: int,
    seed: int | Iterable[int],
    raises: bool,
    minimum: int,
    only: Iterable[str] | None,
) -> list[Record]:
    """Records of the properties (those named in `only`, default all), in order.

    seed: one, or several, which share the simplest example.
    Raises BatteryFailed where one failed or fewer than `minimum` were run, unless raises=False; ValueError for bad
    arguments and for names that no property has.
    """
    chosen = _chosen(list(properties), only)
    examples, raises = _count(examples, "examples", 0), checked_flag(raises, "raises")
    rounds = _rounds(examples, seed)
    records = [run_property(source, each, rounds) for each in chosen]
    if raises:
        _raise_if_failed(source.example, records, minimum if only is None else 0)
    return records


@dataclass(frozen=True)
class Round:
    """Examples drawn from one seed.  new: without the simplest one, which is the same for every seed."""

    examples: int
    seed: int
    new: bool = False


def _rounds(examples: int, seed: int | Iterable[int]) -> list[Round]:
    """One round of a seed; of several seeds one each, without the simplest example, and a round of that alone."""
    if not isinstance(seed, Iterable):
        return [Round(examples, _count(seed, "seed", 0))]
    seeds = [_count(each, "seed", 0) for each in seed]
    if not seeds:
        raise ValueError("seed is empty: give an integer >= 0, or several")
    return [Round(min(examples, 1), seeds[0]), *(Round(examples, each, new=True) for each in seeds)]


def run_property(source: Source, statement: Property, rounds: list[Round]) -> Record:
    """Record of one property over all rounds, up to the first that fails."""
    reason = statement.skip(source.example)
    if reason or not any(each.examples for each in rounds):
        return Record(statement.name, "skipped", reason or "no example was asked for", 0)
    tried = 0
    for each in rounds:
        runs, failure = _run_round(source, statement, each)
        tried += runs
        if failure:
            return Record(statement.name, "failed", failure, tried)
    if not tried:
        return Record(statement.name, "skipped", "no example met its hypotheses", 0)
    return Record(statement.name, "passed", "", tried)


def _run_round(source: Source, statement: Property, chosen: Round) -> tuple[int, str]:
    """How many examples were tried, and what the smallest failing one says, "" where none failed."""
    from hypothesis import given
    from hypothesis import seed as seeded
    from hypothesis import strategies as st
    from hypothesis.errors import FlakyFailure, Unsatisfiable

    runs: list[str] = []

    def body(data: Any) -> None:  # short, because Hypothesis reads its source in every round
        _try(source, statement, chosen, data, runs)

    try:
        seeded(chosen.seed)(_quiet(statement, chosen.examples)(given(st.data())(body)))()
    except FlakyFailure:
        failures = [run for run in runs if run]
        return len(runs), f"not always, so the object is not deterministic: {failures[-1]}"
    except Unsatisfiable:
        return 0, ""
    except Exception:
        if not runs or not runs[-1]:  # not from a check: a bug of the battery
            raise
        return len(runs), runs[-1]
    return len(runs), ""


def _try(source: Source, statement: Property, chosen: Round, data: Any, runs: list[str]) -> None:
    """Check one example, and add to `runs` what is wrong with it, "" where nothing is."""
    if chosen.new:
        _pass_over_the_simplest(data)
    case = Case(data)
    try:
        with np.errstate(divide="raise", invalid="raise", over="ignore", under="ignore"):
            statement.check(source.draw(case), case)
        runs.append("")
    except Exception as error:
        if type(error).__module__.startswith("hypothesis"):
            raise
        runs.append(_failure(error) + case.describe())
        raise


def _quiet(statement: Property, examples: int) -> Any:
    """Settings of Hypothesis: as many examples as the property is cheap, shrinking, nothing kept and nothing said."""
    from hypothesis import HealthCheck, Phase, settings

    return settings(
        max_examples=max(examples // statement.costs, min(examples, 2)),
        deadline=None,
        database=None,
        derandomize=False,
        report_multiple_bugs=False,
        print_blob=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def _pass_over_the_simplest(data: Any) -> None:
    """Reject the example that Hypothesis tries first, in which everything drawn is the simplest; it is not counted."""
    from hypothesis import assume
    from hypothesis import strategies as st

    assume(data.draw(st.integers(0, 2**32 - 1)) > 0)


def summary(records: Iterable[Record]) -> str:
    """One line a record."""
    return "\n".join(f"  {r.status:8}{r.property} ({r.examples} examples) {r.reason}".rstrip() for r in records)


def _failure(error: Exception) -> str:
    return str(error) if isinstance(error, Violation) else f"it raised {type(error).__name__}: {error}"


def _raise_if_failed(subject: Any, records: list[Record], minimum: int) -> None:
    failed = [record for record in records if record.status == "failed"]
    ran = [record for record in records if record.status != "skipped"]
    if failed:
        raise BatteryFailed(f"{subject!r} fails {len(failed)} of {len(ran)} properties\n{summary(failed)}", records)
    if len(ran) < minimum:
        raise BatteryFailed(
            f"only {len(ran)} properties apply to {subject!r}, at least {minimum} should: add the attributes that are "
            f"missing, or give minimum={len(ran)}\n{summary(records)}",
            records,
        )


def _chosen(properties: list[Property], only: Iterable[str] | None) -> list[Property]:
    if only is None:
        return properties
    wanted = [only] if isinstance(only, str) else list(only)
    known = [each.name for each in properties]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"only names {unknown[0]!r}: the properties are {', '.join(map(repr, known))}")
    return [each for each in properties if each.name in wanted]


def _count(value: Any, name: str, lowest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < lowest:
        raise ValueError(f"{name} is {value!r}: give an integer >= {lowest}")
    return int(value)
