"""A recipient's usage in words: what a cap's window is, and which zone stands in for the recipient's."""

from __future__ import annotations

from guardrails.core.candidate import Recipient
from guardrails.core.cap_rule import CalendarWindow, CountdownWindow, RollingWindow, Window
from guardrails.core.timing import format_duration, has_zone, zones_of

__all__ = ["goes_by_their_zone", "window_words", "zone_note"]

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def window_words(window: Window) -> str:
    """A window as people read it."""
    if isinstance(window, RollingWindow):
        return f"rolling {format_duration(window.seconds)}"
    if isinstance(window, CountdownWindow):
        return f"countdown of {format_duration(window.seconds)} from each send"
    begins = f" from {_WEEKDAYS[window.week_starts]}" if window.unit == "week" else ""
    place = "the recipient's zone" if window.zone.name == "recipient" else window.zone.name
    return f"calendar {window.unit}{begins} in {place}"


def goes_by_their_zone(window: Window) -> bool:
    """Whether the recipient's zone says what counts."""
    return isinstance(window, CalendarWindow) and window.zone.name == "recipient"


def zone_note(window: Window, recipient: Recipient, named: str | None) -> str | None:
    """What stands in for the recipient's zone where that is needed and not `named`."""
    if not isinstance(window, CalendarWindow) or window.zone.name != "recipient":
        return None
    if has_zone(recipient):
        return None if recipient.timezone == named else f"counted in {recipient.timezone}, as the recipient chose"
    said = "the recipient's zone is not known"
    fallback, zones = window.zone.fallback, zones_of(window.zone, recipient)
    if zones is None:
        needed = "a `timezone` is" if fallback == "deny" else "`timezone`, `country` or `region` is"
        return f"{said}: {needed} needed to say what counts"
    if fallback != "strictest":
        return f"{said}: counted in {fallback}, as the policy says"
    return f"{said}: the most that counts in any zone that they may be in"
