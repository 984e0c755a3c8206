"""`guardrails consent history`: what is recorded of a recipient's consents, and what holds of them."""

from __future__ import annotations

from datetime import datetime

import click
import msgspec

from guardrails.bootstrap import new_id, utc_now
from guardrails.cli import exit_codes
from guardrails.cli.consent_view import Consents, show_history
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened_records
from guardrails.cli.options import INSTANT, json_option, records_option
from guardrails.cli.terminal import output_console, print_json
from guardrails.consent.service import ConsentService
from guardrails.consent.values import ConsentEvent
from guardrails.core.candidate import Id
from guardrails.errors import SettingsError

__all__ = ["check_id", "history"]


@click.command(
    cls=Documented,
    examples=(
        "guardrails consent history r-42",
        "guardrails consent history r-42 --as-of 2026-06-01T00:00:00Z --database sqlite:///guardrails.db",
        "guardrails consent history r-42 --json | jq '.standings[] | {purpose, channels, state}'",
    ),
    exits={0: "shown", 2: "could not run"},
)
@click.argument("recipient")
@records_option
@click.option(
    "--as-of",
    type=INSTANT,
    help="What held at this time: `2026-06-01T00:00:00Z` or `2026-06-01T00:00 Europe/Berlin`. Else what holds now.",
)
@json_option
def history(*, recipient: str, database: str, as_of: datetime | None, as_json: bool) -> int:
    """Show what the recipient with the id RECIPIENT consented to: what holds, and every record of it.

    Of each purpose and channel the newest record speaks, unless it waits for its confirmation. With --as-of it is what
    held at that time, by what the recipient had said until then.
    """
    check_id(recipient)
    if database == "memory:":
        raise SettingsError("consents are shown from what is on record; `memory:` keeps no records")
    with opened_records(database) as transactor:
        service = ConsentService(transactor, purposes=dict, new_id=new_id)
        found = _read(service, recipient, as_of)
    if as_json:
        print_json(found)
    else:
        show_history(found, output_console())
    return exit_codes.FINE


def check_id(recipient: str) -> None:
    """Refuse what can be no recipient's id. Raises click.BadParameter."""
    try:
        msgspec.convert(recipient, Id)
    except msgspec.ValidationError:
        message = "no id can be like this: it is empty, too long, or holds control characters"
        raise click.BadParameter(message, param_hint="RECIPIENT") from None


def _read(service: ConsentService, recipient: str, as_of: datetime | None) -> Consents:
    now = utc_now()
    standings = service.standings(recipient, now=now, as_of=as_of)
    consents: list[ConsentEvent] = []
    page = service.page(recipient, as_of=as_of)
    consents += page.consents
    while page.next is not None:
        page = service.page(recipient, as_of=as_of, after=page.next)
        consents += page.consents
    return Consents(recipient, as_of or now, standings, tuple(consents))
