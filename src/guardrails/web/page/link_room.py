"""The room where a sender asks for the link to a recipient's page, to put it into messages to them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from guardrails.core.candidate import Language
from guardrails.signing import Links
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.problems import Refusal
from guardrails.web.query import Query
from guardrails.web.route import Route, path_id

__all__ = ["PreferenceLink", "PreferenceLinkRoom"]

_encoder = msgspec.json.Encoder()


class PreferenceLinkQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the page is to greet them."""

    language: Annotated[Language | None, Meta(description="The language to greet them in, such as `de`.")] = None


class PreferenceLink(msgspec.Struct, frozen=True):
    """A link to a recipient's own page. Whoever has it has the page, until `expires_at`: it goes to them alone."""

    url: str
    expires_at: datetime


class PreferenceLinkRoom:
    """The handler. `links` is None where the service has no public URL, and so makes none."""

    def __init__(self, links: Links | None, *, lifetime: timedelta, clock: Callable[[], datetime]) -> None:
        self._links = links
        self._lifetime = lifetime
        self._clock = clock
        self._query = Query(PreferenceLinkQuery)

    def make(self, exchange: Exchange, recipient_id: str) -> Reply:
        """`POST /v1/recipients/{recipient_id}/preference-link`."""
        recipient, asked = path_id(recipient_id), self._query.read(exchange)
        if self._links is None:
            raise Refusal("not-found", "there are no pages: the service has no public URL (GUARDRAILS_PUBLIC_URL)")
        now = exchange.now(self._clock).replace(microsecond=0)
        link = PreferenceLink(self._links.preferences(recipient, now, asked.language), now + self._lifetime)
        return Reply(201, _encoder.encode(link))

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="POST",
                path="/v1/recipients/{recipient_id}/preference-link",
                handler=self.make,
                name="make_preference_link",
                tag="preferences",
                summary="A link to the recipient's own page, to send to them",
                description="Takes no body. Make one for each message and send it to nobody else: whoever has it can "
                "see and change what the recipient chose, and withdraw what they agreed to.",
                scope="consent:write",
                query=PreferenceLinkQuery,
                gives=PreferenceLink,
                status=201,
                problems=("invalid",),
                example={
                    "url": "https://notify.example.org/preferences/WyJyLTQyIiwxNzk2MDQwMDAwLG51bGxd.c2lnbmF0dXJl",
                    "expires_at": "2026-12-22T12:00:00Z",
                },
            ),
        )
