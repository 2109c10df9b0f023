"""A training step on torch's meta device: every method and network, with nothing read back.

A tensor there has no numbers, so that whatever waits for the device (``.item()``, a boolean index, a copy to
the host) is an error, and so is an operation between devices.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bnn_train.binary.layers import BinaryLinear
from bnn_train.config.merge import merge
from bnn_train.config.schema import Data, Experiment
from bnn_train.data.bundle import DataBundle
from bnn_train.data.normalize import Normalizer
from bnn_train.data.sources import TensorSource
from bnn_train.inspect.evaluation import Tally
from bnn_train.inspect.probe import observe
from bnn_train.models.build import BUILDERS, build
from bnn_train.spec.annealed import START
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.methods import ENTRIES, METHODS
from bnn_train.training.progress import Meter
from bnn_train.training.run import start
from bnn_train.training.setup import Learner, build_learner
from bnn_train.training.step import Kept, training_step
from bnn_train.training.sums import EpochSums
from pairs import DEEPER, pairs
from tiny import tiny

META = torch.device("meta")
SHAPE, CLASSES = (3, 64, 64), 5
LARGE = {"alexnet": 64, "extraction": 64}
OPTIMIZERS: list[dict[str, Any]] = [
    {"name": "adam"},
    {"name": "adamax"},
    {"name": "shift_adamax"},
    {"name": "shift_adamax", "form": "code"},
    {"name": "sgd", "momentum": 0.9, "weight_decay": 1e-4},
]


def experiment(method: Any, network: str, **changes: Any) -> Experiment:
    name = method if isinstance(method, str) else method["name"]
    sections = {
        "method": method,
        "model": {"name": network, **({"width": 0.125} if network in ("alexnet", "extraction") else {})},
        "data": {
            "name": "synthetic",
            "shape": list(SHAPE),
            "num_classes": CLASSES,
            "validation": {"size": 8},
        },
        "optimizer": {"name": "adam", "binary": ENTRIES[name].trainer or None},
    }
    return Experiment.model_validate(merge(sections, changes))


class OneDevice(TorchDispatchMode):
    """Refuses an operation between tensors with axes on the CPU and elsewhere, as a GPU would; torch lets
    some pass on the meta device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.dim()]
        devices = {tensor.device.type for tensor in tensors}
        assert len(devices) < 2 or "copy" in func.overloadpacket.__name__, f"{func} between {devices}"
        return func(*args, **(kwargs or {}))


def learner_of(e: Experiment) -> Learner:
    with META:
        model = build(e.model, e.method, SHAPE, CLASSES).train()
    return build_learner(e, model, META)


def take(steps: int, learner: Learner, e: Experiment) -> None:
    """As the loop does it."""
    kept, sums, (images, labels) = Kept(learner.model), EpochSums(Meter(), META), batch()
    for number in range(steps):
        learner.optimizers.set_rate(0.01, 0)
        seen = training_step(
            learner, kept, [(images, labels)] * steps, position=START, clip=e.training.clip_grad_norm
        )
        assert seen is not None
        sums.add([one.sums for one in seen], number)


def batch(images: int = 4) -> tuple[Tensor, Tensor]:
    return torch.empty(images, *SHAPE, device=META), torch.zeros(images, dtype=torch.int64, device=META)


@pytest.mark.usefixtures("shallow_resnets")
@pytest.mark.parametrize(
    ("method", "network"),
    pairs(sorted(BUILDERS), seldom=DEEPER),
)
def test_every_method_and_network(method: str, network: str) -> None:
    e = experiment(method, network)
    learner = learner_of(e)
    with OneDevice():
        take(1, learner, e)


@pytest.mark.parametrize("section", OPTIMIZERS, ids=str)
def test_every_optimizer(section: dict[str, Any]) -> None:
    e = experiment(
        "bnn", "mlp", optimizer=section, loss="square_hinge", training={"clip_grad_norm": 1.0, "ema": 0.9}
    )
    take(2, learner_of(e), e)  # they make their state in the first


def test_shift_based_norms() -> None:
    e = experiment({"name": "bnn", "norm": {"kind": "shift"}}, "convnet")
    take(2, learner_of(e), e)


