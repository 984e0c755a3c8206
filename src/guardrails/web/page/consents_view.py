"""What a recipient agreed to, as their page tells it: purpose by purpose, with what they were shown and what holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from guardrails.consent import ConsentEvent
from guardrails.consent.fold import CHANNELS, Standing
from guardrails.consent.notices import Notice
from guardrails.core.purposes import OS_PERMISSION, Purpose, Sharing

__all__ = ["Card", "Line", "cards_of", "open_purposes"]

SHOWN_MOST = 20
"""Records of a purpose that the page lists, the newest; the record of all of them is the operator's to hand out."""


class Line(NamedTuple):
    """One thing that was said. `state` is a record's, or `permission`, which is no consent and has no receipt."""

    record: str
    state: str
    at: datetime
    method: str
    channels: tuple[str, ...]
    expires_at: datetime | None
    has_receipt: bool


class Card(NamedTuple):
    """One purpose. `holding` is what holds, `said` all that was said, newest first.

    `channels` of a line are empty where it is about all of them. `is_open`: there is something to withdraw.
    """

    purpose: str
    title: str
    benefit: str | None
    shared_with: tuple[Sharing, ...] | None
    holding: tuple[Line, ...]
    said: tuple[Line, ...]
    is_open: bool
    notice: Notice | None
    notice_version: str | None


def cards_of(
    history: Sequence[ConsentEvent],
    standings: Iterable[Standing],
    *,
    declared: Mapping[str, Purpose],
    notice: Callable[[str], Notice | None],
) -> tuple[Card, ...]:
    """A card for each purpose of which anything is recorded, the one spoken of last first.

    `history` is oldest first. `notice` finds the text that was shown by its hash.
    """
    by_purpose: dict[str, list[ConsentEvent]] = {}
    for event in reversed(history):
        by_purpose.setdefault(event.purpose, []).append(event)
    standing: dict[str, list[Standing]] = {}
    for each in standings:
        standing.setdefault(each.purpose, []).append(each)
    still_open = open_purposes(history, (each for listed in standing.values() for each in listed))
    return tuple(
        _card(
            events,
            standing.get(purpose, ()),
            is_open=purpose in still_open,
            declared=declared.get(purpose),
            find_notice=notice,
        )
        for purpose, events in by_purpose.items()
    )


def open_purposes(history: Iterable[ConsentEvent], standings: Iterable[Standing]) -> frozenset[str]:
    """The purposes that something can be withdrawn of: a grant that holds, or one that may still be confirmed."""
    waiting: dict[str, bool] = {}
    for event in history:
        if event.state == "pending":
            waiting[event.purpose] = True
        elif event.confirms is not None or (event.state in {"withdrawn", "denied"} and event.channels is None):
            waiting[event.purpose] = False
    granted = {each.purpose for each in standings if each.state == "granted"}
    return frozenset(granted | {purpose for purpose, waits in waiting.items() if waits})


def _card(
    events: Sequence[ConsentEvent],
    standings: Sequence[Standing],
    *,
    is_open: bool,
    declared: Purpose | None,
    find_notice: Callable[[str], Notice | None],
) -> Card:
    shown = next((event for event in events if event.notice_hash is not None), None)
    notice = None if shown is None else find_notice(shown.notice_hash or "")
    told = None if notice is None else next((each for each in notice.purposes if each.id == events[0].purpose), None)
    words = told or declared
    return Card(
        purpose=events[0].purpose,
        title=events[0].purpose.replace("_", " ") if words is None else words.title,
        benefit=None if words is None else words.benefit,
        shared_with=None if words is None else words.shared_with,
        holding=tuple(_standing_line(each) for each in standings),
        said=tuple(_event_line(event) for event in events[:SHOWN_MOST]),
        is_open=is_open,
        notice=notice,
        notice_version=next((event.notice_version for event in events if event.notice_version is not None), None),
    )


def _standing_line(standing: Standing) -> Line:
    is_permission = standing.method == OS_PERMISSION
    return Line(
        record=standing.record,
        state="permission" if is_permission else standing.state,
        at=standing.since,
        method=standing.method,
        channels=() if len(standing.channels) == len(CHANNELS) else standing.channels,
        expires_at=standing.expires_at,
        has_receipt=not is_permission,
    )


def _event_line(event: ConsentEvent) -> Line:
    is_permission = event.method == OS_PERMISSION
    return Line(
        record=event.id,
        state="permission" if is_permission else event.state,
        at=event.at,
        method=event.method,
        channels=event.channels or (),
        expires_at=event.expires_at,
        has_receipt=not is_permission,
    )
