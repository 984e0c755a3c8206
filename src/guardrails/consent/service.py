"""Record consents, confirm them, and read them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from guardrails.consent import ledger
from guardrails.consent.fold import CHANNELS, Standing, standings_of
from guardrails.consent.ledger import Confirmation, Session, recording_of
from guardrails.consent.outdone import Recent, outdone_by
from guardrails.consent.values import ConsentEvent, ConsentRequest
from guardrails.core.needs import ConsentQuery
from guardrails.core.purposes import Purpose
from guardrails.decide.ports import Transactor
from guardrails.decoding import invalid
from guardrails.errors import CandidateError, NotFoundError

__all__ = ["CONFIRM_WITHIN", "PAGE_MOST", "ConsentService", "Page"]

CONFIRM_WITHIN = timedelta(days=7)
PAGE_MOST = 500


class Page(NamedTuple):
    """Some records of a recipient, oldest first; `next` is the last one's id where more follow."""

    consents: tuple[ConsentEvent, ...]
    next: str | None


class ConsentService:
    """Consents of all recipients.

    `purposes` gives what the active policies declare, by id: where they declare any, nothing else can be consented to.
    `new_id` names the records for which the caller gave no id. A pending grant may be confirmed for `confirm_within`
    after its `at`.
    """

    def __init__(
        self,
        transactor: Transactor,
        *,
        purposes: Callable[[], Mapping[str, Purpose]],
        new_id: Callable[[], str],
        confirm_within: timedelta = CONFIRM_WITHIN,
    ) -> None:
        self._transactor = transactor
        self._purposes = purposes
        self._new_id = new_id
        self._confirm_within = confirm_within

    def record(self, request: ConsentRequest, *, now: datetime) -> ConsentEvent:
        """Record a consent, durably, and return the record; the same request with the same id returns the first one.

        Without `at` it is of now, or of the newest record of the recipient and purpose, where that is later by another
        machine's clock: it speaks instead of that.

        Raises CandidateError where the request makes no sense: its times, a purpose that is not declared, a direct
        grant where the purpose demands a double opt-in, a notice that is not kept; ConflictError where its id names
        another record.
        """
        (result,) = self.record_many([request], now=now)
        if isinstance(result, CandidateError):
            raise result
        return result

    def record_many(self, requests: Sequence[ConsentRequest], *, now: datetime) -> list[ConsentEvent | CandidateError]:
        """Record consents in order, durably; one result a request: the record, or the error that it alone has."""
        declared = self._purposes()
        recordings = tuple(recording_of(request, declared, new_id=self._new_id(), now=now) for request in requests)
        return self._transactor.call(ledger.record_groups, recordings, size=max(1, len(recordings)))

    def outdone_by(self, events: Sequence[ConsentEvent], *, now: datetime) -> list[tuple[Standing, ...]]:
        """For each record what holds `now` instead of it on its channels: nothing where it says itself what holds."""
        return self._transactor.call(outdone_by, Recent(events, now), size=max(1, len(events)))

    def confirm(self, pending_id: str, *, now: datetime) -> ConsentEvent:
        """Confirm a pending grant, durably, and return the record of the grant; again, it returns the same one.

        The grant is what the pending record says, from now on. Raises NotFoundError where there is no such record,
        ConflictError where it is not pending, or void: the recipient withdrew or denied later, be it after the grant,
        or the purpose is declared no more; GoneError where it is too late.
        """
        asked = Confirmation(pending_id, self._new_id(), now, self._confirm_within, self._purposes())
        confirmed = self._transactor.call(ledger.confirm, asked)
        assert isinstance(confirmed, ConsentEvent)  # noqa: S101 - the transactor raises what is an error
        return confirmed

    def awaiting(self, pending_id: str, *, now: datetime) -> ConsentEvent:
        """What `confirm` would confirm: the pending record or, where it was confirmed, the grant. Raises as it does."""
        asked = Confirmation(pending_id, "", now, self._confirm_within, self._purposes())
        found = self._transactor.call(ledger.look_at, asked)
        assert isinstance(found, ConsentEvent)  # noqa: S101 - the transactor raises what is an error
        return found

    def confirm_by(self, pending: ConsentEvent) -> datetime:
        """The instant from which on a pending record can't be confirmed any more."""
        return ledger.confirm_by(pending, self._confirm_within)

    def read(self, consent_id: str) -> ConsentEvent:
        """One record. Raises NotFoundError."""
        event = self._transactor.call(_read_one, consent_id)
        if event is None:
            raise NotFoundError(f"no consent `{consent_id}` is recorded")
        return event

    def history(self, recipient: str) -> tuple[ConsentEvent, ...]:
        """All records of a recipient, oldest first: by when they spoke, then by arrival."""
        return self._transactor.call(_read_history, recipient)

    def latest(self, recipient: str, *, most: int) -> tuple[ConsentEvent, ...]:
        """The last `most` records of a recipient, oldest first."""
        return self._transactor.call(_read_latest, (recipient, most))

    def page(
        self,
        recipient: str,
        *,
        purpose: str | None = None,
        as_of: datetime | None = None,
        after: str | None = None,
        most: int = PAGE_MOST,
    ) -> Page:
        """At most `most` records, oldest first: of a `purpose`, said until `as_of`, following on the record `after`.

        Raises CandidateError where `after` is no record of this recipient.
        """
        page = self._transactor.call(_read_page, _Asked(recipient, purpose, as_of, after, most))
        assert isinstance(page, Page)  # noqa: S101 - the transactor raises what is an error
        return page

    def standings(self, recipient: str, *, now: datetime, as_of: datetime | None = None) -> tuple[Standing, ...]:
        """What holds of each purpose and channel of which anything is recorded, by purpose.

        `as_of` None is what the next decision goes by, but for a grant whose `since` lies ahead, which counts from then
        on; an earlier instant, what held then. What no record is about is left out: silence is never consent.
        """
        speakers = self._transactor.call(_read_speakers, (recipient, as_of))
        return standings_of(speakers, now if as_of is None else as_of)


