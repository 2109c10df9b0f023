"""Single layers, convolutions and dense ones: ours against every peer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench import ours_product as ours
from bench.cases import CONVOLUTIONS, DENSE, Case
from bench.limits import Limit, limits
from bench.peers import FP32, INT8, products
from bench.record import Record
from bench.table import Row
from bench.timing import Engine, Plan, Sample, best, interleave, ratio

Samples = Mapping[str, Sample]
QUICK = 2
LIMIT = {"avx512": "binary"}
"""Of the machine, by kernel; the AVX2 kernels' additions of table entries have no such simple bound."""
SINGLE = "ours f32, 1 thread"


def measure(
    record: Record, peers: Sequence[str], batch: int, threads: int, plan: Plan, *, dense: bool, quick: bool
) -> None:
    """Two tables: times in microseconds, and how many times faster ours is."""
    shapes = DENSE if dense else CONVOLUTIONS
    bound = next((limit for limit in limits(threads) if limit.kind == LIMIT.get(ours.kernel())), None)
    found: dict[str, Samples] = {}
    cases: list[Case] = []
    verdicts: Counter[str] = Counter()
    for shape in shapes[:QUICK] if quick else shapes:
        case = Case(shape, batch)
        cases.append(case)
        engines = [*_ours(case, threads, plan), *products(peers, case, threads)]
        right = _right(record, case, engines, verdicts)
        found[shape.name] = interleave([*right, *([bound.engine] if bound else [])], plan)
    kind = "Dense layers" if dense else "Convolutions"
    title = f"{kind}, batch {batch}, {threads} thread(s)"
    times = [{"layer": name, **_times(samples)} for name, samples in found.items()]
    results = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())
    notes = [f"results: {results}; ours: {ours.kernel()}"]
    record.add(f"{title}: microseconds, median", times, left=("layer",), notes=notes, samples=found)
    rows = [_ratios(case, found[case.shape.name], bound) for case in cases]
    record.add(f"{title}: how many times faster ours (packed in, float32 out) is", rows, left=("layer",))


def _ours(case: Case, threads: int, plan: Plan) -> list[Engine]:
    """Ours, and beside several threads one, to see what they bring."""
    made = ours.products(case, threads, plan.clock)
    if threads == 1:
        return made
    return [*made, replace(ours.products(case, 1, plan.clock)[0], name=SINGLE)]


def _right(record: Record, case: Case, engines: Sequence[Engine], verdicts: Counter[str]) -> list[Engine]:
    """The engines whose results are right; only they are timed."""
    right = []
    for engine in engines:
        verdict = engine.verdict()
        verdicts[verdict.split()[0] + (" rounding" if verdict.startswith("within") else "")] += 1
        if verdict.startswith("WRONG"):
            record.wrong.append(f"{case.shape.name}, batch {case.batch}: {engine.name} is {verdict}")
        else:
            right.append(engine)
    return right


def _times(samples: Samples) -> Row:
    return {name: 1e6 * sample.median for name, sample in samples.items() if not name.startswith("limit")}


def _ratios(case: Case, samples: Samples, bound: Limit | None) -> Row:
    f32 = samples.get(ours.F32)
    share = None
    if bound is not None and f32 is not None:
        of_limit = ratio(f32, samples[bound.engine.name])
        share = None if of_limit is None else 100 * of_limit * case.macs / bound.macs
    return {
        "layer": case.shape.name,
        "MMAC": round(case.macs / 1e6),
        "GMAC/s": None if f32 is None else case.macs / f32.median / 1e9,
        "% of limit": share,
        **{title: ratio(f32, samples.get(name)) for title, name in _columns(samples).items()},
    }


def _columns(samples: Samples) -> dict[str, str]:
    """Title → engine; the best of a kind is chosen row by row."""
    chosen = {
        "torch fp32": "torch fp32",
        "best fp32": best(samples, FP32),
        "best int8": best(samples, INT8),
        "OV binary node": "OV binary node",
        "OV binary call": "OV binary call",
        "bnn-lab": "bnn-lab",
        "1 thread": SINGLE if SINGLE in samples else None,
    }
    return {title: name for title, name in chosen.items() if name is not None}
