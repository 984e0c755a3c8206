"""The room of preferences: what a recipient chose."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from guardrails.core.needs import Preferences
from guardrails.preferences.service import PreferenceService
from guardrails.preferences.values import PreferenceRequest, RecipientPreferences
from guardrails.web.body import Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.route import Route, path_id

__all__ = ["PreferenceHistory", "PreferenceRoom"]

PREFERENCES_BYTES = 16 * 1024
HISTORY_MOST = 1000

_encoder = msgspec.json.Encoder()


class PreferenceChoice(msgspec.Struct, frozen=True):
    """One choice: `toggle:` or `limit:` and a name, `pause` or `timezone`; `value` is null where it was taken back.

    `at` is when the recipient chose, `recorded_at` when it arrived.
    """

    name: str
    value: bool | int | str | None
    at: datetime
    recorded_at: datetime


class PreferenceHistory(msgspec.Struct, frozen=True):
    """What a recipient chose over time, oldest first. `truncated`: there are older choices than these."""

    recipient: str
    choices: tuple[PreferenceChoice, ...]
    truncated: bool


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
        now = exchange.now(self._clock)
        return _reply(recipient, self._preferences.set(recipient, request, now=now))

    def read(self, exchange: Exchange, recipient_id: str) -> Reply:
        """`GET /v1/recipients/{recipient_id}/preferences`."""
        del exchange
        recipient = path_id(recipient_id)
        return _reply(recipient, self._preferences.current(recipient))

    def history(self, exchange: Exchange, recipient_id: str) -> Reply:
        """`GET /v1/recipients/{recipient_id}/preferences/history`."""
        del exchange
        recipient = path_id(recipient_id)
        events = self._preferences.history(recipient, most=HISTORY_MOST + 1)
        choices = tuple(
            PreferenceChoice(event.name, event.value, event.at, event.recorded_at) for event in events[-HISTORY_MOST:]
        )
        return Reply(200, _encoder.encode(PreferenceHistory(recipient, choices, len(events) > HISTORY_MOST)))

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
                description="What is not named stays as it is, null takes a choice back; the answer holds them all. "
                "The next decision goes by it.",
                scope="consent:write",
                takes=PreferenceRequest,
                gives=RecipientPreferences,
                problems=("invalid", "unavailable"),
                example=EXAMPLE,
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
            Route(
                method="GET",
                path=f"{path}/history",
                handler=self.history,
                name="read_preference_history",
                tag="preferences",
                summary="What a recipient chose over time, oldest first",
                description="By when they chose, then by arrival: of each name the last holds. Empty for a recipient "
                f"who never chose anything; at most the newest {HISTORY_MOST}.",
                scope="consent:read",
                gives=PreferenceHistory,
                problems=("unavailable",),
            ),
        )


def _reply(recipient: str, chosen: Preferences) -> Reply:
    return Reply(200, _encoder.encode(RecipientPreferences.of(recipient, chosen)))


EXAMPLE: dict[str, Any] = {
    "toggles": {"sponsored": True, "topic:travel": False},
    "paused_until": "2026-12-24T08:00:00+01:00",
    "limits": {"three-sponsored-a-day": 1},
    "timezone": "Europe/Berlin",
}
