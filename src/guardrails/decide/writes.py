"""What a decision leaves behind: its answer, its stored form, its reservation and its audit entry.

`Writes` collects them for a group of decisions, so that each room is written once.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.decision import AuditReference, Decision
from guardrails.core.needs import CapCheck, Take
from guardrails.decide.carried import carried
from guardrails.decide.case import Answers, Case, Compiled
from guardrails.decide.entry import DecisionEntry, encode_entry
from guardrails.decide.holdings import Reservation
from guardrails.decide.judgement import checks_of
from guardrails.decide.obligations import UNSUBSCRIBE, with_link
from guardrails.decide.ports import SendTokens, Session, StoredDecision, UnsubscribeLinks
from guardrails.errors import CandidateError, ConflictError

__all__ = [
    "Answer",
    "Asked",
    "Decided",
    "Known",
    "Outward",
    "Request",
    "Writes",
    "answer_of",
    "ask",
    "body_hash",
    "entry_of",
    "recorded",
    "stored_decision",
]

_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="deterministic")
_decode_decision = msgspec.json.Decoder(Decision).decode


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A candidate, the hash that tells it from others with its id, and the id that its decision will have.

    INVARIANT: the id is drawn before anything is decided. A decision that is made once more is the same decision: where
    it can't be known whether the first became durable, the id tells.
    """

    candidate: Candidate
    body_hash: bytes
    decision_id: str


class Request(msgspec.Struct, frozen=True, gc=False):
    """Candidates to decide together, in order, by one snapshot and at one `now`.

    An error stands for a candidate that can't be decided at all. `spooled` are the answers that wait in the spool, by
    candidate id.
    """

    asked: tuple[Asked | CandidateError, ...]
    now: datetime
    compiled: Compiled
    trace_id: str | None
    spooled: dict[str, Known]

    def ids(self) -> list[str]:
        """The ids of the candidates that can be decided."""
        return [asked.candidate.id for asked in self.asked if isinstance(asked, Asked)]


class Known(msgspec.Struct, frozen=True, gc=False):
    """What a candidate was answered before, by which decision, and the hash of what it was then."""

    decision_id: str
    body_hash: bytes
    answer: bytes

    def repeat(self, asked: Asked) -> Answer | ConflictError:
        """The same answer again, or why there is none: the candidate is not the same."""
        if self.body_hash != asked.body_hash:
            return ConflictError(f"candidate id `{asked.candidate.id}` was decided before with another body")
        return Answer(_decode_decision(self.answer), self.answer, repeated=True)


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A decision and its exact bytes.

    `repeated`: it was decided before, and this is what was answered then. `fault` says why a decision that is degraded
    could not be made as it should, for the operator's log.
    """

    decision: Decision
    body: bytes
    repeated: bool = False
    fault: str | None = None


class Decided(msgspec.Struct, frozen=True, gc=False):
    """A decision for the instant `at`, with what must be written for it.

    `case` is what it rests on, where that is known. `fault` says why it could not be decided as it should. Until
    `needed_until` its tokens may come back.
    """

    asked: Asked
    request: Request
    at: datetime
    decision: Decision
    answers: Answers = {}
    takes: tuple[Take, ...] = ()
    case: Case | None = None
    fault: str | None = None
    needed_until: datetime | None = None


class Outward(msgspec.Struct, frozen=True):
    """What makes the signed parts of an allow: links and tokens, each None where the service makes none."""

    links: UnsubscribeLinks | None = None
    tokens: SendTokens | None = None


class Writes:
    """What a group of decisions writes, collected so that each room is written once."""

    def __init__(
        self,
        session: Session,
        *,
        now: datetime,
        lease: timedelta,
        keep: timedelta,
        has_caps: bool,
        outward: Outward,
    ) -> None:
        """Where there are no caps to reach (`has_caps`), the slots are left for later (`is_caps_pending`)."""
        self._session = session
        self._now = now
        self._lease = lease
        self._keep = keep
        self._has_caps = has_caps
        self._outward = outward
        self._index = session.audit.next_index()
        self._entries: list[bytes] = []
        self._decisions: list[StoredDecision] = []
        self._reservations: list[Reservation] = []

    def add(self, decided: Decided) -> tuple[Answer, Known]:
        """Add one decision; what is answered, and what is known of its candidate from now on."""
        index = self._index + len(self._entries)
        done = recorded(decided, AuditReference(index), lease=self._lease, outward=self._outward)
        answer = answer_of(done)
        stored = stored_decision(
            done.decision,
            asked=done.asked,
            answer=answer.body,
            audit_index=index,
            takes=done.takes,
            due=(self._now, self._keep),
            needed_until=done.needed_until,
            is_caps_pending=bool(done.takes) and not self._has_caps,
        )
        holding = stored.holding()
        if holding is not None and self._has_caps:
            self._reservations.append(Reservation(holding=holding, checks=self._checks(done)))
        self._entries.append(entry_of(done, answer))
        self._decisions.append(stored)
        return answer, Known(stored.decision_id, stored.body_hash, stored.answer)

    def _checks(self, done: Decided) -> tuple[CapCheck, ...]:
        return () if done.case is None or self._session.caps.is_serial else checks_of(done.case)

    def write(self) -> None:
        """Write everything, one call a room. Raises CapsMoved or DependencyError before anything is written."""
        if not self._decisions:
            return
        if self._reservations:
            self._session.caps.reserve(self._reservations, self._now)
        self._session.decisions.insert(self._decisions)
        self._session.audit.append(self._entries)


def ask(candidate: Candidate, decision_id: str) -> Asked | CandidateError:
    """The candidate, ready to be decided; an error where it holds what can't be written down."""
    try:
        return Asked(candidate, body_hash(candidate), decision_id)
    except CandidateError as error:
        return error


