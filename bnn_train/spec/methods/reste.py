"""ReSTE."""

from __future__ import annotations

from bnn_train.spec.annealed import Curve
from bnn_train.spec.estimators import Reste
from bnn_train.spec.method import ActivationSpec, BlockSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import Sign
from bnn_train.spec.scales import L1

BENT = Reste(o=Curve.model_validate({"from": 1.0, "to": 3.0, "curve": "quarter_wave"}))
RESTE = Method(
    name="reste",
    paper="Wu et al.: Estimator Meets Equilibrium Perspective (ReSTE, ICCV 2023), arXiv 2308.06689",
    weight=WeightSpec(quantizer=Sign(), scale=L1(), granularity="layer", gradient="exact", estimator=BENT),
    activation=ActivationSpec(quantizer=Sign(), estimator=BENT),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(post_add_activation="none"),
)

ROWS = (
    Entry(
        method=RESTE,
        title="ReSTE",
        year=2023,
        parent="irnet",
        published=(
            Published(data="CIFAR-10", network="ResNet-20", top1=86.75),
            Published(data="CIFAR-10", network="ResNet-18", top1=92.63),
            Published(data="CIFAR-10", network="VGG-small", top1=92.55),
            Published(data="CIFAR-10", network="ResNet-20", top1=91.32, bits="1/32"),
            Published(data="ImageNet", network="ResNet-18", top1=60.88),
            Published(data="ImageNet", network="ResNet-34", top1=65.05),
        ),
        note="The authors' ReLU between convolution and batch norm is left out.",
    ),
)
