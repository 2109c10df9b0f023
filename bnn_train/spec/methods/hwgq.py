"""Half-wave Gaussian Quantization."""

from __future__ import annotations

from bnn_train.spec.estimators import ReluClip
from bnn_train.spec.method import ActivationSpec, BlockSpec, Method, NormSpec, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import HalfWave, Sign
from bnn_train.spec.scales import L1

HWGQ = Method(
    name="hwgq",
    paper="Cai, He, Sun, Vasconcelos: Half-wave Gaussian Quantization (HWGQ, CVPR 2017), arXiv 1702.00953",
    weight=WeightSpec(quantizer=Sign(), scale=L1()),
    activation=ActivationSpec(quantizer=HalfWave(), estimator=ReluClip()),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(order="conv-pool-bn-act"),
    norm=NormSpec(affine=False),
)

ROWS = (
    Entry(
        method=HWGQ,
        title="HWGQ",
        year=2017,
        parent="dorefa",
        published=(
            Published(data="ImageNet", network="ResNet-18", top1=59.6, bits="1/2", source="LS"),
            Published(data="CIFAR-10", network="VGG-small", top1=92.5, bits="1/2", source="not verified"),
            Published(data="ImageNet", network="AlexNet", top1=52.7, bits="1/2", source="not verified"),
        ),
    ),
)
