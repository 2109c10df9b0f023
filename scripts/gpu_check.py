"""Everything that is to be measured on a GPU, in parts that end in under four minutes each.

    python scripts/gpu_check.py --rehearse --out rehearsal.json            # all of it, tiny, on a CPU
    python scripts/gpu_check.py pack --data data --parts parts             # before: what that machine needs
    python scripts/gpu_check.py tests --out gpu.json                       # on it
    python scripts/gpu_check.py throughput --out gpu.json
    python scripts/gpu_check.py speedrun --parts parts --out gpu.json
    python scripts/gpu_check.py recipe xnor_resnet20 --parts parts --out gpu.json

A call leaves off in time and writes what it has; the same command goes on. See scripts/GPU.md.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from bnn_train.cli import terminal
from bnn_train.cli.common import guarded, path_argument
from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment, Run
from bnn_train.errors import DataError
from bnn_train.training.setup import choose_device
from gpu.parts import gathered, pack
from gpu.results import Results
from gpu.throughput import NETWORKS, measure_all
from gpu.whole_run import WholeRun

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 200.0
"""A call begins nothing new after so long; with what is under way it stays below four minutes."""
TINY = (
    "data={name: digits, image_size: 16, batch_size: 32, eval_batch_size: 100}",
    "data={train_limit: 96, test_limit: 100, augment: [pad_crop_flip], normalize: [mean_std]}",
    "model.width=8",
    "training={epochs: 2, amp: none}",
)
"""The rehearsal's images: the embedded digits."""


