"""First come, first served, between processes: who may write to a file next.

    with turns.turn(give_up):       # `give_up` is asked while waiting; once it is true the block is entered regardless
        ...

Two locks on bytes of a file of its own: who waits takes `_NEXT`, and lets go of it once `_NOW` is theirs. Whoever has
just written so finds the one who waits before them. The kernel takes both from a process that ends, however it ends.
This is a courtesy and no safeguard: what must not happen at once is kept apart by the database. So nobody waits for
long: a process that is frozen in line, or in its turn, keeps its locks, and must not stop the others.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path

__all__ = ["Turns"]

LIMIT_SECONDS = 0.05
"""How long a turn is waited for: that of many units, and so little that a decision (250 ms) is in time without it."""

RESPITE_SECONDS = 1.0
"""For how long nobody stands in a line that was found to stand still: so few units pay for it, and it heals."""

_NOW = 0
_NEXT = 1

# Asked again and again, since a blocking lock could neither be timed nor broken off. The next in line asks often.
_SHORTEST_PAUSE_SECONDS = {_NOW: 0.00003, _NEXT: 0.0003}
_LONGEST_PAUSE_SECONDS = 0.002
_PAUSE_SHARE = 0.1  # of what was waited already: no more than that is lost to pauses, and long waits cost little


class Turns:
    """The turns at `path`, a file that is made where it is not there and always empty."""

    def __init__(
        self, path: Path, *, limit_seconds: float = LIMIT_SECONDS, respite_seconds: float = RESPITE_SECONDS
    ) -> None:
        self._path = path
        self._limit_seconds = limit_seconds
        self._respite_seconds = respite_seconds
        self._file: int | None = None
        self._is_in_vain = False
        self._waits_from = -inf

    @contextmanager
    def turn(self, give_up: Callable[[], bool]) -> Iterator[None]:
        """Wait for this process's turn; in vain after the limit, or where `give_up` says so, or no file can be had."""
        is_ours = self._take(give_up)
        self._is_in_vain = not is_ours
        try:
            yield
        finally:
            if is_ours and self._file is not None:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _NOW)

    def found_free(self) -> None:
        """Say that nobody wrote when this turn began: a line that was stood in in vain is one that stands still."""
        now = time.monotonic()
        if self._is_in_vain and now >= self._waits_from:
            self._waits_from = now + self._respite_seconds

    def close(self) -> None:
        """Let go of the file; it is opened again when next needed."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self, give_up: Callable[[], bool]) -> bool:
        now = time.monotonic()
        if now < self._waits_from:
            return False
        until = now + self._limit_seconds
        with suppress(OSError):  # a directory that is gone, a disk that knows no locks: the database says what is wrong
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            if _wait(self._file, _NEXT, until, give_up):
                try:
                    return _wait(self._file, _NOW, until, give_up)
                finally:
                    fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _NEXT)
        return False


def _wait(file: int, byte: int, until: float, give_up: Callable[[], bool]) -> bool:
    since = now = time.monotonic()
    while not _lock(file, byte):
        if now >= until or give_up():
            return False
        time.sleep(min(max(_SHORTEST_PAUSE_SECONDS[byte], (now - since) * _PAUSE_SHARE), _LONGEST_PAUSE_SECONDS))
        now = time.monotonic()
    return True


def _lock(file: int, byte: int) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
    except (BlockingIOError, PermissionError):  # POSIX allows either for a lock that another process holds
        return False
    return True
