"""First come, first served, between processes: who may write to a file next.

    with turns.turn(give_up):       # `give_up` is asked while waiting; once it is true the block is entered regardless
        ...

Two locks on bytes of a file of its own: who waits takes `_NEXT`, and lets go of it once `_NOW` is theirs. Whoever has
just written so finds the one who waits before them. The kernel takes both from a process that ends, however it ends.
This is a courtesy and no safeguard: what must not happen at once is kept apart by the database.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["Turns"]

_NOW = 0
_NEXT = 1

# Asked again and again, since a blocking lock could neither be timed nor broken off. The next in line asks often.
_SHORTEST_PAUSE_SECONDS = {_NOW: 0.00003, _NEXT: 0.0003}
_LONGEST_PAUSE_SECONDS = 0.002
_PAUSE_SHARE = 0.1  # of what was waited already: no more than that is lost to pauses, and long waits cost little


class Turns:
    """The turns at `path`, a file that is made where it is not there and always empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    @contextmanager
    def turn(self, give_up: Callable[[], bool]) -> Iterator[None]:
        """Wait for this process's turn; in vain, where `give_up` says so first, or where the file can't be had."""
        is_ours = self._take(give_up)
        try:
            yield
        finally:
            if is_ours and self._file is not None:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _NOW)

    def close(self) -> None:
        """Let go of the file; it is opened again when next needed."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self, give_up: Callable[[], bool]) -> bool:
        with suppress(OSError):  # a directory that is gone, a disk that knows no locks: the database says what is wrong
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            if _wait(self._file, _NEXT, give_up):
                is_ours = _wait(self._file, _NOW, give_up)
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _NEXT)
                return is_ours
        return False


def _wait(file: int, byte: int, give_up: Callable[[], bool]) -> bool:
    since = time.monotonic()
    while not _lock(file, byte):
        if give_up():
            return False
        waited = time.monotonic() - since
        time.sleep(min(max(_SHORTEST_PAUSE_SECONDS[byte], waited * _PAUSE_SHARE), _LONGEST_PAUSE_SECONDS))
    return True


def _lock(file: int, byte: int) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except (BlockingIOError, PermissionError):  # POSIX allows either for a lock that another process holds
        return False
    return True
