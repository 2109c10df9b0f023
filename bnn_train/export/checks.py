"""Tolerances of an export: a packed value equals torch's after exact sums, and up to rounding after sums of
floats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bnn_train.export.graph import Op, binary
from bnn_train.export.lower import Lowering
from bnn_train.export.numbers import fused, norm_of
from bnn_train.export.plan import segment
from bnn_train.export.truth import Nodes, channel_last
from bnn_train.packed.bits import unpack_words
from bnn_train.packed.operands import adds_in_order
from bnn_train.packed.program import (
    Conv,
    Epilogue,
    InputScale,
    IntWeight,
    Map,
    Mean,
    Pool,
    Prelu,
    Step,
    Thresholds,
)
from bnn_train.packed.reference.weights import digits

Array = NDArray[Any]
TOLERANCE = 1e-6
"""Largest difference of a sum Σ w·x of floats, relative to the largest Σ |w|·|x| of its channel: engines add
in different orders."""
ROUNDING = 2.0**-21
"""Largest further difference, relative to the result: the scale, bias and norm after the sum are each rounded
once, to 24 bits, and there are at most eight of them."""
IN_ORDER = 2.0**-23
"""Largest difference of a float32 sum of n pixels in order from the exact one, relative to √n·255·Σ|w|: twice
the largest of random weights and images, of one sign too, for n from 27 to 3072."""


@dataclass(frozen=True)
class Check:
    """One value of one step, on some images."""

    bits: int = 0
    """How many were compared."""
    ties: int = 0
    """… of which so many differ, each within the tolerance of its threshold."""
    wrong: int = 0
    """Numbers or bits that differ by more."""
    deviation: float = 0.0
    """Of real values: the largest difference as a share of what is tolerated; 0: equal."""

    def __add__(self, other: Check) -> Check:
        return Check(
            self.bits + other.bits,
            self.ties + other.ties,
            self.wrong + other.wrong,
            max(self.deviation, other.deviation),
        )


class Judge:
    """The rules by which each packed step may differ from torch: not at all, or by so much rounding."""

    def __init__(self, lowered: Lowering) -> None:
        self.lowered = lowered
        self.program, self.tensors = lowered.program, lowered.tensors
        self.fused = _norms_are_fused(lowered)

    def exact(self, step: Step) -> bool:
        """Whether the step must give torch's own numbers, bit for bit, from torch's own inputs."""
        match step:
            case Conv():
                return self.program.values[step.input].type == "bits" and self._rounds_alike(step.epilogue)
            case Map():
                return self._rounds_alike(step.epilogue)
            case Pool():
                return step.kind == "max"
            case InputScale() | Mean():
                return False
        return True

    def _rounds_alike(self, epilogue: Epilogue) -> bool:
        return (epilogue.norm is None or self.fused) and "sigmoid" not in epilogue.bends

    def real(self, i: int, found: Array, true: Array, nodes: Nodes) -> Check:
        """An f32 value of step ``i``."""
        if self.exact(self.program.steps[i]):
            return Check(wrong=int(((found != true) & ~(np.isnan(found) & np.isnan(true))).sum()))
        allowed = self._tolerance(i, nodes) + ROUNDING * np.abs(true)
        apart = np.abs(found.astype(np.float64) - true)
        share = np.divide(apart, allowed, out=np.zeros_like(apart), where=found != true)
        return Check(
            wrong=int((~(share <= 1)).sum()), deviation=float(np.nan_to_num(share, nan=np.inf).max())
        )

    def bits(self, i: int, v: int, found: Array, true: Array, nodes: Nodes) -> Check:
        """A ``bits`` value of step ``i``."""
        value = self.program.values[v]
        planes = 1 if value.code is None else value.code.planes
        count = len(found) * value.height * value.width * value.channels * planes
        if np.array_equal(found, true):
            return Check(bits=count)
        differs = unpack_words(found ^ true, value.channels)
        step = self.program.steps[i]
        if self.exact(step) or isinstance(step, Pool):
            return Check(bits=count, wrong=int(differs.sum()))
        near = self._near(i, v, nodes)[..., None, :]
        return Check(bits=count, ties=int((differs & near).sum()), wrong=int((differs & ~near).sum()))

    def _near(self, i: int, v: int, nodes: Nodes) -> NDArray[np.bool_]:
        """Whether the number before the quantizer lies within the tolerance of a threshold."""
        base = self.lowered.built.meanings[v].op
        number = channel_last(nodes[base.node], base.shape)
        levels = self.tensors[_thresholds(self.program.steps[i]).tensor]
        allowed = self._tolerance(i, nodes) + ROUNDING * np.abs(number)
        return np.asarray(np.any([np.abs(number - level) <= allowed for level in levels], axis=0))

    def _tolerance(self, i: int, nodes: Nodes) -> NDArray[np.float64]:
        """For each channel of a result: from its largest sum of magnitudes, through the norm's factor; where
        torch rounds a norm's product by itself also from the summand, which may cancel it."""
        step, source = self.program.steps[i], self.lowered.built.sources[i]
        if isinstance(step, Map):
            source = (
                segment(source).norm or source
            )  # its product with the factor is rounded, whatever comes after it
        largest = magnitudes(source, nodes).double().numpy()
        if isinstance(step, InputScale):
            largest = largest.max(keepdims=True)
        allowed = (TOLERANCE * largest + self._order(step)) * _factor(step, self.tensors)
        if not self.fused and isinstance(step, Conv | Map) and step.epilogue.norm is not None:
            allowed = allowed + ROUNDING * np.abs(self.tensors[step.epilogue.norm[1]])
        if isinstance(step, Conv) and step.epilogue.gate is not None:
            allowed = allowed * self._gates(step.epilogue.gate, nodes)
        for bend in step.epilogue.bends if isinstance(step, Conv | Map) else ():
            allowed = _behind(bend, allowed, self.tensors) if isinstance(bend, Prelu) else allowed
        return np.asarray(allowed, np.float64)

    def _order(self, step: Step) -> Any:
        """The most that the roundings of a sum of pixels in order come to, for each channel."""
        if not isinstance(step, Conv) or not isinstance(step.weight, IntWeight):
            return 0.0
        stored = self.tensors[step.weight.tensor]
        if not adds_in_order(self.program.values[step.input], step.weight, len(stored)):
            return 0.0
        weights = np.abs(digits(step.weight, self.tensors).reshape(stored.shape[1], -1))
        scale = 1.0 if step.epilogue.scale is None else np.abs(self.tensors[step.epilogue.scale])
        return IN_ORDER * np.sqrt(weights.shape[1]) * 255 * weights.sum(axis=1) * scale

    def _gates(self, gate: int, nodes: Nodes) -> NDArray[np.float64]:
        """The largest magnitude of each channel's gate."""
        op = self.lowered.built.meanings[gate].op
        return np.asarray(nodes[op.node].abs().double().reshape(-1, op.channels).amax(dim=0).numpy())


