"""The spool: a local file for audit entries while the log is out of reach. One JSON line an entry, the oldest first.

A line that ends in a newline was acknowledged; whatever follows the last newline was torn by a crash, was never
acknowledged, and is cut off by the next `append`. A line that begins with `#` in place of `{` is in the log; once all
are, the file is removed.

Processes may share a spool: whoever looks at it or adds to it holds the file's lock, for no longer than that takes.
Whoever drains it holds a lock of its own, in `<name>.drain`, while the entries travel, so that nobody waits for that.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from guardrails.audit.backlog import IN_LOG, BacklogCount
from guardrails.audit.in_flight_file import InFlightFile
from guardrails.audit.line_files import (
    add_lines,
    check_lines,
    end_of_lines,
    is_at,
    line_at,
    lines_between,
    locked,
    opened,
    tried_lock,
)
from guardrails.decide.spool import Backlog

__all__ = ["FileSpool"]

REACH_BYTES = 128 * 2**20
"""So much of the file's end is known by candidate: the newest 100,000 decisions or so. It bounds memory."""

HAND_OVER_BYTES = 256 * 2**10
"""So much is handed over at a time, or one entry that is larger: an entry may take thousands of slots of the caps, and
it is as long as it takes many."""


class FileSpool:
    """Entries in the file at `path`, which is made, with its directory, when the first one comes."""

    def __init__(self, path: Path, *, reach_bytes: int = REACH_BYTES) -> None:
        self._path = path
        self._backlog = BacklogCount(path)
        self._in_flight = InFlightFile(self._beside(".in-flight"))
        self._answers = _Answers(reach_bytes)  # touched by whoever holds the file's lock
        self._in_log = _Place()  # touched by whoever drains, and so is what follows
        self._unreadable: list[tuple[int, bytes]] = []  # offset and line of what is still to be put aside

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it."""
        try:
            return self._path.stat().st_size == 0
        except (FileNotFoundError, NotADirectoryError):
            return True

    def backlog(self) -> Backlog:
        """How much waits, and how large the file is."""
        return self._backlog.look()

    def alone(self, candidate_ids: Iterable[str], /, *, timeout_seconds: float) -> AbstractContextManager[None]:
        """Held while candidates are decided, so that no other process decides any of them meanwhile.

        Raises, when entered, TimeoutError where another one has done so for so long, and OSError where the disk takes
        no locks.
        """
        return self._in_flight.alone(candidate_ids, timeout_seconds=timeout_seconds)

    def answered(self, candidate_ids: Iterable[str], /) -> Mapping[str, bytes]:
        """The entry that is spooled for each candidate id, where there is one."""
        try:
            with opened(self._path) as file:
                self._answers.follow(file)
                return self._answers.read(file, candidate_ids)
        except FileNotFoundError:
            return {}

    def append(self, entries: Mapping[str, bytes], /) -> Mapping[str, bytes]:
        """Keep entries (JSON without a newline), by candidate id, durable on return, with one write for all.

        Returns those that are spooled already for some of the candidates; theirs are not kept again. Raises OSError
        where the file can't be written, and nothing is kept then; ValueError where an entry holds a newline.
        """
        check_lines(entries.values())
        if not entries:
            return {}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with opened(self._path, os.O_CREAT) as file:
            self._answers.follow(file)
            standing = self._answers.read(file, entries)
            add_lines(file, [entry for candidate_id, entry in entries.items() if candidate_id not in standing])
            self._answers.follow(file)
            return standing

    def read(self) -> Iterator[bytes]:
        """Every entry that waits, the oldest first."""
        try:
            with opened(self._path) as file:
                lines = [line for _, line in lines_between(file, 0, end_of_lines(file)) if _waits(line)]
        except FileNotFoundError:
            return iter(())
        return iter(lines)

    def hand_over(self, take: Callable[[Sequence[bytes]], Collection[int]], most: int, /) -> int:
        """Hand the oldest entries that wait, at most `most`, to `take`, and let go of them once it returned.

        Returns how many; 0 where none wait, or where somebody else hands over at present. At most HAND_OVER_BYTES of
        them, but one at least. `take` returns the places of those that it can't read: they move to `<name>.rejected`,
        and where that can't be written they stay, and hold up no others. Where `take` raises, all stay.
        """
        if self.is_empty:
            return 0
        with tried_lock(self._beside(".drain")) as is_ours:
            return self._hand_over(take, most) if is_ours else 0

    def _hand_over(self, take: Callable[[Sequence[bytes]], Collection[int]], most: int) -> int:
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:  # removed since somebody asked whether it is empty
            return 0
        try:
            with locked(file):
                end = end_of_lines(file)
            if not self._in_log.stands_in(file):
                self._in_log, self._unreadable = _Place(), []
            waiting = self._waiting(file, end, most)  # what was acknowledged changes no more, but by who drains
            if waiting:
                rejected = set(take([line for _, line in waiting]))
                self._unreadable += [each for place, each in enumerate(waiting) if place in rejected]
                self._in_log = _Place.behind(*waiting[-1])
                # Known first and marked then: on a disk that takes no marks, the others are handed over nevertheless.
                _mark(file, [offset for place, (offset, _) in enumerate(waiting) if place not in rejected])
            self._put_aside(file, may_fail=bool(waiting))
            self._remove_if_in_log(file)
        finally:
            os.close(file)
        return len(waiting)

    def _waiting(self, file: int, end: int, most: int) -> list[tuple[int, bytes]]:
        """Offset and line of the oldest entries that wait."""
        waiting: list[tuple[int, bytes]] = []
        size = 0
        for offset, line in lines_between(file, self._in_log.end, end):
            if _waits(line):
                size += len(line)
                if waiting and size > HAND_OVER_BYTES:
                    break
                waiting.append((offset, line))
            elif not waiting:
                self._in_log = _Place.behind(offset, line)
            if len(waiting) == most:
                break
        return waiting

    def _put_aside(self, file: int, *, may_fail: bool) -> None:
        """Move what can't be read out of the way. Where it `may_fail`, the next time does it."""
        waiting = [(offset, line) for offset, line in self._unreadable if os.pread(file, 1, offset) != IN_LOG]
        if waiting:
            try:
                with opened(self._beside(".rejected"), os.O_CREAT) as rejected:
                    add_lines(rejected, [line for _, line in waiting])
            except OSError:
                if may_fail:
                    return
                raise
        self._unreadable = []
        _mark(file, [offset for offset, _ in waiting])

    def _remove_if_in_log(self, file: int) -> None:
        with locked(file):
            is_in_log = self._in_log.stands_in(file) and self._in_log.end == end_of_lines(file)
            if is_in_log and not self._unreadable and is_at(file, self._path):
                os.ftruncate(file, 0)  # frees the room, whoever has it open yet
                self._path.unlink()

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)


