"""An experiment, typed: every key a config may have, with its meaning under it. No torch here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from bnn_train.binary.methods import METHODS
from bnn_train.binary.spec import Method
from bnn_train.config.merge import merge
from bnn_train.data.catalog import DATASETS
from bnn_train.models.catalog import Network
from bnn_train.record import Record

Rate = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


def named(value: Any) -> Any:
    """A bare string stands for a mapping with that name: ``adam`` for ``{name: adam}``."""
    return {"name": value} if isinstance(value, str) else value


def method_row(value: Any) -> Any:
    """A method's name, or a mapping that replaces fields of the named row."""
    value = named(value)
    if isinstance(value, dict) and value.get("name") in METHODS:
        return merge(METHODS[value["name"]].model_dump(), value)
    return value


# ---------------------------------------------------------------------------------- data


class Scale01(Record):
    """Pixels / 255."""

    name: Literal["unit"]


class Signed(Record):
    """2·pixels/255 − 1, in [−1, 1]."""

    name: Literal["signed"]


class MeanStd(Record):
    """(pixels/255 − mean) / std per channel."""

    name: Literal["mean_std"]
    mean: tuple[float, ...] | None = Field(default=None, strict=False)
    """Default: the data set's own."""
    std: tuple[Positive, ...] | None = Field(default=None, strict=False)


class PixelMean(Record):
    """Subtract the mean image of the training file from pixels/255."""

    name: Literal["pixel_mean"]


class GCN(Record):
    """Global contrast normalization per image, on 0–255: subtract the mean, divide by a norm.

    With `norm: l2` (pylearn2's CIFAR-10): x·scale/‖x‖₂; with `norm: std`: x·scale/√(var + bias).
    """

    name: Literal["gcn"]
    scale: Positive = 55.0
    norm: Literal["l2", "std"] = "l2"
    bias: float = Field(default=0.0, ge=0)


class ZCA(Record):
    """Whitening V·diag(1/√(λ + bias))·Vᵀ, fitted on the whole training file."""

    name: Literal["zca"]
    bias: Positive = 0.1


class LCN(Record):
    """LeCun's local contrast normalization with a Gaussian window."""

    name: Literal["lcn"]
    kernel: int = Field(default=7, ge=3)
    threshold: Positive = 1e-4


Normalization = Annotated[
    Annotated[
        Scale01 | Signed | MeanStd | PixelMean | GCN | ZCA | LCN, Field(discriminator="name")
    ],
    BeforeValidator(named),
]


class PadCropFlip(Record):
    """Pad with black, crop back at random, flip left-right with probability ½."""

    name: Literal["pad_crop_flip"]
    pad: Natural = 4
    flip: bool = True


class RandomResizedCrop(Record):
    """A random area and aspect ratio, resized to the input size; flip. Image folders only."""

    name: Literal["random_resized_crop"]
    min_area: float = Field(default=0.08, gt=0, le=1)
    flip: bool = True


class ResizeCrop(Record):
    """Shorter side at random in [min_side, max_side], random crop of the input size; flip. Image folders only."""

    name: Literal["resize_crop"]
    min_side: Count = 256
    max_side: Count = 256
    flip: bool = True


Augmentation = Annotated[
    Annotated[PadCropFlip | RandomResizedCrop | ResizeCrop, Field(discriminator="name")],
    BeforeValidator(named),
]


class Validation(Record):
    """The images held out of the training file to choose the checkpoint."""

    size: Natural | None = None
    """How many; default: as the papers do. 0: none."""
    take: Literal["auto", "last", "random", "balanced"] = "auto"
    """`auto`: the last ones of MNIST and CIFAR-10; SVHN's 400 of train and 200 of extra per class
    (of train alone without `extra`); `random` elsewhere. `random` depends on the seed alone."""


class Data(Record):
    """Images, how they are prepared and how they are batched."""

    name: Literal["mnist", "cifar10", "svhn", "imagenet", "digits", "synthetic"]
    root: str = "data"
    """The folder that holds the files, as torchvision lays them out."""
    download: bool = False
    """Fetch missing files from the data set's official place (not ImageNet)."""
    batch_size: Count = 100
    eval_batch_size: Count = 500
    """Does not change any result."""
    extra: bool = False
    """SVHN: train on train + extra, as the papers do."""
    validation: Validation = Validation()
    normalize: tuple[Normalization, ...] = Field(default=({"name": "mean_std"},), strict=False, validate_default=True)
    """Applied in order, in training and evaluation, after augmentation."""
    augment: tuple[Augmentation, ...] = Field(default=(), strict=False)
    """Training images only."""
    image_size: Count | None = None
    """Height and width of the model's input; default: the data set's. Small sets are resized once."""
    resize: Count | None = None
    """ImageNet evaluation: shorter side before the centre crop; default: image_size · 256/224."""
    drop_last: bool = True
    """Leave out the last, smaller training batch of an epoch."""
    workers: Natural = 2
    """Processes that decode images; does not change any result."""
    train_limit: Count | None = None
    """Use only the first so many training images (after the validation split), for trials."""
    test_limit: Count | None = None
    shape: tuple[Count, Count, Count] | None = Field(default=None, strict=False)
    """`synthetic` only: C×H×W."""
    num_classes: int | None = Field(default=None, ge=2)
    """`synthetic`: how many; ImageNet folders: how many are expected. Default: the data set's, or what the folder holds."""


# ---------------------------------------------------------------------- optimizer, schedule, loss


