"""The JSON Schema (2020-12) of a policy test file: what editors complete by, and what the reader checks by.

The candidate's part is made from `core.candidate`, so that a new field of a candidate is known here at once.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from guardrails.consent.values import State
from guardrails.core.candidate import Candidate
from guardrails.core.decision import Effect
from guardrails.core.facts import CHANNELS
from guardrails.decide.outcomes import Outcome
from guardrails.offers.values import OfferRequest
from guardrails.policyfile.schema import API_VERSION
from guardrails.preferences.values import LIMIT_MOST

__all__ = ["policy_test_schema"]

Schema = dict[str, Any]

TIME: Schema = {
    "title": "time",
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2}| [A-Za-z][A-Za-z0-9_+/-]*)$",
    "patternErrorMessage": "write it like `2026-12-01T12:00:00Z` or `2026-12-01T22:30 Europe/Berlin`",
    "description": "RFC 3339 with its offset, or local time and an IANA zone.",
    "examples": ["2026-12-01T12:00:00Z", "2026-12-01T22:30 Europe/Berlin"],
}
DURATION: Schema = {
    "title": "duration",
    "type": "string",
    "pattern": "^[0-9]{1,9}[smhdw]$",
    "patternErrorMessage": "a duration is a whole number and a unit: `90s`, `30m`, `24h`, `7d` or `2w`",
    "description": "A whole number and a unit.",
    "examples": ["90s", "30m", "24h", "7d"],
}
REGISTERED = "registered."
"""Before the names of an offer's parts: a candidate has parts of the same names."""

WORD: Schema = {"type": "string", "minLength": 1, "maxLength": 200}


