"""HTML as text: escaping, tables, pictures, and the page around its sections."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from typing import NamedTuple

from PIL import Image

from bnn_train.errors import printable
from bnn_train.report.mistakes import Picture
from bnn_train.report.palette import css_variables

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""The page may ask nobody for anything."""


class Cell(NamedTuple):
    """A table's cell: HTML, its class, and the number to sort by where it is not what is shown."""

    html: str
    kind: str = ""
    value: float | None = None


class Section(NamedTuple):
    """A part of a page with a heading of its own."""

    id: str
    title: str
    html: str


def text(value: object) -> str:
    """Escaped, and without letters that nobody sees."""
    return escape(printable(str(value)))


def table(
    head: Sequence[Cell | str],
    rows: Iterable[Sequence[Cell | str]],
    *,
    kind: str = "full",
    foot: Sequence[Cell | str] | None = None,
    best: int | None = None,
) -> str:
    """Cells that are plain text are escaped; ``best``: the row that stands out."""
    top = "".join(_cell(cell, "th") for cell in head)
    body = "".join(_row(row, " class=best" if i == best else "") for i, row in enumerate(rows))
    end = "" if foot is None else f"<tfoot>{_row(foot)}</tfoot>"
    return (
        f'<div class=wide><table class="{kind}"><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody>{end}</table></div>"
    )


def _row(cells: Sequence[Cell | str], attributes: str = "") -> str:
    return f"<tr{attributes}>{''.join(_cell(cell, 'td') for cell in cells)}</tr>"


def _cell(cell: Cell | str, tag: str) -> str:
    if isinstance(cell, str):
        return f"<{tag}>{text(cell)}</{tag}>"
    kind = f' class="{cell.kind}"' if cell.kind else ""
    value = "" if cell.value is None else f' data-value="{cell.value:.10g}"'
    return f"<{tag}{kind}{value}>{cell.html}</{tag}>"


def left(words: str) -> Cell:
    """A cell of words."""
    return Cell(text(words), "left")


def bar(share: float, kind: str = "") -> Cell:
    """A cell that shows a share of 0 to 1 as a length."""
    inner = f'<i class="{kind}" style="width:{100 * min(1, max(0, share)):.2f}%"></i>'
    return Cell(inner, "bar", share)


def picture(pixels: Picture, label: str) -> str:
    """An ``<img>`` that carries its pixels; small ones are shown as squares."""
    out = io.BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(out, "PNG", optimize=True)
    data = base64.b64encode(out.getvalue()).decode()
    smooth = ' class="smooth"' if max(pixels.shape[:2]) > 64 else ""
    return f'<img{smooth} alt="{text(label)}" title="{text(label)}" src="data:image/png;base64,{data}">'


def figure(inner: str, caption: str = "") -> str:
    """HTML above an optional caption, which is HTML, too."""
    told = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure>{inner}{told}</figure>"


def page(title: str, head: str, sections: Sequence[Section], made_by: str) -> str:
    """The whole document: everything it needs is in it."""
    folder = files("bnn_train.report")
    css, script = ((folder / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    links = "".join(f'<a href="#{one.id}">{text(one.title)}</a>' for one in sections)
    body = "".join(
        f'<section id="{one.id}"><h2>{text(one.title)}</h2>{one.html}</section>' for one in sections
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="{text(made_by)}">
<title>{text(title)}</title>
<link rel="icon" href="data:,">
<style>
:root {{ {css_variables("light")} }}
@media (prefers-color-scheme: dark) {{ :root {{ {css_variables("dark")} }} }}
@media print {{ :root {{ {css_variables("light")} }} }}
{css}</style>
</head>
<body>
<header>{head}<nav>{links}</nav></header>
<main>{body}</main>
<footer>Written by {text(made_by)}. This page is one file: it needs no network.</footer>
<script>
{script}</script>
</body>
</html>
"""
