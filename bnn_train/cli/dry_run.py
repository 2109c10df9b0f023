"""``bnn-train --dry-run``: the layer table, the images where they are files, and the resolved config."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from bnn_train.config.loader import dump
from bnn_train.config.schema import Data, Experiment
from bnn_train.data.open import DataBundle, open_data
from bnn_train.data.sources import FolderSource
from bnn_train.errors import ImageError, printable
from bnn_train.files import expanded
from bnn_train.inspect.layers import format_layers, layer_table
from bnn_train.models.build import build
from bnn_train.spec.inputs import input_shape, is_folder, num_classes
from bnn_train.training.footprint import footprints, told
from bnn_train.training.losses.table import terms_of
from bnn_train.training.stages import look

SAMPLES = 32
"""Images of each split that are decoded, spread over it."""


def dry_run(experiment: Experiment) -> str:
    """The text of ``--dry-run``. The model is built without memory for its weights.

    Raises DataError for an image folder that could not be trained on.
    """
    shape, classes = input_shape(experiment.data), num_classes(experiment.data)
    lines = []
    if is_folder(experiment.data):
        data = opened_folder(experiment.data, experiment.seed)
        classes = classes if data is None else len(data.classes)
        lines = list(_absent(experiment.data, classes) if data is None else _images(data))
    with torch.device("meta"):
        model = build(experiment.model, experiment.method, shape, classes)
    lines += _origins(model, experiment)
    name = f"{experiment.method.name} {experiment.model.name}"
    title = f"{name}, input {'×'.join(map(str, shape))}, {classes} classes"
    table = format_layers(layer_table(model, shape))
    table += "\n" + "\n".join(told(footprints(model, experiment.optimizer)))
    return "\n\n".join([title, *(["\n".join(lines)] if lines else []), table, dump(experiment)])


def _origins(model: nn.Module, experiment: Experiment) -> Iterator[str]:
    """The other networks that go into the run; their files are read."""
    if (started := look(model, experiment)) is not None:
        yield started.told()
    yield from (term.told() for term in terms_of(experiment.loss, torch.device("cpu")))


def opened_folder(config: Data, seed: int) -> DataBundle | None:
    """The listed folder; None where it is not there yet."""
    root = expanded(config.root)
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return None
    plain = config.model_copy(update={"normalize": ()})  # statistics would have every image decoded
    return open_data(plain, seed=seed, device=torch.device("cpu"))


def _absent(config: Data, classes: int) -> Iterator[str]:
    root = printable(expanded(config.root).absolute())
    yield f"images: none, {root} is not there yet; counted with {classes} classes"


def _images(data: DataBundle) -> Iterator[str]:
    sizes = ", ".join(f"{name} {count:,}" for name, count in data.sizes.items())
    yield f"images: {sizes}, of {', '.join(map(printable, data.classes[:5]))}" + (
        f" and {len(data.classes) - 5:,} more classes" if len(data.classes) > 5 else ""
    )
    yield from (f"note: {note}" for note in (*data.choices, *data.notes))
    for split in data.splits:
        yield from _sampled(data, split)


def _sampled(data: DataBundle, split: str) -> Iterator[str]:
    """Faults and EXIF orientations among some images of a split."""
    source, positions = data.splits[split].source, data.splits[split].positions
    if not isinstance(source, FolderSource) or not len(positions):
        return
    exif, turned, faults = data.config.exif, 0, []
    chosen = positions[np.unique(np.linspace(0, len(positions) - 1, SAMPLES).astype(int))]
    for position in chosen:
        try:
            turned += source.pictures.photo(int(position)).turned
        except ImageError as error:
            faults.append(str(error))
    looked = f"of {len(chosen):,} {split} images looked at"
    if turned:
        yield f"note: {looked}, {turned:,} have an EXIF orientation other than upright (data.exif: {exif})"
    if faults:
        yield f"note: {looked}, {len(faults):,} cannot be used; the first: {faults[0]}"
