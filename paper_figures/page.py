"""Pieces of an HTML page that needs nothing from outside: tables, badges, inlined figures."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .style import WIDTH
from .typeset import plain

LANGUAGE = "en"


def page(title: str, header: str, sections: Iterable[str], footer: str) -> str:
    """A complete page with the style sheet report.css inlined."""
    css = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    return (
        f'<!DOCTYPE html>\n<html lang="{LANGUAGE}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n"
        f"<header>\n{header}\n</header>\n<main>\n{chr(10).join(sections)}\n</main>\n<footer>\n{footer}\n</footer>\n"
        "</body>\n</html>\n"
    )


def badge(text: str, kind: str) -> str:
    """A word on a coloured ground; kind: "good", "mend", "bad", "note" or "entry"."""
    return f'<span class="badge {kind}">{html.escape(text)}</span>'


def table(heads: Sequence[str], rows: Iterable[Sequence[str] | str], kind: str = "") -> str:
    """A table of HTML cells; a head that starts with "#" makes a column of numbers.  Narrow screens get cards.

    A row that is a string is a heading over the rows that follow.  kind: class of the table in the style sheet.
    """
    labels = [html.escape(head.removeprefix("#")) for head in heads]
    kinds = [' class="count"' if head.startswith("#") else "" for head in heads]
    head = "".join(f'<th scope="col"{kind}>{label}</th>' for label, kind in zip(labels, kinds, strict=True))
    body = "\n".join(f"<tr>{_row(row, labels, kinds)}</tr>" for row in rows)
    mark = f' class="{kind}"' if kind else ""
    return f"<table{mark}>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _row(row: Sequence[str] | str, labels: Sequence[str], kinds: Sequence[str]) -> str:
    if isinstance(row, str):
        return f'<th class="part" scope="rowgroup" colspan="{len(labels)}">{row}</th>'
    return "".join(
        f'<td{kind} data-label="{label}"><span>{cell}</span></td>'
        for cell, label, kind in zip(row, labels, kinds, strict=True)
    )


def folded(title: str, content: str, *, shown: bool = False) -> str:
    """Content that is unfolded by a click on its title; it is open at first if `shown`."""
    return f"<details{' open' if shown else ''}>\n<summary>{html.escape(title)}</summary>\n{content}\n</details>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of names and HTML values."""
    items = "\n".join(f"<dt>{html.escape(name)}</dt><dd>{value}</dd>" for name, value in pairs)
    return f'<dl class="facts">\n{items}\n</dl>'


def inline_figure(svg: Path, title: str, caption: str) -> str:
    """The figure of an SVG file, with ids of its own so that several can stand in one page.

    Raises ValueError when the file is missing.
    """
    if not svg.exists():
        raise ValueError(f"{svg} is missing: run `python -m paper_figures`")
    text = svg.read_text(encoding="utf-8")
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    prefix = f"{svg.stem}-"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r"url\(#", f"url(#{prefix}", text)
    text = re.sub(r'href="#', f'href="#{prefix}', text)
    points = re.search(r'<svg [^>]*?width="([0-9.]+)pt"', text)
    share = min(1.0, float(points[1]) / (72 * WIDTH)) if points else 1.0  # narrow figures keep the size of letters
    text = text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(title)}" style="--share: {share:.3f}" ', 1)
    return (
        f'<figure id="figure-{html.escape(svg.stem)}">\n<div class="plate" tabindex="0">\n{text}</div>\n'
        f"<figcaption><b>{plain(title)}.</b> {plain(caption)}</figcaption>\n</figure>"
    )
