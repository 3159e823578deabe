"""LAPACK for the compiled loops: the routine that SciPy is linked with."""

from __future__ import annotations

import ctypes
from functools import cache

from .loader import core


@cache
def give_lapack() -> None:
    """Let the compiled loops call dsyevd; importing it takes a while, so that only those who need it do so."""
    from scipy.linalg import cython_lapack

    api, capsule = ctypes.pythonapi, cython_lapack.__pyx_capi__["dsyevd"]
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    core.use_dsyevd(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))
