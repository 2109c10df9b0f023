"""The numbers of weights in each network's products, by role, from the papers' layer lists."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import binary_networks
from bnn_train.config.schema import Experiment
from bnn_train.spec.inputs import input_shape
from bnn_train.spec.scales import Gate

FC6_SIDE = {227: 6, 224: 6, 32: 3, 28: 2}
"""AlexNet: the side of the map that fc6 covers."""


def weights(e: Experiment, classes: int) -> Counter[str]:
    """Weights (no biases, no norms) per role: first, body, downsample, last."""
    channels, side, _ = input_shape(e.data)
    counts = Counter(NETWORKS[e.model.name](e.model, channels, side, classes))
    for role in ("body", "downsample"):
        counts[role] *= e.method.block.branches
    if isinstance(e.method.output_scale, Gate):
        counts["gates"] = _gates(e.model, e.method.output_scale.reduction)
    return Counter({role: count for role, count in counts.items() if count})


def _gates(m: Any, reduction: int) -> int:
    """Two dense layers without biases for each of a residual network's convolutions."""
    stages = {"resnet18": (4, 4, 4, 4), "resnet20": (6, 6, 6)}[m.name]
    w = [n for i, count in enumerate(stages) for n in [m.width * 2**i] * count]
    return sum(i // reduction * (i + o) for i, o in pairwise([w[0], *w]))


def _mlp(m: Any, c: int, side: int, classes: int) -> dict[str, int]:
    return {"first": c * side**2 * m.width, "body": (m.depth - 1) * m.width**2, "last": m.width * classes}


def _lenet5(m: Any, c: int, side: int, classes: int) -> dict[str, int]:
    features = 50 * (((side - 4) // 2 - 4) // 2) ** 2  # 800 on MNIST
    return {"first": c * 20 * 25, "body": 20 * 50 * 25 + features * 500, "last": 500 * classes}


def _convolutions(m: Any, c: int) -> dict[str, int]:
    w = m.width
    return {"first": 9 * c * w, "body": 9 * (w * w + w * 2 * w + (2 * w) ** 2 + 2 * w * 4 * w + (4 * w) ** 2)}


def _convnet(m: Any, c: int, side: int, classes: int) -> dict[str, int]:
    counts = _convolutions(m, c)
    counts["body"] += 4 * m.width * (side // 8) ** 2 * 1024 + 1024**2
    return counts | {"last": 1024 * classes}


def _vgg_small(m: Any, c: int, side: int, classes: int) -> dict[str, int]:
    return _convolutions(m, c) | {"last": 4 * m.width * (side // 8) ** 2 * classes}


def _tiny_convnet(m: Any, c: int, side: int, classes: int) -> dict[str, int]:
    w, left = m.width, (side - 1) // 2 + 1
    body = 9 * (w * 2 * w + (2 * w) ** 2)
    return {"first": 25 * c * w, "body": body, "last": 2 * w * (left // 4) ** 2 * classes}


def _nin(m: Any, c: int, side: int, classes: int) -> dict[str, int]:
    body = 192 * 160 + 160 * 96 + 96 * 192 * 25 + 3 * 192**2 + 192**2 * 9
    return {"first": c * 192 * 25, "body": body, "last": 192 * classes}


def _alexnet(m: Any, c: int, side: int, classes: int) -> dict[str, int]:
    w = [round(n * m.width) for n in m.channels]
    taps = (25, 9, 9, 9, FC6_SIDE[side] ** 2, 1)
    body = sum(i * o * k for (i, o), k in zip(pairwise(w), taps, strict=True))
    return {"first": c * w[0] * (121 if side > 64 else 9), "body": body, "last": w[-1] * classes}


def _extraction(m: Any, c: int, side: int, classes: int) -> dict[str, int]:
    """Redmon, pjreddie.com/darknet/imagenet: 7×7 64, 3×3 192, and pairs of 1×1 and 3×3 from there."""
    w = [
        round(n * m.width)
        for n in (64, 192, 128, 256, 256, 512, *(256, 512) * 4, 512, *(1024, 512) * 2, 1024)
    ]
    taps = (9, 1, 9, 1, 9, *(1, 9) * 4, 1, 9, 1, 9, 1, 9)
    body = sum(i * o * k for (i, o), k in zip(pairwise(w), taps, strict=True))
    return {"first": c * w[0] * (49 if side > 64 else 9), "body": body, "last": w[-1] * classes}


def _resnet(stages: tuple[int, ...], m: Any, c: int, side: int, classes: int) -> dict[str, int]:
    w = [m.width * 2**i for i in range(len(stages))]
    body = sum(9 * n * n * (2 * blocks) for n, blocks in zip(w, stages, strict=True))
    body -= sum(9 * (o * o - i * o) for i, o in pairwise(w))  # a stage's first convolution reads half as many
    sides = sum(i * o for i, o in pairwise(w)) if m.shortcut == "B" else 0
    first = c * w[0] * (49 if side >= 64 else 9)
    return {"first": first, "body": body, "downsample": sides, "last": w[-1] * classes}


def _reactnet_a(m: Any, c: int, side: int, classes: int) -> dict[str, int]:
    """arXiv 2003.03488, table 1; a block's 1×1 convolution doubles by two branches of as many outputs."""
    w = [m.width * n for n in (1, 2, 4, 4, 8, 8, *[16] * 6, 32, 32)]
    body = sum(9 * i * i + i * o for i, o in pairwise(w))
    return {"first": 9 * c * w[0], "body": body, "last": w[-1] * classes}


NETWORKS: dict[str, Any] = {
    "mlp": _mlp,
    "lenet5": _lenet5,
    "convnet": _convnet,
    "vgg_small": _vgg_small,
    "tiny_convnet": _tiny_convnet,
    "nin": _nin,
    "alexnet": _alexnet,
    "extraction": _extraction,
    "resnet18": lambda *a: _resnet((2, 2, 2, 2), *a),
    "resnet34": lambda *a: _resnet((3, 4, 6, 3), *a),
    "resnet20": lambda *a: _resnet((3, 3, 3), *a),
    **binary_networks.COUNTS,
    "reactnet_a": _reactnet_a,
}
