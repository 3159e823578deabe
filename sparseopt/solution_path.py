"""A path of solutions for decreasing strengths of the penalty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from .problem import Problem
from .result import NotConverged, Result, Status


@dataclass(frozen=True)
class Path(Sequence[Result]):
    """The Results of `solve_path`, by decreasing lam.

    problem: the problem solved, whose lam plays no role; certificates are about `problem.with_lam(result.lam)` and
    `result.latent`.  results: one for every lam that was reached.  unreached: the lams the time limit left out.
    """

    problem: Problem = field(repr=False)
    results: tuple[Result, ...] = field(repr=False)
    unreached: tuple[float, ...] = ()

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Result, ...]: ...
    def __getitem__(self, index: int | slice) -> Result | tuple[Result, ...]:
        return self.results[index]

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    @property
    def lams(self) -> np.ndarray:
        """Strengths [L], decreasing."""
        return np.array([result.lam for result in self.results])

    @property
    def coefficients(self) -> np.ndarray:
        """Coefficients [L, p] or [L, p, T] of the columns of X as given."""
        return np.stack([result.w for result in self.results])

    @property
    def active(self) -> np.ndarray:
        """Whether a group is active, bool [L, G]."""
        groups = self.problem.penalty.groups
        rows = np.zeros((len(self), groups.n_groups), dtype=bool)
        for row, result in zip(rows, self.results, strict=True):
            row[groups.active(result.latent)] = True
        return rows

    @property
    def deviance_explained(self) -> np.ndarray:
        """Shares [L] of the deviance of the null model that the solutions explain; see `deviance_explained`."""
        return np.array([deviance_explained(self.problem, result.latent) for result in self.results])

    @property
    def short(self) -> tuple[float, ...]:
        """The lams that fell short of the tolerance or were not reached, decreasing."""
        failed = [result.lam for result in self.results if result.status is not Status.CONVERGED]
        return (*failed, *self.unreached)

    def plot(self, ax: Any = None) -> Any:
        """Norms of the groups against lam, one line for each group that ever is active (needs matplotlib).

        ax: matplotlib axes, default new ones.  Returns the axes.
        """
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(layout="constrained")[1]
        groups = self.problem.penalty.groups
        norms = np.stack([groups.norms(result.latent) for result in self.results])
        for g in np.flatnonzero(norms.any(axis=0)):
            ax.plot(self.lams, norms[:, g], label=str(groups.names[g]))
        ax.set_xscale("log")
        ax.invert_xaxis()
        ax.set_xlabel("lam")
        ax.set_ylabel("norm of the group")
        return ax

    def __repr__(self) -> str:
        if not self.results:
            return "Path(no solutions)"
        return f"Path({len(self)} solutions, lam {self.results[0].lam:.3g} to {self.results[-1].lam:.3g})"


class PathNotConverged(NotConverged):
    """Raised at the end of `solve_path` when solutions fell short; `.path` holds all, `.result` the first of those."""

    def __init__(self, path: Path) -> None:
        self.path = path
        failed = [result for result in path if result.status is not Status.CONVERGED]
        self.result = failed[0] if failed else path[-1]
        names = {status.name: status for status in (result.status for result in failed)}
        reasons = "; ".join(f"{name}: {status.advice}" for name, status in names.items())
        total, named = len(path) + len(path.unreached), ", ".join(f"{lam:.6g}" for lam in path.short)
        unreached = f", {len(path.unreached)} of them not reached" if path.unreached else ""
        RuntimeError.__init__(
            self,
            f"{len(path.short)} of {total} lambdas fell short{unreached}: lam = {named} ({reasons}); "
            "throw=False returns the path",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return PathNotConverged, (self.path,)


def deviance_explained(problem: Problem, w: np.ndarray) -> float:
    """(f(0) - f(X w)) / (f(0) - inf f) for the loss f, R^2 for least squares: the share of the deviance explained.

    w: [p] or [p, T].  The null model has the intercept and the offset alone.  inf f = -f*(0) is the loss of the
    saturated model.  0 where the null model fits perfectly.
    """
    z = problem.X @ w
    null, saturated = problem.datafit.value(np.zeros_like(z)), -problem.datafit.conjugate(np.zeros_like(z))
    room = null - saturated
    return float((null - problem.datafit.value(z)) / room) if room > 0 else 0.0
