"""Weights that are quantized little by little, and what cannot stand beside that."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import KeyPath
from bnn_train.spec.methods import ENTRIES

Problems = Iterator[tuple[KeyPath, str]]
PROGRESS: KeyPath = ("method", "weight", "progress")
SCALE: KeyPath = ("method", "weight", "scale")


def _gradual(e: Experiment) -> Problems:
    weight = e.method.weight
    name = weight.progress.name
    if not weight.progress.gradual:
        return
    if not weight.quantizer.quantizes:
        yield PROGRESS, "has no effect, since method.weight.quantizer is none; remove it"
    if not weight.quantizer.latent:
        yield PROGRESS, f"{name} needs latent weights to begin with, and {weight.quantizer.name} has none"
    if weight.evaluates_latent:
        yield PROGRESS, f"{name} has no effect on evaluations of latent weights; set evaluate to binary"


def _frozen(e: Experiment) -> Problems:
    weight = e.method.weight
    name = weight.progress.name
    if not weight.progress.freezes:
        return
    if weight.pre.prepares:
        yield (
            ("method", "weight", "pre"),
            f"{weight.pre.name} would move weights that {name} has quantized and frozen; use none",
        )
    if weight.scale.learns:
        yield SCALE, f"{weight.scale.name} would move weights that {name} has frozen; use max_pow2 or l1"
    if e.training.ema:
        yield ("training", "ema"), f"averages weights from before and after {name} froze them; set it to 0"


def _powers(e: Experiment) -> Problems:
    quantizer, scale = e.method.weight.quantizer, e.method.weight.scale
    if quantizer.spread and not scale.spreads:
        yield (
            SCALE,
            f"{scale.name} does not fit {quantizer.name}, which count from the largest weight; use max_pow2",
        )
    if scale.spreads and quantizer.quantizes and not quantizer.spread:
        yield SCALE, f"{scale.name} belongs to powers; with {quantizer.name} use l1 or none"


def _trainer(e: Experiment) -> Problems:
    wanted, binary = ENTRIES[e.method.name].trainer, e.optimizer.binary
    if wanted and e.method.weight.quantizer.latent and (binary is None or binary.name != wanted):
        yield (
            ("optimizer", "binary"),
            f"method {e.method.name} is {ENTRIES[e.method.name].parent} trained by {wanted}; set"
            f" optimizer.binary: {wanted}",
        )
    if binary is not None and binary.latent and not e.method.weight.quantizer.quantizes:
        yield ("optimizer", "binary"), f"{binary.name} trains binary weights, and there are none; remove it"


CHECKS: tuple[Callable[[Experiment], Problems], ...] = (_gradual, _frozen, _powers, _trainer)
