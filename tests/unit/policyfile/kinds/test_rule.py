from __future__ import annotations

import pytest

MINORS = "kind: rule\ndeny_when: {recipient.age: {lt: 18}}\n"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [({"recipient.age": 17}, "rule.denied"), ({"recipient.age": 18}, "satisfied"), ({}, "undetermined")],
)
def test_it_denies_where_its_condition_is_true_and_allows_where_it_is_false(policy, outcome, facts, expected):
    assert outcome(policy(MINORS), facts) == expected


def test_it_names_the_reason_as_its_author_does(policy, outcome):
    assert outcome(policy(f"{MINORS}code: audience.minor\n"), {"recipient.age": 17}) == "audience.minor"


def test_its_own_words_name_the_policy(policy):
    assert policy(MINORS).reason.message == "the rule `p` forbids this notification"


@pytest.mark.parametrize(
    "code", ["minor", "Audience.minor", "audience.", ".minor", "audience.minor.", "audience minor"]
)
def test_a_reason_code_is_lower_case_words_joined_by_dots(problems, code):
    assert problems(f'{MINORS}code: "{code}"\n') == [(3, "bad-format")]


def test_it_needs_a_condition(problems):
    assert [code for _, code in problems("kind: rule\n")] == ["missing-property"]
