"""What is recorded of a consent: purpose, state, time, method, notice version, evidence (after ISO/IEC TS 27560)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from guardrails.core.candidate import YEARS, BoundsError, Id, Instant, Locale, Word
from guardrails.core.timing import told_at
from guardrails.errors import CandidateError
from guardrails.storage.instants import LAST_MICROS, to_micros

__all__ = ["ConsentEvent", "ConsentRequest", "State"]

State = Literal["granted", "withdrawn", "denied"]

EVIDENCE_BYTES = 4000


class ConsentRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a caller wants recorded.

    `id` makes the request safe to repeat. `at` is when the recipient spoke (left out: now), `method` how, such as
    `settings_screen`; `notice_version` is what they were shown, `evidence` whatever proves it, `captured_by` who took
    it down. `expires_at` ends a grant.
    """

    recipient: Id
    purpose: Word
    state: State
    method: Word
    id: Id | None = None
    at: Instant | None = None
    notice_version: Word | None = None
    language: Locale | None = None
    evidence: dict[str, Any] = {}
    captured_by: Word | None = None
    expires_at: Instant | None = None

    def __post_init__(self) -> None:
        """Bound the free part. Raises BoundsError."""
        if self.evidence and len(msgspec.json.encode(self.evidence)) > EVIDENCE_BYTES:
            raise BoundsError("evidence", f"is longer than {EVIDENCE_BYTES} bytes of JSON")


class ConsentEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record, as it stays for ever. `recorded_at` is our own time; all else is what the caller said."""

    id: str
    recipient: str
    purpose: str
    state: State
    at: datetime
    method: str
    recorded_at: datetime
    notice_version: str | None = None
    language: str | None = None
    evidence: dict[str, Any] = {}
    captured_by: str | None = None
    expires_at: datetime | None = None


def event_of(request: ConsentRequest, *, new_id: str, now: datetime) -> ConsentEvent:
    """The record of a request that arrives `now`; `new_id` is used where the caller gave none.

    Raises CandidateError where the request's times make no sense.
    """
    at = told_at(request.at, now)
    _check_times(request, at, now)
    return ConsentEvent(
        id=request.id or new_id,
        recipient=request.recipient,
        purpose=request.purpose,
        state=request.state,
        at=at,
        method=request.method,
        recorded_at=now,
        notice_version=request.notice_version,
        language=request.language,
        evidence=request.evidence,
        captured_by=request.captured_by,
        expires_at=request.expires_at,
    )


def _check_times(request: ConsentRequest, at: datetime, now: datetime) -> None:
    problems = []
    if at > now:
        problems.append(("/at", f"`{at.isoformat()}` lies in the future"))
    elif at.year not in YEARS:
        problems.append(("/at", f"`{at.isoformat()}` lies before {YEARS.start}"))
    if request.expires_at is not None and request.state != "granted":
        problems.append(("/expires_at", f"only a grant expires, and this is `{request.state}`"))
    elif request.expires_at is not None and request.expires_at <= at:
        problems.append(("/expires_at", f"`{request.expires_at.isoformat()}` is not after the grant itself"))
    elif request.expires_at is not None and to_micros(request.expires_at) > LAST_MICROS:
        problems.append(("/expires_at", f"`{request.expires_at.isoformat()}` lies beyond the calendar"))
    if problems:
        raise CandidateError("; ".join(f"{pointer}: {text}" for pointer, text in problems), problems=tuple(problems))
