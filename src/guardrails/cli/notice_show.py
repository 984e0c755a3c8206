"""`guardrails notice show`: a notice, word for word."""

from __future__ import annotations

import click
import msgspec
from rich.console import Console
from rich.text import Text

from guardrails.cli import exit_codes
from guardrails.cli.decision_view import moment
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened_records
from guardrails.cli.options import json_option, records_option
from guardrails.cli.terminal import indented, output_console
from guardrails.consent.notice_service import NoticeService
from guardrails.consent.notices import Notice, NoticePurpose

__all__ = ["show"]


@click.command(
    cls=Documented,
    examples=(
        "guardrails notice show partner-offers",
        "guardrails notice show partner-offers --version 2026-03 --language de",
        "guardrails notice show sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    ),
    exits={0: "shown", 1: "no such notice is kept", 2: "could not run"},
)
@click.argument("notice")
@click.option("--version", "version", help="Only this version.")
@click.option("--language", metavar="TAG", help="Only in this language.")
@records_option
@json_option
def show(*, notice: str, version: str | None, language: str | None, database: str, as_json: bool) -> int:
    """Show NOTICE, an id or the hash that a consent carries, with what was declared of its purposes."""
    with opened_records(database) as transactor:
        service = NoticeService(transactor, purposes=dict)
        by_hash = service.by_hash(notice)
        kept = service.versions(notice) if by_hash is None else (by_hash,)
    found = [each for each in kept if version in {None, each.version} and language in {None, each.language}]
    if not found:
        click.echo(f"guardrails: no notice `{notice}` like that is kept", err=True)
        return exit_codes.FINDINGS
    console = output_console()
    for each in found:
        if as_json:
            click.echo(msgspec.json.encode(each))
        else:
            _show(each, console)
    return exit_codes.FINE


def _show(notice: Notice, console: Console) -> None:
    console.print(Text.assemble((notice.id, "bold"), f"  {notice.version}  {notice.language}"))
    console.print(indented(Text(f"kept at {moment(notice.recorded_at)}, {notice.hash}", "dim"), 2, console))
    for purpose in notice.purposes:
        console.print(indented(Text.assemble((purpose.id, "bold"), f"  {purpose.title}"), 2, console))
        for line in _promises(purpose):
            console.print(indented(Text(line), 4, console))
    console.print()
    console.print(Text(notice.text))


def _promises(purpose: NoticePurpose) -> list[str]:
    benefit = [] if purpose.benefit is None else [f"benefit: {purpose.benefit}"]
    shared = [f"shared with {each.whom}: {each.what}" for each in purpose.shared_with]
    return [*benefit, *(f"uses {each}" for each in purpose.data), *(shared or ["shared with nobody"])]
