"""Group-Net: a real block as the mean of several binary ones."""

from __future__ import annotations

from bnn_train.spec.estimators import ApproxSign
from bnn_train.spec.method import ActivationSpec, BlockSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import Sign
from bnn_train.spec.scales import L1

GROUPNET = Method(
    name="groupnet",
    paper="Zhuang et al.: Structured Binary Neural Networks (Group-Net, CVPR 2019), arXiv 1811.10413; K = 5",
    weight=WeightSpec(quantizer=Sign(), scale=L1(), granularity="layer"),
    activation=ActivationSpec(quantizer=Sign(), estimator=ApproxSign()),
    scope=ScopeSpec(real=("first", "last")),
    block=BlockSpec(
        shortcut="per_conv",
        post_add_activation="none",
        conv_activation="relu",
        stem_activation=False,
        branches=5,
    ),
    padding=1,
)

ROWS = (
    Entry(
        method=GROUPNET,
        title="Group-Net",
        year=2019,
        parent="bireal",
        published=(
            Published(
                data="ImageNet",
                network="ResNet-18",
                top1=64.8,
                bits="5×1/1",
                source="as quoted, not verified",
            ),
            Published(
                data="ImageNet",
                network="ResNet-18, a shortcut per convolution",
                top1=67.0,
                bits="5×1/1",
                source="as quoted, not verified",
            ),
        ),
        start="digits/groupnet.yaml",
        note="Every branch is a copy of the block, with a binary 1×1 convolution of its own in the shortcut,"
        " and the gates start at ½ (θ = 0): our reading, since the released code has no gates.",
    ),
)
