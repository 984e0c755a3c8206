"""The spool, as the route needs it: where decisions wait, on this machine, while the log is out of reach.

An entry stands there as it will stand in the log, and the answer within it as it was given. What is spooled for a
candidate is its answer: the same candidate again gets the same bytes, now and once the entry is in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import msgspec

from guardrails.decide.entry import DecisionEntry, decode_entry
from guardrails.errors import GuardrailsError

__all__ = ["Backlog", "Spool", "Spooled", "Unreadable", "read_spooled"]


class Backlog(NamedTuple):
    """What waits in a spool: how many entries, and how many bytes they take, with those not yet let go of."""

    entries: int
    size_bytes: int


class Spool(Protocol):
    """Entries of decisions, by candidate, in the order they came. The processes of a machine may share one.

    Every method raises OSError where the disk does not do what is asked of it.
    """

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it; so cheap that it is asked before every decision."""

    def backlog(self) -> Backlog:
        """How much waits. Asked now and then, not before every decision."""

    def alone(self, candidate_ids: Iterable[str], /, *, timeout_seconds: float) -> AbstractContextManager[None]:
        """Held while candidates are decided, so that no other process that shares the spool decides any meanwhile.

        Raises, when entered, TimeoutError where another one has done so for so long.
        """

    def answered(self, candidate_ids: Iterable[str], /) -> Mapping[str, bytes]:
        """The entry that is spooled for each candidate id, where there is one."""

    def append(self, entries: Mapping[str, bytes], /) -> Mapping[str, bytes]:
        """Keep entries, by candidate id, durably and all at once.

        Returns those that are spooled already for some of the candidates; theirs are not kept again. Where it raises,
        nothing is kept.
        """

    def hand_over(self, take: Callable[[Sequence[bytes]], Collection[int]], most: int, /) -> int:
        """Hand the oldest entries, at most `most`, to `take`, and let go of them once it returns; returns how many.

        Fewer, but one at least, where they are large. `take` returns the places of those that it can't read: they are
        put aside. Where it raises, all stay. 0 where there are none, and where another process hands over at present.
        """


class Spooled(msgspec.Struct, frozen=True):
    """A spooled entry: what it says, its bytes, and those of the answer within it."""

    entry: DecisionEntry
    line: bytes
    answer: bytes


class Unreadable(GuardrailsError):  # noqa: N818 - says of a line what it is
    """A line is no entry of a decision."""


class _Answer(msgspec.Struct):
    decision: msgspec.Raw


_decode_answer = msgspec.json.Decoder(_Answer).decode


def read_spooled(line: bytes) -> Spooled:
    """What `line` says. Raises Unreadable where it is no entry of a decision."""
    try:
        entry = decode_entry(line)
        if not isinstance(entry, DecisionEntry):
            raise Unreadable("an entry of something else than a decision")
        return Spooled(entry, line, bytes(_decode_answer(line).decision))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error
