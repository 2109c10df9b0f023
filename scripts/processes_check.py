"""Two processes against one: the same runs, what ends them, and how they go on; as Markdown tables.

    python scripts/processes_check.py [--epochs 2] [--folder FOLDER] [--only PART] [--device cpu]

Every run is `torchrun … -m bnn_train --config configs/quickstart.yaml` with settings, on packaged digits.
`weights`: one process and two and, since the order of sums is all that differs, one on two threads. `ends`:
killed processes, signals, mistakes, and runs that go on with two processes or one. `nodes`: two launches that
meet by rendezvous; a process of one is killed and restarted. `speed`, only if asked for: images/s of both.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from bnn_train.cli import terminal
from bnn_train.cli.common import path_argument
from bnn_train.report.metrics import read_metrics
from bnn_train.training.checkpoint import LAST, read

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "configs" / "quickstart.yaml"
SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2"
LAUNCH_S = 600  # on a busy machine
SYNCED = ("training.sync_norms=true",)
CASES: dict[str, tuple[str, ...]] = {
    "bnn, norms of each process": (),
    "bnn, synchronised norms": SYNCED,
    "accumulation of 2 batches": (*SYNCED, "training.accumulate=2", "data.batch_size=25"),
    "shift-based norms": (*SYNCED, "method.norm.kind=shift"),
    "bc": (*SYNCED, "method=bc"),
    "bc_stochastic": (*SYNCED, "method=bc_stochastic"),
    "bnn with dropout": (*SYNCED, "model.dropout=0.2"),
    "bc without norms": ("method=bc", "method.norm.kind=none", "method.block.output_norm=false"),
}
"""By what is shown, the settings over the quickstart."""


class Launches:
    """Launches of trainings in one folder."""

    def __init__(self, folder: Path, epochs: int, device: str) -> None:
        self.folder = folder
        self._settings = [f"training.epochs={epochs}", "run.tensorboard=false", f"run.device={device}"]
        keep = {key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE")}
        self._environment = {
            **keep,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
            "OMP_NUM_THREADS": "1",
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        }

    def words(self, run: str, settings: Sequence[str], *more: str, config: Path = CONFIG) -> list[str]:
        """The words of a training in the folder ``run``."""
        chosen = [*self._settings, f"run.dir={self.folder / run}", *settings]
        sets = [word for setting in chosen for word in ("--set", setting)]
        return ["-m", "bnn_train", "--config", str(config), *sets, *more]

    def begun(self, words: Sequence[str], processes: int, *options: str) -> subprocess.Popen[str]:
        """A launch that goes on in the background; one process needs no launcher."""
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), *options]
        if "--rdzv-endpoint" not in options:
            launcher += ["--master-port", str(free_port())]
        return subprocess.Popen(
            [sys.executable, *(launcher if processes > 1 or options else []), *words],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def ran(self, words: Sequence[str], processes: int, *options: str) -> tuple[int, list[str]]:
        """A launch to its end: the exit code, and the lines that are ours."""
        return ended(self.begun(words, processes, *options))


def ended(launch: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Its exit code, and the lines of its output that are ours and no launcher's."""
    out, err = launch.communicate(timeout=LAUNCH_S)
    ours = ("error: ", "stopped by", "report: ", "top-1 ", "warning: ")
    return launch.returncode, [line for line in (out + err).splitlines() if line.startswith(ours)]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def difference(one: Path, other: Path) -> str:
    """The difference of the last weights of two runs, in words."""
    a, b = (read(run / "checkpoints" / LAST).section("model") for run in (one, other))
    if a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a):
        return "equal, bit for bit"
    weights = [name for name in a if a[name].dim() > 1]
    most = max(float((a[name].double() - b[name].double()).abs().max()) for name in weights)
    signs = sum(int(((a[name] >= 0) != (b[name] >= 0)).sum()) for name in weights)
    count = sum(a[name].numel() for name in weights)
    return f"at most {most:.1g}; {100 * signs / count:.2f} % of the signs"