READING = {"_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "_unique2", "bincount"}


class Reading(TorchDispatchMode):
    """Counts the operations for which a GPU would have to be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in READING or (name == "index" and any(_is_mask(i) for i in args[1])):
            self.seen[name] += 1
        return func(*args, **(kwargs or {}))


def _is_mask(index: Tensor | None) -> bool:
    return index is not None and index.dtype in (torch.bool, torch.uint8)


def reads(folder: Path, **changes: Any) -> Counter[str]:
    with Reading() as mode:
        start(tiny(folder, **changes))
    return Counter(mode.seen)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training": {"clip_grad_norm": 1.0, "accumulate": 2}},
        {"method": "bop", "optimizer": {"binary": "bop"}},
        {"method": "xnor_k", "loss": "cross_entropy", "training": {"amp": "bf16"}},
        {"method": {"name": "bnn", "norm": {"kind": "shift"}}},
        {
            "model": {"name": "vgg_small", "width": 4},
            "data": {"shape": [3, 8, 8], "augment": ["pad_crop_flip"], "normalize": ["mean_std"]},
        },
        {"data": {"normalize": ["gcn", "zca"]}},
        {"data": {"normalize": ["unit", "pixel_mean"]}},
        {"data": {"sampling": "balanced", "eval_batch_size": 25}},
    ],
    ids=str,
)
def test_more_steps_and_larger_splits_read_no_more_numbers(changes: dict[str, Any], tmp_path: Path) -> None:
    """Of a whole run: a number more for each step or batch would be a wait for the device."""
    short = merge({"training": {"log_every": 1000, "epochs": 1}}, changes)
    long = merge(short, {"data": {"train_limit": 240, "test_limit": 150, "validation": {"size": 40}}})
    few, many = reads(tmp_path / "short", **short), reads(tmp_path / "long", **long)
    assert few == many
    assert few["_local_scalar_dense"] > 0  # when the lines are written


def test_the_counter_sees_a_wait() -> None:
    with Reading() as mode:
        float(torch.ones(()))
        torch.ones(3)[torch.ones(3) > 0]
    assert mode.seen["_local_scalar_dense"] == 1
    assert mode.seen["index"] == 1


NORMALIZE: list[list[Any]] = [["signed"], ["mean_std"], ["unit", "pixel_mean"], ["gcn", "zca"], ["lcn"]]


def bundle(normalize: list[Any]) -> DataBundle:
    """Images on the device, as a GPU would hold them; whitening as if it had been fitted."""
    config = Data.model_validate(
        {
            "name": "synthetic",
            "shape": [3, 8, 8],
            "batch_size": 4,
            "normalize": normalize,
            "augment": ["pad_crop_flip"],
        }
    )
    row, shape = DATASETS["synthetic"], (3, 8, 8)
    normalizer = Normalizer(config.normalize, shape=shape, mean=row.mean, std=row.std, device=META)
    for state, step in zip(normalizer._states, config.normalize, strict=True):
        if step.name == "pixel_mean":
            state["mean"] = torch.empty(shape, device=META)
        elif step.name == "zca":
            state["mean"], state["matrix"] = torch.empty(192, device=META), torch.empty(192, 192, device=META)
    images = torch.empty(12, *shape, dtype=torch.uint8, device=META)
    source = TensorSource(images, torch.zeros(12, dtype=torch.int64, device=META), config.augment, 1)  # type: ignore[arg-type]
    from bnn_train.data.bundle import Split

    split = Split(source, np.arange(12))
    return DataBundle(config, 1, tuple("abcde"), shape, normalizer, {"train": split, "test": split}, {})


@pytest.mark.parametrize("normalize", NORMALIZE, ids=str)
def test_batches_are_made_on_the_device(normalize: list[Any]) -> None:
    data = bundle(normalize)
    for images, labels in [*data.train_batches(0), *data.eval_batches("test")]:
        assert (images.device, labels.device) == (META, META)
        assert images.dtype == torch.float32


def test_an_evaluation_and_a_probe_stay_on_the_device() -> None:
    e = experiment("xnor", "resnet20")
    model = learner_of(e).model
    tally = Tally(CLASSES)
    images, labels = batch()
    tally.add(model.eval()(images), labels, loss=torch.zeros((), device=META))
    seen: list[torch.device] = []
    observe(model, images, model.named_children(), lambda name, x, y: seen.append(y.device))
    assert set(seen) == {META}


@pytest.mark.parametrize("method", METHODS)
def test_planes_are_made_where_the_numbers_are(method: str) -> None:
    """Codes as signs, which diagnostics ask for in the middle of a run."""
    with META:
        layer = BinaryLinear(8, 4, method=method, role="body")
    with OneDevice():
        if layer.binarizes:
            assert layer.codes().planes()[0].device == META
        if layer.input_quantizer is not None:
            codes = layer.input_quantizer.decompose(torch.empty(2, 8, device=META))
            assert codes.planes()[0].device == META
