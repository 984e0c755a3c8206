"""A recipient's record: all that is recorded of one recipient, as one JSON document (GDPR Art. 15).

It is written field by field as it is read, so that no part of the log is held in memory. What the fields are is said
in docs/http-api.md; whoever is asked for it, the command or the service, gives the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from guardrails.bootstrap import Application
from guardrails.consent.fold import Standing
from guardrails.consent.notices import Notice
from guardrails.consent.values import ConsentEvent
from guardrails.core.candidate import Recipient
from guardrails.decide.recipient_log import LoggedDecision, LoggedOutcome, RecipientLog
from guardrails.decide.usage import RecipientUsage
from guardrails.preferences.values import PreferenceEvent, RecipientPreferences

__all__ = ["RecipientRecord", "record_of"]


class RecipientRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that is recorded of a recipient by `as_of`; what was recorded one after the other, oldest first.

    `standings` are what holds of the `consents`, and `notices` the texts that they were given on. The `entry` of each
    decision and outcome is what the audit log holds, as it was written.
    """

    recipient: str
    as_of: datetime
    standings: tuple[Standing, ...]
    consents: tuple[ConsentEvent, ...]
    notices: tuple[Notice, ...]
    preferences: RecipientPreferences
    preference_events: tuple[PreferenceEvent, ...]
    usage: RecipientUsage
    decisions: tuple[LoggedDecision, ...]
    outcomes: tuple[LoggedOutcome, ...]


def record_of(
    application: Application, recipient: str, *, now: datetime, entries: Iterable[tuple[int, bytes]]
) -> Iterator[bytes]:
    """The JSON of a `RecipientRecord`, piece by piece; `entries` are those of the whole log, and read as it goes.

    Raises DependencyError where the stores are out of reach.
    """
    encode = msgspec.json.Encoder().encode
    for place, (name, value) in enumerate(_parts(application, recipient, now, entries)):
        yield (b",\n" if place else b"{") + encode(name) + b":"
        if isinstance(value, Iterator):
            yield b"["
            for number, item in enumerate(value):
                yield (b",\n" if number else b"\n") + encode(item)
            yield b"]"
        else:
            yield encode(value)
    yield b"}\n"


def _parts(
    application: Application, recipient: str, now: datetime, entries: Iterable[tuple[int, bytes]]
) -> Iterator[tuple[str, object]]:
    """The document's fields, in order; an iterator is an array whose items are written as they come."""
    yield "recipient", recipient
    yield "as_of", now
    consents = application.consents.history(recipient)
    yield "standings", application.consents.standings(recipient, now=now)
    yield "consents", consents
    yield "notices", _notices(application, consents)
    yield "preferences", RecipientPreferences.of(recipient, application.preferences.current(recipient))
    yield "preference_events", application.preferences.history(recipient)
    yield "usage", application.usage.read(Recipient(id=recipient), now=now)
    log = RecipientLog(application.transactor, recipient, now=now)
    yield "decisions", log.decisions(entries)
    yield "outcomes", log.outcomes


def _notices(application: Application, consents: Iterable[ConsentEvent]) -> list[Notice]:
    """The registered notices that they were shown, each once."""
    shown = dict.fromkeys(event.notice_hash for event in consents if event.notice_hash is not None)
    return [notice for each in shown if (notice := application.notices.by_hash(each)) is not None]