def tests(results: Results, args: argparse.Namespace) -> None:
    """(a) The tests that need a GPU."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "gpu",
        "-p",
        "no:cacheprovider",
        "tests/unit/test_gpu.py",
    ]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False, timeout=results.left
    )
    counts = {kind: int(n) for n, kind in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)}
    last = (done.stdout.strip() or done.stderr.strip() or "nothing was said").splitlines()
    results.add(
        "tests",
        "gpu",
        {"exit_code": done.returncode, **counts, "end": last[-25:] if counts.get("failed") else last[-1]},
    )


def throughput(results: Results, args: argparse.Namespace) -> None:
    """(b) Images a second."""
    batch, steps = (2, 1) if args.rehearse else (args.batch, 50)
    measure_all(results, tuple(args.networks), batch, steps, rehearse=args.rehearse)


def speedrun(results: Results, args: argparse.Namespace) -> None:
    """(c) Seconds from the first step to the target, for each seed."""
    target = 15.0 if args.rehearse else args.target
    for seed in range(1 if args.rehearse else args.seeds):
        name = f"{args.config.stem} seed {seed}"
        taken = [entry["call_s"] for entry in results.of("speedrun").values()]
        if name in results.of("speedrun"):
            continue
        if taken and results.left < 1.2 * max(taken):
            print(f"speedrun: out of time before {name}; the same command goes on")
            return
        before = results.left
        run = WholeRun(
            _experiment(args.config, args, f"seed={seed}"), results.device, args.mode, rehearse=args.rehearse
        )
        p = run.train_to(target)
        results.add(
            "speedrun",
            name,
            {
                "seconds_to_target": p.reached,
                "with_evaluations": p.reached_with_evaluations,
                "target": target,
                "best_top1": max(point[1] for point in p.curve),
                "start_s": run.start_s,
                "call_s": before - results.left,
                "mode": args.mode,
                "settings": args.set,
                "curve": p.curve,
            },
        )


def recipe(results: Results, args: argparse.Namespace) -> None:
    """(d) A shipped recipe in full, over as many calls as it takes."""
    for name in args.recipes:
        stored = results.of("recipe").get(name)
        if stored is not None and stored["finished"]:
            continue
        experiment = _experiment(ROOT / "configs" / "cifar10" / f"{name}.yaml", args)
        run = WholeRun(experiment, results.device, args.mode, rehearse=args.rehearse)
        state = args.parts / f"{name}.safetensors"
        if stored is not None:
            if not state.is_file():
                raise DataError(
                    f"{state}: no such file, but {args.out} tells of {stored['epoch']} epochs; remove one"
                )
            run.restore(state, {key: stored[key] for key in asdict(run.progress)})
        for p in run.epochs():
            if results.left < 2 * (p.seconds + p.evaluating) / p.epoch:
                break
        args.parts.mkdir(parents=True, exist_ok=True)
        run.save(state)
        finished = run.progress.epoch >= experiment.training.epochs
        results.add(
            "recipe",
            name,
            {
                "finished": finished,
                "top1": run.progress.curve[-1][1],
                "published": experiment.reference.top1 if experiment.reference else None,
                "mode": args.mode,
                "settings": args.set,
                **asdict(run.progress),
            },
        )
        if not finished:
            print("recipe: out of time; the same command goes on")
            return


def _experiment(path: Path, args: argparse.Namespace, *more: str) -> Experiment:
    if args.rehearse:
        return load(path, [*args.set, *TINY, *more])
    return load(path, [*args.set, f"data.root={gathered(args.parts)}", *more])


PARTS = {"tests": tests, "throughput": throughput, "speedrun": speedrun, "recipe": recipe}


def run(args: argparse.Namespace) -> None:
    """One part, or all of them as a rehearsal."""
    if args.part == "pack":
        pack(args.data, args.parts, args.python)
        return
    device = choose_device(_surroundings(args))
    results = Results(args.out, device, 3600.0 if args.rehearse else args.seconds)
    if args.part is not None:
        PARTS[args.part](results, args)
        return
    with tempfile.TemporaryDirectory() as place:
        args.parts = Path(place)
        for part in PARTS.values():
            part(results, args)


def _surroundings(args: argparse.Namespace) -> Run:
    if args.rehearse:
        return Run(device="cpu", threads=1)
    return Run(device="cuda", tf32=args.tf32)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="gpu_check.py", description=(__doc__ or "").splitlines()[0])
    p.add_argument("part", nargs="?", choices=("pack", *PARTS), help="with --rehearse: all of them")
    p.add_argument("recipes", nargs="*", default=["xnor_resnet20"], help="recipe: names of configs/cifar10")
    p.add_argument("--rehearse", action="store_true", help="tiny, on the CPU")
    p.add_argument(
        "--out", type=path_argument, default=Path("gpu.json"), help="the results (default gpu.json)"
    )
    p.add_argument(
        "--parts", type=path_argument, default=Path("parts"), help="what pack made, and runs' states"
    )
    p.add_argument(
        "--data", type=path_argument, default=Path("data"), help="pack: holds cifar-10-batches-py/"
    )
    p.add_argument("--python", default="3.12", help="pack: that of the machine (default 3.12)")
    p.add_argument(
        "--seconds", type=float, default=SECONDS, help=f"begin nothing after (default {SECONDS:.0f})"
    )
    p.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    p.add_argument("--batch", type=int, default=512, help="throughput: images a step (default 512)")
    p.add_argument("--config", type=path_argument, default=Path(__file__).parent / "gpu" / "speedrun.yaml")
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--target", type=float, default=90.0, help="speedrun: top-1 in per cent (default 90)")
    p.add_argument("--mode", choices=("eager", "compiled", "graphs"), default="compiled")
    p.add_argument(
        "--set", action="append", default=[], metavar="A.B=C", help="over the config, as elsewhere"
    )
    p.add_argument("--tf32", action="store_true", help="allow TF32, which the results tell")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    terminal.prepare()
    p = parser()
    args = p.parse_args(argv)
    if args.part is None and not args.rehearse:
        p.error("name a part, or give --rehearse for all of them")
    for name in ("seconds", "batch", "seeds", "target"):
        if not getattr(args, name) > 0:
            p.error(f"--{name} must be more than 0")
    torch.manual_seed(0)
    return guarded(lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
