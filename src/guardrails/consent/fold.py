"""What a recipient's records come to: the one rule that every store and every reading is held to.

Of a recipient, a purpose and a channel the newest record speaks, by `at` and then by arrival, that is about the channel
and speaks at all: neither a grant that waits for its confirmation nor a device's permission does, and neither hides
what was said before it. What was recorded later never changes what held earlier, unless it says that the recipient
spoke earlier.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import get_args

import msgspec

from guardrails.consent.values import ConsentEvent
from guardrails.core.candidate import Channel
from guardrails.core.needs import ConsentState, ConsentStatus

__all__ = ["CHANNELS", "Standing", "speaking", "standings_of", "state_at"]

CHANNELS: tuple[str, ...] = get_args(Channel)


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holds for a purpose on these channels: what the record said, or `expired` once its time ran out.

    `since` is when the recipient said so or when that time ran out; the rest is the record's. Where that lies ahead, by
    another machine's clock, a refusal holds already, and a grant counts from then on: it is told all the same, for it
    can be withdrawn already.
    """

    purpose: str
    channels: tuple[str, ...]
    state: ConsentStatus
    since: datetime
    record: str
    method: str
    expires_at: datetime | None = None
    notice_id: str | None = None
    notice_version: str | None = None
    jurisdiction: str | None = None


def speaking(
    events: Iterable[ConsentEvent], purpose: str, channel: str, *, at: datetime | None = None
) -> ConsentEvent | None:
    """The record of one recipient that speaks for a purpose and a channel, as of `at` (None: of all there is).

    `events` stand in the order of their arrival, or of their history.
    """
    newest: ConsentEvent | None = None
    for event in events:
        if event.purpose != purpose or not event.speaks or not event.covers(channel):
            continue
        if (at is None or event.at <= at) and (newest is None or event.at >= newest.at):
            newest = event
    return newest


def state_at(events: Iterable[ConsentEvent], purpose: str, channel: str, *, at: datetime | None = None) -> ConsentState:
    """What a decision learns of one recipient's records as of `at` (None: of all there are); see `speaking`."""
    newest = speaking(events, purpose, channel, at=at)
    return ConsentState() if newest is None else newest.told()


def standings_of(speakers: Iterable[tuple[str, ConsentEvent]], now: datetime) -> tuple[Standing, ...]:
    """What holds at `now`, from each channel and the record that speaks on it; in the order in which they are given."""
    by_record: dict[str, tuple[ConsentEvent, list[str]]] = {}
    for channel, event in speakers:
        by_record.setdefault(event.id, (event, []))[1].append(channel)
    return tuple(_standing(event, tuple(channels), now) for event, channels in by_record.values())


def _standing(event: ConsentEvent, channels: tuple[str, ...], now: datetime) -> Standing:
    told = event.told()
    assert told.status is not None  # noqa: S101 - what doesn't speak stands for no channel
    ended_at = event.expires_at if event.expires_at is not None and event.expires_at <= now else None
    return Standing(
        purpose=event.purpose,
        channels=channels,
        state=told.status if ended_at is None else "expired",
        since=event.at if ended_at is None else ended_at,
        record=event.id,
        method=event.method,
        expires_at=event.expires_at,
        notice_id=event.notice_id,
        notice_version=event.notice_version,
        jurisdiction=event.jurisdiction,
    )
