from __future__ import annotations

import pytest

from guardrails.core.cap_needs import CapNeed
from guardrails.core.cap_rule import CapRule, RollingWindow
from guardrails.core.conditions import TRUE, FactType, OneOf
from guardrails.core.policy import Retry

FACT = "gap.p.used"
LINES = "kind: min_gap\ngap: 2h\nper: [recipient]\n"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [({FACT: 0}, "satisfied"), ({FACT: 1}, "gap.too_soon"), ({FACT: 2}, "gap.too_soon"), ({}, "undetermined")],
)
def test_no_other_send_may_stand_closer_than_the_gap(policy, outcome, facts, expected):
    assert outcome(policy(LINES), facts) == expected


def test_a_gap_is_a_rolling_cap_of_one(policy):
    gap = policy(LINES)
    rule = CapRule(id="p", limit=1, window=RollingWindow(7200), per=("recipient.id",), counts=TRUE, count_on="reserved")
    assert gap.caps == (rule,)
    assert gap.needs == (CapNeed(FACT, rule),)


def test_it_counts_what_it_applies_to_where_nothing_else_is_said(policy):
    push = OneOf("channel", FactType.STRING, ("push",))
    assert policy(f"{LINES}applies_to: {{channel: push}}\n").caps[0].counts == push


def test_what_counts_may_be_more_than_what_it_applies_to(policy):
    lines = f"{LINES}applies_to: {{channel: push}}\ncounts: {{channel: [push, sms]}}\ncount_on: delivered\n"
    cap = policy(lines).caps[0]
    assert cap.counts == OneOf("channel", FactType.STRING, ("push", "sms"))
    assert cap.count_on == "delivered"


def test_it_passes_on_advice_to_the_sender(policy):
    assert policy(LINES).retry is None
    assert policy(f"{LINES}retry: {{every: 30m, attempts: 3}}\n").retry == Retry(1800, 3)


@pytest.mark.parametrize(
    ("per", "words"), [("[recipient, channel]", "for each recipient and channel"), ("[]", "in all")]
)
def test_its_words_say_what_is_demanded(policy, per, words):
    message = policy(f"kind: min_gap\ngap: 2h\nper: {per}\n").reason.message
    assert message == f"at least 2h must lie between two sends, {words}"


@pytest.mark.parametrize("missing", ["gap", "per"])
def test_nothing_about_a_gap_is_implicit(problems, missing):
    lines = "".join(line for line in LINES.splitlines(keepends=True) if not line.startswith(missing))
    assert [code for _, code in problems(lines)] == ["missing-property"]
