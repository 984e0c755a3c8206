"""Results of candidates, told one by one as they come: to people or, a line of JSON each, to tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import click

from guardrails.cli import exit_codes
from guardrails.cli.candidates import Broken
from guardrails.cli.decision_view import show_broken
from guardrails.cli.terminal import output_console

__all__ = ["tell"]

T = TypeVar("T")


def tell(
    results: Iterable[T | Broken], *, to_json: Callable[[T], bytes], show: Callable[[T], None] | None = None
) -> int:
    """Tell every result: by `show` or, where that is None, as lines of JSON. Returns the command's exit code."""
    code = exit_codes.FINE
    console = output_console()
    for result in results:
        if isinstance(result, Broken):
            code = exit_codes.FINDINGS
        if show is None:
            click.echo(result.to_json() if isinstance(result, Broken) else to_json(result))
        elif isinstance(result, Broken):
            show_broken(result, console)
        else:
            show(result)
    return code
