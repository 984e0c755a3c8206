"""What a recipient agreed to, as their page tells it: purpose by purpose, with what they were shown and what holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from guardrails.consent import ConsentEvent
from guardrails.consent.fold import CHANNELS, Standing
from guardrails.consent.ledger import voids
from guardrails.consent.notices import Notice
from guardrails.core.purposes import OS_PERMISSION, Purpose, Words
from guardrails.web.page.texts import Catalogue
from guardrails.web.page.words import words_of, words_shown

__all__ = ["RECORDS_MOST", "Card", "Line", "Promise", "Said", "cards_of", "waiting_in"]

RECORDS_MOST = 500
"""Records of a recipient that the page reads, the newest. What holds is told whatever its age."""

SHOWN_MOST = 20
"""Records of a purpose that the page lists, the newest; the record of all of them is the operator's to hand out."""


class Said(NamedTuple):
    """What a recipient said. `history` are the newest records, oldest first; `waiting` those of them to be confirmed.

    `standings` are what holds, and `spoken` the records that they are of, by id.
    """

    history: Sequence[ConsentEvent]
    waiting: Sequence[ConsentEvent]
    standings: Sequence[Standing]
    spoken: Mapping[str, ConsentEvent]

    @property
    def open(self) -> frozenset[str]:
        """The purposes that something can be withdrawn of: a grant that holds, or one that may still be confirmed."""
        granted = {each.purpose for each in self.standings if each.state == "granted"}
        return frozenset(granted | {event.purpose for event in self.waiting})


class Line(NamedTuple):
    """One thing that was said. `channels` are empty where it is about all of them.

    `state` is a record's, or `permission`, which is no consent and has no receipt, or `lapsed`: asked, and never
    confirmed. Who takes back what they never gave has `denied` it.
    """

    record: str
    state: str
    at: datetime
    method: str
    channels: tuple[str, ...]
    expires_at: datetime | None
    has_receipt: bool


class Promise(NamedTuple):
    """What they were told of a purpose when they agreed to it on `channels` (empty: on all).

    `words` are the notice's where one was shown, else what is declared, None where nothing is.
    """

    words: Words | None
    notice: Notice | None
    version: str | None
    channels: tuple[str, ...]


class Card(NamedTuple):
    """One purpose. `holding` is what holds, `said` what was said, newest first. `is_open`: there is something to
    withdraw. `promises` differ where they agreed on different channels by different texts; the newest comes first.
    """

    purpose: str
    holding: tuple[Line, ...]
    said: tuple[Line, ...]
    is_open: bool
    promises: tuple[Promise, ...]

    @property
    def words(self) -> Words | None:
        """What the purpose is called."""
        return self.promises[0].words


def waiting_in(
    history: Iterable[ConsentEvent], *, confirm_by: Callable[[ConsentEvent], datetime], now: datetime
) -> tuple[ConsentEvent, ...]:
    """The pending records of a history, oldest first, that may still be confirmed."""
    waiting: dict[str, ConsentEvent] = {}
    for event in history:
        if event.state == "pending" and now < confirm_by(event):
            waiting[event.id] = event
        waiting.pop(event.confirms or "", None)
        for pending in tuple(waiting.values()):
            if pending.purpose == event.purpose and voids(event, pending):
                del waiting[pending.id]
    return tuple(waiting.values())


def cards_of(
    said: Said, *, declared: Mapping[str, Purpose], notice: Callable[[str], Notice | None], catalogue: Catalogue
) -> tuple[Card, ...]:
    """A card for each purpose of which anything is recorded, in the order in which the policies declare them.

    `notice` finds the text that was shown by its hash.
    """
    recorded = {event.purpose for event in said.history} | {each.purpose for each in said.standings}
    order = [*(purpose for purpose in declared if purpose in recorded), *sorted(recorded - declared.keys())]
    return tuple(_card(purpose, said, declared=declared, find_notice=notice, catalogue=catalogue) for purpose in order)


