"""The JSON Schema (2020-12) of policy files, built from the kinds and the vocabulary; nothing is listed twice.

`policy_schema()` is the editors' schema: committed as `schemas/policy.schema.json`, printed by `guardrails schema`,
and as strict as a schema can be. `file_schema`, `kind_schema` and `purpose_schema` are what the loader validates with:
the same, except that they let through what the loader itself can say better (conditions, zones). So whatever loads,
the editors' schema accepts.

For editors, the properties of each kind hang on an `if` of its name, everything has a description, and patterns come
with the message to show.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from guardrails.core.conditions import FactType
from guardrails.core.facts import NUMBER_LIMIT, VOCABULARY, Field
from guardrails.core.purposes import DEFAULT_LANGUAGE, LAWFUL_BASES
from guardrails.policyfile.condition_parser import ATTRIBUTE_PATTERN, LONGEST_LIST, OPERATORS_BY_TYPE
from guardrails.policyfile.kinds import all_kinds
from guardrails.policyfile.kinds._kind import Kind
from guardrails.policyfile.timestamps import DATE_PATTERN, TIMESTAMP_PATTERN

__all__ = [
    "API_VERSION",
    "COMMON_PROPERTIES",
    "DURATION_PATTERN",
    "file_schema",
    "kind_schema",
    "policy_schema",
    "purpose_schema",
    "render_policy_schema",
]

Schema = Mapping[str, Any]

API_VERSION = "guardrails/v1"
DURATION_PATTERN = "[0-9]{1,9}[smhdw]"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _text(longest: int, description: str) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": longest, "description": description}


def _words(longest: int, description: str) -> Schema:
    """As `_text`, for what a recipient is to read: there must be something to read."""
    return {
        "type": "string",
        "pattern": r"\S",
        "patternErrorMessage": "say it in words",
        "maxLength": longest,
        "description": description,
    }


def _form(title: str, pattern: str, message: str) -> Schema:
    """A text of a certain form. `patternErrorMessage` is what editors show, and the loader's hint."""
    return {"title": title, "type": "string", "pattern": f"^({pattern})$", "patternErrorMessage": message}


_ZONE_NAME = "[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*"

_ID = _form("id", "[a-z0-9][a-z0-9_-]{0,63}", "an id is 1 to 64 lower-case letters, digits, `-` and `_`")

_FORMS: Mapping[str, Schema] = {
    "id": _ID,
    "purpose_id": _ID,
    "policy_id": _form(
        "policy id", "[a-z0-9][a-z0-9-]{0,63}", "a policy's id is 1 to 64 lower-case letters, digits and `-`"
    ),
    "duration": _form(
        "duration", DURATION_PATTERN, "a duration is a whole number and a unit: `90s`, `30m`, `24h`, `7d` or `2w`"
    ),
    "instant": _form(
        "timestamp",
        f"{DATE_PATTERN}|{TIMESTAMP_PATTERN}",
        "write it like `2026-12-01T12:00:00Z`, or `2026-12-01` for midnight in the project's zone",
    ),
    "timestamp": _form("timestamp", TIMESTAMP_PATTERN, "write it like `2026-12-01T12:00:00Z`"),
    "jurisdiction": _form(
        "jurisdiction", "[A-Z]{2}(-[A-Z0-9]{1,3})?", "a jurisdiction is a country or one of its regions: `DE`, `US-CA`"
    ),
    "notice_version": {
        **_form("notice version", ".*[0-9].*", "versions are ordered by the numbers in them: `3`, `2026-03`, `1.10`"),
        "maxLength": 100,
    },
    "context_kind": {"title": "kind of context", "type": "string", "minLength": 1, "maxLength": 100},
    "zone_name": _form("time zone", _ZONE_NAME, "a zone is an IANA name such as `Europe/Berlin`"),
}

_ZONES: Mapping[str, Schema] = {
    "timezone": {
        "title": "time zone",
        "anyOf": [{"enum": ["recipient", "project"]}, {"$ref": "#/$defs/zone_name"}],
        "description": "`recipient`, `project`, or an IANA name such as `Europe/Berlin`.",
    },
    "fallback": {
        "title": "fallback",
        "anyOf": [{"enum": ["strictest", "deny", "project"]}, {"$ref": "#/$defs/zone_name"}],
        "description": (
            "Where the recipient's zone is missing or wrong: `strictest` (every zone that their region or country "
            "allows), `deny` (undetermined, so `on_missing` decides), `project`, or an IANA name."
        ),
    },
}

