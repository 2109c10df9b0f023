"""One HTML page as a format of export: opened from the disk, it asks nothing of a network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import DataError, ExportError
from bnn_train.export.licences import licence_of
from bnn_train.export.targets.target import Content, Opened, Target
from bnn_train.export.targets.web import examples, facts, limits, page
from bnn_train.export.targets.web.browser import Browser
from bnn_train.files import write_atomic
from bnn_train.packed import container
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.program import Header
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.record import Record

_OWN = ("file:", "data:", "blob:")
"""Addresses that lead to no network."""
_CHUNK = 2**20
"""Bytes of pixels in a call of the page."""


class Options(Record):
    """The options of a page."""

    title: str = ""
    """the heading; default: told by the classes"""
    examples: Literal["auto", "yes", "no"] = "auto"
    """test images to try; auto: where their licence lets them be passed on"""
    data: str = ""
    """the folder of the data set, for the examples"""


def _write(content: Content, path: Path, options: Record) -> Sequence[str]:
    if not isinstance(options, Options):
        raise TypeError("a page takes its own options")
    header, tensors = content.header, dict(content.tensors)
    packed = container.pack(header, tensors)
    limits.check(header, tensors, len(packed))
    chosen = examples.examples(header, options.examples, options.data)
    text = page.assemble(packed, settings(content, len(packed), options.title, chosen))
    write_atomic(path, text)
    told = [
        f"page       {len(text.encode()):,} bytes, {len(packed):,} of them the packed file in base64"
        f" ({4 * len(packed) / 3:,.0f}); open it in a browser, it needs nothing else"
    ]
    if not limits.is_exact(header):
        told.append("           sums of reals: logits equal the packed file's up to rounding")
    return [*told, *([f"note       {chosen[2]}"] if chosen[2] else [])]


def settings(
    content: Content, size: int, title: str, chosen: tuple[NDArray[np.uint8], tuple[int, ...], str]
) -> dict[str, Any]:
    """The words and facts that a page's scripts get beside the packed file."""
    header, (pixels, labels, _) = content.header, chosen
    name = examples.data_of(header)
    pen = examples.PENS.get(name)
    data = DATASETS[name].title if name in DATASETS else name or "not told"
    licence = licence_of(name)
    credit = f"Examples: {licence.source} ({licence.name})." if labels else ""
    rows = facts.rows(header, content.tensors, size, data)
    weights = facts.one_bit_weights(header.program, content.tensors)
    return {
        "title": title or _title(header, pen is not None),
        "ask": "Draw a digit" if pen else "Show it a picture",
        "hint": "Draw here\nor drop a picture" if pen else "Drop or paste a picture,\nor open one",
        "name": f"{header.method}_{header.model}_{name or 'network'}.bnn",
        "pen": pen,
        "examples": {"pixels": base64.b64encode(pixels.tobytes()).decode(), "labels": labels},
        "credit": credit,
        "facts": {
            "line": f"{weights:,} weights of one bit each, {size:,} bytes, {len(header.classes)} classes",
            "exact": limits.is_exact(header),
            "rows": rows,
        },
    }


def _title(header: Header, is_drawn: bool) -> str:
    if is_drawn:
        return "A neural network that reads digits, bit by bit"
    names = [name.replace("_", " ") for name in header.classes[:3]]
    return f"A neural network of single bits: {', '.join(names)}{' …' if len(header.classes) > 3 else ''}"


def _open(path: Path) -> Opened:
    try:
        header, _ = container.unpack(page.packed_in(path))
    except PackedFileError as error:
        raise DataError(f"{path}: the network in it is damaged ({error}); export it again") from error
    browser = Browser()
    browser.open(path)
    if any(not address.startswith(_OWN) for address in browser.requests):
        raise DataError(f"{path}: asks a network for something, which no page of bnn-export does")
    if browser.complaints:
        raise ExportError(f"{path}: the page fails in the browser: {browser.complaints[0]}")
    return Opened(header, f"its own script, {browser.version}", Runner(browser, header))


class Runner:
    """A page's runtime in a browser: uint8 N×H×W×C to float32 logits."""

    def __init__(self, browser: Browser, header: Header) -> None:
        self.browser, self.header = browser, header

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        classes, each = len(self.header.classes), max(1, _CHUNK // max(1, images[:1].size))
        found = [np.zeros((0, classes), np.float32)]
        for at in range(0, len(images), each):
            text = base64.b64encode(np.ascontiguousarray(images[at : at + each]).tobytes()).decode()
            answer = self.browser.evaluate(f'logitsOf(network, "{text}")')
            found.append(np.frombuffer(base64.b64decode(answer), "<f4").reshape(-1, classes))
        return np.concatenate(found)


TARGET: Target = Target(
    name="web",
    summary="one HTML page: draw or show a picture, see the answer and every bit; offline, no library",
    write=_write,
    open=_open,
    recognises=page.is_page,
    endings=(".html", ".htm"),
    options=Options,
)
