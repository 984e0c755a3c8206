from __future__ import annotations

import pytest

from guardrails.policyfile.kinds._consent_demands import (
    ByMethod,
    Confirmed,
    IsConsent,
    NamesChannel,
    OfNotice,
    SinceVersion,
    UnderLaw,
)
from guardrails.policyfile.kinds.consent_required import ConsentNeed
from guardrails.policyfile.loader import load_policy_files

FACT = "consent.p.state"
LINES = "kind: consent_required\npurpose: sponsored_content\n"
DEMANDING = f"""{LINES}channel_scope: explicit
jurisdictions: [DE, US-CA]
notice_min_version: "3"
notice: marketing
methods: [form, double_opt_in]
double_opt_in: true
max_age: 2d
"""
PURPOSES = """\
apiVersion: guardrails/v1
purposes:
  - {id: sponsored_content, title: Offers, benefit: Lower prices, double_opt_in: DOUBLE}
"""


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("granted", "satisfied"),
        ("missing", "consent.missing"),
        ("withdrawn", "consent.withdrawn"),
        ("denied", "consent.denied"),
        ("expired", "consent.expired"),
        ("not_a_consent", "consent.not_a_consent"),
    ],
)
def test_only_a_granted_consent_satisfies_and_every_other_state_has_its_code(policy, outcome, state, expected):
    assert outcome(policy(LINES), {FACT: state}) == expected


@pytest.mark.parametrize(
    "state",
    [
        "unconfirmed",
        "wrong_method",
        "wrong_notice",
        "old_notice",
        "wrong_jurisdiction",
        "channel_not_named",
    ],
)
def test_every_demand_has_its_code_and_is_told_only_by_a_policy_that_makes_it(policy, outcome, state):
    assert outcome(policy(DEMANDING), {FACT: state}) == f"consent.{state}"
    assert outcome(policy(LINES), {FACT: state}) == "undetermined"


def test_a_consent_that_nobody_could_look_up_is_undetermined(policy, outcome):
    assert outcome(policy(LINES), {}) == "undetermined"


def test_it_needs_the_state_of_the_consent(policy):
    assert policy(LINES).needs == (ConsentNeed(FACT, "sponsored_content"),)
    assert policy(f"{LINES}max_age: 2d\n").needs == (ConsentNeed(FACT, "sponsored_content", 2 * 86_400),)


def test_each_line_is_a_demand_in_the_order_in_which_they_are_told(policy):
    (need,) = policy(DEMANDING).needs
    assert need.demands == (
        IsConsent(),
        Confirmed(),
        ByMethod(("form", "double_opt_in")),
        OfNotice("marketing"),
        SinceVersion("3"),
        UnderLaw(("DE", "US-CA")),
        NamesChannel(),
    )


def test_any_channel_is_no_demand(policy):
    assert policy(f"{LINES}channel_scope: any\n").needs == policy(LINES).needs


@pytest.mark.parametrize(("double", "demands"), [("true", (IsConsent(), Confirmed())), ("false", (IsConsent(),))])
def test_the_purpose_can_demand_confirmation_as_well(double, demands):
    policies = "apiVersion: guardrails/v1\npolicies: [{id: p, kind: consent_required, purpose: sponsored_content}]"
    loaded = load_policy_files({"a.yaml": PURPOSES.replace("DOUBLE", double), "b.yaml": policies})
    assert loaded.policies[0].needs == (ConsentNeed(FACT, "sponsored_content", demands=demands),)


def test_its_words_say_what_is_demanded(policy):
    assert policy(LINES).reason.message == "the recipient's recorded consent to `sponsored_content` is required"
    assert policy(f"{LINES}max_age: 2d\n").reason.message == (
        "the recipient's recorded consent to `sponsored_content` is required, given less than 2d ago"
    )
    assert policy(DEMANDING).reason.message == (
        "the recipient's recorded consent to `sponsored_content` is required, given less than 2d ago, "
        "confirmed by double opt-in, given by `form` or `double_opt_in`, given on the notice `marketing`, "
        "given on version `3` of the notice or later, given under the law of `DE` or `US-CA`, "
        "given for the channel by name"
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [("max_age: 365", "wrong-type"), ("max_age: 1y", "bad-duration"), ("max_age: 4000d", "out-of-bounds")],
)
def test_an_age_is_a_duration(problems, line, code):
    assert problems(f"{LINES}{line}\n") == [(3, code)]


def test_it_needs_a_purpose(problems):
    assert [code for _, code in problems("kind: consent_required\n")] == ["missing-property"]


def test_a_permission_of_the_operating_system_can_not_be_demanded(problems):
    assert problems(f"{LINES}methods: [form, os_permission]\n") == [(3, "unknown-value")]


def test_a_least_version_is_of_a_notice_that_is_named(problems):
    """Every other notice with so high a number would do."""
    assert problems(f'{LINES}notice_min_version: "3"\n') == [(3, "missing-property")]


def test_a_confirmation_by_a_method_that_is_left_out_is_a_contradiction(problems):
    assert problems(f"{LINES}methods: [form]\ndouble_opt_in: true\n") == [(3, "contradiction")]