COMMON_PROPERTIES: Mapping[str, Schema] = {
    "id": {"$ref": "#/$defs/policy_id", "description": "Names the policy in decisions and in the audit log."},
    "kind": {"type": "string", "description": "What sort of policy it is; the other properties follow from it."},
    "title": _text(200, "What the policy is for, in one line."),
    "owner": _text(200, "The team that answers for the policy."),
    "applies_to": {
        "$ref": "#/$defs/condition",
        "description": "Which candidates the policy is about; all of them where it is left out.",
    },
    "mode": {
        "enum": ["enforce", "monitor", "off"],
        "default": "enforce",
        "description": "`monitor` reports and never denies; `off` leaves the policy out.",
    },
    "on_missing": {
        "enum": ["deny", "allow"],
        "description": (
            "What an undetermined verdict does. Without it: `deny` in the monetized lane, `allow` in the transactional."
        ),
    },
    "message": _text(500, "What a denied sender reads, in place of the kind's own words."),
    "overrides": {
        "type": "array",
        "items": {"$ref": "#/$defs/policy_id"},
        "minItems": 1,
        "maxItems": 100,
        "uniqueItems": True,
        "description": "Policies, by id, that stand aside where this one applies.",
    },
    "valid": {
        "type": "object",
        "properties": {
            "from": {"$ref": "#/$defs/instant", "description": "The first instant at which the policy is in force."},
            "until": {"$ref": "#/$defs/instant", "description": "The first instant at which it no longer is."},
        },
        "minProperties": 1,
        "additionalProperties": False,
        "description": "When the policy is in force: from `from` until just before `until`.",
    },
    "tags": {
        "type": "array",
        "items": _text(100, "A label."),
        "maxItems": 50,
        "uniqueItems": True,
        "description": "Labels for people and reports; decisions don't read them.",
    },
}
"""What every policy may have, whatever its kind."""

MOST_PURPOSES = 100

_LANGUAGE = _form("language", "[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", "a language is a tag such as `de` or `pt-BR`")

_PURPOSE_WORDS: Mapping[str, Schema] = {
    "title": _words(200, "What the recipient agrees to, in one line, for them to read."),
    "data": {
        "type": "array",
        "items": _words(500, "Some of it, in words for the recipient."),
        "maxItems": 50,
        "uniqueItems": True,
        "description": "What is used of the recipient's personal data. Notices show it, and receipts name it.",
    },
    "shared_with": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "whom": _words(200, "Who gets to know it."),
                "what": _words(500, "What they get to know."),
            },
            "required": ["whom", "what"],
            "additionalProperties": False,
        },
        "maxItems": 50,
        "uniqueItems": True,
        "description": "Who else gets to know what of the recipient. Without it, or where it is empty: nobody.",
    },
    "benefit": _words(500, "What the recipient gets for it; no monetized content goes out under it without one."),
}
"""What a purpose says to the recipient, in any language."""

_PURPOSE: Schema = {
    "type": "object",
    "properties": {
        "id": {"$ref": "#/$defs/id", "description": "Names the purpose in policies, consent records and notices."},
        "title": _PURPOSE_WORDS["title"],
        "lawful_basis": {
            "enum": list(LAWFUL_BASES),
            "default": "consent",
            "description": "What makes it lawful, by GDPR Art. 6(1).",
        },
        **{name: _PURPOSE_WORDS[name] for name in ("data", "shared_with", "benefit")},
        "translations": {
            "type": "object",
            "propertyNames": _LANGUAGE,
            "additionalProperties": {
                "type": "object",
                "properties": _PURPOSE_WORDS,
                "required": ["title"],
                "additionalProperties": False,
            },
            "minProperties": 1,
            "maxProperties": 50,
            "description": "All that the recipient reads of it in other languages, by language such as `de`.",
        },
        "retention": {
            "$ref": "#/$defs/duration",
            "description": (
                "How long you mean to have the proof of a consent after it ended, such as `1095d`. `lint` holds it "
                "against the policies; nothing is deleted by it."
            ),
        },
        "double_opt_in": {
            "type": "boolean",
            "default": False,
            "description": "Whether a grant counts only once the recipient confirmed it by a link sent to them.",
        },
    },
    "required": ["id", "title"],
    "additionalProperties": False,
}

