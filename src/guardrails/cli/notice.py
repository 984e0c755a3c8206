"""`guardrails notice`: the commands on the texts that recipients are shown."""

from __future__ import annotations

from collections.abc import Mapping

import click

from guardrails.cli.groups import CommandGroup, Entry

__all__ = ["COMMANDS", "notice"]

COMMANDS: Mapping[str, Entry] = {
    "add": Entry("guardrails.cli.notice_add", "Keep a text that recipients are shown."),
    "import": Entry("guardrails.cli.notice_import", "Keep the notices of another database.", "import_"),
    "list": Entry("guardrails.cli.notice_list", "List what is kept.", "list_notices"),
    "show": Entry("guardrails.cli.notice_show", "Show a notice, word for word."),
}


@click.group(cls=CommandGroup, entries=COMMANDS)
def notice() -> None:
    """Keep the texts that recipients are shown when they are asked, for ever, under the hash of all that they say."""
