"""ReActNet: learned thresholds and learned nonlinearities."""

from __future__ import annotations

from bnn_train.spec.estimators import ApproxSign, Clip
from bnn_train.spec.method import ActivationSpec, BlockSpec, LatentSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published, variant
from bnn_train.spec.pre import Shift
from bnn_train.spec.quantizers import Sign
from bnn_train.spec.scales import L1

REACTNET = Method(
    name="reactnet",
    paper="Liu, Shen, Savvides, Cheng: ReActNet (ECCV 2020), arXiv 2003.03488",
    weight=WeightSpec(quantizer=Sign(), scale=L1(), gradient="unscaled", estimator=Clip()),
    activation=ActivationSpec(pre=Shift(), quantizer=Sign(), estimator=ApproxSign()),
    latent=LatentSpec(init="uniform_0001"),
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(
        shortcut="per_conv",
        downsample="avgpool_conv",
        post_add_activation="rprelu",
        stem_activation=False,
    ),
)

ROWS = (
    Entry(
        method=REACTNET,
        title="ReActNet",
        year=2020,
        parent="bireal",
        published=(
            Published(data="ImageNet", network="ResNet-18", top1=65.9),
            Published(data="ImageNet", network="ResNet-18", top1=66.1, source="lucifer443's re-run"),
        ),
        note="The row is the second stage; the first, with real weights, is a config of its own"
        " (reactnet_resnet20_stage1). Both learn from a real teacher alone, without labels.",
    ),
    Entry(
        method=variant(REACTNET, "reactnet_a", paper=f"{REACTNET.paper}; the network of table 1"),
        title="ReActNet-A",
        year=2020,
        parent="reactnet",
        published=(
            Published(data="ImageNet", network="ReActNet-A", top1=69.5),
            Published(data="ImageNet", network="ReActNet-A", top1=70.0, source="lucifer443's re-run"),
        ),
        start="digits/reactnet_a.yaml",
        note="The axes are ReActNet's; the difference is the network: MobileNet's widths, pairs of 3×3 and"
        " 1×1 convolutions.",
    ),
)
