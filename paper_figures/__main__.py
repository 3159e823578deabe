"""Command line: `python -m paper_figures [--out FOLDER]` draws every figure and writes the report.

The exit status is 1 when a verdict or the study contradicts what is claimed, after the report has been written.
With --accept the committed figure data in paper_figures/expected are replaced by the recorded ones.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from experiments.runner import ROOT

from .cards import verdict_text
from .expected import accept
from .figures import FIGURES
from .real_data import problems
from .recorded import MissingDataError, Recorded
from .report import write_report
from .style import house_style, save


def draw_all(folder: Path) -> list[Path]:
    """Draw all figures from the data under `folder` into folder/figures, then write folder/report.html; the paths.

    Where something is contradicted, a figure that cannot be drawn does not keep the report from being written.
    """
    recorded = Recorded(folder)
    recorded.require()
    paths: list[Path] = []
    drawn = {}
    with house_style() as plt:
        for name, figure in FIGURES.items():
            try:
                drawing = figure.draw(recorded, plt)
                paths += save(drawing, folder / "figures", name)
                plt.close(drawing)
                drawn[name] = figure
            except Exception:
                if not contradictions(recorded):
                    raise
    return [*paths, write_report(recorded, drawn, folder / "report.html")]


def contradictions(recorded: Recorded) -> list[str]:
    """One sentence on each verdict that is not what its theorem says, and on each contradiction in the study."""
    failing = [row for row in recorded.verdicts if not row["ok"]]
    found = [f"{r['name']}: {verdict_text(r)}" + (f" ({r['failure']})" if r["failure"] else "") for r in failing]
    return found + problems(recorded)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 on success, 1 when recorded data are missing or contradict what is claimed."""
    parser = argparse.ArgumentParser(
        prog="python -m paper_figures", description="Figures and report, from recorded data."
    )
    parser.add_argument("--out", type=Path, default=ROOT / "out", help="folder with the recorded data (default out)")
    parser.add_argument("--accept", action="store_true", help="also replace the committed figure data")
    given = parser.parse_args(arguments)
    try:
        paths = draw_all(given.out)
        found = contradictions(Recorded(given.out))
        paths += accept(Recorded(given.out)) if given.accept else []
    except MissingDataError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(f"wrote {path}" for path in paths))
    for sentence in found:
        print(f"contradicted: {sentence}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
