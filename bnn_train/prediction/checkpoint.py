"""The network of a checkpoint in use, as evaluations of its run have it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bnn_train.data.normalize import Normalizer
from bnn_train.data.transfer import to_device
from bnn_train.packed.program import Images
from bnn_train.spec.inputs import evaluation_resize, input_shape, is_folder
from bnn_train.training.precision import AMP_TYPES, precise
from bnn_train.training.restore import model_of, open_checkpoint
from bnn_train.training.setup import choose_device


class Trained:
    """A network with its normalization, in the precision that it was trained in."""

    def __init__(
        self, model: nn.Module, normalizer: Normalizer, amp: torch.dtype | None, images: Images
    ) -> None:
        self._model, self._normalizer, self._amp = model, normalizer, amp
        self.images = images
        self.title = ""
        self.classes: tuple[str, ...] = ()

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See ``Classifier``."""
        device = self._normalizer.device
        pixels = to_device(torch.from_numpy(images).permute(0, 3, 1, 2), device)
        with torch.no_grad(), precise(device, self._amp):
            logits: NDArray[np.float32] = self._model(self._normalizer(pixels)).float().cpu().numpy()
        return logits


def of_checkpoint(file: Path, device: Literal["auto", "cpu", "cuda"]) -> Trained:
    """The checkpoint's network. Raises CheckpointError."""
    checkpoint, experiment = open_checkpoint(file)
    chosen = choose_device(experiment.run.model_copy(update={"device": device}))
    normalizer = Normalizer.of(experiment.data, chosen)
    normalizer.load(checkpoint.section("preprocess"))
    channels, height, width = input_shape(experiment.data)
    images = Images(
        height=height,
        width=width,
        channels=channels,
        resize=evaluation_resize(experiment.data) if is_folder(experiment.data) else None,
        exif=experiment.data.exif,
    )
    found = Trained(model_of(checkpoint, chosen), normalizer, AMP_TYPES[experiment.training.amp], images)
    found.title = f"{experiment.method.name} {experiment.model.name}"
    found.classes = tuple(checkpoint.state["classes"])
    return found
