"""The room of settlements: a month's statements, checked against the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from guardrails.attribution.settlement import Settlement, Settlements, TooLongError
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.problems import Refusal
from guardrails.web.route import Route

__all__ = ["SettlementRoom"]

ENTRIES_MOST = 20_000

_encoder = msgspec.json.Encoder()


class SettlementRoom:
    """The handlers. At most `most` revenues, and as many transactions, are told in one answer."""

    def __init__(self, settlements: Settlements, clock: Callable[[], datetime], *, most: int = ENTRIES_MOST) -> None:
        self._settlements = settlements
        self._clock = clock
        self._most = most

    def settle(self, exchange: Exchange, month: str) -> Reply:
        """`GET /v1/settlements/{month}`."""
        try:
            settlement = self._settlements.settle(month, now=exchange.now(self._clock), most=self._most)
        except TooLongError as error:
            raise Refusal("too-long", f"{error}; `guardrails settle --month {month}` prints it") from None
        return Reply(200, _encoder.encode(settlement))

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="GET",
                path="/v1/settlements/{month}",
                handler=self.settle,
                name="settle",
                tag="revenue",
                summary="The statements of a month: sponsors, affiliates, recipients' benefits",
                description="In the project's zone. Each line has the index of the audit entry that proves it. "
                "`differences` says where a sum is not what the ledger moved, and is empty. A month that is over gives "
                "the same statements each time; until then it is told as of `until`.",
                scope="revenue:read",
                gives=Settlement,
                problems=("invalid", "too-long", "unavailable"),
                example=EXAMPLE,
            ),
        )


EXAMPLE: dict[str, Any] = {
    "month": "2026-11",
    "zone": "Europe/Berlin",
    "starts_at": "2026-11-01T00:00:00+01:00",
    "ends_at": "2026-12-01T00:00:00+01:00",
    "until": "2026-12-01T00:00:00+01:00",
    "is_over": True,
    "totals": [
        {
            "currency": "EUR",
            "payments_minor": 0,
            "booked_minor": 1250,
            "reversed_minor": 0,
            "attributed_minor": 1250,
            "unattributed_minor": 0,
            "credits_minor": 0,
            "discounts_minor": 0,
            "affiliates_minor": 0,
            "platform_minor": 1250,
            "shortfall_minor": 0,
        }
    ],
    "statements": [
        {
            "kind": "sponsor",
            "party": "acme-air",
            "currency": "EUR",
            "total_minor": -1250,
            "lines": [
                {
                    "recorded_at": "2026-11-22T12:00:00Z",
                    "what": "revenue",
                    "reference": "order-1001",
                    "amount_minor": -1250,
                    "audit_index": 4711,
                    "decision_id": "0193a1b2c3d4e5f60718293a4b5c6d7e",
                    "decision_audit_index": 4003,
                }
            ],
        }
    ],
    "differences": [],
}
