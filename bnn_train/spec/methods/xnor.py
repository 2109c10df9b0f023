"""Binary-Weight-Networks and XNOR-Net."""

from __future__ import annotations

from bnn_train.spec.estimators import ClipOpen
from bnn_train.spec.method import (
    ActivationSpec,
    BlockSpec,
    LatentSpec,
    Method,
    NormSpec,
    ScopeSpec,
    WeightSpec,
)
from bnn_train.spec.methods.entry import Entry, Published, variant
from bnn_train.spec.quantizers import Sign
from bnn_train.spec.scales import L1, XnorK

_WEIGHT = WeightSpec(quantizer=Sign(), scale=L1(), gradient="official")
_LATENT = LatentSpec(init="he_in", clip=1.0, center=True)
_ENDS_REAL = ScopeSpec(real=("first", "last"))

BWN = Method(
    name="bwn",
    paper="Rastegari, Ordonez, Redmon, Farhadi: XNOR-Net (ECCV 2016) §3.1, arXiv 1603.05279",
    weight=_WEIGHT,
    latent=_LATENT,
    scope=_ENDS_REAL,
    norm=NormSpec(eps=1e-3),
)

XNOR = Method(
    name="xnor",
    paper="Rastegari, Ordonez, Redmon, Farhadi: XNOR-Net (ECCV 2016) §3.2, arXiv 1603.05279",
    weight=_WEIGHT,
    activation=ActivationSpec(quantizer=Sign(), estimator=ClipOpen()),
    latent=_LATENT,
    scope=_ENDS_REAL,
    block=BlockSpec(order="bn-act-conv-pool", post_add_activation="none"),
    norm=NormSpec(eps=1e-4),
)

ROWS = (
    Entry(
        method=BWN,
        title="Binary-Weight-Networks",
        year=2016,
        parent="bc",
        published=(
            Published(data="ImageNet", network="AlexNet", top1=56.8, bits="1/32"),
            Published(data="ImageNet", network="ResNet-18", top1=60.8, bits="1/32"),
        ),
    ),
    Entry(
        method=XNOR,
        title="XNOR-Net",
        year=2016,
        parent="bwn",
        published=(
            Published(data="CIFAR-10", network="ResNet-20", top1=85.23, source="FDA-BNN"),
            Published(data="ImageNet", network="AlexNet", top1=44.2),
            Published(data="ImageNet", network="ResNet-18", top1=51.2),
        ),
    ),
    Entry(
        method=variant(
            XNOR,
            "xnor_k",
            paper=f"{XNOR.paper}, with the input scale K",
            output_scale=XnorK(),
        ),
        title="XNOR-Net with K",
        year=2016,
        parent="xnor",
    ),
)
