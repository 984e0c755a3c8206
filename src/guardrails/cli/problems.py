"""How problems are shown: one line each where a tool reads, with the line of the file where a person does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from guardrails.cli.counting import counted
from guardrails.errors import CandidateError

if TYPE_CHECKING:  # rich and the policy language are imported only where something is shown
    from rich.console import Console

    from guardrails.policyfile.problems import Problem

__all__ = ["show_error", "show_problems"]


def show_error(error: Exception) -> None:
    """One error on standard error: what it says and, of a list of problems, each."""
    from guardrails.cli.terminal import errors_console  # noqa: PLC0415 - rich, only where something is shown

    problems = getattr(error, "problems", ())
    if problems and not isinstance(error, CandidateError):
        show_problems(problems, errors_console())
        click.echo(f"guardrails: {counted(len(problems), 'problem')}; run `guardrails validate`", err=True)
        return
    click.echo(f"guardrails: {_one_line(error)}", err=True)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror is not None:
        where = "" if error.filename is None else f"{error.filename}: "
        return where + error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__


def show_problems(problems: Iterable[Problem], console: Console) -> None:
    """Every problem; on a terminal with the line it is about and a mark under the place."""
    for problem in problems:
        if console.is_terminal:
            _show_with_source(problem, console)
        else:
            console.print(str(problem))


def _show_with_source(problem: Problem, console: Console) -> None:
    from rich.text import Text  # noqa: PLC0415 - as above

    from guardrails.cli.terminal import indented  # noqa: PLC0415 - as above

    place = f"{problem.file}:{problem.line}:{problem.column}"
    console.print(Text.assemble((place, "bold"), "  ", (problem.code, "red")))
    console.print(indented(Text(problem.message), 2, console))
    source = _line_of(problem)
    if source is not None:
        number = f"{problem.line:>5} "
        console.print(Text.assemble((f"{number}| ", "dim"), source), no_wrap=True, overflow="ellipsis")
        mark = " " * len(number) + "| " + " " * (problem.column - 1)
        console.print(Text.assemble((mark, "dim"), ("^", "bold red")), no_wrap=True, overflow="crop")
    if problem.hint:
        console.print(indented(Text.assemble(("hint: ", "cyan"), problem.hint), 2, console))
    console.print()


def _line_of(problem: Problem) -> str | None:
    """The text of the problem's line, or None where it can't be shown."""
    with contextlib.suppress(OSError, UnicodeDecodeError, IndexError):
        line = Path(problem.file).read_text(encoding="utf-8").splitlines()[problem.line - 1]
        return line.replace("\t", " ") if line.strip() else None
    return None
