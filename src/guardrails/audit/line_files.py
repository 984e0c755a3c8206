"""Files of lines that processes share: opened under their lock, read and added to in whole lines.

A line is there once its newline is: what follows the last one was torn, and is cut off by whoever adds next. Offsets
are bytes from the file's begin, and files are descriptors. Whatever locks raises OSError where the lock is not to be
had within LOCK_SECONDS.

INVARIANT: every lock has a descriptor of its own, so that it holds against the threads of the process too.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "LINE_CHUNK",
    "add_lines",
    "check_lines",
    "end_of_lines",
    "is_at",
    "line_at",
    "lines_between",
    "locked",
    "opened",
    "tried_lock",
]

LOCK_SECONDS = 1.0
"""So long a lock is waited for: a decision may wait with it, and whoever has it may be stopped, or hang in the disk.

Not less, because it is had for milliseconds (a write with its fsync), but by one thread of a machine after the other
while the database is out of reach; and by a process that starts, for as long as it takes to read a long spool.
"""

_PAUSE_SECONDS = 0.001
_CHUNK = 65_536
LINE_CHUNK = 4_096


@contextmanager
def opened(path: Path, flags: int = 0) -> Iterator[int]:
    """The file that is at `path` once its lock is held. `flags`: os.O_CREAT makes it where there is none."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
        try:
            with locked(file):
                if not is_at(file, path):  # it was removed, or another put there, while this waited for the lock
                    continue
                if flags & os.O_CREAT and os.fstat(file).st_size == 0:
                    _sync_directory(path.parent)
                yield file
                return
        finally:
            os.close(file)


@contextmanager
def locked(file: int) -> Iterator[None]:
    """Hold the file's lock."""
    give_up_at = time.monotonic() + LOCK_SECONDS
    while not _try_lock(file):
        if time.monotonic() >= give_up_at:
            raise TimeoutError(f"somebody else has had its lock for {LOCK_SECONDS} seconds")
        time.sleep(_PAUSE_SECONDS)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)  # not just closed: a child forked meanwhile has it open as well


@contextmanager
def tried_lock(path: Path) -> Iterator[bool]:
    """Hold the lock of the file at `path`, which is made for it and stays; False where somebody else does."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    is_ours = False
    try:
        is_ours = _try_lock(file)
        yield is_ours
    finally:
        if is_ours:
            fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_at(file: int, path: Path) -> bool:
    """Whether the open file is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def end_of_lines(file: int) -> int:
    """The offset behind the last newline."""
    end = os.fstat(file).st_size
    while end > 0:
        start = max(0, end - _CHUNK)
        newline = os.pread(file, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def lines_between(file: int, start: int, end: int, *, chunk: int = _CHUNK) -> Iterator[tuple[int, bytes]]:
    """Offset and text of each line from `start` to `end`, the end of one.

    Fewer, where the file was cut meanwhile: whoever looks without its lock must not wait for what comes no more.
    """
    offset, rest = start, b""
    while offset + len(rest) < end:
        read_to = offset + len(rest)
        read = os.pread(file, min(chunk, end - read_to), read_to)
        if not read:
            return
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            yield offset, line
            offset += len(line) + 1


def line_at(file: int, offset: int) -> bytes:
    """The line that begins at `offset`."""
    return next(lines_between(file, offset, end_of_lines(file), chunk=LINE_CHUNK))[1]


def check_lines(lines: Iterable[bytes]) -> None:
    """Raises ValueError where one of them is more than a line."""
    if any(b"\n" in line for line in lines):
        raise ValueError("a spooled entry is one line")


def add_lines(file: int, lines: Sequence[bytes]) -> None:
    """Add lines behind the last one, durably, with one write. Raises OSError, and then nothing is added."""
    if not lines:
        return
    end = end_of_lines(file)
    os.ftruncate(file, end)
    try:
        _write(file, b"".join(line + b"\n" for line in lines), end)
        os.fsync(file)
    except OSError:
        os.ftruncate(file, end)
        raise


def _write(file: int, content: bytes, offset: int) -> None:
    while content:
        written = os.pwrite(file, content, offset)
        content, offset = content[written:], offset + written


def _sync_directory(directory: Path) -> None:
    """Make a new file's name outlive a power cut too."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
