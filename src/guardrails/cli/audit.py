"""`guardrails audit`: the commands on the log of all that was decided. Each is one line here and one module."""

from __future__ import annotations

from collections.abc import Mapping

import click

from guardrails.cli.groups import CommandGroup, Entry

__all__ = ["COMMANDS", "audit"]

COMMANDS: Mapping[str, Entry] = {
    "show": Entry("guardrails.cli.audit_show", "Print entries of the log, as they were written."),
}


@click.group(cls=CommandGroup, entries=COMMANDS)
def audit() -> None:
    """Read the log of all that was decided, and of what came of it."""
