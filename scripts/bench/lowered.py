"""Our packed networks, in the forms that the export offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

import bnn_train
from bench.twins import MEAN, STD
from bnn_train.config.schema import Experiment
from bnn_train.export.first import Pixels
from bnn_train.export.lower import lower
from bnn_train.export.options import Options
from bnn_train.packed.program import Header, Images, Program, version_of
from bnn_train.spec.inputs import input_shape, num_classes

EXACT = "exact"
VARIANTS = {
    EXACT: Options(),
    "first int16": Options(first="int16"),
    "first int8": Options(first="int8"),
    "last int8": Options(last="int8"),
    "first int8, last int8, rest bf16": Options(first="int8", last="int8", real="bf16"),
}


def packed(
    model: nn.Module, size: Sequence[int], options: Options
) -> tuple[Program, dict[str, NDArray[Any]]]:
    """Program and tensors of a network in evaluation mode for images of ``size`` H×W×C."""
    height, width, channels = size
    grey = slice(None) if channels == len(MEAN) else slice(1)
    statistics = {"mean": np.array(MEAN[grey], np.float32), "std": np.array(STD[grey], np.float32)}
    done = lower(model, (channels, height, width), (Pixels("mean_std", tensors=statistics),), options)
    return done.program, done.tensors


def header(experiment: Experiment, program: Program) -> Header:
    """Of a packed file of a shipped config."""
    channels, height, width = input_shape(experiment.data)
    resolved: dict[str, Any] = experiment.model_dump(mode="json")
    return Header(
        version=version_of(program),
        images=Images(height=height, width=width, channels=channels),
        classes=tuple(f"class {i}" for i in range(num_classes(experiment.data))),
        method=experiment.method.name,
        model=experiment.model.name,
        program=program,
        experiment=resolved,
        made_by=f"bnn_train {bnn_train.__version__}",
    )
