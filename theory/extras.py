"""Libraries that some checks need and a plain installation lacks."""

from __future__ import annotations

from importlib import import_module, metadata
from types import ModuleType

EXTRAS = {
    "flint": ("python-flint", "certify"),
    "PEPit": ("PEPit", "pep"),
    "sklearn": ("scikit-learn", "sklearn"),
    "joblib": ("joblib", "cli"),
    "tqdm": ("tqdm", "cli"),
    "threadpoolctl": ("threadpoolctl", "cli"),
    "distributed": ("distributed", "dask"),
    "submitit": ("submitit", "slurm"),
}
"""Module -> its distribution, and the extra of sparseopt that installs it."""


class MissingExtra(ImportError):
    """A library is not installed; the message names the command that installs it."""


def require(module: str) -> ModuleType:
    """The module, imported; one of `EXTRAS`.  Raises MissingExtra when it is not installed."""
    distribution, extra = EXTRAS[module]
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtra(f'{distribution} is not installed: pip install "sparseopt[{extra}]"') from None


def extra_versions() -> dict[str, str | None]:
    """Distribution -> its version, None where it is not installed."""
    return {distribution: _version(distribution) for distribution, _ in EXTRAS.values()}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
