"""Every command of the command line, by what is typed to run it: `decide`, `consent history`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from guardrails.cli import main


def _commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


EVERY_COMMAND: Mapping[str, click.Command] = dict(_commands(main))