_FILE_PROPERTIES: Mapping[str, Schema] = {
    "apiVersion": {"const": API_VERSION, "description": "The version of the policy language."},
    "project": {
        "type": "object",
        "properties": {
            "timezone": {
                "$ref": "#/$defs/zone_name",
                "description": "What `timezone: project` and `fallback: project` mean: an IANA name. Default: `UTC`.",
            },
            "language": {
                **_LANGUAGE,
                "default": DEFAULT_LANGUAGE,
                "description": "What titles and purposes are written in: a tag such as `de`.",
            },
            "contexts": {
                "type": "array",
                "items": _text(100, "A kind of context, such as `booking`."),
                "minItems": 1,
                "maxItems": 100,
                "uniqueItems": True,
                "description": "The kinds of context (`context.kind`) that policies may tie a moment to.",
            },
            "attribution": {
                "type": "object",
                "properties": {
                    "window": {
                        "$ref": "#/$defs/duration",
                        "default": "7d",
                        "description": "How long after a notification was decided revenue may be attributed to it.",
                    },
                    "model": {
                        "enum": ["last_touch", "linear"],
                        "default": "last_touch",
                        "description": (
                            "Who gets it where several are eligible: the last of them all of it (`last_touch`), or "
                            "each the same (`linear`)."
                        ),
                    },
                    "across": {
                        "enum": ["sponsor", "campaign", "offer"],
                        "default": "sponsor",
                        "description": "What the notification and the revenue must have in common.",
                    },
                },
                "minProperties": 1,
                "additionalProperties": False,
                "description": "Which notifications revenue is attributed to.",
            },
        },
        "minProperties": 1,
        "additionalProperties": False,
        "description": "What holds for the whole set; at most one of its files says it.",
    },
}


def render_policy_schema() -> str:
    """The editors' schema as the text that is committed and printed."""
    return json.dumps(policy_schema(), indent=2) + "\n"


def policy_schema() -> dict[str, Any]:
    """The editors' schema of a policy file."""
    kinds = all_kinds()
    return {
        "$schema": _DIALECT,
        "title": "guardrails policy file",
        "description": "Policies that decide, before a notification is sent, whether it may be.",
        "type": "object",
        "properties": {
            **_FILE_PROPERTIES,
            "purposes": {
                "type": "array",
                "items": {"$ref": "#/$defs/purpose"},
                "maxItems": MOST_PURPOSES,
                "description": "What recipients can consent to, declared once for all files of the set.",
            },
            "policies": {
                "type": "array",
                "items": {"$ref": "#/$defs/policy"},
                "description": "The policies, in order.",
            },
        },
        "required": ["apiVersion"],
        "additionalProperties": False,
        "$defs": {
            "policy": _policy(kinds),
            "purpose": _PURPOSE,
            **{f"kind.{kind.name}": _editor_kind(kind) for kind in kinds.values()},
            **_FORMS,
            **_ZONES,
            **_conditions(),
        },
    }


def file_schema() -> dict[str, Any]:
    """What the loader asks of a file, its policies and purposes left open."""
    return {
        "$schema": _DIALECT,
        "type": "object",
        "properties": {
            **_FILE_PROPERTIES,
            "purposes": {"type": "array", "maxItems": MOST_PURPOSES},
            "policies": {"type": "array"},
        },
        "required": ["apiVersion"],
        "additionalProperties": False,
        "$defs": {"zone_name": {"type": "string"}, "duration": _FORMS["duration"]},
    }


def purpose_schema() -> dict[str, Any]:
    """What the loader asks of one purpose."""
    return {"$schema": _DIALECT, **_PURPOSE, "$defs": _FORMS}


def kind_schema(kind: Kind | None) -> dict[str, Any]:
    """What the loader asks of one policy of `kind`; of the common properties only, where the kind is not known."""
    return {
        "$schema": _DIALECT,
        "type": "object",
        "properties": {**COMMON_PROPERTIES, **(kind.properties if kind else {})},
        "required": ["id", "kind", *(kind.required if kind else ())],
        **(_any_of(kind) if kind else {}),
        "additionalProperties": kind is None,
        "$defs": {**_FORMS, "condition": True, "timezone": {"type": "string"}, "fallback": {"type": "string"}},
    }


def _policy(kinds: Mapping[str, Kind]) -> Schema:
    names = {"enum": list(kinds), "enumDescriptions": [kind.summary for kind in kinds.values()]}
    return {
        "type": "object",
        "properties": {**COMMON_PROPERTIES, "kind": {**COMMON_PROPERTIES["kind"], **names}},
        "required": ["id", "kind"],
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
                "then": {"$ref": f"#/$defs/kind.{name}"},
            }
            for name in kinds
        ],
    }


def _editor_kind(kind: Kind) -> Schema:
    return {
        "title": kind.name,
        "description": kind.summary,
        "type": "object",
        "properties": {**dict.fromkeys(COMMON_PROPERTIES, True), **kind.properties},
        "required": list(kind.required),
        **_any_of(kind),
        "additionalProperties": False,
    }


def _any_of(kind: Kind) -> Schema:
    return {"anyOf": [{"required": [name]} for name in kind.any_of]} if kind.any_of else {}


