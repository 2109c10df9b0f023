"""The `data` section of a config: images, their preparation, batches. No torch here."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from bnn_train.spec.augment import Augmentation, Mix
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.found import Drawn, FolderName, Found, Statistics
from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Count, Natural, Positive, named


class PixelStep(Record):
    """A step of `normalize`."""

    from_pixels: ClassVar[bool] = False
    """Whether it takes pixels of 0 to 255, so that it must come first."""
    whole: ClassVar[bool] = False
    """Whether it is for small images, held whole in memory."""


class Scale01(PixelStep):
    """Pixels / 255."""

    from_pixels: ClassVar[bool] = True
    name: Literal["unit"]


class Signed(PixelStep):
    """2·pixels/255 − 1, in [−1, 1]."""

    from_pixels: ClassVar[bool] = True
    name: Literal["signed"]


class MeanStd(PixelStep):
    """(pixels/255 − mean) / std per channel."""

    from_pixels: ClassVar[bool] = True
    name: Literal["mean_std"]
    mean: tuple[float, ...] | None = Field(default=None, strict=False)
    """Default: the data set's own."""
    std: tuple[Positive, ...] | None = Field(default=None, strict=False)


class PixelMean(PixelStep):
    """Subtract the mean image of the training file from pixels/255."""

    from_pixels: ClassVar[bool] = True
    whole: ClassVar[bool] = True
    name: Literal["pixel_mean"]


class GCN(PixelStep):
    """Global contrast normalization per image, on 0–255: subtract the mean, divide by a norm.

    With `norm: l2` (pylearn2's CIFAR-10): x·scale/‖x‖₂; with `norm: std`: x·scale/√(var + bias).
    """

    from_pixels: ClassVar[bool] = True
    whole: ClassVar[bool] = True
    name: Literal["gcn"]
    scale: Positive = 55.0
    norm: Literal["l2", "std"] = "l2"
    bias: float = Field(default=0.0, ge=0)


class ZCA(PixelStep):
    """Whitening V·diag(1/√(λ + bias))·Vᵀ, fitted on the whole training file."""

    whole: ClassVar[bool] = True
    name: Literal["zca"]
    bias: Positive = 0.1


class LCN(PixelStep):
    """LeCun's local contrast normalization with a Gaussian window."""

    whole: ClassVar[bool] = True
    name: Literal["lcn"]
    kernel: int = Field(default=7, ge=3)
    threshold: Positive = 1e-4


Normalization = Annotated[
    Annotated[Scale01 | Signed | MeanStd | PixelMean | GCN | ZCA | LCN, Field(discriminator="name")],
    BeforeValidator(named),
]


class Validation(Record):
    """The images held out of the training file to choose the checkpoint."""

    size: Natural | None = None
    """How many; default: as the papers do. 0: none."""
    share: float | None = Field(default=None, gt=0, lt=1)
    """Own images: the part of each class instead of a number; default: a tenth."""
    take: Literal["auto", "last", "random", "balanced"] = "auto"
    """`auto`: the last ones of MNIST and CIFAR-10; SVHN's 400 of train and 200 of extra per class
    (of train alone without `extra`); `random` elsewhere. `random` depends on the seed alone."""
    folder: FolderName | None = None
    """Image folders: the folder under `root` whose images validate, so that none is held out of training."""
    by: Literal["name", "position"] = "name"
    """Image folders: `position` draws as earlier releases did, by the place in the list of all files, so that
    one which is removed moves others; runs that they began keep it."""
    drawn: Drawn | None = None
    """Image folders, `by: name`; written by a run when it begins."""


class TestSplit(Record):
    """The test images of a folder or table of one's own that has none apart."""

    share: float = Field(default=0.2, gt=0, lt=1)
    """The part of each class, at least one image of those that have several."""
    seed: Natural = 0
    """Not the experiment's, so that runs of other seeds have the same test images."""


Resident = bool | Literal["auto"]


