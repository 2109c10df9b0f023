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
    hub: str = ""
    """Its name on the Hugging Face hub."""


_UNKNOWN = Licence(
    "not known here; ask whoever made the data",
    "",
    may_copy=False,
    reason="the licence of these images is not known here",
)
_EMNIST = Licence(
    "none stated; made of NIST Special Database 19",
    "G. Cohen, S. Afshar, J. Tapson and A. van Schaik: EMNIST (2017)",
    may_copy=False,
    reason="the authors of EMNIST state no licence",
)
_EMNIST_SPLITS = ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")
LICENCES: dict[str, Licence] = {
    **{f"emnist_{split}": _EMNIST for split in _EMNIST_SPLITS},
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
        hub="ylecun/mnist",
    ),
    "fashion_mnist": Licence(
        "MIT",
        "H. Xiao, K. Rasul and R. Vollgraf: Fashion-MNIST (2017), Zalando SE",
        may_copy=True,
        hub="zalando-datasets/fashion_mnist",
    ),
    "kmnist": Licence(
        "CC BY-SA 4.0", "KMNIST data set (made by CODH), adapted from the Kuzushiji data set", may_copy=True
    ),
    "cifar10": Licence(
        "no licence stated; the authors ask to cite their report",
        "A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009)",
        may_copy=False,
        reason="the authors of CIFAR-10 state no licence",
        hub="uoft-cs/cifar10",
    ),
    "cifar100": Licence(
        "no licence stated; the authors ask to cite their report",
        "A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009)",
        may_copy=False,
        reason="the authors of CIFAR-100 state no licence",
        hub="uoft-cs/cifar100",
    ),
    "svhn": Licence(
        "for non-commercial use only",
        "Y. Netzer et al.: Reading Digits in Natural Images with Unsupervised Feature Learning (2011)",
        may_copy=False,
        reason="SVHN is for non-commercial use only",
        hub="ufldl-stanford/svhn",
    ),
    "imagenet": Licence(
        "non-commercial research and education only; the images belong to their owners",
        "O. Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge (2015)",
        may_copy=False,
        reason="the images of ImageNet belong to their owners",
        hub="ILSVRC/imagenet-1k",
    ),
    "stl10": Licence(
        "none stated; the images are from ImageNet",
        "A. Coates, H. Lee and A. Ng: An Analysis of Single-Layer Networks in Unsupervised Feature Learning"
        " (2011)",
        may_copy=False,
        reason="the images of STL-10 belong to their owners",
    ),
    "synthetic": Licence("none needed", "computed by bnn_train, of no meaning", may_copy=True),
}


def licence_of(name: str) -> Licence:
    """The terms of a data set by its name in a config."""
    return LICENCES.get(name, _UNKNOWN)
