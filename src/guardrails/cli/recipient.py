"""`guardrails recipient`: the commands on one recipient as a whole."""

from __future__ import annotations

from collections.abc import Mapping

import click

from guardrails.cli.groups import CommandGroup, Entry

__all__ = ["COMMANDS", "recipient"]

COMMANDS: Mapping[str, Entry] = {
    "record": Entry("guardrails.cli.recipient_record", "Print all that is recorded of a recipient, as one document."),
}


@click.group(cls=CommandGroup, entries=COMMANDS)
def recipient() -> None:
    """Answer a recipient who asks what is recorded of them."""
