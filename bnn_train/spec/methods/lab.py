"""Loss-aware Binarization."""

from __future__ import annotations

from bnn_train.spec.method import LatentSpec, Method, WeightSpec
from bnn_train.spec.methods.binaryconnect import BC
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import Sign
from bnn_train.spec.scales import Curvature

LAB = Method(
    name="lab",
    paper="Hou, Yao, Kwok: Loss-aware Binarization of Deep Networks (ICLR 2017), arXiv 1611.01600",
    weight=WeightSpec(quantizer=Sign(), scale=Curvature(), granularity="layer"),
    latent=LatentSpec(init="glorot", clip=1.0),
    block=BC.block,
    norm=BC.norm,
)

ROWS = (
    Entry(
        method=LAB,
        title="Loss-aware Binarization (LAB)",
        year=2016,
        parent="bwn",
        published=(
            Published(data="MNIST", network="MLP 3×2048", top1=98.82, bits="1/32"),
            Published(data="CIFAR-10", network="ConvNet", top1=89.5, bits="1/32"),
            Published(data="CIFAR-10", network="ConvNet", top1=87.72, bits="1/1"),
        ),
        note="LAB2, which binarizes activations too, is activation.quantizer: sign.",
    ),
)
