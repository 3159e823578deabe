"""python -m sparseopt: what was built, and what this machine offers."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform

from . import __version__
from ._native import build_info

LIBRARIES = (
    *("numpy", "scipy", "array-api-compat", "torch", "scikit-learn", "matplotlib", "hypothesis", "cvxpy", "clarabel"),
    *("python-flint", "joblib", "tqdm", "tyro", "nanobind", "scikit-build-core"),
)
ISA_NAMES = {0: "baseline", 3: "x86-64-v3", 4: "x86-64-v4"}


def version_of(distribution: str) -> str:
    """Installed version of a distribution, "-" if there is none; imports nothing."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "-"


def cuda_devices() -> str:
    """Names of the CUDA devices, as torch sees them; torch is imported only if installed."""
    if importlib.util.find_spec("torch") is None:
        return "unknown (torch, which is asked, is not installed)"
    import torch

    if not torch.cuda.is_available():
        return "none"
    return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def report() -> list[tuple[str, str]]:
    """(what, value) lines."""
    info = build_info()
    lines = [
        ("sparseopt", __version__),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("native core", f"yes, built by {info['compiler']}" if info["native"] else f"no: {info['reason']}"),
    ]
    if info["native"]:
        best = ISA_NAMES[info["isa_available"]]
        lines += [
            ("instructions", f"{info['isa']} in use, {best} available"),
            ("cuda compiled", " ".join(info["cuda_architectures"]) or "no (nvcc was not found, or switched off)"),
        ]
    lines += [
        ("cuda devices", cuda_devices()),
        ("threads", f"{info['threads']} in use, {len(os.sched_getaffinity(0))} processors"),
    ]
    return lines + [(name, version_of(name)) for name in LIBRARIES]


def main() -> None:
    """Print the report.  There are no arguments: any is refused with exit status 2."""
    argparse.ArgumentParser(prog="python -m sparseopt", description="What was built, and what is here.").parse_args()
    for what, value in report():
        print(f"{what:18} {value}")


if __name__ == "__main__":
    main()
