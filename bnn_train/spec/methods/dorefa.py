"""DoReFa-Net, and PACT's learned clip of its activations."""

from __future__ import annotations

from bnn_train.spec.estimators import Identity, Unit
from bnn_train.spec.method import ActivationSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.pre import Pact
from bnn_train.spec.quantizers import Sign, Uniform
from bnn_train.spec.scales import L1

DOREFA = Method(
    name="dorefa",
    paper="Zhou et al.: DoReFa-Net (2016), arXiv 1606.06160; 1-bit weights, 2-bit activations",
    weight=WeightSpec(quantizer=Sign(), scale=L1(), granularity="layer"),
    activation=ActivationSpec(quantizer=Uniform(bits=2), estimator=Unit()),
    scope=ScopeSpec(real=("first", "downsample", "last")),
)

PACT = DOREFA.model_copy(
    update={
        "name": "pact",
        "paper": "Choi et al.: PACT (2018), arXiv 1805.06085; DoReFa-Net's 1-bit weights, 2-bit activations",
        "activation": ActivationSpec(
            pre=Pact(weight_decay=2e-4), quantizer=Uniform(bits=2), estimator=Identity()
        ),
    }
)

ROWS = (
    Entry(
        method=DOREFA,
        title="DoReFa-Net",
        year=2016,
        parent="bwn",
        published=(
            Published(data="ImageNet", network="AlexNet", top1=46.6, bits="1/2", source="tensorpack"),
            Published(data="ImageNet", network="ResNet-18", top1=53.4, source="LS"),
        ),
    ),
    Entry(
        method=PACT,
        title="PACT",
        year=2018,
        parent="dorefa",
        published=(Published(data="CIFAR-10", network="ResNet-20", top1=88.9, bits="2/2", source="a port"),),
    ),
)
