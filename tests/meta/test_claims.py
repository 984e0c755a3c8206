"""docs/claims.md is a table of claims and how each is shown: what it names must exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in (ROOT / "docs" / "claims.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| claim ")
]
COMMANDS = [command for row in ROWS for command in re.findall(r"`([^`]+)`", row[1])]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def functions_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_every_row_says_what_how_and_when():
    assert ROWS
    assert [row for row in ROWS if len(row) != 3 or not all(row) or not re.search(r"`[^`]+`", row[1])] == []
    assert [row for row in ROWS if not re.search(r"20\d\d-\d\d-\d\d", row[2])] == []


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_what_a_claim_names_exists(command):
    words = command.split()
    if words[0] == "make":
        assert words[1] in TARGETS
    for word in words:
        if "::" in word:
            path, *names = word.split("::")
            assert set(names) <= functions_in(ROOT / path)
        elif "/" in word and not word.startswith("-"):
            assert (ROOT / word).exists()
    assert words[0] in {"make", "python", "guardrails"} or "/" in words[0]
