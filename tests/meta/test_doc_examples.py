"""Every piece of YAML in the documentation is what the reader may type: it loads, whatever part of a file it is."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from guardrails.policyfile.kinds import all_kinds
from guardrails.policyfile.loader import load_policy_files
from guardrails.policytest.reader import load_test_file

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
HEAD = "apiVersion: guardrails/v1\n"
ANY_POLICY = "- id: any-policy\n  kind: rule\n  deny_when: {channel: voice}\n"


def examples():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in re.finditer(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            line = text[: found.start()].count("\n") + 1
            yield pytest.param(found[1], id=f"{page.relative_to(ROOT)}:{line}")


def whole_file(text):
    """The policy file that `text` is, or is a part of: policies, the project alone, or a condition."""
    if text.startswith("- "):
        return f"{HEAD}project: {{contexts: [booking]}}\npolicies:\n{text}"
    if text.startswith("applies_to:"):
        return f"{HEAD}policies:\n{ANY_POLICY}{textwrap.indent(text, '  ')}"
    return text if "policies:" in text else f"{text}policies:\n{ANY_POLICY}"


EXAMPLES = list(examples())


@pytest.mark.parametrize("text", EXAMPLES)
def test_yaml_in_the_documentation_loads(text, tmp_path):
    if re.search(r"^cases:", text, re.MULTILINE):
        path = tmp_path / "example_test.yaml"
        path.write_text(text, encoding="utf-8")
        assert load_test_file(path).cases
    else:
        assert load_policy_files({"example.yaml": whole_file(text)}).policies


def test_the_documentation_has_examples_of_the_policy_language():
    assert {"README.md", "docs/policy-language.md", "docs/reference/kinds.md"} <= {
        example.id.partition(":")[0] for example in EXAMPLES
    }


@pytest.mark.parametrize("kind", all_kinds().values(), ids=lambda kind: kind.name)
def test_the_example_of_a_kind_is_one_policy_of_that_kind(kind):
    written = [
        policy for policy in load_policy_files({"p.yaml": whole_file(kind.example)}).policies if not policy.builtin
    ]
    assert [policy.kind for policy in written] == [kind.name]
