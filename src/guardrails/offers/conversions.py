"""Conversion sessions: one recipient converts one offer within one notification, in the one to three steps it declares.

A step is done in its turn, once, and in time; everything else is refused by a stable code and changes nothing. A
session converts once its token's redemption settles: what was only tried is no conversion. Whether there is any stock
left, and who pays how, is the redemption's business.

INVARIANT: of the sessions of one offer token at most one is open at any instant, and at most one ever converts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from guardrails.core.candidate import Id, Instant, Word
from guardrails.errors import CandidateError, ConflictError, GoneError

__all__ = [
    "KEPT",
    "PAY",
    "ConversionRequest",
    "ConversionSession",
    "ConversionState",
    "KeptConversion",
    "StepDone",
    "StepReport",
    "refuse_opening",
    "refuse_redeeming",
    "settle",
    "take_step",
]

PAY = "pay"
"""The step that is the payment itself: where a redemption settles while it is the next one, it is done with that."""

KEPT = timedelta(days=30)
"""How long a session is kept after its end. No token opens one that lives longer: none forgets what it converted."""

ConversionState = Literal["open", "converted", "ended"]


class ConversionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Opens a session for the recipient whose offer `token` it is. With an `id`, it can be sent again."""

    token: Annotated[str, Meta(min_length=1, max_length=4096)]
    recipient: Id
    id: Id | None = None


class StepReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step that the recipient did. `number` counts from 1: it tells a report sent again from another step."""

    step: Word
    number: Annotated[int, Meta(ge=1, le=1000)] | None = None


class StepDone(msgspec.Struct, frozen=True):
    """A step and when it was reported."""

    step: str
    at: Instant


class ConversionSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session as it stands: `steps` are those declared, in order, `done` the first of them.

    It is `open` until `ends_at` or until it converts, and `ended` where it is over without that.
    """

    id: str
    decision_id: str
    offer: str
    recipient: str
    state: ConversionState
    steps: tuple[str, ...]
    done: tuple[StepDone, ...]
    opened_at: Instant
    ends_at: Instant
    converted_at: Instant | None = None

    @property
    def seconds(self) -> float:
        """From its opening until it converted; 0 where it has not."""
        return 0.0 if self.converted_at is None else (self.converted_at - self.opened_at).total_seconds()


class KeptConversion(msgspec.Struct, frozen=True, kw_only=True):
    """A session as a store keeps it."""

    id: str
    decision_id: str
    offer: str
    recipient: str
    body_hash: bytes
    declared: tuple[str, ...]
    opened_at: datetime
    ends_at: datetime
    done: tuple[StepDone, ...] = ()
    converted_at: datetime | None = None

    def state(self, now: datetime) -> ConversionState:
        """What has become of it by `now`."""
        if self.converted_at is not None:
            return "converted"
        return "open" if now < self.ends_at else "ended"

    def at(self, now: datetime) -> ConversionSession:
        """The session as it is told at `now`."""
        return ConversionSession(
            id=self.id,
            decision_id=self.decision_id,
            offer=self.offer,
            recipient=self.recipient,
            state=self.state(now),
            steps=self.declared,
            done=self.done,
            opened_at=self.opened_at,
            ends_at=self.ends_at,
            converted_at=self.converted_at,
        )

    def has_done(self, report: StepReport) -> bool:
        """Whether the report was taken before: without a number, only the step just done can be told from another."""
        place = len(self.done) if report.number is None else report.number
        return 1 <= place <= len(self.done) and self.done[place - 1].step == report.step


def refuse_opening(others: tuple[KeptConversion, ...], now: datetime) -> ConflictError | None:
    """Why no other session of a token with these sessions may be opened, if so."""
    for other in others:
        if other.converted_at is not None:
            return _is_done()
        if other.state(now) == "open":
            message = f"conversion `{other.id}` of this token is open until {other.ends_at.isoformat()}"
            return ConflictError(message, code="conversion.second_tab")
    return None


def take_step(kept: KeptConversion, report: StepReport, now: datetime) -> KeptConversion | CandidateError:
    """The session with one more step done: the same one where the report was taken before, else why it is not."""
    if kept.has_done(report):
        return kept
    refusal = _refuse_step(kept, report, now)
    if refusal is not None:
        return refusal
    return msgspec.structs.replace(kept, done=(*kept.done, StepDone(report.step, _not_before(kept, now))))


def refuse_redeeming(kept: KeptConversion, decision_id: str, now: datetime) -> CandidateError | None:
    """Why the token of `decision_id` can't be redeemed within this session at `now`, if so.

    It must be in time, and every step must be done, the payment's own excepted.
    """
    if kept.decision_id != decision_id:
        return ConflictError(f"conversion `{kept.id}` is of another token", code="conversion.other_token")
    if kept.converted_at is not None:
        return _is_done()
    if kept.state(now) == "ended":
        return _is_late(kept)
    missing = [step for step in kept.declared[len(kept.done) :] if step != PAY]
    if missing:
        message = f"`{missing[0]}` of conversion `{kept.id}` comes first"
        return ConflictError(message, code="conversion.out_of_order")
    return None


def settle(kept: KeptConversion, at: datetime) -> KeptConversion:
    """The session once its redemption was settled, however late: money that moved is a conversion."""
    if kept.converted_at is not None:
        return kept
    at = _not_before(kept, at)
    is_paying = kept.declared[len(kept.done) :][:1] == (PAY,)
    done = (*kept.done, StepDone(PAY, at)) if is_paying else kept.done
    return msgspec.structs.replace(kept, done=done, converted_at=at)


def _refuse_step(kept: KeptConversion, report: StepReport, now: datetime) -> CandidateError | None:
    place = len(kept.done)
    number = report.number or place + 1
    if number > len(kept.declared):
        message = f"conversion `{kept.id}` has {len(kept.declared)} steps and no more"
        return ConflictError(message, code="conversion.too_many_steps")
    if kept.converted_at is not None:
        return _is_done()
    if now >= kept.ends_at:
        return _is_late(kept)
    if report.step not in kept.declared:
        message = f"`{report.step}` is no step of conversion `{kept.id}`: it has {', '.join(kept.declared)}"
        return ConflictError(message, code="conversion.unknown_step")
    if number != place + 1 or report.step != kept.declared[place]:
        steps = ", ".join(kept.declared)
        message = f"`{report.step}` is not what comes now: of {steps} in conversion `{kept.id}`, {place} are done"
        return ConflictError(message, code="conversion.out_of_order")
    return None


def _is_done() -> ConflictError:
    return ConflictError("the offer of this token is converted already", code="conversion.done")


def _is_late(kept: KeptConversion) -> GoneError:
    return GoneError(f"conversion `{kept.id}` ended at {kept.ends_at.isoformat()}", code="conversion.late")


def _not_before(kept: KeptConversion, at: datetime) -> datetime:
    """`at`, or what came last where a clock that is behind says less: the steps stay in order."""
    return max(at, kept.done[-1].at if kept.done else kept.opened_at)
