"""What the kinds that count sends have in common: what counts, under which key, from when on, and what then.

Nothing about a count is implicit: `per` must be written, and the two defaults (`counts`, `count_on`) are documented
with the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guardrails.core.conditions import Condition
from guardrails.core.policy import Retry
from guardrails.policyfile.kinds._kind import Lowering

__all__ = ["COUNTING_PROPERTIES", "HIGHEST_LIMIT", "count_condition", "key_fields", "key_words", "retry_advice"]

HIGHEST_LIMIT = 10**9
"""The most sends that a calendar window may be limited to."""

KEYS: Mapping[str, str] = {
    "recipient": "recipient.id",
    "channel": "channel",
    "campaign": "campaign.id",
    "sponsor": "sponsor.id",
    "topic": "content.topic",
    "tag": "content.tags",
    "content_class": "content.class",
    "offer": "offer.id",
    "affiliate": "affiliate.id",
}
"""The author's words for a counter's key, and the fields they stand for."""

COUNTING_PROPERTIES: Mapping[str, Any] = {
    "per": {
        "type": "array",
        "items": {"enum": list(KEYS)},
        "uniqueItems": True,
        "description": (
            "There is one counter for each combination of these; `[]` for a single counter over everything. Where a "
            "candidate lacks one of them, `on_missing` decides. `tag` makes one counter for each of its tags."
        ),
    },
    "counts": {
        "$ref": "#/$defs/condition",
        "description": (
            "Which sends count, whether or not the policy applies to them. Default: those that `applies_to` describes."
        ),
    },
    "count_on": {
        "enum": ["reserved", "sent", "delivered"],
        "default": "reserved",
        "description": (
            "From when on a send counts: once it is decided (exact under load), or once it is reported as sent or as "
            "delivered."
        ),
    },
    "retry": {
        "type": "object",
        "additionalProperties": False,
        "required": ["every", "attempts"],
        "description": "Advice to the sender of a denied notification, given with the reason.",
        "properties": {
            "every": {"$ref": "#/$defs/duration", "description": "How long to wait between tries."},
            "attempts": {"type": "integer", "minimum": 1, "maximum": 100, "description": "How often to try at most."},
        },
    },
}


def key_fields(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that make the counter's key, for `CapRule.per`."""
    return tuple(KEYS[word] for word in spec["per"])


def key_words(spec: Mapping[str, Any]) -> str:
    """The key as a message says it, such as `for each recipient, campaign and channel`."""
    *others, last = [word.replace("_", " ") for word in spec["per"]] or [""]
    if not last:
        return "in all"
    return f"for each {', '.join(others)} and {last}" if others else f"for each {last}"


def count_condition(spec: Mapping[str, Any], lowering: Lowering) -> Condition:
    """Which sends count: what `counts` says, or else those that the policy applies to."""
    return lowering.condition(("counts",) if "counts" in spec else ("applies_to",))


def retry_advice(spec: Mapping[str, Any], lowering: Lowering) -> Retry | None:
    """The advice written under `retry`, if any."""
    if "retry" not in spec:
        return None
    return Retry(lowering.duration_seconds(("retry", "every")), spec["retry"]["attempts"])
