"""`guardrails wallet`: the commands on what recipients have. Each is one line here and one module."""

from __future__ import annotations

from collections.abc import Mapping

import click

from guardrails.cli.groups import CommandGroup, Entry

__all__ = ["COMMANDS", "wallet"]

COMMANDS: Mapping[str, Entry] = {
    "show": Entry("guardrails.cli.wallet_show", "Show what a recipient has, and how it came about."),
    "top-up": Entry("guardrails.cli.wallet_top_up", "Add stored value to a recipient's wallet.", "top_up"),
}


@click.group(cls=CommandGroup, entries=COMMANDS)
def wallet() -> None:
    """Show what recipients have, or add to it."""
