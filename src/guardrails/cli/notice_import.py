"""`guardrails notice import`: keep the notices of another database, as they are kept there."""

from __future__ import annotations

from typing import BinaryIO

import click

from guardrails.bootstrap import utc_now
from guardrails.cli import exit_codes
from guardrails.cli.counting import counted
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened_records
from guardrails.cli.options import records_option
from guardrails.consent import NoticeService
from guardrails.consent.notices import NoticeRow
from guardrails.decoding import Decoder
from guardrails.errors import CandidateError
from guardrails.stores import migrate

__all__ = ["import_"]


@click.command(
    cls=Documented,
    name="import",
    examples=(
        "guardrails notice list --json --database sqlite:///old.db | guardrails notice import -",
        "guardrails notice import notices.ndjson --database postgresql://localhost/guardrails",
    ),
    exits={0: "all are kept", 1: "all but those that were named", 2: "could not run, or not to the end"},
)
@click.argument("file", type=click.File("rb"))
@records_option
def import_(*, file: BinaryIO, database: str) -> int:
    """Keep the notices in FILE (`-`: standard input): NDJSON, what `guardrails notice list --json` prints.

    Each is kept as it is, with what was declared of its purposes when it was first kept, whatever is declared by now:
    the hash that consents carry stays the same. What is kept already is left as it is.
    """
    kept, bad = 0, 0
    decoder = Decoder(NoticeRow)
    with opened_records(database, on_old_schema=migrate) as transactor:
        notices = NoticeService(transactor, purposes=dict)
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                notices.take_over(decoder.decode(line), now=utc_now())
            except CandidateError as error:
                bad += 1
                _tell(file, number, error)
            else:
                kept += 1
    click.echo(f"{counted(kept, 'notice')} kept{f', {bad:,} not' if bad else ''}")
    return exit_codes.FINDINGS if bad else exit_codes.FINE


def _tell(file: BinaryIO, number: int, error: CandidateError) -> None:
    for pointer, message in error.problems or (("", str(error)),):
        place = f" {pointer.removeprefix('/')}:" if pointer else ""
        click.echo(f"{getattr(file, 'name', '<stdin>')}:{number}:{place} {message}", err=True)
