"""Libraries of a format that may not be installed, told with the command that installs them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from bnn_train.errors import ExportError


def demand(what: str, packages: Iterable[str], extra: str) -> None:
    """Raises ExportError unless all distributions are installed."""
    missing = [name for name in packages if not _installed(name)]
    if missing:
        raise ExportError(
            f"{what} needs {' and '.join(missing)}, not installed here: pip install 'bnn-train[{extra}]'"
        )


def named(package: str) -> str:
    """An installed distribution with its version, as ``onnx 1.23.2``."""
    return f"{package} {version(package)}"


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
