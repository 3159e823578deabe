"""Group orthogonal matching pursuit finds the true groups when the blocks are orthonormal and hardly coherent."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

import sparseopt as so

from ..instances import EPS, REAL_DATA, real_data
from ..theorem import Columns, Counterexample, Evidence, Fixed, Hypothesis, Theorem
from .at_point import SLACK


@dataclass(frozen=True)
class Pursuit:
    """y = X truth + noise.  X: [n, t d] with orthonormal blocks of d columns.  truth: [t d].  exact: dyadic or rational
    data, so that the numbers of groups are evidence in Fractions.
    """

    X: np.ndarray
    truth: np.ndarray
    d: int
    noise: np.ndarray | None = None
    exact: bool = False

    @property
    def groups(self) -> so.Groups:
        """Blocks of d columns."""
        return so.Groups.uniform(self.X.shape[1] // self.d, self.d)

    @property
    def chosen(self) -> np.ndarray:
        """The true groups."""
        return self.groups.active(self.truth)

    @cached_property
    def coherence(self) -> float:
        """max over i != j of ||X_i'X_j|| / d."""
        t, d = self.groups.n_groups, self.d
        blocks = (self.X.T @ self.X).reshape(t, d, t, d).transpose(0, 2, 1, 3)
        norms = np.linalg.norm(blocks, 2, axis=(2, 3))
        return float(norms[~np.eye(t, dtype=bool)].max()) / d

    @cached_property
    def found(self) -> np.ndarray:
        """Coefficients [t d] of GroupOMP with as many groups as are true."""
        y = self.X @ self.truth + (0 if self.noise is None else self.noise)
        problem = so.Problem(self.X, so.LeastSquares(y), so.sets.TopGroups(len(self.chosen), self.groups))
        return so.solve(problem, so.solvers.GroupOMP(), max_iter=len(self.chosen), throw=False).w