def _conditions() -> dict[str, Schema]:
    """The definitions that conditions need: `condition` itself, and a test for each type and each closed field."""
    nested = {"type": "array", "items": {"$ref": "#/$defs/condition"}, "minItems": 1, "maxItems": LONGEST_LIST}
    tests: dict[str, Schema] = {
        "test.string": _test({"type": "string"}, OPERATORS_BY_TYPE[FactType.STRING]),
        "test.number": _test(_NUMBER, OPERATORS_BY_TYPE[FactType.NUMBER]),
        "test.boolean": _test({"type": "boolean"}, OPERATORS_BY_TYPE[FactType.BOOLEAN]),
        "test.timestamp": _test({"$ref": "#/$defs/timestamp"}, OPERATORS_BY_TYPE[FactType.TIMESTAMP]),
        "test.strings": _operators({"type": "string"}, OPERATORS_BY_TYPE[FactType.STRINGS]),
        "test.attribute": _attribute_test(),
    }
    tests |= {
        f"test.{name}": _test({"enum": list(field.values)}, OPERATORS_BY_TYPE[field.type])
        for name, field in VOCABULARY.items()
        if field.values
    }
    tests |= {
        f"test.{name}": _test({"type": "string", "pattern": f"^{field.form}$"}, OPERATORS_BY_TYPE[field.type])
        for name, field in VOCABULARY.items()
        if field.form
    }
    condition = {
        "type": "object",
        "description": "Tests of fields, all of which must hold; `all`, `any` and `not` nest.",
        "properties": {
            "all": {**nested, "description": "Every one of these holds."},
            "any": {**nested, "description": "At least one of these holds."},
            "not": {"$ref": "#/$defs/condition", "description": "This does not hold."},
            **{name: _field(name, field) for name, field in VOCABULARY.items()},
        },
        "patternProperties": {
            f"^({ATTRIBUTE_PATTERN})$": {
                "$ref": "#/$defs/test.attribute",
                "description": "A field of the caller's own.",
            }
        },
        "minProperties": 1,
        "additionalProperties": False,
    }
    return {"condition": condition, **tests}


def _field(name: str, field: Field) -> Schema:
    test = name if field.values or field.form else field.type.value
    return {"$ref": f"#/$defs/test.{test}", "description": f"{field.meaning[0].upper()}{field.meaning[1:]}."}


_NUMBER: Schema = {"type": "number", "minimum": -NUMBER_LIMIT, "maximum": NUMBER_LIMIT}
_SCALAR: Schema = {"anyOf": [{"type": "string"}, _NUMBER, {"type": "boolean"}]}


def _test(value: Schema, operators: Iterable[str]) -> Schema:
    """A value, a list of them, or operators."""
    return {"anyOf": [value, _list(value), _operators(value, operators)]}


def _attribute_test() -> Schema:
    """As the others, for a field whose type is that of its operand."""
    operators = dict.fromkeys(name for names in OPERATORS_BY_TYPE.values() for name in names)
    return {"anyOf": [_SCALAR, _list(_SCALAR), _operators(_SCALAR, operators)]}


def _list(value: Schema) -> Schema:
    return {"type": "array", "items": value, "minItems": 1, "maxItems": LONGEST_LIST, "uniqueItems": True}


def _operators(value: Schema, names: Iterable[str]) -> Schema:
    ordered = _NUMBER if value is _SCALAR else value
    text: Schema = {"type": "string"}
    schemas: Mapping[str, Schema] = {
        "eq": {**value, "description": "Equals this."},
        "ne": {**value, "description": "Is there, and differs from this."},
        "in": {**_list(value), "description": "Equals one of these."},
        "not_in": {**_list(value), "description": "Is there, and equals none of these."},
        "lt": {**ordered, "description": "Is less than this."},
        "lte": {**ordered, "description": "Is at most this."},
        "gt": {**ordered, "description": "Is more than this."},
        "gte": {**ordered, "description": "Is at least this."},
        "between": {
            "type": "array",
            "items": ordered,
            "minItems": 2,
            "maxItems": 2,
            "description": "Is at least the first, and less than the second.",
        },
        "matches": {**text, "description": "Has this form: `*` is any run of characters, `?` any one."},
        "exists": {"type": "boolean", "description": "Is there (true), or is missing (false)."},
        "contains": {**text, "description": "Has this among its members."},
        "contains_any": {**_list(text), "description": "Has at least one of these among its members."},
        "contains_all": {**_list(text), "description": "Has every one of these among its members."},
    }
    return {
        "type": "object",
        "properties": {name: schemas[name] for name in names},
        "minProperties": 1,
        "additionalProperties": False,
    }
