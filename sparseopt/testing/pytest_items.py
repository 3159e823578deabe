"""A decorator that makes one pytest item of every property of every object."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .record import Record


def each_property(check: Callable[..., list[Record]], subjects: Iterable[Any], **options: Any) -> Callable[[Any], Any]:
    """Parametrise a test with `run`, one callable for each property of each of the objects.

        @so.testing.each_property(so.testing.check_penalty, [MyPenalty(0.1, groups)], examples=50)
        def test_my_penalty(run):
            run()

    check: a battery, e.g. check_penalty.  options: passed on to it (examples, seed, minimum).  run() raises
    BatteryFailed where its property fails, and skips, with the reason, where it does not apply.  A last item for each
    object counts: it fails where fewer than `minimum` properties apply, so that nothing is skipped unseen.
    """
    import pytest

    parameters = []
    for number, subject in enumerate(subjects):
        label = f"{number}-{type(subject).__name__}"
        parameters += [
            pytest.param(_run(check, subject, name, options), id=f"{label}-{name}") for name in _names(check, subject)
        ]
        parameters.append(pytest.param(_count(check, subject, options), id=f"{label}-enough properties apply"))
    return pytest.mark.parametrize("run", parameters)


def _names(check: Callable[..., list[Record]], subject: Any) -> list[str]:
    return [record.property for record in check(subject, examples=0, raises=False)]


def _run(check: Callable[..., list[Record]], subject: Any, name: str, options: dict[str, Any]) -> Callable[[], None]:
    def run() -> None:
        import pytest

        (record,) = check(subject, **{key: value for key, value in options.items() if key != "minimum"}, only=[name])
        if record.status == "skipped":
            pytest.skip(record.reason)

    return run


def _count(check: Callable[..., list[Record]], subject: Any, options: dict[str, Any]) -> Callable[[], None]:
    def run() -> None:
        check(subject, **(options | {"examples": 1}))

    return run