def _card(
    purpose: str,
    said: Said,
    *,
    declared: Mapping[str, Purpose],
    find_notice: Callable[[str], Notice | None],
    catalogue: Catalogue,
) -> Card:
    events = [event for event in said.history if event.purpose == purpose]
    standings = [each for each in said.standings if each.purpose == purpose]
    waiting = [event for event in said.waiting if event.purpose == purpose]
    holding = [_standing_line(each, said.spoken[each.record], events) for each in standings]
    holding += [_event_line(event, events) for event in waiting]
    shown: list[tuple[ConsentEvent, Sequence[str]]]
    shown = [(said.spoken[each.record], each.channels) for each in standings if each.state == "granted"]
    shown = shown or [(event, event.channels or CHANNELS) for event in waiting or _last_with_notice(events)]
    shown.sort(key=lambda each: each[0].at, reverse=True)
    return Card(
        purpose=purpose,
        holding=tuple(holding) or (_unheld_line(events),),
        said=tuple(_event_line(event, events) for event in events[: -SHOWN_MOST - 1 : -1]),
        is_open=purpose in said.open,
        promises=_promises(shown, declared, find_notice, catalogue)
        or (Promise(words_of(purpose, declared, catalogue), None, None, ()),),
    )


def _last_with_notice(events: Sequence[ConsentEvent]) -> list[ConsentEvent]:
    return [event for event in events if event.notice_hash is not None][-1:]


def _promises(
    shown: Iterable[tuple[ConsentEvent, Sequence[str]]],
    declared: Mapping[str, Purpose],
    find_notice: Callable[[str], Notice | None],
    catalogue: Catalogue,
) -> tuple[Promise, ...]:
    """What was shown, each text once, with the channels that were agreed to by it."""
    texts: dict[tuple[str | None, str | None], tuple[ConsentEvent, set[str]]] = {}
    for event, channels in shown:
        texts.setdefault((event.notice_hash, event.notice_version), (event, set()))[1].update(channels)
    promises = []
    for event, on in texts.values():
        notice = None if event.notice_hash is None else find_notice(event.notice_hash)
        if notice is None:
            words = words_of(event.purpose, declared, catalogue)
        else:
            words = words_shown(notice, event.purpose, declared, catalogue)
        promises.append(Promise(words, notice, event.notice_version, _channels(on)))
    return tuple(promises)


def _standing_line(standing: Standing, record: ConsentEvent, events: Sequence[ConsentEvent]) -> Line:
    line = _event_line(record, events)
    state = "expired" if standing.state == "expired" else line.state
    return line._replace(state=state, channels=_channels(standing.channels))


def _event_line(event: ConsentEvent, events: Sequence[ConsentEvent]) -> Line:
    return Line(
        record=event.id,
        state=_state(event, events),
        at=event.at,
        method=event.method,
        channels=event.channels or (),
        expires_at=event.expires_at,
        has_receipt=event.method != OS_PERMISSION,
    )


def _unheld_line(events: Sequence[ConsentEvent]) -> Line:
    """Of a purpose of which nothing holds: a permission, or a question that was not answered in time."""
    line = _event_line(events[-1], events)
    return line._replace(state="lapsed") if line.state == "pending" else line


def _state(event: ConsentEvent, events: Iterable[ConsentEvent]) -> str:
    if event.method == OS_PERMISSION and event.state == "granted":
        return "permission"
    return "denied" if event.state == "withdrawn" and not any(_gave(each, event) for each in events) else event.state


def _gave(event: ConsentEvent, withdrawal: ConsentEvent) -> bool:
    """Whether an event gave, or was about to give, what the withdrawal takes back."""
    gives = event.state in {"granted", "pending"} and event.method != OS_PERMISSION and event.at <= withdrawal.at
    return gives and any(event.covers(channel) and withdrawal.covers(channel) for channel in CHANNELS)


def _channels(channels: Iterable[str]) -> tuple[str, ...]:
    """Some channels in their order; none where they are all."""
    named = tuple(channel for channel in CHANNELS if channel in set(channels))
    return () if len(named) == len(CHANNELS) else named
