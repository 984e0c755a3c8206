"""The room of records: all that is recorded of one recipient, as one document, for whoever answers their request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from guardrails.bootstrap import Application
from guardrails.recipient_record import RecipientRecord, record_of
from guardrails.settings import Scope
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.problems import Refusal
from guardrails.web.route import Route, path_id

__all__ = ["RecordRoom"]

RECORD_BYTES = 64 * 1024 * 1024
"""At most so much is held of a record. It is not sent piece by piece: whoever reads slowly would hold up a thread that
decides, and a store that fails half-way would leave half a document that was answered with a 200."""

COMMAND = "`guardrails recipient record`"

ALSO_READS: Mapping[Scope, str] = MappingProxyType({"consent:read": "consents", "wallet:read": "a wallet"})
"""What a record holds beside what the audit log does, by the scope that reads it elsewhere."""


class RecordRoom:
    """The handler. It reads the whole log, so for one recipient at a time only: decisions have the other threads."""

    def __init__(
        self, application: Application, clock: Callable[[], datetime], *, limit_bytes: int = RECORD_BYTES
    ) -> None:
        self._application = application
        self._clock = clock
        self._limit_bytes = limit_bytes
        self._alone = threading.Lock()

    def read(self, exchange: Exchange, recipient_id: str) -> Reply:
        """`GET /v1/recipients/{recipient_id}/record`."""
        recipient = path_id(recipient_id)
        for scope, held in ALSO_READS.items():
            if not exchange.may(scope):
                raise Refusal("forbidden", f"a record holds {held} as well: the key has no scope `{scope}`")
        if not self._alone.acquire(blocking=False):
            raise Refusal(
                "busy", f"another record is being read; ask again, or use {COMMAND}", headers=(("Retry-After", "1"),)
            )
        try:
            audit = self._application.audit
            entries = audit.entries(0, audit.size())
            now = exchange.now(self._clock)
            return Reply(200, self._whole(record_of(self._application, recipient, now=now, entries=entries)))
        finally:
            self._alone.release()

    def _whole(self, pieces: Iterable[bytes]) -> bytes:
        whole = bytearray()
        for piece in pieces:
            whole += piece
            if len(whole) > self._limit_bytes:
                raise Refusal("too-long", f"the record is longer than {self._limit_bytes} bytes; {COMMAND} prints it")
        return bytes(whole)

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="GET",
                path="/v1/recipients/{recipient_id}/record",
                handler=self.read,
                name="read_record",
                tag="records",
                summary="All that is recorded of one recipient, as one document",
                description="What to hand to a recipient who asks (GDPR Art. 15): their consents and what holds of "
                "them, the notices that they were shown, what they chose and when, how far they have used each cap, "
                "what is in their wallet and how it came about, their conversions and redemptions and what was earned "
                "by them, and every decision in the log on what was to be sent to them, with what became of it. All "
                "fields are there and empty for whom nothing is recorded. The whole log is read, for one recipient "
                "at a time. The key needs the scopes `consent:read` and `wallet:read`, too.",
                scope="audit:read",
                gives=RecipientRecord,
                problems=("busy", "too-long", "unavailable"),
                example=EXAMPLE,
            ),
        )


EXAMPLE: dict[str, Any] = {
    "recipient": "r-42",
    "as_of": "2026-12-01T12:00:00Z",
    "standings": [
        {
            "purpose": "sponsored_content",
            "channels": ["push", "email"],
            "state": "granted",
            "since": "2026-03-10T12:00:00Z",
            "record": "consent-1",
            "method": "settings_screen",
        }
    ],
    "consents": [
        {
            "id": "consent-1",
            "recipient": "r-42",
            "purpose": "sponsored_content",
            "state": "granted",
            "at": "2026-03-10T12:00:00Z",
            "method": "settings_screen",
            "recorded_at": "2026-03-10T12:00:00Z",
            "channels": ["push", "email"],
        }
    ],
    "notices": [],
    "preferences": {
        "recipient": "r-42",
        "toggles": {"sponsored": True},
        "paused_until": None,
        "limits": {},
        "timezone": None,
    },
    "preference_events": [
        {
            "recipient": "r-42",
            "name": "toggle:sponsored",
            "value": True,
            "at": "2026-03-10T12:00:00Z",
            "recorded_at": "2026-03-10T12:00:00Z",
        }
    ],
    "usage": {
        "recipient": "r-42",
        "as_of": "2026-12-01T12:00:00Z",
        "policy_revision": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "caps": [],
        "unused": ["three-sponsored-a-day"],
        "truncated": False,
    },
    "balances": [{"unit": "EUR", "amount_minor": 2500, "amount": "25.00"}],
    "transactions": [
        {
            "id": "top_up:gift-card-7",
            "kind": "top_up",
            "at": "2026-11-30T09:00:00Z",
            "changes": [{"unit": "EUR", "amount_minor": 2500, "amount": "25.00"}],
        }
    ],
    "conversions": [],
    "redemptions": [],
    "revenue": [],
    "decisions": [
        {
            "audit_index": 17,
            "state": "sent",
            "entry": {"type": "decision", "decision": {"effect": "allow", "consents": ["consent-1"], "...": "..."}},
        }
    ],
    "outcomes": [
        {"audit_index": 18, "entry": {"type": "outcome", "is_now": "sent", "...": "..."}},
    ],
    "events": [
        {"audit_index": 19, "entry": {"type": "event", "event": "conversion.opened", "...": "..."}},
    ],
}
