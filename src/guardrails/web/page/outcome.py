"""What was done just now on a page, told once the browser is back: what the records show, never what the query says.

    ?done=withdrawn&at=2026-11-20T12:00:00Z

The query only says where to look: at what was recorded at that instant, a few minutes ago at most. Whoever makes one
up, or keeps it, reads nothing that isn't so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

from markupsafe import Markup

from guardrails.core.needs import Preferences
from guardrails.core.purposes import Purpose
from guardrails.preferences import PreferenceEvent
from guardrails.preferences.values import PAUSE
from guardrails.web.page.consents_view import Said
from guardrails.web.page.texts import Catalogue
from guardrails.web.page.words import titles_of

__all__ = ["METHOD", "Changes", "Outcome", "outcome_of"]

METHOD = "preferences_page"
"""The method of a withdrawal made on the page."""

TOLD_FOR = timedelta(minutes=5)


class Changes(NamedTuple):
    """Where to look: what a recipient said, their newest choices, and what holds of them now."""

    said: Said
    choices: Sequence[PreferenceEvent]
    chosen: Preferences
    now: datetime


class Outcome(NamedTuple):
    """What a form brought about, and the instant at which it was recorded."""

    done: str
    at: datetime

    @property
    def query(self) -> str:
        """It in the address of the page."""
        return urlencode({"done": self.done, "at": self.at.astimezone(UTC).isoformat().replace("+00:00", "Z")})

    @classmethod
    def asked_for(cls, done: str | None, at: str | None, *, now: datetime) -> Outcome | None:
        """What an address says, None where it is nothing of the last minutes."""
        try:
            instant = datetime.fromisoformat(at or "")
        except ValueError:
            return None
        if instant.tzinfo is None or abs(now - instant) > TOLD_FOR:
            return None
        return cls(done or "", instant)


def outcome_of(
    outcome: Outcome, changes: Changes, declared: Mapping[str, Purpose], catalogue: Catalogue
) -> Markup | None:
    """What the page says of it, None where the records don't show it, or something newer undid it."""
    if outcome.done == "withdrawn":
        withdrawn = sorted(_withdrawn_at(outcome.at, changes.said))
        what = titles_of(withdrawn, declared, catalogue)
        return catalogue.say("done.withdrawn", what=what) if withdrawn else None
    return catalogue.say(f"done.{outcome.done}") if _has_chosen(outcome, changes) else None


def _withdrawn_at(instant: datetime, said: Said) -> set[str]:
    """The purposes that were withdrawn on the page at an instant, and still are."""
    withdrawn = {
        event.purpose
        for event in said.history
        if event.recorded_at == instant and event.method == METHOD and event.state == "withdrawn"
    }
    return withdrawn - said.open


def _has_chosen(outcome: Outcome, changes: Changes) -> bool:
    names = {event.name for event in changes.choices if event.recorded_at == outcome.at}
    until = changes.chosen.paused_until
    is_paused = until is not None and until > changes.now
    return {
        "saved": bool(names - {PAUSE}),
        "paused": PAUSE in names and is_paused,
        "resumed": PAUSE in names and not is_paused,
    }.get(outcome.done, False)
