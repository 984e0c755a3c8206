from __future__ import annotations

import pytest

from guardrails.policyfile.kinds.content_toggle import NamedToggle, ToggleNeed, ToggleOfEach

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
    assert policy(lines).needs == (ToggleNeed(FACT, NamedToggle("sponsored"), default),)


def test_its_words_say_what_is_demanded(policy):
    assert policy(LINES).reason.message == "the recipient's toggle `sponsored` must be on"


def test_what_an_untouched_toggle_means_is_never_implicit(problems):
    assert [code for _, code in problems("kind: content_toggle\ntoggle: sponsored\n")] == ["missing-property"]


def test_the_default_is_a_word_and_no_boolean(problems):
    assert problems("kind: content_toggle\ntoggle: sponsored\ndefault: true\n") == [(3, "unknown-value")]


@pytest.mark.parametrize("sort", ["channel", "topic", "sponsor"])
def test_it_may_go_by_a_toggle_for_each(policy, sort):
    toggle = policy(f"kind: content_toggle\nper: {sort}\ndefault: on\n")
    assert toggle.needs == (ToggleNeed(FACT, ToggleOfEach(sort), "on"),)
    assert toggle.reason.message == f"the recipient's toggle for this {sort} must be on"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("default: on\n", (0, "missing-property")),
        ("default: on\ntoggle: sponsored\nper: topic\n", (4, "contradiction")),
        ("default: on\nper: campaign\n", (3, "unknown-value")),
    ],
)
def test_it_goes_by_exactly_one_toggle(problems, lines, expected):
    assert problems(f"kind: content_toggle\n{lines}") == [expected]
