"""`frequency_cap`: at most so many sends in a window, for each recipient, channel, campaign or whatever is named.

The well-known notification systems contradict each other on what a cap means, so every part of it is written down:
the window and its zone, the key, what counts and from when on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from guardrails.core.cap_needs import CapNeed, PersonalNeed
from guardrails.core.cap_rule import (
    LISTED_TIMES,
    RECIPIENT,
    CalendarWindow,
    CapRule,
    CountdownWindow,
    RollingWindow,
    Window,
)
from guardrails.core.conditions import AllOf, AnyOf, Compare, FactType, Ordering
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._counting import (
    COUNTING_PROPERTIES,
    count_condition,
    key_fields,
    key_words,
    retry_advice,
)
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering

__all__ = ["KIND"]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HIGHEST_LIMIT = 10**9


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Violated where as many sends as `limit` are used in the window, satisfied where fewer are."""
    fact, limit = f"cap.{lowering.policy_id}.used", spec["limit"]
    window = _window(spec["window"], lowering)
    if not isinstance(window, CalendarWindow) and limit > LISTED_TIMES:
        lowering.problem(
            "out-of-bounds",
            f"`{limit}` is more than a rolling or countdown window can count: at most {LISTED_TIMES}",
            ("limit",),
            "a calendar window counts further",
        )
    cap = CapRule(
        id=lowering.policy_id,
        limit=limit,
        window=window,
        per=key_fields(spec),
        counts=count_condition(spec, lowering),
        count_on=spec.get("count_on", "reserved"),
        personal=spec.get("personal", False),
    )
    if cap.personal and RECIPIENT not in cap.per:
        message = "a counter that recipients share has no limit of one of them"
        lowering.problem("contradiction", message, ("personal",), "add `recipient` to `per`, or leave `personal` out")
    used = CapNeed(fact, cap)
    lowered = Lowered(
        violated=Compare(fact, FactType.NUMBER, Ordering.GTE, limit),
        satisfied=Compare(fact, FactType.NUMBER, Ordering.LT, limit),
        reason=Reason("cap.exceeded", f"at most {limit} {_in_window(spec['window'], window)}, {key_words(spec)}"),
        needs=(used,),
        caps=(cap,),
        retry=retry_advice(spec, lowering),
    )
    return _with_own_limit(lowered, used) if cap.personal else lowered


def _with_own_limit(lowered: Lowered, used: CapNeed) -> Lowered:
    """The same where the recipient's own limit holds too; the code says which of the two is reached."""
    fact, reason = f"cap.{used.rule.id}.left", lowered.reason
    return msgspec.structs.replace(
        lowered,
        violated=AnyOf((lowered.violated, Compare(fact, FactType.NUMBER, Ordering.LTE, 0))),
        satisfied=AllOf((lowered.satisfied, Compare(fact, FactType.NUMBER, Ordering.GT, 0))),
        reason=Reason(
            "cap.personal",
            f"{reason.message}, or fewer where the recipient chose so",
            cases=((lowered.violated, reason.code),),
        ),
        needs=(used, PersonalNeed(fact, used)),
    )


def _window(window: Mapping[str, Any], lowering: Lowering) -> Window:
    if "rolling" in window:
        return RollingWindow(lowering.duration_seconds(("window", "rolling")))
    if "countdown" in window:
        return CountdownWindow(lowering.duration_seconds(("window", "countdown")))
    week_starts = WEEKDAYS.index(window.get("week_starts", "mon"))
    return CalendarWindow(window["calendar"], lowering.zone(("window",)), week_starts)


def _in_window(written: Mapping[str, Any], window: Window) -> str:
    if isinstance(window, RollingWindow):
        return f"in any {written['rolling']}"
    if isinstance(window, CountdownWindow):
        return f"while the countdowns of {written['countdown']} run that each send starts"
    place = "the recipient's zone" if window.zone.name == "recipient" else window.zone.name
    return f"in each calendar {window.unit} in {place}"


WINDOW_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "description": "The window that the limit holds for: exactly one of `rolling`, `calendar` and `countdown`.",
    "properties": {
        "rolling": {
            "$ref": "#/$defs/duration",
            "description": "The time before each send, such as `24h`, exact to the second.",
        },
        "calendar": {
            "enum": ["day", "week", "month"],
            "description": "The calendar day, week or month in `timezone`.",
        },
        "countdown": {
            "$ref": "#/$defs/duration",
            "description": "Each send starts a countdown, such as `16h`; later edits of the policy don't change it.",
        },
        "timezone": {
            "$ref": "#/$defs/timezone",
            "description": "Whose calendar: `recipient`, `project`, or a zone such as `Europe/Berlin`.",
        },
        "fallback": {
            "$ref": "#/$defs/fallback",
            "description": "Needed with `timezone: recipient`: the zone where theirs is missing or wrong.",
        },
        "week_starts": {
            "enum": list(WEEKDAYS),
            "description": "Needed with `calendar: week`: the day on which a week begins.",
        },
    },
    "oneOf": [{"required": ["rolling"]}, {"required": ["calendar"]}, {"required": ["countdown"]}],
    "dependentRequired": {
        "calendar": ["timezone"],
        "timezone": ["calendar"],
        "fallback": ["timezone"],
        "week_starts": ["calendar"],
    },
    "allOf": [
        {
            "if": {"required": ["timezone"], "properties": {"timezone": {"const": "recipient"}}},
            "then": {"required": ["fallback"]},
        },
        {
            "if": {"required": ["calendar"], "properties": {"calendar": {"const": "week"}}},
            "then": {"required": ["week_starts"]},
        },
    ],
}

KIND = Kind(
    name="frequency_cap",
    summary="Allows at most so many sends in a window of time.",
    properties={
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": HIGHEST_LIMIT,
            "description": f"The most sends in one window; at most {LISTED_TIMES} for `rolling` and `countdown`.",
        },
        "window": WINDOW_SCHEMA,
        "personal": {
            "type": "boolean",
            "default": False,
            "description": (
                "Whether recipients may choose fewer than `limit` for themselves, by this policy's id among the "
                "`limits` of their preferences; never more. Needs `recipient` in `per`."
            ),
        },
        **COUNTING_PROPERTIES,
    },
    required=("limit", "window", "per"),
    reason_codes={
        "cap.exceeded": "As many sends as `limit` allows are already used in the window.",
        "cap.personal": "As many sends as the recipient wants at most are used in the window; `limit` allows more.",
    },
    example="""\
- id: one-sponsored-a-day
  kind: frequency_cap
  title: One sponsored notification a day
  applies_to: {content.class: sponsored, channel: [push, email]}
  limit: 1
  window: {calendar: day, timezone: recipient, fallback: strictest}
  per: [recipient]
  personal: true
""",
    lower=lower,
)
