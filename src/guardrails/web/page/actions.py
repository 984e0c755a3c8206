"""What a recipient did on their page: a form, read into what is to be recorded.

    wish = read_wish(form, zone=zone, now=now)

A form says what it showed beside what is chosen now, so that only a change is recorded: neither a second tab nor a
default that was never touched becomes a choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from guardrails.decoding import Decoder
from guardrails.errors import CandidateError, GuardrailsError
from guardrails.preferences import PreferenceRequest
from guardrails.preferences.values import LIMIT_MOST, LONGEST_PAUSE

__all__ = ["DAYS", "MORNING", "FormError", "Wish", "pause_days", "read_wish"]

DAYS = (1, 7, 30)
"""How long a pause may be at one press."""

MORNING = time(8)
"""When a pause until the morning of a day ends."""


class FormError(GuardrailsError):
    """Something in the form is not as it must be: `key` is the catalogue's text for it, `field` where it is.

    `places` are what the text tells besides: numbers and days.
    """

    def __init__(self, key: str, field: str = "", **places: int | date) -> None:
        super().__init__(key)
        self.key = key
        self.field = field
        self.places = places


class Wish(NamedTuple):
    """What is wanted. `preferences` None where nothing is to be set; `withdraw` the purposes, None meaning all.

    `done` names what the page then says.
    """

    done: str
    preferences: PreferenceRequest | None = None
    withdraws: bool = False
    purpose: str | None = None


def read_wish(form: Mapping[str, str], *, zone: tzinfo, now: datetime) -> Wish:
    """The wish that a form says. Raises FormError where it says none, or one that can't be met."""
    read = _READERS.get(form.get("do", ""))
    if read is None:
        raise FormError("error.unknown_form")
    return read(form, zone, now)


def _toggles(form: Mapping[str, str], _zone: tzinfo, _now: datetime) -> Wish:
    changed = {
        name: f"toggle:{name}" in form
        for name, was in _shown(form).items()
        if (was == "on") != (f"toggle:{name}" in form)
    }
    return _chosen(toggles=changed) if changed else Wish("nothing")


def _limits(form: Mapping[str, str], _zone: tzinfo, _now: datetime) -> Wish:
    changed = {}
    for policy, was in _shown(form).items():
        text = form.get(f"limit:{policy}", "").strip()
        if text == was:
            continue
        if text and not (text.isascii() and text.isdigit() and len(text) < 5 and int(text) <= LIMIT_MOST):  # noqa: PLR2004 - more is no limit
            raise FormError("error.limit", f"limit:{policy}")
        changed[policy] = int(text) if text else None
    return _chosen(limits=changed) if changed else Wish("nothing")


def _pause(form: Mapping[str, str], zone: tzinfo, now: datetime) -> Wish:
    days = form.get("days", "")
    if days in {str(each) for each in DAYS}:
        return _chosen("paused", paused_until=now + timedelta(days=int(days)))
    first, last = pause_days(zone, now)
    try:
        day = date.fromisoformat(form.get("until", "").strip())
    except ValueError:
        raise FormError("error.pause_day", "until", first=first, last=last) from None
    if day < first:
        raise FormError("error.pause_early", "until", first=first)
    if day > last:
        raise FormError("error.pause_late", "until", last=last)
    return _chosen("paused", paused_until=_morning(day, zone))


def pause_days(zone: tzinfo, now: datetime) -> tuple[date, date]:
    """The first and the last day until the morning of which a pause may last that begins now."""
    end = now + LONGEST_PAUSE
    first, last = now.astimezone(zone).date(), end.astimezone(zone).date()
    day = timedelta(days=1)
    return first if now < _morning(first, zone) else first + day, last if _morning(last, zone) <= end else last - day


def _morning(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, MORNING, zone).astimezone(UTC)


def _resume(_form: Mapping[str, str], _zone: tzinfo, _now: datetime) -> Wish:
    return _chosen("resumed", paused_until=None)


def _timezone(form: Mapping[str, str], _zone: tzinfo, _now: datetime) -> Wish:
    return _chosen(timezone=form.get("timezone") or None)


def _withdraw(form: Mapping[str, str], _zone: tzinfo, _now: datetime) -> Wish:
    return Wish("withdrawn", withdraws=True, purpose=form.get("purpose", ""))


def _withdraw_all(_form: Mapping[str, str], _zone: tzinfo, _now: datetime) -> Wish:
    return Wish("withdrawn", withdraws=True)


_READERS: Mapping[str, Callable[[Mapping[str, str], tzinfo, datetime], Wish]] = {
    "toggles": _toggles,
    "limits": _limits,
    "pause": _pause,
    "resume": _resume,
    "timezone": _timezone,
    "withdraw": _withdraw,
    "withdraw_all": _withdraw_all,
}


_REQUEST = Decoder(PreferenceRequest)


def _shown(form: Mapping[str, str]) -> Mapping[str, str]:
    """What the form showed, by name."""
    return {field.removeprefix("was:"): text for field, text in form.items() if field.startswith("was:")}


def _chosen(done: str = "saved", **choices: object) -> Wish:
    written = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in choices.items()}
    try:
        return Wish(done, _REQUEST.convert(written))
    except CandidateError:
        raise FormError("error.unknown_form") from None
