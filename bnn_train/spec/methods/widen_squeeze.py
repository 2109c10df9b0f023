"""Widening and Squeezing: more binary channels, of which the redundant ones are removed."""

from __future__ import annotations

from bnn_train.spec.estimators import Clip
from bnn_train.spec.method import ActivationSpec, BlockSpec, LatentSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.quantizers import GatedSign, Sign

WIDEN_SQUEEZE = Method(
    name="widen_squeeze",
    paper="Liu et al.: Widening and Squeezing: Towards Accurate and Efficient QNNs (2020), arXiv 2002.00555",
    weight=WeightSpec(quantizer=Sign()),
    activation=ActivationSpec(quantizer=GatedSign(), estimator=Clip()),
    latent=LatentSpec(init="uniform", clip=1.0, lr_scale="glorot"),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(order="bn-act-conv-pool", post_add_activation="none"),
)

ROWS = (
    Entry(
        method=WIDEN_SQUEEZE,
        title="Widening and Squeezing",
        year=2020,
        parent="wrpn",
        published=(Published(data="ImageNet", network="ResNet-18, widened", top1=70.1, source="abstract"),),
        start="digits/widen_squeeze_stage1.yaml",
        note="Networks are wider by model.width, not by the row. Gates, their L1 penalty and two stages"
        " (squeeze, then train on without closed channels) are our derivation from the abstract. Gates stand"
        " at channels that one layer makes and one reads: in residual networks inside each block, not on the"
        " stream. An export removes what is closed.",
    ),
)