class _Place(msgspec.Struct, frozen=True):
    """The end of a line in the file, with that line to know the file by: no two lines are the same."""

    end: int = 0
    line: bytes = b""  # but for its first byte, which changes

    @classmethod
    def behind(cls, offset: int, line: bytes) -> _Place:
        return cls(offset + len(line) + 1, line[1:] + b"\n")

    def stands_in(self, file: int) -> bool:
        """Whether this is still the place in the file: it was not made anew, nor another put there."""
        return os.pread(file, len(self.line), self.end - len(self.line)) == self.line


class _Decision(msgspec.Struct):
    candidate_id: str


class _Entry(msgspec.Struct):
    decision: _Decision


_decode_entry = msgspec.json.Decoder(_Entry).decode


class _Answers:
    """Where in the file the entry of each candidate is, of those within the last `reach` bytes."""

    def __init__(self, reach: int) -> None:
        self._reach = reach
        self._offsets: OrderedDict[str, int] = OrderedDict()
        self._read_to = _Place()

    def follow(self, file: int) -> int:
        """Read on, or afresh where it is another file; returns the end of its lines."""
        end = end_of_lines(file)
        if not self._read_to.stands_in(file):
            self._read_to = _Place()
            self._offsets.clear()
        for offset, line in lines_between(file, self._start(file, end), end):
            candidate_id = _candidate_of(line)
            if candidate_id is not None:
                self._offsets[candidate_id] = offset
                self._offsets.move_to_end(candidate_id)
            self._read_to = _Place.behind(offset, line)
        while self._offsets and next(iter(self._offsets.values())) < end - self._reach:
            self._offsets.popitem(last=False)
        return end

    def read(self, file: int, candidate_ids: Iterable[str]) -> Mapping[str, bytes]:
        """The entries of these candidates, of those that it knows."""
        known = {each: self._offsets[each] for each in candidate_ids if each in self._offsets}
        return {each: _entry_of(line_at(file, offset)) for each, offset in known.items()}

    def _start(self, file: int, end: int) -> int:
        """Where to read on: where a line begins, within reach."""
        if self._read_to.end >= end - self._reach:
            return self._read_to.end
        before = end - self._reach - 1
        _, rest_of_line = next(lines_between(file, before, end))
        return before + len(rest_of_line) + 1


def _mark(file: int, offsets: Iterable[int]) -> None:
    """Say of the lines there that nobody waits for them any more.

    A mark that is lost with the power has its entry handed over again, and passed over.
    """
    for offset in offsets:
        os.pwrite(file, IN_LOG, offset)


def _waits(line: bytes) -> bool:
    return bool(line) and not line.startswith(IN_LOG)


def _entry_of(line: bytes) -> bytes:
    """The entry as it was before its line was marked."""
    return b"{" + line[1:] if line.startswith(IN_LOG) else line


def _candidate_of(line: bytes) -> str | None:
    """Whose entry it is; None where it is none."""
    try:
        return _decode_entry(_entry_of(line)).decision.candidate_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
