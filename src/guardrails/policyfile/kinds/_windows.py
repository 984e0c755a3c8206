"""Windows of time as authors write them: rolling, calendar or countdown, with nothing about them implicit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guardrails.core.cap_rule import CalendarWindow, CountdownWindow, RollingWindow, Window
from guardrails.policyfile.kinds._kind import Lowering

__all__ = ["WINDOW_SCHEMA", "in_window", "window_of"]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def window_of(written: Mapping[str, Any], lowering: Lowering) -> Window:
    """The window that stands under `window`."""
    if "rolling" in written:
        return RollingWindow(lowering.duration_seconds(("window", "rolling")))
    if "countdown" in written:
        return CountdownWindow(lowering.duration_seconds(("window", "countdown")))
    week_starts = WEEKDAYS.index(written.get("week_starts", "mon"))
    return CalendarWindow(written["calendar"], lowering.zone(("window",)), week_starts)


def in_window(window: Window, written: Mapping[str, Any]) -> str:
    """The window as a message says it, such as `in each calendar day in UTC`."""
    if isinstance(window, RollingWindow):
        return f"in any {written['rolling']}"
    if isinstance(window, CountdownWindow):
        return f"while the countdowns of {written['countdown']} run that each send starts"
    place = "the recipient's zone" if window.zone.name == "recipient" else window.zone.name
    return f"in each calendar {window.unit} in {place}"


WINDOW_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "errorMessage": "write it like `{rolling: 24h}` or `{calendar: day, timezone: project}`",
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
