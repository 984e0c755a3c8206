"""What a decision leaves behind: its answer, its stored form, its reservation and its audit entry.

`Writes` collects them for a group of decisions, so that each room is written once.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.decision import AuditReference, Decision
from guardrails.core.needs import Take
from guardrails.decide.case import Answers, Compiled
from guardrails.decide.entry import DecisionEntry, encode_entry
from guardrails.decide.ports import Reservation, Session, StoredDecision
from guardrails.errors import CandidateError

__all__ = ["Answer", "Asked", "Decided", "Request", "Writes", "answer_of", "body_hash", "entry_of"]

_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="deterministic")


class Request(msgspec.Struct, frozen=True):
    """Candidates to decide together, in order, by one snapshot and at one `now`."""

    candidates: tuple[Candidate, ...]
    now: datetime
    compiled: Compiled
    trace_id: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """A decision and its exact bytes.

    `repeated`: it was decided before, and this is what was answered then. `fault` says why a decision that is degraded
    could not be made as it should, for the operator's log.
    """

    decision: Decision
    body: bytes
    repeated: bool = False
    fault: str | None = None


class Asked(msgspec.Struct, frozen=True):
    """A candidate with the instant it is to be decided for, and the hash that tells it from others with its id."""

    candidate: Candidate
    at: datetime
    request: Request
    body_hash: bytes


class Decided(msgspec.Struct, frozen=True):
    """A decision with what must be written for it. `fault` says why it could not be decided as it should."""

    asked: Asked
    decision: Decision
    answers: Answers = {}
    takes: tuple[Take, ...] = ()
    fault: str | None = None


class Writes:
    """What a group of decisions writes, collected so that each room is written once."""

    def __init__(self, index: int, lease: timedelta) -> None:
        self._index = index
        self._lease = lease
        self._entries: list[bytes] = []
        self._decisions: list[StoredDecision] = []
        self._reservations: list[Reservation] = []

    def add(self, decided: Decided) -> tuple[Answer, StoredDecision]:
        """Add one decision; what is answered and what is stored of it."""
        index = self._index + len(self._entries)
        decision = msgspec.structs.replace(decided.decision, audit=AuditReference(index))
        answer = answer_of(decision, fault=decided.fault)
        # From the planned instant on: what is allowed for tomorrow is still held tomorrow.
        lease_until = decided.asked.at + self._lease if decision.effect == "allow" else None
        if decided.takes and lease_until is not None:
            self._reservations.append(
                Reservation(
                    decision_id=decision.decision_id, takes=decided.takes, at=decided.asked.at, lease_until=lease_until
                )
            )
        self._entries.append(encode_entry(entry_of(msgspec.structs.replace(decided, decision=decision), lease_until)))
        stored = StoredDecision(
            decision_id=decision.decision_id,
            candidate_id=decision.candidate_id,
            body_hash=decided.asked.body_hash,
            answer=answer.body,
            evaluated_at=decision.evaluated_at,
            audit_index=index,
            state="none" if lease_until is None else "reserved",
            lease_until=lease_until,
        )
        self._decisions.append(stored)
        return answer, stored

    def write(self, session: Session) -> None:
        """Write everything, one call a room."""
        if not self._decisions:
            return
        if self._reservations:
            session.caps.reserve(self._reservations)
        session.decisions.insert(self._decisions)
        session.audit.append(self._entries)


def answer_of(decision: Decision, *, fault: str | None) -> Answer:
    """The decision as it is answered."""
    return Answer(decision, _encoder.encode(decision), fault=fault)


def body_hash(candidate: Candidate) -> bytes:
    """What tells two candidates with one id apart: 16 bytes of BLAKE2b over the canonical JSON.

    Raises CandidateError where it has none: a candidate that was not decoded from JSON may hold anything.
    """
    try:
        body = _canonical.encode(candidate)
    except (UnicodeError, TypeError, ValueError, OverflowError, msgspec.EncodeError) as error:
        raise CandidateError(f"the candidate can't be written as JSON: {error}") from error
    return hashlib.blake2b(body, digest_size=16).digest()


def entry_of(decided: Decided, lease_until: datetime | None) -> DecisionEntry:
    """The audit entry of a decision; `lease_until` is None where it holds nothing."""
    asked = decided.asked
    return DecisionEntry(
        decision=decided.decision,
        candidate=asked.candidate,
        now=asked.request.now,
        at=asked.at,
        answers=decided.answers,
        takes=decided.takes,
        lease_until=lease_until,
        trace_id=asked.request.trace_id,
        fault=decided.fault,
    )
