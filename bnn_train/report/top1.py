"""The report of a finished run: report.json for programs, report.md for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bnn_train.config.local import portable
from bnn_train.config.schema import Experiment
from bnn_train.files import write_atomic
from bnn_train.inspect.evaluation import Evaluation
from bnn_train.inspect.layers import LayerRow, total
from bnn_train.report.files import plain
from bnn_train.report.markdown import render

SELECTION = {
    "validation": "the epoch that was best on the validation split; the test set was read once, at the end",
    "last": "the last epoch; the test set was read once, at the end",
    "test": "the epoch that was best on the test set itself, so the number is optimistic",
}


def build_report(
    *,
    experiment: Experiment,
    evaluation: Evaluation,
    classes: Sequence[str],
    layers: Sequence[LayerRow],
    history: Sequence[dict[str, Any]],
    best_epoch: int,
    wall_time_s: float,
    images_per_s: float,
    versions: dict[str, str],
    changes: Sequence[str] = (),
    data_notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Everything that the two files hold, as JSON values.

    ``evaluation`` is of the test set; ``best_epoch`` counts from 1; ``wall_time_s`` and
    ``images_per_s`` are of the training steps; ``changes`` tell where a resumed run went on otherwise.
    """
    report = {
        "title": f"{experiment.method.name} {experiment.model.name} on {experiment.data.name}",
        **_scores(evaluation),
        "selection": experiment.training.select,
        "selection_rule": SELECTION[experiment.training.select],
        "notes": [*_notes(experiment), *changes, *data_notes, *_skipped(history), *_damaged(history)],
        "precision": _precision(experiment),
        "reference": _reference(experiment, evaluation.top1),
        "best_epoch": best_epoch,
        "epochs": len(history),
        "wall_time_s": wall_time_s,
        "images_per_s": images_per_s,
        **_costs(layers),
        "seed": experiment.seed,
        "versions": versions,
        "classes": list(classes),
        "per_class": _per_class(evaluation, classes),
        "confusion": evaluation.confusion.tolist(),
        "history": list(history),
        "layers": [asdict(row) for row in layers],
        "config": portable(experiment),
    }
    return plain(report)  # type: ignore[no-any-return]  # a mapping gives a dict


def write_report(folder: Path, report: dict[str, Any]) -> None:
    """Write ``report.json`` and ``report.md``, each whole or not at all; RunError if they cannot be."""
    write_atomic(folder / "report.md", render(report))
    write_atomic(folder / "report.json", _json(report))


def _scores(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "top1": evaluation.top1,
        "top1_interval": list(evaluation.interval(1)),
        "top5": evaluation.top5,
        "top5_interval": list(evaluation.interval(5)),
        "correct": evaluation.top1_correct,
        "top5_correct": evaluation.top5_correct,
        "total": evaluation.total,
        "unscored": evaluation.total - int(evaluation.confusion.sum()),
        "loss": evaluation.loss,
    }


def _notes(experiment: Experiment) -> list[str]:
    """Conditions of the number, for whoever compares it with others."""
    data, notes = experiment.data, []
    if experiment.training.select == "test":
        notes.append(
            "The epoch was chosen on the test set: the top-1 is the best of many looks at it, not an"
            " estimate for new images."
        )
    if data.test_limit is not None:
        notes.append(f"Only the first {data.test_limit:,} test images were used (data.test_limit).")
    if data.train_limit is not None:
        notes.append(f"Trained on the first {data.train_limit:,} training images only (data.train_limit).")
    if data.flip_test:
        notes.append(
            "Evaluated on each image and its mirror image, the logits averaged (data.flip_test), which an"
            " exported file does not do."
        )
    if experiment.training.amp != "none" or experiment.run.tf32:
        notes.append(f"Trained and evaluated in {_precision(experiment)}; an export computes in float32.")
    return notes


def _precision(experiment: Experiment) -> str:
    """In which numbers the network computed."""
    amp = experiment.training.amp
    mixed = "float32" if amp == "none" else f"mixed precision with {amp} (training.amp)"
    return f"{mixed}, TF32 allowed on a GPU (run.tf32)" if experiment.run.tf32 else mixed


def _skipped(history: Sequence[dict[str, Any]]) -> list[str]:
    count = history[-1].get("skipped_steps", 0) if history else 0
    if not count:
        return []
    return [f"{count:,} steps were repeated at a lower loss scale, since a gradient overflowed in fp16."]


def _damaged(history: Sequence[dict[str, Any]]) -> list[str]:
    """Over all starts of the run, which the images met in this one do not tell."""
    places = sum(entry.get("train_damaged", 0) for entry in history)
    often = "Once" if places == 1 else f"{places:,} times"
    told = f"{often} another image stood in a damaged one's place (data.on_error: skip)."
    return [told] if places else []


def _reference(experiment: Experiment, top1: float) -> dict[str, Any] | None:
    """The published number, how many points this run lies above it, and whether that is inside the band."""
    reference = experiment.reference
    if reference.top1 is None:
        return None
    source = {"paper": reference.paper, "table": reference.table}
    difference, band = top1 - reference.top1, reference.band
    inside = None if band is None else round(abs(difference), 6) <= band
    return {"top1": reference.top1, "difference": difference, "band": band, "inside": inside, **source}


def _costs(layers: Sequence[LayerRow]) -> dict[str, Any]:
    everything = total(layers)
    return {
        "parameters": {"binary": everything.params_binary, "real": everything.params_real},
        "weight_bits": everything.bits,
        "macs": {
            "binary": everything.macs_binary,
            "mixed": everything.macs_mixed,
            "real": everything.macs_real,
        },
        "bytes": everything.bytes,
        "bytes_real": everything.bytes_real,
    }


def _per_class(evaluation: Evaluation, classes: Sequence[str]) -> list[dict[str, Any]]:
    counts = zip(
        classes,
        evaluation.confusion.diagonal().tolist(),
        evaluation.class_totals.tolist(),
        evaluation.per_class,
        strict=True,
    )
    return [{"class": name, "correct": right, "total": n, "top1": share} for name, right, n, share in counts]


def _json(report: dict[str, Any]) -> str:
    """Indented JSON, but each item of a list on one line: a matrix reads as a matrix."""
    lines = [f"  {json.dumps(key)}: {_value(value)}" for key, value in report.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _value(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], list | dict):
        return "[\n" + ",\n".join(f"    {json.dumps(item, allow_nan=False)}" for item in value) + "\n  ]"
    indent = 2 if isinstance(value, dict) else None
    return json.dumps(value, indent=indent, allow_nan=False).replace("\n", "\n  ")
