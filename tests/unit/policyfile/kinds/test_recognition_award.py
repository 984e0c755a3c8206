from __future__ import annotations

import pytest

from guardrails.core.policy import ObligationRule
from guardrails.policyfile.kinds.recognition_award import TimelinessNeed

FACT = "award.p.timing"
LINES = """\
kind: recognition_award
when: {attributes.minutes: {lte: 15}}
within: 24h
award: {badge: quick-responder, credits: 5, reason: You were quick}
"""


@pytest.mark.parametrize(
    ("minutes", "timing", "expected"),
    [
        (15, "timely", "satisfied"),
        (16, "timely", "award.not_earned"),
        (None, "timely", "undetermined"),
        (15, "late", "award.too_late"),
        (16, "late", "award.not_earned"),
        (None, "late", "award.too_late"),
        (15, "ahead", "award.not_earned"),
        (16, None, "award.not_earned"),
        (15, None, "undetermined"),
        (None, None, "undetermined"),
    ],
)
def test_an_award_is_earned_and_timely(policy, outcome, minutes, timing, expected):
    known = {"attributes.minutes": minutes, FACT: timing}
    facts = {name: value for name, value in known.items() if value is not None}
    assert outcome(policy(LINES), facts) == expected


def test_it_needs_the_time_of_the_action(policy):
    assert policy(LINES).needs == (TimelinessNeed(FACT, 86_400),)


def test_the_sender_is_told_what_to_grant_and_for_what(policy):
    assert policy(LINES).obligations == (
        ObligationRule(
            "award",
            values={"badge": "quick-responder", "credits": 5, "reason": "You were quick"},
            fields={"context_id": "context.id"},
        ),
    )


def test_its_words_say_what_is_demanded(policy):
    assert policy(LINES).reason.message == "the award must be earned, and given less than 24h after the action"


@pytest.mark.parametrize("award", ["{badge: b}", "{credits: 0}"])
def test_a_badge_or_credits_are_enough(policy, award):
    lines = LINES[: LINES.index("award:")]
    assert policy(f"{lines}award: {award}\n").obligations[0].type == "award"


@pytest.mark.parametrize(
    ("award", "code"),
    [
        ("{reason: You were quick}", "missing-property"),
        ("{credits: -1}", "out-of-bounds"),
        ("{credits: 1.5}", "wrong-type"),
        ("{badge: Big Badge}", "bad-id"),
        ("{bagde: b}", "unknown-property"),
    ],
)
def test_an_award_grants_a_badge_or_whole_credits(problems, award, code):
    lines = LINES[: LINES.index("award:")]
    assert (4, code) in problems(f"{lines}award: {award}\n")


@pytest.mark.parametrize("missing", ["when", "within", "award"])
def test_nothing_about_an_award_is_implicit(problems, missing):
    lines = "".join(line for line in LINES.splitlines(keepends=True) if not line.startswith(missing))
    assert [code for _, code in problems(lines)] == ["missing-property"]
