"""Record what recipients choose, and read it back."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from guardrails.core.needs import PreferenceQuery, Preferences
from guardrails.core.timing import CLOCK_SKEW
from guardrails.decide.ports import Transactor
from guardrails.preferences.store import PreferenceStore
from guardrails.preferences.values import LIMIT, PAUSE, PreferenceEvent, PreferenceRequest, events_of, preferences_of

__all__ = ["PreferenceService"]


class PreferenceService:
    """Preferences of all recipients."""

    def __init__(self, transactor: Transactor) -> None:
        self._transactor = transactor

    def set(self, recipient: str, request: PreferenceRequest, *, now: datetime) -> Preferences:
        """Record the named choices, durably, and return all of the recipient's as they are then.

        Where the request has no `at`, what it says holds from now on, whatever another machine's clock, which may be
        ahead, made of an earlier choice; so does what asks for less where its `at` is as near as clocks are. Raises
        CandidateError where its `at` lies in the future, or as `events_of`.
        """
        events = events_of(recipient, request, now=now)
        return self._transactor.call(_set, _Choice(recipient, events, is_timed=request.at is not None))

    def current(self, recipient: str) -> Preferences:
        """What the recipient chose, as far as they ever did."""
        return self._transactor.call(_read_current, PreferenceQuery(recipient))

    def history(self, recipient: str, *, most: int | None = None) -> tuple[PreferenceEvent, ...]:
        """All events of a recipient or, where it says how many at most, the newest: oldest first."""
        return self._transactor.call(_read_history, (recipient, most))


class _Session(Protocol):
    preferences: PreferenceStore


class _Choice(NamedTuple):
    """What one request chooses; `is_timed` where the caller said when."""

    recipient: str
    events: tuple[PreferenceEvent, ...]
    is_timed: bool


def _set(session: _Session, choices: list[_Choice]) -> list[Preferences]:
    return [_set_one(session, choice) for choice in choices]


def _set_one(session: _Session, choice: _Choice) -> Preferences:
    query = PreferenceQuery(choice.recipient)
    newest, chosen = session.preferences.newest(choice.recipient), session.preferences.read([query])[query]
    session.preferences.append(
        [
            msgspec.structs.replace(each, at=max(each.at, newest.get(each.name, each.at)))
            if not choice.is_timed or _is_less_from_now(each, chosen)
            else each
            for each in choice.events
        ]
    )
    return session.preferences.read([query])[query]


def _is_less_from_now(event: PreferenceEvent, chosen: Preferences) -> bool:
    """Whether it asks for less than they chose, and its time is as near as clocks are."""
    return event.recorded_at - event.at <= CLOCK_SKEW and _is_less(event, chosen)


def _is_less(event: PreferenceEvent, chosen: Preferences) -> bool:
    """Whether it is a toggle off, a longer pause or a lower limit."""
    if event.name == PAUSE:
        until = preferences_of([(event.name, event.value)]).paused_until
        return until is not None and (chosen.paused_until is None or until > chosen.paused_until)
    if event.name.startswith(LIMIT):
        (own,) = preferences_of([(event.name, event.value)]).limits.values() or (None,)
        now = chosen.limits.get(event.name.removeprefix(LIMIT))
        return own is not None and (now is None or own < now)
    return event.value is False


def _read_current(session: _Session, queries: list[PreferenceQuery]) -> list[Preferences]:
    current = session.preferences.read(queries)
    return [current[query] for query in queries]


def _read_history(session: _Session, asked: list[tuple[str, int | None]]) -> list[tuple[PreferenceEvent, ...]]:
    return [session.preferences.history(recipient, most=most) for recipient, most in asked]