class _Asked(NamedTuple):
    """Which records of a recipient are asked for."""

    recipient: str
    purpose: str | None
    as_of: datetime | None
    after: str | None
    most: int


def _read_one(session: Session, ids: list[str]) -> list[ConsentEvent | None]:
    found = session.consents.by_id(ids)
    return [found.get(each) for each in ids]


def _read_history(session: Session, recipients: list[str]) -> list[tuple[ConsentEvent, ...]]:
    return [session.consents.history(recipient) for recipient in recipients]


def _read_latest(session: Session, asked: list[tuple[str, int]]) -> list[tuple[ConsentEvent, ...]]:
    return [session.consents.latest(recipient, most=most) for recipient, most in asked]


def _read_page(session: Session, pages: list[_Asked]) -> list[Page | CandidateError]:
    cursors = session.consents.by_id([asked.after for asked in pages if asked.after is not None])
    return [_page(session, asked, cursors) for asked in pages]


def _page(session: Session, asked: _Asked, cursors: Mapping[str, ConsentEvent]) -> Page | CandidateError:
    if asked.after is not None:
        cursor = cursors.get(asked.after)
        if cursor is None or cursor.recipient != asked.recipient:
            return invalid((("/after", f"`{asked.after}` is no record of this recipient"),))
    found = session.consents.history(
        asked.recipient, purpose=asked.purpose, as_of=asked.as_of, after=asked.after, most=asked.most + 1
    )
    shown = found[: asked.most]
    return Page(shown, shown[-1].id if len(found) > asked.most else None)


def _read_speakers(
    session: Session, asked: list[tuple[str, datetime | None]]
) -> list[tuple[tuple[str, ConsentEvent], ...]]:
    return [_speakers(session, recipient, as_of) for recipient, as_of in asked]


def _speakers(session: Session, recipient: str, as_of: datetime | None) -> tuple[tuple[str, ConsentEvent], ...]:
    """Each channel with the record that speaks on it, purpose by purpose."""
    purposes = session.consents.purposes(recipient)
    queries = [ConsentQuery(recipient, purpose, channel) for purpose in purposes for channel in CHANNELS]
    states = session.consents.read(queries) if as_of is None else session.consents.read_at(queries, as_of)
    speaking = [(query.channel, states[query].record) for query in queries]
    events = session.consents.by_id(list(dict.fromkeys(record for _, record in speaking if record is not None)))
    return tuple((channel, events[record]) for channel, record in speaking if record is not None)
