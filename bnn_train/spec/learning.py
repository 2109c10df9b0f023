"""The sections `schedule` and `loss` of a config, beside `optimizer` and checkpoints in it. No torch here."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.annealed import NotNegative
from bnn_train.spec.optimizers import (
    EBP,
    RSGD,
    SGD,
    Adam,
    AdaMax,
    AdamW,
    BinaryAdam,
    BinaryOptimizer,
    Bop,
    Optimizer,
    RAdam,
    ShiftAdaMax,
)
from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Count, Positive, Rate, named
from bnn_train.spec.terms import (
    Apprentice,
    Attention,
    ChannelGates,
    CheckpointFile,
    Distillation,
    Feature,
    InitFrom,
    LossTerm,
    Regularizer,
    Solve,
    Spikes,
    from_path,
)

__all__ = [
    "EBP",
    "RSGD",
    "SGD",
    "AdaMax",
    "Adam",
    "AdamW",
    "Apprentice",
    "Attention",
    "BinaryAdam",
    "BinaryOptimizer",
    "Bop",
    "ChannelGates",
    "CheckpointFile",
    "Constant",
    "Cosine",
    "CrossEntropy",
    "Distillation",
    "Exponential",
    "Feature",
    "InitFrom",
    "Linear",
    "Loss",
    "LossTerm",
    "Optimizer",
    "Poly",
    "Probit",
    "RAdam",
    "Regularizer",
    "Schedule",
    "ShiftAdaMax",
    "Solve",
    "Spikes",
    "SquareHinge",
    "Step",
    "Table",
    "from_path",
]


class _Schedule(Record):
    warmup: float = Field(default=0.0, ge=0)
    """Epochs of linear rise from 0 to the schedule's rate."""
    per: Literal["epoch", "step"] = "epoch"
    """When the rate may change."""

    def length(self, epochs: int) -> int | None:
        """Epochs of the schedule's curve in a run of so many; None where it has no such length."""
        return None


class Constant(_Schedule):
    """lr throughout."""

    name: Literal["constant"]


class Step(_Schedule):
    """lr · factor^k: after each epoch in `at`, or every `every` epochs."""

    name: Literal["step"]
    factor: Positive = 0.1
    at: tuple[Positive, ...] = Field(default=(), strict=False)
    every: Count | None = None


class Table(_Schedule):
    """The rate from each listed epoch on, absolute: `{0: 1e-2, 18: 5e-3}` (counted from 0)."""

    name: Literal["table"]
    rates: dict[Annotated[int, Field(ge=0, strict=False)], Positive]


class _Curve(_Schedule):
    over: Count | None = None
    """Epochs that the curve takes; then the rate stays where it ends. Default: `training.epochs`, so that
    a run of another length has another curve."""

    def length(self, epochs: int) -> int | None:
        """`over`, or the whole run of so many epochs."""
        return self.over or epochs


class Exponential(_Curve):
    """lr · (end/lr)^(epoch/epochs): from lr to `end`."""

    name: Literal["exponential"]
    end: Positive


class Cosine(_Curve):
    """end + (lr − end)·(1 + cos(π·t))/2 over the curve's fraction t."""

    name: Literal["cosine"]
    end: float = Field(default=0.0, ge=0)


class Linear(_Curve):
    """lr + (end − lr)·t."""

    name: Literal["linear"]
    end: float = Field(default=0.0, ge=0)


class Poly(_Curve):
    """lr·(1 − t)^power."""

    name: Literal["poly"]
    power: Positive = 4.0


Schedule = Annotated[
    Annotated[Constant | Step | Table | Exponential | Cosine | Linear | Poly, Field(discriminator="name")],
    BeforeValidator(named),
]


class _Loss(Record):
    takes_shares: ClassVar[bool] = False
    """Whether an image may belong to several classes in part."""
    terms: tuple[LossTerm, ...] = Field(default=(), strict=False)
    """Added to the loss while training; evaluations have the base alone."""
    base_weight: NotNegative = 1.0
    """Factor on the base while training, beside terms; 0: the terms alone teach (ReActNet)."""


class CrossEntropy(_Loss):
    """Softmax cross-entropy, mean over the batch."""

    takes_shares: ClassVar[bool] = True
    name: Literal["cross_entropy"]
    label_smoothing: Rate = 0.0
    """Share of the target that is spread evenly over the classes while training; evaluations report the loss
    without it."""


class SquareHinge(_Loss):
    """max(0, 1 − t·y)² with one-hot targets t in ±1."""

    name: Literal["square_hinge"]
    reduction: Literal["mean", "sum"] = "mean"
    """Over the classes; always the mean over the batch."""

    @property
    def averages(self) -> bool:
        """Whether the classes' losses are averaged rather than added."""
        return self.reduction == "mean"


class Probit(_Loss):
    """−log Φ(t·y) with one-hot targets t in ±1, added over the classes: y is what the network says for a
    class, in deviations (Expectation Backpropagation)."""

    name: Literal["probit"]


Loss = Annotated[
    Annotated[CrossEntropy | SquareHinge | Probit, Field(discriminator="name")],
    BeforeValidator(named),
]
