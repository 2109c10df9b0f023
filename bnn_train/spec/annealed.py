"""Numbers that change while a network trains, as functions of how far the run has come."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Count


@dataclass(frozen=True)
class Position:
    """How far a run has come: optimizer steps done, the same in epochs, and the epochs of the whole run."""

    step: int = 0
    epoch: float = 0.0
    """Steps done over steps per epoch."""
    epochs: int = 1
    """Of the whole run."""


START = Position()
END = Position(epoch=math.inf)
"""Where every curve has ended."""


class Curve(Record):
    """A number that goes from one value to another during training."""

    begin: float = Field(alias="from")
    """The value of the first epoch."""
    to: float
    """The value at the end of the curve, and after it."""
    curve: Literal["linear", "cosine", "exponential", "quarter_wave", "exponential_rise"] = "linear"
    """`linear`: from + (to − from)·t; `cosine`: half a wave; `exponential`: from·(to/from)^t; `quarter_wave`:
    from + (to − from)·(1 − cos(π·t/2)) (ReSTE); `exponential_rise`: A·eᵗ + B through both ends (ReCU)."""
    over: Count | None = None
    """Epochs that the curve takes; default: the whole run."""
    per: Literal["epoch", "step"] = "epoch"
    """When the number may change."""

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Curve:
        if self.curve == "exponential" and self.begin * self.to <= 0:
            raise PydanticCustomError("curve", "an exponential curve can neither reach nor cross 0")
        return self

    @model_serializer(mode="wrap")
    def _by_its_name(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values = dump(self)
        return {"from" if key == "begin" else key: value for key, value in values.items()}


Annealed = Annotated[
    Annotated[float, Tag("number")] | Annotated[Curve, Tag("curve")],
    Discriminator(lambda value: "curve" if isinstance(value, dict | Curve) else "number"),
]
"""A number, or a curve on which it moves."""


def _above_zero(number: Annealed) -> Annealed:
    ends = (number.begin, number.to) if isinstance(number, Curve) else (number,)
    if min(ends) <= 0:
        raise PydanticCustomError("above_zero", "must be above 0 from the first epoch to the last")
    return number


def _not_negative(number: Annealed) -> Annealed:
    ends = (number.begin, number.to) if isinstance(number, Curve) else (number,)
    if min(ends) < 0:
        raise PydanticCustomError("not_negative", "must be 0 or more from the first epoch to the last")
    return number


def _at_least_one(number: Annealed) -> Annealed:
    ends = (number.begin, number.to) if isinstance(number, Curve) else (number,)
    if min(ends) < 1:
        raise PydanticCustomError("at_least_one", "must be 1 or more from the first epoch to the last")
    return number


def _quantile(number: Annealed) -> Annealed:
    ends = (number.begin, number.to) if isinstance(number, Curve) else (number,)
    if not 0.5 < min(ends) <= max(ends) < 1:
        raise PydanticCustomError("quantile", "must lie between 0.5 and 1 from the first epoch to the last")
    return number


AboveZero = Annotated[Annealed, AfterValidator(_above_zero)]
AtLeastOne = Annotated[Annealed, AfterValidator(_at_least_one)]
UpperQuantile = Annotated[Annealed, AfterValidator(_quantile)]
NotNegative = Annotated[Annealed, AfterValidator(_not_negative)]

CURVES: dict[str, Callable[[float, float, float], float]] = {
    "linear": lambda begin, to, t: begin + (to - begin) * t,
    "cosine": lambda begin, to, t: to + (begin - to) * (1 + math.cos(math.pi * t)) / 2,
    "exponential": lambda begin, to, t: begin * (to / begin) ** t,
    "quarter_wave": lambda begin, to, t: to - (to - begin) * math.cos(math.pi * t / 2),
    "exponential_rise": lambda begin, to, t: begin + (to - begin) * math.expm1(t) / math.expm1(1),
}
"""By name the value at t, which runs from 0 to 1."""


def number_at(number: Annealed, position: Position) -> float:
    """The value of a number at a position of the run."""
    if not isinstance(number, Curve):
        return number
    length = number.over or position.epochs or 1  # a run of no epochs asks, too
    epoch = min(position.epoch, length)
    t = (epoch if number.per == "step" else math.floor(epoch)) / length
    return CURVES[number.curve](number.begin, number.to, t)


_KEYS = Curve.model_validate({"from": 0.0, "to": 1.0}).model_dump().keys()


def curves(value: Any, prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every annealed number of a dumped config, by its dotted key."""
    if isinstance(value, dict) and value.keys() == _KEYS:
        yield prefix, value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from curves(inner, f"{prefix}.{key}" if prefix else str(key))
