"""Ternary Weight Networks."""

from __future__ import annotations

from bnn_train.spec.method import Method, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import Ternary
from bnn_train.spec.scales import L1Masked

TWN = Method(
    name="twn",
    paper="Li, Zhang, Liu: Ternary Weight Networks (2016), arXiv 1605.04711",
    weight=WeightSpec(quantizer=Ternary(), scale=L1Masked()),
)

ROWS = (
    Entry(
        method=TWN,
        title="Ternary Weight Networks",
        year=2016,
        parent="bwn",
        published=(
            Published(data="MNIST", network="LeNet-5", top1=99.35, bits="T/32"),
            Published(data="CIFAR-10", network="VGG-7", top1=92.56, bits="T/32"),
            Published(data="ImageNet", network="ResNet-18", top1=61.8, bits="T/32"),
        ),
    ),
)
