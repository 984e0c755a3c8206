"""`guardrails settle`: the statements of a month, as a page, a table or JSON, checked against the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrails.attribution.settlement import Settlement, Settlements, window_of
from guardrails.attribution.settlement_files import FORMATS, file_name, only
from guardrails.attribution.statements import Difference, Statement
from guardrails.bootstrap import utc_now
from guardrails.cli import exit_codes
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened_records
from guardrails.cli.options import recorded_policies_option, records_option
from guardrails.cli.terminal import errors_console, output_console
from guardrails.core.money import decimal_text
from guardrails.errors import CandidateError
from guardrails.policyfile.loader import load_policies

__all__ = ["settle"]


@click.command(
    cls=Documented,
    examples=(
        "guardrails settle --month 2026-11",
        "guardrails settle --month 2026-11 --output statements/",
        "guardrails settle --month 2026-11 --format csv > november.csv",
        "guardrails settle --month 2026-11 --format json | jq '.statements[] | {kind, party, total}'",
    ),
    exits={0: "settled", 1: "the statements don't agree with the ledger", 2: "could not run"},
)
@click.option(
    "--month",
    required=True,
    metavar="YYYY-MM",
    callback=lambda _, __, month: _checked(month),
    help="The month, in the project's zone.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write files into this directory: one of all statements, and one of each. Else print.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(tuple(FORMATS)),
    help="Print, or write, only this. Else a summary is printed, and files are written in all three.",
)
@recorded_policies_option
@records_option
def settle(*, month: str, output: Path | None, format_: str | None, policies: Path, database: str) -> int:
    """Settle a month: a statement for each sponsor and affiliate, and one of recipients' benefits for each offer.

    Each line has the index of the audit entry that proves it. Every sum is checked against the ledger. Nothing is
    changed, and a service may go on meanwhile; a month that is over gives the same statements each time.
    """
    zone = load_policies(policies).project.zone
    with opened_records(database) as transactor:
        try:
            settlement = Settlements(transactor, zone=lambda: zone).settle(month, now=utc_now())
        except CandidateError as error:
            raise click.BadParameter(error.problems[0][1], param_hint="--month") from None
    if output is not None:
        _write(settlement, output, (format_,) if format_ else tuple(FORMATS))
    elif format_ is not None:
        click.echo(FORMATS[format_](settlement), nl=False)
    if output is not None or format_ is None:
        _show(settlement, output_console())
    for each in settlement.differences:
        errors_console().print(Text(f"the statements and the ledger differ: {_told(each)}", "red"))
    return exit_codes.FINDINGS if settlement.differences else exit_codes.FINE


def _checked(month: str) -> str:
    """The month, where it is one in any zone: said before policies or records are looked for."""
    try:
        window_of(month, UTC)
    except CandidateError as error:
        raise click.BadParameter(error.problems[0][1]) from None
    return month


def _write(settlement: Settlement, directory: Path, formats: tuple[str, ...]) -> None:
    """Files take the places of older ones once all are written, so that none is half: a full disk leaves the old."""
    directory.mkdir(parents=True, exist_ok=True)
    drafts: dict[Path, Path] = {}
    try:
        for path, text in _files(settlement, directory, formats):
            drafts[path] = path.with_name(f".{path.name}.new")
            drafts[path].write_bytes(text.encode())  # line ends as they are
        for path, draft in drafts.items():
            draft.replace(path)
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def _files(settlement: Settlement, directory: Path, formats: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    for format_ in formats:
        yield directory / file_name(settlement, None, format_), FORMATS[format_](settlement)
        for statement in settlement.statements:
            yield directory / file_name(settlement, statement, format_), FORMATS[format_](only(settlement, statement))


def _show(settlement: Settlement, console: Console) -> None:
    over = "" if settlement.is_over else f", not over: as of {settlement.until.isoformat(timespec='seconds')}"
    console.print(Text.assemble((f"settlement {settlement.month}", "bold"), f"  {settlement.zone}{over}"))
    if not settlement.statements:
        console.print("nothing was booked")
        return
    table = Table("statement", "of", "lines", "total", "", box=None, pad_edge=False)
    table.columns[2].justify = table.columns[3].justify = "right"
    for each in settlement.statements:
        total = decimal_text(each.total_minor, each.currency)
        table.add_row(each.kind, _party(each), f"{len(each.lines):,}", total, each.currency)
    console.print(table)
    if not settlement.differences:
        console.print("every sum agrees with the ledger")


def _party(statement: Statement) -> Text:
    return Text("(not named)", "dim") if statement.party is None else Text(statement.party)


def _told(each: Difference) -> str:
    told, moved = (decimal_text(amount, each.currency) for amount in (each.statement_minor, each.ledger_minor))
    return f"{each.kind} `{each.owner}`: {told} {each.currency} in the statements, {moved} in the ledger"
