"""Commands whose help says what each exit code means and shows how they are typed, on terminals of any width."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

__all__ = ["WIDEST", "Documented", "HelpContext"]

WIDEST = 100
"""Lines longer than this are tiring to read, however wide the terminal is."""


class _HelpFormatter(click.HelpFormatter):
    """As wide as the terminal, with the left column at most half of it; click stops at 50 columns."""

    def __init__(self, *_: Any, **options: Any) -> None:  # noqa: ANN401 - click's own
        super().__init__(**{**options, "width": min(shutil.get_terminal_size().columns, WIDEST)})

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl(rows, min(col_max, self.width // 2 - self.current_indent), col_spacing)


class HelpContext(click.Context):
    """The context of a command whose help fits the terminal."""

    formatter_class = _HelpFormatter


class Documented(click.Command):
    """`examples` are whole command lines; `exits` says what each exit code means for this command."""

    context_class = HelpContext

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - click's own
        examples: Sequence[str],
        exits: Mapping[int, str],
        **options: Any,  # noqa: ANN401 - click's own
    ) -> None:
        super().__init__(*arguments, **options)
        self.examples = tuple(examples)
        self.exits = dict(exits)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are typed, then the exit codes."""
        del ctx
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in self.exits.items()])
