"""`guardrails explain`: how each policy judged a candidate, as a tree."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import click
import msgspec
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from guardrails.cli import exit_codes
from guardrails.cli.candidates import Broken, read_candidates
from guardrails.cli.decision_view import moment, outlook, show_broken, verdict_line
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened
from guardrails.cli.options import at_option, caps_option, database_option, engine_option, json_option, policies_option
from guardrails.cli.terminal import output_console, styled
from guardrails.core.candidate import Candidate
from guardrails.core.policy_set import PolicySet
from guardrails.decide.explain import Explainer, Explanation
from guardrails.errors import CandidateError
from guardrails.policytest.trace_view import Branch, policy_branches
from guardrails.settings import EngineName

__all__ = ["explain"]


@click.command(
    cls=Documented,
    examples=(
        "guardrails explain candidate.json --database sqlite:///guardrails.db",
        'guardrails explain --at "2026-12-01T23:00 Europe/Berlin" candidate.json',
        "guardrails explain --json candidate.json | jq '.traces[] | {policy, verdict}'",
    ),
    exits={0: "all explained", 1: "a candidate is broken", 2: "could not run"},
)
@click.argument("source", type=click.File("rb"), default="-")
@policies_option
@database_option
@caps_option
@at_option
@engine_option
@json_option
def explain(
    *,
    source: BinaryIO,
    policies: Path,
    database: str | None,
    caps: str | None,
    at: datetime | None,
    engine: EngineName,
    as_json: bool,
) -> int:
    """Show how each policy judges the candidates in SOURCE, condition by condition. Nothing is reserved or recorded.

    SOURCE is read as by `guardrails decide`. Each condition says whether it is true, false or unknown, and the fact
    that it read. Without --database nothing is on record: no consent, no preference, no earlier send.
    """
    code = exit_codes.FINE
    console = output_console()
    with opened(policies=policies, database=database, caps=caps, engine=engine) as application:
        policy_set = application.policies.snapshot.policy_set
        for number, candidate in enumerate(read_candidates(source), start=1):
            result = (
                candidate if isinstance(candidate, Broken) else _explain(application.explainer, candidate, number, at)
            )
            if as_json:
                click.echo(result.to_json() if isinstance(result, Broken) else msgspec.json.encode(result))
            elif isinstance(result, Broken):
                show_broken(result, console)
            else:
                _show(result, policy_set, console)
            if isinstance(result, Broken):
                code = exit_codes.FINDINGS
    return code


def _explain(explainer: Explainer, candidate: Candidate, number: int, at: datetime | None) -> Explanation | Broken:
    try:
        return explainer.explain(candidate, now=at)
    except CandidateError as error:
        return Broken.from_error(number, error)


def _show(explanation: Explanation, policy_set: PolicySet, console: Console) -> None:
    decision = explanation.decision
    root = Tree(verdict_line(decision), guide_style="dim")
    root.add(Text(f"as of {moment(decision.evaluated_at)}", "dim"))
    if decision.effect == "deny":
        root.add(outlook(decision))
    for branch in policy_branches(explanation, policy_set):
        _grow(root, branch)
    if explanation.not_applicable:
        root.add(Text(f"not applicable: {', '.join(explanation.not_applicable)}", "dim"))
    console.print(root)


def _grow(tree: Tree, branch: Branch) -> None:
    grown = tree.add(styled(branch.words))
    for child in branch.children:
        _grow(grown, child)