@functools.cache
def policy_test_schema() -> Mapping[str, Any]:
    """The schema. Shared by all callers: not to be changed."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "guardrails policy tests",
        **_block(
            {
                "apiVersion": {"const": API_VERSION, "description": "The version of the language."},
                "policies": {**WORD, "description": "The policies under test: a path, from this file's directory."},
                "defaults": _ref("defaults"),
                "cases": {"type": "array", "minItems": 1, "maxItems": 10_000, "items": _ref("case")},
            },
            required=("apiVersion", "cases"),
        ),
        "$defs": {
            "time": TIME,
            "duration": DURATION,
            "defaults": _block(_shared(), description="Merged into every case; what a case says wins."),
            "case": _case(),
            "given": _given(),
            "consent": _consent(),
            "preferences": _preferences(),
            "sent": _sent(),
            "step": _step(),
            "expect": _expect(),
            **_candidate_parts(),
            **_offer_parts(),
        },
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _block(properties: Schema, *, required: tuple[str, ...] = (), **more: object) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def _shared() -> Schema:
    return {
        "at": {**_ref("time"), "description": "When the decision is asked for: the case's clock."},
        "given": _ref("given"),
        "candidate": _ref("Candidate"),
    }


def _case() -> Schema:
    properties = {
        "name": {**WORD, "description": "What the case shows; no two cases of a file have the same."},
        **_shared(),
        "expect": _ref("expect"),
        "steps": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1000,
            "items": _ref("step"),
            "description": "A timeline: each step moves the clock on. Instead of `expect`.",
        },
    }
    return _block(properties, required=("name",), oneOf=[{"required": ["expect"]}, {"required": ["steps"]}])


def _given() -> Schema:
    properties = {
        "consents": {"type": "array", "items": _ref("consent")},
        "preferences": _ref("preferences"),
        "sent": {"type": "array", "items": _ref("sent")},
        "offers": {
            "type": "array",
            "items": _ref(REGISTERED + OfferRequest.__name__),
            "description": "Offers that are registered, as by `POST /v1/offers`.",
        },
    }
    return _block(properties, description="What is on record before the case begins.")


def _consent() -> Schema:
    properties = {
        "purpose": {**WORD, "description": "What the consent is for, as the policy names it."},
        "state": {"enum": list(get_args(State)), "description": "What the recipient said."},
        "at": {**_ref("time"), "description": "When it was recorded; else the case's clock."},
        "ago": {
            **_ref("duration"),
            "description": "How long before the case's clock it was recorded; instead of `at`.",
        },
        "method": {**WORD, "description": "How it was given; else `policy_test`."},
        "channels": {
            "type": "array",
            "items": {"enum": list(CHANNELS)},
            "minItems": 1,
            "uniqueItems": True,
            "description": "What it is about; else all channels.",
        },
        "notice_id": {**WORD, "description": "The notice that the recipient was shown."},
        "notice_version": {**WORD, "description": "The notice's version, in quotes where it is a number."},
        "jurisdiction": {
            "title": "jurisdiction",
            "type": "string",
            "pattern": "^([A-Z]{2}(-[A-Z0-9]{1,3})?)$",
            "patternErrorMessage": "a jurisdiction is a country or one of its regions: `DE`, `US-CA`",
            "description": "Whose law the recipient was asked under.",
        },
        "expires_at": {**_ref("time"), "description": "When it lapses; of a grant, or of one that is pending."},
        "recipient": {**WORD, "description": "Whose it is; else the candidate's recipient."},
    }
    return _block(properties, required=("purpose", "state"))


def _preferences() -> Schema:
    properties = {
        "paused_until": {
            **TIME,
            "type": ["string", "null"],
            "description": "Until when the recipient pauses; null where they no longer do.",
        },
        "limits": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": ["integer", "null"], "minimum": 0, "maximum": LIMIT_MOST},
            "description": "How many the recipient wants at most, by the id of the cap's policy.",
        },
        "timezone": {
            "type": ["string", "null"],
            "description": "The zone that the recipient chose, such as `Europe/Berlin`.",
        },
    }
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": {"enum": ["on", "off"]},
        "description": "What the recipient chose: toggles by name, `on` or `off`, and what has a name of its own here.",
    }


def _sent() -> Schema:
    properties = {
        "at": {**_ref("time"), "description": "When it was sent."},
        "ago": {**_ref("duration"), "description": "How long before the case's clock it was sent; instead of `at`."},
        "outcome": {
            "enum": ["reserved", "sent", "delivered"],
            "default": "sent",
            "description": "How far it came: caps differ in what they count.",
        },
        "candidate": {**_ref("Candidate"), "description": "What differs from the case's candidate."},
    }
    return _block(
        properties,
        oneOf=[{"required": ["at"]}, {"required": ["ago"]}],
        description="A send of the past, which counts for caps; not decided again.",
    )


def _step() -> Schema:
    properties = {
        "at": {**_ref("time"), "description": "The clock moves on to here."},
        "after": {**_ref("duration"), "description": "The clock moves on by this; instead of `at`."},
        "consent": {**_ref("consent"), "description": "A consent record is made."},
        "preferences": {**_ref("preferences"), "description": "The recipient chooses."},
        "candidate": {
            **_ref("Candidate"),
            "description": "What differs from the case's candidate. A step with this, or with `expect`, decides.",
        },
        "expect": _ref("expect"),
        "outcome": {
            "enum": list(get_args(Outcome)),
            "description": "The sender reports this of the newest decision.",
        },
    }
    return _block(properties)


def _expect() -> Schema:
    words = {"type": "array", "items": {"type": "string"}}
    properties = {
        "effect": {"enum": list(get_args(Effect))},
        "reasons": {**words, "description": "The codes of all reasons, in their order."},
        "policies": {
            "type": "array",
            "items": {"type": ["string", "null"]},
            "description": "The ids of the policies that gave the reasons, in their order; null for the route itself.",
        },
        "monitored": {**words, "description": "The codes of what monitoring policies report, in their order."},
        "obligations": {**words, "description": "The types of all obligations, in their order."},
        "retry_at": {
            **TIME,
            "type": ["string", "null"],
            "description": "The first instant at which it would be allowed; null where waiting never helps.",
        },
        "blocked_by": {"type": ["string", "null"], "description": "The first policy that time alone never satisfies."},
    }
    return _block(
        properties, minProperties=1, description="What the decision must say; what isn't named isn't checked."
    )


def _candidate_parts() -> Schema:
    """The candidate and its parts with nothing required: each block adds to those before it."""
    _, parts = msgspec.json.schema_components([Candidate], ref_template="#/$defs/{name}")
    return {name: _partial(part) for name, part in parts.items()}


def _offer_parts() -> Schema:
    """The terms of an offer and their parts, under names of their own."""
    _, parts = msgspec.json.schema_components([OfferRequest], ref_template=f"#/$defs/{REGISTERED}{{name}}")
    plain: Schema = msgspec.json.decode(msgspec.json.encode(parts))  # defaults hold tuples
    return {f"{REGISTERED}{name}": part for name, part in plain.items()}


def _partial(part: Schema) -> Schema:
    properties = {name: _nullable(value) for name, value in part["properties"].items()}
    return {**part, "properties": properties, "required": []}


def _nullable(value: Schema) -> Schema:
    """`anyOf: [X, null]` as X with null among its types, so that a mistake is reported as what it is."""
    options = [option for option in value.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) != 1:
        return value
    option = options[0]
    if "type" in option:
        return {**option, "type": [option["type"], "null"]}
    return {"anyOf": [option, {"type": "null"}]}
