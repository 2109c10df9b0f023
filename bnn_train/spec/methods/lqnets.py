"""LQ-Nets."""

from __future__ import annotations

from bnn_train.spec.estimators import Identity
from bnn_train.spec.method import ActivationSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.pre import Relu
from bnn_train.spec.quantizers import Levels, UnsignedLevels

LQNETS = Method(
    name="lqnets",
    paper="Zhang, Yang, Ye, Hua: LQ-Nets (ECCV 2018), arXiv 1807.10029; 2-bit weights and activations",
    weight=WeightSpec(quantizer=Levels(), estimator=Identity()),
    activation=ActivationSpec(pre=Relu(), quantizer=UnsignedLevels(), estimator=Identity()),
    scope=ScopeSpec(real=("first", "last")),
)

ROWS = (
    Entry(
        method=LQNETS,
        title="LQ-Nets",
        year=2018,
        parent="abcnet",
        published=(
            Published(data="ImageNet", network="ResNet-18", top1=64.9, bits="2/2"),
            Published(data="ImageNet", network="ResNet-18", top1=62.6, bits="1/2"),
            Published(data="ImageNet", network="ResNet-34", top1=66.6, bits="1/2"),
            Published(data="ImageNet", network="ResNet-50", top1=68.7, bits="1/2"),
            Published(data="ImageNet", network="AlexNet", top1=55.7, bits="1/2"),
        ),
        note="The ridge of the weights' least squares serves the activations' too.",
    ),
)
