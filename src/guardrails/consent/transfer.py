"""Consents by the million: recorded from the rows of a file, and read out whole, in the order of their arrival.

A row without an id gets one that follows from what it says, so that a file may be imported again, after a crash or by
mistake: what is recorded already stays as it is, and nothing is recorded twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from guardrails.consent import ledger
from guardrails.consent.checks import GIVING, Problem, lone_problems
from guardrails.consent.ledger import Recording, Session
from guardrails.consent.values import ConsentEvent, ConsentRow, event_of
from guardrails.core.purposes import Purpose
from guardrails.decide.ports import Transactor
from guardrails.errors import CandidateError

__all__ = ["BATCH", "ConsentTransfer", "Recorded"]

BATCH = 1_000
"""So many rows are recorded in one unit, and so many records are read at once."""

PATIENCE_SECONDS = 60.0
"""How long a batch may take: nobody waits for an answer, and a service may be at work on the same database."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class Recorded(NamedTuple):
    """What became of a row: its record, and whether that is new."""

    event: ConsentEvent
    is_new: bool


class ConsentTransfer:
    """Consents into and out of the ledger; `purposes` as for `ConsentService`."""

    def __init__(self, transactor: Transactor, *, purposes: Callable[[], Mapping[str, Purpose]]) -> None:
        self._transactor = transactor
        self._purposes = purposes

    def record(self, rows: Sequence[ConsentRow], *, now: datetime) -> list[Recorded | CandidateError]:
        """Record rows in order, durably and in one unit; one result a row: its record, or why it has none.

        Raises DependencyError, and then none is recorded, or (`in_doubt`) all that can be.
        """
        declared = self._purposes()
        recordings = tuple(_recording(row, declared, now) for row in rows)
        return self._transactor.call(
            _record_groups, recordings, size=max(1, len(recordings)), timeout_seconds=PATIENCE_SECONDS
        )

    def last(self) -> int:
        """The place of the last record that has arrived."""
        return self._transactor.call(_last_arrival, None)

    def records(self, *, as_of: datetime | None = None) -> Iterator[tuple[int, ConsentEvent]]:
        """Every record there is now, with its place, in the order of arrival; as of a time, what was said until then.

        They are read batch by batch, and what is recorded meanwhile is left out.
        """
        start, stop = 1, self.last() + 1
        while start < stop:
            page = self._transactor.call(_read_arrivals, (start, stop), timeout_seconds=PATIENCE_SECONDS)
            if not page:
                return
            yield from ((place, event) for place, event in page if as_of is None or event.at <= as_of)
            start = page[-1][0] + 1


def _recording(row: ConsentRow, declared: Mapping[str, Purpose], now: datetime) -> Recording:
    event = event_of(row, new_id=_derived_id(row), now=now)
    event = msgspec.structs.replace(event, confirms=row.confirms, notice_hash=row.notice_hash)
    return Recording(event, declared, row.at, (*_row_problems(row), *lone_problems(event, declared)))


def _derived_id(row: ConsentRow) -> str:
    return f"import-{hashlib.sha256(_encode(row)).hexdigest()}"


def _row_problems(row: ConsentRow) -> Iterator[Problem]:
    # Yes, no, yes without a time are three rows of which two say the same: they would become two records.
    if row.at is None and row.id is None:
        yield "/at", "is needed where the row has no `id`: it says when they spoke"
    elif row.at is None and row.state in GIVING:
        yield "/at", f"is needed where the row is `{row.state}`: a yes of long ago is not to outdo a newer no"


def _record_groups(session: Session, groups: list[tuple[Recording, ...]]) -> list[list[Recorded | CandidateError]]:
    before = session.consents.by_id([each.event.id for group in groups for each in group])
    known = set(before)
    results = ledger.record_groups(session, groups)
    return [[_told(result, known) for result in group] for group in results]


def _told(result: ConsentEvent | CandidateError, known: set[str]) -> Recorded | CandidateError:
    """The result, and from then on its record is known."""
    if isinstance(result, CandidateError):
        return result
    is_new = result.id not in known
    known.add(result.id)
    return Recorded(result, is_new)


def _last_arrival(session: Session, items: list[None]) -> list[int]:
    return [session.consents.arrived()] * len(items)


def _read_arrivals(session: Session, asked: list[tuple[int, int]]) -> list[Sequence[tuple[int, ConsentEvent]]]:
    return [session.consents.arrivals(start, stop, BATCH) for start, stop in asked]
