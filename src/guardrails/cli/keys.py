"""`guardrails keys`: the commands on the keys that sign receipts, tokens and links. Each is one line here."""

from __future__ import annotations

from collections.abc import Mapping

import click

from guardrails.cli.groups import CommandGroup, Entry

__all__ = ["COMMANDS", "keys"]

COMMANDS: Mapping[str, Entry] = {
    "list": Entry("guardrails.cli.key_commands", "Show the keys: which sign, and which only verify."),
    "rotate": Entry("guardrails.cli.key_commands", "Put new keys in front; the former ones only verify."),
    "remove": Entry("guardrails.cli.key_commands", "Remove a retired key, and all trust in what it signed."),
}


@click.group(cls=CommandGroup, entries=COMMANDS)
def keys() -> None:
    """Look after the keys that sign consent receipts, tokens and links. See docs/operations.md, "Signing keys"."""