def magnitudes(op: Op, nodes: Nodes) -> Tensor:
    """For each channel of an operation's value the largest Σ |weight|·|input|, or just |input|."""
    x = nodes[op.inputs[0].node].abs()
    module, layer = op.module, binary(op)
    with torch.no_grad():
        if isinstance(module, nn.Linear):
            y = F.linear(x.flatten(1), (layer.read_weight() if layer else module.weight).abs())
        elif isinstance(module, nn.Conv2d):
            y = module._conv_forward(x, (layer.read_weight() if layer else module.weight).abs(), None)
        else:
            y = x
    return y.transpose(0, 1).flatten(1).amax(dim=1)


def _factor(step: Step, tensors: Mapping[str, Array]) -> Any:
    if isinstance(step, Conv | Map) and step.epilogue.norm is not None:
        return np.abs(tensors[step.epilogue.norm[0]]).astype(np.float64)
    return 1.0


def _behind(bend: Prelu, allowed: Array, tensors: Mapping[str, Array]) -> Array:
    """A tolerance before a line with a bend, behind it; the shifts may cancel what they meet."""
    before, negative, positive, after = (
        0.0 if name is None else np.abs(tensors[name]).astype(np.float64)
        for name in (bend.before, bend.negative, bend.positive, bend.after)
    )
    steepest = np.maximum(negative, 1.0 if bend.positive is None else positive)
    return np.asarray((allowed + ROUNDING * before) * steepest + ROUNDING * after)


def _thresholds(step: Step) -> Thresholds:
    if not isinstance(step, Conv | Map) or step.thresholds is None:
        raise TypeError("only a step with thresholds gives bits")
    return step.thresholds


def _norms_are_fused(lowered: Lowering) -> bool:
    norms = [op for op in lowered.traced.graph.ops if op.kind == "norm"]
    return all(fused(*norm_of(op), op.module) for op in norms if op.module is not None)
