"""The room of preferences: what a recipient chose."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from guardrails.core.needs import Preferences
from guardrails.preferences.service import PreferenceService
from guardrails.preferences.values import PreferenceRequest
from guardrails.web.body import Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.route import Route, path_id

__all__ = ["PreferenceRoom", "RecipientPreferences"]

PREFERENCES_BYTES = 16 * 1024

_encoder = msgspec.json.Encoder()


class RecipientPreferences(msgspec.Struct, frozen=True):
    """What a recipient chose, as far as they ever did."""

    recipient: str
    toggles: dict[str, bool]
    paused_until: datetime | None
    limits: dict[str, int]
    timezone: str | None


class PreferenceRoom:
    """The handlers."""

    def __init__(self, preferences: PreferenceService, clock: Callable[[], datetime]) -> None:
        self._preferences = preferences
        self._clock = clock
        self._body = Body(PreferenceRequest, limit=PREFERENCES_BYTES)

    def set(self, exchange: Exchange, recipient_id: str) -> Reply:
        """`PUT /v1/recipients/{recipient_id}/preferences`."""
        recipient = path_id(recipient_id)
        request = self._body.read(exchange)
        now = exchange.replay_at or self._clock()
        return _reply(recipient, self._preferences.set(recipient, request, now=now))

    def read(self, exchange: Exchange, recipient_id: str) -> Reply:
        """`GET /v1/recipients/{recipient_id}/preferences`."""
        del exchange
        recipient = path_id(recipient_id)
        return _reply(recipient, self._preferences.current(recipient))

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        path = "/v1/recipients/{recipient_id}/preferences"
        return (
            Route(
                method="PUT",
                path=path,
                handler=self.set,
                name="set_preferences",
                tag="preferences",
                summary="Record what a recipient chose",
                description="What is not named stays as it is, null takes a choice back; the answer holds them all.",
                scope="consent:write",
                takes=PreferenceRequest,
                gives=RecipientPreferences,
                problems=("invalid", "unavailable"),
                example={"toggles": {"sponsored_content": False}},
            ),
            Route(
                method="GET",
                path=path,
                handler=self.read,
                name="read_preferences",
                tag="preferences",
                summary="What a recipient chose",
                description="Empty for a recipient who never chose anything.",
                scope="consent:read",
                gives=RecipientPreferences,
                problems=("unavailable",),
            ),
        )


def _reply(recipient: str, chosen: Preferences) -> Reply:
    said = RecipientPreferences(recipient, chosen.toggles, chosen.paused_until, chosen.limits, chosen.timezone)
    return Reply(200, _encoder.encode(said))