def result(run: Path) -> str:
    """Top-1 on the test set, and how often a report was written."""
    events = [entry["event"] for entry in read_metrics(run / "metrics.jsonl")]
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    return f"{report['top1']:.2f} ({events.count('test')} report)"


# ------------------------------------------------------------------------------------- weights


def weights(launches: Launches) -> Iterator[tuple[str, ...]]:
    """One process against two, and two against two."""
    yield "run", "weights after the run, one process and two", "top-1, one", "top-1, two", "two again"
    for number, (name, settings) in enumerate(CASES.items()):
        runs = [launches.folder / f"{number}-{how}" for how in ("one", "two", "again")]
        for run, processes in zip(runs, (1, 2, 2), strict=True):
            code, lines = launches.ran(launches.words(run.name, settings), processes)
            if code:
                raise SystemExit(f"{name}: exit code {code}: {lines}")
        one, two, again = runs
        yield name, difference(one, two), result(one), result(two), difference(two, again)
    launches.ran(launches.words("threads", ("run.threads=2",)), 1)
    one, two = launches.folder / "0-one", launches.folder / "threads"
    yield "bnn, one process on two threads", difference(one, two), result(one), result(two), ""


# ---------------------------------------------------------------------------------------- ends

OFTEN = ("training.checkpoint_every=5", "training.log_every=1", *SYNCED)


def ends(launches: Launches) -> Iterator[tuple[str, ...]]:
    """Events that end one process, and how the others and a later start take them."""
    yield "event", "exit code of torchrun", "ended after", "told", "gone on with 2", "gone on with 1"
    launches.ran(launches.words("whole", OFTEN), 2)
    events: dict[str, Callable[[subprocess.Popen[str]], object]] = {
        "SIGKILL to process 1": lambda launch: os.kill(process_of(launch, 1), signal.SIGKILL),
        "SIGKILL to process 0": lambda launch: os.kill(process_of(launch, 0), signal.SIGKILL),
        "SIGTERM to process 1": lambda launch: os.kill(process_of(launch, 1), signal.SIGTERM),
        "SIGTERM to torchrun": lambda launch: launch.terminate(),
    }
    for number, (name, act) in enumerate(events.items()):
        run = f"end-{number}"
        with going(launches, run, 7) as launch:
            act(launch)
            begun = time.monotonic()
            code, lines = ended(launch)
        row = [name, str(code), f"{time.monotonic() - begun:.0f} s", told(lines)]
        copy = launches.folder / f"{run}-one"
        subprocess.run(["cp", "-r", str(launches.folder / run), str(copy)], check=True)
        for folder, processes in ((run, 2), (copy.name, 1)):
            code, lines = launches.ran(launches.words(folder, OFTEN, "--resume"), processes)
            found = launches.folder / folder
            row.append(str(lines) if code else difference(launches.folder / "whole", found))
        yield tuple(row)
    for name, words in mistakes(launches).items():
        code, lines = launches.ran(words, 2)
        yield name, str(code), "", told(lines), "", ""


def mistakes(launches: Launches) -> dict[str, list[str]]:
    """Commands that cannot be carried out."""
    return {
        "a mistake in the config": launches.words("wrong", ["training.epoch=3"]),
        "a folder that holds a run": launches.words("whole", OFTEN),
        "--dry-run": launches.words("dry", (), "--dry-run"),
        "bnn-sweep": ["-m", "bnn_train", "sweep", str(CONFIG)],
        "batches smaller than processes": launches.words("small", ["data.batch_size=1"]),
    }


def told(lines: Sequence[str]) -> str:
    """The sentences, shortened, and how often each was said."""
    kinds = dict.fromkeys(line for line in lines if not line.startswith("warning"))
    return "; ".join(f"{lines.count(line)} × “{line[:70]}…”" for line in kinds) or "nothing"


