"""BNN+, whose later title is Regularized Binary Network Training."""

from __future__ import annotations

from bnn_train.spec.estimators import Swish
from bnn_train.spec.method import ActivationSpec, BlockSpec, LatentSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import Sign
from bnn_train.spec.scales import Learned

BNN_PLUS = Method(
    name="bnnplus",
    paper="Darabi et al.: BNN+, Regularized Binary Network Training (2018), arXiv 1812.11800",
    weight=WeightSpec(quantizer=Sign(), scale=Learned(), gradient="detached", estimator=Swish()),
    activation=ActivationSpec(quantizer=Sign(), estimator=Swish()),
    latent=LatentSpec(clip=1.0),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(post_add_activation="hardtanh"),
)

ROWS = (
    Entry(
        method=BNN_PLUS,
        title="BNN+",
        year=2018,
        parent="xnor",
        published=(
            Published(data="CIFAR-10", network="VGG-small", top1=91.31, source="as FDA-BNN quotes it"),
            Published(data="CIFAR-10", network="ResNet-20", top1=84.59, source="FDA-BNN's own run"),
            Published(data="ImageNet", network="AlexNet", top1=46.1, source="as surveys quote it"),
            Published(data="ImageNet", network="ResNet-18", top1=53.0, source="as surveys quote it"),
        ),
        start="digits/bnnplus.yaml",
        note="The regularizer is a term of the loss, which the row's configs have; which layers stay real is"
        " our choice.",
    ),
)
