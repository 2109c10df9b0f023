"""Weights that a run starts from: taken by name, told, and refused where they do not fit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryLinear, binary_layers
from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.errors import BnnError, CheckpointError, RunError
from bnn_train.training.checkpoint import BEST, LAST, Checkpoint, read, write
from bnn_train.training.run import resume, start
from bnn_train.training.setup import build_model
from bnn_train.training.stages import Started, start_weights
from same_run import assert_same_run
from tiny import tiny

CPU = torch.device("cpu")
Shape = tuple[int, int, int]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the tiny network: ten classes, 6×6 pixels."""
    folder = tmp_path_factory.mktemp("source") / "run"
    start(tiny(folder, data={"num_classes": 10}, training={"epochs": 1}))
    return folder


def stored(folder: Path, section: str = "model") -> dict[str, Tensor]:
    return read(folder / "checkpoints" / BEST).section(section)


def begun(
    source: Path, *, classes: int = 10, shape: Shape = (1, 6, 6), init: Any = None, **changes: Any
) -> tuple[nn.Module, Started]:
    """A network as it is before the first step, and what was told of it."""
    begins = {"checkpoint": str(source), **(init or {})}
    training = {**changes.pop("training", {}), "init_from": begins}
    e = tiny(source / "unused", data={"num_classes": classes}, training=training, **changes)
    model = build_model(e, shape, classes, CPU)
    started = start_weights(model, e)
    assert started is not None
    return model, started


def fresh(classes: int, **changes: Any) -> dict[str, Tensor]:
    e = tiny(Path("unused"), data={"num_classes": classes}, **changes)
    return build_model(e, (1, 6, 6), classes, CPU).state_dict()


@pytest.mark.parametrize("named", ["folder", "file"])
def test_all_of_the_same_network_is_taken(named: str, source: Path) -> None:
    model, started = begun(source if named == "folder" else source / "checkpoints" / BEST)
    own = model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in stored(source).items())
    assert (len(started.took), started.left, started.missed) == (len(own), [], [])


def test_fine_tuning_to_other_classes(source: Path) -> None:
    """Ten classes → five: the last layer and the norm behind it stay as drawn from the seed."""
    model, started = begun(source, classes=5, init={"skip": ["last"]})
    own, drawn, theirs = model.state_dict(), fresh(5), stored(source)
    last = {name for name in own if name.startswith(("linear3.", "norm3."))}
    assert last == set(started.skipped)
    assert len(last) == 7
    for name, tensor in own.items():
        assert torch.equal(tensor, drawn[name] if name in last else theirs[name]), name


@pytest.mark.parametrize("skip", [["linear3.*", "norm3.*"], ["last"], ["*3.*"]])
def test_globs_and_roles_skip_alike(skip: list[str], source: Path) -> None:
    _, started = begun(source, classes=5, init={"skip": skip})
    assert all(name.startswith(("linear3.", "norm3.")) for name in started.skipped)
    assert len(started.skipped) == 7


def test_other_shapes_are_refused_with_the_way_to_skip_them(source: Path) -> None:
    with pytest.raises(RunError, match=r"linear3\.weight is 10×16 there and 5×16 in .* \(and 5 ") as told:
        begun(source, classes=5)
    assert str(told.value).endswith("skip: [last]")
    with pytest.raises(RunError, match=r"linear1\.weight is 16×36 there and 16×25") as told:
        begun(source, shape=(1, 5, 5))
    assert str(told.value).endswith("skip: [linear1.*]")
    _, started = begun(source, shape=(1, 5, 5), init={"skip": ["linear1.*"]})
    assert started.skipped == ["linear1.weight", "linear1.bias"]
    with pytest.raises(RunError, match="no tensor that the network takes"):
        begun(source, model={"width": 24}, init={"skip": ["*"]})


def test_a_pattern_that_names_nothing_is_refused(source: Path) -> None:
    with pytest.raises(RunError, match=r"skip: 'lats' is no role .*linear1, linear2, linear3"):
        begun(source, init={"skip": ["lats"]})


def test_what_only_one_side_has_is_told(source: Path) -> None:
    _, started = begun(source, model={"depth": 1}, init={"skip": ["last", "norm2.*"]})
    assert all(name.startswith(("linear3.", "norm3.")) for name in started.left)
    _, started = begun(source, model={"depth": 3}, init={"skip": ["linear3.*", "norm3.*"]})
    assert all(name.startswith(("linear4.", "norm4.")) for name in started.missed)
    told = started.told()
    assert f"missed {len(started.missed)} (linear4.weight, " in told
    assert f"took {len(started.took)} tensors" in told


def test_strict_refuses_either(source: Path) -> None:
    begun(source, init={"strict": True})
    begun(source, classes=5, init={"strict": True, "skip": ["last"]})
    with pytest.raises(RunError, match="in the file alone"):
        begun(source, model={"depth": 1}, init={"strict": True, "skip": ["linear2.*", "norm2.*"]})
    with pytest.raises(RunError, match="in the network alone"):
        begun(source, model={"depth": 3}, init={"strict": True, "skip": ["linear3.*", "norm3.*"]})


def test_the_latent_rules_hold_afterwards(source: Path) -> None:
    """From a real network, whose weights know no box."""
    e = tiny(source.parent / "real", method="fp", data={"num_classes": 10})
    real = build_model(e, (1, 6, 6), 10, CPU)
    with torch.no_grad():
        for p in real.parameters():
            p.mul_(30)
    path = source.parent / "wide.safetensors"
    write(path, Checkpoint({f"model.{n}": t for n, t in real.state_dict().items()}, state_of(e, source)))
    for method in ("bnn", "bc"):
        model, _ = begun(path, method=method)
        for name, layer in binary_layers(model):
            assert torch.equal(layer.weight, real.state_dict()[f"{name}.weight"].clamp(-1, 1))


