"""The page of one run: a self-contained HTML file."""

from __future__ import annotations

from bnn_train import __version__
from bnn_train.report import plots, sections, tables
from bnn_train.report.findings import Findings, Twin
from bnn_train.report.markup import Section, page, text
from bnn_train.report.numbers import bytes_told, duration, latency
from bnn_train.report.plots import Plot
from bnn_train.report.run_files import RunFiles
from bnn_train.report.sections import Drawn

MADE_BY = f"bnn_train {__version__}"


def run_page(run: RunFiles, found: Findings) -> tuple[str, list[Plot]]:
    """The HTML, and the plots on it for whoever wants them as files."""
    drawn = Drawn()
    parts: list[Section | None] = [
        sections.curves(run, drawn),
        sections.flips(run, drawn),
        sections.latents(run, drawn),
    ]
    if run.report is not None:
        parts += [tables.confusion(run.report), sections.mistakes(found.mistakes)]
    parts.append(sections.filters(found.filters))
    if run.report is not None:
        parts += [tables.layers(run.report), tables.twin(found.twin)]
        if len(run.report["classes"]) <= tables.MOST_CLASSES:
            matrix = plots.confusion(run.report["confusion"], run.report["classes"])
            drawn.plots.append(Plot("confusion", "Confusion", matrix))
    parts.append(tables.setting(run))
    html = page(run.title, _head(run, found), [part for part in parts if part is not None], MADE_BY)
    return html, drawn.plots


def _head(run: RunFiles, found: Findings) -> str:
    told = [f"<h1>{text(run.title)}</h1>", f"<p class=lead>{text(_lead(run))}</p>"]
    facts = "".join(_fact(*fact) for fact in _facts(run, found))
    told.append(f"<div class=facts>{facts}</div>")
    told += [f"<p class=note>{text(note)}</p>" for note in _notes(run)]
    return "".join(told)


def _lead(run: RunFiles) -> str:
    if run.report is None:
        done, of = len(run.epochs), run.config.get("training", {}).get("epochs", "?")
        return f"Run {run.name}: {done} of {of} epochs done; the test set has not been read."
    report = run.report
    epochs = report.get("epochs", len(run.epochs))
    chosen = f"epoch {report.get('best_epoch')} of {epochs}" if epochs else "not trained"
    return f"Run {run.name}, seed {report.get('seed')}. Reported: {chosen}, {report.get('selection_rule')}."


def _facts(run: RunFiles, found: Findings) -> list[tuple[str, str, str]]:
    report = run.report
    if report is None:
        return [(f"{value:.2f} %", f"{name} top-1, last epoch", "") for name, value in _latest(run)]
    low, high = report["top1_interval"]
    told = f"top-1 of {report['total']:,} test images; 95 % interval {low:.2f}–{high:.2f}"
    facts = [(f"{report['top1']:.2f} %", told, "main")]
    if len(report["classes"]) > 5:
        facts.append((f"{report['top5']:.2f} %", "top-5", ""))
    reference = report.get("reference")
    if reference:
        told = f"points from the published {reference['top1']:.2f} %"
        facts.append((f"{reference['difference']:+.2f}".replace("-", "−"), told, ""))
    size = found.twin.file_bytes if isinstance(found.twin, Twin) else report["bytes"]
    ratio = report["bytes_real"] / max(1, size)
    facts.append((bytes_told(size), f"packed; {ratio:.1f} times smaller than in 32 bits", ""))
    if isinstance(found.twin, Twin):
        faster = found.twin.trained_ms / found.twin.packed_ms
        facts.append(
            (latency(found.twin.packed_ms), f"an image, packed; {faster:.1f} times faster than PyTorch", "")
        )
    if report.get("wall_time_s"):
        speed = f"training, {report.get('images_per_s', 0):,.0f} images/s"
        facts.append((duration(report["wall_time_s"]), speed, ""))
    return facts


def _latest(run: RunFiles) -> list[tuple[str, float]]:
    curves = {name: run.curve(f"{split}_top1") for split, name in sections.SPLITS.items()}
    return [(name, points[-1][1]) for name, points in curves.items() if points]


def _fact(number: str, words: str, kind: str) -> str:
    return f'<div class="fact {kind}"><b>{text(number)}</b><span>{text(words)}</span></div>'


def _notes(run: RunFiles) -> list[str]:
    return [str(note) for note in (run.report or {}).get("notes", [])]
