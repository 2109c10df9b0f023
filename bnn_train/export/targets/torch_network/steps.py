"""The steps with an epilogue: convolutions and maps."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.export.targets.torch_network.arithmetic import added, classes, fused, numbers, sigmoid

Described = dict[str, Any]
Tensors = dict[str, Tensor]
Signals = dict[int, list[Tensor]]
"""Each value N×C×H×W by its number; of planes with real factors one tensor each."""


class Step(nn.Module):
    """A step of the network: reads values, makes others."""

    def __init__(self, step: Described, values: list[Described], tensors: Tensors) -> None:
        super().__init__()
        del tensors
        self.step, self.source, self.values = step, values[step["input"]], values

    def extra_repr(self) -> str:
        """The layer's name."""
        return repr(self.step["layer"])

    def keep(self, name: str, tensors: Tensors, key: str | None) -> None:
        """A buffer …×C as …×C×1×1; None where there is none."""
        self.register_buffer(name, None if key is None else tensors[key][..., None, None])


class Map(Step):
    """Numbers through an epilogue (scale, K, bias, gate, norm, activation, residual, activation; each
    operation rounded once to float32, the norm's product and sum together), then thresholds."""

    scale: Tensor | None
    factor: Tensor | None
    summand: Tensor
    bias: Tensor | None
    limits: Tensor
    turns: Tensor | None

    def __init__(self, step: Described, values: list[Described], tensors: Tensors) -> None:
        super().__init__(step, values, tensors)
        self.epilogue, self.rule = step["epilogue"], step["thresholds"]
        self.keep("scale", tensors, self.epilogue["scale"])
        for name, key in zip(("factor", "summand"), self.epilogue["norm"] or (None, None), strict=True):
            self.keep(name, tensors, key)
        rows = tensors.get(self.epilogue["bias"])
        if rows is not None:
            rows = rows[0][:, None, None] if len(rows) == 1 else rows[self.border()].permute(2, 0, 1)
        self.register_buffer("bias", rows)
        for place in ("activation", "stream"):
            if isinstance(self.epilogue[place], dict):
                for line in ("before", "negative", "positive", "after"):
                    self.keep(f"{place}_{line}", tensors, self.epilogue[place][line])
        if self.rule is not None:
            self.keep("limits", tensors, self.rule["tensor"])
            flip = tensors.get(self.rule["flip"])
            self.register_buffer("turns", None if flip is None else 1 - 2 * flip.float()[:, None, None])

    def border(self) -> Tensor:
        """The border class of each pixel: which taps of its window lie inside the map."""
        return torch.zeros(self.source["height"], self.source["width"], dtype=torch.int64)

    def product(self, values: Signals) -> Tensor:
        """The numbers that the epilogue begins with."""
        return values[self.step["input"]][0]

    def forward(self, values: Signals) -> Signals:
        """The value of real numbers, of bits, or both."""
        found: Signals = {}
        y = self.product(values)
        whole = self.rule is not None and self.limits.dtype == torch.int32
        real = y if whole and self.step["output"] is None else self.finish(y.float(), values)
        if self.step["output"] is not None:
            found[self.step["output"]] = [real]
        if self.step["bits"] is not None:
            found[self.step["bits"]] = self.codes(y if whole else real)
        return found

    def finish(self, y: Tensor, values: Signals) -> Tensor:
        """The epilogue."""
        e = self.epilogue
        y = y if self.scale is None else y * self.scale
        if e["input_scale"] is not None:
            k = values[e["input_scale"]][0]
            y = y * k.repeat_interleave(y.shape[1] // k.shape[1], 1)
        y = y if self.bias is None else y + self.bias
        y = y if e.get("gate") is None else y * values[e["gate"]][0]
        y = y if self.factor is None else fused(y, self.factor, self.summand)
        y = self.bend(y, "activation")
        y = y if e["residual"] is None else y + values[e["residual"]][0]
        return self.bend(y, "stream")

    def bend(self, y: Tensor, place: str) -> Tensor:
        """A nonlinearity; of a PReLU each channel has its own lines."""
        word = self.epilogue[place]
        if not isinstance(word, dict):
            made: Tensor = BENDS[word](y)
            return made
        lines = ("before", "negative", "positive", "after")
        before, negative, positive, after = (getattr(self, f"{place}_{line}") for line in lines)
        y = y if before is None else y + before
        y = torch.where(y < 0, y * negative, y if positive is None else y * positive)
        return y if after is None else y + after

    def codes(self, y: Tensor) -> list[Tensor]:
        """Thresholds: sign(0) = +1. A code of several planes is the number of the count of those passed."""
        limits = self.limits.to(y.dtype)
        if self.turns is not None:
            y, limits = y * self.turns, limits * self.turns
        passed = torch.stack([~(y < limit) for limit in limits])
        code = self.values[self.step["bits"]]["code"]
        if "count" in code and not code.get("digits"):
            return [2 * plane.float() - 1 for plane in passed]
        count = passed.sum(0)
        if "count" in code:
            return [2 * (count >> p & 1).float() - 1 for p in range(code["count"])]
        return [numbers(code).to(y.device)[count]]


class Convolution(Map):
    """A sum over a window, then an epilogue. ``weight``: O×I×rows×columns, of planes with real factors one
    more. Sums of whole numbers are exact: in float64 where float32 might not hold them."""

    factors: Tensor | None
    inputs: Tensor | None

    def __init__(self, step: Described, values: list[Described], tensors: Tensors) -> None:
        super().__init__(step, values, tensors)
        weight = tensors[step["weight"]["tensor"]]
        self.wide = bool(weight.dtype != torch.float32 and self._most(weight) >= 2**24)
        number = torch.float64 if self.wide else torch.float32
        self.weight = nn.Parameter(weight.to(number), requires_grad=False)
        self.keep("factors", tensors, step["weight"].get("factors"))
        self.register_buffer("inputs", tensors.get(step.get("input_factors", "")))

    def _most(self, weight: Tensor) -> float:
        """A bound of the sum of whole numbers."""
        code, kind = self.source["code"], self.source["type"]
        most = {"u8": 255.0, "f32": 127.0, "bits": 1.0}[kind]
        if code is not None and "count" not in code:
            most = max(most, float(numbers(code).abs().max()))
        return most * float(weight.double().abs().sum((-1, -2, -3)).max())

    def extra_repr(self) -> str:
        """The layer's name and its weight's shape."""
        return f"{super().extra_repr()}, {' × '.join(map(str, self.weight.shape))}"

    def border(self) -> Tensor:
        """See ``Map``."""
        g, size = self.step["geometry"], (self.source["height"], self.source["width"])
        keys = ("kernel", "stride", "padding", "dilation")
        rows, columns = (classes(size[i], *(g[key][i] for key in keys)) for i in range(2))
        return torch.tensor(rows)[:, None] * (max(columns) + 1) + torch.tensor(columns)

    def product(self, values: Signals) -> Tensor:
        """The sum, by the kind of input and weight."""
        x, kind = values[self.step["input"]], self.source["type"]
        if kind == "f32" and self.step["weight"]["kind"] == "int":
            return self._rounded(x[0])
        if kind == "f32" and self.factors is not None:
            weights = [f[..., None] * w for f, w in zip(self.factors, self.weight, strict=True)]
            return self.window(x[0], added(weights))
        if self.factors is None and self.inputs is None:
            return self.window(x[0], self.weight)
        return added(list(self._terms(x)))

    def _terms(self, x: list[Tensor]) -> list[Tensor]:
        """f_p[c]·g_q·dot_pq of the weight's planes (outside) and the input's."""
        weights = self.weight[None] if self.factors is None else self.weight
        found = []
        for p, weight in enumerate(weights):
            for q, plane in enumerate(x):
                own = torch.ones((), device=plane.device) if self.factors is None else self.factors[p]
                own = own if self.inputs is None else own * self.inputs[q]
                found.append(self.window(plane, weight).float() * own)
        return found

    def _rounded(self, x: Tensor) -> Tensor:
        """Inputs rounded to 8 bits, image by image."""
        m = x.abs().amax((1, 2, 3), keepdim=True)
        factor = 127 / m
        q = torch.where(factor.isfinite() & (factor > 0), torch.round(x * factor), torch.zeros_like(x))
        return self.window(q, self.weight).float() * (m / 127)

    def window(self, x: Tensor, weight: Tensor) -> Tensor:
        """Σ over the window; bits are padded with their code, other numbers with 0."""
        g, pad, x = self.step["geometry"], self.step["pad"], x.to(weight.dtype)
        if g["groups"] == 1 and list(x.shape[2:]) == list(g["kernel"]) and not any(g["padding"]):
            return F.linear(x.flatten(1), weight.flatten(1))[..., None, None]
        rows, columns = g["padding"]
        if pad:
            x, rows, columns = F.pad(x, (columns, columns, rows, rows), value=pad), 0, 0
        strides, dilation = tuple(g["stride"]), tuple(g["dilation"])
        return F.conv2d(x, weight, None, strides, (rows, columns), dilation, g["groups"])


def _same(y: Tensor) -> Tensor:
    return y


BENDS: dict[str, Any] = {"none": _same, "relu": F.relu, "hardtanh": F.hardtanh, "sigmoid": sigmoid}
