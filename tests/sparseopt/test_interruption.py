"""Ctrl-C and time limits end a run within a second, also inside compiled loops and when they call Python."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

import pytest

import sparseopt as so
from sparseopt._native import HAS_NATIVE

SETUP = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # what starts tests in the background may have it ignored
import numpy as np
import sparseopt as so

class InPython:
    slope0, convex, weak_convexity = 1.0, False, 1.0
    def value(self, t): return np.log1p(t)
    def slope(self, t): return 1 / (1 + t)
    def prox(self, v, step=1.0, out=None): return so.penalties.Log(1.0).prox(v, step, out)

def least_squares(penalty):
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((2000, 1200)) + 5 * rng.standard_normal((2000, 1)))
    problem = so.Problem(X, so.Huber(rng.standard_normal(2000), delta=0.5), penalty(1e-6, so.Groups.uniform(240, 5)))
    return problem

def subsets():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((60, 240))
    return so.Problem(X, so.LeastSquares(rng.standard_normal(60)), so.GroupL0(1e-3, so.Groups.uniform(80, 3)))

RUNS = {
    "compiled": (lambda: least_squares(so.GroupLasso), so.solvers.GroupBCD()),
    "python penalty": (
        lambda: least_squares(lambda lam, groups: so.penalties.GroupPenalty(InPython(), lam, groups)),
        so.solvers.GroupBCD(),
    ),
    "branch and bound": (subsets, so.solvers.BranchAndBound()),
    "fista": (lambda: least_squares(so.GroupLasso), so.solvers.FISTA(restart=False)),
}
make, solver = RUNS[sys.argv[1]]
problem = make()
_ = problem.smoothness
"""

SIGNALLED = (
    SETUP
    + """
print("ready", flush=True)
try:
    result = so.solve(problem, solver, tol=1e-300, max_iter=10**9, throw=False)
    print("ended by itself", result.status, flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
)

LIMITED = (
    SETUP
    + """
start = time.perf_counter()
result = so.solve(problem, solver, tol=1e-300, max_iter=10**9, time_limit=0.2, throw=False)
print(result.status.name, time.perf_counter() - start)
"""
)

NAMES = ["compiled", "python penalty", "branch and bound", "fista"]


def started(script, name):
    command = [sys.executable, "-c", textwrap.dedent(script), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.sample(every=2)
@pytest.mark.skipif(not HAS_NATIVE, reason="no compiled core")
@pytest.mark.parametrize("name", NAMES)
def test_a_signal_ends_the_run(name):
    process = started(SIGNALLED, name)
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    time.sleep(0.3)  # it is in the loops by then
    process.send_signal(signal.SIGINT)
    sent = time.perf_counter()
    answer = process.stdout.readline()
    seconds = time.perf_counter() - sent
    process.communicate(timeout=30)
    assert answer == "interrupted\n"
    assert seconds < 1.0


@pytest.mark.sample(every=2)
@pytest.mark.skipif(not HAS_NATIVE, reason="no compiled core")
@pytest.mark.parametrize("name", NAMES)
def test_a_time_limit_is_kept(name):
    out, errors = started(LIMITED, name).communicate(timeout=60)
    assert not errors
    status, seconds = out.split()
    assert status == so.Status.TIME_LIMIT.name
    assert float(seconds) < 1.2
