"""`guardrails ledger transfer`: book what was paid out, or came in: one account is debited, another credited."""

from __future__ import annotations

from typing import get_args

import click
import msgspec

from guardrails.bootstrap import new_id, utc_now
from guardrails.cli import exit_codes
from guardrails.cli.amounts import AmountCommand, minor_units
from guardrails.cli.opening import opened_records
from guardrails.cli.options import json_option, records_option
from guardrails.cli.terminal import print_json
from guardrails.core.bookkeeping import Account, AccountKind
from guardrails.core.candidate import Id
from guardrails.decoding import Decoder
from guardrails.errors import CandidateError, ConflictError
from guardrails.ledger import LedgerService
from guardrails.ledger.values import Memo, Transfer
from guardrails.stores import migrate

__all__ = ["transfer"]

TRANSFER = "transfer"


@click.command(
    cls=AmountCommand,
    examples=(
        "guardrails ledger transfer 171.00 EUR --debit sponsor:acme --credit outside:bank --id payout-2026-11-acme",
        "guardrails ledger transfer 19.00 EUR --debit outside:bank --credit receivable:acme --id received-1881",
    ),
    exits={0: "booked, or was before", 1: "it contradicts what is booked", 2: "could not run"},
)
@click.argument("amount")
@click.argument("currency")
@click.option(
    "--debit", "source", metavar="KIND:OWNER", required=True, help="The account that is debited, as `sponsor:acme`."
)
@click.option(
    "--credit", "target", metavar="KIND:OWNER", required=True, help="The account that is credited, as `outside:bank`."
)
@click.option("--id", "id_", metavar="ID", help="Makes it safe to repeat: what has this id is booked once. Else new.")
@click.option("--memo", metavar="TEXT", help="What to note of it. Who owns an account can read it.")
@records_option
@json_option
def transfer(
    *,
    amount: str,
    currency: str,
    source: str,
    target: str,
    id_: str | None,
    memo: str | None,
    database: str,
    as_json: bool,
) -> int:
    """Debit one account with AMOUNT, such as 12.50, of CURRENCY (ISO 4217), and credit another.

    So is booked what was paid out to a sponsor or an affiliate, and what a sponsor paid of what they owed. Accounts
    are a kind and an owner: recipient, sponsor, affiliate, platform, payable (credits make these greater), receivable,
    outside, shortfall (debits do).
    """
    minor = minor_units(amount, currency)
    wanted = Transfer(
        id=f"{TRANSFER}:{new_id() if id_ is None else _told(_ID, id_, '--id')}",
        kind=TRANSFER,
        amount=minor,
        source=_account(source, currency, "--debit"),
        target=_account(target, currency, "--credit"),
        memo={} if memo is None else {"text": _told(_MEMO, memo, "--memo")},
    )
    if wanted.source == wanted.target:
        raise click.BadParameter("is the account that is debited", param_hint="--credit")
    with opened_records(database, on_old_schema=migrate) as transactor:
        try:
            booked = LedgerService(transactor).transfer(wanted, now=utc_now())
        except ConflictError as error:
            click.echo(f"guardrails: {error}", err=True)
            return exit_codes.FINDINGS
    if as_json:
        print_json(booked)
    else:
        click.echo(f"debit {source}, credit {target}  {amount} {currency}  {booked.id}")
    return exit_codes.FINE


def _account(text: str, currency: str, option: str) -> Account:
    kind, _, owner = text.partition(":")
    try:
        return Account(msgspec.convert(kind, AccountKind), _OWNER.convert(owner), currency)
    except msgspec.ValidationError:
        message = f"`{text}` is no account, such as `sponsor:acme`; kinds are {', '.join(get_args(AccountKind))}"
        raise click.BadParameter(message, param_hint=option) from None
    except CandidateError as error:
        raise click.BadParameter(f"the owner {error.problems[0][1]}", param_hint=option) from None


def _told(decoder: Decoder[str], text: str, option: str) -> str:
    try:
        return decoder.convert(text)
    except CandidateError as error:
        raise click.BadParameter(error.problems[0][1], param_hint=option) from None


_OWNER = _ID = Decoder(Id)
_MEMO: Decoder[str] = Decoder(Memo)