class Bop(Record):
    """Flip a binary weight when a moving average of its gradient says so (arXiv 1906.02107)."""

    name: Literal["bop"]
    threshold: float = Field(default=1e-8, ge=0)
    gamma: float = Field(default=1e-4, gt=0, le=1)
    gamma_decay: float = Field(default=1.0, gt=0, le=1)
    """γ is multiplied by this …"""
    gamma_every: Count = 100
    """… every so many epochs."""


class _Optimizer(Record):
    lr: Positive = 1e-3
    weight_decay: float = Field(default=0.0, ge=0)
    """L2 on real-valued weights; biases and batch norm included only as torch does."""
    weight_decay_binary: float = Field(default=0.0, ge=0)
    """L2 on latent binary weights: none unless asked for."""
    binary: Annotated[Bop | None, BeforeValidator(named)] = None
    """An optimizer for the binary weights alone; the rest is trained by this one."""


class Adam(_Optimizer):
    """Adam."""

    name: Literal["adam"]
    betas: tuple[Rate, Rate] = Field(default=(0.9, 0.999), strict=False)
    eps: Positive = 1e-8


class AdaMax(_Optimizer):
    """AdaMax."""

    name: Literal["adamax"]
    betas: tuple[Rate, Rate] = Field(default=(0.9, 0.999), strict=False)
    eps: Positive = 1e-8


class SGD(_Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov."""

    name: Literal["sgd"]
    momentum: Rate = 0.0
    nesterov: bool = False


Optimizer = Annotated[
    Annotated[Adam | AdaMax | SGD, Field(discriminator="name")], BeforeValidator(named)
]


class _Schedule(Record):
    warmup: float = Field(default=0.0, ge=0)
    """Epochs of linear rise from 0 to the schedule's rate."""
    per: Literal["epoch", "step"] = "epoch"
    """When the rate may change."""


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


class Exponential(_Schedule):
    """lr · (end/lr)^(epoch/epochs): from lr to `end`."""

    name: Literal["exponential"]
    end: Positive


class Cosine(_Schedule):
    """end + (lr − end)·(1 + cos(π·t))/2 over the run's fraction t."""

    name: Literal["cosine"]
    end: float = Field(default=0.0, ge=0)


class Linear(_Schedule):
    """lr + (end − lr)·t."""

    name: Literal["linear"]
    end: float = Field(default=0.0, ge=0)


class Poly(_Schedule):
    """lr·(1 − t)^power."""

    name: Literal["poly"]
    power: Positive = 4.0


Schedule = Annotated[
    Annotated[
        Constant | Step | Table | Exponential | Cosine | Linear | Poly, Field(discriminator="name")
    ],
    BeforeValidator(named),
]


class CrossEntropy(Record):
    """Softmax cross-entropy, mean over the batch."""

    name: Literal["cross_entropy"]
    label_smoothing: Rate = 0.0


class SquareHinge(Record):
    """max(0, 1 − t·y)² with one-hot targets t in ±1."""

    name: Literal["square_hinge"]
    reduction: Literal["mean", "sum"] = "mean"
    """Over the classes; always the mean over the batch."""


Loss = Annotated[
    Annotated[CrossEntropy | SquareHinge, Field(discriminator="name")], BeforeValidator(named)
]


# ------------------------------------------------------------------------------ training and run


class Training(Record):
    """The loop."""

    epochs: Count = 10
    select: Literal["validation", "last", "test"] = "validation"
    """Which epoch is reported: best on the validation split (ties: the later), the last one, or the
    best on the test set, which the report then says."""
    accumulate: Count = 1
    """Batches whose gradients are averaged into one step."""
    clip_grad_norm: Positive | None = None
    amp: Literal["none", "bf16", "fp16"] = "none"
    """Mixed precision, where the device has it."""
    ema: Rate = 0.0
    """Decay of an exponential moving average of the weights, which is then evaluated. 0: none."""
    log_every: Count = 50
    """Steps between lines in metrics.jsonl."""
    checkpoint_every: Natural = 0
    """Steps between checkpoints inside an epoch. 0: at epoch ends only."""


class Run(Record):
    """Where a run lives and what it runs on."""

    dir: str | None = None
    """The run's folder; default: runs/ and the config's path without configs/ and .yaml."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Count | None = None
    """CPU threads; another number may change the last bits of a result."""
    tensorboard: bool = True
    overwrite: bool = False
    """Discard an earlier run in the same folder."""


class Reference(Record):
    """What a config reproduces. Documentation; nothing here changes a run."""

    paper: str = ""
    table: str = ""
    top1: float | None = None
    """The published top-1 in percent."""
    notes: str = ""
    """What is known to differ between paper and code, and which side this config takes."""
    cost: str = ""
    """Hardware and time."""


class Experiment(Record):
    """One experiment: the whole of a config file after `extends` and `--set`."""

    method: Annotated[Method, BeforeValidator(method_row)]
    """A row of the method table, or `{name: row, …}` with fields replaced."""
    model: Annotated[Network, BeforeValidator(named)]
    data: Annotated[Data, BeforeValidator(named)]
    optimizer: Optimizer = Field(default={"name": "adam"}, validate_default=True)  # type: ignore[assignment]
    schedule: Schedule = Field(default={"name": "constant"}, validate_default=True)  # type: ignore[assignment]
    loss: Loss = Field(default={"name": "cross_entropy"}, validate_default=True)  # type: ignore[assignment]
    training: Training = Training()
    run: Run = Run()
    seed: int = Field(default=1, ge=0, lt=2**63)
    reference: Reference = Reference()


DATASET_NAMES = tuple(DATASETS)
