"""The room of consents: record and confirm them, and read what was recorded and what holds, now or at any time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from guardrails.consent.fold import Standing
from guardrails.consent.service import PAGE_MOST, ConsentService
from guardrails.consent.values import ConsentEvent, ConsentRequest
from guardrails.core.candidate import Id, Instant, Word
from guardrails.decoding import in_place
from guardrails.signing import Links
from guardrails.web.body import Batch, Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.query import Query
from guardrails.web.route import ResultsOf, Route, path_id, results_reply

__all__ = ["ConsentHistory", "ConsentRoom", "RecipientStandings", "RecordedConsent"]

CONSENT_BYTES = 16 * 1024
BATCH_BYTES = 8 * 1024 * 1024
BATCH_MOST = 1000

_encoder = msgspec.json.Encoder()


class ConsentRequests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Consents to record in this order."""

    consents: Annotated[tuple[ConsentRequest, ...], Meta(min_length=1, max_length=BATCH_MOST)]


class HistoryQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which records are asked for."""

    purpose: Annotated[Word | None, Meta(description="Only those for this purpose.")] = None
    as_of: Annotated[Instant | None, Meta(description="Only what the recipient had said by this instant.")] = None
    after: Annotated[Id | None, Meta(description="What follows on the record of this id, the `next` of a page.")] = None


class StandingsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As of when."""

    as_of: Annotated[
        Instant | None, Meta(description="What held at this instant; else what the next decision goes by.")
    ] = None


