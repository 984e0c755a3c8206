"""What the log holds of one recipient: every decision on what was to be sent to them, and what came of each.

The log has no index by recipient: it is read whole, entry by entry. What is told of a decision is its audit entry as it
was written, by whichever release.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from guardrails.decide.became import with_stored
from guardrails.decide.entry import DecisionEntry, EventEntry, OutcomeEntry, decode_entry
from guardrails.decide.holdings import ReservationState, state_at
from guardrails.decide.ports import Transactor

__all__ = ["LoggedDecision", "LoggedEvent", "LoggedOutcome", "RecipientLog"]

_OF_A_DECISION = (b'{"type":"outcome"', b'{"type":"event"')
"""How entries begin that may name a decision alone."""


class LoggedDecision(msgspec.Struct, frozen=True):
    """A decision's audit entry; `state` is what became of it by now, None where that is no longer kept."""

    audit_index: int
    state: ReservationState | None
    entry: msgspec.Raw


class LoggedOutcome(msgspec.Struct, frozen=True):
    """An audit entry of what became of a decision."""

    audit_index: int
    entry: msgspec.Raw


class LoggedEvent(msgspec.Struct, frozen=True):
    """An audit entry of what took place in another room."""

    audit_index: int
    entry: msgspec.Raw


class RecipientLog:
    """Looks for a recipient in entries of the log.

    `outcomes` are those of the decisions that were met so far; `events` are what came of these, and of the recipient
    besides, in other rooms.
    """

    def __init__(self, transactor: Transactor, recipient: str, *, now: datetime) -> None:
        self._transactor = transactor
        self._recipient = recipient
        self._needle = msgspec.json.encode(recipient)
        self._now = now
        self._ids: set[str] = set()
        self.outcomes: list[LoggedOutcome] = []
        self.events: list[LoggedEvent] = []

    def decisions(self, entries: Iterable[tuple[int, bytes]]) -> Iterator[LoggedDecision]:
        """Every decision on what was for the recipient, in log order. Raises DependencyError."""
        for (index, _, data), stored in with_stored(self._found(entries), lambda found: found[1], self._transactor):
            state = None if stored is None else state_at(stored.state, stored.lease_until, self._now)
            yield LoggedDecision(index, state, msgspec.Raw(data))

    def _found(self, entries: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, str, bytes]]:
        for index, data in entries:
            if self._needle not in data and not (self._ids and data.startswith(_OF_A_DECISION)):
                continue
            entry = decode_entry(data)
            if isinstance(entry, DecisionEntry) and entry.candidate.recipient.id == self._recipient:
                self._ids.add(entry.decision.decision_id)
                yield index, entry.decision.decision_id, data
            elif isinstance(entry, OutcomeEntry) and entry.decision_id in self._ids:
                self.outcomes.append(LoggedOutcome(index, msgspec.Raw(data)))
            elif isinstance(entry, EventEntry) and self._is_theirs(entry):
                self.events.append(LoggedEvent(index, msgspec.Raw(data)))

    def _is_theirs(self, event: EventEntry) -> bool:
        """Whose it is says the event itself; where it does not, its decision."""
        recipient = event.body.get("recipient")
        return event.decision_id in self._ids if recipient is None else bool(recipient == self._recipient)
