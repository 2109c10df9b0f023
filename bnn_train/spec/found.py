"""Facts about image files that a run found and wrote into its own config. No torch here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Count, Natural, Positive

FolderName = Annotated[str, Field(pattern=r"^[^/]+$")]


class Drawn(Record):
    """How the validation images of a folder were drawn when a run began. Each image is on its side by its
    name alone, so that one which is removed or added moves no other.

    Written by a run into its own config; with it, another run has the same split.
    """

    size: Natural
    take: Literal["last", "random", "balanced", "each"]
    seed: int
    cut: str = Field(pattern=r"^([0-9a-f]+|g)( ([0-9a-f]+|g))*$")
    """Keys before it are held out (`last`: the others), in hex (`g`: all); `balanced` and `each`: one for
    each class."""
    images: Count
    """How many the training folder held."""
    names: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of their names."""


class Statistics(Record):
    """Mean and standard deviation of the training pixels, where nobody has published them.

    Written by a run into its own config; with it, another run prepares its images alike."""

    mean: tuple[float, ...] = Field(strict=False)
    """Per channel, of pixels in [0, 1], at the size that the model sees."""
    std: tuple[Positive, ...] = Field(strict=False)
    images: Count
    """How many were read."""
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 over what was read: of files, their names and sizes."""


class Found(Record):
    """Where a run found the parts of the user's own images.

    Written by a run into its own config; with it, another run has the same parts, whatever was added."""

    test: str | None = None
    """The folder or table of the test images; null: drawn from those for training."""
    validation: str | None = None
    """That of the validation images; null: held out of those for training."""
    drawn: Drawn | None = None
    """How the test images were drawn."""
