"""`guardrails recipient record`: all that is recorded of a recipient, as one document (GDPR Art. 15)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click

from guardrails.audit.service import AuditService
from guardrails.bootstrap import open_application, utc_now
from guardrails.cli import exit_codes
from guardrails.cli.consent_history import check_id
from guardrails.cli.documented import Documented
from guardrails.cli.opening import require_records
from guardrails.cli.options import recorded_caps_option, recorded_policies_option, records_option
from guardrails.cli.progress import progress_of_output
from guardrails.errors import SettingsError
from guardrails.recipient_record import record_of
from guardrails.settings import Settings
from guardrails.stores import refuse_to_migrate

__all__ = ["record"]


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
    used each cap, their wallet, what they converted and redeemed and what was earned by it, and every decision in the
    log on what was to be sent to them, with what became of it. The whole log is read.
    """
    check_id(recipient)
    if database == "memory:":
        raise SettingsError("a recipient's record is what is on record; `memory:` keeps no records")
    require_records(database)
    settings = Settings(policies=policies, database_url=database, caps_url=caps, engine="native")
    with closing(open_application(settings, on_old_schema=refuse_to_migrate)) as application:
        for piece in record_of(application, recipient, now=utc_now(), entries=_entries(application.audit)):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return exit_codes.FINE


def _entries(audit: AuditService) -> Iterator[tuple[int, bytes]]:
    size = audit.size()
    with progress_of_output("reading the log", size) as advance:
        for index, data in audit.entries(0, size):
            yield index, data
            if index % 1_000 == 0:
                advance(index)
