"""`guardrails notice add`: keep a text that recipients are shown."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from guardrails.bootstrap import utc_now
from guardrails.cli import exit_codes
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened_records
from guardrails.cli.options import json_option, recorded_policies_option, records_option
from guardrails.cli.terminal import print_json
from guardrails.consent.notice_service import NoticeService
from guardrails.consent.notices import NoticeRequest
from guardrails.decoding import Decoder
from guardrails.errors import CandidateError, SettingsError
from guardrails.policyfile.loader import load_policies
from guardrails.stores import migrate

__all__ = ["add"]

_PLACES = {"id": "ID", "version": "VERSION", "text": "FILE", "language": "--language", "purposes": "--purpose"}


@click.command(
    cls=Documented,
    examples=(
        "guardrails notice add partner-offers 2026-03 notice.en.txt --language en --purpose sponsored_content",
        "render notice.de | guardrails notice add partner-offers 2026-03 --language de --purpose partner_offers",
    ),
    exits={0: "kept", 1: "it can't be kept like this", 2: "could not run"},
)
@click.argument("id_", metavar="ID")
@click.argument("version")
@click.argument("file", type=click.File("rb", lazy=True), default="-")
@click.option("--language", metavar="TAG", required=True, help="The language of the text, such as `de` or `pt-BR`.")
@click.option(
    "--purpose", "purposes", metavar="ID", multiple=True, required=True, help="What it is for; give it once for each."
)
@recorded_policies_option
@records_option
@json_option
def add(
    *,
    id_: str,
    version: str,
    file: BinaryIO,
    language: str,
    purposes: tuple[str, ...],
    policies: Path,
    database: str,
    as_json: bool,
) -> int:
    """Keep the text in FILE as the notice ID of this VERSION, with what the policies declare of its purposes.

    FILE is plain text in UTF-8, kept to the letter; without it the text is read from standard input. The same notice
    may be added again; another text, or another declaration of its purposes, needs another version.
    """
    said = {"id": id_, "version": version, "language": language, "purposes": list(purposes), "text": _text(file)}
    if database == "memory:":
        raise SettingsError("notices are kept in a database; `memory:` keeps nothing")
    declared = load_policies(policies).purposes
    with opened_records(database, on_old_schema=migrate) as transactor:
        try:
            request = Decoder(NoticeRequest).convert(said)
            kept = NoticeService(transactor, purposes=lambda: declared).add(request, now=utc_now())
        except CandidateError as error:
            _show_problems(error)
            return exit_codes.FINDINGS
    if as_json:
        print_json(kept)
    else:
        click.echo(f"{kept.id} {kept.version} in {kept.language}  {kept.hash}")
    return exit_codes.FINE


def _text(file: BinaryIO) -> str:
    try:
        return file.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"is not UTF-8 (byte {error.start})", param_hint="FILE") from None


def _show_problems(error: CandidateError) -> None:
    for pointer, message in error.problems:
        name = pointer.split("/")[1]
        click.echo(f"guardrails: {_PLACES[name]}: {message}", err=True)