def recorded(decided: Decided, audit: AuditReference, *, lease: timedelta, outward: Outward | None = None) -> Decided:
    """The same with the decision as it is answered: where it is recorded and, of an allow, its lease and what it bears.

    Links and tokens are made here and not earlier, as they are signed, and a token names the place in the log.
    """
    decision, lease_until, needed_until = decided.decision, None, None
    if decision.effect == "allow":
        # From the planned instant on: what is allowed for tomorrow is still held tomorrow.
        lease_until = decided.at.astimezone(UTC) + lease
        if outward is not None:
            decision = with_link(decision, decided.asked.candidate, outward.links)
            decision, needed_until = _with_tokens(decision, decided.case, audit, outward.tokens)
    decision = msgspec.structs.replace(decision, lease_until=lease_until, audit=audit)
    return msgspec.structs.replace(decided, decision=decision, needed_until=needed_until)


def _with_tokens(
    decision: Decision, case: Case | None, audit: AuditReference, tokens: SendTokens | None
) -> tuple[Decision, datetime | None]:
    """The allow with the tokens that it carries, before the way out, and until when it is needed for them."""
    if tokens is None or decision.lane != "monetized" or case is None or audit.index is None:
        return decision, None
    carries = carried(case, decision, tokens, audit_index=audit.index)
    way_out = tuple(duty for duty in decision.obligations[-1:] if duty.type == UNSUBSCRIBE)
    others = decision.obligations[: len(decision.obligations) - len(way_out)]
    obligations = (*others, *carries.obligations, *way_out)
    return msgspec.structs.replace(decision, obligations=obligations), carries.needed_until


def answer_of(decided: Decided) -> Answer:
    """The decision as it is answered."""
    return Answer(decided.decision, _encoder.encode(decided.decision), fault=decided.fault)


def stored_decision(  # noqa: PLR0913 - each is a part of its own
    decision: Decision,
    *,
    asked: Asked,
    answer: bytes,
    audit_index: int,
    takes: tuple[Take, ...],
    due: tuple[datetime, timedelta],
    needed_until: datetime | None = None,
    owns_candidate: bool = True,
    is_caps_pending: bool = False,
) -> StoredDecision:
    """The decision as it is stored, once it was answered. `due` is what `StoredDecision.due` is made of."""
    stored = StoredDecision(
        decision_id=decision.decision_id,
        candidate_id=decision.candidate_id,
        body_hash=asked.body_hash,
        answer=answer,
        evaluated_at=decision.evaluated_at,
        audit_index=audit_index,
        state="none" if decision.lease_until is None else "reserved",
        due_at=decision.evaluated_at,
        lease_until=decision.lease_until,
        takes=takes,
        is_caps_pending=is_caps_pending,
        owns_candidate=owns_candidate,
        recipient=asked.candidate.recipient.id,
        needed_until=needed_until,
    )
    return msgspec.structs.replace(stored, due_at=stored.due(*due))


def body_hash(candidate: Candidate) -> bytes:
    """What tells two candidates with one id apart: 16 bytes of BLAKE2b over the canonical JSON.

    Raises CandidateError where it has none: a candidate that was not decoded from JSON may hold anything.
    """
    try:
        body = _canonical.encode(candidate)
    except (UnicodeError, TypeError, ValueError, OverflowError, msgspec.EncodeError) as error:
        raise CandidateError(f"the candidate can't be written as JSON: {error}") from error
    return hashlib.blake2b(body, digest_size=16).digest()


def entry_of(decided: Decided, answer: Answer) -> bytes:
    """The audit entry of a decision, with the `answer` to it byte for byte."""
    entry = DecisionEntry(
        decision=cast("Decision", msgspec.Raw(answer.body)),  # it is JSON already
        candidate=decided.asked.candidate,
        now=decided.request.now,
        at=decided.at,
        answers=decided.answers,
        takes=decided.takes,
        lease_until=decided.decision.lease_until,
        trace_id=decided.request.trace_id,
        fault=decided.fault,
    )
    return encode_entry(entry)
