"""A matplotlib figure as an SVG element inside a page, whose colours follow the page's."""

from __future__ import annotations

import io
import re
from html import escape
from typing import TYPE_CHECKING

from bnn_train.report.palette import VARIABLES
from bnn_train.report.plots import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_FONT = re.compile(r"font: (?:normal )?([\d.]+px) [^;\"]+")
_FAMILY = re.compile(r"font-family: [^;\"]+; ?")
_QUOTED = re.compile(r'"[^"]*"')
_NUMBER = re.compile(r"(\d+\.\d\d)\d+")
_BARE = re.compile(r"<metadata>.*?</metadata>|<!--.*?-->\s*|<style.*?</style>", re.DOTALL)
_ID = re.compile(r'(\bid="|url\(#|href="#)')


def file_bytes(figure: Figure, ending: str) -> bytes:
    """The figure as an ``svg`` or ``png`` file; the same figure gives the same bytes."""
    import matplotlib as mpl

    out = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(out, format=ending, dpi=300, metadata=_METADATA if ending == "svg" else None)
    return out.getvalue()


def inline(figure: Figure, label: str, number: int) -> str:
    """An ``<svg>`` element; ``number`` keeps its ids apart from those of others on the page."""
    text = file_bytes(figure, "svg").decode()
    text = text[text.index("<svg") :]
    text = _BARE.sub("", text)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    text = _FAMILY.sub("", _FONT.sub(r"font-size: \1", text))
    text = _QUOTED.sub(lambda found: _NUMBER.sub(r"\1", found[0]), text)
    text = _ID.sub(rf"\g<1>f{number}-", text)
    for name, colour in VARIABLES.items():
        text = text.replace(colour.light, f"var(--{name})")
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
