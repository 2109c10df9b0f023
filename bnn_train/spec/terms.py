"""Checkpoints of other runs in a config, and the terms of a loss that learn from them. No torch here."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from bnn_train.spec.annealed import AboveZero, NotNegative
from bnn_train.spec.networks import Network
from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Count, named


def from_path(value: Any) -> Any:
    """A bare path stands for a mapping with that `checkpoint`, also below keys that `--set` lays over it."""
    if isinstance(value, str):
        return {"checkpoint": value}
    if isinstance(value, dict) and "name" in value:  # a checkpoint laid over the bare path replaces it
        return {"checkpoint": value["name"]} | {key: inner for key, inner in value.items() if key != "name"}
    return value


def _hexadecimal(digest: str) -> str:
    if re.fullmatch("[0-9a-f]{64}", digest) is None:
        raise PydanticCustomError("sha256", "must be a SHA-256 in 64 small hexadecimal digits")
    return digest


class CheckpointFile(Record):
    """A checkpoint that a run reads: a file, or the folder of a run, whose best one is meant."""

    checkpoint: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, AfterValidator(_hexadecimal)] | None = None
    """Of the file, as `sha256sum` tells it. Left out, it is that of the file as it lies there at the first
    start; the run's config.yaml names it, and another file is refused from then on."""


class InitFrom(CheckpointFile):
    """The weights that training starts from, by name, out of a run of any method, width or class count."""

    skip: tuple[str, ...] = Field(default=(), strict=False)
    """Tensors that stay as they are initialised: globs over their names (`linear3.*`), or a role of layers
    (`first`, `last`; `last` with the norm behind it)."""
    strict: bool = False
    """Refuse tensors that only one side has; those under `skip` may be missing."""


class Solve(Record):
    """The images on which weights are solved for, before the first step of a run that starts from another."""

    images: Count = 512
    """Training images of the first epoch's order, not augmented."""
    positions: Count = 16
    """Places of each map, drawn by the seed."""


class _Term(Record):
    """Facts of a term that config checks ask."""

    needs_spikes: ClassVar[bool] = False
    needs_gates: ClassVar[bool] = False
    needs_binary_weights: ClassVar[bool] = False

    @property
    def needs_scale(self) -> bool:
        """Whether it reads the scales of the binary weights."""
        return False


class Distillation(_Term):
    """T²·KL(teacher ‖ network) of the softmax of logits over T (Hinton et al., arXiv 1503.02531)."""

    name: Literal["distillation"]
    weight: NotNegative = 1.0
    """Factor on the term, beside a base loss of factor 1."""
    temperature: AboveZero = 4.0
    """T, by which the logits of both are divided."""
    teacher: Annotated[
        CheckpointFile, BeforeValidator(from_path, json_schema_input_type=str | CheckpointFile)
    ]
    """The network to learn from; frozen, and evaluated as its own run evaluated it."""


class Regularizer(_Term):
    """mean |α − |w|| or mean (α − |w|)² of binary weights, which draws them to ±α (BNN+, arXiv
    1812.11800)."""

    name: Literal["regularizer"]
    weight: NotNegative = 1e-3
    """Factor on the term, beside a base loss of factor 1."""
    form: Literal["l1", "l2"] = "l1"
    """`l1`: R₁, the mean distance; `l2`: R₂, the mean square."""
    alpha: Literal["one", "mean", "median", "scale"] = "mean"
    """α: 1; the mean or the median of |w|, constants; or the layer's own scale, which learns from it."""
    needs_binary_weights: ClassVar[bool] = True

    @property
    def needs_scale(self) -> bool:
        """With α the layer's own."""
        return self.alpha == "scale"


class Spikes(_Term):
    """Half the mean square of how active the channels are, which makes spikes rare (Eedn, arXiv
    1603.08270)."""

    name: Literal["spikes"]
    weight: NotNegative = 1e-2
    """Factor on the term, beside a base loss of factor 1."""
    needs_spikes: ClassVar[bool] = True


class ChannelGates(_Term):
    """The sum of |g| over the gates of all channels, which closes those that are not needed (Widening and
    Squeezing, arXiv 2002.00555)."""

    name: Literal["channel_gates"]
    weight: NotNegative = 1e-4
    """Factor on the term, beside a base loss of factor 1."""
    needs_gates: ClassVar[bool] = True


class Attention(_Term):
    """Mean square of the difference between the network's and a teacher's attention maps (Martinez et al.:
    Real-to-Binary Convolutions, arXiv 2003.11535 §4.2)."""

    name: Literal["attention"]
    weight: NotNegative = 1.0
    """Factor on the term, beside the base loss."""
    blocks: tuple[str, ...] = Field(default=("stage?",), strict=False, min_length=1)
    """The modules whose outputs are compared: globs over their names, `stage?` or `stage2.*`."""
    teacher_blocks: tuple[str, ...] = Field(default=(), strict=False)
    """Those of the teacher, in the same order and as many; default: as in `blocks`."""
    norm: Literal["max", "l2"] = "max"
    """The divisor of a map: its largest number (Larq Zoo), or its length (the paper)."""
    teacher: Annotated[
        CheckpointFile, BeforeValidator(from_path, json_schema_input_type=str | CheckpointFile)
    ]
    """The network to learn from; frozen, and evaluated as its own run evaluated it."""


class Feature(_Term):
    """The squared distance from a teacher's inner values (the binary-weight detector, arXiv 1804.06332)."""

    name: Literal["feature"] = "feature"
    weight: NotNegative = 1.0
    """Factor on the term, beside a base loss of factor 1."""
    layers: tuple[str, ...] = Field(strict=False, min_length=1)
    """The modules whose outputs are compared: globs over their names, `norm2` or `stage*`."""
    teacher: Annotated[
        CheckpointFile, BeforeValidator(from_path, json_schema_input_type=str | CheckpointFile)
    ]
    """A network with the same modules; frozen, and evaluated as its own run evaluated it."""


class Apprentice(_Term):
    """A real-valued teacher that trains along, and its answers (Apprentice's scheme A, arXiv 1711.05852)."""

    name: Literal["apprentice"] = "apprentice"
    weight: NotNegative = 1.0
    """Factor on the term: γ/β of the paper."""
    labels: float = Field(default=2.0, ge=0)
    """Factor on the teacher's own cross-entropy beside that of its answers: α/γ of the paper."""
    model: Annotated[Network, BeforeValidator(named)]
    """The teacher's network."""


LossTerm = Annotated[
    Annotated[
        Distillation | Regularizer | Spikes | ChannelGates | Attention | Feature | Apprentice,
        Field(discriminator="name"),
    ],
    BeforeValidator(named),
]
