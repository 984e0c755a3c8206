"""Where the output goes: to a person at a terminal, or into a file or pipe, plainly.

rich leaves out colours, bars and boxes by itself where the output is no terminal, and colours where `NO_COLOR` is
set; what is added here is that lines are then not folded either, so that they can be searched.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click
import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from guardrails.cli.documented import WIDEST
from guardrails.policytest.trace_view import Tone, Words

__all__ = ["errors_console", "indented", "is_terminal", "output_console", "print_json", "print_words", "styled"]

UNFOLDED = 1_000_000
"""The width of what is no terminal: nothing is folded there."""

STYLES: Mapping[Tone, str] = {
    "plain": "",
    "name": "bold",
    "good": "green",
    "bad": "red",
    "unsure": "yellow",
    "quiet": "dim",
}


def is_terminal() -> bool:
    """Whether a person reads the output."""
    return sys.stdout.isatty()


def output_console() -> Console:
    """Standard output."""
    return _console(stderr=False)


def errors_console() -> Console:
    """Standard error."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = UNFOLDED
    elif console.width > WIDEST:
        console.width = WIDEST
    return console


def styled(words: Words) -> Text:
    """Words with the colours of their tones."""
    return Text.assemble(*((text, STYLES[tone]) for text, tone in words))


def indented(line: Text, indent: int, console: Console) -> Text | Padding:
    """The line, moved in; where it is folded, what follows stays under its beginning."""
    return (
        Padding(line, (0, 0, 0, indent), expand=False) if console.is_terminal else Text(" " * indent).append_text(line)
    )


def print_words(words: Words, console: Console) -> None:
    """One line; what it begins with decides how far its folded rest is moved in."""
    line = styled(words)
    text = line.plain
    indent = len(text) - len(text.lstrip())
    console.print(indented(line[indent:], indent, console) if text.strip() else "")


def print_json(value: object) -> None:
    """One JSON value, indented where a person reads it."""
    encoded = msgspec.json.encode(value)
    click.echo(msgspec.json.format(encoded, indent=2) if is_terminal() else encoded)
