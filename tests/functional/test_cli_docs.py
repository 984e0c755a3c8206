"""What docs/command-line.md and docs/testing-policies.md say is so."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from commands import EVERY_COMMAND
from guardrails.cli import main

DOCS = Path(__file__).parents[2] / "docs"
POLICIES = """\
apiVersion: guardrails/v1
policies:
  - id: sponsored-needs-opt-in
    kind: consent_required
    applies_to: {content.class: sponsored}
    purpose: sponsored_content
  - id: one-sponsored-a-day
    kind: frequency_cap
    applies_to: {content.class: sponsored}
    limit: 1
    window: {calendar: day, timezone: recipient, fallback: strictest}
    per: [recipient]
"""


def section(name: str) -> str:
    """What the page says of a command; of one in a group, under a heading below the group's."""
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    heading = "###" if " " in name else "##"
    return re.split(r"\n###? ", text.partition(f"\n{heading} {name}\n")[2])[0]


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_every_command_has_its_section(name):
    assert section(name)


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_every_option_of_every_command_is_documented_and_no_other(name):
    command = EVERY_COMMAND[name]
    options = {max(each.opts, key=len) for each in command.params if isinstance(each, click.Option)}
    rows = re.findall(r"^\| (`--.*?) \|", section(name), re.MULTILINE)
    assert set(re.findall(r"`(--[a-z-]+)`", " ".join(rows))) == options


def test_the_examples_of_policy_tests_hold(tmp_path, monkeypatch):
    examples = re.findall(r"```yaml\n(.*?)```", (DOCS / "testing-policies.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "all.yaml").write_text(POLICIES, encoding="utf-8")
    (tmp_path / "policy_tests").mkdir()
    for number, example in enumerate(examples):
        (tmp_path / "policy_tests" / f"{number}_test.yaml").write_text(example, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["test", "--engine", "native"])
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "4 cases passed in 2 files")
