"""A model from a checkpoint alone, and its evaluation: what bnn-eval and every report use."""

from __future__ import annotations

import torch
from torch import nn

from bnn_train.config.loader import from_mapping
from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle
from bnn_train.report.evaluation import Evaluation
from bnn_train.training.checkpoint import Checkpoint
from bnn_train.training.evaluate import evaluate
from bnn_train.training.losses import criterion
from bnn_train.training.setup import build_model, load_weights


def experiment_of(checkpoint: Checkpoint) -> Experiment:
    """The resolved config that a checkpoint carries."""
    return from_mapping(checkpoint.state["experiment"])


def model_of(checkpoint: Checkpoint, device: torch.device) -> nn.Module:
    """The network that evaluations read: the moving average where the run kept one."""
    channels, height, width = checkpoint.state["shape"]
    model = build_model(
        experiment_of(checkpoint), (channels, height, width), len(checkpoint.state["classes"]), device
    )
    load_weights(model, checkpoint.section("ema.module") or checkpoint.section("model"))
    return model.eval()


def evaluate_checkpoint(
    checkpoint: Checkpoint, data: DataBundle, split: str, *, device: torch.device
) -> tuple[nn.Module, Evaluation]:
    """The model and its count over one split."""
    model = model_of(checkpoint, device)
    result = evaluate(
        model,
        data.eval_batches(split),
        classes=len(data.classes),
        criterion=criterion(experiment_of(checkpoint).loss),
    )
    return model, result
