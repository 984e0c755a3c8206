"""Types are made ready for decoding when modules are imported, by one thread.

msgspec makes a type ready at its first use, and for a moment half of that is seen by other threads: who decodes the
same type then reads a null pointer, and the worker dies (msgspec 0.22, `StructInfo_Convert`). It happened.
"""

from __future__ import annotations

import ast
from pathlib import Path

import guardrails

SOURCE = Path(guardrails.__file__).parent
ONE_THREAD = SOURCE / "cli"


def test_no_struct_is_decoded_by_its_name_where_threads_may_be_the_first_to():
    assert [at for path in _sources() for at in _decoded_by_name(path)] == []


def test_a_struct_that_is_decoded_by_its_name_is_found(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("msgspec.json.decode(text, type=Candidate)\nmsgspec.json.decode(text, type=dict[str, str])\n")
    assert _decoded_by_name(path) == [f"{path}:1"]


def _sources() -> list[Path]:
    return [path for path in sorted(SOURCE.rglob("*.py")) if ONE_THREAD not in path.parents]


def _decoded_by_name(path: Path) -> list[str]:
    """Calls of `decode` that name a type: all but those of plain collections, which nothing keeps."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [
        f"{path}:{call.lineno}"
        for call in calls
        for keyword in call.keywords
        if isinstance(call.func, ast.Attribute) and call.func.attr == "decode"
        if keyword.arg == "type" and not isinstance(keyword.value, ast.Subscript)
    ]
