"""The spool without a disk: entries in the process, gone with it, for where nothing needs to outlive it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

from guardrails.audit.line_files import check_lines
from guardrails.decide.spool import Backlog

__all__ = ["MemorySpool"]


class MemorySpool:
    """Entries in the process, gone with it: for where nothing needs to outlive it."""

    def __init__(self) -> None:
        self._entries: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._draining = threading.Lock()
        self.rejected: list[bytes] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        return not self._entries

    def backlog(self) -> Backlog:
        """How much waits."""
        with self._lock:
            return Backlog(len(self._entries), sum(map(len, self._entries.values())))

    def alone(self, _candidate_ids: Iterable[str], /, *, timeout_seconds: float) -> AbstractContextManager[None]:  # noqa: ARG002
        """No other process has it."""
        return nullcontext()

    def answered(self, candidate_ids: Iterable[str], /) -> Mapping[str, bytes]:
        """The entry that is spooled for each candidate id, where there is one."""
        with self._lock:
            return {each: self._entries[each] for each in candidate_ids if each in self._entries}

    def append(self, entries: Mapping[str, bytes], /) -> Mapping[str, bytes]:
        """Keep entries, and return those that are there already. Raises ValueError where one holds a newline."""
        check_lines(entries.values())
        with self._lock:
            standing = {each: self._entries[each] for each in entries if each in self._entries}
            self._entries.update({each: entry for each, entry in entries.items() if each not in standing})
            return standing

    def read(self) -> Iterator[bytes]:
        """Every entry, the oldest first."""
        with self._lock:
            return iter(tuple(self._entries.values()))

    def hand_over(self, take: Callable[[Sequence[bytes]], Collection[int]], most: int, /) -> int:
        """Hand the oldest entries, at most `most`, to `take`, and forget them once it returned."""
        if not self._draining.acquire(blocking=False):
            return 0
        try:
            with self._lock:
                waiting = list(islice(self._entries.items(), most))
            if not waiting:
                return 0
            lines = [entry for _, entry in waiting]
            self.rejected.extend(lines[place] for place in take(lines))
            with self._lock:
                for candidate_id, _ in waiting:
                    del self._entries[candidate_id]
        finally:
            self._draining.release()
        return len(waiting)
