"""Paths with ``~`` in them, and files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from bnn_train.errors import BnnError, RunError

_NAME = 60
"""Letters of a file's name in that of its temporary sibling: with these, no name gets too long for a disk."""
TEMPORARY = re.compile(r"\.(?P<name>.+)\.\d+\.tmp")
"""Names of temporary siblings, which a killed process leaves behind."""
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""The answers of disks that know no hard links."""


def expanded(path: Path | str) -> Path:
    """The path with ``~`` and ``~user`` at its beginning replaced by the home folder, as a shell does it.

    Raises BnnError for a user that is not known.
    """
    if not os.fspath(path).startswith("~"):
        plain = Path(path)
        return plain.absolute() if str(plain).startswith("~") else plain  # ./~ stays what it says
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise BnnError(
            f"{path}: no such user's home folder; write ./{path} for a folder of that name"
        ) from None


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary sibling; sync it, rename it over ``path``, and sync the folder.

    The mode is what the umask leaves of a new file, however ``write`` makes it. A device or a pipe is written
    in its place. Raises OSError, or what ``write`` raises; the former file is then still whole.
    """
    if _is_stream(path):
        write(path)
        return
    temporary = _sibling(path)
    try:
        mode = _created(temporary)
        write(temporary)
        if stat.S_IMODE(temporary.stat().st_mode) != mode:  # safetensors makes a file of its own
            temporary.chmod(mode)
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except (Exception, KeyboardInterrupt):
        temporary.unlink(missing_ok=True)
        raise


def link_file(source: Path, target: Path) -> None:
    """Make ``target`` the same file as ``source``, whole at any time; a copy where the disk knows no links.

    Raises OSError; the former ``target`` is then still whole.
    """
    temporary = _sibling(target)
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        replace_file(target, lambda place: shutil.copyfile(source, place))
        return
    temporary.replace(target)
    temporary.unlink(missing_ok=True)  # between names of one file, POSIX has a rename do nothing
    sync(target.parent)


def _sibling(path: Path) -> Path:
    """The name under which a file is made before it takes its place."""
    return path.with_name(f".{path.name[:_NAME]}.{os.getpid()}.tmp")


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace ``path`` by a file with ``content``, text as UTF-8.

    Raises RunError where the folder cannot be written; the former file is then still whole.
    """
    raw = content.encode() if isinstance(content, str) else content
    try:
        replace_file(path, lambda place: place.write_bytes(raw))
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror}") from error


def sync(path: Path) -> None:
    """Put a file or folder on the disk; a rename survives a power cut only once its folder is there too."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _created(path: Path) -> int:
    """Make an empty file in place of one that a killed process of the same number left; its mode."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def _is_stream(path: Path) -> bool:
    """Whether the path is a terminal, /dev/null or a pipe, which a rename would replace by a plain file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise OSError(errno.EINVAL, "is a disk or a socket, not a file", str(path))
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)
