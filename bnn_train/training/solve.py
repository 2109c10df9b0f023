"""Weights that are solved for on images, layer by layer in the order of computation, before the first step.

Each layer reads what the layers before it, already solved and quantized, give it, and shall respond as the
network does that the run starts from: so that it mends their errors, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bnn_train.binary.layers import BinaryConv2d, BinaryLayer, BinaryLinear, binary_layers
from bnn_train.binary.quantizers import Quantizer
from bnn_train.binary.solving import Problem, Snap, error
from bnn_train.config.schema import Experiment
from bnn_train.data.bundle import DataBundle
from bnn_train.data.randomness import stream_seed
from bnn_train.errors import RunError
from bnn_train.inspect.probe import observe
from bnn_train.training.restore import model_of
from bnn_train.training.source import START, open_source

PASSES = (nn.Identity, nn.Flatten, nn.MaxPool2d)
"""Modules through which the codes of a response can be seen: a maximum keeps them in order."""


@dataclass(frozen=True)
class Solved:
    """The relative squared error of each layer's response, by name: before, and after."""

    images: int
    errors: dict[str, tuple[float, float]]

    def told(self) -> str:
        """A sentence for the terminal."""
        listed = ", ".join(f"{name} {old:.3f} → {new:.3f}" for name, (old, new) in self.errors.items())
        return f"Weights solved for on {self.images} images; error of the responses: {listed}."


@torch.no_grad()
def solve_weights(model: nn.Module, experiment: Experiment, data: DataBundle) -> Solved | None:
    """Solve for the weights of a network that was just filled with those of ``training.init_from``.

    None where its quantizers solve for nothing, or where it starts from nothing. A function of the config,
    the data and the checkpoint alone. Raises RunError for a source whose layers are others.
    """
    source, device = experiment.training.init_from, next(model.parameters()).device
    if source is None or not experiment.method.weight.quantizer.solves:
        return None
    real = model_of(open_source(source, START)[0], device)
    images = [batch for batch, _ in data.calibration_batches(experiment.training.solve.images)]
    looks = _Looks(model, real, images, experiment)
    errors: dict[str, tuple[float, float]] = {}
    quantizers: list[Quantizer] = []
    for name in looks.order:
        layer = model.get_submodule(name)
        if not isinstance(layer, BinaryLayer) or layer.weight_quantizer is None:
            continue
        if layer.input_quantizer is not None:
            layer.input_quantizer.pre.measure(looks.inputs(layer))
        problem = looks.problem(name, layer)
        before = error(problem, layer.weight_quantizer.decompose(problem.weight.to(layer.weight)).value)
        _fill(layer, layer.weight_quantizer.quantizer.solve(problem))
        after = error(problem, layer.codes().value)
        errors[name] = (before, after)
        quantizers.append(layer.weight_quantizer.quantizer)
    left = quantizers[0].settle(quantizers) if quantizers else None
    for name, after in zip(errors, left or (), strict=False):
        errors[name] = (errors[name][0], after)
    return Solved(sum(map(len, images)), errors)


def _fill(layer: BinaryLayer, weight: Tensor) -> None:
    layer.weight.copy_(weight)
    if layer.weight_quantizer is not None:
        layer.weight_quantizer.scale.initialise(
            layer.weight_quantizer.prepared(layer.weight), layer.weight_quantizer.dims
        )


