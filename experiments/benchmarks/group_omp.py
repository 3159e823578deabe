"""Group OMP against the splicing of abess: CPU seconds of one thread for k groups, k known, and the loss of both.

    python -m experiments.benchmarks.group_omp [--shapes A,B,C] [--repeats 5]

The shapes are those of the solver benchmark.  Ours runs before and after the peer, every solver in a process of its
own, and the minimum counts.  Prints the ratio peer / ours, and appends the raw rows to out/bench/group_omp.jsonl.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .solvers import contest, stamp

WORKER = Path(__file__).with_name("group_omp_worker.py")
OUT = Path("out/bench/group_omp.jsonl")


def main() -> None:
    """Run, print, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="A,B,C,D,E")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    print(f"{'shape':6} {'ours s':>9} {'loss':>10}  {'abess s':>9} {'loss':>10} {'ratio':>6}   bar")
    for shape in arguments.shapes.split(","):
        rows = contest(shape, ["abess"], arguments.repeats, WORKER)
        with OUT.open("a") as file:
            file.writelines(json.dumps(row | stamp()) + "\n" for row in rows)
        failed = [row for row in rows if "error" in row]
        if failed:
            print(f"{shape:6} {failed[0]['solver']}: {failed[0]['error']}", flush=True)
            continue
        mine = min(min(rows[0]["seconds"]), min(rows[2]["seconds"]))
        theirs = min(rows[1]["seconds"])
        verdict = "" if theirs >= mine else " missed"
        figures = f"{mine:9.4f} {rows[0]['loss']:10.6f}  {theirs:9.4f} {rows[1]['loss']:10.6f} {theirs / mine:6.2f}"
        print(f"{shape:6} {figures}   1{verdict}", flush=True)
    print(f"appended to {OUT}")


if __name__ == "__main__":
    main()
