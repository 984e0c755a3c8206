"""Whatever stands in a policy file: it loads, or it gives problems; nothing else is ever raised.

property | component | one sentence
---|---|---
any bytes | yaml_reader, loader | bytes and text that are no policies give problems, each with a place in the file
any change | loader, kinds | one changed value in a good set leaves it good, or gives problems
what loads is valid | loader, schema | whatever the loader takes, the editors' schema accepts
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from guardrails.core.facts import VOCABULARY
from guardrails.policyfile.kinds import all_kinds
from guardrails.policyfile.lint import lint
from guardrails.policyfile.loader import load_policy_files
from guardrails.policyfile.problems import CODES, PolicyProblems
from guardrails.policyfile.schema import policy_schema
from guardrails.policyfile.yaml_reader import read_yaml

VALIDATOR = Draft202012Validator(policy_schema())
HEAD = """\
apiVersion: guardrails/v1
purposes:
  - id: sponsored_content
    title: Offers
    lawful_basis: consent
    data: [what you buy]
    shared_with: [{whom: Acme, what: that you bought}]
    benefit: Lower prices
    retention: 1095d
    double_opt_in: true
policies:
"""
DEMANDING = """\
- id: demanding
  kind: consent_required
  purpose: sponsored_content
  max_age: 365d
  methods: [form, double_opt_in]
  double_opt_in: true
  notice: offers
  notice_min_version: "3"
  jurisdictions: [DE, US-CA]
  channel_scope: explicit
"""
EXAMPLES = "".join(kind.example for kind in all_kinds().values()) + DEMANDING
SHIPPED = sorted((Path(__file__).parents[2] / "policies").glob("**/*.yaml"))

WORDS = st.sampled_from(
    [
        *("apiVersion: guardrails/v1", "policies:", "- id: a", "kind: rule", "deny_when:", "channel: sms", "project:"),
        *("purposes:", "title: a"),
        *(
            "&a",
            "*a",
            "<<: *a",
            "!!str",
            "!x",
            "---",
            "...",
            "%YAML 1.1",
            "? ",
            ": ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ",",
            "|",
        ),
        *(
            ">",
            "'",
            '"',
            "\\",
            "\t",
            "\n",
            "\n  ",
            "\n    ",
            " ",
            "#",
            "~",
            "null",
            ".inf",
            "1e9",
            "22:00",
            "\0",
            "\ufeff",
        ),
        *("\u2028", "\x85", "é", "\ud800"),
    ]
)


def _load(content):
    """The set, or None where it has problems; these are checked."""
    try:
        return load_policy_files({"f.yaml": content})
    except PolicyProblems as error:
        problems = error.problems
    assert problems
    for problem in problems:
        assert problem.code in CODES
        assert problem.line >= 1
        assert problem.column >= 1
        assert "\n" not in str(problem)
    return None


@given(st.binary(max_size=300))
def test_any_bytes_load_or_give_problems(content):
    _load(content)


@given(st.lists(WORDS, max_size=40).map("".join))
def test_any_text_that_looks_like_yaml_loads_or_gives_problems(text):
    _load(text)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        [*VOCABULARY, "attributes.x", "24h", "0h", "recipient", "project", "deny", "Europe/Berlin", "22:00"]
    )
    | st.sampled_from([*all_kinds(), "2026-01-01", "2026-12-01T12:00:00Z", "sms", "monetized", "a-rule", "*"])
    | st.sampled_from(["sponsored_content", "os_permission", "double_opt_in", "3", "DE-BY", " "])
)
CONDITIONS = st.dictionaries(
    st.sampled_from(
        ["all", "any", "not", "channel", "recipient.age", "content.tags", "context.at", "attributes.x", "lane"]
    ),
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["eq", "ne", "in", "lt", "gte", "between", "exists", "contains", "channel"]),
                inner,
                max_size=2,
            )
        ),
        max_leaves=8,
    ),
    max_size=3,
)
VALUES = SCALARS | CONDITIONS | st.lists(SCALARS, max_size=3)


def _paths(value, path=()):
    yield path
    for step, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from _paths(inner, (*path, step))


GOOD = read_yaml("good.yaml", HEAD + EXAMPLES).value
PATHS = [path for path in _paths(GOOD) if path]


def _changed(path, value):
    changed = copy.deepcopy(GOOD)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


# JSON is YAML, as long as what is no number in JSON is left to YAML's own words for it.
def _as_yaml(value):
    return json.dumps(value).replace("NaN", ".nan").replace("-Infinity", "-.inf").replace("Infinity", ".inf")


@given(st.sampled_from(PATHS), VALUES)
def test_a_good_set_with_one_value_changed_loads_or_gives_problems(path, value):
    text = _as_yaml(_changed(path, value))
    policy_set = _load(text)
    if policy_set is not None:
        lint(policy_set)
        VALIDATOR.validate(read_yaml("f.yaml", text).value)


@given(CONDITIONS)
def test_any_condition_loads_or_gives_problems(condition):
    text = _as_yaml(
        {"apiVersion": "guardrails/v1", "policies": [{"id": "a-rule", "kind": "rule", "deny_when": condition}]}
    )
    if _load(text) is not None:
        VALIDATOR.validate(read_yaml("f.yaml", text).value)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_files_cut_off_anywhere_load_or_give_problems(path):
    content = path.read_bytes()
    for end in range(0, len(content), 97):
        _load(content[:end])
