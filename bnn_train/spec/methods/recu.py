"""ReCU."""

from __future__ import annotations

from bnn_train.spec.annealed import Curve
from bnn_train.spec.estimators import ApproxSign, Identity
from bnn_train.spec.method import ActivationSpec, BlockSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.pre import RectifiedClamp, SampleDeviation
from bnn_train.spec.quantizers import Sign
from bnn_train.spec.scales import LearnedUniform

TAU = Curve.model_validate({"from": 0.85, "to": 0.99, "curve": "exponential_rise"})
RECU = Method(
    name="recu",
    paper="Xu et al.: ReCU, Reviving the Dead Weights (ICCV 2021), arXiv 2103.12369",
    weight=WeightSpec(
        pre=RectifiedClamp(tau=TAU),
        quantizer=Sign(),
        scale=LearnedUniform(),
        gradient="detached",
        estimator=Identity(),
    ),
    activation=ActivationSpec(pre=SampleDeviation(), quantizer=Sign(), estimator=ApproxSign()),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(shortcut="per_conv", downsample="avgpool_conv", post_add_activation="hardtanh"),
)

ROWS = (
    Entry(
        method=RECU,
        title="ReCU",
        year=2021,
        parent="irnet",
        published=(
            Published(data="CIFAR-10", network="ResNet-20", top1=87.5),
            Published(data="CIFAR-10", network="ResNet-18", top1=92.8),
            Published(data="CIFAR-10", network="VGG-small", top1=92.2),
            Published(data="ImageNet", network="ResNet-18", top1=60.98),
            Published(data="ImageNet", network="ResNet-34", top1=65.1),
        ),
        note="Shortcuts that change the shape are the network's own, not an average with zero channels.",
    ),
)
