"""The ledger within one unit of work: what was recorded before, and which requests become records.

INVARIANT: a record that says no time of its own, and a refusal of the last `CLOCK_SKEW`, never sort before what is
recorded already of their recipient and purpose: at the latest instant of them if that lies ahead, where the last to
arrive speaks. Clocks of machines differ, and some tell whole seconds; whoever withdraws now has withdrawn, whatever
another clock made of an earlier grant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from guardrails.consent.checks import (
    Problem,
    confirmation_problems,
    lone_problems,
    notice_key,
    notice_problems,
    purpose_problems,
    refusal,
)
from guardrails.consent.notice_store import NoticeStore
from guardrails.consent.notices import Notice, NoticeKey
from guardrails.consent.store import ConsentStore
from guardrails.consent.values import GPC, ConsentEvent, ConsentRequest, event_of
from guardrails.core.purposes import DOUBLE_OPT_IN, Purpose
from guardrails.core.timing import CLOCK_SKEW, told_at
from guardrails.errors import CandidateError, ConflictError, GoneError, NotFoundError

__all__ = [
    "REFUSALS",
    "Confirmation",
    "Recording",
    "Session",
    "confirm",
    "confirm_by",
    "look_at",
    "record_groups",
    "recording_of",
    "voids",
]

REFUSALS = frozenset({"withdrawn", "denied"})
"""The states in which a recipient says no."""


class Session(Protocol):
    """The stores that the ledger needs."""

    consents: ConsentStore
    notices: NoticeStore


class Recording(msgspec.Struct, frozen=True):
    """A record to be, with what is wrong with it by itself; `said_at` is when they spoke, as the caller told it."""

    event: ConsentEvent
    declared: Mapping[str, Purpose]
    said_at: datetime | None
    problems: tuple[Problem, ...]

    def at_behind(self, newest: datetime) -> datetime:
        """Where the record goes when the newest one of its recipient and purpose is of `newest`."""
        return max(self.event.at, newest) if self._is_of_now(self.event.at, self.event.recorded_at) else self.event.at

    def repeats(self, known: ConsentEvent) -> bool:
        """Whether this is the request again that `known` is the record of."""
        notice_hash = self.event.notice_hash or known.notice_hash
        return known == msgspec.structs.replace(
            self.event, at=self._at_as(known), recorded_at=known.recorded_at, notice_hash=notice_hash
        )

    def _at_as(self, known: ConsentEvent) -> datetime:
        """Where the record would have gone, had the request arrived when `known` did."""
        if self.said_at is None or self.said_at == known.at:
            return known.at
        at = told_at(self.said_at, known.recorded_at)
        return max(at, known.at) if self._is_of_now(at, known.recorded_at) else at

    def _is_of_now(self, at: datetime, recorded_at: datetime) -> bool:
        """Whether it goes where what is said now does: no time is told or, of a refusal, one as near as clocks are."""
        return self.said_at is None or (self.event.state in REFUSALS and recorded_at - at <= CLOCK_SKEW)


def recording_of(request: ConsentRequest, declared: Mapping[str, Purpose], *, new_id: str, now: datetime) -> Recording:
    """What is to be recorded of a request that arrives `now`; `new_id` is used where the caller gave none."""
    event = event_of(request, new_id=new_id, now=now)
    return Recording(event, declared, request.at, tuple(lone_problems(event, declared)))


class Confirmation(msgspec.Struct, frozen=True):
    """The pending record to confirm, the id of the grant that it becomes, how long it may wait, what is declared."""

    pending: str
    new_id: str
    now: datetime
    within: timedelta
    declared: Mapping[str, Purpose]


def record_groups(session: Session, groups: list[tuple[Recording, ...]]) -> list[list[ConsentEvent | CandidateError]]:
    """Record requests in order; one result a request: its record, or why there is none."""
    ledger = _Ledger(session, [each for group in groups for each in group])
    results = [[ledger.settle(each) for each in group] for group in groups]
    if ledger.added:
        session.consents.append(ledger.added)
    return results


class _Ledger:
    """What is recorded as far as some requests go, brought up to date with each that becomes a record."""

    def __init__(self, session: Session, recordings: Sequence[Recording]) -> None:
        events = [each.event for each in recordings]
        keys = {key: None for event in events if (key := notice_key(event)) is not None}
        confirmed = [event.confirms for event in events if event.confirms is not None]
        self.added: list[ConsentEvent] = []
        self._known = dict(session.consents.by_id([*(event.id for event in events), *confirmed]))
        self._confirmations = dict(session.consents.confirmations(confirmed)) if confirmed else {}
        self._newest = dict(session.consents.newest(list({_subject(event): None for event in events})))
        self._notices: Mapping[NoticeKey, tuple[Notice, ...]] = session.notices.read(tuple(keys)) if keys else {}

    def settle(self, recording: Recording) -> ConsentEvent | CandidateError:
        """The record that answers the request: the one known by its id, or a new one."""
        known = self._known.get(recording.event.id)
        if known is not None:
            return known if recording.repeats(known) else _conflict(known.id)
        refused = refusal([*recording.problems, *self._problems(recording)])
        if refused is not None:
            return refused
        event = self._placed(recording)
        self._known[event.id] = event
        if event.confirms is not None:
            self._confirmations[event.confirms] = event
        self._newest[_subject(event)] = max(event.at, self._newest.get(_subject(event), event.at))
        self.added.append(event)
        return event

    def _problems(self, recording: Recording) -> list[Problem]:
        event, key = recording.event, notice_key(recording.event)
        is_on_record = _subject(event) in self._newest
        found = list(purpose_problems(event, recording.declared, is_on_record=is_on_record))
        if event.confirms is not None:
            pending, confirmation = self._known.get(event.confirms), self._confirmations.get(event.confirms)
            found += confirmation_problems(event, pending, confirmation)
        return found if key is None else [*found, *notice_problems(event, key, self._notices[key])]

    def _placed(self, recording: Recording) -> ConsentEvent:
        """The record in its place, with the hash of the notice that it names."""
        event, key = recording.event, notice_key(recording.event)
        at = recording.at_behind(self._newest.get(_subject(event), event.at))
        notice_hash = None if key is None else self._notices[key][0].hash
        return msgspec.structs.replace(event, at=at, notice_hash=notice_hash)


def confirm(session: Session, confirmations: list[Confirmation]) -> list[ConsentEvent | CandidateError]:
    """Confirm pending records, one after the other; see `ConsentService.confirm`."""
    return [_confirmed(session, each) for each in confirmations]


def look_at(session: Session, confirmations: list[Confirmation]) -> list[ConsentEvent | CandidateError]:
    """What would be confirmed, or was: the pending record, or the grant; see `ConsentService.awaiting`."""
    return [_answer(session, each) for each in confirmations]


def _confirmed(session: Session, asked: Confirmation) -> ConsentEvent | CandidateError:
    pending = _answer(session, asked)
    if isinstance(pending, CandidateError) or pending.state != "pending":
        return pending
    newest = session.consents.newest([_subject(pending)])[_subject(pending)]
    granted = msgspec.structs.replace(
        pending,
        id=asked.new_id,
        state="granted",
        at=max(asked.now, newest),
        method=DOUBLE_OPT_IN,
        recorded_at=asked.now,
        confirms=pending.id,
    )
    session.consents.append([granted])
    return granted


def _answer(session: Session, asked: Confirmation) -> ConsentEvent | CandidateError:
    """The pending record where it may be confirmed, the grant where it was and stands, or why neither."""
    pending = session.consents.by_id([asked.pending]).get(asked.pending)
    if pending is None:
        return NotFoundError(f"no consent `{asked.pending}` is recorded")
    if pending.state != "pending":
        return ConflictError(f"consent `{pending.id}` is `{pending.state}`: there is nothing to confirm")
    known = session.consents.confirmations([pending.id]).get(pending.id)
    since = known or pending
    later = session.consents.history(pending.recipient, purpose=pending.purpose, after=since.id)
    void = _void(pending, since, later)
    if void is not None:
        return void
    return known or _gone(pending, asked.declared) or _late(pending, asked) or pending


def _gone(pending: ConsentEvent, declared: Mapping[str, Purpose]) -> ConflictError | None:
    for _, problem in purpose_problems(pending, declared, is_on_record=True):
        return ConflictError(f"consent `{pending.id}` can't be confirmed any more: {problem}")
    return None


def _void(pending: ConsentEvent, since: ConsentEvent, later: Sequence[ConsentEvent]) -> ConflictError | None:
    """Why a refusal among the records after `since`, the grant where it was confirmed, stands in the way."""
    for event in later:
        if voids(event, since):
            said = f"consent `{pending.id}` can't be confirmed any more: `{event.id}` has {event.state} it later"
            return ConflictError(said)
    return None


def voids(refusal: ConsentEvent, given: ConsentEvent) -> bool:
    """Whether a later record is a refusal after which a pending grant, or one that was, can't be confirmed any more.

    A browser's signal is none for what waits: whoever confirms in spite of it does so.
    """
    is_heeded = refusal.method != GPC or given.state != "pending"
    return refusal.state in REFUSALS and is_heeded and _overlap(given, refusal)


def _overlap(one: ConsentEvent, other: ConsentEvent) -> bool:
    if one.channels is None or other.channels is None:
        return True
    return not set(one.channels).isdisjoint(other.channels)


def _late(pending: ConsentEvent, asked: Confirmation) -> GoneError | None:
    until = confirm_by(pending, asked.within)
    if asked.now < until:
        return None
    return GoneError(f"consent `{pending.id}` was to be confirmed before {until.isoformat()}")


def confirm_by(pending: ConsentEvent, within: timedelta) -> datetime:
    """The instant from which on a pending record can't be confirmed: so long after they were asked, or its own end.

    They were asked at the latest when it was recorded: one that was moved behind another clock's waits no longer.
    """
    until = min(pending.at, pending.recorded_at) + within
    return until if pending.expires_at is None else min(until, pending.expires_at)


def _subject(event: ConsentEvent) -> tuple[str, str]:
    return event.recipient, event.purpose


def _conflict(event_id: str) -> ConflictError:
    message = f"consent `{event_id}` is already recorded with another content"
    return ConflictError(message, problems=(("/id", message),))
