"""Record what recipients choose, and read it back."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from guardrails.core.needs import PreferenceQuery, Preferences
from guardrails.decide.ports import Transactor
from guardrails.preferences.store import PreferenceStore
from guardrails.preferences.values import PreferenceEvent, PreferenceRequest, events_of

__all__ = ["PreferenceService"]


class PreferenceService:
    """Preferences of all recipients."""

    def __init__(self, transactor: Transactor) -> None:
        self._transactor = transactor

    def set(self, recipient: str, request: PreferenceRequest, *, now: datetime) -> Preferences:
        """Record the named choices, durably, and return all of the recipient's as they are then.

        Raises CandidateError where the request's `at` lies in the future.
        """
        return self._transactor.call(_set, (recipient, events_of(recipient, request, now=now)))

    def current(self, recipient: str) -> Preferences:
        """What the recipient chose, as far as they ever did."""
        return self._transactor.call(_read_current, PreferenceQuery(recipient))

    def history(self, recipient: str) -> tuple[PreferenceEvent, ...]:
        """All events of a recipient, oldest first."""
        return self._transactor.call(_read_history, recipient)


class _Session(Protocol):
    preferences: PreferenceStore


def _set(session: _Session, requests: list[tuple[str, tuple[PreferenceEvent, ...]]]) -> list[Preferences]:
    results = []
    for recipient, events in requests:
        session.preferences.append(events)
        results.extend(_read_current(session, [PreferenceQuery(recipient)]))
    return results


def _read_current(session: _Session, queries: list[PreferenceQuery]) -> list[Preferences]:
    current = session.preferences.read(queries)
    return [current[query] for query in queries]


def _read_history(session: _Session, recipients: list[str]) -> list[tuple[PreferenceEvent, ...]]:
    return [session.preferences.history(recipient) for recipient in recipients]
