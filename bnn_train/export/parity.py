"""The gate: both networks on the same images. A packed file is written only if they agree.

Step by step, each from torch's own values: what comes of exact arithmetic must be equal bit for bit; what
comes of sums of floats may differ by rounding, and a bit only where the number before its quantizer lies
within the tolerance of a threshold (a tie). Then end to end: images in which no bit differs must have the
same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bnn_train.errors import ExportError
from bnn_train.export.checks import Check, Judge
from bnn_train.export.lower import Lowering
from bnn_train.export.truth import truth
from bnn_train.packed.engine import reads
from bnn_train.packed.runtime import PackedModel

Array = NDArray[Any]
Pixels = NDArray[np.uint8]
Normalize = Callable[[Tensor], Tensor]
PREPROCESSING = 1e-4
"""How far preprocessed pixels may lie from torch's, relative to the largest: whitening adds up all pixels."""
LOGITS = 1e-4
"""How far logits may lie from torch's, relative to the largest of the image, where no bit differs."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Agreement of one layer's step, over the images so far."""

    layer: str
    op: str
    exact: bool
    check: Check = field(default_factory=Check)


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Agreement of the whole network with its packed file, over the images so far."""

    kernel: str
    images: int = 0
    rows: tuple[Row, ...] = ()
    touched: int = 0
    """Images in which rounding changed a bit on the way: a tie, or what former rounding made one."""
    touched_top1: int = 0
    """… and the answer."""
    close_calls: int = 0
    """Untouched images whose two best logits are closer than the tolerance, and were exchanged."""
    deviation: float = 0.0
    """Largest difference of a logit of an untouched image, relative to the image's largest logit."""

    @property
    def ties(self) -> int:
        """Bits that differ, all layers together."""
        return sum(row.check.ties for row in self.rows)


class Gate:
    """Compares batch after batch."""

    def __init__(self, lowered: Lowering, packed: PackedModel, normalize: Normalize) -> None:
        """``normalize``: uint8 N×C×H×W → the network's input."""
        self.lowered, self.packed, self.normalize = lowered, packed, normalize
        self.judge = Judge(lowered)
        self.rows = [
            Row(layer=step.layer, op=step.op, exact=self.judge.exact(step)) for step in lowered.program.steps
        ]
        self.result = Parity(kernel=packed.kernel)

    def run(self, batches: Iterable[Pixels]) -> Parity:
        """All batches of uint8 N×H×W×C. Raises ExportError, naming the layer, at the first disagreement."""
        for images in batches:
            self._batch(images)
        if not self.result.images:
            raise ExportError("there are no images to compare the packed network with; give --parity-data")
        return replace(self.result, rows=tuple(self.rows))

    def _batch(self, images: Pixels) -> None:
        x = self.normalize(torch.from_numpy(images.transpose(0, 3, 1, 2)))
        nodes = self.lowered.traced.values(x)
        with torch.no_grad():
            logits = self.lowered.model(x).numpy()
        true = self._truths(images, nodes)
        if not np.array_equal(
            true[self.lowered.program.output].reshape(logits.shape), logits, equal_nan=True
        ):
            raise ExportError("the traced network does not compute what the network itself does; report this")
        self._input(images, true[0])
        for i in range(len(self.rows)):
            self._step(i, true, nodes)
        self._whole(images, true, logits)

    def _truths(self, images: Pixels, nodes: dict[str, Tensor]) -> list[Array]:
        found: list[Array] = []
        for value, meaning in zip(self.lowered.program.values, self.lowered.built.meanings, strict=True):
            shape = (value.channels, value.height, value.width)
            found.append(images if value.type == "u8" else truth(meaning, shape, nodes))
        return found

    def _input(self, images: Pixels, true: Array) -> None:
        """The preprocessing, where it is not in the first layer."""
        found = self.packed.input(images)
        allowed = PREPROCESSING * float(np.abs(true).max()) if true.dtype != np.uint8 else 0
        apart = float(np.abs(found.astype(np.float64) - true).max())
        if not apart <= allowed:
            raise ExportError(
                f"the packed preprocessing lies {apart:.1e} from data.normalize, more than {allowed:.1e};"
                " nothing was written"
            )

    def _step(self, i: int, true: list[Array], nodes: dict[str, Tensor]) -> None:
        step = self.lowered.program.steps[i]
        results = self.packed.step(i, {v: true[v] for v in reads(step)})
        check = self.rows[i].check
        for v, found in results.items():
            if self.lowered.program.values[v].type == "bits":
                check += self.judge.bits(i, v, found, true[v], nodes)
            else:
                check += self.judge.real(i, found, true[v], nodes)
        self.rows[i] = replace(self.rows[i], check=check)
        if check.wrong:
            raise ExportError(
                f"{step.layer} ({step.op}): the packed network differs from the trained one in {check.wrong}"
                f" numbers on the first {self.result.images + len(true[0])} images; nothing was written"
            )

    def _whole(self, images: Pixels, true: list[Array], logits: Array) -> None:
        """End to end, each network on its own values."""
        values = self.packed.values(images)
        touched = np.zeros(len(images), dtype=np.bool_)
        for v, value in enumerate(self.lowered.program.values):
            if value.type == "bits":
                touched |= (values[v] != true[v]).reshape(len(images), -1).any(axis=1)
        found = self.packed(images)
        size = np.abs(logits).max(axis=1)
        deviation = np.abs(found - logits).max(axis=1) / np.where(size > 0, size, 1)
        deviation = np.where((found == logits).all(axis=1), 0, deviation)
        self._answers(touched, found, logits, deviation)

    def _answers(self, touched: Array, found: Array, logits: Array, deviation: Array) -> None:
        clear = ~touched
        worst = float(deviation[clear].max(initial=0))
        if not worst <= LOGITS:
            raise ExportError(
                f"the packed network's logits lie up to {worst:.1e} of the largest from the trained one's;"
                f" {LOGITS:.0e} is allowed; nothing was written"
            )
        changed = found.argmax(axis=1) != logits.argmax(axis=1)
        before = self.result
        self.result = replace(
            before,
            images=before.images + len(touched),
            touched=before.touched + int(touched.sum()),
            touched_top1=before.touched_top1 + int((touched & changed).sum()),
            close_calls=before.close_calls + int((clear & changed).sum()),
            deviation=max(before.deviation, worst),
        )
