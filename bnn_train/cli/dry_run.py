"""What a config would train: the layer table and the resolved config."""

from __future__ import annotations

import torch

from bnn_train.config.loader import dump
from bnn_train.config.schema import Experiment
from bnn_train.data.shape import input_shape, num_classes
from bnn_train.models.build import build
from bnn_train.report.layers import format_layers, layer_table


def dry_run(experiment: Experiment) -> str:
    """The text of ``--dry-run``. The model is built without memory for its weights."""
    shape, classes = input_shape(experiment.data), num_classes(experiment.data)
    with torch.device("meta"):
        model = build(experiment.model, experiment.method, shape, classes)
    name = f"{experiment.method.name} {experiment.model.name}"
    title = f"{name}, input {'×'.join(map(str, shape))}, {classes} classes"
    return f"{title}\n\n{format_layers(layer_table(model, shape))}\n\n{dump(experiment)}"
