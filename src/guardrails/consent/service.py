"""Record consents and read them back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from guardrails.consent.store import ConsentStore
from guardrails.consent.values import ConsentEvent, ConsentRequest, event_of
from guardrails.decide.ports import Transactor
from guardrails.errors import CandidateError, ConflictError

__all__ = ["ConsentService"]


class ConsentService:
    """Consents of all recipients. `new_id` names the records for which the caller gave no id."""

    def __init__(self, transactor: Transactor, *, new_id: Callable[[], str]) -> None:
        self._transactor = transactor
        self._new_id = new_id

    def record(self, request: ConsentRequest, *, now: datetime) -> ConsentEvent:
        """Record a consent, durably, and return the record; the same request with the same id returns the first one.

        Raises CandidateError where its times make no sense, ConflictError where its id names another record.
        """
        (result,) = self.record_many([request], now=now)
        if isinstance(result, CandidateError):
            raise result
        return result

    def record_many(self, requests: Sequence[ConsentRequest], *, now: datetime) -> list[ConsentEvent | CandidateError]:
        """Record consents in order, durably; one result a request: the record, or the error that it alone has."""
        return self._transactor.call(_record_groups, tuple(self._recording(request, now) for request in requests))

    def history(self, recipient: str) -> tuple[ConsentEvent, ...]:
        """All records of a recipient, oldest first."""
        return self._transactor.call(_read_history, recipient)

    def _recording(self, request: ConsentRequest, now: datetime) -> _Recording | CandidateError:
        try:
            event = event_of(request, new_id=self._new_id(), now=now)
        except CandidateError as error:
            return error
        return _Recording(event, timed=request.at is not None)


class _Session(Protocol):
    consents: ConsentStore


class _Recording(msgspec.Struct, frozen=True):
    """A record to be; `timed` where the caller said when the recipient spoke."""

    event: ConsentEvent
    timed: bool

    def repeats(self, known: ConsentEvent) -> bool:
        """Whether this is the request again that `known` is the record of."""
        at = self.event.at if self.timed else known.at
        return msgspec.structs.replace(self.event, at=at, recorded_at=known.recorded_at) == known


def _record_groups(
    session: _Session, groups: list[tuple[_Recording | CandidateError, ...]]
) -> list[list[ConsentEvent | CandidateError]]:
    ids = [each.event.id for group in groups for each in group if isinstance(each, _Recording)]
    known = dict(session.consents.by_id(ids))
    added: list[ConsentEvent] = []
    results = [[_record(each, known, added) for each in group] for group in groups]
    if added:
        session.consents.append(added)
    return results


def _record(
    recording: _Recording | CandidateError, known: dict[str, ConsentEvent], added: list[ConsentEvent]
) -> ConsentEvent | CandidateError:
    """The record that speaks for the request: the one known by its id, or a new one, which goes to `added`."""
    if isinstance(recording, CandidateError):
        return recording
    event = recording.event
    first = known.setdefault(event.id, event)
    if first is event:
        added.append(event)
    return first if recording.repeats(first) else _conflict(event.id)


def _conflict(event_id: str) -> ConflictError:
    message = f"consent `{event_id}` is already recorded with another content"
    return ConflictError(message, problems=(("/id", message),))


def _read_history(session: _Session, recipients: list[str]) -> list[tuple[ConsentEvent, ...]]:
    return [session.consents.history(recipient) for recipient in recipients]
