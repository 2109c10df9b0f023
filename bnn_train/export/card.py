"""The card of a packed network: a README for a model hub, made of its header and of its run's report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from numpy.typing import NDArray

from bnn_train.export.licences import licence_of
from bnn_train.packed.operands import Planes
from bnn_train.packed.program import Header
from bnn_train.spec.datasets import DATASETS

MARK = "<!-- written by bnn-export --card -->"
"""In every card, so that no other README is ever replaced by one."""
TAGS = ("binarized-neural-network", "bnn", "1-bit", "quantization", "image-classification")
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """A written file and what is known of it."""

    name: str
    """Of the file, which lies beside the card."""
    content: bytes
    header: Header
    tensors: Mapping[str, NDArray[Any]]
    digest: str
    """Of the packed file's content."""
    format: str
    licence: str
    """Of the weights, by its name on the hub."""
    report: Json = field(default_factory=dict)
    """The run's report.json, of the trained network; empty where there is none."""
    parity: str = ""
    """How the packed network was compared with the trained one."""

    @property
    def data(self) -> str:
        """The data set's name in the config."""
        section = self.header.experiment.get("data")
        return str(section.get("name", "")) if isinstance(section, dict) else ""

    @property
    def data_title(self) -> str:
        """The data set's name for people."""
        return DATASETS[self.data].title if self.data in DATASETS else self.data or "data not told"


def card(subject: Subject) -> str:
    """The whole text."""
    parts = [_front(subject), MARK, _what(subject), _results(subject), _use(subject), _made(subject)]
    return "\n\n".join([*parts, _data(subject), _intended(subject), _digests(subject)]) + "\n"


def _front(subject: Subject) -> str:
    licence, header = licence_of(subject.data), subject.header
    front: dict[str, Any] = {
        "library_name": "bnn_train",
        "pipeline_tag": "image-classification",
        "license": subject.licence,
        "tags": list(dict.fromkeys([*TAGS, header.method, header.model])),
    }
    if licence.hub:
        front["datasets"] = [licence.hub]
    front["metrics"] = ["accuracy"]
    if subject.report:
        front["model-index"] = [{"name": _title(subject), "results": [_measured(subject)]}]
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---"


def _measured(subject: Subject) -> dict[str, Any]:
    report, licence = subject.report, licence_of(subject.data)
    found = {"Top-1": report["correct"], "Top-5": report["top5_correct"]}
    if len(subject.header.classes) <= 5:
        del found["Top-5"]
    metrics = [
        {"type": "accuracy", "name": name, "value": round(count / report["total"], 6)}
        for name, count in found.items()
    ]
    data = {"name": subject.data_title, "type": licence.hub or subject.data, "split": "test"}
    return {"task": {"type": "image-classification"}, "dataset": data, "metrics": metrics}


def _title(subject: Subject) -> str:
    return f"{subject.header.method} {subject.header.model} on {subject.data_title}"


def _what(subject: Subject) -> str:
    header, images = subject.header, subject.header.images
    real = subject.report.get("bytes_real")
    smaller = f", {real / len(subject.content):.1f} times smaller than in 32 bits" if real else ""
    kind = "grey" if images.channels == 1 else "colour"
    classes = ", ".join(header.classes) if len(header.classes) <= 20 else f"{len(header.classes):,}"
    return f"""# {_title(subject)}

A binarized image classifier in one file: its weights are {_bits(header)}; it runs without PyTorch.

| | |
| --- | --- |
| file | `{subject.name}` ({subject.format}), {len(subject.content):,} bytes{smaller} |
| method, network | `{header.method}`, `{header.model}` |
| input | {images.width}×{images.height} pixels, {kind}, uint8 |
| classes | {classes} |
| made by | {header.made_by} |"""


def _bits(header: Header) -> str:
    codes = [getattr(getattr(s, "weight", None), "code", None) for s in header.program.steps]
    planes = max((c.count if isinstance(c, Planes) else c.planes for c in codes if c is not None), default=0)
    return {0: "real numbers", 1: "signs of one bit each"}.get(planes, f"codes of up to {planes} bits")


def _results(subject: Subject) -> str:
    report = subject.report
    if not report:
        return "## Results\n\nNot told: this file was made without its run's report."
    low, high = report["top1_interval"]
    lines = [
        "| images | top-1 | 95 % interval | top-5 |",
        "| --- | ---: | ---: | ---: |",
        f"| {report['total']:,} of {subject.data_title}, test | {report['top1']:.2f} % |"
        f" {low:.2f}–{high:.2f} % | {report['top5']:.2f} % |",
    ]
    return "\n".join(
        ["## Results", "", *lines, "", f"Chosen: {report['selection_rule']}. {subject.parity}".rstrip()]
    )


def _use(subject: Subject) -> str:
    images = subject.header.images
    fit = "" if images.resize else " --fit"
    shape = f"N×{images.height}×{images.width}×{images.channels}"
    return f"""## Use

```
pip install bnn-train
bnn-predict {subject.name} picture.png{fit}
bnn-eval --checkpoint {subject.name}
```

```python
from bnn_train.packed import load
model = load("{subject.name}")
logits = model(images)             # uint8 {shape}, or a list of files
labels = [model.header.classes[i] for i in logits.argmax(1)]
```"""


def _made(subject: Subject) -> str:
    experiment = {key: value for key, value in subject.header.experiment.items() if key != "reference"}
    config = yaml.safe_dump(experiment, sort_keys=False, allow_unicode=True, width=100)
    return f"""## Training

The run in full: save this as `config.yaml`, put the data where `data.root` says, and

```
bnn-train --config config.yaml --set run.dir=run
bnn-export --checkpoint run --out model.bnn --card
```
{_spent(subject)}
<details><summary>config.yaml</summary>

```yaml
{config}```

</details>"""


def _spent(subject: Subject) -> str:
    seconds = subject.report.get("wall_time_s")
    if not seconds:
        return ""
    versions = ", ".join(f"{name} {number}" for name, number in subject.report.get("versions", {}).items())
    return f"\nIts {subject.report.get('epochs')} epochs took {seconds / 60:.1f} minutes ({versions}).\n"


def _data(subject: Subject) -> str:
    licence = licence_of(subject.data)
    source = f" {licence.source}." if licence.source else ""
    return f"""## Data

{subject.data_title}.{source} Licence of the data: {licence.name}. No image of it is in the file."""


def _intended(subject: Subject) -> str:
    total, classes = subject.report.get("total"), len(subject.header.classes)
    scored = f" Its accuracy is measured on {total:,} images of it and holds for no others." if total else ""
    return f"""## Intended use and limits

For teaching, for research on binarized networks and as a part that is small and fast on small machines.
It names one of its {classes} classes for any picture, also for a picture of something else; its logits are no
probabilities. It was trained on {subject.data_title} and reads pictures prepared like those.{scored}
Nothing may depend on it that matters to anybody's safety, health or rights."""


def _digests(subject: Subject) -> str:
    return f"""## Digests

| | |
| --- | --- |
| SHA-256 of `{subject.name}` | `{hashlib.sha256(subject.content).hexdigest()}` |
| digest in the packed file | `{subject.digest}` |"""
