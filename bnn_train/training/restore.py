"""A model from a checkpoint alone, and its evaluation: what bnn-eval and every report use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, ValidationError
from torch import Tensor, nn

from bnn_train.binary.placed import place
from bnn_train.config.loader import from_mapping
from bnn_train.config.plugins import load_plugins
from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle
from bnn_train.errors import CheckpointError, ConfigError
from bnn_train.inspect.evaluation import Evaluation
from bnn_train.spec.inputs import input_shape
from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Count
from bnn_train.training.checkpoint import Checkpoint, read
from bnn_train.training.evaluate import See, evaluate
from bnn_train.training.fits import check_network
from bnn_train.training.losses import criterion
from bnn_train.training.position import stored_position
from bnn_train.training.precision import AMP_TYPES
from bnn_train.training.setup import build_model, load_weights


class _State(Record):
    """The JSON that every run writes into a checkpoint beside the tensors."""

    experiment: dict[str, Any]
    classes: Annotated[list[str], Field(min_length=1)]
    shape: tuple[Count, Count, Count] = Field(strict=False)
    progress: dict[str, Any]
    scaler: dict[str, float]
    steps_per_epoch: Count | None = None
    plugins: list[str] = Field(default_factory=list)
    """The packages, with versions, that brought its method, network, data set or quantizers."""


def experiment_of(checkpoint: Checkpoint) -> Experiment:
    """The resolved config that a checkpoint carries. Raises CheckpointError for a state that no run wrote."""
    try:
        _State.model_validate(checkpoint.state)
        return from_mapping(checkpoint.state["experiment"])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        wrong = f"{'.'.join(map(str, first['loc'])) or 'all of it'}: {first['msg']}"
    except ConfigError as error:
        wrong = "; ".join(error.problems)
        if needed := set(checkpoint.state.get("plugins", ())) - set(load_plugins()):
            raise CheckpointError(
                f"the checkpoint was trained with the plug-in {' and '.join(sorted(needed))}, which is not"
                f" installed here; install it ({wrong})"
            ) from None
    raise CheckpointError(f"the checkpoint's state is not what this bnn_train writes ({wrong}); use another")


def open_checkpoint(path: Path) -> tuple[Checkpoint, Experiment]:
    """A checkpoint from anywhere and its config, found to fit each other. Raises CheckpointError."""
    checkpoint = read(path)
    experiment = experiment_of(checkpoint)
    check_network(checkpoint, experiment)
    return checkpoint, experiment


def model_of(checkpoint: Checkpoint, device: torch.device) -> nn.Module:
    """The network that evaluations read, at the position of the checkpoint: the moving average where the run
    kept one."""
    experiment = experiment_of(checkpoint)
    model = build_model(experiment, input_shape(experiment.data), len(checkpoint.state["classes"]), device)
    load_weights(model, evaluated_weights(checkpoint))
    place(model, stored_position(checkpoint.state, experiment))
    return model.eval()


def evaluated_weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The tensors of the network that evaluations of the run read, by name."""
    return checkpoint.section("ema.module") or checkpoint.section("model")


def evaluate_checkpoint(
    checkpoint: Checkpoint, data: DataBundle, split: str, *, device: torch.device, see: See | None = None
) -> tuple[nn.Module, Evaluation]:
    """The model and its count over one split, in the precision that it was trained in."""
    model, experiment = model_of(checkpoint, device), experiment_of(checkpoint)
    result = evaluate(
        model,
        data.eval_batches(split, shared=True),
        classes=len(data.classes),
        criterion=criterion(experiment.loss).scored,
        amp=AMP_TYPES[experiment.training.amp],
        see=see,
        flips=experiment.data.flip_test,
        world=data.world,
    )
    return model, result
