"""`guardrails validate`: do the policies load, and if not, what is wrong, and where."""

from __future__ import annotations

from pathlib import Path

import click

from guardrails.cli import exit_codes
from guardrails.cli.counting import counted
from guardrails.cli.documented import Documented
from guardrails.cli.options import json_option
from guardrails.cli.problems import show_problems
from guardrails.cli.terminal import output_console, print_json
from guardrails.policyfile.loader import load_policies
from guardrails.policyfile.problems import PolicyProblems

__all__ = ["validate"]


@click.command(
    cls=Documented,
    examples=(
        "guardrails validate",
        "guardrails validate policies/quiet.yaml",
        "guardrails validate --json policies | jq -r '.problems[].code'",
    ),
    exits={0: "they load", 1: "there are problems", 2: "could not run"},
)
@click.argument("path", type=click.Path(path_type=Path), default="policies")
@json_option
def validate(*, path: Path, as_json: bool) -> int:
    """Check that the policies at PATH load; say everything that is wrong, and where.

    PATH is a file, or a directory with everything below it; `policies` if it is not given.
    """
    try:
        policy_set = load_policies(path)
    except PolicyProblems as error:
        return _report_problems(error, as_json=as_json)
    policies = [policy for policy in policy_set.policies if not policy.builtin]
    files = len(policy_set.files)
    if as_json:
        counts = {"policies": len(policies), "purposes": len(policy_set.purposes), "files": files}
        print_json({"revision": policy_set.revision, **counts, "problems": []})
    else:
        purposes = f" and {counted(len(policy_set.purposes), 'purpose')}" if policy_set.purposes else ""
        said = f"{counted(len(policies), 'policy', 'policies')}{purposes} in {counted(files, 'file')}"
        output_console().print(f"{said}, revision {policy_set.revision}")
    return exit_codes.FINE


def _report_problems(error: PolicyProblems, *, as_json: bool) -> int:
    if as_json:
        print_json({"revision": None, "policies": None, "purposes": None, "files": None, "problems": error.problems})
        return exit_codes.FINDINGS
    console = output_console()
    show_problems(error.problems, console)
    console.print(counted(len(error.problems), "problem"), style="bold red")  # some are of a set, and so of no one file
    return exit_codes.FINDINGS
