"""The results of policy tests: as people read them, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from guardrails.cli.counting import counted
from guardrails.cli.problems import show_problems
from guardrails.cli.terminal import errors_console, print_words
from guardrails.policyfile.problems import Problem
from guardrails.policytest.coverage import PolicyCoverage
from guardrails.policytest.report import failure_lines
from guardrails.policytest.runner import CaseResult, Failure
from guardrails.policytest.trace_view import plain

__all__ = ["FileResult", "show_coverage", "show_file", "show_totals", "summary"]


class FileResult(msgspec.Struct, frozen=True):
    """What became of the cases of one file; `problems` says why there are none."""

    path: Path
    cases: tuple[CaseResult, ...] = ()
    problems: tuple[Problem, ...] = ()

    def failures(self) -> tuple[Failure, ...]:
        """Why cases of the file don't hold."""
        return tuple(result.failure for result in self.cases if result.failure is not None)


def show_file(result: FileResult, console: Console) -> None:
    """One line for a file, and a report for each case that does not hold. Problems go to standard error."""
    if result.problems:
        show_problems(result.problems, errors_console())
        return
    failures = result.failures()
    count = counted(len(result.cases), "case")
    if not failures:
        console.print(Text.assemble(("ok    ", "green"), str(result.path), (f"  {count}", "dim")))
        return
    console.print(Text.assemble(("FAIL  ", "bold red"), str(result.path), (f"  {len(failures)} of {count}", "red")))
    for failure in failures:
        console.print()
        for line in failure_lines(failure):
            print_words(line, console)
    console.print()


def show_totals(results: Iterable[FileResult], console: Console) -> None:
    """The last line: how many cases hold, and how many don't."""
    totals = summary(results, {})
    said = [f"{counted(totals['passed'], 'case')} passed in {counted(totals['files'], 'file')}"]
    if totals["failed"]:
        said.append(f"{totals['failed']} failed")
    if totals["unreadable"]:
        said.append(f"{counted(totals['unreadable'], 'file')} can't be read")
    console.print(", ".join(said), style="bold green" if len(said) == 1 else "bold red")


NARROW = 64
"""Columns that the table of coverage needs; narrower terminals get a list."""

_SIDES = {"satisfied": "satisfied", "violated": "violated", "not_applicable": "n/a", "undetermined": "unclear"}


def show_coverage(coverage: Mapping[Path, tuple[PolicyCoverage, ...]], console: Console) -> None:
    """How often each policy gave each verdict; `none` marks a side that no case shows."""
    for path, policies in coverage.items():
        whole = sum(not each.untested for each in policies)
        said = f"{path}: {whole} of {counted(len(policies), 'policy', 'policies')} shown from every side"
        console.print()
        console.print(_coverage_list(policies) if console.width < NARROW else _coverage_table(policies))
        console.print(said, style="bold green" if whole == len(policies) else "bold yellow")
        console.print()


def _coverage_table(policies: Iterable[PolicyCoverage]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("policy", overflow="fold")
    for title in _SIDES.values():
        table.add_column(title, justify="right", no_wrap=True)
    for each in policies:
        table.add_row(each.policy, *(_count(each, side) for side in _SIDES))
    return table


def _coverage_list(policies: Iterable[PolicyCoverage]) -> Text:
    lines = []
    for each in policies:
        sides = [side for side in _SIDES if each.seen[side] or side in each.untested]
        counts = [Text.assemble(_count(each, side), f" {_SIDES[side]}") for side in sides]
        lines += [Text(each.policy, "bold"), Text.assemble("  ", Text(", ").join(counts))]
    return Text("\n").join(lines)


def _count(coverage: PolicyCoverage, side: str) -> Text:
    if side in coverage.untested:
        return Text("none", "bold red")
    return Text(f"{coverage.seen[side]:,}") if coverage.seen[side] else Text("-", "dim")


def summary(results: Iterable[FileResult], coverage: Mapping[Path, tuple[PolicyCoverage, ...]]) -> dict[str, Any]:
    """Everything that was found, as JSON values."""
    results = tuple(results)
    cases = [each for result in results for each in result.cases]
    failed = sum(each.failure is not None for each in cases)
    return {
        "passed": len(cases) - failed,
        "failed": failed,
        "files": sum(not result.problems for result in results),
        "unreadable": sum(bool(result.problems) for result in results),
        "cases": [_case(each) for each in cases],
        "problems": [problem for result in results for problem in result.problems],
        "coverage": {str(path): policies for path, policies in coverage.items()},
    }


def _case(result: CaseResult) -> dict[str, Any]:
    case, failure = result.case, result.failure
    said = {"file": str(case.path), "line": case.line, "name": case.name, "passed": failure is None}
    if failure is None:
        return said
    return {
        **said,
        "failed_at": failure.line,
        "step": failure.step,
        "error": failure.error,
        "mismatches": failure.mismatches,
        "report": "\n".join(map(plain, failure_lines(failure))),
    }
