"""What a recipient chose, and when: toggles, a pause, fewer than a policy allows, a time zone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from guardrails.core.candidate import PRINTABLE, YEARS, Id, Instant, Timezone, Word
from guardrails.core.needs import Preferences
from guardrails.core.timing import told_at
from guardrails.core.zones import zone_named
from guardrails.decoding import invalid

__all__ = [
    "LIMIT_MOST",
    "LONGEST_PAUSE",
    "PreferenceEvent",
    "PreferenceRequest",
    "RecipientPreferences",
    "events_of",
    "preferences_of",
]

PAUSE, TIMEZONE = "pause", "timezone"
TOGGLE, LIMIT = "toggle:", "limit:"
LIMIT_MOST = 1000

LONGEST_PAUSE = timedelta(days=3650)
"""Whoever wants to hear nothing for longer withdraws, or switches it off."""

ToggleName = Annotated[str, Meta(min_length=1, max_length=len("sponsor:") + 200, pattern=PRINTABLE)]
"""The name of a policy's toggle or, of one for each, such as `sponsor:` and the longest id that a sponsor can have."""


class PreferenceRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a caller wants set; what is not named stays, and null takes a choice back.

    `toggles` by name, such as `sponsored` or `topic:travel`; `paused_until` is when the recipient wants to hear again,
    at most ten years on; `limits` are how many they want at most, by the id of a `personal` cap's policy (one that no
    policy has is kept, for policies come and go). `at` is when the recipient chose (left out: now).
    """

    toggles: Annotated[dict[ToggleName, bool | None], Meta(max_length=100)] = {}
    paused_until: Instant | UnsetType | None = UNSET
    limits: Annotated[dict[Word, Annotated[int, Meta(ge=0, le=LIMIT_MOST)] | None], Meta(max_length=100)] = {}
    timezone: Timezone | UnsetType | None = UNSET
    at: Instant | None = None

    def __post_init__(self) -> None:
        """Demand a choice; msgspec turns a ValueError into a ValidationError that carries the path."""
        if not any(True for _ in _chosen(self)):
            raise ValueError("nothing is chosen: name `toggles`, `paused_until`, `limits` or `timezone`")


class PreferenceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One choice, made once; null where it was taken back. `recorded_at` is our own time.

    `name` is `toggle:` or `limit:` and a name, `pause` or `timezone`. `value` is a JSON value.
    """

    recipient: str
    name: str
    value: Any
    at: datetime
    recorded_at: datetime


class RecipientPreferences(msgspec.Struct, frozen=True):
    """What a recipient chose, as far as they ever did, as it is told: every part of it, be it empty."""

    recipient: str
    toggles: dict[str, bool]
    paused_until: datetime | None
    limits: dict[str, int]
    timezone: str | None

    @classmethod
    def of(cls, recipient: str, chosen: Preferences) -> RecipientPreferences:
        """The same of one recipient."""
        return cls(recipient, chosen.toggles, chosen.paused_until, chosen.limits, chosen.timezone)


def events_of(recipient: str, request: PreferenceRequest, *, now: datetime) -> tuple[PreferenceEvent, ...]:
    """The events of a request that arrives `now`.

    Raises CandidateError where its `at` lies in the future or too far back, where it pauses for longer than
    `LONGEST_PAUSE` or names a zone that there is none of, or `recipient` can't be the id of one.
    """
    try:
        msgspec.convert(recipient, Id)
    except msgspec.ValidationError as error:
        raise invalid((("", f"recipient: {error}"),)) from None
    at = told_at(request.at, now)
    _check_time(at, now)
    _check_pause(request.paused_until, now)
    _check_zone(request.timezone)
    return tuple(
        PreferenceEvent(recipient=recipient, name=name, value=value, at=at, recorded_at=now)
        for name, value in _chosen(request)
    )


def preferences_of(newest: Iterable[tuple[str, Any]]) -> Preferences:
    """What holds, from the newest value of each name."""
    toggles: dict[str, bool] = {}
    limits: dict[str, int] = {}
    paused_until: datetime | None = None
    timezone: str | None = None
    for name, value in newest:
        if value is None:
            continue
        if name.startswith(TOGGLE):
            toggles[name.removeprefix(TOGGLE)] = value
        elif name.startswith(LIMIT):
            limits[name.removeprefix(LIMIT)] = value
        elif name == PAUSE:
            paused_until = datetime.fromisoformat(value)
        elif name == TIMEZONE:
            timezone = value
    return Preferences(toggles, paused_until, limits, timezone)


def _chosen(request: PreferenceRequest) -> Iterable[tuple[str, Any]]:
    """Name and value of each choice, in a fixed order."""
    for toggle, is_on in request.toggles.items():
        yield f"{TOGGLE}{toggle}", is_on
    for policy, limit in request.limits.items():
        yield f"{LIMIT}{policy}", limit
    if not isinstance(request.paused_until, UnsetType):
        yield PAUSE, None if request.paused_until is None else request.paused_until.isoformat()
    if not isinstance(request.timezone, UnsetType):
        yield TIMEZONE, request.timezone


def _check_time(at: datetime, now: datetime) -> None:
    if at > now:
        message = f"`{at.isoformat()}` lies in the future"
    elif at.year not in YEARS:
        message = f"`{at.isoformat()}` lies before {YEARS.start}"
    else:
        return
    raise invalid((("/at", message),))


def _check_pause(until: datetime | UnsetType | None, now: datetime) -> None:
    if not isinstance(until, datetime):
        return
    if until.year not in YEARS:
        message = f"`{until.isoformat()}` lies outside the years {YEARS.start} to {YEARS.stop - 1}"
    elif until > now + LONGEST_PAUSE:
        message = f"`{until.isoformat()}` is further on than a pause lasts at most, {LONGEST_PAUSE.days} days"
    else:
        return
    raise invalid((("/paused_until", message),))


def _check_zone(name: str | UnsetType | None) -> None:
    if isinstance(name, str) and zone_named(name) is None:
        raise invalid((("/timezone", f"`{name}` is no IANA time zone, such as `Europe/Berlin`"),))
