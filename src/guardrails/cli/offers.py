"""`guardrails offers`: the commands on what can be bought or redeemed."""

from __future__ import annotations

from collections.abc import Mapping

import click

from guardrails.cli.groups import CommandGroup, Entry

__all__ = ["COMMANDS", "offers"]

COMMANDS: Mapping[str, Entry] = {
    "list": Entry("guardrails.cli.offer_show", "List all offers, with what is left of them.", "list_offers"),
    "show": Entry("guardrails.cli.offer_show", "Show an offer: its terms, and how it stands."),
    "add": Entry("guardrails.cli.offer_add", "Register offers: terms that never change."),
    "withdraw": Entry("guardrails.cli.offer_add", "Let nobody redeem an offer any more."),
}


@click.group(cls=CommandGroup, entries=COMMANDS)
def offers() -> None:
    """Register what can be bought or redeemed, see what is left of it, and withdraw it."""