def draw(rng: np.random.Generator) -> Pursuit:
    """4 to 8 blocks of 1 to 3 columns in 60 to 400 rows; as many true groups as the condition allows, at most 3."""
    d, t, n = int(rng.integers(1, 4)), int(rng.integers(4, 9)), int(rng.integers(60, 400))
    X = np.hstack([np.linalg.qr(rng.standard_normal((n, d)))[0] for _ in range(t)])
    coherence = Pursuit(X, np.zeros(t * d), d).coherence
    most = max(int(np.ceil((1 / coherence + d) / (2 * d))) - 1, 1)
    k = int(rng.integers(1, min(most, 3) + 1))
    truth = np.where(np.isin(np.arange(t * d) // d, rng.choice(t, k, replace=False)), rng.standard_normal(t * d), 0.0)
    return Pursuit(X, truth * 10 ** rng.uniform(-2, 2), d)


def conclusion(instance: Pursuit) -> tuple[Evidence, ...]:
    """The true groups, and the true coefficients."""
    missed = len(np.setdiff1d(instance.chosen, instance.groups.active(instance.found)))
    if instance.exact:
        return (Evidence("no true group is missed", Fraction(missed), Fraction(0)),)
    off = float(np.abs(instance.found - instance.truth).max())
    columns = instance.X[:, np.isin(instance.groups.labels, instance.chosen)]
    rounding = 64 * EPS * max(instance.X.shape) * float(np.linalg.cond(columns) * np.abs(instance.truth).max())
    return (
        Evidence("no true group is missed", float(missed), 0.0),
        Evidence("the coefficients are those of the truth", off, 0.0, rounding),
    )


def coherence_margin(instance: Pursuit) -> float:
    """(1 / coherence + d) / 2 - k d."""
    k, d = len(instance.chosen), instance.d
    return (1 / max(instance.coherence, 1e-12) + d) / 2 - k * d


def orthonormal_margin(instance: Pursuit) -> float:
    """2^-40 plus 1e-9 less the distance of the blocks to orthonormal ones."""
    t, d = instance.groups.n_groups, instance.d
    blocks = [instance.X[:, g * d : (g + 1) * d] for g in range(t)]
    return SLACK + 1e-9 - max(float(np.linalg.norm(B.T @ B - np.eye(d), 2)) for B in blocks)


def noise_margin(instance: Pursuit) -> float:
    """1 without noise."""
    return 1.0 if instance.noise is None else -1.0


HYPOTHESES = (
    Hypothesis("coherence", "k d < (1/mu_B + d) / 2", coherence_margin),
    Hypothesis("orthonormal blocks", "X_g'X_g = I", orthonormal_margin),
    Hypothesis("no noise", "y = X truth", noise_margin),
)


def between_instance() -> Pursuit:
    """e_1, e_2 and (2, 2, 1)/3 with y = e_1 + e_2: the third column is chosen first."""
    X = np.column_stack([[1.0, 0, 0], [0, 1.0, 0], [2 / 3, 2 / 3, 1 / 3]])
    return Pursuit(X, np.array([1.0, 1.0, 0.0]), 1, exact=True)


def short_column_instance() -> Pursuit:
    """Columns (1/16, 0) and (1/2, 1): y, the first, has the correlations 1/256 and 1/32; the coherence is only 1/32."""
    return Pursuit(np.array([[1 / 16, 1 / 2], [0.0, 1.0]]), np.array([1.0, 0.0]), 1, exact=True)


COUNTEREXAMPLES = (
    Counterexample("coherence", "a column between two", "(2, 2, 1)/3 is chosen before e_1 and e_2", between_instance),
    Counterexample("orthonormal blocks", "a short column", "a longer column is chosen first", short_column_instance),
    Counterexample(
        "no noise",
        "noise twice as large as the signal",
        "X = I, truth e_1, noise 2 e_2: the second column is chosen",
        lambda: Pursuit(np.eye(2), np.array([1.0, 0.0]), 1, np.array([0.0, 2.0]), True),
    ),
)


def _fixed_real(name: str) -> tuple[Evidence, ...]:
    """One active block of real data, noiseless: recovered, since k d < (1/mu_B + d)/2 holds for k = 1 unless mu_B = 1.

    Blocks of one size only: the largest size that at least two blocks have.
    """
    loss = real_data(name)
    groups, X = loss.groups, loss.problem.X
    sizes, counts = np.unique(groups.sizes, return_counts=True)
    d = int(sizes[counts >= 2].max())
    blocks = []
    for g in np.flatnonzero(groups.sizes == d)[:12]:
        block = X[:, groups.members(g)]
        blocks.append(np.linalg.qr(block - block.mean(axis=0))[0])
    truth = np.zeros(d * len(blocks))
    truth[:d] = 1.0
    case = Pursuit(np.hstack(blocks), truth, d)
    held = min(h.margin(case) for h in HYPOTHESES) > 0
    return (Evidence("the hypotheses hold", float(not held), 0.5), *conclusion(case))


def curves(seed: int) -> dict[str, Columns]:
    """recovery: over the number of rows, the share of 10 designs (8 blocks of 2, k = 3) that recover, and that meet the
    condition.
    """
    rng = np.random.default_rng(seed)
    rows, recovered, promised = [6, 8, 10, 12, 16, 24, 40, 100, 300, 600], [], []
    for n in rows:
        wins = meets = 0
        for _ in range(10):
            X = np.hstack([np.linalg.qr(rng.standard_normal((n, 2)))[0] for _ in range(8)])
            truth = np.where(np.isin(np.arange(16) // 2, rng.choice(8, 3, replace=False)), rng.standard_normal(16), 0.0)
            case = Pursuit(X, truth, 2)
            wins += len(np.setdiff1d(case.chosen, case.groups.active(case.found))) == 0
            meets += coherence_margin(case) > 0
        recovered.append(wins / 10)
        promised.append(meets / 10)
    return {"recovery": {"rows": rows, "recovered": recovered, "promised": promised}}


THEOREM = Theorem(
    name="group_omp_recovers",
    ledger="D9",
    title="Group OMP recovers hardly coherent blocks",
    statement=(
        r"For y = X \beta^* with k active blocks of d orthonormal columns and \mu_B = \max_{i \ne j} \|X_i' X_j\| / d, "
        r"group OMP finds the active blocks after k steps if k d < (1 / \mu_B + d) / 2."
    ),
    source="Eldar, Kuppinger and Boelcskei (2010), Theorem 3",
    kind="sampled",
    hypotheses=HYPOTHESES,
    draw=draw,
    conclusion=conclusion,
    counterexamples=COUNTEREXAMPLES,
    fixed=tuple(Fixed(name, "orthonormal blocks of real data", lambda n=name: _fixed_real(n)) for name in REAL_DATA),
    curves=curves,
    sizes={"quick": 30, "standard": 200, "full": 20_000},
    printed="holds",
)
