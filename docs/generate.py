"""Writes the parts of the documentation that follow from the code: kinds, fields, reason codes, problems.

python docs/generate.py           write them
python docs/generate.py --check   exit 1 where what is written is not what would be written
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from guardrails.core.facts import VOCABULARY
from guardrails.policyfile.kinds import all_kinds
from guardrails.policyfile.kinds._kind import Kind
from guardrails.policyfile.problems import CODES, WARNINGS

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py from the code; edit there. -->\n"

ROUTE_CODES = {
    "facts.missing": "A fact that the policy needs is missing from the candidate or of another type.",
    "facts.unavailable": "A store did not answer, so a fact that the policy needs is not known.",
    "policy.none_applies": "No enforced policy applies to the candidate; the monetized lane needs one that allows.",
    "engine.disagreement": "The two engines gave different verdicts; the case is written out and the candidate denied.",
    "engine.fault": "The candidate could not be decided; the log entry says why.",
}


def pages() -> Mapping[str, str]:
    """File name to text of every generated page."""
    return {
        "kinds.md": "\n".join(_kinds()),
        "fields.md": "\n".join(_fields()),
        "reason-codes.md": "\n".join(_reason_codes()),
        "problems.md": "\n".join(_problems()),
    }


def _kinds() -> Iterator[str]:
    yield "# The policy kinds\n"
    yield NOTE
    yield "What all policies have in common is in [the policy language](../policy-language.md).\n"
    for kind in all_kinds().values():
        yield f"- [`{kind.name}`](#{kind.name}): {kind.summary}"
    for kind in all_kinds().values():
        yield from _kind(kind)


def _kind(kind: Kind) -> Iterator[str]:
    yield f"\n## {kind.name}\n"
    yield f"{kind.summary}\n"
    yield f"```yaml\n{kind.example.strip()}\n```\n"
    if kind.properties:
        yield from _table(
            ("field", "needed", "meaning"),
            ((f"`{name}`", _needed(name, kind), _meaning(schema)) for name, schema in kind.properties.items()),
        )
    else:
        yield "It has no fields of its own."
    yield ""
    yield from _table(("reason code", "when"), ((f"`{code}`", text) for code, text in kind.reason_codes.items()))


def _needed(name: str, kind: Kind) -> str:
    if name in kind.any_of:
        return "one of " + ", ".join(f"`{each}`" for each in kind.any_of)
    return "yes" if name in kind.required else ""


def _meaning(schema: Mapping[str, Any]) -> str:
    words = [str(schema.get("description", ""))]
    nested = schema.get("properties") or schema.get("items", {}).get("properties") or {}
    words += [f"<br>`{name}`: {inner.get('description', '')}" for name, inner in nested.items()]
    if "enum" in schema:
        words.append("One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".")
    if "default" in schema:
        words.append(f"Default `{_in_yaml(schema['default'])}`.")
    return " ".join(words)


def _in_yaml(value: object) -> str:
    """A value as an author writes it: `false`, `[credits, discount]`."""
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    return value if isinstance(value, str) else json.dumps(value)


def _fields() -> Iterator[str]:
    yield "# The fields\n"
    yield NOTE
    yield "Every field that a condition may test. An absent or null field is missing: a test of it is unknown.\n"
    yield from _table(
        ("field", "type", "meaning"),
        ((f"`{name}`", field.type.value, field.meaning + _values(field.values)) for name, field in VOCABULARY.items()),
    )
    yield "| `attributes.*` | by its value | the caller's own fields, nested with dots |"


def _values(values: Iterable[str]) -> str:
    listed = ", ".join(f"`{value}`" for value in values)
    return f": {listed}" if listed else ""


def _reason_codes() -> Iterator[str]:
    yield "# The reason codes\n"
    yield NOTE
    yield "Codes are stable: programs may rely on them.\n"
    rows = [(f"`{code}`", "the route", text) for code, text in ROUTE_CODES.items()]
    for kind in all_kinds().values():
        rows += [
            (f"`{code}`", f"[`{kind.name}`](kinds.md#{kind.name})", text) for code, text in kind.reason_codes.items()
        ]
    yield from _table(("code", "given by", "when"), sorted(rows))


def _problems() -> Iterator[str]:
    yield "# The problems of a policy file\n"
    yield NOTE
    yield "`guardrails validate` prints them as `file:line:column: [code] message; hint`, all at once.\n"
    yield from _table(("code", "meaning"), ((f"`{code}`", text) for code, text in sorted(CODES.items())))
    yield "\n## Warnings\n"
    yield "`guardrails lint` prints them in the same form: what is legal and probably not meant.\n"
    yield from _table(("code", "meaning"), ((f"`{code}`", text) for code, text in sorted(WARNINGS.items())))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in row) + " |"


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` say which are stale; the exit code."""
    stale = []
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        file, wanted = REFERENCE / name, text.rstrip() + "\n"
        if file.is_file() and file.read_text(encoding="utf-8") == wanted:
            continue
        stale.append(name)
        if "--check" not in arguments:
            file.write_text(wanted, encoding="utf-8")
    for name in stale:
        print(f"docs/reference/{name}: {'stale; run python docs/generate.py' if '--check' in arguments else 'written'}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
