"""The cache of a verification: what makes it compute again, and what it does not keep."""

from __future__ import annotations

import pytest

from sparseopt import provenance
from theory.record import Cache


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
