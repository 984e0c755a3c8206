from __future__ import annotations

import pytest

from guardrails.policyfile.kinds.content_toggle import ToggleNeed

FACT = "toggle.p.state"
LINES = "kind: content_toggle\ntoggle: sponsored\ndefault: on\n"


@pytest.mark.parametrize(
    ("facts", "expected"), [({FACT: "on"}, "satisfied"), ({FACT: "off"}, "toggle.off"), ({}, "undetermined")]
)
def test_a_toggle_that_is_off_denies(policy, outcome, facts, expected):
    assert outcome(policy(LINES), facts) == expected


@pytest.mark.parametrize("default", ["on", "off"])
def test_it_needs_the_state_of_the_toggle(policy, default):
    lines = f"kind: content_toggle\ntoggle: sponsored\ndefault: {default}\n"
    assert policy(lines).needs == (ToggleNeed(FACT, "sponsored", default),)


def test_its_words_say_what_is_demanded(policy):
    assert policy(LINES).reason.message == "the recipient's toggle `sponsored` must be on"


def test_what_an_untouched_toggle_means_is_never_implicit(problems):
    assert [code for _, code in problems("kind: content_toggle\ntoggle: sponsored\n")] == ["missing-property"]


def test_the_default_is_a_word_and_no_boolean(problems):
    assert problems("kind: content_toggle\ntoggle: sponsored\ndefault: true\n") == [(3, "unknown-value")]