@contextmanager
def going(launches: Launches, run: str, step: int) -> Iterator[subprocess.Popen[str]]:
    """A launch of two processes that has come as far as a step."""
    launch = launches.begun(launches.words(run, OFTEN), 2)
    try:
        wait_for(launch, launches.folder / run, step)
        yield launch
    finally:
        launch.kill()


def wait_for(launch: subprocess.Popen[str], run: Path, step: int) -> None:
    """Until the run has come as far as a step."""
    path = run / "metrics.jsonl"
    while launch.poll() is None:
        if path.is_file() and max((entry["step"] for entry in read_metrics(path)), default=0) >= step:
            return
        time.sleep(0.02)


def process_of(launch: subprocess.Popen[str], rank: int | None = None) -> int:
    """The id of a process that the launch started: of that rank, or the first."""
    for child in Path(f"/proc/{launch.pid}/task/{launch.pid}/children").read_text(encoding="ascii").split():
        environment = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        if rank is None or f"RANK={rank}".encode() in environment:
            return int(child)
    raise SystemExit(f"process {rank} is not there")


# --------------------------------------------------------------------------------------- nodes


def nodes(launches: Launches) -> Iterator[tuple[str, ...]]:
    """Two launches of one process each, which meet by rendezvous as on two machines."""
    yield "run", "exit codes", "starts", "weights, against one launch of two processes"
    launches.ran(launches.words("together", OFTEN), 2)
    for name, kills in (("to the end", False), ("a process killed once, and restarted", True)):
        run = launches.folder / f"nodes-{int(kills)}"
        options = rendezvous(free_port())
        words = launches.words(run.name, OFTEN, "--resume")
        both = [launches.begun(words, 1, *options) for _ in range(2)]
        if kills:
            wait_for(both[0], run, 7)
            os.kill(process_of(both[1]), signal.SIGKILL)
        codes = [ended(launch)[0] for launch in both]
        starts = len(json.loads((run / "manifest.json").read_text(encoding="utf-8"))["starts"])
        yield name, str(codes), str(starts), difference(launches.folder / "together", run)


def rendezvous(port: int) -> list[str]:
    """The launcher's options for two machines, with the settings under which a lost process comes back."""
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "--rdzv-id", "check"]
    return ["--nnodes", "2", *meeting, "--max-restarts", "3", "--signals-to-handle", SIGNALS]


# --------------------------------------------------------------------------------------- speed

IMAGES = "name: synthetic, shape: [3, 32, 32], train_limit: 1280, test_limit: 64, batch_size: 64"
FAST = ("method=xnor", "model=resnet20", "loss=cross_entropy", f"data={{{IMAGES}}}")


def speed(launches: Launches) -> Iterator[tuple[str, ...]]:
    """Images/s of one process and of two, on as many cores or GPUs: XNOR-Net's ResNet-20."""
    yield "processes", "images/s", "efficiency"
    alone = 0.0
    for processes, more in ((1, ()), (2, ()), (2, SYNCED)):
        run = launches.folder / f"speed-{processes}{'-synced' * bool(more)}"
        launches.ran(launches.words(run.name, (*FAST, *more)), processes)
        found = [e["images_per_s"] for e in read_metrics(run / "metrics.jsonl") if e["event"] == "epoch"][-1]
        alone = alone or found
        name = f"{processes}, synchronised norms" if more else str(processes)
        yield name, f"{found:,.0f}", f"{100 * found / alone / processes:.0f} %"


PARTS: dict[str, Callable[[Launches], Iterator[tuple[str, ...]]]] = {
    "weights": weights,
    "ends": ends,
    "nodes": nodes,
    "speed": speed,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables as they come."""
    terminal.prepare()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folder", type=path_argument)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    given: Any = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for part in given.only or ("weights", "ends", "nodes"):
            for number, row in enumerate(PARTS[part](Launches(folder, given.epochs, given.device))):
                print(f"| {' | '.join(row)} |", flush=True)
                if number == 0:
                    print(f"|{' --- |' * len(row)}", flush=True)
            print(flush=True)


if __name__ == "__main__":
    main()