class RecordedConsent(ConsentEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A record and, where it is pending and recipients can reach the service, the link that confirms it.

    `confirm_url` goes to the recipient and to nobody else. `confirm_before` is when a pending record can't be
    confirmed any more. `outdone_by` is what holds instead of the record, where others of its channels are newer.
    """

    confirm_url: str | None = None
    confirm_before: datetime | None = None
    outdone_by: tuple[Standing, ...] = ()


class ConsentHistory(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is recorded of a recipient, oldest first; more follows after the record that `next` names, where it does."""

    recipient: str
    consents: tuple[ConsentEvent, ...]
    next: str | None = None


class RecipientStandings(msgspec.Struct, frozen=True):
    """What holds, by purpose and channel. Where nothing is said of one, there is no consent."""

    recipient: str
    as_of: datetime
    standings: tuple[Standing, ...]


class ConsentRoom:
    """The handlers."""

    def __init__(self, consents: ConsentService, links: Links | None, clock: Callable[[], datetime]) -> None:
        self._consents = consents
        self._links = links
        self._clock = clock
        self._one = Body(ConsentRequest, limit=CONSENT_BYTES)
        self._many = Batch(ConsentRequests, ConsentRequest, limit=BATCH_BYTES)
        self._history = Query(HistoryQuery)
        self._standings = Query(StandingsQuery)

    def record(self, exchange: Exchange) -> Reply:
        """`POST /v1/consents`."""
        request, now = self._one.read(exchange), exchange.now(self._clock)
        event = self._consents.record(request, now=now)
        exchange.log["consent_id"] = event.id
        (told,) = self._told([event], now)
        return Reply(201, _encoder.encode(told))

    def record_many(self, exchange: Exchange) -> Reply:
        """`POST /v1/consents/batch`."""
        requests = self._many.read(exchange)
        exchange.log["consents"] = len(requests)
        now = exchange.now(self._clock)
        results = in_place(requests, partial(self._consents.record_many, now=now))
        return results_reply(in_place(results, partial(self._told, now=now)), exchange)

    def confirm(self, exchange: Exchange, consent_id: str) -> Reply:
        """`POST /v1/consents/{consent_id}/confirmation`."""
        event = self._consents.confirm(path_id(consent_id), now=exchange.now(self._clock))
        exchange.log["consent_id"] = event.id
        return Reply(200, _encoder.encode(event))

    def read(self, exchange: Exchange, consent_id: str) -> Reply:
        """`GET /v1/consents/{consent_id}`."""
        del exchange
        return Reply(200, _encoder.encode(self._consents.read(path_id(consent_id))))

    def history(self, exchange: Exchange, recipient_id: str) -> Reply:
        """`GET /v1/recipients/{recipient_id}/consents`."""
        recipient, asked = path_id(recipient_id), self._history.read(exchange)
        page = self._consents.page(recipient, purpose=asked.purpose, as_of=asked.as_of, after=asked.after)
        return Reply(200, _encoder.encode(ConsentHistory(recipient, page.consents, page.next)))

    def standings(self, exchange: Exchange, recipient_id: str) -> Reply:
        """`GET /v1/recipients/{recipient_id}/consents/state`."""
        recipient, asked = path_id(recipient_id), self._standings.read(exchange)
        now = exchange.now(self._clock)
        found = self._consents.standings(recipient, now=now, as_of=asked.as_of)
        return Reply(200, _encoder.encode(RecipientStandings(recipient, asked.as_of or now, found)))

    def _told(self, events: Sequence[ConsentEvent], now: datetime) -> list[RecordedConsent]:
        """The records with their links, the same whenever they are asked for again, and with what outdoes them."""
        outdone = self._consents.outdone_by(events, now=now)
        return [self._recorded(event, by) for event, by in zip(events, outdone, strict=True)]

    def _recorded(self, event: ConsentEvent, outdone_by: tuple[Standing, ...]) -> RecordedConsent:
        fields = msgspec.structs.asdict(event)
        if event.state != "pending":
            return RecordedConsent(**fields, outdone_by=outdone_by)
        return RecordedConsent(
            **fields,
            confirm_url=None if self._links is None else self._links.confirmation(event.id, event.recorded_at),
            confirm_before=self._consents.confirm_by(event),
        )

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="POST",
                path="/v1/consents",
                handler=self.record,
                name="record_consent",
                tag="consents",
                summary="Record one consent",
                description="Durable before it is answered, and the next decision goes by it. With an `id` of your own "
                "it is safe to repeat; the same id with another content is a conflict. Where the policies declare "
                "purposes, others are refused; where one demands a double opt-in, a grant is recorded as `pending` "
                "and confirmed: `confirm_url` is the link that the recipient does it by.",
                scope="consent:write",
                takes=ConsentRequest,
                gives=RecordedConsent,
                status=201,
                problems=("invalid", "conflict", "unavailable"),
                example=EXAMPLE,
            ),
            Route(
                method="POST",
                path="/v1/consents/batch",
                handler=self.record_many,
                name="record_consents",
                tag="consents",
                summary=f"Record up to {BATCH_MOST} consents, in order",
                description="Each has its own result in the same place: the record, or the problem it alone has.",
                scope="consent:write",
                takes=ConsentRequests,
                gives=ResultsOf(RecordedConsent),
                problems=("invalid", "unavailable"),
                example={"consents": [EXAMPLE]},
            ),
            Route(
                method="GET",
                path="/v1/recipients/{recipient_id}/consents",
                handler=self.history,
                name="read_consents",
                tag="consents",
                summary="What is recorded of one recipient, oldest first",
                description=f"Empty for a recipient of whom nothing is recorded. At most {PAGE_MOST} records; `next` "
                "says that more follow.",
                scope="consent:read",
                query=HistoryQuery,
                gives=ConsentHistory,
                problems=("invalid", "unavailable"),
            ),
            Route(
                method="GET",
                path="/v1/recipients/{recipient_id}/consents/state",
                handler=self.standings,
                name="read_consent_state",
                tag="consents",
                summary="What holds of a recipient's consents, now or at an instant",
                description="By purpose and channel, with the record that speaks: the newest, by when the recipient "
                "spoke and then by arrival, that is about the channel and waits for no confirmation. What nothing is "
                "recorded of is left out.",
                scope="consent:read",
                query=StandingsQuery,
                gives=RecipientStandings,
                problems=("invalid", "unavailable"),
                example=STANDINGS_EXAMPLE,
            ),
            Route(
                method="GET",
                path="/v1/consents/{consent_id}",
                handler=self.read,
                name="read_consent",
                tag="consents",
                summary="One record",
                scope="consent:read",
                gives=ConsentEvent,
                problems=("unavailable",),
            ),
            Route(
                method="POST",
                path="/v1/consents/{consent_id}/confirmation",
                handler=self.confirm,
                name="confirm_consent",
                tag="consents",
                summary="Confirm a pending consent, where your own message asked for it",
                description="Takes no body and answers with the grant, which is what the pending record says from now "
                "on; again, with the same one. A 409 where the recipient withdrew or denied since, a 410 where it "
                "waited too long.",
                scope="consent:write",
                gives=ConsentEvent,
                problems=("conflict", "gone", "unavailable"),
            ),
        )


EXAMPLE: dict[str, Any] = {
    "id": "consent-1",
    "recipient": "r-42",
    "purpose": "sponsored_content",
    "state": "granted",
    "method": "settings_screen",
    "notice_version": "2026-03",
    "language": "de-DE",
}
STANDINGS_EXAMPLE: dict[str, Any] = {
    "recipient": "r-42",
    "as_of": "2026-12-01T12:00:00Z",
    "standings": [
        {
            "purpose": "sponsored_content",
            "channels": ["push", "web_push", "sms", "in_app", "chat", "voice"],
            "state": "granted",
            "since": "2026-03-10T12:00:00Z",
            "record": "consent-1",
            "method": "settings_screen",
            "notice_version": "2026-03",
        },
        {
            "purpose": "sponsored_content",
            "channels": ["email"],
            "state": "withdrawn",
            "since": "2026-06-02T08:30:00Z",
            "record": "consent-7",
            "method": "one_click",
        },
    ],
}
