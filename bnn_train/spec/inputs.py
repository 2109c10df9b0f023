"""The images that a data section gives a model: shape, classes, held-out count, size before the crop."""

from __future__ import annotations

from bnn_train.spec.data import Data
from bnn_train.spec.datasets import DATASETS

OWN_SHARE = 0.1
"""Of own images held out for validation where nothing is said."""


def input_shape(data: Data) -> tuple[int, int, int]:
    """C×H×W of the images that the model sees."""
    channels, height, width = data.shape or DATASETS[data.name].shape
    channels = data.channels or channels
    return (channels, data.image_size, data.image_size) if data.image_size else (channels, height, width)


def num_classes(data: Data) -> int:
    """The number of classes of the data set; an image folder on disk may hold fewer."""
    return data.num_classes or DATASETS[data.name].num_classes


def validation_size(data: Data) -> int:
    """The number of images that are held out of the training file."""
    size = data.validation.size
    return DATASETS[data.name].validation if size is None else size


def validates(data: Data) -> bool:
    """Whether there are images that choose the checkpoint."""
    held_out = bool(validation_size(data)) or validation_share(data) is not None
    found = data.found is not None and data.found.validation is not None
    return held_out or found or data.validation.folder is not None


def validation_share(data: Data) -> float | None:
    """The part of each class that is held out, where no number says how many: of own images a tenth."""
    v = data.validation
    apart = v.folder is not None or (data.found is not None and data.found.validation is not None)
    if v.size is not None or apart or not is_own(data):
        return None
    return v.share or OWN_SHARE


def is_own(data: Data) -> bool:
    """Whether the images are the user's, so that classes, parts and statistics are read off them."""
    return DATASETS[data.name].own


def is_folder(data: Data) -> bool:
    """Whether the images are files in folders, decoded on the way, and not one tensor."""
    return DATASETS[data.name].layout == "folder"


def evaluation_resize(data: Data) -> int:
    """Pixels of the shorter side before the centre crop of an image folder's evaluation: 256 for 224."""
    return round(input_shape(data)[1] * 256 / 224) if data.resize is None else data.resize
