"""Circulant binary convolutional networks."""

from __future__ import annotations

from bnn_train.spec.estimators import ApproxSign
from bnn_train.spec.method import ActivationSpec, BlockSpec, LatentSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.pre import Circulant
from bnn_train.spec.quantizers import Sign
from bnn_train.spec.scales import L1

CBCN = Method(
    name="cbcn",
    paper="Liu et al.: Circulant Binary Convolutional Networks (CVPR 2019), arXiv 1910.10853",
    weight=WeightSpec(
        pre=Circulant(),
        quantizer=Sign(),
        scale=L1(),
        granularity="layer",
        gradient="exact",
        estimator=ApproxSign(),
    ),
    activation=ActivationSpec(quantizer=Sign(), estimator=ApproxSign()),
    latent=LatentSpec(init="he_in"),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(
        order="bn-act-conv-pool",
        shortcut="per_conv",
        downsample="avgpool_conv",
        post_add_activation="prelu",
    ),
)

ROWS = (
    Entry(
        method=CBCN,
        title="Circulant Binary Convolutional Networks",
        year=2019,
        parent="bireal",
        published=(Published(data="ImageNet", network="ResNet-18", top1=61.4),),
        note="Kernels other than 3×3 and 1×1, and channels that 4 does not divide, have no copies."
        " The shortcut averages, normalizes, convolves; the authors' convolves, normalizes, averages.",
    ),
)
