"""The export to C: its programs are the packed ones, compiled strictly; what it refuses; what it plans."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn_train.errors import DataError, ExportError
from bnn_train.export.targets.c.answer import Scores, scored, scores
from bnn_train.export.targets.c.memory import planned, words_of
from bnn_train.export.targets.c.target import TARGET
from bnn_train.export.targets.c.templates import cut
from bnn_train.export.targets.c.whole import in_whole_numbers
from bnn_train.export.targets.table import recognised
from bnn_train.export.targets.target import Content
from bnn_train.packed import PackedModel
from bnn_train.packed.program import Conv, Epilogue, Geometry, Preprocess
from bnn_train.packed.reference import engine as reference
from c_export import (
    WATCHED,
    compiled,
    differing,
    images_of,
    logits_of,
    needs_compiler,
    small_net,
    written,
)
from packed_grid import grid
from packed_programs import Made, header_of, random_input, single_conv

FEW = (
    *("groups-4-pad1", "codes-u2-ternary-pad1", "pixels-3-bits2-0", "real-bf16-both", "planes-p2-u2"),
    *("pool-bits-flip-3-2-1-ceil", "gate-groups", "residual-net", "joined-17-30-5-33"),
)


@cache
def programs() -> dict[str, Made]:
    return dict(grid())


@pytest.mark.parametrize("name", FEW)
def test_programs_give_the_packed_logits(name: str, tmp_path: Path) -> None:
    needs_compiler()
    made = programs()[name]
    assert differing(made, tmp_path / "c", "-O0") <= (0 if made.exact else 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(40))
def test_the_whole_grid_under_the_sanitizers(part: int, tmp_path: Path) -> None:
    needs_compiler()
    for i, (name, made) in enumerate(programs().items()):
        if i % 40 == part:
            assert differing(made, tmp_path / name, *WATCHED) <= (0 if made.exact else 1e-5), name


def test_a_network_of_whole_numbers_has_no_real_one(tmp_path: Path) -> None:
    needs_compiler()
    made = small_net()
    told = written(made, tmp_path / "c", logits=False)
    assert any("no real number" in line for line in told)
    text = (tmp_path / "c" / "bnn.c").read_text() + (tmp_path / "c" / "bnn_data.h").read_text()
    assert "float" not in text
    assert "double" not in text
    opened = TARGET.open
    assert opened is not None
    images = images_of(made, 200)
    wanted = PackedModel.from_parts(header_of(made), made.tensors)(images).argmax(axis=1)
    found = opened(tmp_path / "c").logits(images)
    assert np.array_equal(found.argmax(axis=1), wanted)
    assert len(set(wanted)) > 3


def test_both_ways_of_answering_agree(tmp_path: Path) -> None:
    needs_compiler()
    made = small_net(1)
    written(made, tmp_path / "c", prefix="digits")
    folder, images = tmp_path / "c", images_of(made, 100)
    program = compiled(folder, "-O2", *WATCHED, prefix="digits")
    header = header_of(made)
    wanted = PackedModel.from_parts(header, made.tensors)(images)
    assert np.array_equal(logits_of(program, images, 10), wanted)
    lines = subprocess.run([str(program)], input=images.tobytes(), capture_output=True, check=True).stdout
    assert [int(line.split()[0]) for line in lines.splitlines()] == wanted.argmax(axis=1).tolist()


def test_the_self_test_notices_a_wrong_bit(tmp_path: Path) -> None:
    needs_compiler()
    if shutil.which("make") is None:
        pytest.skip("needs make")
    made, folder = small_net(2), tmp_path / "c"
    written(made, folder)
    make = ["make", "-s", "-C", str(folder), "check", "CC=cc"]
    assert subprocess.run(make, capture_output=True, check=False).returncode == 0
    data = (folder / "bnn_data.h").read_text()
    at = data.index("0x", data.index("second_1_words"))
    digit = "0" if data[at + 2] != "0" else "f"
    (folder / "bnn_data.h").write_text(data[: at + 2] + digit + data[at + 3 :])
    found = subprocess.run(make, capture_output=True, text=True, check=False)
    assert found.returncode
    assert "faults" in found.stdout


def test_what_was_written_is_recognised_and_run(tmp_path: Path) -> None:
    needs_compiler()
    made, folder = small_net(3), tmp_path / "c"
    written(made, folder)
    target = recognised(folder)
    assert target is TARGET
    assert target.open is not None
    opened = target.open(folder)
    images = images_of(made, 5)
    header = header_of(made)
    assert opened.header == header
    assert "C99" in opened.runtime
    assert np.array_equal(opened.logits(images), PackedModel.from_parts(header, made.tensors)(images))
    with pytest.raises(DataError, match="takes"):
        opened.logits(images[:, :5])
    (folder / "bnn.c").write_text("no C\n")
    with pytest.raises(DataError, match="does not compile"):
        target.open(folder)


@pytest.mark.parametrize("kind", ["gcn", "lcn", "zca"])
def test_preprocessing_without_a_form_in_c_is_refused(kind: Any, tmp_path: Path) -> None:
    made = single_conv(source="f32")
    header = header_of(made)
    images = header.images.model_copy(update={"preprocess": (Preprocess(kind=kind),)})
    content = Content(header.model_copy(update={"images": images}), made.tensors)
    with pytest.raises(ExportError, match=f"{kind} has no form in C"):
        TARGET.write(content, tmp_path / "c", TARGET.options())
    assert not (tmp_path / "c").exists()


def test_answers_that_need_reals_are_told(tmp_path: Path) -> None:
    made = single_conv(source="f32", weight="f32")
    content = Content(header_of(made), made.tensors)
    with pytest.raises(ExportError, match="leave logits=false out"):
        TARGET.write(content, tmp_path / "c", TARGET.options.model_validate({"logits": False}))


def test_maps_beyond_the_runtime_are_refused_by_name(tmp_path: Path) -> None:
    made = single_conv(size=(1, 40_000), geometry=Geometry(kernel=(1, 1)), channels=1, outputs=1)
    with pytest.raises(ExportError, match=r"a side of its input is 40000; the C runtime counts to 32767"):
        written(made, tmp_path / "c")


def test_thresholds_of_reals_become_limits_of_sums() -> None:
    """Flipped or not, rising or falling: the bits are those of the real comparison, for every sum."""
    for seed in range(6):
        made = small_net(seed)
        program, tensors = in_whole_numbers(made.program, made.tensors)
        first = program.steps[0]
        assert isinstance(first, Conv)
        assert first.epilogue == Epilogue()
        assert first.thresholds is not None
        assert tensors[first.thresholds.tensor].dtype == np.int32
        x = random_input(made.program, 20, seed)
        before = reference.build(made.program, made.tensors).step(0, {0: x}, 1)
        after = reference.build(program, tensors).step(0, {0: x}, 1)
        assert np.array_equal(before[1], after[1])


def _tail(rng: np.random.Generator, spread: float) -> tuple[Epilogue, dict[str, Any]]:
    a = rng.normal(0, 0.05, 10).astype(np.float32)
    b = rng.normal(0, spread, 10).astype(np.float32)
    return Epilogue(norm=("a", "b")), {"a": a, "b": b}


def test_whole_scores_answer_as_the_logits_do() -> None:
    rng = np.random.default_rng(0)
    kinds = set()
    for spread in (0.0, 1e-6, 1.0, 50.0):
        e, tensors = _tail(rng, spread)
        sums = np.arange(-576, 577, 2)
        found = scores(e, tensors, 10, sums)
        assert found is not None
        kinds.add(found.kind)
        reach = scored(found, sums)
        product = sums[:, None] * tensors["a"].astype(np.float64) + tensors["b"].astype(np.float64)
        logits = product.astype(np.float32)  # exact in float64 here, so rounded once
        picks = rng.integers(0, len(sums), (20_000, 10))
        own = np.take_along_axis(reach, picks, axis=0).argmax(axis=1)
        assert np.array_equal(own, np.take_along_axis(logits, picks, axis=0).argmax(axis=1))
    assert "int32_t" in kinds


def test_scores_are_rounded_where_lines_would_part_equal_logits() -> None:
    """Two classes whose logits are equal only because float32 rounds: no line on whole numbers says so."""
    a = np.array([1.0, 1.0], np.float32)
    b = np.array([2.0**20, 2.0**20 + 0.0625], np.float32)
    sums = np.arange(-20, 21)
    found = scores(Epilogue(norm=("a", "b")), {"a": a, "b": b}, 2, sums)
    assert found is not None
    logits = (sums[:, None] * a.astype(np.float64) + b.astype(np.float64)).astype(np.float32)
    reach = scored(found, sums)
    assert np.array_equal(
        np.sign(reach[:, None, 0] - reach[None, :, 1]), np.sign(logits[:, None, 0] - logits[None, :, 1])
    )


def test_no_scores_where_the_tail_is_no_line() -> None:
    tensors = {"s": np.array([1e30, 1.0], np.float32), "b": np.ones((1, 2), np.float32)}
    sums = np.arange(-8, 9)
    assert scores(Epilogue(scale="s", bias="b", gate=1), tensors, 2, sums) is None
    bent = Epilogue(scale="s", bias="b", activation="hardtanh")
    found = scores(bent, tensors, 2, sums)
    assert found is None or isinstance(found, Scores)


def test_values_that_are_needed_together_lie_apart() -> None:
    for _, made in list(programs().items())[::7]:
        plan = planned(made.program, prepares=False, head=False)
        taken: dict[int, set[int]] = {}
        for at, job in enumerate(plan.jobs):
            needed = {job.step.input, *job.written}
            for v in needed:
                taken.setdefault(at, set())
                own = set(range(plan.places[v], plan.places[v] + plan.sizes[v]))
                assert not taken[at] & own, (v, job.step.layer)
                taken[at] |= own
                assert max(own) < plan.words


def test_a_pooling_of_bits_never_makes_the_larger_map() -> None:
    made = small_net()
    plan = planned(made.program, prepares=False, head=True)
    values = made.program.values
    assert [job.step.layer for job in plan.jobs] == ["first", "second", "last"]
    assert plan.words == 2 * 14 * 14 + 7 * 7 * 2
    assert words_of(values[0]) == 49


def test_pieces_are_cut() -> None:
    text = "a\n//: if x y\nb\n//: unless z\nc\n//: end\n//: end\nd @N@\n"
    assert cut(text, {"y"}, {"N": "1"}) == "a\nb\nc\nd 1\n"
    assert cut(text, {"y", "z"}) == "a\nb\nd @N@\n"
    assert cut(text, set()) == "a\nd @N@\n"
