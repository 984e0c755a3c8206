from __future__ import annotations

import textwrap

import pytest

from guardrails.core.reference import evaluate
from guardrails.policyfile.loader import load_policy_files
from guardrails.policyfile.problems import PolicyProblems

HEAD = (
    "apiVersion: guardrails/v1\nproject: {timezone: Europe/Berlin, contexts: [booking, trip]}\npolicies:\n  - id: p\n"
)


def file_of(lines):
    return {"p.yaml": HEAD + textwrap.indent(textwrap.dedent(lines), "    ")}


@pytest.fixture
def policy():
    """Loads one policy, `p`, from its lines."""

    def load(lines):
        return load_policy_files(file_of(lines)).policies[0]

    return load


@pytest.fixture
def problems():
    """What is wrong with a policy: (line, counted from its first, code) of each problem."""

    def load(lines):
        with pytest.raises(PolicyProblems) as caught:
            load_policy_files(file_of(lines))
        return [(problem.line - HEAD.count("\n"), problem.code) for problem in caught.value.problems]

    return load


@pytest.fixture
def outcome():
    """What a policy says of facts: `satisfied`, `undetermined`, or the reason code of its violation."""

    def judge(policy, facts):
        violated, satisfied = evaluate(policy.violated, facts), evaluate(policy.satisfied, facts)
        assert not (violated and satisfied), "both formulas are true"
        if violated:
            return next((code for case, code in policy.reason.cases if evaluate(case, facts)), policy.reason.code)
        return "satisfied" if satisfied else "undetermined"

    return judge
