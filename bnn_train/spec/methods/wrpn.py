"""Wide Reduced-Precision Networks."""

from __future__ import annotations

from bnn_train.spec.estimators import Unit
from bnn_train.spec.method import ActivationSpec, LatentSpec, Method, ScopeSpec, WeightSpec
from bnn_train.spec.methods.entry import Entry, Published
from bnn_train.spec.pre import ClipUnit
from bnn_train.spec.quantizers import SymmetricUniform, Uniform

WRPN = Method(
    name="wrpn",
    paper="Mishra, Nurvitadhi, Cook, Marr: WRPN (ICLR 2018), arXiv 1709.01134; 2-bit weights and activations",
    weight=WeightSpec(pre=ClipUnit(), quantizer=SymmetricUniform(bits=2), granularity="layer"),
    activation=ActivationSpec(quantizer=Uniform(bits=2), estimator=Unit()),
    latent=LatentSpec(init="uniform", clip=1.0, lr_scale="glorot"),
    scope=ScopeSpec(real=("first", "downsample", "last")),
)

ROWS = (
    Entry(
        method=WRPN,
        title="WRPN",
        year=2017,
        parent="dorefa",
        published=(
            Published(data="ImageNet", network="AlexNet ×2", top1=48.3, bits="1/1", source="not verified"),
            Published(data="ImageNet", network="ResNet-34 ×2", top1=69.9, bits="1/1", source="not verified"),
        ),
        note="Networks are twice as wide by model.width, not by the row. Weights start at U(−1, 1) and stay"
        " within ±1, since those of other starts would all round to 0.",
    ),
)
