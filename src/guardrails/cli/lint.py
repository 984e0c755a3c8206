"""`guardrails lint`: what loads, and still looks mistaken."""

from __future__ import annotations

from pathlib import Path

import click

from guardrails.cli import exit_codes
from guardrails.cli.counting import counted
from guardrails.cli.documented import Documented
from guardrails.cli.options import json_option
from guardrails.cli.problems import show_problems
from guardrails.cli.terminal import output_console, print_json
from guardrails.policyfile.lint import lint as find_warnings
from guardrails.policyfile.loader import load_policies
from guardrails.policyfile.problems import PolicyProblems

__all__ = ["lint"]


@click.command(
    cls=Documented,
    examples=(
        "guardrails lint",
        "guardrails lint --json policies | jq -r '.problems[].code'",
    ),
    exits={0: "nothing found", 1: "something found", 2: "could not run"},
)
@click.argument("path", type=click.Path(path_type=Path), default="policies")
@json_option
def lint(*, path: Path, as_json: bool) -> int:
    """Warn about policies at PATH that load but look mistaken.

    PATH is a file, or a directory with everything below it; `policies` if it is not given. Policies that don't load
    are reported as `guardrails validate` does.
    """
    try:
        found = tuple(find_warnings(load_policies(path)))
    except PolicyProblems as error:
        found = error.problems
    console = output_console()
    if as_json:
        print_json({"problems": found})
    elif found:
        show_problems(found, console)
        console.print(counted(len(found), "finding"), style="bold yellow")
    else:
        console.print("nothing found", style="bold green")
    return exit_codes.FINDINGS if found else exit_codes.FINE
