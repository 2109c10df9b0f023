"""Every name that a config may hold against the table that makes an object of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import torch
from PIL import Image

from bnn_train.binary.factory import GAMMAS, LEADS, NORMS_1D, NORMS_2D, STREAMS
from bnn_train.config import schema
from bnn_train.data import normalize, readers
from bnn_train.data.augment import pad_crop_flip
from bnn_train.data.decode import Draws, for_training
from bnn_train.data.files import FILES
from bnn_train.data.normalize import Normalizer
from bnn_train.data.randomness import permutation
from bnn_train.export.run import pixel_steps
from bnn_train.models.build import BUILDERS
from bnn_train.packed import preprocess
from bnn_train.packed.preprocess_rules import KINDS
from bnn_train.spec.data import Data, PadCropFlip
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.method import BlockSpec, NormSpec
from bnn_train.spec.networks import NETWORKS
from bnn_train.spec.record import Record
from bnn_train.training.schedules import CURVES, learning_rate

SHAPE = (1, 12, 12)
REQUIRED: dict[str, dict[str, Any]] = {
    "table": {"rates": {0: 0.5}},
    "exponential": {"end": 0.1},
    "step": {"every": 1},
}
"""Options without which a section cannot be written."""


def members(annotation: Any) -> Iterator[type[Record]]:
    """The classes of a union of sections."""
    if isinstance(annotation, type):
        yield annotation
    for inner in () if get_origin(annotation) is Literal else get_args(annotation):
        if get_origin(annotation) is not Annotated or inner is get_args(annotation)[0]:
            yield from members(inner)


def name_of(section: type[Record]) -> str:
    return str(get_args(section.model_fields["name"].annotation)[0])


def literals(section: type[Record], key: str) -> set[str]:
    return set(get_args(section.model_fields[key].annotation))


def sections(annotation: Any) -> list[Any]:
    """One section of every kind, as a config writes it."""
    return [
        cls.model_validate({"name": name_of(cls), **REQUIRED.get(name_of(cls), {})})
        for cls in members(annotation)
    ]


def ids(section: Any) -> str:
    return str(section.name)


def test_networks() -> None:
    names = {name_of(cls) for cls in members(schema.Network)}
    assert names == set(NETWORKS) == set(BUILDERS)


def test_data_sets() -> None:
    names = literals(Data, "name")
    assert names == set(DATASETS)
    assert {name for name in names if DATASETS[name].layout == "tensor"} == set(readers._READERS)
    assert set(FILES) < names


@pytest.mark.parametrize("step", sections(schema.Normalization), ids=ids)
def test_normalizations(step: Any) -> None:
    """Each is computed in training, and by the packed runtime under the name that an export gives it."""
    normalizer = Normalizer([step], shape=SHAPE, mean=(0.5,), std=(0.25,), device=torch.device("cpu"))
    images = torch.randint(0, 256, (4, *SHAPE), dtype=torch.uint8)
    normalizer.fit(images)
    assert normalizer(images).shape == images.shape
    (exported,) = pixel_steps(normalizer)
    assert exported.kind in KINDS
    assert exported.kind in preprocess._APPLY


def test_no_normalization_without_a_name() -> None:
    assert set(members(schema.Normalization)) == set(normalize._APPLY)
    assert len(normalize._APPLY) == len(KINDS) == len(preprocess._APPLY)


@pytest.mark.parametrize("step", sections(schema.Augmentation), ids=ids)
def test_augmentations(step: Any) -> None:
    if isinstance(step, PadCropFlip):
        images = torch.zeros(2, *SHAPE, dtype=torch.uint8)
        done = pad_crop_flip(images, step, seed=1, epoch=0, ids=permutation(1, 0, 2))
        assert done.shape == images.shape
    else:
        picture = Image.new("RGB", (40, 30))
        assert for_training(picture, 12, step, Draws(1, 0, 0)).shape == (12, 12, 3)


@pytest.mark.parametrize("schedule", sections(schema.Schedule), ids=ids)
def test_schedules(schedule: Any) -> None:
    assert learning_rate(schedule, 0.5, step=0, steps_per_epoch=2, epochs=4) == 0.5


def test_no_schedule_without_a_name() -> None:
    assert {name_of(cls) for cls in members(schema.Schedule)} == set(CURVES)


def test_norms_and_blocks() -> None:
    assert literals(NormSpec, "kind") == set(NORMS_1D) == set(NORMS_2D)
    assert literals(NormSpec, "gamma") == set(GAMMAS)
    assert literals(BlockSpec, "before_last") == set(LEADS)
    assert literals(BlockSpec, "post_add_activation") == set(STREAMS)
