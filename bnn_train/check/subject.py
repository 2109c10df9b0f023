"""The network under check, as a config begins it or as a run's checkpoint has it, and its data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryLayer
from bnn_train.binary.placed import place
from bnn_train.config.schema import Experiment
from bnn_train.data.open import DataBundle, open_data
from bnn_train.data.randomness import stream_seed
from bnn_train.inspect.layers import layer_table, total
from bnn_train.spec.annealed import Position
from bnn_train.training.batches import check_batches
from bnn_train.training.checkpoint import Checkpoint
from bnn_train.training.compatible import same_classes
from bnn_train.training.fits import check_optimizers
from bnn_train.training.losses.table import terms_of
from bnn_train.training.losses.terms import Term
from bnn_train.training.position import position_of, steps_per_epoch
from bnn_train.training.progress import Progress
from bnn_train.training.setup import Learner, build_learner, build_model, choose_device, load_weights
from bnn_train.training.solve import solve_weights
from bnn_train.training.stages import start_weights

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Subject:
    """The opened data and the network of an experiment. Instruments work on copies of the network."""

    experiment: Experiment
    data: DataBundle
    model: nn.Module
    device: torch.device
    checkpoint: Checkpoint | None
    config: Path | None
    """The config's file, where one was given."""
    macs: int
    """Multiply-accumulates for one image."""
    terms: tuple[Term, ...] = ()
    """Of the loss."""

    @property
    def progress(self) -> Progress:
        """Where the run stands; at its beginning without a checkpoint."""
        return (
            Progress() if self.checkpoint is None else Progress.from_json(self.checkpoint.state["progress"])
        )

    def position(self, step: int | None = None) -> Position:
        """The position after a step of the run; without one, where the run stands."""
        per_epoch = steps_per_epoch(self.experiment, self.data)
        done = self.progress.step if step is None else step
        return position_of(done, per_epoch, self.experiment.training.epochs)

    @property
    def batch_size(self) -> int:
        """Images in a training batch."""
        return min(self.data.config.batch_size, self.data.sizes["train"])

    def copy(self) -> nn.Module:
        """A network of its own, in training mode, at the position of the run."""
        model = copy.deepcopy(self.model).train()
        place(model, self.position())
        return model

    def learner(self) -> Learner:
        """A copy of the network with its optimizers; a run's go on from their stored state."""
        learner = build_learner(self.experiment, self.copy(), self.device, self.terms)
        if self.checkpoint is not None:
            stored = self.checkpoint.section("optimizer")
            check_optimizers(stored, learner.optimizers)
            learner.optimizers.load(stored)
        return learner

    def seed(self, name: str) -> None:
        """Set torch's generator, as a function of the experiment's seed and of ``name`` alone."""
        torch.manual_seed(stream_seed(self.experiment.seed, "check", name))

    def batch(self, most: int) -> Batch:
        """The first training batch of the coming epoch, at most so many images of it."""
        images, labels = next(self.data.train_batches(self.progress.epochs_finished))
        return images[:most], labels[:most]

    def affordable(self, passes: int, *, least: int, macs: float = 3e12) -> int:
        """How many images can pass forward and backward so often within ``macs`` multiply-accumulates;
        at least ``least``, at most a batch. A function of the config alone, so that results repeat."""
        return min(self.batch_size, max(least, int(macs / (3 * passes * max(1, self.macs)))))


def open_subject(experiment: Experiment, checkpoint: Checkpoint | None, config: Path | None) -> Subject:
    """Read the data (nothing is downloaded) and build the network. Raises BnnError as a training would."""
    device = choose_device(experiment.run)
    section = experiment.data.model_copy(update={"download": False})
    preprocess = None if checkpoint is None else checkpoint.section("preprocess")
    data = open_data(section, seed=experiment.seed, device=device, preprocess=preprocess)
    check_batches(experiment, data)
    terms = terms_of(experiment.loss, device)
    for term in terms:
        term.check(data)
    model = build_model(experiment, data.shape, len(data.classes), device)
    if checkpoint is None:
        start_weights(model, experiment)
        solve_weights(model, experiment, data)
    else:
        same_classes(checkpoint, data)
        load_weights(model, checkpoint.section("model"))
    macs = total(layer_table(model, data.shape)).macs
    return Subject(experiment, data, model, device, checkpoint, config, macs, terms)


def quantizing(model: nn.Module) -> dict[str, BinaryLayer]:
    """The layers that quantize their input, by name, in the network's order."""
    return {name: m for name, m in model.named_modules() if isinstance(m, BinaryLayer) and m.quantizes_input}


def inputs_of(layers: Mapping[str, nn.Module], run: Callable[[], object]) -> dict[str, Tensor]:
    """The input of each layer while ``run`` runs their network once, with its graph."""
    seen: dict[str, Tensor] = {}
    handles = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: seen.__setitem__(name, inputs[0]))
        for name, layer in layers.items()
    ]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return seen
