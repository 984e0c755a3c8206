"""`guardrails recipient record`: all that is recorded of a recipient, as one document (GDPR Art. 15)."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import click
import msgspec

from guardrails.audit.service import AuditService
from guardrails.bootstrap import Application, open_application, refuse_to_migrate, utc_now
from guardrails.cli import exit_codes
from guardrails.cli.consent_history import check_id
from guardrails.cli.documented import Documented
from guardrails.cli.opening import require_records
from guardrails.cli.options import recorded_caps_option, recorded_policies_option, records_option
from guardrails.cli.progress import progress_of_output
from guardrails.consent.notices import Notice
from guardrails.consent.values import ConsentEvent
from guardrails.core.candidate import Recipient
from guardrails.decide.recipient_log import RecipientLog
from guardrails.errors import SettingsError
from guardrails.settings import Settings

__all__ = ["record"]

Part = tuple[str, object]


@click.command(
    cls=Documented,
    examples=(
        "guardrails recipient record r-42 > r-42.json",
        "guardrails recipient record r-42 | jq '.decisions[] | [.entry.decision.evaluated_at, .entry.decision.effect]'",
    ),
    exits={0: "printed, be there anything or not", 2: "could not run"},
)
@click.argument("recipient")
@recorded_policies_option
@records_option
@recorded_caps_option
def record(*, recipient: str, policies: Path, database: str, caps: str | None) -> int:
    """Print all that is recorded of the recipient with the id RECIPIENT, as one JSON document.

    Their consents and what holds of them, the notices that they were shown, what they chose and when, how far they have
    used each cap, and every decision in the log on what was to be sent to them, with what became of it. The whole log
    is read.
    """
    check_id(recipient)
    if database == "memory:":
        raise SettingsError("a recipient's record is what is on record; `memory:` keeps no records")
    require_records(database)
    settings = Settings(policies=policies, database_url=database, caps_url=caps, engine="native")
    with closing(open_application(settings, on_old_schema=refuse_to_migrate)) as application:
        _write(_parts(application, recipient))
    return exit_codes.FINE


def _parts(application: Application, recipient: str) -> Iterator[Part]:
    """The document's fields, in order; an iterator is an array whose items are written as they come."""
    now = utc_now()
    yield "recipient", recipient
    yield "as_of", now
    consents = application.consents.history(recipient)
    yield "standings", application.consents.standings(recipient, now=now)
    yield "consents", consents
    yield "notices", _notices(application, consents)
    yield "preferences", application.preferences.current(recipient)
    yield "preference_events", application.preferences.history(recipient)
    yield "usage", application.usage.read(Recipient(id=recipient), now=now)
    log = RecipientLog(application.transactor, recipient, now=now)
    yield "decisions", log.decisions(_entries(application.audit))
    yield "outcomes", log.outcomes


def _notices(application: Application, consents: Iterable[ConsentEvent]) -> list[Notice]:
    """The registered notices that they were shown, each once."""
    shown = dict.fromkeys(event.notice_hash for event in consents if event.notice_hash is not None)
    return [notice for each in shown if (notice := application.notices.by_hash(each)) is not None]


def _entries(audit: AuditService) -> Iterator[tuple[int, bytes]]:
    size = audit.size()
    with progress_of_output("reading the log", size) as advance:
        for index, data in audit.entries(0, size):
            yield index, data
            if index % 1_000 == 0:
                advance(index)


def _write(parts: Iterable[Part]) -> None:
    """One JSON object, written field by field, so that no part of the log is held in memory."""
    encode = msgspec.json.Encoder().encode
    out = sys.stdout.buffer
    for place, (name, value) in enumerate(parts):
        out.write(b"{" if place == 0 else b",\n")
        out.write(encode(name) + b":")
        if isinstance(value, Iterator):
            out.write(b"[")
            for number, item in enumerate(value):
                out.write((b",\n" if number else b"\n") + encode(item))
            out.write(b"]")
        else:
            out.write(encode(value))
    out.write(b"}\n")
    out.flush()
