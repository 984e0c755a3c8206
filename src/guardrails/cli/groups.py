"""Groups of commands, each in a module of its own that is imported when that command is asked for.

A module calls its command what people type: `history` is the `history` of the module that the entry names. Where that
is a name of Python's own, such as `list`, the entry says what it is called instead.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from guardrails.cli.documented import HelpContext

__all__ = ["CommandGroup", "Entry"]


class Entry(NamedTuple):
    """A command as the list of commands shows it; its module says the rest."""

    module: str
    summary: str
    attribute: str = ""


class CommandGroup(click.Group):
    """`entries` are the commands by name, in the order in which people meet them."""

    context_class = HelpContext

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - click's own
        entries: Mapping[str, Entry],
        **options: Any,  # noqa: ANN401 - click's own
    ) -> None:
        super().__init__(*arguments, **options)
        self.entries = dict(entries)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in order."""
        del ctx
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        del ctx
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(importlib.import_module(entry.module), entry.attribute or cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing one of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.entries.items()])
