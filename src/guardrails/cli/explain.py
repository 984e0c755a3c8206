"""`guardrails explain`: how each policy judged a candidate, as a tree."""

from __future__ import annotations

from datetime import datetime
from typing import Any, BinaryIO

import click
import msgspec
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from guardrails.cli.candidates import Broken, read_candidates
from guardrails.cli.decision_view import moment, outlook, relied_on, verdict_line
from guardrails.cli.documented import Documented
from guardrails.cli.opening import opened
from guardrails.cli.options import candidate_options
from guardrails.cli.results import tell
from guardrails.cli.terminal import output_console, styled
from guardrails.core.candidate import Candidate
from guardrails.core.policy_set import PolicySet
from guardrails.decide.explain import Explainer, Explanation
from guardrails.errors import CandidateError
from guardrails.policytest.trace_view import Branch, policy_branches
from guardrails.stores import refuse_to_migrate

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
@candidate_options
def explain(
    *,
    source: BinaryIO,
    at: datetime | None,
    as_json: bool,
    **stores: Any,  # noqa: ANN401 - what `opened` takes, typed by click
) -> int:
    """Show how each policy judges the candidates in SOURCE, condition by condition. Nothing is reserved or recorded.

    SOURCE is read as by `guardrails decide`. Each condition says whether it is true, false or unknown, and the fact
    that it read. Without --database nothing is on record: no consent, no preference, no earlier send.
    """
    console = output_console()
    with opened(**stores, on_old_schema=refuse_to_migrate) as application:
        policy_set = application.policies.snapshot.policy_set
        results = (
            candidate if isinstance(candidate, Broken) else _explain(application.explainer, candidate, number, at)
            for number, candidate in enumerate(read_candidates(source), start=1)
        )
        show = None if as_json else lambda explanation: _show(explanation, policy_set, console)
        return tell(results, to_json=msgspec.json.encode, show=show)


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
    if decision.consents:
        root.add(relied_on(decision.consents))
    for branch in policy_branches(explanation, policy_set):
        _grow(root, branch)
    if explanation.not_applicable:
        root.add(Text(f"not applicable: {', '.join(explanation.not_applicable)}", "dim"))
    console.print(root)


def _grow(tree: Tree, branch: Branch) -> None:
    grown = tree.add(styled(branch.words))
    for child in branch.children:
        _grow(grown, child)
