"""ReBNet."""

from __future__ import annotations

from bnn_train.spec.estimators import Clip
from bnn_train.spec.method import ActivationSpec, BlockSpec, LatentSpec, Method, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import ResidualSigns, Sign
from bnn_train.spec.scales import LearnedMagnitude

REBNET = Method(
    name="rebnet",
    paper="Ghasemzadeh, Samragh, Koushanfar: ReBNet (FCCM 2018), arXiv 1711.01243; M = 2",
    weight=WeightSpec(
        quantizer=Sign(),
        scale=LearnedMagnitude(),
        granularity="layer",
        gradient="detached",
        estimator=Clip(),
    ),
    activation=ActivationSpec(quantizer=ResidualSigns(), estimator=Clip()),
    latent=LatentSpec(init="glorot"),
    block=BlockSpec(post_add_activation="none", output_norm=True),
)

ROWS = (
    Entry(
        method=REBNET,
        title="ReBNet",
        year=2018,
        parent="bnn",
        published=(
            Published(data="CIFAR-10", network="CNV", top1=78.70, source="authors' histories"),
            Published(data="CIFAR-10", network="CNV", top1=84.57, bits="1/2", source="authors' histories"),
            Published(data="CIFAR-10", network="CNV", top1=85.19, bits="1/3", source="authors' histories"),
            Published(data="MNIST", network="MLP 4×256", top1=98.34, bits="1/2", source="authors' histories"),
            Published(data="SVHN", network="CNV", top1=96.33, bits="1/2", source="authors' histories"),
        ),
    ),
)
