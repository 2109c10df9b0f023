"""The kernels on other processors than this one's: built by cross compilers, run by emulators."""

from __future__ import annotations

import sys
from pathlib import Path

# The grid of programs is the tests'.
sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
