"""An experiment, typed: every key a config may have, with its meaning under it. No torch here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from bnn_train.config.merge import merge
from bnn_train.spec.augment import (
    Augmentation,
    PadCropFlip,
    RandomErasing,
    RandomResizedCrop,
    ResizeCrop,
    Varied,
)
from bnn_train.spec.data import (
    GCN,
    LCN,
    ZCA,
    Data,
    MeanStd,
    Normalization,
    PixelMean,
    Scale01,
    Signed,
    Validation,
)
from bnn_train.spec.found import Drawn
from bnn_train.spec.learning import (
    EBP,
    RSGD,
    SGD,
    Adam,
    AdaMax,
    AdamW,
    Attention,
    BinaryOptimizer,
    Bop,
    CheckpointFile,
    Constant,
    Cosine,
    CrossEntropy,
    Distillation,
    Exponential,
    InitFrom,
    Linear,
    Loss,
    Optimizer,
    Poly,
    Probit,
    Schedule,
    ShiftAdaMax,
    Solve,
    SquareHinge,
    Step,
    Table,
    from_path,
)
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from bnn_train.spec.networks import Network
from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Count, Natural, Positive, Rate, named

__all__ = [
    "EBP",
    "GCN",
    "LCN",
    "RSGD",
    "SGD",
    "ZCA",
    "AdaMax",
    "Adam",
    "AdamW",
    "Attention",
    "Augmentation",
    "BinaryOptimizer",
    "Bop",
    "CheckpointFile",
    "Constant",
    "Cosine",
    "CrossEntropy",
    "Data",
    "Distillation",
    "Drawn",
    "Experiment",
    "Exponential",
    "InitFrom",
    "Linear",
    "Loss",
    "MeanStd",
    "Method",
    "Network",
    "Normalization",
    "Optimizer",
    "PadCropFlip",
    "PixelMean",
    "Poly",
    "Probit",
    "RandomErasing",
    "RandomResizedCrop",
    "Reference",
    "ResizeCrop",
    "Run",
    "Scale01",
    "Schedule",
    "ShiftAdaMax",
    "Signed",
    "Solve",
    "SquareHinge",
    "Step",
    "Table",
    "Training",
    "Validation",
    "Varied",
]


def method_row(value: Any) -> Any:
    """A method's name, or a mapping that replaces fields of the named row."""
    value = named(value)
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str):
        return value
    if name not in METHODS:
        raise PydanticCustomError("unknown_method", "no such method")
    return merge(METHODS[name].model_dump(), value)


class Training(Record):
    """The loop."""

    init_from: Annotated[
        InitFrom | None, BeforeValidator(from_path, json_schema_input_type=str | InitFrom | None)
    ] = None
    """Weights to start from; default: those that the method draws."""
    solve: Solve = Solve()
    """For methods that solve for their weights before the first step."""
    epochs: Natural = 10
    """0: none; the weights that the run starts from are evaluated and reported."""
    select: Literal["validation", "last", "test"] = "validation"
    """The epoch that is reported: best on the validation split (ties: the later), the last one, or the
    best on the test set, which the report then says."""
    accumulate: Count = 1
    """Batches whose gradients are averaged into one step."""
    sync_norms: bool = False
    """Of several processes: whether batch norms take mean and variance over the images of all, as one process
    does with the whole batch, and not each over its own part. It costs two messages a norm and step."""
    clip_grad_norm: Positive | None = None
    """The largest norm of a step's gradient, over all parameters together. `method.weight.gain: fan_in`
    counts in it: latent gradients, n times as large, then leave little to the others."""
    amp: Literal["none", "bf16", "fp16"] = "none"
    """Mixed precision, where the device has it; evaluations use it too. An export computes in float32."""
    ema: Rate = 0.0
    """Decay of an exponential moving average of the weights, which is then evaluated. 0: none."""
    log_every: Count = 50
    """Steps between lines in metrics.jsonl."""
    checkpoint_every: Natural = 0
    """Steps between checkpoints inside an epoch. 0: none by steps."""
    checkpoint_minutes: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    """Minutes after which a checkpoint inside an epoch is saved. 0: none by the clock. Every epoch's end
    saves one, and so does a signal or an error of data or surroundings."""


class Run(Record):
    """Where a run lives and what it runs on."""

    dir: str | None = None
    """The run's folder; default: runs/ and the config's path without configs/ and .yaml. `~` is the home
    folder."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """CPU threads; another number may change the last bits of a result."""
    tf32: bool = False
    """Let a GPU round the operands of float32 convolutions and products to 10 bits (TF32): faster, and other
    numbers, which the report then says."""
    tensorboard: bool = True
    trackers: tuple[Literal["tensorboard", "csv", "mlflow", "trackio", "wandb"], ...] = Field(
        default=(), strict=False
    )
    """Where the numbers go beside metrics.jsonl: `csv` writes metrics.csv, a row an epoch; the others are
    extras of the same names, and stay local (MLflow, trackio) or offline (wandb) unless their environment
    variables say more."""
    overwrite: bool = False
    """Discard an earlier run in the same folder; refused where anything else lies there."""


class Reference(Record):
    """The published result that a config reproduces. Documentation; nothing here changes a run."""

    paper: str = ""
    table: str = ""
    top1: float | None = None
    """The published top-1 in percent."""
    band: Positive | None = None
    """Points of top-1 around it within which a run counts as a reproduction; null where the published
    number is of another protocol."""
    notes: str = ""
    """Known differences between paper and code, and which side this config takes."""
    cost: str = ""
    """Hardware and time."""


class Experiment(Record):
    """One experiment: the whole of a config file after `extends` and `--set`."""

    method: Annotated[Method, BeforeValidator(method_row)]
    """A row of the method table, or `{name: row, …}` with fields replaced."""
    model: Annotated[Network, BeforeValidator(named)]
    data: Annotated[Data, BeforeValidator(named)]
    optimizer: Optimizer = Field(default={"name": "adam"}, validate_default=True)
    schedule: Schedule = Field(default={"name": "constant"}, validate_default=True)
    loss: Loss = Field(default={"name": "cross_entropy"}, validate_default=True)
    training: Training = Training()
    run: Run = Run()
    seed: int = Field(default=1, ge=0, lt=2**63)
    reference: Reference = Reference()
