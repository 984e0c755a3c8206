"""How a decision came about, as a tree that people read: each policy, its conditions, their facts and results.

A tree is made of words with a *tone* (what they say, not how they look); the command line turns tones into colours,
a test report leaves them out. Nothing is told by colour alone.

    one-sponsored-a-day: violated, cap.exceeded
      applies to      true  all of
        true  content.class = sponsored (is "sponsored")
        true  channel in [push, email] (is "push")
      violated when   true  cap.one-sponsored-a-day.used >= 1 (is 1)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from guardrails.core.policy import Verdict
from guardrails.core.policy_set import PolicySet
from guardrails.core.reference import PolicyTrace, TraceNode
from guardrails.decide.explain import Explanation

__all__ = ["INDENT", "Branch", "Tone", "Words", "plain", "policy_branches"]

Tone = Literal["plain", "name", "good", "bad", "unsure", "quiet"]
Words = tuple[tuple[str, Tone], ...]

INDENT = "  "


class Branch(msgspec.Struct, frozen=True):
    """One line of the tree, and what hangs on it."""

    words: Words
    children: tuple[Branch, ...] = ()


_VERDICTS: dict[Verdict, Tone] = {
    Verdict.SATISFIED: "good",
    Verdict.VIOLATED: "bad",
    Verdict.UNDETERMINED: "unsure",
    Verdict.NOT_APPLICABLE: "quiet",
}
_RESULTS: dict[bool | None, tuple[str, Tone]] = {
    True: ("true", "good"),
    False: ("false", "bad"),
    None: ("unknown", "unsure"),
}

_COMBINATIONS = {"all": "all of", "any": "any of"}
TITLE_WIDTH = len("satisfied when  ")


def plain(words: Words) -> str:
    """Words without their tones."""
    return "".join(text for text, _ in words)


def policy_branches(explanation: Explanation, policy_set: PolicySet) -> tuple[Branch, ...]:
    """One tree for each policy that applies or may apply, in policy order."""
    remarks = _remarks(explanation, policy_set)
    return tuple(_policy_branch(trace, remarks[trace.policy]) for trace in explanation.traces)


def _remarks(explanation: Explanation, policy_set: PolicySet) -> dict[str, tuple[str, ...]]:
    """What is to be said of each policy beside its verdict: its reason's code, or why it does not count."""
    decision = explanation.decision
    codes = {reason.policy: reason.code for reason in (*decision.reasons, *decision.monitored)}
    policies = {policy.id: policy for policy in policy_set.policies}
    remarks = {}
    for trace in explanation.traces:
        policy, said = policies[trace.policy], []
        if trace.policy in codes:
            said.append(codes[trace.policy])
        if policy.mode == "monitor":
            said.append("only monitors")
        if not policy.is_valid_at(decision.evaluated_at):
            said.append("not in force at this time")
        elif trace.verdict == Verdict.VIOLATED and trace.policy not in codes and trace.policy in policy_set.overriders:
            overriders = ", ".join(other.id for other in policy_set.overriders[trace.policy])
            said.append(f"stands aside for {overriders}")
        remarks[trace.policy] = tuple(said)
    return remarks


def _policy_branch(trace: PolicyTrace, remarks: tuple[str, ...]) -> Branch:
    words: Words = (
        (trace.policy, "name"),
        (": ", "quiet"),
        (trace.verdict.value.replace("_", " "), _VERDICTS[trace.verdict]),
        *((f", {remark}", "plain") for remark in remarks),
    )
    return Branch(words, tuple(_formula_branch(title, node) for title, node in _formulas(trace)))


def _formulas(trace: PolicyTrace) -> Iterator[tuple[str, TraceNode]]:
    """The formulas that explain the verdict; those that are always or never true explain nothing."""
    shown = [("applies to", trace.applies_to)]
    if trace.applies_to.result:
        if trace.verdict != Verdict.SATISFIED:
            shown.append(("violated when", trace.violated))
        if trace.verdict != Verdict.VIOLATED:
            shown.append(("satisfied when", trace.satisfied))
    return ((title, node) for title, node in shown if not _is_constant(node))


def _is_constant(node: TraceNode) -> bool:
    return not node.fact and not node.children


def _formula_branch(title: str, node: TraceNode) -> Branch:
    branch = _node_branch(node)
    return Branch(((title.ljust(TITLE_WIDTH), "quiet"), *branch.words), branch.children)


def _node_branch(node: TraceNode) -> Branch:
    text = _COMBINATIONS.get(node.text, node.text)
    fact: Words = ((f" (is {node.fact})", "quiet"),) if node.fact else ()
    words: Words = (_RESULTS[node.result], ("  ", "plain"), (text, "plain"), *fact)
    return Branch(words, tuple(map(_node_branch, node.children)))
