"""A format that an export writes: its name, what chooses it, who writes it, and what runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.program import Header
from bnn_train.spec.record import Record

Logits = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 N×H×W×C → float32 N×classes."""


@dataclass(frozen=True)
class Content:
    """A checked packed network: the one source of every format."""

    header: Header
    tensors: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Opened:
    """A written file as its own runtime runs it."""

    header: Header
    """As in the packed file that it was made from; it says how images become its input."""
    runtime: str
    """Name and version of the program that runs it."""
    logits: Logits


@dataclass(frozen=True)
class Target:
    """A format. ``write`` puts it at a path and returns what people should know of it, a line each; it
    raises ExportError, nothing written, for a network that the format cannot hold and where its library is
    missing. ``open`` raises ExportError where the runtime is missing, DataError for other files."""

    name: str
    summary: str
    write: Callable[[Content, Path, Record], Sequence[str]]
    """Content, path and options, of the type ``options``."""
    open: Callable[[Path], Opened] | None = None
    recognises: Callable[[Path], bool] = field(default=lambda _: False)
    """Whether a path looks like this format; reads little and never raises."""
    endings: tuple[str, ...] = ()
    """Endings of a path that choose it; none: it is a folder or wants ``--format``."""
    also: tuple[str, ...] = ()
    """Endings that it takes where ``--format`` names it, though they choose another."""
    is_folder: bool = False
    options: type[Record] = Record
    """Its own options (``--with KEY=VALUE``), each with a default."""
    packages: tuple[str, ...] = ()
    """Distributions that ``write`` needs beside bnn_train's own dependencies; looked for before any work."""
    extra: str = ""
    """The extra of bnn_train that brings them."""
