"""What a recorded number depends on: sources, revision and versions, the same for theory and experiments."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The checkout."""

LIBRARIES = ("numpy", "scipy", "array-api-compat", "scikit-learn")
SUFFIXES = (".py", ".cpp", ".cu", ".cuh", ".h", ".inc", ".json")
BUILD_FILE = "CMakeLists.txt"


def source_digest(*paths: Path) -> str:
    """Hash of names and contents of the sources, and of recorded data, in some files and (recursively) folders."""
    hashed = hashlib.sha256()
    for path in sorted({path.resolve() for path in paths}):
        for file in sorted(_sources(path)):
            name = file.relative_to(path).as_posix() if path.is_dir() else file.name
            hashed.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return hashed.hexdigest()


def _sources(path: Path) -> Iterable[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.suffix in SUFFIXES or file.name == BUILD_FILE]


def revision(folder: Path = ROOT) -> str:
    """The commit of a checkout, with "-dirty" after it where files differ; "unknown" outside git."""
    try:
        commit, changes = (
            subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
            for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-dirty" if changes else commit


def versions() -> dict[str, str]:
    """Versions of Python, sparseopt and the libraries that the numbers depend on."""
    found = {"python": platform.python_version()}
    for name in ("sparseopt", *LIBRARIES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
