"""The data sets by name: shapes, classes, statistics, files. Data only, no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bnn_train.spec import class_names
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
    mean: tuple[float, ...] = Field(default=(), strict=False)
    """Per channel, of the training images in [0, 1]; empty: read off them when a run begins."""
    std: tuple[float, ...] = Field(default=(), strict=False)
    layout: Literal["tensor", "folder"] = "tensor"
    """`tensor`: small, held whole as uint8; `folder`: images decoded on the fly."""
    own: bool = False
    """Images of the user's: classes, parts and statistics are read off them."""
    table: bool = False
    """Listed in tables of paths and labels."""
    how_to_get: str = ""
    """The remedy where the files are missing; the part of a sentence."""


_DIGITS = class_names.DIGITS


def _emnist(part: str, title: str, classes: tuple[str, ...], train: int, test: int) -> Dataset:
    """Its authors keep as many of the last training images for validation as there are test images."""
    return Dataset(
        name=f"emnist_{part}",
        title=f"EMNIST {title}",
        shape=(1, 28, 28),
        classes=classes,
        num_classes=len(classes),
        train=train,
        test=test,
        validation=test,
        hold_out="last",
        how_to_get="put gzip.zip of NIST's page on EMNIST into EMNIST/raw under data.root",
    )


_IDX = "put the four published .gz files into {}/raw under data.root"

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
            name="fashion_mnist",
            title="Fashion-MNIST, clothes",
            shape=(1, 28, 28),
            classes=class_names.FASHION,
            num_classes=10,
            train=60_000,
            test=10_000,
            validation=10_000,
            hold_out="last",
            mean=(0.2860,),
            std=(0.3530,),
            how_to_get=_IDX.format("FashionMNIST"),
        ),
        Dataset(
            name="kmnist",
            title="KMNIST, cursive Japanese letters",
            shape=(1, 28, 28),
            classes=class_names.HIRAGANA,
            num_classes=10,
            train=60_000,
            test=10_000,
            validation=10_000,
            hold_out="last",
            how_to_get=_IDX.format("KMNIST"),
        ),
        _emnist("balanced", "balanced, digits and letters", class_names.BY_MERGE, 112_800, 18_800),
        _emnist("byclass", "by class, digits and letters", class_names.BY_CLASS, 697_932, 116_323),
        _emnist("bymerge", "by merge, digits and letters", class_names.BY_MERGE, 697_932, 116_323),
        _emnist("letters", "letters, of both cases", class_names.LETTERS, 124_800, 20_800),
        _emnist("digits", "digits", _DIGITS, 240_000, 40_000),
        _emnist("mnist", "MNIST's digits, prepared anew", _DIGITS, 60_000, 10_000),
        Dataset(
            name="cifar10",
            title="CIFAR-10",
            shape=(3, 32, 32),
            classes=class_names.CIFAR10,
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
            name="cifar100",
            title="CIFAR-100, its 100 fine classes",
            shape=(3, 32, 32),
            classes=class_names.CIFAR100,
            num_classes=100,
            train=50_000,
            test=10_000,
            validation=5_000,
            hold_out="last",
            mean=(0.5071, 0.4865, 0.4409),
            std=(0.2673, 0.2564, 0.2762),
            how_to_get="unpack cifar-100-python.tar.gz under data.root",
        ),
        Dataset(
            name="stl10",
            title="STL-10, its labelled images",
            shape=(3, 96, 96),
            classes=class_names.STL10,
            num_classes=10,
            train=5_000,
            test=8_000,
            validation=500,
            how_to_get="unpack stl10_binary.tar.gz under data.root",
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
            name="folder",
            title="your images, in train/<class>/, val/<class>/ and test/<class>/, or in <class>/",
            shape=(3, 96, 96),
            num_classes=10,
            train=0,
            test=0,
            validation=0,
            layout="folder",
            own=True,
            how_to_get="put images into train/<class>/ and test/<class>/, or into <class>/, under data.root",
        ),
        Dataset(
            name="csv",
            title="your images, listed with their classes in tables of path and label",
            shape=(3, 96, 96),
            num_classes=10,
            train=0,
            test=0,
            validation=0,
            layout="folder",
            own=True,
            table=True,
            how_to_get="list images in train.csv and test.csv under data.root, or in one file that it names",
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
