"""Entries of a spool, a log that takes them, and a look at who waits for a file: for tests of the spool."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path


def entry(candidate_id: str, rest: str = "") -> bytes:
    return b'{"decision":{"candidate_id":"%s"},"rest":"%s"}' % (candidate_id.encode(), rest.encode())


def entries(*candidate_ids: str, rest: str = "") -> dict[str, bytes]:
    return {each: entry(each, rest) for each in candidate_ids}


class Log:
    """Where entries go; `fail` and `unreadable` say how that ends."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.fail = False
        self.unreadable: tuple[int, ...] = ()

    def take(self, lines: Sequence[bytes]) -> tuple[int, ...]:
        if self.fail:
            raise ConnectionError("the log is out of reach")
        self.taken.extend(lines)
        return self.unreadable


def waiting_for(path: Path) -> None:
    """Returns once this process has the file open twice: by who has its lock, and by who waits for that."""
    wanted, descriptors = path.stat(), Path("/proc/self/fd")
    while sum(_is_same(descriptor, wanted) for descriptor in descriptors.iterdir()) < 2:
        time.sleep(0.001)


def _is_same(descriptor: Path, wanted: os.stat_result) -> bool:
    with contextlib.suppress(FileNotFoundError):  # closed meanwhile
        return os.path.samestat(descriptor.stat(), wanted)
    return False
