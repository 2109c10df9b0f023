"""Damaged and turned images met while files were decoded, told rather than passed over."""

from __future__ import annotations

import os
from collections.abc import Iterator

from bnn_train.errors import printable
from bnn_train.world import World


class Incidents:
    """Images that EXIF data want turned, and damaged ones whose places others took."""

    def __init__(self, part: str, exif: str) -> None:
        self._part, self._exif = part, exif
        self._turned: set[bytes] = set()
        self._damaged: dict[bytes, str] = {}
        self._places = 0

    def add(self, turned: list[bytes], damaged: dict[bytes, str], places: int) -> None:
        """Take in one batch: turned images by name, damaged ones with a sentence each. An image counts once;
        ``places`` that others took in batches that are trained on count each time."""
        self._turned.update(turned)
        self._damaged |= damaged
        self._places += places

    def take_places(self) -> int:
        """Places of damaged images in training batches since this was last asked."""
        places, self._places = self._places, 0
        return places

    def add_up(self, world: World) -> None:
        """Take in what all processes have met."""
        own = {
            "turned": [name.decode("latin-1") for name in self._turned],
            "damaged": {name.decode("latin-1"): told for name, told in self._damaged.items()},
        }
        for rank in range(world.size):
            told = world.told_by(rank, own)
            self._turned.update(name.encode("latin-1") for name in told["turned"])
            self._damaged |= {name.encode("latin-1"): fault for name, fault in told["damaged"].items()}

    def sentences(self) -> Iterator[str]:
        """One line on the turned images and one on the damaged ones, where there are any."""
        if self._turned:
            count = "1 image has" if len(self._turned) == 1 else f"{len(self._turned):,} images have"
            turns = "turned or mirrored so (data.exif: apply)"
            done = turns if self._exif == "apply" else "taken as stored; data.exif: apply turns them"
            yield f"{self._part}: {count} an EXIF orientation other than upright: {done}"
        if self._damaged:
            count = "1 image was" if len(self._damaged) == 1 else f"{len(self._damaged):,} images were"
            name, fault = next(iter(self._damaged.items()))
            yield (
                f"{self._part}: {count} left out of training as damaged, the next ones in their places"
                f" (data.on_error: skip); the first is {printable(os.fsdecode(name))}: {fault}"
            )
