"""`guardrails consent export`: every consent on record, as a file that `guardrails consent import` reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime

import click

from guardrails.cli import exit_codes
from guardrails.cli.consent_import import form_option
from guardrails.cli.consent_rows import Form, write_csv, write_ndjson
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened_records
from guardrails.cli.options import INSTANT, records_option
from guardrails.cli.progress import progress_of_output
from guardrails.consent.transfer import ConsentTransfer
from guardrails.consent.values import ConsentEvent
from guardrails.errors import SettingsError

__all__ = ["export"]


@click.command(
    cls=Documented,
    examples=(
        "guardrails consent export > consents.ndjson",
        "guardrails consent export --format csv --as-of 2026-06-01T00:00:00Z > consents.csv",
    ),
    exits={0: "exported", 2: "could not run"},
)
@form_option
@records_option
@click.option(
    "--as-of",
    type=INSTANT,
    help="What had been said until this time: `2026-06-01T00:00:00Z` or `2026-06-01T00:00 Europe/Berlin`. Else all.",
)
def export(*, form: Form | None, database: str, as_of: datetime | None) -> int:
    """Print every consent on record, in the order of arrival: NDJSON, or CSV with --format csv.

    It is whole: importing it where it comes from changes nothing, and elsewhere, with the same policies and notices,
    gives the same records.
    """
    if database == "memory:":
        raise SettingsError("consents are exported from what is on record; `memory:` keeps no records")
    with opened_records(database) as transactor:
        records = _records(ConsentTransfer(transactor, purposes=dict), as_of)
        write = write_csv if form == "csv" else write_ndjson
        write(records, sys.stdout.buffer)
    return exit_codes.FINE


def _records(transfer: ConsentTransfer, as_of: datetime | None) -> Iterator[ConsentEvent]:
    with progress_of_output("exporting", transfer.last()) as advance:
        for place, event in transfer.records(as_of=as_of):
            yield event
            if place % 1_000 == 0:
                advance(place)
