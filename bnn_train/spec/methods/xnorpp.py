"""XNOR-Net++: factors of the output that are learned, not measured."""

from __future__ import annotations

from bnn_train.spec.estimators import Clip
from bnn_train.spec.method import ActivationSpec, LatentSpec, Method, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.methods.xnor import XNOR
from bnn_train.spec.quantizers import Sign
from bnn_train.spec.scales import Factored

XNORPP = Method(
    name="xnorpp",
    paper="Bulat, Tzimiropoulos: XNOR-Net++ (BMVC 2019), arXiv 1909.13863",
    weight=WeightSpec(quantizer=Sign(), gradient="detached", estimator=Clip()),
    activation=ActivationSpec(quantizer=Sign(), estimator=Clip()),
    latent=LatentSpec(init="he_in", clip=1.0),
    scope=XNOR.scope,
    block=XNOR.block,
    output_scale=Factored(),
)

ROWS = (
    Entry(
        method=XNORPP,
        title="XNOR-Net++",
        year=2019,
        parent="xnor",
        published=(
            Published(data="ImageNet", network="ResNet-18", top1=57.1, source="as quoted, not verified"),
            Published(data="ImageNet", network="AlexNet", top1=46.9, source="as quoted, not verified"),
        ),
        start="digits/xnorpp.yaml",
        note="Factors of rows and columns fix the size of the images and do not pack;"
        " output_scale: {over: channel} does. Latent clip and initial weights are XNOR-Net's, our choice.",
    ),
)
