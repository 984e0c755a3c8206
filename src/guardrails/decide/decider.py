"""The route of a candidate, from gathered facts to an audited answer.

    open case -> gather -> evaluate -> combine -> reserve -> obligations -> audit -> answer

A group of requests runs in one session: one read a room, then candidate by candidate in order, then one write a
room. Nothing is answered before the session is durable. An error in deciding one candidate ends in a recorded deny
(for the transactional lane: a recorded, degraded allow), and never touches its neighbours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Protocol

import msgspec

from guardrails.core.candidate import Candidate, effective_time
from guardrails.core.combine import Combined
from guardrails.core.decision import AuditReference, Decision, ReasonGiven
from guardrails.core.needs import Take
from guardrails.core.policy import Verdict
from guardrails.core.timing import Zone, zones_of
from guardrails.decide.case import Answers, Case, Compiled, open_case
from guardrails.decide.entry import DecisionEntry, encode_entry
from guardrails.decide.gather import Ledger, gather
from guardrails.decide.ports import Reservation, Session, StoredDecision, Transactor
from guardrails.decide.reasons import FACTS_UNAVAILABLE, local, obligations_of, reason_of, reasons_of, route_reason
from guardrails.decide.retry import retry_at
from guardrails.errors import CandidateError, ConflictError, DependencyError, EngineDisagreement, EngineFault

__all__ = ["Answer", "Decider", "Request", "Spool", "judge", "takes_of"]

ENGINE_FAULT = "engine.fault"
ENGINE_DISAGREEMENT = "engine.disagreement"

_RECIPIENTS_ZONE = Zone("recipient", "deny")


class Request(msgspec.Struct, frozen=True):
    """Candidates to decide together, in order, by one snapshot and at one `now`."""

    candidates: tuple[Candidate, ...]
    now: datetime
    compiled: Compiled
    trace_id: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """A decision and its exact bytes. `repeated`: it was decided before, and this is what was answered then."""

    decision: Decision
    body: bytes
    repeated: bool = False


class Spool(Protocol):
    """Where entries go while the log is out of reach."""

    def append(self, entry: bytes) -> None:
        """Keep the entry durably. Raises OSError where even that is impossible."""


class _Asked(msgspec.Struct, frozen=True):
    """A candidate with the instant it is to be decided for."""

    candidate: Candidate
    at: datetime
    request: Request


class _Decided(msgspec.Struct, frozen=True):
    """A decision with what must be written for it. `fault` says why it could not be decided as it should."""

    asked: _Asked
    decision: Decision
    answers: Answers = {}
    takes: tuple[Take, ...] = ()
    fault: str | None = None


_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="deterministic")
_decode_decision = msgspec.json.Decoder(Decision).decode


class Decider:
    """Decides candidates against the active policies. One object serves all threads."""

    def __init__(
        self,
        *,
        snapshot: Callable[[], Compiled],
        transactor: Transactor,
        spool: Spool,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        lease: timedelta,
    ) -> None:
        self._snapshot = snapshot
        self._transactor = transactor
        self._spool = spool
        self._clock = clock
        self._new_id = new_id
        self._lease = lease

    def decide(
        self, candidates: Sequence[Candidate], *, now: datetime | None = None, trace_id: str | None = None
    ) -> list[Answer | CandidateError]:
        """Decide candidates in order, each seeing what those before it took; one result a candidate.

        A result is an error where that one candidate can't be decided: its `send_at` is past, or its id was used for
        another body (ConflictError). Where the stores are out of reach, the monetized lane denies and the
        transactional lane allows, degraded, both recorded in the spool.
        """
        request = Request(tuple(candidates), now or self._clock(), self._snapshot(), trace_id)
        try:
            return self._transactor.call(self._decide_group, request)
        except DependencyError as error:
            return [self._decide_without_stores(candidate, request, error) for candidate in request.candidates]

    def _decide_group(self, session: Session, requests: list[Request]) -> list[list[Answer | CandidateError]]:
        """The handler: all requests that arrived together, in one session."""
        now = max(request.now for request in requests)
        stored = dict(session.decisions.by_candidate([each.id for request in requests for each in request.candidates]))
        opened = [[_open(candidate, request, stored) for candidate in request.candidates] for request in requests]
        ledger = gather(session, [case for cases in opened for case in cases if isinstance(case, Case)], now)
        writes = _Writes(session.audit.next_index(), self._lease)
        results = [
            [
                self._answer(candidate, case, request, ledger, stored, writes)
                for candidate, case in zip(request.candidates, cases, strict=True)
            ]
            for request, cases in zip(requests, opened, strict=True)
        ]
        writes.write(session)
        for policy_set in {request.compiled.policy_set for request in requests}:  # mostly one
            session.policies.keep(policy_set.revision, policy_set.files, now)
        return results

    def _answer(
        self,
        candidate: Candidate,
        case: Case | Exception | None,
        request: Request,
        ledger: Ledger,
        stored: dict[str, StoredDecision],
        writes: _Writes,
    ) -> Answer | CandidateError:
        if isinstance(case, CandidateError):
            return case
        if candidate.id in stored:
            return _repeat(candidate, stored[candidate.id])
        asked = _Asked(candidate, effective_time(candidate, request.now), request)
        answer, stored[candidate.id] = writes.add(self._decide_one(asked, case, ledger))
        return answer

    def _decide_one(self, asked: _Asked, case: Case | Exception | None, ledger: Ledger) -> _Decided:
        try:
            if not isinstance(case, Case):
                raise case or EngineFault("the case was not opened")  # noqa: TRY301 - judged below, with all the rest
            case.answers = ledger.answers_for(case)
            decision = judge(case, self._new_id())
            takes = takes_of(case) if decision.effect == "allow" else ()
        except Exception as error:  # noqa: BLE001 - the one place: whatever went wrong ends in a recorded decision
            return _Decided(asked, self._decision_after(asked, error), fault=f"{type(error).__name__}: {error}")
        ledger.take(takes, case.at)
        return _Decided(asked, decision, case.answers, takes)

    def _decision_after(self, asked: _Asked, error: Exception) -> Decision:
        """The lane's answer where a candidate could not be decided. Engines that disagree deny in both lanes."""
        disagreement = isinstance(error, EngineDisagreement)
        code = ENGINE_DISAGREEMENT if disagreement else ENGINE_FAULT
        reason = route_reason(code, "the engines disagree" if disagreement else "the engine could not decide")
        allowed = asked.candidate.lane == "transactional" and not disagreement
        return _decision(
            asked.candidate,
            asked.at,
            asked.request.compiled,
            self._new_id(),
            allowed=allowed,
            reasons=() if allowed else (reason,),
            degraded=True,
        )

    def _decide_without_stores(
        self, candidate: Candidate, request: Request, error: DependencyError
    ) -> Answer | CandidateError:
        """What can be judged from the candidate and the clock alone; the monetized lane denies in any case."""
        case = _open(candidate, request, {})
        if isinstance(case, CandidateError):
            return case
        asked = _Asked(candidate, effective_time(candidate, request.now), request)
        decided = self._decide_one(asked, case, Ledger.unavailable())
        decision = msgspec.structs.replace(decided.decision, degraded=True, audit=AuditReference(spooled=True))
        if candidate.lane == "monetized" and all(reason.code != FACTS_UNAVAILABLE for reason in decision.reasons):
            reason = route_reason(FACTS_UNAVAILABLE, f"the {error.dependency} did not answer")
            decision = msgspec.structs.replace(
                decision, effect="deny", reasons=(*decision.reasons, reason), obligations=(), retry_at=None
            )
        fault = decided.fault or f"{type(error).__name__}: {error}"
        decided = _Decided(asked, decision, decided.answers, fault=fault)
        self._spool.append(encode_entry(_entry(decided, None)))
        return Answer(decision, _encoder.encode(decision))


