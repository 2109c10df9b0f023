"""Measures every claim about packed networks, against the peers, interleaved in one process.

    pip install -e .[bench] && pip install --no-deps bnn-lab
    python scripts/bench_packed.py layers networks [--batch 8] [--threads 1] [--rounds 9] [--quick] \\
        [--peers torch,openvino,onnxruntime,bnnlab] [--compile] [--json FILE]

Sections:
  limits    the machine's own: xor + popcount + add, fused multiply-add, int8 dot products, from registers
  layers    the convolutions of ResNet-18 and AlexNet (batch 8)
  dense     4096→4096 and 9216→4096 (batch 1, 32, 128, 256)
  first     the layer that reads the image, in passes of fused multiply-adds (batch 1)
  last      dense layers on one image, whose weights come from memory, against a plain read of them
  networks  ResNet-18 and AlexNet at 224² against their real-valued twins (batch 1 and 8, 1 and 2 threads)
  avx2      layers, with PyTorch and ours kept from AVX-512
  sizes     packed files against 32-bit checkpoints
  training  a training step of three binary blocks against three real-valued ones

Engines take turns in random order, with a pause between them. A figure is the median over the rounds, each
round the mean of enough calls to fill 10 ms; a ratio is the median of the rounds' ratios. Before any time is
taken results are compared with PyTorch's; the exit code is 1 if one is wrong.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from dataclasses import replace

import torch

from bench import avx2, first, last, layers, limits, networks, peers, sizes, training
from bench.record import Record, provenance
from bench.timing import CLOCKS, Plan
from bnn_train.cli import outputs, terminal
from bnn_train.cli.common import path_argument
from bnn_train.errors import BnnError

SECTIONS = ("limits", "layers", "dense", "first", "last", "networks", "avx2", "sizes", "training")
BATCHES = {"layers": (8,), "dense": (1, 32, 128, 256), "networks": (1, 8)}
THREADS = {"networks": (1, 2)}
QUICK = Plan(rounds=3, seconds=0.002)


def arguments() -> argparse.Namespace:
    """The command line."""
    text = __doc__ or ""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="+", choices=[*SECTIONS, "all"], metavar="SECTION")
    parser.add_argument("--batch", type=int, nargs="+", help="instead of each section's own")
    parser.add_argument("--threads", type=int, nargs="+", help="instead of each section's own, mostly 1")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: for a busy machine, one thread")
    parser.add_argument("--quick", action="store_true", help="few shapes, short: to see that it works")
    parser.add_argument("--peers", default=",".join(peers.PEERS), help="default: all (%(default)s)")
    parser.add_argument("--compile", action="store_true", help="networks: torch.compile, too")
    parser.add_argument("--json", type=path_argument, metavar="FILE", help="every figure and every round")
    args = parser.parse_args()
    unknown = set(args.peers.split(",")) - set(peers.PEERS)
    if unknown:
        parser.error(f"--peers: {', '.join(sorted(unknown))}; there are {', '.join(peers.PEERS)}")
    try:
        outputs.check({"--json": args.json}, {})
    except BnnError as error:
        parser.error(str(error))
    return args


def measure(section: str, record: Record, args: argparse.Namespace, present: Sequence[str]) -> None:
    """One section, for each number of threads and each batch size."""
    plan = replace(QUICK if args.quick else Plan(rounds=args.rounds), clock=CLOCKS[args.clock])
    if section == "sizes":
        sizes.measure(record, quick=args.quick)
        return
    if section in ("first", "last"):
        (first if section == "first" else last).measure(record, plan, quick=args.quick)
        return
    if section == "avx2":
        common = ["--rounds", str(args.rounds), "--clock", args.clock, *(["--quick"] if args.quick else [])]
        avx2.measure(record, common)
        return
    for threads in args.threads or THREADS.get(section, (1,)):
        torch.set_num_threads(threads)
        turns = plan.for_threads(threads)
        if section == "limits":
            limits.measure(record, threads, turns)
        elif section == "training":
            training.measure(record, threads, turns, quick=args.quick)
        for batch in args.batch or BATCHES.get(section, ()):
            if section == "networks":
                networks.measure(
                    record, present, batch, threads, turns, compiled=args.compile, quick=args.quick
                )
            elif section in ("layers", "dense"):
                dense = section == "dense"
                layers.measure(record, present, batch, threads, turns, dense=dense, quick=args.quick)


def main() -> int:
    """Measure, print, write; 1 if an engine's result was wrong."""
    terminal.prepare()
    args = arguments()
    random.seed(0)
    present, missing = peers.present(args.peers.split(","))
    where = provenance()
    print(f"{where['date']}  {where['machine']}\n{where['versions']}")
    if missing:
        print(f"Left out: {'; '.join(missing)}")
    record = Record()
    for section in SECTIONS if "all" in args.sections else dict.fromkeys(args.sections):
        try:
            measure(section, record, args, present)
        except BnnError as error:
            record.wrong.append(f"{section}: {error}")
        if args.json:
            record.write(args.json)
    for line in record.wrong:
        print(line, file=sys.stderr)
    return 1 if record.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
