"""The room of usage: how far a recipient has used each cap, and when the next slot opens."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from guardrails.core.candidate import Country, Recipient, Region, Timezone
from guardrails.decide.usage import MOST_KEYS, RecipientUsage, UsageReader
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.query import Query
from guardrails.web.route import Route, path_id

__all__ = ["UsageRoom"]

_encoder = msgspec.json.Encoder()


class Whereabouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What caps that count by the recipient's calendar need to know of them, as candidates say it."""

    timezone: Annotated[Timezone | None, Meta(description="Their zone, such as `Europe/Berlin`.")] = None
    country: Annotated[
        Country | None, Meta(description="ISO 3166-1, such as `DE`; counts where the zone is not known.")
    ] = None
    region: Annotated[
        Region | None, Meta(description="ISO 3166-2, such as `US-NY`; counts where the zone is not known.")
    ] = None


class UsageRoom:
    """The handler."""

    def __init__(self, usage: UsageReader) -> None:
        self._usage = usage
        self._query = Query(Whereabouts)

    def read(self, exchange: Exchange, recipient_id: str) -> Reply:
        """`GET /v1/recipients/{recipient_id}/usage`."""
        id_, where = path_id(recipient_id), self._query.read(exchange)
        recipient = Recipient(id=id_, timezone=where.timezone, country=where.country, region=where.region)
        return Reply(200, _encoder.encode(self._usage.read(recipient, now=exchange.replay_at)))

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="GET",
                path="/v1/recipients/{recipient_id}/usage",
                handler=self.read,
                name="read_usage",
                tag="usage",
                summary="How far a recipient has used each cap",
                description="Every cap in force that counts what the recipient gets, and those that all share. Nothing "
                "is used of whom nothing is recorded. Caps in the recipient's own calendar need a `timezone`: the one "
                f"that is asked with, or else the one that they chose. At most {MOST_KEYS} keys of caps that count by "
                "more than the recipient are looked at; `truncated` says that there are more.",
                # Who may read decisions back may see what they add up to: the key of somebody who answers questions.
                scope="audit:read",
                query=Whereabouts,
                gives=RecipientUsage,
                problems=("invalid", "unavailable"),
                example=EXAMPLE,
            ),
        )


EXAMPLE: dict[str, Any] = {
    "recipient": "r-42",
    "as_of": "2026-12-01T12:00:00Z",
    "policy_revision": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "caps": [
        {
            "policy": "three-sponsored-a-day",
            "title": "Three sponsored notifications a day",
            "mode": "enforce",
            "key": {"recipient.id": "r-42"},
            "shared": False,
            "used": 1,
            "limit": 1,
            "policy_limit": 3,
            "currency": None,
            "count_on": "reserved",
            "window": "calendar day in the recipient's zone",
            "next_slot_at": "2026-12-01T23:00:00Z",
            "note": "the recipient wants at most 1; the policy allows 3",
        },
        {
            "policy": "eight-a-channel",
            "title": "Eight a day on one channel",
            "mode": "monitor",
            "key": {"recipient.id": "r-42", "channel": "push"},
            "shared": False,
            "used": 2,
            "limit": 8,
            "policy_limit": 8,
            "currency": None,
            "count_on": "sent",
            "window": "rolling 1d",
            "next_slot_at": "2026-12-01T12:00:00Z",
            "note": None,
        },
    ],
    "unused": ["one-a-sponsor"],
    "truncated": False,
}
