"""Differentiable Soft Quantization."""

from __future__ import annotations

from bnn_train.spec.estimators import Identity
from bnn_train.spec.method import ActivationSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import SoftSteps

DSQ = Method(
    name="dsq",
    paper="Gong et al.: Differentiable Soft Quantization (DSQ, ICCV 2019), arXiv 1908.05033; 1 bit",
    weight=WeightSpec(quantizer=SoftSteps(), granularity="layer"),
    activation=ActivationSpec(quantizer=SoftSteps(), estimator=Identity()),
    scope=ScopeSpec(real=("first", "downsample", "last")),
)

ROWS = (
    Entry(
        method=DSQ,
        title="DSQ",
        year=2019,
        parent="dorefa",
        published=(
            Published(data="CIFAR-10", network="ResNet-20", top1=84.11, source="FDA-BNN"),
            Published(data="CIFAR-10", network="VGG-small", top1=91.72, source="FDA-BNN"),
        ),
        note="Where the ends l and u start is our choice: max |w| of weights, 1 for activations.",
    ),
)
