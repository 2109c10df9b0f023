"""A page opened in headless Chromium: the document it became, what it said, and what it asked others for."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
BROWSER_S = 60


@dataclass(frozen=True)
class Visit:
    """``requests``: addresses that the page asked for, not those that the browser itself does."""

    dom: str
    console: list[str]
    requests: list[str]


def visit(page: Path, folder: Path) -> Visit:
    """Open a file; skips where there is no Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    log = folder / "net.json"
    done = subprocess.run(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr"),
            *(f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--virtual-time-budget=2000"),
            "--dump-dom",
            page.absolute().as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=BROWSER_S,
        check=True,
    )
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Visit(done.stdout, console, _requests(json.loads(log.read_text())))


def _requests(log: dict[str, object]) -> list[str]:
    events, constants = log["events"], log["constants"]
    assert isinstance(events, list)
    assert isinstance(constants, dict)
    start = constants["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [
        event["params"] for event in events if event["type"] == start and "url" in event.get("params", {})
    ]
    return [params["url"] for params in asked if params.get("initiator") != "not an origin"]
