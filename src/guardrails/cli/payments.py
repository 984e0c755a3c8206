"""`guardrails payments`: the commands on the payment service. Each is one line here and one module."""

from __future__ import annotations

from collections.abc import Mapping

import click

from guardrails.cli.groups import CommandGroup, Entry

__all__ = ["COMMANDS", "payments"]

COMMANDS: Mapping[str, Entry] = {
    "reconcile": Entry("guardrails.cli.payments_reconcile", "Hold redemptions against the payment service's books."),
}


@click.group(cls=CommandGroup, entries=COMMANDS)
def payments() -> None:
    """Look after what a payment service has."""
