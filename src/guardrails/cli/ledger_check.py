"""`guardrails ledger check`: every balance recomputed from the postings."""

from __future__ import annotations

import click
from rich.text import Text

from guardrails.cli import exit_codes
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened_records
from guardrails.cli.options import json_option, records_option
from guardrails.cli.terminal import output_console, print_json
from guardrails.ledger.check import LedgerCheck

__all__ = ["check"]


@click.command(
    cls=Documented,
    examples=("guardrails ledger check", "guardrails ledger check --json | jq -r '.differences[].where'"),
    exits={0: "the books agree", 1: "something differs, and is named", 2: "could not run"},
)
@records_option
@json_option
def check(*, database: str, as_json: bool) -> int:
    """Recompute every balance: transactions sum to zero, none is missing, and balances are the sums of their postings.

    The whole ledger is read. Nothing is changed, and a service may go on meanwhile.
    """
    with opened_records(database) as transactor:
        looked = LedgerCheck(transactor)
        differences = list(looked.differences())
    if as_json:
        counts = {"transactions": looked.transactions, "accounts": looked.accounts}
        print_json(counts | {"differences": differences})
    else:
        console = output_console()
        for each in differences:
            console.print(Text.assemble((each.where, "bold"), f" {each.what}"))
        verdict = f"{len(differences)} differences" if differences else "the books agree"
        console.print(f"{looked.transactions:,} transactions, {looked.accounts:,} accounts: {verdict}")
    return exit_codes.FINDINGS if differences else exit_codes.FINE
