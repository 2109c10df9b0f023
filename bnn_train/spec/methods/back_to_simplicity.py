"""ResNetE, BinaryDenseNet and MeliusNet: plain signs, and what a network must be for them."""

from __future__ import annotations

from bnn_train.spec.estimators import Clip
from bnn_train.spec.method import ActivationSpec, BlockSpec, LatentSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published, variant
from bnn_train.spec.quantizers import Sign

_SIMPLE = (
    "Bethge, Yang, Bornstein, Meinel: Back to Simplicity: How to Train Accurate BNNs from Scratch? (2019)"
)


def _clipped(bound: float) -> dict[str, object]:
    """Signs without factors, whose gradients and latent weights end at the same bound."""
    clip = Clip(bound=bound)
    return {
        "weight": WeightSpec(quantizer=Sign(), gradient="detached", estimator=clip),
        "activation": ActivationSpec(quantizer=Sign(), estimator=clip),
        "latent": LatentSpec(init="glorot_normal", clip=bound),
    }


RESNETE18 = Method(
    name="resnete18",
    paper=f"{_SIMPLE}, arXiv 1906.08637",
    scope=ScopeSpec(real=("first", "downsample", "last")),
    block=BlockSpec(shortcut="per_conv", downsample="avgpool_conv", post_add_activation="none"),
).model_copy(update=_clipped(1.25))

BINARYDENSENET28 = variant(RESNETE18, "binarydensenet28", **_clipped(1.3))

_IMAGENET = "ImageNet"

ROWS = (
    Entry(
        method=RESNETE18,
        title="ResNetE",
        year=2019,
        parent="bireal",
        published=(
            Published(data=_IMAGENET, network="ResNetE-18", top1=58.1),
            Published(data=_IMAGENET, network="ResNetE-18", top1=58.32, source="Larq Zoo"),
            Published(data=_IMAGENET, network="ResNetE-18, grouped stem", top1=60.6, source="MeliusNet"),
            Published(data=_IMAGENET, network="ResNetE-34, grouped stem", top1=63.7, source="MeliusNet"),
            Published(data="CIFAR-10", network="ResNetE-18", top1=87.6, source="BMXNet v2"),
        ),
        start="digits/resnete18.yaml",
    ),
    Entry(
        method=BINARYDENSENET28,
        title="BinaryDenseNet",
        year=2019,
        parent="resnete18",
        published=(
            Published(data=_IMAGENET, network="BinaryDenseNet-28", top1=60.91, source="Larq Zoo"),
            Published(data=_IMAGENET, network="BinaryDenseNet-37", top1=62.89, source="Larq Zoo"),
            Published(data=_IMAGENET, network="BinaryDenseNet-45", top1=64.59, source="Larq Zoo"),
            Published(
                data=_IMAGENET, network="BinaryDenseNet-28, grouped stem", top1=62.6, source="MeliusNet"
            ),
        ),
        start="digits/binarydensenet28.yaml",
    ),
    Entry(
        method=variant(
            BINARYDENSENET28,
            "meliusnet22",
            paper="Bethge, Bartz, Yang, Chen, Meinel: MeliusNet: Can Binary Neural Networks Achieve"
            " MobileNet-level Accuracy? (2020), arXiv 2001.05936",
        ),
        title="MeliusNet",
        year=2020,
        parent="binarydensenet28",
        published=(
            Published(data=_IMAGENET, network="MeliusNet-22", top1=63.6),
            Published(data=_IMAGENET, network="MeliusNet-22", top1=62.4, source="Larq Zoo"),
            Published(data=_IMAGENET, network="MeliusNet-29", top1=65.8),
            Published(data=_IMAGENET, network="MeliusNet-42", top1=69.2),
            Published(data=_IMAGENET, network="MeliusNet-59", top1=70.7),
        ),
        start="digits/meliusnet22.yaml",
    ),
    Entry(
        method=variant(
            RESNETE18,
            "quicknet",
            paper="Bannink et al.: Larq Compute Engine: Design, Benchmark and Deploy State-of-the-Art"
            " Binarized Neural Networks (MLSys 2021), arXiv 2011.09398; Larq Zoo",
            padding=1,
        ),
        title="QuickNet",
        year=2020,
        parent="resnete18",
        published=(
            Published(data=_IMAGENET, network="QuickNetSmall", top1=59.4, source="Larq Zoo"),
            Published(data=_IMAGENET, network="QuickNet", top1=63.3, source="Larq Zoo"),
            Published(data=_IMAGENET, network="QuickNetLarge", top1=66.9, source="Larq Zoo"),
        ),
        start="digits/quicknet.yaml",
        note="For images below 50 pixels the stem is one 3×3 convolution and a norm, which is our choice.",
    ),
)
