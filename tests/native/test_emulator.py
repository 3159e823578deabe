"""The host emulator of CUDA kernels itself; what it runs is tested with each of them."""

from __future__ import annotations


def test_the_emulator_reports_a_divergent_barrier(emulator):
    assert emulator.so_emulated_divergence() == 1