class Data(Record):
    """Images, how they are prepared and how they are batched."""

    name: Literal[
        "mnist",
        "fashion_mnist",
        "kmnist",
        "emnist_balanced",
        "emnist_byclass",
        "emnist_bymerge",
        "emnist_letters",
        "emnist_digits",
        "emnist_mnist",
        "cifar10",
        "cifar100",
        "stl10",
        "svhn",
        "imagenet",
        "folder",
        "csv",
        "digits",
        "synthetic",
    ]
    root: str = "data"
    """The folder that holds the files, as torchvision lays them out. `folder`: of `train/<class>/`,
    `val/<class>/` and `test/<class>/`, or of the classes; ImageNet's parts may be tar files
    (`scripts/prepare_imagenet.py`). `csv`: of `train.csv`, `val.csv` and `test.csv`, or
    one such file."""
    download: bool = False
    """Fetch missing files from the data set's official place (not ImageNet or own images)."""
    batch_size: Count = 100
    eval_batch_size: Count = 500
    """Does not change any result."""
    extra: bool = False
    """SVHN: train on train + extra, as the papers do."""
    validation: Validation = Validation()
    normalize: tuple[Normalization, ...] = Field(
        default=({"name": "mean_std"},), strict=False, validate_default=True
    )
    """Applied in order, in training and evaluation, after augmentation."""
    augment: tuple[Augmentation, ...] = Field(default=(), strict=False)
    """Training images only, in this order: a crop first, then what changes the cropped image."""
    mix: tuple[Mix, ...] = Field(default=(), strict=False)
    """Training images only: each is mixed with the next of its batch, and so is its label. Of several ways,
    each image draws one."""
    flip_test: bool = False
    """Evaluate on each image and its mirror image, and average the logits. The report says so; an
    exported file does not do it."""
    image_size: Count | None = None
    """Height and width of the model's input; default: the data set's. Small sets are resized once. `size` is
    the same key."""
    channels: Literal[1, 3] | None = None
    """Own images: 1 reads them as grey; default: 3."""
    resize: Count | None = None
    """Image folders, evaluation: shorter side before the centre crop; default: image_size · 256/224."""
    drop_last: bool = True
    """Leave out the last, smaller training batch of an epoch."""
    sampling: Literal["shuffle", "balanced"] = "shuffle"
    """`shuffle`: every training image once an epoch, in random order; `balanced`: a random class, then a
    random image of it, with replacement (XNOR-Net's code)."""
    batches_per_epoch: Count | None = None
    """How many batches an epoch has, where not a whole pass (`epochSize` of XNOR-Net's code). Under
    `shuffle` at most a pass."""
    workers: Natural = 2
    """Processes that decode images; does not change any result."""
    resident: Resident = "auto"
    """Whether images stay in the device's memory: small sets whole, of image folders the pictures that every
    epoch validates. `auto`: where they take at most an eighth of what is free. Does not change any result."""
    validation_limit: Count | None = None
    """Validate on only the first so many images of the validation split, for trials."""
    train_limit: Count | None = None
    """Use only the first so many training images (after the validation split), for trials."""
    test_limit: Count | None = None
    test_folder: FolderName | None = None
    """Image folders: the folder under `root` that is the test set; default: `val`, as in ImageNet, else the
    one of `valid`, `validation` and `test` that is there. Own images: `test`, else the one of the others."""
    test_split: TestSplit | None = None
    """Own images: draw the test set from the others; default: where there is none, a fifth."""
    exif: Literal["ignore", "apply"] = "ignore"
    """Image folders: `apply` turns an image as its EXIF orientation says, the default of own images;
    ImageNet's results are made with `ignore`."""
    on_error: Literal["fail", "skip"] = "fail"
    """Image folders, in training alone: `skip` gives the place of a damaged image to the next one in the
    list, and counts it. A disk that does not answer is no damaged image."""
    shape: tuple[Count, Count, Count] | None = Field(default=None, strict=False)
    """`synthetic` only: C×H×W."""
    num_classes: int | None = Field(default=None, ge=2)
    """`synthetic`: how many; image folders: how many are expected.

    Default: the data set's, or what the folder holds."""
    statistics: Statistics | None = None
    """Where the data set has none of its own; written by a run when it begins."""
    found: Found | None = None
    """Own images; written by a run when it begins."""

    @model_validator(mode="before")
    @classmethod
    def _spelled(cls, section: Any) -> Any:
        """`size` for `image_size`, and cameras' marks heeded in images of one's own."""
        if not isinstance(section, dict):
            return section
        if "size" in section and "image_size" not in section:
            section = {("image_size" if key == "size" else key): value for key, value in section.items()}
        row = DATASETS.get(str(section.get("name")))
        return {"exif": "apply", **section} if row is not None and row.own else section
