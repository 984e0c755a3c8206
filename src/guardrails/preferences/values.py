"""What a recipient chose, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from guardrails.core.candidate import YEARS, Id, Instant, Word
from guardrails.core.timing import told_at
from guardrails.errors import CandidateError

__all__ = ["PreferenceEvent", "PreferenceRequest"]


class PreferenceRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller wants set: toggles by name; the others stay. `at` is when the recipient chose (left out: now)."""

    toggles: Annotated[dict[Word, bool], Meta(min_length=1, max_length=100)]
    at: Instant | None = None


class PreferenceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One toggle set once. `recorded_at` is our own time."""

    recipient: str
    toggle: str
    is_on: bool
    at: datetime
    recorded_at: datetime


def events_of(recipient: str, request: PreferenceRequest, *, now: datetime) -> tuple[PreferenceEvent, ...]:
    """The events of a request that arrives `now`.

    Raises CandidateError where its `at` lies in the future or too far back, or `recipient` can't be the id of one.
    """
    try:
        msgspec.convert(recipient, Id)
    except msgspec.ValidationError as error:
        raise CandidateError(f"recipient: {error}", problems=(("", f"recipient: {error}"),)) from None
    at = told_at(request.at, now)
    _check_time(at, now)
    return tuple(
        PreferenceEvent(recipient=recipient, toggle=toggle, is_on=is_on, at=at, recorded_at=now)
        for toggle, is_on in request.toggles.items()
    )


def _check_time(at: datetime, now: datetime) -> None:
    if at > now:
        message = f"`{at.isoformat()}` lies in the future"
    elif at.year not in YEARS:
        message = f"`{at.isoformat()}` lies before {YEARS.start}"
    else:
        return
    raise CandidateError(f"/at: {message}", problems=(("/at", message),))
