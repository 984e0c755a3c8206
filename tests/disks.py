"""Disks that are small, and directories that refuse: for tests of what is kept in files."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65_534


@contextmanager
def bounded(path: Path, size: int) -> Iterator[Callable[[], None]]:
    """No file below `path` can grow beyond `size` bytes, all together: a disk of its own or, unless root, a limit.

    Yields what ends that within the block: from then on there is ten times as much room.
    """
    mounted = os.geteuid() == 0 and not subprocess.call(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if not mounted:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    def make_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        if mounted:
            subprocess.run(["mount", "-o", f"remount,size={10 * size}", path], check=True)

    try:
        yield make_room
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        if mounted:
            subprocess.run(["umount", "--lazy", path], check=True)


@contextmanager
def as_nobody() -> Iterator[Path]:
    """A directory of a user who can be refused something, which root can't; the block is run as that user."""
    directory = Path(tempfile.mkdtemp())
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(directory, _NOBODY, _NOBODY)
        os.seteuid(_NOBODY)
    try:
        yield directory
    finally:
        if is_root:
            os.seteuid(0)
        directory.chmod(0o700)
        shutil.rmtree(directory)
