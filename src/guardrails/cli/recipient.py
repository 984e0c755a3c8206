"""`guardrails recipient`: the commands on one recipient. Each is one line here and one module."""

from __future__ import annotations

from collections.abc import Mapping

import click

from guardrails.cli.groups import CommandGroup, Entry

__all__ = ["COMMANDS", "recipient"]

COMMANDS: Mapping[str, Entry] = {
    "link": Entry("guardrails.cli.recipient_link", "Print a link to a recipient's own page."),
    "record": Entry("guardrails.cli.recipient_record", "Print all that is recorded of a recipient, as one document."),
}


@click.group(cls=CommandGroup, entries=COMMANDS)
def recipient() -> None:
    """Do what concerns one recipient."""
