"""Which groups block coordinate descent works on."""

from __future__ import annotations

import numpy as np

DROP_BELOW = 0.9
"""Zero groups that score below this are dropped from a working set that has grown too large."""

CANDIDATE_ABOVE = 0.98
"""Groups outside the working set enter from this score on: 1 violates stationarity, a little less soon may."""


LOWEST_STRONG = 0.5
"""The strong rule is not trusted below this score: so large a step along a path is taken as a fresh start."""


def strong_rule(solved: np.ndarray, strength: np.ndarray) -> float:
    """Score above which a group enters after the solution at the strengths `solved` [G], for the new strengths [G].

    The sequential strong rule |gradient_g| < 2 strength_g - solved_g, in units of the new strengths: a guess, which the
    pass that follows corrects.  CANDIDATE_ABOVE at larger strengths.
    Source: Tibshirani et al., Strong rules for discarding predictors in lasso-type problems (2012).
    """
    used = (strength > 0) & (solved > 0) & (strength < np.inf)
    threshold = 2.0 - float((solved[used] / strength[used]).max(initial=0.0))
    return threshold if LOWEST_STRONG <= threshold < CANDIDATE_ABOVE else CANDIDATE_ABOVE


def next_working_set(
    working: np.ndarray, scores: np.ndarray, norms: np.ndarray, start: int, enter_above: float = CANDIDATE_ABOVE
) -> tuple[np.ndarray, bool]:
    """The working set of the next round, sorted, and whether a group outside it violated stationarity.

    working: indices of the last one.  scores: [G], |gradient_g| relative to the slope of the penalty at zero, so that
    > 1 means that a zero group violates stationarity.  norms: [G] of the coefficients.  start: fewest groups to add.
    enter_above: score from which groups are candidates.
    Grows by max(start, active groups, half the working set), by decreasing score, and drops clear zeros.
    """
    n_active = int(np.count_nonzero(norms))
    if len(working) > 2 * max(n_active, start):
        working = working[(norms[working] > 0) | (scores[working] > DROP_BELOW)]
    outside = scores.copy()
    outside[working] = -1.0
    candidates = np.flatnonzero(outside > enter_above)
    violated = bool((outside[candidates] > 1).any())
    room = int(max(start, n_active, len(working) // 2))
    if len(candidates) > room:
        best = np.argpartition(-outside[candidates], room - 1)[:room]
        candidates = candidates[best]
    return np.sort(np.concatenate([working, candidates])).astype(np.int64, copy=False), violated  # they are disjoint
