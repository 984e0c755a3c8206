from __future__ import annotations

import pytest

from guardrails.policyfile.kinds.consent_required import ConsentNeed

FACT = "consent.p.state"
LINES = "kind: consent_required\npurpose: sponsored_content\n"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("granted", "satisfied"),
        ("missing", "consent.missing"),
        ("withdrawn", "consent.withdrawn"),
        ("denied", "consent.denied"),
        ("expired", "consent.expired"),
    ],
)
def test_only_a_granted_consent_satisfies_and_every_other_state_has_its_code(policy, outcome, state, expected):
    assert outcome(policy(LINES), {FACT: state}) == expected


def test_a_consent_that_nobody_could_look_up_is_undetermined(policy, outcome):
    assert outcome(policy(LINES), {}) == "undetermined"


def test_it_needs_the_state_of_the_consent(policy):
    assert policy(LINES).needs == (ConsentNeed(FACT, "sponsored_content"),)
    assert policy(f"{LINES}max_age: 2d\n").needs == (ConsentNeed(FACT, "sponsored_content", 2 * 86_400),)


def test_its_words_say_what_is_demanded(policy):
    assert policy(LINES).reason.message == "the recipient's recorded consent to `sponsored_content` is required"
    assert policy(f"{LINES}max_age: 2d\n").reason.message == (
        "the recipient's recorded consent to `sponsored_content` is required, given less than 2d ago"
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [("max_age: 365", "wrong-type"), ("max_age: 1y", "bad-duration"), ("max_age: 4000d", "out-of-bounds")],
)
def test_an_age_is_a_duration(problems, line, code):
    assert problems(f"{LINES}{line}\n") == [(3, code)]


def test_it_needs_a_purpose(problems):
    assert [code for _, code in problems("kind: consent_required\n")] == ["missing-property"]