class _Writes:
    """What a group of decisions writes, collected so that each room is written once."""

    def __init__(self, index: int, lease: timedelta) -> None:
        self._index = index
        self._lease = lease
        self._entries: list[bytes] = []
        self._decisions: list[StoredDecision] = []
        self._reservations: list[Reservation] = []

    def add(self, decided: _Decided) -> tuple[Answer, StoredDecision]:
        """Add one decision; what is answered and what is stored of it."""
        index = self._index + len(self._entries)
        decision = msgspec.structs.replace(decided.decision, audit=AuditReference(index))
        body = _encoder.encode(decision)
        # From the planned instant on: what is allowed for tomorrow is still held tomorrow.
        lease_until = decided.asked.at + self._lease if decision.effect == "allow" else None
        if decided.takes and lease_until is not None:
            self._reservations.append(
                Reservation(
                    decision_id=decision.decision_id, takes=decided.takes, at=decided.asked.at, lease_until=lease_until
                )
            )
        self._entries.append(encode_entry(_entry(msgspec.structs.replace(decided, decision=decision), lease_until)))
        stored = StoredDecision(
            decision_id=decision.decision_id,
            candidate_id=decision.candidate_id,
            body_hash=_hash(decided.asked.candidate),
            answer=body,
            evaluated_at=decision.evaluated_at,
            audit_index=index,
            state="none" if lease_until is None else "reserved",
            lease_until=lease_until,
        )
        self._decisions.append(stored)
        return Answer(decision, body), stored

    def write(self, session: Session) -> None:
        """Write everything, one call a room."""
        if not self._decisions:
            return
        if self._reservations:
            session.caps.reserve(self._reservations)
        session.decisions.insert(self._decisions)
        session.audit.append(self._entries)


