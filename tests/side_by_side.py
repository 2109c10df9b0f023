"""``pytest --processes N``: the test files shared out among N processes and told as one run.

Every process collects all tests and claims file after file, by creating an empty file of its name: the first
process from the front, the others from the back. The first one prints, the others hand it their reports. So
output, options (``-x``, ``--durations``) and exit code are those of a single pytest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

REPORTS = "BNN_TEST_REPORTS"
"""Names the file for its reports to every process but the first; the claims stand beside it."""
ENDED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--processes", type=int, default=1, metavar="N", help="share the files out")


def pytest_configure(config: pytest.Config) -> None:
    """Starts the other processes now, so that they collect while this one does."""
    if REPORTS in os.environ:
        config.pluginmanager.register(Other(config, Path(os.environ.pop(REPORTS))))
    elif config.getoption("processes") > 1 and not config.option.collectonly:
        config.pluginmanager.register(First(config))


def by_file(items: list[pytest.Item]) -> list[list[pytest.Item]]:
    return [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]


def claimed(files: list[list[pytest.Item]], folder: Path) -> Iterator[pytest.Item]:
    """The tests of the files that no other process has claimed."""
    for tests in files:
        try:
            (folder / str(tests[0].path).replace(os.sep, "+")).touch(exist_ok=False)
        except FileExistsError:
            continue
        yield from tests


def tested(session: pytest.Session, items: Iterator[pytest.Item]) -> Iterator[None]:
    """Runs the tests as pytest's own loop does, and gives way after each."""
    item = next(items, None)
    while item is not None and not (session.shouldfail or session.shouldstop):
        following = next(items, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        yield
        item = following


class Other:
    """A process that writes its reports to a file, a line of JSON each."""

    def __init__(self, config: pytest.Config, reports: Path) -> None:
        self.config, self.folder = config, reports.parent
        self.reports = reports.open("w", encoding="utf-8", buffering=1)
        self.first = os.getppid()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for _ in tested(session, claimed(by_file(session.items)[::-1], self.folder)):
            if os.getppid() != self.first:
                break  # killed: nobody reads the reports
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        self.reports.write(json.dumps(data) + "\n")


class Started:
    """Another process, as the first one sees it."""

    def __init__(self, config: pytest.Config, reports: Path) -> None:
        reports.touch()
        self.config, self.reports = config, reports.open(encoding="utf-8")
        self.printed = reports.with_suffix(".out")
        with self.printed.open("w") as out:
            command = [sys.executable, "-m", "pytest", *config.invocation_params.args]
            environment = {**os.environ, REPORTS: str(reports)}
            self.process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)

    def tell(self) -> None:
        """Hands the reports since the last time to pytest."""
        hook, at = self.config.hook, self.reports.tell()
        while (line := self.reports.readline()).endswith("\n"):
            report = hook.pytest_report_from_serializable(config=self.config, data=json.loads(line))
            hook.pytest_runtest_logreport(report=report)
            at = self.reports.tell()
        self.reports.seek(at)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reports.close()


class First:
    """The process that prints; it starts the others and ends them."""

    def __init__(self, config: pytest.Config) -> None:
        self.home = tempfile.TemporaryDirectory(prefix="bnn-tests-")
        self.folder = Path(self.home.name)
        count = config.getoption("processes")
        self.others = [Started(config, self.folder / f"reports{number}") for number in range(1, count)]

    def pytest_unconfigure(self) -> None:
        for other in self.others:
            other.end()
        self.home.cleanup()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed:
            return None  # errors in the collection: pytest's own loop tells of them
        for _ in tested(session, claimed(by_file(session.items), self.folder)):
            self.tell()
        while any(other.process.poll() is None for other in self.others) and not session.shouldfail:
            self.tell()
            time.sleep(0.05)
        self.tell()
        self.check(session)
        return True

    def tell(self) -> None:
        for other in self.others:
            other.tell()

    def check(self, session: pytest.Session) -> None:
        """Stops with an error where another process did not come to the end of its tests."""
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        for other in self.others:
            if other.process.returncode not in ENDED:
                pytest.exit(f"a process of the tests broke off:\n{other.printed.read_text()}", returncode=3)
