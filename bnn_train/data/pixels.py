"""Raw pixels, for a network that normalizes them itself, and the steps that it must have taken in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnn_train.data.bundle import DataBundle
from bnn_train.data.normalize import Normalizer
from bnn_train.spec.data import Data

Pixels = NDArray[np.uint8]


def pixel_batches(
    data: DataBundle,
    split: str,
    batch_size: int | None = None,
    limit: int | None = None,
    *,
    scored: bool = True,
) -> Iterator[tuple[Pixels, Tensor]]:
    """Every image of a split once, in the order of evaluation; at most the first ``limit``.

    uint8 N×H×W×C and int64 labels, on the CPU. See ``eval_batches`` for ``scored``.
    """
    chosen, size = data.splits[split], batch_size or data.config.eval_batch_size
    spares = None if scored else data.spares(split)
    for images, labels in chosen.source.batches(chosen.positions[:limit], None, size, spares):
        yield np.ascontiguousarray(images.permute(0, 2, 3, 1).cpu().numpy()), labels.cpu()


def fitted_normalizer(config: Data, state: Mapping[str, Tensor]) -> Normalizer:
    """The normalization that a checkpoint stores. Raises CheckpointError if it does not fit the config."""
    normalizer = Normalizer.of(config, torch.device("cpu"))
    normalizer.load(state)
    return normalizer
