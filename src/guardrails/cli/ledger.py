"""`guardrails ledger`: the commands on the books as a whole. Each is one line here and one module."""

from __future__ import annotations

from collections.abc import Mapping

import click

from guardrails.cli.groups import CommandGroup, Entry

__all__ = ["COMMANDS", "ledger"]

COMMANDS: Mapping[str, Entry] = {
    "check": Entry("guardrails.cli.ledger_check", "Recompute every balance from the postings."),
    "transfer": Entry("guardrails.cli.ledger_transfer", "Book what was paid out, or came in."),
}


@click.group(cls=CommandGroup, entries=COMMANDS)
def ledger() -> None:
    """Look after the books."""
