"""The cache of a verification: what makes it compute again, and what it does not keep."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sparseopt import provenance
from theory import THEOREMS, check
from theory.record import Cache, row


@pytest.mark.parametrize("name", ["solve.py", "_native/csrc/cpu/block.cpp", "_native/CMakeLists.txt"])
def test_a_changed_source_is_computed_again(name, tmp_path, monkeypatch):
    source = tmp_path / "sparseopt" / name
    source.parent.mkdir(parents=True)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    found = []
    for text in ("one", "one", "two"):
        source.write_text(text)
        found.append(Cache.at(tmp_path / "cache").get("name", {}, lambda: {"ok": True})[1])
    assert found == [False, True, False]


def test_a_result_that_is_not_to_be_kept_is_computed_again(tmp_path):
    cache = Cache.at(tmp_path)
    assert [cache.get("name", {}, lambda: 1, lambda result: False)[1] for _ in range(2)] == [False, False]


@pytest.mark.parametrize("theorem", THEOREMS, ids=lambda t: t.name)
def test_rows_say_what_made_them(theorem):
    found = row(check(replace(theorem, fixed=(), counterexamples=()), 1), "quick")
    assert re.fullmatch(r"unknown|[0-9a-f]{12}(-dirty)?", found["revision"])
    assert {"python", "numpy", "scipy", "sparseopt"} <= found["versions"].keys()
