"""AdaBin."""

from __future__ import annotations

from bnn_train.spec.estimators import ApproxSign
from bnn_train.spec.method import ActivationSpec, BlockSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.methods.irnet import EDE
from bnn_train.spec.quantizers import LearnedPair, MeasuredPair

ADABIN = Method(
    name="adabin",
    paper="Tu, Chen, Ren, Wang: AdaBin (ECCV 2022), arXiv 2208.08084",
    weight=WeightSpec(quantizer=MeasuredPair(), estimator=EDE),
    activation=ActivationSpec(quantizer=LearnedPair(), estimator=ApproxSign()),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(shortcut="per_conv", downsample="avgpool_conv", post_add_activation="maxout"),
)

ROWS = (
    Entry(
        method=ADABIN,
        title="AdaBin",
        year=2022,
        parent="irnet",
        published=(
            Published(data="CIFAR-10", network="ResNet-20", top1=88.1),
            Published(data="CIFAR-10", network="VGG-small", top1=92.3),
            Published(data="ImageNet", network="ResNet-18", top1=63.1),
            Published(data="ImageNet", network="ResNet-34", top1=66.4),
            Published(data="ImageNet", network="AlexNet", top1=53.9),
        ),
        note="Without the batch norm that the authors' ResNet-20 has before its classifier.",
    ),
)
