"""A packed model in use: images in, logits out. No torch."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import BnnError
from bnn_train.packed import container, kernels, preprocess
from bnn_train.packed.engine import DTYPES, reads, value_shape
from bnn_train.packed.images import check_array, read_files
from bnn_train.packed.memory import default_limit
from bnn_train.packed.preprocess_rules import image_bytes
from bnn_train.packed.program import Header
from bnn_train.packed.resample import Picture
from bnn_train.packed.validate import check

Array = NDArray[Any]
Listed = NDArray[np.uint8] | Sequence[str | Path]
Inputs = Listed | str | Path
_CHUNK_BYTES, _CHUNK_IMAGES = 2**28, 1024
_SHARE = 4
"""One part in so many of the memory is for the images of a chunk, where they are not more than that."""
MAX_THREADS = 1024


class Options(NamedTuple):
    """The settings of a model's runs."""

    threads: int
    isa: str | None
    memory_limit: int | None


class PackedModel:
    """Called with uint8 N×H×W×C, an image file, or a list of such, it gives float32 logits N×classes.

    It serves many threads, forked children, pickle (as the bytes of its file) and ``copy.deepcopy``. Raises
    DataError for images that are not what the model wants.
    """

    def __init__(self, header: Header, tensors: dict[str, Array], options: Options) -> None:
        """``header`` and ``tensors`` must be checked; use ``load`` or ``from_parts``."""
        self.header = header
        self.program = header.program
        self.tensors = tensors
        self._options = options
        room = Room(header, tensors, options.memory_limit)
        self._engine = kernels.build(header.program, tensors, options.isa, room.engine)
        self._chunk = room.chunk(self._engine.image_bytes)

    @classmethod
    def from_parts(
        cls,
        header: Header,
        tensors: dict[str, Array],
        threads: int = 1,
        isa: str | None = None,
        memory_limit: int | None = None,
        *,
        kernel: str | None = None,
    ) -> PackedModel:
        """A model in memory. Raises PackedFileError for parts that no file could hold. ``kernel``: the name
        of ``isa`` in earlier releases."""
        options = Options(_thread_count(threads), isa or kernel, memory_limit)
        check(header, tensors, memory_limit)
        return cls(header, tensors, options)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (container.pack(self.header, self.tensors), self._options)

    @property
    def threads(self) -> int:
        """Threads of a call."""
        return self._options.threads

    @property
    def isa(self) -> str:
        """The instruction set in use, or ``reference``."""
        return self._engine.name

    @property
    def kernel(self) -> str:
        """The name of ``isa`` in earlier releases."""
        return self.isa

    def __call__(self, images: Inputs) -> NDArray[np.float32]:
        """Logits, some images at a time, so that memory stays bounded for any N; none for no image."""
        images = self._listed(images)
        logits = np.empty((len(images), len(self.header.classes)), np.float32)
        for at in range(0, len(images), self._chunk):
            logits[at : at + self._chunk] = self._run(self._pixels(images, at, at + self._chunk))
        return logits

    def values(self, images: Inputs) -> list[Array]:
        """Every value of the program in the plain layout, for N ≥ 1 images, all at once."""
        found = {0: self.input(images)}
        for i in range(len(self.program.steps)):
            found.update(self.step(i, found))
        return [found[i] for i in range(len(self.program.values))]

    def step(self, i: int, inputs: Mapping[int, Array]) -> dict[int, Array]:
        """Step ``i`` alone: the values it writes, from the arrays of those it reads."""
        if not 0 <= i < len(self.program.steps):
            raise BnnError(f"step {i} does not exist; the program has {len(self.program.steps)}")
        needed = reads(self.program.steps[i])
        return self._engine.step(i, {v: self._checked(v, inputs) for v in needed}, self.threads)

    def step_times(self, images: Inputs, repeats: int) -> NDArray[np.float64]:
        """Seconds of every step on one thread for N images at once, the least of ``repeats`` calls; 0 where a
        step ran with an earlier one. Raises BnnError for the numpy reference, and for more images than pass
        through the kernels at once."""
        return self._engine.profile(np.ascontiguousarray(self.input(images)), repeats)

    def input(self, images: Inputs) -> Array:
        """Value 0: the pixels, or what the preprocessing makes of them."""
        return self._prepared(self._pixels(self._listed(images), 0, None))

    def _checked(self, v: int, inputs: Mapping[int, Array]) -> Array:
        value = self.program.values[v]
        shape = value_shape(value)
        array = inputs.get(v)
        if array is None or array.dtype != DTYPES[value.type] or array.shape[1:] != shape or len(array) < 1:
            raise BnnError(f"value {v} is missing or not {value.type} N×{'×'.join(map(str, shape))}")
        return np.ascontiguousarray(array)

    def _listed(self, images: Inputs) -> Listed:
        """An array of the right kind, or a list of files."""
        if isinstance(images, str | Path):
            return [images]
        if isinstance(images, list | tuple) and all(isinstance(path, str | Path) for path in images):
            return images
        return check_array(images, self.header.images)

    def _pixels(self, images: Listed, begin: int, end: int | None) -> Picture:
        some = images[begin:end]
        if isinstance(some, np.ndarray):
            return np.ascontiguousarray(some)
        return read_files(some, self.header.images)

    def _prepared(self, pixels: Picture) -> Array:
        steps = self.header.images.preprocess
        return preprocess.apply(pixels, steps, self.tensors) if steps else pixels

    def _run(self, pixels: Picture) -> NDArray[np.float32]:
        return self._engine.run(np.ascontiguousarray(self._prepared(pixels)), self.threads)


