"""The data sets by name: shapes, classes, statistics, files. Data only, no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bnn_train.spec.record import Record


class Dataset(Record):
    """One data set, as its authors publish it."""

    name: str
    title: str
    shape: tuple[int, int, int] = Field(strict=False)
    """C×H×W of the model's input unless the config sets another size."""
    classes: tuple[str, ...] = Field(default=(), strict=False)
    """Class names in label order; empty where the files name them."""
    num_classes: int
    train: int
    """Training images."""
    test: int
    """Test images."""
    extra: int = 0
    """Further training images, used with `data.extra`."""
    validation: int
    """Images held out for validation by default, as the papers do."""
    hold_out: Literal["last", "random", "per_class"] = "random"
    """Which, where `data.validation.take` is `auto`. `per_class`: equally many of each, two thirds from
    train and one from extra (400 + 200 of each digit: Sermanet et al., arXiv 1204.3968)."""
    mean: tuple[float, ...] = Field(strict=False)
    """Per channel, of the training images in [0, 1]."""
    std: tuple[float, ...] = Field(strict=False)
    layout: Literal["tensor", "folder"] = "tensor"
    """`tensor`: small, held whole as uint8; `folder`: images decoded on the fly."""
    how_to_get: str = ""
    """The remedy where the files are missing; the part of a sentence."""


_DIGITS = tuple("0123456789")

DATASETS: dict[str, Dataset] = {
    row.name: row
    for row in (
        Dataset(
            name="mnist",
            title="MNIST handwritten digits",
            shape=(1, 28, 28),
            classes=_DIGITS,
            num_classes=10,
            train=60_000,
            test=10_000,
            validation=10_000,
            hold_out="last",
            mean=(0.1307,),
            std=(0.3081,),
            how_to_get="put the four idx files into MNIST/raw under data.root",
        ),
        Dataset(
            name="cifar10",
            title="CIFAR-10",
            shape=(3, 32, 32),
            classes=(
                "airplane",
                "automobile",
                "bird",
                "cat",
                "deer",
                "dog",
                "frog",
                "horse",
                "ship",
                "truck",
            ),
            num_classes=10,
            train=50_000,
            test=10_000,
            validation=5_000,
            hold_out="last",
            mean=(0.4914, 0.4822, 0.4465),
            std=(0.2470, 0.2435, 0.2616),
            how_to_get="unpack cifar-10-python.tar.gz under data.root",
        ),
        Dataset(
            name="svhn",
            title="Street View House Numbers, 32×32",
            shape=(3, 32, 32),
            classes=_DIGITS,
            num_classes=10,
            train=73_257,
            test=26_032,
            extra=531_131,
            validation=6_000,
            hold_out="per_class",
            mean=(0.4377, 0.4438, 0.4728),
            std=(0.1980, 0.2010, 0.1970),
            how_to_get="put train_32x32.mat and test_32x32.mat (and extra_32x32.mat) under data.root",
        ),
        Dataset(
            name="imagenet",
            title="ImageNet (ILSVRC-2012), or any images in train/<class>/ and val/<class>/",
            shape=(3, 224, 224),
            num_classes=1000,
            train=1_281_167,
            test=50_000,
            validation=0,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            layout="folder",
            how_to_get="unpack the images into train/<class>/ and val/<class>/ under data.root",
        ),
        Dataset(
            name="digits",
            title="UCI handwritten digits, 8×8, embedded",
            shape=(1, 8, 8),
            classes=_DIGITS,
            num_classes=10,
            train=1_297,
            test=500,
            validation=200,
            mean=(0.3053,),
            std=(0.3760,),
        ),
        Dataset(
            name="synthetic",
            title="deterministic class patterns with noise, for tests",
            shape=(3, 32, 32),
            num_classes=10,
            train=512,
            test=256,
            validation=128,
            mean=(0.5,),
            std=(0.25,),
        ),
    )
}
