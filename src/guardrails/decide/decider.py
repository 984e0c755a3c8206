"""The route of a candidate, from gathered facts to an audited answer.

    open case -> gather -> evaluate -> combine -> reserve -> obligations -> audit -> answer

A group of requests runs in one session: one read a room, then candidate by candidate in order, then one write a
room. Nothing is answered before the session is durable. An error in deciding one candidate ends in a recorded deny
(for the transactional lane: a recorded, degraded allow), and never touches its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from guardrails.core.candidate import Candidate, effective_time
from guardrails.core.decision import AuditReference, Decision
from guardrails.core.needs import Take
from guardrails.decide.case import Case, Compiled, open_case
from guardrails.decide.entry import encode_entry
from guardrails.decide.gather import Ledger, gather
from guardrails.decide.judgement import decision_of, judge, takes_of
from guardrails.decide.ports import Session, StoredDecision, Transactor
from guardrails.decide.reasons import FACTS_UNAVAILABLE, route_reason
from guardrails.decide.writes import Answer, Asked, Decided, Request, Writes, answer_of, body_hash, entry_of
from guardrails.errors import CandidateError, ConflictError, DependencyError, EngineDisagreement, EngineFault

__all__ = ["ENGINE_DISAGREEMENT", "ENGINE_FAULT", "Decider", "Spool"]

ENGINE_FAULT = "engine.fault"
ENGINE_DISAGREEMENT = "engine.disagreement"


class Spool(Protocol):
    """Where entries go while the log is out of reach."""

    def append(self, entry: bytes) -> None:
        """Keep the entry durably. Raises OSError where even that is impossible."""


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
        writes = Writes(session.audit.next_index(), self._lease)
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
        writes: Writes,
    ) -> Answer | CandidateError:
        try:
            if candidate.id in stored:
                return _repeat(candidate, stored[candidate.id])
            asked = _ask(candidate, request)
        except CandidateError as refused:
            return refused
        answer, stored[candidate.id] = writes.add(self._decide_one(asked, case, ledger))
        return answer

    def _decide_one(self, asked: Asked, case: Case | Exception | None, ledger: Ledger) -> Decided:
        try:
            if not isinstance(case, Case):
                raise case or EngineFault("the case was not opened")  # noqa: TRY301 - judged below, with all the rest
            case.answers = ledger.answers_for(case)
            decision = judge(case, self._new_id())
            takes = takes_of(case) if decision.effect == "allow" else ()
        except Exception as error:  # noqa: BLE001 - the one place: whatever went wrong ends in a recorded decision
            decision, takes = self._decision_after(asked, case, error)
            ledger.take(takes, asked.at)
            return Decided(asked, decision, takes=takes, fault=f"{type(error).__name__}: {error}")
        ledger.take(takes, case.at)
        return Decided(asked, decision, case.answers, takes)

    def _decision_after(
        self, asked: Asked, case: Case | Exception | None, error: Exception
    ) -> tuple[Decision, tuple[Take, ...]]:
        """The lane's answer where a candidate could not be decided, and the slots that it takes.

        Engines that disagree deny in both lanes. Otherwise the transactional lane allows what the native engine, by
        itself, does not deny; where that fails too, nothing but transactional content, which is what the lane is for.
        """
        disagreement = isinstance(error, EngineDisagreement)
        code = ENGINE_DISAGREEMENT if disagreement else ENGINE_FAULT
        reason = route_reason(code, "the engines disagree" if disagreement else "the engine could not decide")
        takes: tuple[Take, ...] = ()
        allowed = asked.candidate.lane == "transactional" and not disagreement
        if allowed:
            try:
                if not isinstance(case, Case):
                    raise error  # noqa: TRY301 - there is nothing that could be asked
                allowed, takes = case.combined_at(case.at).effect == "allow", takes_of(case)
            except Exception:  # noqa: BLE001 - the first error is the one that is recorded
                allowed = asked.candidate.content.class_ == "transactional"
        decision = decision_of(
            asked.candidate,
            asked.at,
            asked.request.compiled,
            self._new_id(),
            effect="allow" if allowed else "deny",
            reasons=() if allowed else (reason,),
            degraded=True,
        )
        return decision, takes if allowed else ()

    def _decide_without_stores(
        self, candidate: Candidate, request: Request, error: DependencyError
    ) -> Answer | CandidateError:
        """What can be judged from the candidate and the clock alone; the monetized lane denies in any case."""
        try:
            asked = _ask(candidate, request)
        except CandidateError as refused:
            return refused
        decided = self._decide_one(asked, _open(candidate, request, {}), Ledger.unavailable())
        decision = msgspec.structs.replace(decided.decision, degraded=True, audit=AuditReference(spooled=True))
        if candidate.lane == "monetized" and all(reason.code != FACTS_UNAVAILABLE for reason in decision.reasons):
            reason = route_reason(FACTS_UNAVAILABLE, f"the {error.dependency} did not answer")
            decision = msgspec.structs.replace(
                decision, effect="deny", reasons=(*decision.reasons, reason), obligations=(), retry_at=None
            )
        why = decided.fault or f"{type(error).__name__}: {error}"
        decided = Decided(asked, decision, decided.answers, fault=why)
        try:
            self._spool.append(encode_entry(entry_of(decided, None)))
        except OSError as fault:  # nothing is answered that is recorded nowhere
            raise DependencyError(f"the audit spool can't be written: {fault}", dependency="spool") from fault
        return answer_of(decision, fault=why)


def _ask(candidate: Candidate, request: Request) -> Asked:
    """Raises CandidateError where the candidate can't be decided at all."""
    return Asked(candidate, effective_time(candidate, request.now), request, body_hash(candidate))


def _open(candidate: Candidate, request: Request, stored: Mapping[str, StoredDecision]) -> Case | Exception | None:
    """The candidate's case; None where it is decided already; the error where it can't be opened."""
    if candidate.id in stored:
        return None
    try:
        return open_case(request.compiled, candidate, effective_time(candidate, request.now))
    except Exception as error:  # noqa: BLE001 - kept for `_decide_one`, which judges it
        return error


def _repeat(candidate: Candidate, stored: StoredDecision) -> Answer:
    if stored.body_hash != body_hash(candidate):
        raise ConflictError(f"candidate id `{candidate.id}` was decided before with another body")
    return Answer(_decode_decision(stored.answer), stored.answer, repeated=True)
