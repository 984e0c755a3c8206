"""`guardrails wallet top-up`: add stored value to a recipient's wallet."""

from __future__ import annotations

import click

from guardrails.bootstrap import new_id, utc_now
from guardrails.cli import exit_codes
from guardrails.cli.amounts import AmountCommand, minor_units
from guardrails.cli.opening import opened_records
from guardrails.cli.options import json_option, records_option
from guardrails.cli.terminal import print_json
from guardrails.decoding import Decoder
from guardrails.errors import CandidateError, ConflictError
from guardrails.ledger import LedgerService
from guardrails.ledger.values import TopUpRequest
from guardrails.stores import migrate

__all__ = ["top_up"]

_PLACES = {"id": "--id", "recipient": "RECIPIENT", "amount_minor": "AMOUNT", "currency": "CURRENCY", "memo": "--memo"}


@click.command(
    "top-up",
    cls=AmountCommand,
    examples=(
        "guardrails wallet top-up r-42 25.00 EUR --id gift-card-7",
        'guardrails wallet top-up r-42 500 JPY --memo "goodwill, ticket 1881"',
    ),
    exits={0: "booked, or was before", 1: "it contradicts what is booked", 2: "could not run"},
)
@click.argument("recipient")
@click.argument("amount")
@click.argument("currency")
@click.option("--id", "id_", metavar="ID", help="Makes it safe to repeat: what has this id is booked once. Else new.")
@click.option("--memo", metavar="TEXT", help="What to note of it. The recipient can read it.")
@records_option
@json_option
def top_up(
    *, recipient: str, amount: str, currency: str, id_: str | None, memo: str | None, database: str, as_json: bool
) -> int:
    """Add AMOUNT, such as 12.50, of CURRENCY (ISO 4217) to the wallet of the recipient with the id RECIPIENT.

    What was paid for it was paid elsewhere. What is in the ledger stays in it.
    """
    said = {
        "id": new_id() if id_ is None else id_,
        "recipient": recipient,
        "amount_minor": minor_units(amount, currency),
    }
    try:
        request = Decoder(TopUpRequest).convert(said | {"currency": currency, "memo": memo})
    except CandidateError as error:
        pointer, message = error.problems[0]
        raise click.BadParameter(message, param_hint=_PLACES[pointer.removeprefix("/")]) from None
    with opened_records(database, on_old_schema=migrate) as transactor:
        try:
            booked = LedgerService(transactor).top_up(request, now=utc_now()).top_up
        except ConflictError as error:
            click.echo(f"guardrails: {error}", err=True)
            return exit_codes.FINDINGS
    if as_json:
        print_json(booked)
    else:
        click.echo(f"{booked.recipient}  +{booked.amount} {booked.currency}  {booked.id}")
    return exit_codes.FINE
