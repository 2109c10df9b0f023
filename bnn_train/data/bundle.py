"""The opened data of one experiment, split, and its batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bnn_train.data.mix import mixed
from bnn_train.data.normalize import Normalizer
from bnn_train.data.randomness import Ids, balanced, permutation
from bnn_train.data.share import Counts, bounds, shares
from bnn_train.data.sources import FolderSource, Source
from bnn_train.spec.data import Data
from bnn_train.world import ALONE, World


@dataclass(frozen=True)
class Split:
    """Some images of a source, in the order of evaluation."""

    source: Source
    positions: Ids

    @property
    def labels(self) -> Ids:
        """The labels, as the files number them; nothing is decoded."""
        return self.source.labels_of(self.positions)


class Opened(NamedTuple):
    """A data set whose files were opened: classes, splits, and how it was found."""

    classes: tuple[str, ...]
    splits: dict[str, Split]
    digests: dict[str, str]
    config: Data | None = None
    """The section with how the split was drawn, where opening it drew one."""
    notes: tuple[str, ...] = ()
    changed: str | None = None
    choices: tuple[str, ...] = ()
    """Sentences on defaults that were taken."""


def batches_per_epoch(config: Data, images: int) -> int:
    """Training batches in an epoch over so many images; 0 where they fill none."""
    whole = images // config.batch_size if config.drop_last else -(-images // config.batch_size)
    wanted = config.batches_per_epoch
    if wanted is None or not whole:
        return whole
    return wanted if config.sampling == "balanced" else min(wanted, whole)


@dataclass(frozen=True)
class DataBundle:
    """The opened data of one experiment."""

    config: Data
    seed: int
    classes: tuple[str, ...]
    """Class names in label order."""
    shape: tuple[int, int, int]
    """C×H×W of a batch's images."""
    normalizer: Normalizer
    splits: Mapping[str, Split]
    digests: dict[str, str]
    """File name → digest; for image folders that of the list of files."""
    notes: tuple[str, ...] = ()
    """Files that lie there and are not used, as sentences."""
    changed: str | None = None
    """A sentence on how the training images differ from those that the validation split was drawn from."""
    choices: tuple[str, ...] = ()
    """Sentences on defaults that were taken."""
    world: World = ALONE
    """The processes that share each batch."""

    @property
    def sizes(self) -> dict[str, int]:
        """Images per opened split."""
        return {name: len(split.positions) for name, split in self.splits.items()}

    def names(self, split: str) -> NDArray[Any] | None:
        """The names of a split's images as bytes, each once; None where images have no names."""
        chosen = self.splits[split]
        return chosen.source.names_of(chosen.positions)

    @property
    def remarks(self) -> list[str]:
        """``choices``, ``notes``, ``changed``, and what was met in the files read so far, as sentences."""
        met = [sentence for source in self._folders() for sentence in source.incidents.sentences()]
        return [*self.choices, *self.notes, *([self.changed] if self.changed else []), *met]

    def add_up_remarks(self) -> None:
        """Take in what the other processes have met."""
        for source in [] if self.world.alone else self._folders():
            source.incidents.add_up(self.world)

    def take_damaged(self) -> int:
        """Places in batches that damaged images left to others, since this was last asked."""
        return sum(source.incidents.take_places() for source in self._folders())

    def _folders(self) -> list[FolderSource]:
        sources = {id(split.source): split.source for split in self.splits.values()}
        return [source for source in sources.values() if isinstance(source, FolderSource)]

    @property
    def batches_per_epoch(self) -> int:
        """Training batches; 0 where the training images were not opened, or fill no batch."""
        return batches_per_epoch(self.config, self.sizes.get("train", 0))

    def train_batches(
        self, epoch: int, skip: int = 0, *, mix: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Augmented training images of an epoch (from 0), in its order, without the first ``skip`` batches.

        float32 B×C×H×W and int64 labels on the device. A function of (seed, epoch) alone; nothing is decoded
        for skipped batches. ``mix``: as ``data.mix`` says, if it does; then with shares B×K for labels. Of
        several processes each reads its part of every batch.
        """
        split, size, world = self.splits["train"], self.config.batch_size, self.world
        order = self._order(epoch, split)[: self.batches_per_epoch * size]
        mixes = mix and bool(self.config.mix)
        behind = mixes and not world.alone
        left, size = shares(
            split.positions[order[skip * size :]], size, world.rank, world.size, neighbour=behind
        )
        batches = split.source.batches(left, epoch, size, self.spares("train"))
        for number, (images, labels) in enumerate(batches):
            pixels = self.normalizer(images)
            if mixes:
                ids = left[number * size : number * size + len(labels)]
                pixels, labels = self._mixed(pixels, labels, epoch, ids)
            yield (pixels[:-1], labels[:-1]) if behind else (pixels, labels)

    def counts(self, number: int) -> Counts:
        """The images of the epoch's training batch ``number`` that this process counts, and all of them."""
        size = self.config.batch_size
        images = self.batches_per_epoch * size
        if self.config.sampling == "shuffle":
            images = min(images, self.sizes["train"])
        whole = min(size, images - number * size)
        start, stop = bounds(whole, self.world.rank, self.world.size)
        return Counts(stop - start, whole)

    def _mixed(self, images: Tensor, labels: Tensor, epoch: int, ids: Ids) -> tuple[Tensor, Tensor]:
        ways, classes = self.config.mix, len(self.classes)
        return mixed(images, labels, ways, classes=classes, seed=self.seed, epoch=epoch, ids=ids)

    def calibration_batches(self, images: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The first training images of the first epoch's order, not augmented."""
        split = self.splits["train"]
        order = permutation(self.seed, 0, len(split.positions))[:images]
        size, spares = self.config.eval_batch_size, self.spares("train")
        for pixels, labels in split.source.batches(split.positions[order], None, size, spares):
            yield self.normalizer(pixels), labels

    def spares(self, split: str) -> Ids | None:
        """The images that may take a damaged one's place where a split is not scored; None: none may."""
        may = split == "train" and self.config.on_error == "skip"
        return self.splits[split].positions if may else None

    def _order(self, epoch: int, split: Split) -> Ids:
        """The order of an epoch, as indices into the split's positions."""
        if self.config.sampling == "shuffle":
            return permutation(self.seed, epoch, len(split.positions))
        return balanced(self.seed, epoch, split.labels, self.batches_per_epoch * self.config.batch_size)

    def eval_batches(
        self,
        split: str,
        batch_size: int | None = None,
        limit: int | None = None,
        *,
        scored: bool = True,
        shared: bool = False,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image of a split once, in order, not augmented; at most the first ``limit``.

        ``scored`` images are all read or none; without, training images may be left out as in training.
        ``shared``: of N processes number r reads the batches r, r + N, … alone.
        """
        chosen, size = self.splits[split], batch_size or self.config.eval_batch_size
        spares = None if scored else self.spares(split)
        positions = chosen.positions[:limit]
        if shared and not self.world.alone:
            positions = positions[self.places(split)]
        for images, labels in chosen.source.batches(positions, None, size, spares):
            yield self.normalizer(images), labels

    def places(self, split: str) -> Ids:
        """The images of a split that this process evaluates where processes share it."""
        places = np.arange(len(self.splits[split].positions))
        mine: Ids = places[places // self.config.eval_batch_size % self.world.size == self.world.rank]
        return mine
