"""The parts of each batch that processes read: together the batch of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bnn_train.data.bundle import DataBundle
from bnn_train.data.open import open_data
from bnn_train.data.share import bounds
from bnn_train.errors import DataError, RunError
from bnn_train.training.batches import check_batches
from bnn_train.world import World
from tiny import tiny

CPU = torch.device("cpu")


def opened(rank: int, size: int, **changes: Any) -> DataBundle:
    e = tiny(Path(), data={"drop_last": False, **changes})
    return open_data(e.data, seed=e.seed, device=CPU, world=World(rank, size))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("images", [0, 1, 2, 7, 16])
def test_parts_cover_a_batch_evenly(images: int, size: int) -> None:
    parts = [bounds(images, rank, size) for rank in range(size)]
    assert [at for begin, end in parts for at in range(begin, end)] == list(range(images))
    lengths = [end - begin for begin, end in parts]
    assert max(lengths) - min(lengths) <= 1
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    "changes",
    [
        {"augment": [{"name": "pad_crop_flip", "pad": 2}]},
        {"mix": [{"name": "mixup", "alpha": 0.4}, {"name": "cutmix", "alpha": 1.0}]},
        {"sampling": "balanced", "batches_per_epoch": 3},
        {"batch_size": 39},  # the last has 2 images, so that the third process borrows one
    ],
)
def test_parts_make_up_the_batches_of_one_process(size: int, changes: dict[str, Any]) -> None:
    whole = list(opened(0, 1, **changes).train_batches(1, skip=1, mix=True))
    datas = [opened(rank, size, **changes) for rank in range(size)]
    parts = [list(data.train_batches(1, skip=1, mix=True)) for data in datas]
    assert {len(part) for part in parts} == {len(whole)}
    for number, (images, labels) in enumerate(whole):
        counts = [data.counts(number + 1) for data in datas]
        assert {count.whole for count in counts} == {len(images)}
        for field, truth in enumerate((images, labels)):
            own = [part[number][field][: count.own] for part, count in zip(parts, counts, strict=True)]
            assert torch.equal(torch.cat(own), truth)
        assert min(len(part[number][0]) for part in parts) >= 1


@pytest.mark.parametrize("images", [1, 7, 50])
def test_evaluations_share_whole_batches(images: int) -> None:
    whole = list(opened(0, 1, eval_batch_size=7, test_limit=images).eval_batches("test"))
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for rank in range(3):
        data = opened(rank, 3, eval_batch_size=7, test_limit=images)
        shared = list(data.eval_batches("test", shared=True))
        found |= {rank + 3 * number: batch for number, batch in enumerate(shared)}
        assert len(list(data.eval_batches("test"))) == len(whole)
        assert len(data.places("test")) == sum(len(labels) for _, labels in shared)
    assert sorted(found) == list(range(len(whole)))
    for number, (pixels, labels) in enumerate(whole):
        assert torch.equal(found[number][0], pixels)
        assert torch.equal(found[number][1], labels)


def test_more_processes_than_images_are_refused() -> None:
    with pytest.raises(DataError, match="batch_size: 4 images for 5 processes"):
        opened(0, 5, batch_size=4)


def test_a_norm_over_one_image_is_refused_where_it_is_not_synchronised() -> None:
    e = tiny(Path(), data={"batch_size": 27, "drop_last": False})  # the last has 26 images
    data = open_data(e.data, seed=e.seed, device=CPU, world=World(0, 26))
    with pytest.raises(RunError, match="26 processes share a batch of 26 images, so that one has a single"):
        check_batches(e, data)
    check_batches(tiny(Path(), data=e.data.model_dump(mode="json"), training={"sync_norms": True}), data)
