"""Real-to-Binary convolutions: gates that the input decides, and attention taught in stages."""

from __future__ import annotations

from bnn_train.spec.estimators import Clip
from bnn_train.spec.method import ActivationSpec, BlockSpec, LatentSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import Sign
from bnn_train.spec.scales import Gate

REAL_TO_BINARY = Method(
    name="real_to_binary",
    paper="Martinez, Yang, Bulat, Tzimiropoulos: Real-to-Binary Convolutions (ICLR 2020), arXiv 2003.11535",
    weight=WeightSpec(quantizer=Sign(), gradient="detached", estimator=Clip()),
    activation=ActivationSpec(quantizer=Sign(), estimator=Clip()),
    latent=LatentSpec(clip=1.0),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(
        order="bn-act-conv-pool",
        shortcut="per_conv",
        downsample="avgpool_conv",
        post_add_activation="none",
        conv_activation="prelu",
        before_last="none",
    ),
    output_scale=Gate(),
)

ROWS = (
    Entry(
        method=REAL_TO_BINARY,
        title="Real-to-Binary",
        year=2020,
        parent="xnorpp",
        published=(
            Published(data="ImageNet", network="ResNet-18", top1=65.4),
            Published(data="ImageNet", network="ResNet-18", top1=65.01, source="Larq Zoo's weights"),
            Published(
                data="ImageNet",
                network="ResNet-18",
                top1=60.9,
                source="the paper's strong baseline, no gates",
            ),
        ),
        start="digits/real_to_binary.yaml",
        note="The row is the last of four stages. The strong baseline is output_scale: factored; the factor α"
        " beside the gate, of which accounts differ, is weight.scale: l1.",
    ),
)
