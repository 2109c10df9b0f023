"""Every shipped network, narrow, equals its packed twin, in numpy and with this machine's kernel."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from bnn_train.binary.quantizers import Quantizer
from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.data.normalize import Normalizer
from bnn_train.errors import ExportError
from bnn_train.export.lower import Lowering
from bnn_train.export.parity import Gate
from bnn_train.export.run import pixel_steps
from bnn_train.export.sizes import sizes
from bnn_train.models.build import build
from bnn_train.packed import PackedModel, native
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.inputs import input_shape, num_classes
from bnn_train.spec.scales import Factored
from lowering import Pair, header_of, pair, pixels, scramble
from pairs import some
from shipped import PATHS, WIDTHS, cover, label

SMALLEST = 64
"""Pixels of the ImageNet networks here: as few as leave their stems and poolings as they are."""
CLASSES = 10


def packs(model: nn.Module, e: Experiment) -> bool:
    """Whether a packed file can hold the network: no refusal, and no quantized input before real weights."""
    if any(isinstance(m, Quantizer) and m.refusal for m in model.modules()):
        return False
    return e.method.weight.quantizer.quantizes or not e.method.activation.quantizer.quantizes


EXPERIMENTS = {label(path): load(path) for path in PATHS}
WHITENED = {name for name, e in EXPERIMENTS.items() if any(step.name == "zca" for step in e.data.normalize)}
LONG = {
    "cifar10/abcnet_resnet20",
    "cifar10/apprentice_resnet20",
    "cifar10/dsq_resnet20",
    "cifar10/fp_meliusnet22",
    "cifar10/fp_quicknet",
    "cifar10/fp_resnete18",
    "cifar10/groupnet_resnet20",
    "cifar10/lst_resnet20",
    "cifar10/ternary_residual_resnet20",
}
"""Two to eight seconds each; a layer of each method is lowered in ``test_lower_methods.py``."""
DEFAULT = set(cover({name: e for name, e in EXPERIMENTS.items() if name not in WHITENED})) - LONG


FITTED: dict[str, Normalizer] = {}
"""By step and shape: fitting ZCA takes twenty seconds."""


def normalizer(experiment: Experiment, shape: tuple[int, int, int]) -> Normalizer:
    """The config's normalization, fitted on noise."""
    key = f"{experiment.data.name} {experiment.data.normalize} {shape}"
    if key not in FITTED:
        row, steps = DATASETS[experiment.data.name], experiment.data.normalize
        found = Normalizer(steps, shape=shape, mean=row.mean, std=row.std, device=torch.device("cpu"))
        if found.needs_fit:
            found.fit(torch.from_numpy(pixels(20, shape).transpose(0, 3, 1, 2)))
        FITTED[key] = found
    return FITTED[key]


def refusal(e: Experiment) -> str | None:
    """Why a network has no packed form, as the export says it: it is a first stage, or has factors of
    places."""
    quantizes = e.method.weight.quantizer.quantizes, e.method.activation.quantizer.quantizes
    if e.method.activation.quantizer.name == "real_tanh":
        return "has real activations"
    if isinstance(e.method.output_scale, Factored) and e.method.output_scale.parts != ("c",):
        return "factors for each place of the map"
    return "with real weights" if quantizes == (False, True) else None


@pytest.mark.parametrize("name", some(EXPERIMENTS, DEFAULT))
def test_the_packed_twin_agrees(name: str) -> None:
    experiment = EXPERIMENTS[name]
    channels, size, _ = input_shape(experiment.data)
    shape = (channels, min(size, SMALLEST), min(size, SMALLEST))
    width = WIDTHS.get(experiment.model.name)
    network = experiment.model.model_copy(update={"width": width} if width else {})
    classes = min(CLASSES, num_classes(experiment.data))
    built = build(network, experiment.method, shape, classes)
    if not packs(built, experiment):
        pytest.skip("has no packed form, by its quantizers' own words")
    model: Any = scramble(built, shape)
    normalize = normalizer(experiment, shape)
    if (told := refusal(experiment)) is not None:
        with pytest.raises(ExportError, match=told):
            pair(model, shape, normalize=normalize, steps=pixel_steps(normalize))
        return
    made = pair(
        model.to(memory_format=torch.channels_last), shape, normalize=normalize, steps=pixel_steps(normalize)
    )
    parity = made.gate(count=4, batches=1)
    assert parity.images == 4
    assert parity.deviation < (1e-4 if name in WHITENED else 5e-5)  # whitening divides by small deviations
    assert_sizes(made.lowered)
    for kernel in native.available()[:1]:
        again_with(kernel, made)


def assert_sizes(lowered: Lowering) -> None:
    """Predicted within one per cent."""
    rows = sizes(lowered)
    predicted, stored = sum(row.predicted for row in rows), sum(row.stored for row in rows)
    assert math.isclose(predicted, stored, rel_tol=0.01)


def again_with(kernel: str, made: Pair) -> None:
    packed = PackedModel.from_parts(header_of(made.lowered, made.shape), made.lowered.tensors, kernel=kernel)
    Gate(made.lowered, packed, made.normalize).run([pixels(4, made.shape, seed=3)])
