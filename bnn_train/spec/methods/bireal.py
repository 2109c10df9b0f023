"""Bi-Real Net."""

from __future__ import annotations

from bnn_train.spec.estimators import ApproxSign, Clip
from bnn_train.spec.method import ActivationSpec, BlockSpec, LatentSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import Sign
from bnn_train.spec.scales import L1

BIREAL = Method(
    name="bireal",
    paper="Liu et al.: Bi-Real Net (ECCV 2018), arXiv 1808.00278",
    weight=WeightSpec(quantizer=Sign(), scale=L1(), gradient="detached", estimator=Clip()),
    activation=ActivationSpec(quantizer=Sign(), estimator=ApproxSign()),
    latent=LatentSpec(clip=1.0),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(shortcut="per_conv", downsample="avgpool_conv", post_add_activation="none"),
)

ROWS = (
    Entry(
        method=BIREAL,
        title="Bi-Real Net",
        year=2018,
        parent="xnor",
        published=(
            Published(data="ImageNet", network="ResNet-18", top1=56.4),
            Published(data="ImageNet", network="ResNet-34", top1=62.2),
        ),
    ),
)
