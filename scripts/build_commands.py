"""The build steps of this package: one knows where ``configs/`` lies (beside the package here, inside it in a
wheel), the other compiles the kernels' files side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

CONFIGS = ("*.yaml", "*.json", "*.md")
"""Of the folder ``configs``: what a wheel carries. Pictures are for readers of the repository."""
SOURCES = {
    ".": (
        "Makefile",
        "CHANGELOG.md",
        "CITATION.cff",
        "constraints.txt",
        ".ci/run",
        ".github/CONTRIBUTING.md",
    ),
    **dict.fromkeys(("configs", "scripts", "tests"), ("**/*",)),
}
"""The source distribution beside the package: enough to build it, to test it and to read it."""


def _files(folder: str, patterns: tuple[str, ...]) -> list[str]:
    found = (path for pattern in patterns for path in Path(folder).glob(pattern) if path.is_file())
    return sorted({path.as_posix() for path in found if "__pycache__" not in path.parts})


class BuildPackage(build_py):  # type: ignore[misc]  # setuptools has no types
    """Puts ``configs/`` into the package; an editable installation finds it where it lies."""

    def _configs(self) -> dict[str, str]:
        """Place in the build → file."""
        names = _files("configs", tuple(f"**/{pattern}" for pattern in CONFIGS))
        return {str(Path(self.build_lib, "bnn_train", name)): name for name in names}

    def run(self) -> None:
        """Copy the modules, and then the configs."""
        super().run()
        if not self.editable_mode:
            for target, source in self._configs().items():
                self.mkpath(str(Path(target).parent))
                self.copy_file(source, target, preserve_mode=False)

    def get_source_files(self) -> list[str]:
        """All files of the source distribution."""
        beside = (name for folder, patterns in SOURCES.items() for name in _files(folder, patterns))
        return [*super().get_source_files(), *beside]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """All files of the build."""
        return [*super().get_outputs(include_bytecode), *([] if self.editable_mode else self._configs())]

    def get_output_mapping(self) -> dict[str, str]:
        """Place in the build → its source."""
        mapping: dict[str, str] = super().get_output_mapping()
        return mapping | ({} if self.editable_mode else self._configs())


class BuildKernels(build_ext):  # type: ignore[misc]
    """Compiles as many files at once as there are processors; setuptools takes one after the other."""

    def build_extensions(self) -> None:
        """Compile and link. The files of the processors' vectors take longest and go first."""
        one_by_one = self.compiler.compile

        def side_by_side(sources: Sequence[str], *args: Any, **kwargs: Any) -> list[str]:
            def compiled(source: str) -> list[str]:
                found: list[str] = one_by_one([source], *args, **kwargs)
                return found

            with ThreadPoolExecutor(os.cpu_count()) as pool:
                isa_first = sorted(sources, key=lambda source: "isa_" not in source)
                return [name for names in pool.map(compiled, isa_first) for name in names]

        self.compiler.compile = side_by_side
        super().build_extensions()
