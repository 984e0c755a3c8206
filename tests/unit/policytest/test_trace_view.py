from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest

from guardrails.bootstrap import compiler, in_memory_application
from guardrails.core.candidate import Candidate
from guardrails.policyfile.loader import load_policy_files
from guardrails.policytest.report import trace_lines
from guardrails.policytest.trace_view import plain, policy_branches

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def policy(name: str, **more: object) -> dict[str, object]:
    return {"id": name, "kind": "rule", "deny_when": {"content.steps": {"gt": 3}}, "message": "too long", **more}


def told(*policies: dict[str, object], **content: object) -> list[str]:
    """How the policies judge a sponsored push with this content, the built-in policy left out."""
    text = json.dumps({"apiVersion": "guardrails/v1", "policies": policies})
    policy_set = load_policy_files({"policies.yaml": text})
    application = in_memory_application(policy_set, compiled=compiler("native")(policy_set), clock=lambda: NOON)
    candidate = msgspec.convert(
        {
            "id": "c-1",
            "lane": "monetized",
            "channel": "push",
            "recipient": {"id": "r-1"},
            "content": {"class": "sponsored", **content},
        },
        Candidate,
    )
    branches = policy_branches(application.explainer.explain(candidate), policy_set)
    lines = [plain(line) for line in trace_lines(branches, depth=0)]
    return lines[: lines.index("guardrails-lane-separation: satisfied")]


def test_a_violated_policy_shows_its_reason_and_what_violates_it():
    assert told(policy("short"), steps=9) == [
        "short: violated, rule.denied",
        "  violated when   true  content.steps > 3 (is 9)",
    ]


def test_a_satisfied_policy_shows_what_satisfies_it():
    assert told(policy("short"), steps=1) == [
        "short: satisfied",
        "  satisfied when  true  not",
        "    false  content.steps > 3 (is 1)",
    ]


def test_an_undetermined_policy_shows_both_and_the_fact_that_is_missing():
    assert told(policy("short")) == [
        "short: undetermined, facts.missing",
        "  violated when   unknown  content.steps > 3 (is missing)",
        "  satisfied when  unknown  not",
        "    unknown  content.steps > 3 (is missing)",
    ]


def test_a_policy_that_may_apply_shows_only_what_decides_that():
    assert told(policy("short", applies_to={"content.topic": "news", "channel": "push"}), steps=9) == [
        "short: undetermined, facts.missing",
        "  applies to      unknown  all of",
        "    unknown  content.topic = news (is missing)",
        '    true  channel = push (is "push")',
    ]


def test_a_combination_says_of_what():
    deny_when = {"any": [{"content.steps": {"gt": 3}}, {"content.topic": "war"}]}
    assert told(policy("short", deny_when=deny_when), steps=9, topic="news") == [
        "short: violated, rule.denied",
        "  violated when   true  any of",
        "    true  content.steps > 3 (is 9)",
        '    false  content.topic = war (is "news")',
    ]


@pytest.mark.parametrize(
    ("more", "remark"),
    [
        ({"mode": "monitor"}, "violated, rule.denied, only monitors"),
        ({"valid": {"from": "2027-01-01T00:00:00Z"}}, "violated, not in force at this time"),
    ],
)
def test_what_does_not_count_says_why(more, remark):
    assert told(policy("short", **more), policy("other"), steps=9)[0] == f"short: {remark}"


def test_a_policy_that_stands_aside_names_the_one_it_stands_aside_for():
    vip = policy("vip", overrides=["short"], deny_when={"channel": "sms"})
    assert told(policy("short"), vip, steps=9)[0] == "short: violated, stands aside for vip"
