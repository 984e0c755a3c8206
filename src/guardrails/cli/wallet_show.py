"""`guardrails wallet show`: what a recipient has, and the transactions that made it so."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrails.cli import exit_codes
from guardrails.cli.consent_history import check_id
from guardrails.cli.decision_view import moment
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened_records
from guardrails.cli.options import json_option, records_option
from guardrails.cli.terminal import indented, output_console, print_json
from guardrails.errors import CandidateError
from guardrails.ledger import LedgerService
from guardrails.ledger.values import Amount, Wallet, WalletEntry

__all__ = ["show", "show_wallet"]


@click.command(
    cls=Documented,
    examples=(
        "guardrails wallet show r-42",
        "guardrails wallet show r-42 --after top_up:gift-card-7",
        "guardrails wallet show r-42 --json | jq '.balances[] | {unit, amount_minor}'",
    ),
    exits={0: "shown", 2: "could not run"},
)
@click.argument("recipient")
@click.option("--after", metavar="ID", help="Only transactions that are older than the one with this id.")
@records_option
@json_option
def show(*, recipient: str, after: str | None, database: str, as_json: bool) -> int:
    """Show what the recipient with the id RECIPIENT has, and how it came about, newest first."""
    check_id(recipient)
    with opened_records(database) as transactor:
        try:
            found = LedgerService(transactor).wallet(recipient, after=after)
        except CandidateError as error:
            raise click.BadParameter(
                error.problems[0][1] if error.problems else str(error), param_hint="--after"
            ) from None
    if as_json:
        print_json(found)
    else:
        show_wallet(found, output_console())
    return exit_codes.FINE


def show_wallet(wallet: Wallet, console: Console) -> None:
    """Print the wallet: its balances, and the page of transactions."""
    balances = ", ".join(map(_told, wallet.balances)) or "nothing was ever posted"
    console.print(Text.assemble((wallet.recipient, "bold"), f"  {balances}"))
    if console.is_terminal:
        for each in wallet.transactions:
            console.print(
                indented(Text.assemble(f"{_changes(each)}  {each.kind}", (f"  {_why(each)}", "dim")), 2, console)
            )
            console.print(indented(Text(f"{moment(each.at)}, {each.id}", "dim"), 4, console))
    elif wallet.transactions:
        table = Table("at", "changes", "kind", "transaction", "why", box=None, pad_edge=False)
        for each in wallet.transactions:
            table.add_row(moment(each.at), _changes(each), each.kind, each.id, _why(each))
        console.print(table)
    if wallet.next is not None:
        console.print(Text(f"older than these: --after {wallet.next}", "dim"))


def _told(amount: Amount) -> str:
    return f"{amount.amount} {amount.unit}"


def _changes(entry: WalletEntry) -> str:
    return ", ".join(f"{'+' * (each.amount_minor > 0)}{_told(each)}" for each in entry.changes)


def _why(entry: WalletEntry) -> str:
    """What caused it, what it takes back, and what was noted of it."""
    said = [
        entry.refers_to and f"for {entry.refers_to}",
        entry.reverses and f"takes back {entry.reverses}",
        *(str(value) for value in entry.memo.values() if value is not None),
    ]
    return ", ".join(filter(None, said))
