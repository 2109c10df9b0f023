"""Tries random packed programs at the edges of the format's rules on every kernel.

    python scripts/fuzz_packed.py --programs 100000 [--seed 0] [--jobs 2] [--sanitize] [--log FILE] \\
        [--kernels portable,avx2,avx512,reference]

A seed always makes the same program. It is refused in a sentence, or runs on one kernel, as the seed says,
within the memory that its limit allows, and gives what the numpy reference gives; anything else is a failure,
named by its seed. With --sanitize the kernels are compiled under AddressSanitizer and UBSan. With --log every
finished batch is a line of that file, and a second call goes on behind the last one. The exit code is 1 if
anything failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from bnn_train.cli import terminal
from bnn_train.errors import BnnError
from bnn_train.packed import kernels as selection
from fuzz.attempt import file_of
from fuzz.cases import generate
from fuzz.libraries import plain, sanitized
from fuzz.watch import Found, Plan, batches

FOLDER = Path(__file__).resolve().parents[1] / "build" / "fuzz"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__ or "", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--programs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--batch", type=int, default=2000, help="programs of one process and line of the log")
    parser.add_argument("--kernels", default="portable,avx2,avx512,reference")
    parser.add_argument("--seconds", type=float, default=20, help="the most that one program may take")
    parser.add_argument("--sanitize", action="store_true", help="AddressSanitizer and UBSan")
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="a line for every batch; continued if it exists"
    )
    parser.add_argument("--slowness", type=float, help="of an emulator; default: 1, sanitized 10")
    parser.add_argument("--python", default="", help="another interpreter's command line, as under emulation")
    parser.add_argument("--library", type=Path, help="compiled kernels other than this machine's own")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="only write the first seed's program to FILE"
    )
    args = parser.parse_args()
    unknown = set(args.kernels.split(",")) - set(selection.NAMES)
    if unknown:
        parser.error(f"--kernels: {', '.join(sorted(unknown))}; there are {', '.join(selection.NAMES)}")
    return args


def main() -> int:
    """Exit code 0, 1 if a program failed, or 2 and a sentence."""
    terminal.prepare()
    args = arguments()
    if args.write:
        args.write.write_bytes(file_of(generate(args.seed)))
        return 0
    try:
        plan = _plan(args)
    except BnnError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    total, first = _earlier(args)
    begin, done = time.monotonic(), 0
    for seeds, found in batches(plan, first, args.seed + args.programs - first, args.jobs):
        _log(args.log, seeds, found)
        total.add(found._asdict())
        done += len(seeds)
        for failure in found.failures:
            print(_described(failure), flush=True)
        rate = 1000 * args.jobs * (time.monotonic() - begin) / done
        so_far = f"{seeds.stop - args.seed} programs, {rate:.1f} ms each"
        print(f"{so_far}, {len(total.failures)} failures", flush=True)
    _report(total)
    return 1 if total.failures else 0


def _plan(args: argparse.Namespace) -> Plan:
    found = (sanitized if args.sanitize else plain)(FOLDER)
    if args.library:
        found = found._replace(kernels=args.library, environment={}, memory=0)
    slowness = args.slowness or (10.0 if args.sanitize else 1.0)
    plan = Plan(found, tuple(args.kernels.split(",")), args.seconds, args.batch, slowness)
    return plan._replace(command=(*args.python.split(), "-m", "fuzz.worker")) if args.python else plan


def _earlier(args: argparse.Namespace) -> tuple[Found, int]:
    """The outcomes that the log has already, and the first seed behind it."""
    total, first = Found.nothing(), args.seed
    if args.log and args.log.exists():
        for text in args.log.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            if line["first"] == first:
                total.add(line)
                first = line["end"]
    return total, first


def _log(path: Path | None, seeds: range, found: Found) -> None:
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"first": seeds.start, "end": seeds.stop, **found._asdict()}) + "\n")


def _described(failure: dict[str, Any]) -> str:
    way = ", ".join(f"{key} {value}" for key, value in failure.items() if key not in ("seed", "what"))
    return f"FAILED seed {failure['seed']}: {failure['what']} ({way})"


def _report(total: Found) -> None:
    print("\nprograms by outcome")
    for name, count in sorted(total.counts.items()):
        print(f"  {count:9d}  {name}")
    print("refusals by sentence")
    for name, count in total.sentences.most_common(60):
        print(f"  {count:9d}  {name}")
    print("worst")
    for name, (number, seed) in sorted(total.worst.items()):
        print(f"  {name}: {number:.6g} (seed {seed:.0f})")
    print(f"failures: {len(total.failures)}")
    for failure in total.failures[:200]:
        print(f"  {_described(failure)}")


if __name__ == "__main__":
    sys.exit(main())
