"""The cache of a verification: what makes it compute again, and what it does not keep."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from sparseopt import provenance
from theory import THEOREMS, check, record
from theory.record import Cache, row


@pytest.mark.parametrize("name", ["solve.py", "rates.json", "_native/csrc/cpu/block.cpp", "_native/CMakeLists.txt"])
def test_a_changed_source_is_computed_again(name, tmp_path, monkeypatch):
    source = tmp_path / "sparseopt" / name
    source.parent.mkdir(parents=True)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    found = []
    for text in ("one", "one", "two"):
        source.write_text(text)
        cache = Cache.at(tmp_path / "cache")
        found.append(cache.find("name", {}))
        cache.store("name", {}, {"ok": True})
    assert found == [None, {"ok": True}, None]


def test_what_lacked_an_extra_is_computed_again_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "extra_versions", lambda: {"python-flint": None})
    Cache.at(tmp_path).store("name", {}, {"kind": "sampled"})
    assert Cache.at(tmp_path).find("name", {}) == {"kind": "sampled"}
    monkeypatch.setattr(record, "extra_versions", lambda: {"python-flint": "0.9"})
    assert Cache.at(tmp_path).find("name", {}) is None


def test_other_requests_and_damaged_results_are_not_found(tmp_path):
    cache = Cache.at(tmp_path)
    cache.store("name", {"seed": 1}, [1])
    assert (cache.find("name", {"seed": 1}), cache.find("name", {"seed": 2})) == ([1], None)
    for path in tmp_path.iterdir():
        path.write_text("[1, 2")
    assert cache.find("name", {"seed": 1}) is None


def test_rows_say_what_made_them():
    found = row(check(replace(THEOREMS[0], fixed=(), counterexamples=()), 1), "quick")
    assert re.fullmatch(r"unknown|[0-9a-f]{12}(-dirty)?", found["revision"])
    assert {"python", "numpy", "scipy", "sparseopt"} <= found["versions"].keys()
