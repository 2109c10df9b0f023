"""ABC-Net."""

from __future__ import annotations

from bnn_train.spec.estimators import Identity, Unit
from bnn_train.spec.method import ActivationSpec, BlockSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import LearnedSigns, ShiftedSigns

ABCNET = Method(
    name="abcnet",
    paper="Lin, Zhao, Pan: Towards Accurate Binary CNN (ABC-Net, NIPS 2017), arXiv 1711.11294; M = N = 3",
    weight=WeightSpec(
        quantizer=ShiftedSigns(), granularity="layer", gradient="detached", estimator=Identity()
    ),
    activation=ActivationSpec(quantizer=LearnedSigns(), estimator=Unit()),
    scope=ScopeSpec(real=("first", "last")),
    block=BlockSpec(order="conv-pool-bn-act", post_add_activation="none"),
)

ROWS = (
    Entry(
        method=ABCNET,
        title="ABC-Net",
        year=2017,
        parent="xnor",
        published=(
            Published(data="ImageNet", network="ResNet-18", top1=42.7, source="FDA-BNN"),
            Published(data="ImageNet", network="ResNet-18", top1=61.0, bits="3/3", source="LS"),
            Published(data="ImageNet", network="ResNet-18", top1=65.0, bits="5/5"),
        ),
    ),
)
