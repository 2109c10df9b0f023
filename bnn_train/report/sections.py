"""The sections of a run's page that are plots and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bnn_train.inspect.filters import Filters
from bnn_train.report import plots
from bnn_train.report.markup import Section, figure, picture, text
from bnn_train.report.mistakes import Mistake
from bnn_train.report.pictures import filter_images
from bnn_train.report.plots import Line, Plot
from bnn_train.report.run_files import Points, RunFiles
from bnn_train.report.svg import inline

SPLITS = {"train": "training", "validation": "validation", "test": "test"}
MOST_LAYERS = 24
"""Layers whose histograms are drawn, spread over the network."""


def errors_of(points: Points) -> Points:
    """Top-1 in percent → what lacks to 100."""
    return [(epoch, 100 - value) for epoch, value in points]


def curve_plots(run: RunFiles) -> Iterator[Plot]:
    """Loss, error and learning rate over the epochs."""
    loss = [Line(name, run.curve(f"{split}_loss")) for split, name in SPLITS.items()]
    error = [Line(name, errors_of(run.curve(f"{split}_top1"))) for split, name in SPLITS.items()]
    yield Plot("loss", "Loss", plots.lines(loss, "loss"))
    yield Plot("error", "Top-1 error", plots.lines(error, "top-1 error %", log=True))
    if run.curve("lr"):
        yield Plot(
            "learning_rate", "Learning rate", plots.lines([Line("", run.curve("lr"))], "rate", log=True)
        )


def flip_plots(run: RunFiles) -> Iterator[Plot]:
    """Flip rate and share at the clip, a line for each layer."""
    for key, name, label in (
        ("flip_rate", "Flip rate", "weights that changed sign %"),
        ("at_clip", "Weights at the clip", "latent weights at the clip %"),
    ):
        curves = [
            Line(layer, [(epoch, 100 * value) for epoch, value in points])
            for layer, points in run.layer_curves(key).items()
        ]
        if any(value for line in curves for _, value in line.points):
            yield Plot(key, name, plots.lines(curves, label, log=key == "flip_rate"))


def latent_plots(run: RunFiles) -> Iterator[Plot]:
    """Ridges of each binary layer."""
    if run.latents:
        layers = list(run.latents[-1]["counts"])
        chosen = np.unique(np.linspace(0, len(layers) - 1, min(MOST_LAYERS, len(layers))).round().astype(int))
        for layer in (layers[i] for i in chosen):
            yield Plot(f"latents_{layer}", layer, plots.ridges(run.latents, layer))


class Drawn:
    """Plots as they stand on a page, each with ids of its own; all of them are kept for saving."""

    def __init__(self) -> None:
        self.plots: list[Plot] = []

    def grid(self, found: Iterator[Plot], kind: str = "plots") -> str:
        """HTML of some plots beside one another; empty where there is none."""
        inner = ""
        for plot in found:
            self.plots.append(plot)
            svg = inline(plot.figure, plot.title, len(self.plots))
            inner += f"<figure><h3>{text(plot.title)}</h3>{svg}</figure>"
        return f'<div class="{kind}">{inner}</div>' if inner else ""


def curves(run: RunFiles, drawn: Drawn) -> Section:
    """Over the epochs."""
    if not run.epochs:
        return Section("curves", "Training", "<p>No epoch has ended.</p>")
    return Section("curves", "Training", drawn.grid(curve_plots(run)))


def flips(run: RunFiles, drawn: Drawn) -> Section | None:
    """Of binary layers; None for a network without them."""
    grid = drawn.grid(flip_plots(run))
    if not grid:
        return None
    told = (
        "The flip rate is the share of a layer's weights whose code is another one than an epoch before. It"
        " falls as the latent weights settle; a rate that stays high says that the learning rate is."
    )
    return Section("flips", "Flips", f"<p class=hint>{told}</p>{grid}")


def latents(run: RunFiles, drawn: Drawn) -> Section | None:
    """Histograms over time; for runs of an earlier release a sentence."""
    if not run.layer_curves("mean_abs"):
        return None
    grid = drawn.grid(latent_plots(run), "plots small")
    if not grid:
        told = "This run kept no histograms of its latent weights; runs of later releases do."
        return Section("latents", "Latent weights", f"<p>{told}</p>")
    told = (
        "The real weights behind the signs, from the first epoch (top) to the last (bottom). Mass near"
        " zero still flips; mass at the ends stands at the clip."
    )
    return Section("latents", "Latent weights over time", f"<p class=hint>{told}</p>{grid}")


def filters(found: Filters | str) -> Section:
    """The first layer's, as pictures."""
    if isinstance(found, str):
        return Section("filters", "First layer", f"<p>{text(found)}</p>")
    shown = len(found.values)
    some = f"{shown} of {found.total:,}" if shown < found.total else f"{shown}"
    title = f"<p class=hint>{some} filters of <code>{text(found.layer)}</code>, which reads the image."
    colours = (
        " Grey is zero." if found.values.shape[3] == 3 else " Blue is negative, orange positive, white zero."
    )
    kinds = [("latent weights" if found.codes is not None else "weights", found.values)]
    if found.codes is not None:
        kinds.append(("as the forward pass multiplies with them", found.codes))
    inner = "".join(
        f"<h3>{name[0].upper()}{name[1:]}</h3><div class=filters>"
        + "".join(picture(one, f"filter {i}: {name}") for i, one in enumerate(filter_images(values)))
        + "</div>"
        for name, values in kinds
    )
    return Section("filters", "First-layer filters", f"{title}{colours}</p>{inner}")


def mistakes(found: Sequence[Mistake] | str) -> Section:
    """Pictures of the wrong answers that were given most surely."""
    if isinstance(found, str):
        return Section("mistakes", "Worst mistakes", f"<p>{text(found)}</p>")
    if not found:
        return Section("mistakes", "Worst mistakes", "<p>None: every test image is answered rightly.</p>")
    told = (
        "The wrong answers with the largest margin over the truth, worst first: the answer in red, then the"
        " truth, and the answer's softmax."
    )
    inner = "".join(_mistake(one) for one in found)
    return Section("mistakes", "Worst mistakes", f"<p class=hint>{told}</p><div class=gallery>{inner}</div>")


def _mistake(one: Mistake) -> str:
    made = one.prediction
    told = f"<b>{text(made.answer)}</b> is {text(made.label)}<br>{100 * made.probability:.0f} %"
    return figure(picture(one.pixels, f"image {made.image}: {made.answer}, is {made.label}"), told)
