"""The room of consents: record one or many, and read a recipient's history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from guardrails.consent.service import ConsentService
from guardrails.consent.values import ConsentEvent, ConsentRequest
from guardrails.decoding import in_place
from guardrails.web.body import Batch, Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.route import Route, path_id, results_of, results_reply

__all__ = ["ConsentHistory", "ConsentRoom"]

CONSENT_BYTES = 16 * 1024
BATCH_BYTES = 8 * 1024 * 1024
BATCH_MOST = 1000

_encoder = msgspec.json.Encoder()


class ConsentRequests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Consents to record in this order."""

    consents: Annotated[tuple[ConsentRequest, ...], Meta(min_length=1, max_length=BATCH_MOST)]


class ConsentHistory(msgspec.Struct, frozen=True):
    """Everything recorded of a recipient, oldest first. The newest record of a purpose is the one that speaks."""

    recipient: str
    consents: tuple[ConsentEvent, ...]


class ConsentRoom:
    """The handlers."""

    def __init__(self, consents: ConsentService, clock: Callable[[], datetime]) -> None:
        self._consents = consents
        self._clock = clock
        self._one = Body(ConsentRequest, limit=CONSENT_BYTES)
        self._many = Batch(ConsentRequests, ConsentRequest, limit=BATCH_BYTES)

    def record(self, exchange: Exchange) -> Reply:
        """`POST /v1/consents`."""
        request = self._one.read(exchange)
        event = self._consents.record(request, now=exchange.replay_at or self._clock())
        exchange.log["consent_id"] = event.id
        return Reply(201, _encoder.encode(event))

    def record_many(self, exchange: Exchange) -> Reply:
        """`POST /v1/consents/batch`."""
        requests = self._many.read(exchange)
        exchange.log["consents"] = len(requests)
        record = partial(self._consents.record_many, now=exchange.replay_at or self._clock())
        return results_reply(in_place(requests, record), exchange)

    def history(self, exchange: Exchange, recipient_id: str) -> Reply:
        """`GET /v1/recipients/{recipient_id}/consents`."""
        recipient = path_id(recipient_id)
        del exchange
        return Reply(200, _encoder.encode(ConsentHistory(recipient, self._consents.history(recipient))))

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
                description="Durable before it is answered. With an `id` of your own it is safe to repeat; the same id "
                "with another content is a conflict.",
                scope="consent:write",
                takes=ConsentRequest,
                gives=ConsentEvent,
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
                gives=results_of(ConsentEvent),
                problems=("invalid", "unavailable"),
                example={"consents": [EXAMPLE]},
            ),
            Route(
                method="GET",
                path="/v1/recipients/{recipient_id}/consents",
                handler=self.history,
                name="read_consents",
                tag="consents",
                summary="Everything recorded of one recipient",
                description="Empty for a recipient of whom nothing is recorded.",
                scope="consent:read",
                gives=ConsentHistory,
                problems=("unavailable",),
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
