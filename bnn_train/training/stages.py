"""The weights that a run starts from, out of another run: by name, and nothing wrong in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from bnn_train.binary.latent import enforce
from bnn_train.binary.layers import binary_layers
from bnn_train.binary.sign import sign
from bnn_train.config.local import shown
from bnn_train.config.schema import Experiment, InitFrom
from bnn_train.errors import RunError, printable
from bnn_train.training.restore import evaluated_weights
from bnn_train.training.source import START, open_source

LAST = "last"
"""The role whose layer is skipped together with the norm behind it, which has as many channels."""


@dataclass(frozen=True)
class Started:
    """The tensors of a checkpoint and of the network that begins with it, by name."""

    path: str
    took: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Of the checkpoint, and not of the network."""
    missed: list[str] = field(default_factory=list)
    """Of the network, and not of the checkpoint: they are as initialised."""
    skipped: list[str] = field(default_factory=list)
    """Of the network, under ``skip``: they are as initialised."""

    def told(self) -> str:
        """A sentence for the terminal and for documents that may be given away."""
        counts = {"left": self.left, "missed": self.missed, "skipped": self.skipped}
        rest = "".join(f", {word} {_few(names)}" for word, names in counts.items() if names)
        return f"The weights start from {shown(self.path)}: took {_counted(self.took)}{rest}."

    def to_json(self) -> dict[str, object]:
        """For metrics.jsonl: how many were taken, and the names of the others."""
        return {
            "took": len(self.took),
            "left": self.left,
            "missed": self.missed,
            "skipped": self.skipped,
        }


def start_weights(model: nn.Module, experiment: Experiment) -> Started | None:
    """Fill a freshly initialised network as ``training.init_from`` says; None where it says nothing.

    The source gives the weights that its evaluations read: its moving average where it kept one. Afterwards
    the latent rules hold, learned scales that the file lacks begin at the best for the new weights, and real
    weights become their signs where this run's optimizer flips signs. Raises CheckpointError for the file,
    RunError for tensors that do not fit.
    """
    weights = _weights(experiment)
    started = look(model, experiment, weights)
    if started is None:
        return None
    _copy(model, {name: weights[name] for name in started.took})
    if experiment.optimizer.binary is not None and experiment.optimizer.binary.flips:
        _to_signs(model)
    enforce(model)
    _restart_scales(model, set(started.took))
    return started


def look(
    model: nn.Module, experiment: Experiment, weights: Mapping[str, Tensor] | None = None
) -> Started | None:
    """The same without filling the network, which needs no memory for its weights."""
    source = experiment.training.init_from
    if source is None:
        return None
    return compared(model, _weights(experiment) if weights is None else weights, source)


def _weights(experiment: Experiment) -> dict[str, Tensor]:
    source = experiment.training.init_from
    return {} if source is None else evaluated_weights(open_source(source, START)[0])


def compared(model: nn.Module, weights: Mapping[str, Tensor], source: InitFrom) -> Started:
    """The tensors that both sides have, and the others. Raises RunError for shapes that differ, for a pattern
    that names nothing, and under ``strict`` for what only one side has."""
    own = model.state_dict()
    skipped = _skipped(model, source.skip, {*own, *weights})
    path = printable(source.checkpoint)
    shared = [name for name in own if name in weights and name not in skipped]
    _check_shapes(model, {name: (weights[name].shape, own[name].shape) for name in shared}, path)
    started = Started(
        path=path,
        took=shared,
        left=[name for name in weights if name not in own],
        missed=[name for name in own if name not in weights and name not in skipped],
        skipped=[name for name in own if name in skipped],
    )
    if not started.took:
        raise RunError(f"{START}: {path}: has no tensor that the network takes; name a run of such a network")
    if source.strict:
        _check_alike(started, skipped)
    return started


def _check_alike(started: Started, skipped: set[str]) -> None:
    for told, names in (
        ("are in the file alone", [name for name in started.left if name not in skipped]),
        ("are in the network alone", started.missed),
    ):
        if names:
            raise RunError(
                f"{START}: {started.path}: {_few(names)} {told}, and strict refuses that; set"
                " training.init_from.strict to false, or name them in training.init_from.skip"
            )


def _check_shapes(model: nn.Module, shapes: Mapping[str, tuple[torch.Size, torch.Size]], path: str) -> None:
    wrong = [name for name, (theirs, own) in shapes.items() if theirs != own]
    if wrong:
        name = wrong[0]
        theirs, own = (_times(shape) for shape in shapes[name])
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise RunError(
            f"{START}: {path}: {name} is {theirs} there and {own} in this network{more}; leave it out by"
            f" training.init_from.skip: [{', '.join(_patterns(model, wrong))}]"
        )


def _patterns(model: nn.Module, names: Sequence[str]) -> list[str]:
    """The ``skip`` that leaves these tensors out: ``last`` for those that it covers, else their layers."""
    behind = _in_role(model, LAST)
    layers = [f"{name.rpartition('.')[0]}.*" for name in names if name not in behind]
    return list(dict.fromkeys([*layers, *([LAST] if behind & set(names) else [])]))


def _skipped(model: nn.Module, patterns: Sequence[str], names: set[str]) -> set[str]:
    """The tensors, of network and file, that the patterns name."""
    found: set[str] = set()
    for pattern in patterns:
        chosen = _in_role(model, pattern) or {name for name in names if fnmatchcase(name, pattern)}
        if not chosen:
            raise RunError(
                f"{START}.skip: {pattern!r} is no role of a layer here and matches no tensor; the layers are"
                f" {_few(_layers(model))}"
            )
        found |= chosen
    return found


def _in_role(model: nn.Module, role: str) -> set[str]:
    """The tensors of the layers in a role; for ``last``, of all that is defined from that layer on."""
    chosen, behind = set(), False
    for name, module in model.named_modules():
        is_in = getattr(module, "role", None) == role
        behind = behind or (is_in and role == LAST)
        if is_in or behind:
            chosen |= {f"{name}.{key}" for key in module.state_dict()}
    return chosen


def _layers(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if hasattr(module, "role")]


@torch.no_grad()
def _copy(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    own = model.state_dict()
    for name, tensor in weights.items():
        own[name].copy_(tensor)


def _restart_scales(model: nn.Module, took: set[str]) -> None:
    """Learned scales that the file lacks, anew for the weights that it has."""
    for name, layer in binary_layers(model):
        quantizer = layer.weight_quantizer
        if quantizer is None or f"{name}.weight" not in took:
            continue
        if not any(f"{name}.weight_quantizer.{key}" in took for key in quantizer.state_dict()):
            quantizer.initialise(layer.weight)


@torch.no_grad()
def _to_signs(model: nn.Module) -> None:
    for _, layer in binary_layers(model):
        layer.weight.copy_(sign(layer.weight))


def _counted(names: Sequence[str]) -> str:
    return "1 tensor" if len(names) == 1 else f"{len(names)} tensors"


def _few(names: Sequence[str]) -> str:
    shown_names = ", ".join(printable(name[:60]) for name in names[:4])
    return f"{len(names)} ({shown_names}{', …' if len(names) > 4 else ''})"


def _times(shape: torch.Size) -> str:
    return "×".join(map(str, shape)) or "one number"
