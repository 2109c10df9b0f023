"""The networks that were drawn for binary layers, slim, and the numbers that were published of them."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

from bnn_train.spec.networks import NETWORKS, Network

SLIM: dict[str, dict[str, Any]] = {
    **{name: {"width": 4} for name in ("resnete18", "resnete34")},
    **{f"binarydensenet{depth}": {"width": 2} for depth in (28, 37, 45)},
    **{f"meliusnet{depth}": {"width": 16, "stem": "small"} for depth in (22, 29, 42, 59)},
    "quicknet": {"width": 8, "size": "small"},
}


def made(name: str, **options: Any) -> Network:
    """The options of a network."""
    network: Any = NETWORKS[name].model_validate({"name": name, **options})
    return network  # type: ignore[no-any-return]  # one of the union


SMALLEST: list[tuple[Network, tuple[int, int, int]]] = [
    *((made(name, **options), (3, 8, 8)) for name, options in SLIM.items()),
    (made("resnete18", width=4, stem="imagenet"), (1, 32, 32)),
    (made("meliusnet22", width=16), (3, 50, 50)),
    (made("quicknet", width=16, stem="imagenet"), (1, 32, 32)),
]
"""Each network, and an image that is small for it."""


def _stem(m: Any, c: int, side: int, usual: str) -> int:
    w = m.width
    kind = m.stem if m.stem != "auto" else "small" if side < 50 else usual
    grouped = 9 * (c * w // 2 + (w // 2) ** 2 // 4 + w // 2 * w // 8)
    counts: dict[str, int] = {"small": 9 * c * w, "imagenet": 49 * c * w, "grouped": grouped}
    return counts[kind]


def resnete(stages: tuple[int, ...], m: Any, c: int, side: int, classes: int) -> dict[str, int]:
    """Bethge et al. 2019: 3×3 convolutions with a shortcut each, 1×1 between stages."""
    counts = Counter[str](first=_stem(m, c, side, "imagenet"))
    channels = m.width
    for i, count in enumerate(stages):
        wide = m.width * 2**i
        counts["body"] += 9 * (channels * wide + (count - 1) * wide**2)
        counts["downsample"] += channels * wide if i else 0
        channels = wide
    return counts | Counter(last=channels * classes)


def dense(
    blocks: tuple[int, ...], kept: tuple[int, ...], improves: bool, m: Any, c: int, side: int, classes: int
) -> dict[str, int]:
    """Convolutions that add ``width`` channels; MeliusNet has one more behind each, which improves them.

    ``kept``: channels behind the transitions at width 64.
    """
    counts = Counter[str](first=_stem(m, c, side, "grouped" if improves else "imagenet"))
    w = channels = m.width
    for i, count in enumerate(blocks):
        for _ in range(count):
            counts["body"] += 9 * channels * w + (9 * (channels + w) * w if improves else 0)
            channels += w
        if i < len(kept):
            counts["downsample"] += channels * kept[i] * w // 64
            channels = kept[i] * w // 64
    return counts | Counter(last=channels * classes)


def quicknet(m: Any, c: int, side: int, classes: int) -> dict[str, int]:
    """Larq Zoo: stem of 3×3, depthwise 3×3 and 1×1; fixed blurs stand with the rest that no role has."""
    sizes = {"small": (32, 64, 256, 512), "medium": (64, 128, 256, 512), "large": (64, 128, 256, 512)}
    w = [n * m.width // 64 for n in sizes[m.size]]
    q = w[0] // 4
    counts = Counter[str](first=9 * c * q + 9 * q + q * w[0] if side >= 50 else 9 * c * w[0])
    sections = (6, 8, 12, 6) if m.size == "large" else (4, 4, 4, 4)
    counts["body"] = sum(9 * n * n * count for n, count in zip(w, sections, strict=True))
    counts["downsample"] = sum(a * b for a, b in pairwise(w))
    counts["blur"] = 9 * sum(w[:-1])
    return counts | Counter(last=w[-1] * classes)


COUNTS: dict[str, Any] = {
    "resnete18": lambda *a: resnete((4, 4, 4, 4), *a),
    "resnete34": lambda *a: resnete((6, 8, 12, 6), *a),
    "binarydensenet28": lambda *a: dense((6, 6, 6, 5), (160, 192, 256), False, *a),
    "binarydensenet37": lambda *a: dense((6, 8, 12, 6), (128, 192, 256), False, *a),
    "binarydensenet45": lambda *a: dense((6, 12, 14, 8), (160, 288, 288), False, *a),
    "meliusnet22": lambda *a: dense((4, 5, 4, 4), (160, 224, 256), True, *a),
    "meliusnet29": lambda *a: dense((4, 6, 8, 6), (128, 192, 256), True, *a),
    "meliusnet42": lambda *a: dense((5, 8, 14, 10), (160, 256, 416), True, *a),
    "meliusnet59": lambda *a: dense((6, 12, 24, 12), (192, 320, 544), True, *a),
    "quicknet": quicknet,
}
"""Weights by role."""
