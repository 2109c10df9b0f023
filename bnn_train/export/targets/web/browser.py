"""A headless Chromium, driven by the DevTools protocol through a pipe: no port is opened, no package needed.

https://chromedevtools.github.io/devtools-protocol: messages are JSON, each ended by a zero byte; the browser
reads them from file descriptor 3 and answers on 4.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import subprocess
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnn_train.errors import ExportError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
VARIABLE = "BNN_BROWSER"
_ARGUMENTS = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "about:blank",
)
PATIENCE_S = 120.0
_CHUNK = 2**16
_READ, _WRITE = 3, 4


def find() -> str | None:
    """The browser's program: the one that BNN_BROWSER names, else the first of the usual names."""
    named = os.environ.get(VARIABLE)
    return shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A browser with one page. Ends with the object, or with ``close``."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        """Raises ExportError where there is none or it does not start."""
        program = find()
        if program is None or os.name != "posix":
            raise ExportError(
                f"a page is run by Chromium or Chrome, which is not here: install it or name it in {VARIABLE}"
            )
        self.events: list[dict[str, Any]] = []
        """Everything that the page told, from console messages to requests, oldest first."""
        self._profile = tempfile.TemporaryDirectory(prefix="bnn-browser-", ignore_cleanup_errors=True)
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # root has none
        profile = f"--user-data-dir={self._profile.name}"
        self._start([program, profile, *sandbox, *arguments, *_ARGUMENTS])
        self._buffer, self._count, self._session = b"", 0, ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _start(self, command: list[str]) -> None:
        """The pipes lie at 3 and 4 in the browser, whatever numbers they have here."""
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        high_in, high_out = _above(theirs_in), _above(theirs_out)

        def place() -> None:
            os.dup2(high_in, _READ)
            os.dup2(high_out, _WRITE)

        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(  # noqa: S603  # a program of this machine, its arguments our own
            command, stdin=quiet, stdout=quiet, stderr=quiet, close_fds=False, preexec_fn=place
        )
        for end in (theirs_in, theirs_out, high_in, high_out):
            os.close(end)
        self._in, self._out = ours_in, ours_out
        self._end = weakref.finalize(self, _ended, self._process, (ours_in, ours_out), self._profile)

    def close(self) -> None:
        """End the browser."""
        self._end()

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol and its answer. Raises ExportError where the browser is gone."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._send(json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self._count:
                break
            self.events.append(answer)
        if "error" in answer:
            raise ExportError(f"the browser refuses {method}: {answer['error'].get('message')}")
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, path: Path) -> None:
        """Load a page from the disk, to its end."""
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + PATIENCE_S
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next(deadline))

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page. Raises ExportError where it throws."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            told = details.get("exception", {}).get("description") or details.get("text")
            raise ExportError(f"the page fails: {told}")
        return answer["result"].get("value")

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings of the page so far."""
        found = []
        for event in self.events:
            told = event.get("params", {})
            match event.get("method"):
                case "Runtime.exceptionThrown":
                    found.append(str(told["exceptionDetails"].get("exception", {}).get("description")))
                case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                    found.append(str(told["args"]))
                case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                    found.append(str(told["entry"]["text"]))
        return found

    @property
    def requests(self) -> list[str]:
        """Addresses that the page asked for, itself among them."""
        asked = (e["params"] for e in self.events if e.get("method") == "Network.requestWillBeSent")
        return [str(told["request"]["url"]) for told in asked]

    @property
    def version(self) -> str:
        """Its name and version."""
        product = str(self.call("Browser.getVersion")["product"])
        return product.replace("Headless", "").replace("/", " ")

    def _send(self, message: bytes) -> None:
        try:
            while message:
                message = message[os.write(self._out, message) :]
        except OSError as error:
            raise ExportError(f"the browser has ended ({error.strerror})") from error

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            with selectors.DefaultSelector() as selector:
                selector.register(self._in, selectors.EVENT_READ)
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise ExportError(f"the browser does not answer within {PATIENCE_S:.0f} s")
            part = os.read(self._in, _CHUNK)
            if not part:
                raise ExportError("the browser does not start, or has ended; try it by hand")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


def _above(descriptor: int) -> int:
    import fcntl  # POSIX alone, as the pipe itself

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)


def _ended(
    process: subprocess.Popen[bytes], pipes: tuple[int, int], profile: tempfile.TemporaryDirectory[str]
) -> None:
    for end in pipes:
        with contextlib.suppress(OSError):
            os.close(end)
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    profile.cleanup()
