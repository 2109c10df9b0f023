"""Are the pixels those of the data set, and does the network see them as its preparation promises?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bnn_train.check.data_labels import is_own
from bnn_train.check.line import OURS, Line, Verdict, judge, worst
from bnn_train.check.subject import Subject
from bnn_train.config.schema import MeanStd
from bnn_train.data.randomness import permutation
from bnn_train.spec.datasets import DATASETS

SAMPLES = {"tensor": 50_000, "folder": 128}
"""Training images whose pixels are read, at random: every second image of MNIST has another mean."""
PREPARED = 2_000
"""… and of those that are also normalized."""
TOLERANCES = {"tensor": 0.003, "folder": 0.06}
"""The catalog gives four digits, and a held-out part shifts the fourth; of a folder few images are read."""
ALTERED = 0.06
"""… where images are resized, or files are added that the statistics do not include."""


def _sample(s: Subject, most: int) -> Iterator[Tensor]:
    """Training images, the same ones again, in the file's order."""
    split, spares = s.data.splits["train"], s.data.spares("train")
    chosen = np.sort(permutation(0, 0, len(split.positions))[:most])
    return (images for images, _ in split.source.batches(split.positions[chosen], None, 500, spares))


def pixels(s: Subject) -> Iterator[Line]:
    """Per-channel mean and standard deviation of the training pixels, as read and as normalized."""
    most = SAMPLES[DATASETS[s.data.config.name].layout]
    yield _own(s, most) if is_own(s) or s.data.config.statistics is not None else _raw(s, most)
    prepared = torch.cat([s.data.normalizer(x) for x in _sample(s, min(most, PREPARED))])
    yield _normalized(s, prepared.double())


def _own(s: Subject, most: int) -> Line:
    """Of the user's own folder, whose numbers nobody has published: beside those that data.normalize uses."""
    mean, std = _moments(_sample(s, most))
    used = next((step for step in s.data.normalizer.steps if isinstance(step, MeanStd)), None)
    known = (used.mean or (), used.std or ()) if used else ((), ())
    off = max((abs(a - b) for a, b in zip(mean + std, known[0] + known[1], strict=False)), default=0.0)
    flat = judge(min(std), ok=(0.01, 1), look=(0, 1))
    return Line(
        name="data pixels",
        verdict=worst([flat, judge(off, ok=(0, ALTERED), look=(0, math.inf))]),
        measured=f"mean {_listed(mean)}, std {_listed(std)} of pixels/255",
        healthy=f"{_listed(known[0])} and {_listed(known[1])} ± {ALTERED:g}" if used else "std ≥ 0.01",
        source="the mean and std of data.normalize" if used else OURS,
        advice="A network learns best from inputs of about mean 0 and std 1. For that, give data.normalize's"
        f" mean_std the mean {_yaml(mean)} and the std {_yaml(std)}.",
    )


def _yaml(values: list[float]) -> str:
    return f"[{', '.join(f'{value:.4g}' for value in values)}]"


def _raw(s: Subject, most: int) -> Line:
    row, config = DATASETS[s.data.config.name], s.data.config
    mean, std = _moments(_sample(s, most))
    off = max(_differences(mean, row.mean) + _differences(std, row.std))
    altered = config.image_size is not None or config.extra or config.train_limit is not None
    tolerance = ALTERED if altered else TOLERANCES[row.layout]
    verdict = judge(off, ok=(0, tolerance), look=(0, 3 * tolerance))
    return Line(
        name="data pixels",
        verdict=verdict,
        measured=f"mean {_listed(mean)}, std {_listed(std)} of pixels/255",
        healthy=f"{_listed(row.mean)} and {_listed(row.std)} ± {tolerance:g}",
        source=f"training images of {row.title}, bnn_train/spec/datasets.py",
        advice=f"The images under {config.root} are not those of {config.name}, or were altered before"
        " (resized, brightened, other channels): compare the files with the published ones.",
    )


