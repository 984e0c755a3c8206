from __future__ import annotations

import re
import textwrap

import pytest

from guardrails.core.conditions import fields_of
from guardrails.core.facts import VOCABULARY
from guardrails.policyfile.kinds import all_kinds
from guardrails.policyfile.loader import load_policy_files

NAMES = [
    "benefit_share",
    "consent_required",
    "content_toggle",
    "conversion_steps",
    "disclosure_required",
    "frequency_cap",
    "in_place_conversion",
    "lane_separation",
    "micro_moment",
    "min_gap",
    "offer_limit",
    "offer_terms",
    "pause",
    "quiet_hours",
    "recognition_award",
    "rule",
    "spend_budget",
]


def example(kind):
    head = "apiVersion: guardrails/v1\nproject: {contexts: [booking]}\n"
    text = f"{head}policies:\n{textwrap.indent(kind.example, '  ')}"
    return load_policy_files({"example.yaml": text}).policies[0]


def described(schema):
    """Every property of a schema, nested ones too, with whether it has a description."""
    for name, inner in schema.get("properties", {}).items():
        yield name, "description" in inner
        yield from described(inner)
        yield from described(inner.get("items", {}))


def test_every_kind_is_found_by_its_name():
    assert list(all_kinds()) == NAMES
    assert [kind.name for kind in all_kinds().values()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_example_is_a_policy_of_the_kind(name):
    policy = example(all_kinds()[name])
    assert policy.kind == name
    assert policy.title


@pytest.mark.parametrize("name", NAMES)
def test_the_example_uses_every_required_property(name):
    kind = all_kinds()[name]
    assert [each for each in kind.required if f"{each}:" not in kind.example] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_property_tells_editors_what_it_is_for(name):
    kind = all_kinds()[name]
    assert [each for each, has_description in described({"properties": kind.properties}) if not has_description] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_codes_of_the_example_are_dotted_and_documented(name):
    kind = all_kinds()[name]
    reason = example(kind).reason
    given = {code for _, code in reason.cases} | {reason.code}
    assert name == "rule" or given <= set(kind.reason_codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)*", code) for code in given)
    assert all(sentence.endswith(".") for sentence in (kind.summary, *kind.reason_codes.values()))


@pytest.mark.parametrize("name", NAMES)
def test_each_field_that_the_policy_reads_is_of_the_vocabulary_or_a_fact_of_its_needs(name):
    policy = example(all_kinds()[name])
    facts = {need.fact for need in policy.needs}
    told = {field for rule in policy.obligations for field in rule.fields.values()}
    read = {*fields_of(policy.violated), *fields_of(policy.satisfied), *told}
    assert facts <= read
    assert [field for field in read - facts if field not in VOCABULARY and not field.startswith("attributes.")] == []
    assert all(re.fullmatch(rf"[a-z]+\.{policy.id}\.[a-z_]+", fact) for fact in facts)
