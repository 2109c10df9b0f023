"""What a data section alone says about the model's input and output. No torch, no files."""

from __future__ import annotations

from bnn_train.spec.data import Data
from bnn_train.spec.datasets import DATASETS


def input_shape(config: Data) -> tuple[int, int, int]:
    """C×H×W of the images that the model sees."""
    channels, height, width = config.shape or DATASETS[config.name].shape
    if config.image_size is not None:
        height = width = config.image_size
    return channels, height, width


def num_classes(config: Data) -> int:
    """How many classes the data set has; an image folder on disk may hold fewer."""
    return config.num_classes or DATASETS[config.name].num_classes
