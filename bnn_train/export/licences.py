"""The licences of data sets: under what terms a trained network's data were published."""

from __future__ import annotations

from typing import NamedTuple


class Licence(NamedTuple):
    """The terms of a data set, as far as its authors state them."""

    name: str
    """For people."""
    source: str
    """Where the data set comes from and who made it."""
    may_copy: bool
    """Whether single images may be passed on with a credit."""
    reason: str = ""
    """Why not."""


_UNKNOWN = Licence(
    "not known here; ask whoever made the data",
    "",
    may_copy=False,
    reason="the licence of these images is not known here",
)
LICENCES: dict[str, Licence] = {
    "digits": Licence(
        "CC BY 4.0",
        "E. Alpaydin and C. Kaynak: Optical Recognition of Handwritten Digits (1998), UCI Machine Learning"
        " Repository",
        may_copy=True,
    ),
    "mnist": Licence(
        "CC BY-SA 3.0",
        "Y. LeCun, C. Cortes and C. Burges: the MNIST database of handwritten digits, from NIST's databases",
        may_copy=True,
    ),
    "fashion_mnist": Licence(
        "MIT", "H. Xiao, K. Rasul and R. Vollgraf: Fashion-MNIST (2017), Zalando SE", may_copy=True
    ),
    "kmnist": Licence(
        "CC BY-SA 4.0", "KMNIST data set (made by CODH), adapted from the Kuzushiji data set", may_copy=True
    ),
    "cifar10": Licence(
        "no licence stated; the authors ask to cite their report",
        "A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009)",
        may_copy=False,
        reason="the authors of CIFAR-10 state no licence",
    ),
    "cifar100": Licence(
        "no licence stated; the authors ask to cite their report",
        "A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009)",
        may_copy=False,
        reason="the authors of CIFAR-100 state no licence",
    ),
    "svhn": Licence(
        "for non-commercial use only",
        "Y. Netzer et al.: Reading Digits in Natural Images with Unsupervised Feature Learning (2011)",
        may_copy=False,
        reason="SVHN is for non-commercial use only",
    ),
    "imagenet": Licence(
        "non-commercial research and education only; the images belong to their owners",
        "O. Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge (2015)",
        may_copy=False,
        reason="the images of ImageNet belong to their owners",
    ),
    "synthetic": Licence("none needed", "computed by bnn_train, of no meaning", may_copy=True),
}


def licence_of(name: str) -> Licence:
    """The terms of a data set by its name in a config."""
    return LICENCES.get(name, _UNKNOWN)