def state_of(e: Experiment, run: Path) -> dict[str, Any]:
    return {**read(run / "checkpoints" / BEST).state, "experiment": e.model_dump(mode="json")}


def test_stored_signs_are_the_signs_of_real_weights(source: Path) -> None:
    model, _ = begun(source, method="bop", optimizer={"name": "adam", "binary": "bop"})
    theirs = stored(source)
    layers = dict(binary_layers(model))
    assert layers
    for name, layer in layers.items():
        w = theirs[f"{name}.weight"]
        assert torch.equal(layer.weight, torch.where(w < 0, -1.0, 1.0))


LEARNED = {"name": "xnor", "weight": {"scale": "learned", "gradient": "detached"}}


def test_learned_scales_begin_anew_unless_the_file_has_them(tmp_path: Path) -> None:
    """mean |w| of each row of the weights taken; from a run that has scales, its scales."""
    start(tiny(tmp_path / "plain", method="xnor", loss="cross_entropy", training={"epochs": 1}))
    start(tiny(tmp_path / "learned", method=LEARNED, loss="cross_entropy", training={"epochs": 1}))
    model, started = begun(tmp_path / "plain", classes=4, method=LEARNED, loss="cross_entropy")
    assert [name for name in started.missed if not name.endswith(".alpha")] == []
    for _, layer in binary_layers(model):
        assert isinstance(layer, BinaryLinear)
        assert layer.weight_quantizer is not None
        alpha = layer.weight_quantizer.scale.alpha
        torch.testing.assert_close(alpha, layer.weight.abs().mean(dim=1))
    model, started = begun(tmp_path / "learned", classes=4, method=LEARNED, loss="cross_entropy")
    assert started.missed == []
    theirs = stored(tmp_path / "learned")
    assert all(torch.equal(t, theirs[name]) for name, t in model.state_dict().items() if "alpha" in name)


def test_the_moving_average_is_taken_where_the_source_evaluates_it(tmp_path: Path) -> None:
    start(tiny(tmp_path / "run", training={"epochs": 1, "ema": 0.9}))
    model, _ = begun(tmp_path / "run", classes=4, training={"epochs": 1})
    averaged, last = stored(tmp_path / "run", "ema.module"), stored(tmp_path / "run")
    assert all(torch.equal(t, averaged[name]) for name, t in model.state_dict().items())
    assert not torch.equal(averaged["linear1.weight"], last["linear1.weight"])


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_run_tells_and_pins_what_it_began_with(source: Path, tmp_path: Path, capfd: Any) -> None:
    run = tmp_path / "run"
    start(
        tiny(
            run,
            data={"num_classes": 5},
            training={"init_from": {"checkpoint": str(source), "skip": ["last"]}},
        )
    )
    file = source / "checkpoints" / BEST
    told = "The weights start from …/run: took 14 tensors, skipped 7"
    assert f"note: {told}" in capfd.readouterr().err
    report = json.loads((run / "report.json").read_text())
    assert [note for note in report["notes"] if note.startswith(told)]
    assert str(source.parent) not in (run / "report.json").read_text()
    line = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert (line["event"], line["step"], line["took"], len(line["skipped"])) == ("start", 0, 14, 7)
    config = load(run / "config.yaml").training.init_from
    assert config is not None
    assert (config.checkpoint, config.sha256) == (str(source), sha256(file))
    kept = read(run / "checkpoints" / LAST).state["experiment"]["training"]["init_from"]
    assert kept["sha256"] == sha256(file)


def test_a_resumed_run_needs_the_file_no_more(source: Path, tmp_path: Path) -> None:
    begins = {"init_from": str(source)}
    straight = tiny(tmp_path / "straight", data={"num_classes": 10}, training=begins)
    start(straight)
    moved = tmp_path / "moved"
    moved.write_bytes((source / "checkpoints" / BEST).read_bytes())
    half = {"data": {"num_classes": 10}, "training": {"init_from": str(moved), "epochs": 1}}
    start(tiny(tmp_path / "half", **half))
    moved.unlink()
    again = tiny(tmp_path / "half", data={"num_classes": 10}, training={"init_from": str(tmp_path / "gone")})
    resume(tmp_path / "half", again)
    assert_same_run(tmp_path / "straight", tmp_path / "half")


def test_a_changed_file_is_refused_before_the_folder_is_touched(source: Path, tmp_path: Path) -> None:
    begins = {"checkpoint": str(source), "sha256": "0" * 64}
    with pytest.raises(CheckpointError, match=r"training.init_from: .* has SHA-256 .* means one with 000000"):
        start(tiny(tmp_path / "run", data={"num_classes": 10}, training={"init_from": begins}))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["nothing", "empty", "text.yaml", "~nobody-here/x"])
def test_what_is_no_checkpoint_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("text.yaml").write_text("method: bnn\n")
    with pytest.raises(BnnError, match=r"^training.init_from: "):
        start(tiny(tmp_path / "run", training={"init_from": name}))
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_discard_what_it_begins_with(source: Path) -> None:
    changes = {"data": {"num_classes": 10}, "run": {"overwrite": True}}
    for path in (source, source / "checkpoints" / LAST):
        with pytest.raises(RunError, match="own folder"):
            start(tiny(source, training={"init_from": str(path)}, **changes))
    assert (source / "checkpoints" / BEST).is_file()
