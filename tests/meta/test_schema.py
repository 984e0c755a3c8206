"""The committed schema is the one that the code builds, is valid, and accepts whatever loads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import guardrails.policyfile
from guardrails.core.facts import VOCABULARY
from guardrails.policyfile.kinds import all_kinds
from guardrails.policyfile.loader import load_policy_files
from guardrails.policyfile.problems import PolicyProblems
from guardrails.policyfile.schema import COMMON_PROPERTIES, kind_schema, policy_schema, render_policy_schema
from guardrails.policyfile.yaml_reader import read_yaml

ROOT = Path(__file__).parents[2]
COMMITTED = Path(guardrails.policyfile.__file__).parent / "schemas" / "policy.schema.json"
VALIDATOR = Draft202012Validator(policy_schema())
SHIPPED = sorted((ROOT / "policies").glob("**/*.yaml"))
CASES = ROOT / "tests" / "bad_policies" / "cases"

ONLY_THE_LOADER = {
    "choices",
    "condition_contradictions",
    "condition_between",
    "condition_mixed_lists",
    "condition_too_deep",
    "condition_timestamps",
    "consent_demands",
    "duplicate_ids",
    "fields_too_many",
    "limits",
    "micro_moments_without_contexts",
    "no_policies",
    "overrides_in_circles",
    "overrides_of_itself",
    "overrides_of_nothing",
    "policy_reserved_id",
    "project_twice",
    "project_zone_unknown",
    "purposes_twice",
    "purposes_without_benefit",
    "quiet_hours_spans",
    "steps_bounds",
    "valid_bounds",
}
"""Cases of which at least one problem is beyond what a schema can say."""


def test_the_committed_schema_is_up_to_date():
    assert render_policy_schema() == COMMITTED.read_text("utf-8"), (
        "run: guardrails schema > src/guardrails/policyfile/schemas/policy.schema.json"
    )


@pytest.mark.parametrize("schema", [policy_schema(), *(kind_schema(kind) for kind in all_kinds().values())])
def test_schemas_are_valid_2020_12(schema):
    Draft202012Validator.check_schema(schema)


def test_the_schema_knows_every_kind_and_field():
    definitions = policy_schema()["$defs"]
    assert list(all_kinds()) == definitions["policy"]["properties"]["kind"]["enum"]
    assert ["all", "any", "not", *VOCABULARY] == list(definitions["condition"]["properties"])


def test_a_kind_does_not_take_the_name_of_a_common_property():
    assert {
        kind.name: set(kind.properties) & set(COMMON_PROPERTIES)
        for kind in all_kinds().values()
        if set(kind.properties) & set(COMMON_PROPERTIES)
    } == {}


def _properties(schema):
    """Every property that the schema describes, at any depth."""
    if isinstance(schema, dict):
        for name, inner in schema.get("properties", {}).items():
            if isinstance(inner, dict) and "if" not in schema:
                yield name, inner
        for key, inner in schema.items():
            if key not in {"if", "then", "enum", "required"}:
                yield from _properties(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _properties(inner)


def test_every_property_has_a_description():
    schema = {key: value for key, value in policy_schema().items() if key != "allOf"}
    assert [
        name for name, inner in _properties(schema) if "description" not in inner and inner.keys() != {"const"}
    ] == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_policies_are_valid_by_the_editors_schema(path):
    assert [error.message for error in VALIDATOR.iter_errors(read_yaml(path.name, path.read_bytes()).value)] == []


@pytest.mark.parametrize("kind", all_kinds().values(), ids=lambda kind: kind.name)
def test_examples_load_and_are_valid_by_the_editors_schema(kind):
    text = f"apiVersion: guardrails/v1\nproject: {{contexts: [booking]}}\npolicies:\n{kind.example}"
    load_policy_files({"example.yaml": text})
    assert [error.message for error in VALIDATOR.iter_errors(read_yaml("example.yaml", text).value)] == []


def _accepted_by_schema() -> set[str]:
    """The cases in whose every file the editors' schema finds nothing wrong; those that are not YAML are left out."""
    accepted = set[str]()
    for path in CASES.iterdir():
        files = [path] if path.suffix == ".yaml" else [*path.glob("**/*.y*ml")] if path.is_dir() else []
        try:
            documents = [read_yaml(file.name, file.read_bytes()) for file in files]
        except PolicyProblems:
            continue
        if documents and all(not document.problems and VALIDATOR.is_valid(document.value) for document in documents):
            accepted.add(path.stem)
    return accepted


def test_the_editors_schema_underlines_what_a_schema_can_underline():
    assert set() == _accepted_by_schema() - ONLY_THE_LOADER


def test_the_committed_schema_is_json_with_one_top_level_dialect():
    assert json.loads(COMMITTED.read_text("utf-8"))["$schema"] == "https://json-schema.org/draft/2020-12/schema"
