"""The board's columns of packed networks, one pair for each kernel that was timed."""

from __future__ import annotations

import json
from pathlib import Path

from reproduction.board_packed import benches, cells, head, legend


def bench(kernel: str, ms: float) -> dict[str, object]:
    rows = {
        "bnn": {"bytes": 39892, "ms": ms, "faster": 8.04},
        "horq": {"refused": "stage1: measured on each image"},
    }
    return {"kernel": kernel, "machine": {"cpu": f"a CPU of {kernel}"}, "peer_ms": 8 * ms, "rows": rows}


def test_columns(tmp_path: Path) -> None:
    for kernel, ms in (("avx512", 0.5), ("avx2", 0.756)):
        path = tmp_path / f"board_packed_{kernel}.json"
        path.write_text(json.dumps(bench(kernel, ms)), encoding="utf-8")
    known = benches(tmp_path)
    assert head(known) == ("bytes", "ms avx2", "× avx2", "ms avx512", "× avx512")
    assert [*cells("bnn", known)] == ["39,892", "0.76", "8.0", "0.50", "8.0"]
    assert [*cells("horq", known)] == ["–"] * 5
    assert [*cells("of another day", known)] == ["–"] * 5
    assert "(avx2: a CPU of avx2, PyTorch 6.05 ms; avx512: a CPU of avx512, PyTorch 4.00 ms)." in legend(
        known
    )


def test_nothing_was_timed(tmp_path: Path) -> None:
    assert head(benches(tmp_path)) == ("bytes",)
    assert [*cells("bnn", {})] == ["–"]
    assert legend({}).endswith("not measured yet.")
