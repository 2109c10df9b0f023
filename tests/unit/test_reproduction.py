"""The tables of scripts/reproduce.py: complete, loadable, shortened as they say, judged as they should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.errors import RunError
from bnn_train.training.schedules import learning_rate
from reproduction.curves import curve_of, curves
from reproduction.outcomes import Outcome
from reproduction.plans import Options, digest, planned
from reproduction.publish import published
from reproduction.results import markdown, row_result, table_result, verdict
from reproduction.shorten import shortening
from reproduction.tables import TABLES, Row, chosen, table_of

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = Options(out=Path("out"))
ROWS = [(table, row) for table in TABLES.values() for row in table.rows]
ALL_ROWS = pytest.mark.parametrize(("table", "row"), ROWS, ids=[f"{t.name}-{r.name}" for t, r in ROWS])
ASKED_FOR = {
    *("mnist-one-protocol", "mnist-bc", "mnist-bnn", "cifar10-one-protocol", "cifar10-bc", "cifar10-bnn"),
    *("cifar10-resnet20", "cifar10-vgg-small", "svhn", "imagenet-alexnet", "imagenet-resnet18"),
    "xnor-ablations",
}


def test_the_tables_have_their_names() -> None:
    assert set(TABLES) >= ASKED_FOR
    for table in TABLES.values():
        names = [row.name for row in table.rows]
        assert len(set(names)) == len(names)
        assert (ROOT / "configs" / table.folder).is_dir()


def test_every_config_of_the_four_methods_with_a_published_number_is_in_a_table() -> None:
    in_tables = {row.config for _, row in ROWS}
    for path in (ROOT / "configs").rglob("*.yaml"):
        experiment, name = load(path), str(path.relative_to(ROOT / "configs").with_suffix(""))
        core = experiment.method.name.partition("_")[0] in {"bc", "bnn", "bwn", "xnor"}
        if core and experiment.reference.band is not None:
            assert name in in_tables


@ALL_ROWS
def test_every_row_loads_in_full_and_cut(table: Any, row: Row) -> None:
    full = planned(row, OPTIONS)
    assert full.experiment(2).seed == 2
    assert full.experiment(2).run.dir == f"out/full/{row.name}/seed2"
    cut = planned(row, Options(out=Path("out"), fast=3))
    assert cut.experiment(1).training.epochs == 3
    assert cut.published.training.epochs == full.experiment(1).training.epochs
    assert cut.experiment(1).run.dir == f"out/fast3/{row.name}/seed1"


@ALL_ROWS
def test_a_cut_schedule_is_the_whole_one_moved_along(table: Any, row: Row) -> None:
    """The rate at a tenth of the way is that of the whole run at a tenth of its way."""
    whole = planned(row, OPTIONS).experiment(1)
    epochs = whole.training.epochs
    cut = planned(row, Options(out=Path("out"), fast=epochs // 2)).experiment(1)
    for at in range(epochs // 2):
        if _changes_within(whole, 2 * at):
            continue
        assert _rate(cut, at) == pytest.approx(_rate(whole, 2 * at * epochs / (epochs // 2 * 2)), rel=0.05)


def _rate(e: Experiment, epoch: float) -> float:
    schedule = e.schedule.model_copy(update={"per": "step"})
    steps = round(epoch * 1000)
    return learning_rate(schedule, e.optimizer.lr, step=steps, steps_per_epoch=1000, epochs=e.training.epochs)


def _changes_within(e: Experiment, epoch: int) -> bool:
    """Whether the rate jumps near an epoch, where rounding to whole epochs may tell."""
    return _rate(e, max(0, epoch - 2)) > 1.4 * _rate(e, min(epoch + 2, e.training.epochs - 1))


def test_shortening_moves_everything_that_counts_epochs() -> None:
    base = {"method": "bop", "model": "mlp", "data": "mnist", "training": {"epochs": 100}}
    optimizer = {
        "name": "sgd",
        "weight_decay": 0.1,
        "weight_decay_epochs": 29,
        "binary": {"name": "bop", "gamma_every": 50},
    }
    schedule = {"name": "step", "every": 30, "warmup": 10.0}
    e = Experiment.model_validate(base | {"optimizer": optimizer, "schedule": schedule})
    assert shortening(e, 10) == [
        "training.epochs=10",
        "schedule.warmup=1.0",
        "schedule.at=[3.0, 6.0, 9.0]",
        "schedule.every=null",
        "optimizer.weight_decay_epochs=3",
        "optimizer.binary.gamma_every=5",
    ]
    assert shortening(e, 100) == []
    assert shortening(e, None) == []


def test_a_shortened_table_leaves_nothing_of_the_old_one() -> None:
    e = load(ROOT / "configs/imagenet/fp_alexnet.yaml")
    cut = load(ROOT / "configs/imagenet/fp_alexnet.yaml", shortening(e, 20))
    rates = [_rate(cut, epoch) for epoch in range(20)]
    assert rates == [1e-2] * 7 + [5e-3] * 4 + [1e-3] * 5 + [5e-4] * 3 + [1e-4]


def test_the_digest_asks_what_a_result_depends_on() -> None:
    row = TABLES["mnist-one-protocol"].rows[0]
    one, two = (planned(row, Options(out=Path(p), root=p, threads=n)) for p, n in (("a", 1), ("b", 2)))
    assert digest(one.experiment(1)) == digest(two.experiment(1))
    assert digest(one.experiment(1)) != digest(one.experiment(2))
    assert digest(one.experiment(1)) != digest(planned(row, Options(out=Path("a"), fast=9)).experiment(1))


def outcome(score: float, **other: Any) -> Outcome:
    told = {
        "config": {},
        "top1": score,
        "wall_time_s": 60.0,
        "selection": "validation",
        "total": 10_000,
        "classes": ("a",) * 10,
        "versions": {"torch": "2.x"},
        "history": (),
        "machine": {"cpu": "a CPU", "threads": 2, "gpus": []},
        "commit": "abc",
        "date": "2026-01-02",
    }
    return Outcome.model_validate(told | other)


def outcomes_of(*scores: float, **other: Any) -> dict[int, Outcome]:
    return {seed: outcome(score, **other) for seed, score in enumerate(scores, start=1)}


@pytest.mark.parametrize(
    ("scores", "options", "told"),
    [
        ((98.5, 98.6), {}, "inside the band"),  # published 98.53 ± 0.2
        ((98.2,), {}, "outside the band, below it"),
        ((98.8,), {}, "outside the band, above it"),
        ((98.33,), {}, "inside the band"),  # the edge itself, whatever float makes of 98.53 − 98.33
        ((98.73,), {}, "inside the band"),
        ((98.5,), {"sets": ("data.workers=4", "run.device=cpu")}, "inside the band"),
        ((98.5,), {"fast": 50}, "inside the band"),  # nothing to cut
        ((98.5,), {"sets": ("training.epochs=10",)}, "not comparable: 10 of 50 epochs"),
        ((98.5,), {"fast": 5}, "not comparable: 5 of 50 epochs"),
        ((98.5,), {"sets": ("data.train_limit=100",)}, "not comparable: data.train_limit=100"),
        ((), {}, "not run"),
    ],
)
def test_verdicts(scores: tuple[float, ...], options: dict[str, Any], told: str) -> None:
    plan = planned(chosen(table_of("mnist-one-protocol"), "bnn_mlp")[0], Options(out=Path("o"), **options))
    result = row_result(plan, outcomes_of(*scores))
    assert result["verdict"] == told
    assert result["published"] == 98.53


def test_mean_and_deviation_over_the_seeds() -> None:
    plan = planned(chosen(table_of("mnist-one-protocol"), "bnn_mlp")[0], OPTIONS)
    result = row_result(plan, outcomes_of(98.0, 99.0))
    assert (result["mean"], result["difference"]) == (98.5, pytest.approx(-0.03))
    assert result["std"] == pytest.approx(0.5**0.5)
    assert row_result(plan, outcomes_of(98.0))["std"] is None


def test_numbers_without_a_band_or_for_changed_rows_are_not_judged() -> None:
    copied = planned(chosen(table_of("cifar10-vgg-small"), "bnn_vgg_small")[0], OPTIONS)
    assert row_result(copied, outcomes_of(89.9))["verdict"].startswith("not comparable: the published number")
    ablation = planned(chosen(table_of("xnor-ablations"), "k")[0], OPTIONS)
    assert row_result(ablation, outcomes_of(99.0))["verdict"] == "no published number"
    assert verdict({"mean": None, "failed": {}}) == "not run"
    assert verdict({"mean": None, "failed": {"1": "the loss is NaN"}}) == "failed: the loss is NaN"


def test_a_changed_row_may_have_its_own_published_number() -> None:
    row = chosen(table_of("imagenet-alexnet"), "xnor_alexnet_c_b_a_p")[0]
    result = row_result(planned(row, OPTIONS), outcomes_of(30.6, total=50_000, classes=("a",) * 1000))
    assert (result["published"], result["band"], result["verdict"]) == (30.3, 0.4, "inside the band")
    assert result["source"] == "XNOR-Net, table 3: order C-B-A-P"


def section(score: float) -> dict[str, Any]:
    table = table_of("mnist-one-protocol")
    options = Options(out=Path("o"), fast=5)
    plan = planned(table.rows[0], options)
    return table_result(table, [row_result(plan, outcomes_of(score, score + 1))], options)


def test_every_line_says_that_it_was_cut() -> None:
    text = markdown(section(97.0))
    assert "**Cut to at most 5 epochs, schedules moved along.**" in text
    assert "| `fp_mlp` | 98.81 | ±0.2 | 97.50 ± 0.71 | 2 | −1.31 | 5 of 50 | 1.0 | not comparable" in text
    assert (
        "`mnist-one-protocol`, 2026-01-02, a CPU, 2 threads, 2.0 min of training, revision abc; torch 2.x;"
        " reported epoch: validation."
    ) in text
    assert "bnn-train --config configs/mnist/fp_mlp.yaml --set training.epochs=5" in text


def test_curves_stand_at_round_epochs_and_at_the_last() -> None:
    """Accuracy becomes error, shares become per cent; a row with fewer epochs leaves cells empty."""
    long = [{"epoch": n, "validation_top1": 100 - 10 / n, "flip_rate": 1 / n} for n in range(1, 13)]
    short = [{"epoch": 1, "validation_top1": 90.0, "flip_rate": None}]
    rows = [{"row": name, "curve": curve_of(h)} for name, h in (("a", long), ("b", short))]
    assert curves(rows)[0].splitlines() == [
        "| first seed, epoch | 1 | 2 | 3 | 5 | 7 | 10 | 12 |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| `a`, validation error % | 10.00 | 5.00 | 3.33 | 2.00 | 1.43 | 1.00 | 0.83 |",
        "| `b`, validation error % | 10.00 |  |  |  |  |  |  |",
        "| `a`, flips % of the weights | 100.00 | 50.00 | 33.33 | 20.00 | 14.29 | 10.00 | 8.33 |",
    ]
    assert curves([{"row": "c", "curve": curve_of([])}]) == []


def test_publishing_replaces_the_tables_own_section_alone(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text(published(path, section(90.0)))
    path.write_text(published(path, section(91.0) | {"table": "another"}))
    both = path.read_text()
    assert both.startswith("# Results")
    path.write_text(published(path, section(92.0)))
    text = path.read_text()
    assert ("90.50" in both, "90.50" in text) == (True, False)
    assert text.index("92.50") < text.index("91.50")
    assert text == both.replace("90.50", "92.50").replace("−8.31", "−6.31")


def test_a_section_of_its_own_for_a_cut_table(tmp_path: Path) -> None:
    """Full and cut results stand beside each other."""
    path = tmp_path / "RESULTS.md"
    path.write_text(published(path, section(90.0)))
    path.write_text(published(path, section(91.0) | {"fast": None}))
    text = path.read_text()
    assert "<!-- table mnist-one-protocol fast5 -->" in text
    assert "<!-- table mnist-one-protocol -->" in text


def test_publishing_loses_no_number(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    plans = [planned(row, OPTIONS) for row in table_of("mnist-one-protocol").rows[:2]]
    both, one = (
        table_result(
            table_of("mnist-one-protocol"),
            [row_result(plans[0], outcomes_of(98.0)), row_result(plans[1], second)],
            OPTIONS,
        )
        for second in (outcomes_of(98.0), {})
    )
    path.write_text(published(path, one))
    assert "| `bc_mlp` | 98.72 | ±0.2 |  | 0 |" in path.read_text()
    path.write_text(published(path, both))
    with pytest.raises(RunError, match="has numbers for bc_mlp, which --out does not hold"):
        published(path, one)
    path.write_text(path.read_text().replace("<!-- end of", "<!-- fin of"))
    with pytest.raises(RunError, match="the line '<!-- end of mnist-one-protocol -->' is missing"):
        published(path, both)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RunError, match="is not UTF-8 text"):
        published(path, both)


def test_what_made_the_runs_is_told_of_the_runs() -> None:
    """Two machines, two days, two revisions; a GPU that a run did not use is not named."""
    plan = planned(chosen(table_of("mnist-one-protocol"), "bnn_mlp")[0], OPTIONS)
    gpu = {"cpu": "b CPU", "threads": 1, "gpus": ["a GPU"]}
    found = {
        1: outcome(98.0, machine=gpu, config={"run": {"device": "cpu"}}, date="2026-01-03", commit="def"),
        2: outcome(98.0, machine=gpu),
    }
    text = markdown(table_result(table_of("mnist-one-protocol"), [row_result(plan, found)], OPTIONS))
    assert (
        "2026-01-02–2026-01-03, b CPU, 1 thread / a GPU, b CPU, 1 thread, 2.0 min of training,"
        " revision def / abc;"
    ) in text


def test_a_sample_is_not_the_data_set() -> None:
    plan = planned(chosen(table_of("imagenet-resnet18"), "xnor_resnet18")[0], OPTIONS)
    few = row_result(plan, outcomes_of(51.2, total=500, classes=("a",) * 10))
    assert few["verdict"] == "not comparable: 500 of 50,000 test images"
    narrow = row_result(plan, outcomes_of(51.2, total=50_000, classes=("a",) * 10))
    assert narrow["verdict"] == "not comparable: 10 of 1,000 classes"


def test_a_step_schedule_without_a_drop_can_be_cut() -> None:
    row = chosen(table_of("mnist-bnn"), "bnn_stochastic_mlp")[0]
    cut = planned(row, Options(out=Path("o"), fast=5, sets=("training.epochs=15",))).experiment(1)
    assert [_rate(cut, epoch) for epoch in range(5)] == [cut.optimizer.lr] * 5


def test_names_that_are_none_are_told() -> None:
    with pytest.raises(RunError, match=r"did you mean mnist-bnn\?"):
        table_of("mnist-bn")
    with pytest.raises(RunError, match="no row 'x'; its rows: fp_mlp, "):
        chosen(table_of("mnist-one-protocol"), "fp_mlp,x")
