"""`guardrails notice list`: which notices are kept."""

from __future__ import annotations

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrails.cli import exit_codes
from guardrails.cli.decision_view import moment
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened_records
from guardrails.cli.options import json_option, records_option
from guardrails.cli.terminal import indented, output_console
from guardrails.consent.notice_service import NoticeService
from guardrails.consent.notices import Notice

__all__ = ["list_notices"]


@click.command(
    "list",
    cls=Documented,
    examples=("guardrails notice list", "guardrails notice list --json | jq -r .hash"),
    exits={0: "listed", 2: "could not run"},
)
@records_option
@json_option
def list_notices(*, database: str, as_json: bool) -> int:
    """List the notices that are kept: by id, each oldest first."""
    with opened_records(database) as transactor:
        kept = NoticeService(transactor, purposes=dict).every()
    if as_json:
        for notice in kept:
            click.echo(msgspec.json.encode(notice))
    else:
        _show(kept, output_console())
    return exit_codes.FINE


def _show(kept: tuple[Notice, ...], console: Console) -> None:
    if not kept:
        console.print(Text("no notice is kept"))
        return
    if not console.is_terminal:
        table = Table("notice", "version", "language", "purposes", "kept at", "hash", box=None, pad_edge=False)
        for each in kept:
            kept_at = moment(each.recorded_at)
            table.add_row(each.id, each.version, each.language, _purposes(each), kept_at, each.hash)
        console.print(table)
        return
    for each in kept:
        console.print(Text.assemble((each.id, "bold"), f"  {each.version}  {each.language}"))
        console.print(indented(Text(f"for {_purposes(each)}"), 2, console))
        console.print(indented(Text(f"kept at {moment(each.recorded_at)}, {each.hash}", "dim"), 2, console))


def _purposes(notice: Notice) -> str:
    return ", ".join(purpose.id for purpose in notice.purposes)
