"""Types are made ready for decoding when modules are imported, by one thread.

msgspec makes a type ready at its first use, and for a moment half of that is seen by other threads: who decodes the
same type then reads a null pointer, and the worker dies (msgspec 0.22, `StructInfo_Convert`). It happened.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import guardrails

SOURCE = Path(guardrails.__file__).parent
ONE_THREAD = SOURCE / "cli"

MADE_BEFORE_THREADS = {
    "decoding.py:__init__": "whoever makes a Decoder names the type, and is looked at",
    "decoding.py:convert": "the type that `__init__` made ready",
    "web/body.py:__init__": "bodies are made with the rooms, and these with the application",
    "web/payment_events.py:__init__": "a room is made with the application",
}
"""The functions that may name a type, with the reason."""

PLAIN = {
    *("bool", "bytes", "dict", "float", "frozenset", "int", "list", "object", "set", "str", "tuple"),
    *("Annotated", "Any", "Meta", "Raw", "datetime", "msgspec"),
    *("AccountKind", "Id", "Instant"),  # texts, and an instant
}
"""What types are made of without a struct: nothing is kept of them."""


def test_no_struct_is_decoded_by_its_name_where_threads_may_be_the_first_to():
    found = {f"{path.relative_to(SOURCE)}:{at.partition(':')[0]}" for path in _sources() for at in _named_in(path)}
    assert sorted(MADE_BEFORE_THREADS) == sorted(found)


@pytest.mark.parametrize(
    "call",
    [
        "msgspec.json.decode(text, type=Candidate)",
        "msgspec.json.decode(text, type=list[Candidate])",
        "msgspec.json.decode(text, type=dict[str, Candidate | None])",
        "msgspec.convert(text, Candidate)",
        "msgspec.convert(text, type=Candidate)",
        "msgspec.convert(text, values.Candidate)",
        "msgspec.json.Decoder(Candidate).decode(text)",
        "msgspec.json.Decoder(type=Candidate).decode(text)",
        "Decoder(Candidate).convert(text)",
        "Decoder(tuple[Candidate, ...]).convert(text)",
    ],
)
def test_a_struct_that_is_decoded_by_its_name_is_found(tmp_path, call):
    assert _named_in(_module(tmp_path, f"def read(text):\n    return {call}\n")) == ["read:2"]


@pytest.mark.parametrize(
    "text",
    [
        "def read(text):\n    return msgspec.json.decode(text, type=dict[str, str])\n",
        "def read(text):\n    return msgspec.convert(text, Id)\n",
        "def read(text):\n    return msgspec.convert(text, Annotated[datetime, Meta(tz=True)])\n",
        "def read(text):\n    return DECODER.convert(text)\n",
        "DECODER = Decoder(Candidate)\n",
        "msgspec.json.Decoder(Candidate)\n\n\ndef read(said):\n    return msgspec.convert(said, Candidate)\n",
        "class Room:\n    decode = msgspec.json.Decoder(Candidate).decode\n",
    ],
)
def test_what_is_plain_or_made_ready_by_its_own_module_is_not(tmp_path, text):
    assert _named_in(_module(tmp_path, text)) == []


def _module(folder: Path, text: str) -> Path:
    path = folder / "module.py"
    path.write_text(text)
    return path


def _sources() -> list[Path]:
    return [path for path in sorted(SOURCE.rglob("*.py")) if ONE_THREAD not in path.parents]


def _named_in(path: Path) -> list[str]:
    """Where functions name a type to decode that the module has not made ready: `function:line`."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    calls = {call: function.name for function in functions for call in _calls(function)}
    ready = PLAIN.union(*(_names(type_) for call in _calls(tree) if call not in calls for type_ in _types(call)))
    return [
        f"{function}:{call.lineno}"
        for call, function in calls.items()
        if any(_names(type_) - ready for type_ in _types(call))
    ]


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _types(call: ast.Call) -> list[ast.expr]:
    """The types that a call decodes: of `Decoder(T)`, `decode(..., type=T)` and `msgspec.convert(..., T)`."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in {"Decoder", "decode"} and ast.unparse(call.func) != "msgspec.convert":
        return []
    place = {"Decoder": 0, "convert": 1}.get(name)
    given = [] if place is None else call.args[place : place + 1]
    return [*given, *(keyword.value for keyword in call.keywords if keyword.arg == "type")]


def _names(type_: ast.expr) -> set[str]:
    """The types that a type is made of, by their own names: of `values.Candidate` the last."""
    nodes = list(ast.walk(type_))
    qualifiers = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)} | {
        node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in qualifiers
    }
