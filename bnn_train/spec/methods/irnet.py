"""IR-Net."""

from __future__ import annotations

from bnn_train.spec.annealed import Curve
from bnn_train.spec.estimators import TanhEDE
from bnn_train.spec.method import ActivationSpec, BlockSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.pre import Standardize
from bnn_train.spec.quantizers import Sign
from bnn_train.spec.scales import Pow2

EDE = TanhEDE(t=Curve.model_validate({"from": 1e-3, "to": 10.0, "curve": "exponential"}))
IRNET = Method(
    name="irnet",
    paper="Qin et al.: Forward and Backward Information Retention (IR-Net, CVPR 2020), arXiv 1909.10788",
    weight=WeightSpec(pre=Standardize(), quantizer=Sign(), scale=Pow2(), gradient="detached", estimator=EDE),
    activation=ActivationSpec(quantizer=Sign(), estimator=EDE),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(shortcut="per_conv", post_add_activation="hardtanh"),
)

ROWS = (
    Entry(
        method=IRNET,
        title="IR-Net",
        year=2019,
        parent="bireal",
        published=(
            Published(data="CIFAR-10", network="ResNet-20", top1=86.5),
            Published(data="CIFAR-10", network="VGG-small", top1=90.4),
            Published(data="ImageNet", network="ResNet-18", top1=58.1),
        ),
    ),
)
