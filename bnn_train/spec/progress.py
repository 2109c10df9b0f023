"""The order in which weights are quantized while a network trains, by name; ``binary/progress`` has the
objects."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from bnn_train.spec.annealed import Curve, NotNegative, Position, number_at
from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Count, Rate, named


class AtOnce(Record):
    """All weights, from the first step on."""

    name: Literal["at_once"] = "at_once"
    gradual: ClassVar[bool] = False
    freezes: ClassVar[bool] = False
    """Weights that are quantized stay as they are."""

    def share_at(self, position: Position) -> float:
        """The share of the weights (of the layers) that are quantized."""
        return 1.0

    def ends(self, position: Position) -> bool:
        """Whether the network is as it will be in the end."""
        return True


class ByLayer(AtOnce):
    """One layer after the other, the deepest first; the others compute with their latent weights (FleBin)."""

    name: Literal["by_layer"] = "by_layer"  # type: ignore[assignment]  # narrows the tag
    gradual: ClassVar[bool] = True
    share: NotNegative = Curve.model_validate({"from": 0.0, "to": 1.25})
    """The share t of the layers: the last ⌈t·L⌉ of L are quantized, all of them from t = 1 on. A curve to
    1.25 leaves a fifth of the run to the finished network."""
    stop_after: Count | None = None
    """Quantize no more than so many layers; the others stay real."""

    def share_at(self, position: Position) -> float:
        return min(1.0, number_at(self.share, position))

    def ends(self, position: Position) -> bool:
        end = self.share.to if isinstance(self.share, Curve) else self.share
        return self.share_at(position) >= min(1.0, end)


def _rising(shares: tuple[float, ...]) -> tuple[float, ...]:
    if any(not 0 < share <= 1 for share in shares) or list(shares) != sorted(set(shares)):
        raise PydanticCustomError("shares", "must rise, from above 0 to at most 1")
    return shares


class ByFraction(AtOnce):
    """The largest weights of each layer first, which then are frozen while the others train on (INQ)."""

    name: Literal["by_fraction"] = "by_fraction"  # type: ignore[assignment]  # narrows the tag
    gradual: ClassVar[bool] = True
    freezes: ClassVar[bool] = True
    shares: Annotated[tuple[float, ...], AfterValidator(_rising), Field(min_length=1)] = Field(
        default=(0.5, 0.75, 0.82, 1.0), strict=False
    )
    """The share of the weights that is frozen from each stage on; the last one is 1."""
    starts: tuple[Rate, ...] = Field(default=(0.25, 0.5, 0.75, 0.9), strict=False)
    """Where each stage begins, as a fraction of the run, rounded down to an epoch."""

    @model_validator(mode="after")
    def _as_many(self) -> ByFraction:
        if len(self.shares) != len(self.starts) or list(self.starts) != sorted(self.starts):
            raise PydanticCustomError("starts", "starts must rise, and be as many as shares")
        return self

    def stage_at(self, position: Position) -> int:
        """The number of stages that have begun."""
        epoch = math.inf if math.isinf(position.epoch) else math.floor(position.epoch)
        return sum(math.floor(start * position.epochs) <= epoch for start in self.starts)

    def begins(self, position: Position) -> bool:
        """Whether a stage begins with this step."""
        epoch = position.epoch
        if math.isinf(epoch) or epoch != math.floor(epoch):
            return False
        before = Position(epoch=epoch - 1, epochs=position.epochs)
        return self.stage_at(position) > self.stage_at(before)

    def share_at(self, position: Position) -> float:
        stage = self.stage_at(position)
        return self.shares[stage - 1] if stage else 0.0

    def ends(self, position: Position) -> bool:
        return self.stage_at(position) == len(self.starts)


Progress = Annotated[
    Annotated[AtOnce | ByLayer | ByFraction, Field(discriminator="name")], BeforeValidator(named)
]
