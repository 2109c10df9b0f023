"""A packed model in use: images in, logits out. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import BnnError
from bnn_train.packed import container, kernels, preprocess
from bnn_train.packed.engine import DTYPES, Engine, reads, value_shape
from bnn_train.packed.images import Picture, check_array, read_files
from bnn_train.packed.limits import MEMORY_LIMIT, memory
from bnn_train.packed.program import Header
from bnn_train.packed.validate import check

Array = NDArray[Any]
Inputs = NDArray[np.uint8] | Sequence[str | Path]
_CHUNK_BYTES, _CHUNK_IMAGES = 2**28, 1024
MAX_THREADS = 1024


class PackedModel:
    """Called with uint8 N×H×W×C, or a list of image files, it gives float32 logits N×classes.

    Raises DataError for images that are not what the model wants.
    """

    def __init__(self, header: Header, tensors: dict[str, Array], engine: Engine, threads: int) -> None:
        """``header`` and ``tensors`` must be checked; use ``load`` or ``from_parts``."""
        self.header = header
        self.program = header.program
        self.tensors = tensors
        self.threads = threads
        self._engine = engine
        self._chunk = max(1, min(_CHUNK_IMAGES, _CHUNK_BYTES // memory(header.program)))

    @classmethod
    def from_parts(
        cls, header: Header, tensors: dict[str, Array], threads: int = 1, kernel: str | None = None
    ) -> PackedModel:
        """A model in memory. Raises PackedFileError for parts that no file could hold."""
        check(header, tensors)
        return cls._built(header, tensors, threads, kernel)

    @classmethod
    def _built(
        cls, header: Header, tensors: dict[str, Array], threads: int, kernel: str | None
    ) -> PackedModel:
        if type(threads) is not int or not 1 <= threads <= MAX_THREADS:
            raise BnnError(f"threads is {threads!r}; give a whole number from 1 to {MAX_THREADS}")
        return cls(header, tensors, kernels.build(header.program, tensors, kernel), threads)

    @property
    def kernel(self) -> str:
        """The name of the kernel in use."""
        return self._engine.name

    def __call__(self, images: Inputs) -> NDArray[np.float32]:
        """Logits, some images at a time, so that memory stays bounded for any N; none for no image."""
        starts = range(0, len(images) if hasattr(images, "__len__") else 1, self._chunk)
        if isinstance(images, np.ndarray):
            images = check_array(images, self.header.images)
        parts = [self._run(self._pixels(images, at, at + self._chunk)) for at in starts]
        return np.concatenate(parts) if parts else np.empty((0, len(self.header.classes)), np.float32)

    def values(self, images: Inputs) -> list[Array]:
        """Every value of the program in canonical layout, for N ≥ 1 images, all at once."""
        found = {0: self.input(images)}
        for i in range(len(self.program.steps)):
            found.update(self.step(i, found))
        return [found[i] for i in range(len(self.program.values))]

    def step(self, i: int, inputs: Mapping[int, Array]) -> dict[int, Array]:
        """Step ``i`` alone: the values it writes, from canonical arrays of those it reads."""
        if not 0 <= i < len(self.program.steps):
            raise BnnError(f"step {i} does not exist; the program has {len(self.program.steps)}")
        needed = reads(self.program.steps[i])
        return self._engine.step(i, {v: self._canonical(v, inputs) for v in needed}, self.threads)

    def input(self, images: Inputs) -> Array:
        """Value 0: the pixels, or what the preprocessing makes of them."""
        return self._prepared(self._pixels(images, 0, None))

    def _canonical(self, v: int, inputs: Mapping[int, Array]) -> Array:
        value = self.program.values[v]
        shape = value_shape(value)
        array = inputs.get(v)
        if array is None or array.dtype != DTYPES[value.type] or array.shape[1:] != shape or len(array) < 1:
            raise BnnError(f"value {v} is missing or not {value.type} N×{'×'.join(map(str, shape))}")
        return np.ascontiguousarray(array)

    def _pixels(self, images: Inputs, begin: int, end: int | None) -> Picture:
        if isinstance(images, list | tuple) and all(isinstance(path, str | Path) for path in images):
            return read_files(images[begin:end], self.header.images)
        return check_array(images, self.header.images)[begin:end]

    def _prepared(self, pixels: Picture) -> Array:
        steps = self.header.images.preprocess
        return preprocess.apply(pixels, steps, self.tensors) if steps else pixels

    def _run(self, pixels: Picture) -> NDArray[np.float32]:
        return self._engine.run(np.ascontiguousarray(self._prepared(pixels)), self.threads)


def load(
    path: Path | str, threads: int = 1, kernel: str | None = None, memory_limit: int = MEMORY_LIMIT
) -> PackedModel:
    """The model of a packed file. ``kernel``: reference, portable, avx2, avx512 or neon; default: BNN_KERNEL,
    else the best. Raises PackedFileError or KernelError."""
    header, tensors = container.read(path, memory_limit)
    return PackedModel._built(header, tensors, threads, kernel)