def _moments(batches: Iterator[Tensor]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of uint8 pixels/255 per channel."""
    count, sums, squares = 0, torch.zeros(()), torch.zeros(())
    for images in batches:
        x = images.transpose(0, 1).flatten(1).float().div(255)
        count += x.shape[1]
        sums = sums + x.sum(dim=1, dtype=torch.float64)
        squares = squares + x.square().sum(dim=1, dtype=torch.float64)
    mean = sums / count
    return mean.tolist(), (squares / count - mean.square()).clamp_min(0).sqrt().tolist()


def _differences(found: list[float], known: tuple[float, ...]) -> list[float]:
    known = known * (len(found) // len(known))
    return [abs(a - b) for a, b in zip(found, known, strict=True)]


def _listed(values: list[float] | tuple[float, ...]) -> str:
    return "/".join(f"{value:.4f}" for value in values)


# ------------------------------------------------------------------- what each preparation promises

Promise = tuple[Verdict, str, str, str]
"""Verdict, measured, healthy, source."""


def _normalized(s: Subject, x: Tensor) -> Line:
    steps = s.data.config.normalize
    verdict, measured, healthy, source = PROMISES[steps[-1].name](x, steps[-1], s)
    if not bool(torch.isfinite(x).all()):
        verdict, measured = "wrong", f"NaN or infinity; {measured}"
    elif is_own(s) and verdict == "wrong":
        verdict = "look"
    names = ", ".join(step.name for step in steps)
    return Line(
        name="data normalized",
        verdict=verdict,
        measured=f"{names}: {measured}",
        healthy=healthy,
        source=source,
        advice="The network does not see what data.normalize promises: give the data set's own mean and std"
        f" ({'see data pixels' if is_own(s) else 'leave them out'}), and check the order of the steps.",
    )


def _channels(x: Tensor, step: Any, s: Subject) -> Promise:
    planes = x.transpose(0, 1).flatten(1)
    mean, std = planes.mean(dim=1), planes.std(dim=1)
    low, high = float(std.min()), float(std.max())
    far = float(mean.abs().max())
    verdict = worst(
        [
            judge(far, ok=(0, 0.15), look=(0, 0.5)),
            judge(low, ok=(0.8, math.inf), look=(0.5, math.inf)),
            judge(high, ok=(0, 1.25), look=(0, 2.0)),
        ]
    )
    measured = f"mean {_listed(mean.tolist())}, std {_listed(std.tolist())}"
    return verdict, measured, "|mean| ≤ 0.15, std 0.8 to 1.25 per channel", "0 and 1 by definition"


def _range(low: float, high: float) -> Callable[[Tensor, Any, Subject], Promise]:
    def promise(x: Tensor, step: Any, s: Subject) -> Promise:
        least, most = float(x.min()), float(x.max())
        inside = low - 1e-6 <= least and most <= high + 1e-6
        verdict: Verdict = "wrong" if not inside else "ok" if most - least > (high - low) / 2 else "look"
        healthy = f"within [{low:g}, {high:g}], more than half of it"
        return verdict, f"{least:.4g} to {most:.4g}", healthy, "by definition"

    return promise


def _pixel_mean(x: Tensor, step: Any, s: Subject) -> Promise:
    far = float(x.mean(dim=0).abs().max())
    tolerance = 0.3 / math.sqrt(len(x)) * 5  # pixels in [0, 1] vary by about 0.3
    verdict = judge(far, ok=(0, tolerance), look=(0, 3 * tolerance))
    return verdict, f"|mean| of a pixel at most {far:.3g}", f"≤ {tolerance:.3g}", "0; 5σ of the sample"


def _gcn(x: Tensor, step: Any, s: Subject) -> Promise:
    flat = x.flatten(1)
    far = float(flat.mean(dim=1).abs().max())
    norms = flat.norm(dim=1) if step.norm == "l2" else flat.std(dim=1)
    low, high = float(norms.min()), float(norms.max())
    verdict: Verdict = judge(far, ok=(0, 1e-3), look=(0, 1e-2))
    verdict = worst(
        [verdict, judge(high, ok=(0.5 * step.scale, 1.01 * step.scale), look=(0, 2 * step.scale))]
    )
    measured = f"|mean| of an image at most {far:.1g}, {step.norm} {low:.3g} to {high:.3g}"
    return verdict, measured, f"mean 0, {step.norm} up to {step.scale:g}", "data.normalize: gcn"


def _zca(x: Tensor, step: Any, s: Subject) -> Promise:
    far, noise = (
        float(x.mean(dim=0).abs().max()),
        5 / math.sqrt(len(x)),
    )  # 5σ: whitened pixels vary by at most 1
    variances = _slow_waves(x.shape[1:]).to(x) @ (x - x.mean(dim=0)).flatten(1).T
    low, high = (float(v) for v in variances.var(dim=1).aminmax())
    verdict = worst([judge(far, ok=(0, noise), look=(0, 3 * noise)), judge(high, ok=(0, 1.5), look=(0, 3))])
    fitted = s.data.sizes["train"] + s.data.sizes.get("validation", 0)
    if fitted >= 2 * x[0].numel():  # with fewer images most directions were never seen
        verdict = worst([verdict, judge(low, ok=(0.5, math.inf), look=(0.2, math.inf))])
    measured = f"|mean| of a pixel at most {far:.2g}, variance of slow waves {low:.3g} to {high:.3g}"
    return verdict, measured, f"|mean| ≤ {noise:.2g}; variance λ/(λ + bias), so 0.5 to 1.5", "pylearn2's ZCA"


def _slow_waves(shape: torch.Size) -> Tensor:
    """The three slowest cosines of each channel, unit length: natural images vary most along them."""
    channels, height, width = shape
    rows = torch.cos(math.pi * (torch.arange(height) + 0.5) / height)
    columns = torch.cos(math.pi * (torch.arange(width) + 0.5) / width)
    one = torch.ones
    waves = [torch.outer(a, b) for a, b in ((rows, one(width)), (one(height), columns), (rows, columns))]
    result = torch.zeros(3 * channels, channels, height, width)
    for channel in range(channels):
        for i, wave in enumerate(waves):
            result[3 * channel + i, channel] = wave / wave.norm()
    return result.flatten(1)


def _lcn(x: Tensor, step: Any, s: Subject) -> Promise:
    mean, std = float(x.mean()), float(x.std())
    verdict = worst([judge(abs(mean), ok=(0, 0.3), look=(0, 1)), judge(std, ok=(0.05, 3), look=(0.01, 10))])
    return verdict, f"mean {mean:.3g}, std {std:.3g}", "|mean| ≤ 0.3, std 0.05 to 3", "our judgement"


PROMISES: dict[str, Callable[[Tensor, Any, Subject], Promise]] = {
    "unit": _range(0, 1),
    "signed": _range(-1, 1),
    "mean_std": _channels,
    "pixel_mean": _pixel_mean,
    "gcn": _gcn,
    "zca": _zca,
    "lcn": _lcn,
}
