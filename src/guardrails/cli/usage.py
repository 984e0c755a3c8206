"""`guardrails usage`: how far a recipient has used each cap, and when the next slot opens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import click

from guardrails.bootstrap import open_application
from guardrails.cli import exit_codes
from guardrails.cli.documented import Documented
from guardrails.cli.opening import require_records
from guardrails.cli.options import (
    INSTANT,
    json_option,
    recorded_caps_option,
    recorded_policies_option,
    records_option,
)
from guardrails.cli.terminal import output_console, print_json
from guardrails.cli.usage_view import show_usage
from guardrails.core.candidate import Recipient
from guardrails.decoding import Decoder
from guardrails.errors import CandidateError
from guardrails.settings import Settings
from guardrails.stores import refuse_to_migrate

__all__ = ["usage"]


@click.command(
    cls=Documented,
    examples=(
        "guardrails usage r-42 --timezone Europe/Berlin",
        'guardrails usage r-42 --database sqlite:///guardrails.db --at "2026-12-01T23:00 Europe/Berlin"',
        "guardrails usage r-42 --json | jq '.caps[] | select(.used >= .limit) | {policy, next_slot_at}'",
    ),
    exits={0: "shown", 2: "could not run"},
)
@click.argument("recipient")
@recorded_policies_option
@records_option
@recorded_caps_option
@click.option("--timezone", metavar="ZONE", help="The recipient's zone, such as `Europe/Berlin`.")
@click.option("--country", metavar="CODE", help="Their country, such as `DE`; counts where the zone is not known.")
@click.option("--region", metavar="CODE", help="Their region, such as `US-NY`; counts where the zone is not known.")
@click.option(
    "--at",
    type=INSTANT,
    help="Count as of this time: `2026-12-01T12:00:00Z` or `2026-12-01T12:00 Europe/Berlin`. Else now.",
)
@json_option
def usage(
    *,
    recipient: str,
    policies: Path,
    database: str,
    caps: str | None,
    at: datetime | None,
    as_json: bool,
    **where: str | None,
) -> int:
    """Show how far the recipient with the id RECIPIENT has used each cap, and when the next slot opens.

    Shown are the caps of the policies that count what the recipient gets, and those that all recipients share. Caps in
    the recipient's own calendar need to know the --timezone, unless the recipient chose one.
    """
    with _told_by_name():
        person = Decoder(Recipient).convert({"id": recipient, **where})
    require_records(database)
    settings = Settings(
        policies=policies, database_url=database, caps_url=caps, engine="native", replay_clock=at is not None
    )
    # Not made ready: who only looks must not fill a Redis that is perhaps not the caps' own.
    with closing(open_application(settings, on_old_schema=refuse_to_migrate)) as application, _told_by_name():
        found = application.usage.read(person, now=at)
    if as_json:
        print_json(found)
    else:
        show_usage(found, person, output_console())
    return exit_codes.FINE


@contextmanager
def _told_by_name() -> Iterator[None]:
    """What is wrong with what is said of the recipient, as click says it of the option or argument."""
    try:
        yield
    except CandidateError as error:
        pointer, message = error.problems[0]
        name = pointer.removeprefix("/")
        raise click.BadParameter(message, param_hint="RECIPIENT" if name == "id" else f"--{name}") from None