@dataclass(frozen=True)
class _Looks:
    """Both networks on the same images."""

    model: nn.Module
    real: nn.Module
    images: Sequence[Tensor]
    experiment: Experiment

    @property
    def order(self) -> list[str]:
        """The layers with quantized weights in the order of computation."""
        names = {id(layer): name for name, layer in binary_layers(self.model)}
        return [names[id(module)] for module in self._calls() if id(module) in names]

    def _calls(self) -> list[nn.Module]:
        """The modules without parts, and the binary layers, as they are called."""
        parts = [m for m in self.model.modules() if isinstance(m, BinaryLayer) or not list(m.children())]
        called: list[nn.Module] = []
        observe(
            self.model,
            self.images[0][:2],
            [(str(number), part) for number, part in enumerate(parts)],
            lambda number, *_: called.append(parts[int(number)]),
        )
        return called

    def inputs(self, layer: BinaryLayer) -> Iterator[Tensor]:
        """The input of a layer, batch by batch, before its quantizer."""
        return (_seen(self.model, images, layer)[0] for images in self.images)

    def problem(self, name: str, layer: BinaryLayer) -> Problem:
        """A layer's task."""
        theirs = self._theirs(name, layer)
        draw = torch.Generator().manual_seed(stream_seed(self.experiment.seed, "solve", name))
        rows, targets = [], []
        for images in self.images:
            windows = layer.columns(_seen(self.model, images, layer)[0])
            y = _seen(self.real, images, theirs)[1]
            y = y.flatten(2).transpose(1, 2) if y.dim() == 4 else y.reshape(len(y), -1, y.shape[-1])
            most = self.experiment.training.solve.positions
            places = torch.randperm(y.shape[1], generator=draw)[:most].to(y.device)
            rows.append(windows[:, places].flatten(0, 1).double())
            targets.append((y if theirs.bias is None else y - theirs.bias)[:, places].flatten(0, 1).double())
        wanted = torch.cat(targets)
        snap = None if self.experiment.model.residual else self._snap(layer, wanted)
        return Problem(layer.weight.detach().double(), torch.cat(rows), wanted, draw, snap)

    def _theirs(self, name: str, layer: BinaryLayer) -> nn.Conv2d | nn.Linear:
        found = dict(self.real.named_modules()).get(name)
        if getattr(layer, "groups", 1) != 1:
            raise RunError(f"{name}: has groups, and its weights cannot be solved for; keep its role real")
        if not isinstance(found, nn.Conv2d | nn.Linear) or found.weight.shape != layer.weight.shape:
            raise RunError(
                f"{START}: has no layer {name} of the same shape, whose responses the weights are solved for;"
                " name a run of the same network"
            )
        return found

    def _snap(self, layer: BinaryLayer, targets: Tensor) -> Snap | None:
        """From responses to the nearest with the real network's codes, where norm and quantizer follow the
        layer, with nothing but poolings between."""
        calls = self._calls()
        at = next(i for i, module in enumerate(calls) if module is layer)
        match [m for m in calls[at + 1 :] if not isinstance(m, PASSES)][:2]:
            case [_BatchNorm() as norm, BinaryConv2d() | BinaryLinear() as reader] if reader.input_quantizer:
                return _snapping(targets, norm, reader.input_quantizer.quantizer, layer.bias)
        return None


def _seen(model: nn.Module, images: Tensor, layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Input and output of a layer of an evaluating network."""
    found: list[tuple[Tensor, Tensor]] = []
    observe(model, images, [("", layer)], lambda _, x, y: found.append((x, y)))
    return found[0]


def _snapping(targets: Tensor, norm: _BatchNorm, quantizer: Quantizer, bias: Tensor | None) -> Snap | None:
    factor, summand = _line_of(norm, bias)
    bounds = quantizer.preimage(quantizer.codes(targets * factor + summand, (), drawn=False))
    if bounds is None:
        return None
    low, high = bounds
    return lambda y: ((y * factor + summand).clamp(low, high) - summand) / factor


def _line_of(norm: _BatchNorm, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """An evaluating norm behind a bias, as y·a + b; a is kept away from 0."""
    if norm.running_mean is None or norm.running_var is None:
        raise RunError("a norm without running statistics stands behind a layer that is solved for")
    factor = (norm.running_var.double() + norm.eps).rsqrt()
    factor = factor if norm.weight is None else factor * norm.weight.double()
    factor = torch.where(factor.abs() < 1e-12, 1e-12, factor)
    start = norm.running_mean.double() if bias is None else norm.running_mean.double() - bias.double()
    beta = 0.0 if norm.bias is None else norm.bias.double()
    return factor, beta - start * factor
