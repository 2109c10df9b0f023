"""Trained Ternary Quantization."""

from __future__ import annotations

from bnn_train.spec.method import Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import TrainedTernary

TTQ = Method(
    name="ttq",
    paper="Zhu, Han, Mao, Dally: Trained Ternary Quantization (TTQ, ICLR 2017), arXiv 1612.01064",
    weight=WeightSpec(quantizer=TrainedTernary(), granularity="layer"),
    scope=ScopeSpec(real=("first", "last")),
)

ROWS = (
    Entry(
        method=TTQ,
        title="Trained Ternary Quantization",
        year=2016,
        parent="twn",
        published=(
            Published(data="CIFAR-10", network="ResNet-20", top1=91.13, bits="T/32"),
            Published(data="CIFAR-10", network="ResNet-32", top1=92.37, bits="T/32"),
            Published(data="CIFAR-10", network="ResNet-44", top1=92.98, bits="T/32"),
            Published(data="CIFAR-10", network="ResNet-56", top1=93.56, bits="T/32"),
            Published(data="ImageNet", network="AlexNet", top1=57.5, bits="T/32"),
        ),
        note="From scratch; the paper starts from the trained real network (training.init_from).",
    ),
)
