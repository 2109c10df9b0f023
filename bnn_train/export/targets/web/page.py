"""The page as a file: put together of its sources and a packed network, and taken apart again."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bnn_train import __version__
from bnn_train.errors import DataError

SOURCES = Path(__file__).with_name("sources")
RUNTIME = (
    *("file", "bits", "window", "bit_product", "product"),
    *("epilogue", "pooling", "preprocess", "network"),
)
"""Scripts that compute, in their order; they know nothing of a page."""
INTERFACE = ("pictures", "ink", "lights", "pad", "answer", "story", "camera", "page")
"""Scripts that show, in their order."""
_GENERATOR = f"bnn_train {__version__} page"
_MARK = re.compile(rb'<meta name="generator" content="bnn_train [^"]* page">')
_HEAD = 2048
"""Bytes among which a page names its maker."""
_PACKED = re.compile(rb'<script id="packed" type="text/plain">([A-Za-z0-9+/=\s]*)</script>')


def assemble(packed: bytes, settings: Mapping[str, Any]) -> str:
    """One file of everything; ``settings`` are for the scripts, with a ``title``."""
    parts = {
        "made_by": _GENERATOR,
        "title": html.escape(str(settings["title"])),
        "style": "\n".join(line.strip() for line in _text("style.css").splitlines()),
        "script": f'"use strict";\n{script((*RUNTIME, *INTERFACE))}',
        "settings": json.dumps(settings, ensure_ascii=False).replace("<", "\\u003c"),
        "packed": base64.b64encode(packed).decode(),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _text("page.html"))


def script(names: tuple[str, ...]) -> str:
    """Scripts one after the other, without comments and indents: those stay in the sources."""
    code = "\n".join(_text(f"{name}.js") for name in names)
    code = re.sub(r"^\s*/\*\*.*?\*/\n", "", code, flags=re.MULTILINE | re.DOTALL)
    lines = (line.strip() for line in code.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def is_page(path: Path) -> bool:
    """Whether a file names itself a page of this format."""
    try:
        with path.open("rb") as file:
            return _MARK.search(file.read(_HEAD)) is not None
    except OSError:
        return False


def packed_in(path: Path) -> bytes:
    """The packed file that a page carries. Raises DataError."""
    try:
        found = _PACKED.search(path.read_bytes())
        if found is None:
            raise DataError(f"{path}: carries no packed network; export it again")
        return base64.b64decode(b"".join(found[1].split()), validate=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    except binascii.Error:
        raise DataError(f"{path}: its packed network is damaged; export it again") from None


def _text(name: str) -> str:
    return (SOURCES / name).read_text(encoding="utf-8")
