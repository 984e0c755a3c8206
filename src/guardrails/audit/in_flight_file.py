"""Candidates in flight, across the processes of a machine: whoever decides one holds the lock on its byte of a file.

    with InFlightFile(path).alone(candidate_ids, timeout_seconds=1.5):
        ...

The locks are those of an open file (Linux; elsewhere only the threads of a process are kept apart, by `InFlight`). The
kernel takes them from a process that ends, however it ends. Two candidates may share a byte: then one waits.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["InFlightFile"]

_SET_LOCK: int | None = getattr(fcntl, "F_OFD_SETLK", None)
_pack_lock = struct.Struct("hhqqi").pack  # type, whence, begin, length, and a process id that is not used
_LONGEST_PAUSE_SECONDS = 0.01
_PAUSE_SHARE = 0.1  # of what was waited already


class InFlightFile:
    """The file at `path`, which is made, with its directory, where it is not there; it is always empty."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def alone(self, candidate_ids: Iterable[str], *, timeout_seconds: float) -> Iterator[None]:
        """Decide these candidates while nobody else does.

        Raises TimeoutError where somebody else has decided one of them for so long, another OSError where the disk
        takes no locks. All are had before any is begun, so nobody waits for somebody who waits for him.
        """
        file = self._open()  # its own each time, so that the locks hold against the threads of the process too
        try:
            _wait(file, [_place(each) for each in candidate_ids], timeout_seconds)
            yield
        finally:
            try:
                _unlock(file)  # not just closed: a child forked meanwhile has it open as well
            finally:
                os.close(file)  # also where the disk knows no locks

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC
        try:
            return os.open(self._path, flags)
        except FileNotFoundError:  # O_CREAT only now: where the disk is frozen it may wait, though the file is there
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._path, flags | os.O_CREAT, 0o600)


def _place(candidate_id: str) -> int:
    return zlib.crc32(candidate_id.encode(errors="surrogatepass"))


def _wait(file: int, places: list[int], seconds: float) -> None:
    since = now = time.monotonic()
    while not all(_lock(file, place) for place in places):
        _unlock(file)
        if now - since >= seconds:
            raise TimeoutError(f"somebody else has been deciding one of the candidates for {seconds:.3g} seconds")
        time.sleep(min((now - since) * _PAUSE_SHARE, _LONGEST_PAUSE_SECONDS))
        now = time.monotonic()


def _lock(file: int, place: int) -> bool:
    if _SET_LOCK is not None:
        try:
            fcntl.fcntl(file, _SET_LOCK, _pack_lock(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0))
        except (BlockingIOError, PermissionError):  # POSIX allows either for a lock that somebody else holds
            return False
    return True


def _unlock(file: int) -> None:
    if _SET_LOCK is not None:
        fcntl.fcntl(file, _SET_LOCK, _pack_lock(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0))