def judge(case: Case, decision_id: str) -> Decision:
    """The decision on a case whose questions are answered: a pure function of the case. `audit` is not set yet."""
    facts, combined = case.decide()
    zones = zones_of(_RECIPIENTS_ZONE, case.candidate.recipient)
    zone = zones[0] if zones else UTC
    monitored = tuple(reason_of(case, blocked, facts, zone) for blocked in combined.monitored)
    degraded = bool(case.questions.keys() - case.answers.keys())
    if combined.effect == "allow":
        return _decision(
            case.candidate,
            case.at,
            case.compiled,
            decision_id,
            allowed=True,
            obligations=obligations_of(combined.satisfied, facts),
            monitored=monitored,
            degraded=degraded,
        )
    return _denied(
        case, decision_id, combined, reasons_of(case, combined, facts, zone), monitored, zone=zone, degraded=degraded
    )


def takes_of(case: Case) -> tuple[Take, ...]:
    """The slots that a send of the case's candidate takes: of every cap that counts it, or may count it."""
    compiled = case.compiled
    selected = compiled.counting.select(case.candidate_facts)
    counted = compiled.counting_engine.evaluate(selected.selection, case.candidate_facts)
    return tuple(
        take
        for policy, verdict in zip(selected.policies, counted, strict=True)
        if policy.cap is not None and verdict is not Verdict.NOT_APPLICABLE
        for take in policy.cap.takes(case.candidate)
    )


def _denied(
    case: Case,
    decision_id: str,
    combined: Combined,
    reasons: tuple[ReasonGiven, ...],
    monitored: tuple[ReasonGiven, ...],
    *,
    zone: tzinfo,
    degraded: bool,
) -> Decision:
    at, blocked_by = retry_at(case, combined)
    return _decision(
        case.candidate,
        case.at,
        case.compiled,
        decision_id,
        allowed=False,
        reasons=reasons,
        monitored=monitored,
        retry_at=local(at, zone),
        blocked_by=blocked_by,
        degraded=degraded,
    )


def _decision(
    candidate: Candidate,
    at: datetime,
    compiled: Compiled,
    decision_id: str,
    *,
    allowed: bool,
    degraded: bool,
    **rest: Any,  # noqa: ANN401 - the fields of a Decision, which checks them
) -> Decision:
    return Decision(
        decision_id=decision_id,
        candidate_id=candidate.id,
        effect="allow" if allowed else "deny",
        lane=candidate.lane,
        policy_revision=compiled.policy_set.revision,
        evaluated_at=at,
        degraded=degraded,
        **rest,
    )


def _open(candidate: Candidate, request: Request, stored: Mapping[str, StoredDecision]) -> Case | Exception | None:
    """The candidate's case; None where it is decided already; the error where it can't be opened."""
    if candidate.id in stored:
        return None
    try:
        return open_case(request.compiled, candidate, effective_time(candidate, request.now))
    except Exception as error:  # noqa: BLE001 - kept for `_decide_one`, which judges it
        return error


def _repeat(candidate: Candidate, stored: StoredDecision) -> Answer | ConflictError:
    if stored.body_hash != _hash(candidate):
        return ConflictError(f"candidate id `{candidate.id}` was decided before with another body")
    return Answer(_decode_decision(stored.answer), stored.answer, repeated=True)


def _hash(candidate: Candidate) -> bytes:
    """What tells two candidates with one id apart: 16 bytes of BLAKE2b over the canonical JSON."""
    return hashlib.blake2b(_canonical.encode(candidate), digest_size=16).digest()


def _entry(decided: _Decided, lease_until: datetime | None) -> DecisionEntry:
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