class Room:
    """The shares of a model's memory: its file, its engine, and the images of a chunk."""

    def __init__(self, header: Header, tensors: Mapping[str, Array], memory_limit: int | None) -> None:
        held = sum(tensor.nbytes for tensor in tensors.values())
        limit = default_limit(held) if memory_limit is None else memory_limit
        self._image = image_bytes(header.images) + 4 * len(header.classes)
        self._free = max(0, limit - held)
        self._images = max(self._image, min(_CHUNK_BYTES, self._free // _SHARE))
        self.engine = self._free - self._images
        """Bytes."""

    def chunk(self, engine_image: int) -> int:
        """Images of a chunk, of which each takes so many bytes in the engine."""
        fitting = self._images // self._image
        if engine_image:
            fitting = min(fitting, self.engine // engine_image)
        return max(1, min(_CHUNK_IMAGES, fitting))


def _thread_count(threads: Any) -> int:
    try:
        count = None if isinstance(threads, bool) else operator.index(threads)
    except TypeError:
        count = None
    if count is None or not 1 <= count <= MAX_THREADS:
        raise BnnError(f"threads is {threads!r}; give a whole number from 1 to {MAX_THREADS}")
    return count


def _unpickled(content: bytes, options: Options) -> PackedModel:
    header, tensors = container.unpack(content, options.memory_limit)
    return PackedModel(header, tensors, options)


def load(
    path: Path | str,
    threads: int = 1,
    isa: str | None = None,
    memory_limit: int | None = None,
    *,
    kernel: str | None = None,
) -> PackedModel:
    """The model of a packed file. ``isa``: reference, portable, avx2, avx512 or neon; default: BNN_ISA, else
    the best. ``kernel``: its name in earlier releases.

    ``memory_limit``: bytes that the file, its weights as prepared and the work of any call may take, whatever
    the number of images and threads, beside Python's own objects for a header of at most 1 MiB; default:
    1 GiB and four times the file. Raises PackedFileError or KernelError.
    """
    options = Options(_thread_count(threads), isa or kernel, memory_limit)
    header, tensors = container.read(path, memory_limit)
    return PackedModel(header, tensors, options)
