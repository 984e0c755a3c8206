"""The docs page: the OpenAPI document as one HTML page, rendered here. No script, nothing from elsewhere.

The page is static while the process runs, so it is rendered once. Its style sheet is inline and allowed by hash; the
content security policy allows nothing else at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import msgspec

from guardrails.web import problems
from guardrails.web.exchange import Reply
from guardrails.web.problems import PROBLEMS

__all__ = ["docs_reply"]

HERE = Path(__file__).parent / "templates"
REF = "#/components/schemas/"

Json = Mapping[str, Any]

_NOTHING_ELSE = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Row(msgspec.Struct, frozen=True):
    """One property of a schema: its name, its type in words, whether it must be there, and its bounds."""

    name: str
    type: markupsafe.Markup
    required: bool
    bounds: str


def docs_reply(document: Json) -> Reply:
    """The page for an OpenAPI document."""
    style = (HERE / "docs.css").read_text(encoding="utf-8")
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    templates.filters |= {"breakable": _breakable, "prose": _prose}
    page = templates.get_template("docs.html").render(
        style=markupsafe.Markup(style),  # noqa: S704 - the file next to this one
        info=document["info"],
        tags=_tags(document),
        schemas={name: (schema, _rows(schema)) for name, schema in document["components"]["schemas"].items()},
        problems=PROBLEMS,
    )
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; {_NOTHING_ELSE}"
    headers = (("Content-Security-Policy", policy), ("Referrer-Policy", "no-referrer"))
    return Reply(200, page.encode(), "text/html; charset=utf-8", headers)


def _breakable(path: str) -> markupsafe.Markup:
    """A path that may be folded after its slashes."""
    return markupsafe.Markup("/<wbr>").join(path.split("/"))


def _prose(text: str) -> markupsafe.Markup:
    """Text with what stands in backticks as code."""
    parts = text.split("`")
    code = markupsafe.Markup("<code>{}</code>")
    return markupsafe.Markup("").join(code.format(part) if place % 2 else part for place, part in enumerate(parts))


def _tags(document: Json) -> list[Json]:
    operations = [
        {
            "method": method.upper(),
            "path": path,
            "curl": _curl(method.upper(), path, operation),
            **_bodies(operation),
            **operation,
        }
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return [
        {**tag, "operations": [operation for operation in operations if tag["name"] in operation["tags"]]}
        for tag in document["tags"]
    ]


def _bodies(operation: Json) -> Json:
    """What the operation takes and what each status gives, in words."""
    takes = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    gives = {
        status: (
            answer["description"],
            [_typed(media["schema"]) for media in answer["content"].values() if "schema" in media],
        )
        for status, answer in operation["responses"].items()
        if problems.CONTENT_TYPE not in answer["content"]
    }
    refusals = [
        (kind, problem)
        for kind, problem in PROBLEMS.items()
        if str(problem.status) in operation["responses"].keys() - gives
    ]
    return {"takes": None if takes is None else _typed(takes), "gives": gives, "refusals": refusals}


def _curl(method: str, path: str, operation: Json) -> str:
    address = f"http://127.0.0.1:8080{path}"
    key = "-H 'Authorization: Bearer $KEY' " if operation.get("security") else ""
    key = key.replace("'", '"')
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    if body is None:
        return f"curl {key}{address}" if method == "GET" else f"curl -X {method} {key}{address}"
    verb = "" if method == "POST" else f"-X {method} "
    return (
        f"curl {verb}{key}{address} \\\n  -H 'Content-Type: application/json' \\\n  -d '{json.dumps(body, indent=1)}'"
    )


def _rows(schema: Json) -> tuple[Row, ...]:
    required = schema.get("required", ())
    return tuple(
        Row(name, _typed(part), name in required, _bounds(part)) for name, part in schema.get("properties", {}).items()
    )


def _typed(schema: Json) -> markupsafe.Markup:
    """A schema as words, with links to the schemas it names."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(REF)
        return markupsafe.Markup('<a href="#schema-{0}">{0}</a>').format(name)
    if "anyOf" in schema:
        return markupsafe.Markup(" or ").join(_typed(part) for part in schema["anyOf"])
    if "enum" in schema:
        return markupsafe.Markup(" · ").join(
            markupsafe.Markup("<code>{}</code>").format(json.dumps(value).strip('"')) for value in schema["enum"]
        )
    if "const" in schema:
        return markupsafe.Markup("<code>{}</code>").format(schema["const"])
    if schema.get("type") == "array":
        item = _typed(schema.get("items", {}))
        return markupsafe.Markup("array of {}").format(item)
    if schema.get("type") == "object" and "properties" in schema:
        inner = markupsafe.Markup(", ").join(
            markupsafe.Markup("<code>{}</code>: {}").format(name, _typed(part))
            for name, part in schema["properties"].items()
        )
        return markupsafe.Markup("object of {}").format(inner)
    if schema.get("format") == "date-time":
        return markupsafe.Markup("RFC 3339 time")
    kinds = schema.get("type", "anything")
    return markupsafe.escape(kinds if isinstance(kinds, str) else " or ".join(kinds))


_BOUNDS = {
    "minLength": "at least {} long", "maxLength": "at most {} long", "minimum": "from {}", "maximum": "to {}",
    "minItems": "at least {} items", "maxItems": "at most {} items", "pattern": "matches {}",
}  # fmt: skip


def _bounds(schema: Json) -> str:
    parts = [schema, *schema.get("anyOf", ())]
    return ", ".join(words.format(part[key]) for part in parts for key, words in _BOUNDS.items() if key in part)
