"""The spool: a local append-only file for audit entries while the log is out of reach. One JSON line an entry.

A line that ends in a newline was acknowledged; whatever follows the last newline was torn by a crash, was never
acknowledged, and is cut off by the next `append`. Processes may share a spool: each append holds the file's lock.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["FileSpool", "MemorySpool"]

_CHUNK = 65_536


class FileSpool:
    """Entries in the file at `path`, which is made, with its directory, when the first one comes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, entry: bytes) -> None:
        """Keep `entry` (JSON without a newline), durable on return.

        Raises OSError where even that is impossible, and nothing of the entry is kept then; ValueError where it holds
        a newline.
        """
        _check(entry)
        with _locked(self._path) as file:
            end = _end_of_lines(file)
            os.ftruncate(file, end)
            try:
                _write(file, entry + b"\n", end)
                os.fsync(file)
            except OSError:
                os.ftruncate(file, end)
                raise

    def read(self) -> Iterator[bytes]:
        """Every acknowledged entry, the oldest first."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line[:-1]


class MemorySpool:
    """Entries in the process, gone with it: for where nothing needs to outlive it."""

    def __init__(self) -> None:
        self._entries: list[bytes] = []

    def append(self, entry: bytes) -> None:
        """Keep `entry`. Raises ValueError where it holds a newline."""
        _check(entry)
        self._entries.append(entry)

    def read(self) -> Iterator[bytes]:
        """Every entry, the oldest first."""
        return iter(tuple(self._entries))


def _check(entry: bytes) -> None:
    if b"\n" in entry:
        raise ValueError("a spooled entry is one line")


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        if is_new:
            _sync_directory(path.parent)
        yield file
    finally:
        os.close(file)


def _sync_directory(directory: Path) -> None:
    """Make a new file's name outlive a power cut too."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end_of_lines(file: int) -> int:
    """The offset behind the last newline."""
    end = os.fstat(file).st_size
    while end > 0:
        start = max(0, end - _CHUNK)
        newline = os.pread(file, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _write(file: int, content: bytes, offset: int) -> None:
    while content:
        written = os.pwrite(file, content, offset)
        content, offset = content[written:], offset + written
