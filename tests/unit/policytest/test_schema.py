from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import guardrails.policyfile
from guardrails.core.candidate import Candidate
from guardrails.policytest.schema import policy_test_schema

COMMITTED = Path(guardrails.policyfile.__file__).parent / "schemas" / "policy_test.schema.json"


def is_valid(document: object) -> bool:
    return jsonschema.Draft202012Validator(dict(policy_test_schema())).is_valid(document)


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(dict(policy_test_schema()))


def test_the_committed_file_is_the_schema():
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == policy_test_schema()


def test_a_candidate_has_the_fields_of_a_candidate_and_none_is_required():
    schema = policy_test_schema()["$defs"]["Candidate"]
    assert list(schema["properties"]) == list(Candidate.__struct_fields__)
    assert schema["required"] == []


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ({}, True),
        ({"offer": None}, True),
        ({"offer": {"amount_minor": None}}, True),
        ({"recipient": {"country": "DE"}}, True),
        ({"recipient": {"country": "Germany"}}, False),
        ({"content": {"tags": ["a"]}}, True),
        ({"content": {"tags": "a"}}, False),
        ({"attributes": {"anything": [1, {"goes": True}]}}, True),
        ({"lane": "fast"}, False),
        ({"chanel": "push"}, False),
    ],
)
def test_a_part_of_a_candidate_is_held_to_its_types(candidate, expected):
    case = {"name": "a", "candidate": candidate, "expect": {"effect": "allow"}}
    assert is_valid({"apiVersion": "guardrails/v1", "cases": [case]}) == expected
