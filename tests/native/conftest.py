"""Results on every instruction set, each from one fresh interpreter that all the tests share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

CODE = """
import importlib, json, sys
from sparseopt._native import build_info
digests = {name: importlib.import_module(name).digest() for name in sys.argv[1:]}
print(json.dumps(digests | {"isa": build_info()["isa"]}))
"""
IN_PYTHON = ("test_blocks", "test_projections")
COMPILED = ("test_block_product", "test_grid", "test_lines", "test_topk")


@pytest.fixture(scope="session")
def at_level():
    """at_level(0 | 3 | 4 | None)[name]: digest() of that test module there, None in pure Python; "isa" its name."""

    @cache
    def run(level):
        chosen = {"SPARSEOPT_DISABLE_NATIVE": "1"} if level is None else {"SPARSEOPT_ISA": str(level)}
        result = subprocess.run(
            [sys.executable, "-c", CODE, *IN_PYTHON, *(() if level is None else COMPILED)],
            cwd=Path(__file__).parent,
            env=os.environ | chosen,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return run
