"""What is recorded of a consent: purpose, state, time, method, notice version, evidence (after ISO/IEC TS 27560)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from guardrails.core.candidate import BoundsError, Channel, CountryOrRegion, Id, Instant, Language, Word
from guardrails.core.needs import ConsentState
from guardrails.core.purposes import OS_PERMISSION
from guardrails.core.timing import told_at

__all__ = ["GPC", "ConsentEvent", "ConsentRequest", "ConsentRow", "State", "event_of"]

State = Literal["granted", "withdrawn", "denied", "expired", "pending"]
"""`pending` is a grant that waits for its confirmation, and counts for nothing until then."""

EVIDENCE_BYTES = 4000

GPC = "gpc"
"""The method of a withdrawal that a browser made by `Sec-GPC: 1`, the Global Privacy Control, without being asked."""


class ConsentRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a caller wants recorded.

    `id` makes the request safe to repeat. `at` is when the recipient spoke (left out: now), `method` how, such as
    `settings_screen`; `channels` what it is about (left out: all); `notice_id`, `notice_version` and `language` are
    what they were shown, `evidence` whatever proves it, `captured_by` who took it down, `jurisdiction` whose law they
    were asked under. `expires_at` ends a grant; of a pending record, the grant that it becomes. No text may be empty: a
    CSV can't tell that from one that was left out.
    """

    recipient: Id
    purpose: Word
    state: State
    method: Word
    id: Id | None = None
    at: Instant | None = None
    channels: Annotated[tuple[Channel, ...], Meta(min_length=1, max_length=20)] | None = None
    notice_id: Word | None = None
    notice_version: Word | None = None
    language: Language | None = None
    evidence: dict[str, Any] = {}
    jurisdiction: CountryOrRegion | None = None
    captured_by: Word | None = None
    expires_at: Instant | None = None

    def __post_init__(self) -> None:
        """Bound the free part. Raises BoundsError."""
        if self.evidence and len(msgspec.json.encode(self.evidence)) > EVIDENCE_BYTES:
            raise BoundsError("evidence", f"is longer than {EVIDENCE_BYTES} bytes of JSON")


class ConsentRow(ConsentRequest, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request as a file of consents has it: with what a ledger that it was exported from says of it, if it was.

    `confirms` is the pending record that it confirms, and `notice_hash` of the notice that it names. `recorded_at` is
    that ledger's own time, and is no other's.
    """

    confirms: Id | None = None
    notice_hash: Word | None = None
    recorded_at: Instant | None = None


class ConsentEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record, as it stays for ever.

    `recorded_at` is our own time, `notice_hash` that of the registered notice which the caller named, `confirms` the
    pending record that this one confirms; all else is what the caller said.
    """

    id: str
    recipient: str
    purpose: str
    state: State
    at: datetime
    method: str
    recorded_at: datetime
    channels: tuple[str, ...] | None = None
    notice_id: str | None = None
    notice_version: str | None = None
    notice_hash: str | None = None
    language: str | None = None
    evidence: dict[str, Any] = {}
    jurisdiction: str | None = None
    captured_by: str | None = None
    confirms: str | None = None
    expires_at: datetime | None = None

    def covers(self, channel: str) -> bool:
        """Whether it is about this channel."""
        return self.channels is None or channel in self.channels

    @property
    def speaks(self) -> bool:
        """Whether it says what the recipient wants: what waits for its confirmation does not, nor does a permission.

        The permission of an operating system is given to an app, and for whatever it sends. Taking it back speaks.
        """
        return self.state != "pending" and not (self.state == "granted" and self.method == OS_PERMISSION)

    def told(self) -> ConsentState:
        """What a decision learns of it, where it is the newest; one that doesn't speak tells nothing."""
        if self.state == "pending" or not self.speaks:
            return ConsentState()
        return ConsentState(
            self.state,
            self.at,
            self.expires_at,
            self.id,
            self.method,
            self.notice_id,
            self.notice_version,
            self.jurisdiction,
            names_channel=self.channels is not None,
        )


def event_of(request: ConsentRequest, *, new_id: str, now: datetime) -> ConsentEvent:
    """The record of a request that arrives `now`, as it stands; `new_id` is used where the caller gave none."""
    return ConsentEvent(
        id=request.id or new_id,
        recipient=request.recipient,
        purpose=request.purpose,
        state=request.state,
        at=_in_utc(told_at(request.at, now)),
        method=request.method,
        recorded_at=now,
        channels=None if request.channels is None else tuple(sorted(set(request.channels))),
        notice_id=request.notice_id,
        notice_version=request.notice_version,
        language=request.language,
        evidence=request.evidence,
        jurisdiction=request.jurisdiction,
        captured_by=request.captured_by,
        expires_at=None if request.expires_at is None else _in_utc(request.expires_at),
    )


def _in_utc(at: datetime) -> datetime:
    """The instant as every store gives it back, so that a record reads the same whenever and however it is read."""
    try:
        return at.astimezone(UTC)
    except OverflowError:  # at an end of the calendar, which the checks refuse
        return at
