"""A trained network as a function from pixels to logits, whichever file it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import BnnError
from bnn_train.files import expanded
from bnn_train.inspect.checkpoints import find, is_packed
from bnn_train.packed import PackedModel, load
from bnn_train.packed.program import Images

Pixels = NDArray[np.uint8]


class Classifier(Protocol):
    """A network in use."""

    title: str
    """Method, network, and the file's kind."""
    classes: tuple[str, ...]
    """Class names in the order of the logits."""
    images: Images
    """The images that it takes, and how a file becomes one."""

    def __call__(self, images: Pixels) -> NDArray[np.float32]:
        """Logits N×classes of uint8 N×H×W×C."""


class Packed:
    """A packed file."""

    def __init__(self, model: PackedModel) -> None:
        header = model.header
        self._model = model
        self.title = f"{header.method} {header.model}, packed, kernel {model.isa}"
        self.classes = header.classes
        self.images = header.images

    def __call__(self, images: Pixels) -> NDArray[np.float32]:
        """See ``Classifier``."""
        return self._model(images)


def classifier(
    path: Path | str,
    *,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int | None = None,
    kernel: str | None = None,
) -> Classifier:
    """The network of a run folder (its best checkpoint), a checkpoint or a packed file.

    ``threads`` and ``kernel`` are for packed files, ``device`` for the others. Raises BnnError in a sentence.
    """
    file = find(expanded(path))
    if is_packed(file):
        if device == "cuda":
            raise BnnError("a packed file runs on the CPU; leave out the device cuda")
        return Packed(load(file, threads=threads or 1, kernel=kernel))
    if threads or kernel:
        raise BnnError("threads and kernels are chosen for packed files; make one with bnn-export")
    from bnn_train.prediction.checkpoint import of_checkpoint  # torch

    return of_checkpoint(file, device)
