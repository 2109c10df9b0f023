"""Bop: weights without latent ones."""

from __future__ import annotations

from bnn_train.spec.estimators import Clip
from bnn_train.spec.method import ActivationSpec, LatentSpec, Method, WeightSpec
from bnn_train.spec.methods.binaryconnect import BNN
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import Sign, Stored

BOP = Method(
    name="bop",
    paper="Helwegen et al.: Latent Weights Do Not Exist (NeurIPS 2019), arXiv 1906.02107",
    weight=WeightSpec(quantizer=Stored()),
    activation=ActivationSpec(quantizer=Sign(), estimator=Clip()),
    latent=LatentSpec(init="sign"),
    block=BNN.block,
    norm=BNN.norm,
)

ROWS = (
    Entry(
        method=BOP,
        title="Latent Weights Do Not Exist (Bop)",
        year=2019,
        parent="bnn",
        published=(
            Published(data="CIFAR-10", network="BinaryNet", top1=91.3),
            Published(data="ImageNet", network="Bi-Real Net-18", top1=56.6),
        ),
        start="digits/bop.yaml",
    ),
)
