"""A run's folder, its report, and what evaluation may not do."""

import json
from pathlib import Path

import pytest
import torch

from bnn_train.cli.eval import main as evaluate
from bnn_train.errors import NonFiniteError, RunError
from bnn_train.training import checkpoint as ckpt
from bnn_train.training.run import start
from tiny import tiny


def test_the_run_folder(tmp_path: Path) -> None:
    report = start(tiny(tmp_path / "run", run={"tensorboard": True}))
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {
        "config.yaml",
        "manifest.json",
        "metrics.jsonl",
        "checkpoints",
        "report.json",
        "report.md",
    } <= names
    assert any("tfevents" in path.name for path in (tmp_path / "run").rglob("*"))
    assert {p.name for p in (tmp_path / "run" / "checkpoints").iterdir()} == {
        "last.safetensors",
        "best.safetensors",
        "previous.safetensors",
    }
    written = json.loads((tmp_path / "run" / "report.json").read_text())
    assert written["top1"] == pytest.approx(report["top1"])
    assert written["total"] == 50
    assert sum(map(sum, written["confusion"])) == 50
    assert written["top1"] == pytest.approx(100 * written["correct"] / 50)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["seed"] == 3


@pytest.mark.parametrize("method", ["bnn", "bc_stochastic", "xnor", "fp"])
@pytest.mark.parametrize("select", ["validation", "last", "test"])
def test_eval_reproduces_the_report_from_the_checkpoint_alone(
    method: str, select: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = start(tiny(tmp_path / "run", method=method, training={"select": select, "ema": 0.5}))
    copied = tmp_path / "elsewhere.safetensors"
    copied.write_bytes((tmp_path / "run" / "checkpoints" / "best.safetensors").read_bytes())
    before = copied.read_bytes()
    for size in ("1", "7", "500"):
        out = tmp_path / "out.json"
        assert evaluate(["--checkpoint", str(copied), "--batch-size", size, "--json", str(out)]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == f"top-1 {report['top1']:.2f} %"
        assert json.loads(out.read_text())["correct"] == report["correct"]
    assert copied.read_bytes() == before


def test_same_seed_same_bits_and_another_seed_other_bits(tmp_path: Path) -> None:
    digests = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        start(tiny(tmp_path / name, seed=seed))
        tensors = ckpt.read(tmp_path / name / "checkpoints" / "last.safetensors").section("model")
        digests.append(torch.cat([t.flatten().double() for t in tensors.values()]))
    assert torch.equal(digests[0], digests[1])
    assert not torch.equal(digests[0], digests[2])


def test_training_learns(tmp_path: Path) -> None:
    report = start(tiny(tmp_path / "run", data={"train_limit": 400}, training={"epochs": 8}))
    assert report["top1"] > 60


def test_selection_takes_the_best_validation_epoch_and_the_later_of_equals(tmp_path: Path) -> None:
    report = start(tiny(tmp_path / "run", training={"epochs": 6}))
    scores = [entry["validation_top1"] for entry in report["history"]]
    assert report["best_epoch"] == max(range(6), key=lambda e: (scores[e], e)) + 1


def test_an_earlier_run_is_not_overwritten(tmp_path: Path) -> None:
    start(tiny(tmp_path / "run"))
    before = (tmp_path / "run" / "report.json").read_bytes()
    with pytest.raises(RunError, match="holds an earlier run"):
        start(tiny(tmp_path / "run"))
    assert (tmp_path / "run" / "report.json").read_bytes() == before
    start(tiny(tmp_path / "run", run={"overwrite": True}))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("precious")
    with pytest.raises(RunError, match="not a run folder"):
        start(tiny(tmp_path / "other", run={"overwrite": True}))
    assert (tmp_path / "other" / "thesis.tex").exists()


@pytest.mark.parametrize(
    "looks", [{"log_every": 1}, {"log_every": 50}, {"log_every": 50, "checkpoint_every": 2}]
)
def test_nan_in_a_latent_weight_stops_the_run_though_the_loss_is_finite(
    looks: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bnn_train.binary.latent import enforce

    def poison(model: torch.nn.Module) -> None:
        enforce(model)
        with torch.no_grad():
            next(iter(model.parameters()))[0, 0] = float("nan")

    monkeypatch.setattr("bnn_train.training.step.enforce", poison)
    with pytest.raises(NonFiniteError, match=r"the parameter linear1\.weight is no longer finite"):
        start(tiny(tmp_path / "run", training=looks))
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_a_diverging_loss_stops_the_run(tmp_path: Path) -> None:
    changes = {"method": "fp", "optimizer": {"name": "sgd", "lr": 1e30}, "loss": "cross_entropy"}
    with pytest.raises(NonFiniteError, match=r"the training loss is no longer finite at step 2 \(epoch 1, "):
        start(tiny(tmp_path / "run", **changes))


def test_mixed_precision_rounds_the_products_to_bfloat16(tmp_path: Path) -> None:
    """So the loss is another, but nearly the same."""
    losses = []
    for amp in ("none", "bf16"):
        report = start(tiny(tmp_path / amp, method="fp", training={"amp": amp, "epochs": 1}))
        losses.append(report["history"][0]["train_loss"])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_gradient_accumulation_equals_one_large_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a network without batch norm, two batches of 16 are one of 32."""
    from bnn_train.training import beginning, restore

    def plain(*args: object) -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 4))

    monkeypatch.setattr(beginning, "build_model", plain)
    monkeypatch.setattr(restore, "build_model", plain)
    weights = []
    for name, size, accumulate in (("large", 32, 1), ("accumulated", 16, 2)):
        changes = {
            "optimizer": {"name": "sgd", "lr": 0.1},
            "method": "fp",
            "data": {"batch_size": size, "train_limit": 64},
        }
        start(tiny(tmp_path / name, training={"accumulate": accumulate}, **changes))
        weights.append(
            ckpt.read(tmp_path / name / "checkpoints" / "last.safetensors").tensors["model.1.weight"]
        )
    assert not torch.equal(weights[0], plain()[1].weight)  # type: ignore[index]
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-5, atol=1e-6)


def test_resuming_a_finished_run_repeats_its_report_and_lists_the_start(tmp_path: Path) -> None:
    from bnn_train.report.metrics import read_metrics
    from bnn_train.training.run import resume

    report = start(tiny(tmp_path / "run"))
    assert resume(tmp_path / "run", None)["correct"] == report["correct"]
    events = [entry["event"] for entry in read_metrics(tmp_path / "run" / "metrics.jsonl")]
    assert events.count("test") == 1
    starts = json.loads((tmp_path / "run" / "manifest.json").read_text())["starts"]
    assert [entry["from_step"] for entry in starts] == [0, 10]
