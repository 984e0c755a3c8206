"""The route of a candidate, from gathered facts to an audited answer.

    open case -> gather -> evaluate -> combine -> reserve -> obligations -> audit -> answer

A group of requests runs in one session: one read a room, then candidate by candidate in order, then one write a
room. Nothing is answered before the session is durable. An error in deciding one candidate ends in a recorded deny
(for the transactional lane: a recorded, degraded allow), and never touches its neighbours (`faults`). Where all stores
are out of reach, or don't answer within the deadline, the spool takes their place (`outage`); where only the caps are,
the group is decided without them, and the slots that it takes are theirs to learn later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import chain

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.decide.case import Case, Compiled
from guardrails.decide.faults import ENGINE_DISAGREEMENT, ENGINE_FAULT, decided, opened
from guardrails.decide.gather import Ledger, gather
from guardrails.decide.in_flight import InFlight, patience_seconds
from guardrails.decide.outage import Outages
from guardrails.decide.ports import SendTokens, Session, Transactor, UnsubscribeLinks
from guardrails.decide.spool import Spool
from guardrails.decide.writes import Answer, Asked, Known, Outward, Request, Writes, ask
from guardrails.errors import CandidateError, DependencyError, EngineFault

__all__ = ["ENGINE_DISAGREEMENT", "ENGINE_FAULT", "Decider"]

UNIT_CANDIDATES = 100
"""So many candidates of a batch at most are decided in one call, so that nobody else waits long for a big one."""

DEADLINE_CANDIDATES = 100
"""So many candidates of a batch have as long again as one alone: each costs, but all share the trips to the stores."""

LEAST_SHARE = 0.5
"""Of its deadline that a request has left at least, however long it waited for others that decided the same candidates:
what they were answered by the stores, it is to be answered too, and not something else from the spool."""

ONE_TIME = timedelta(minutes=1)
"""How far the `now` of requests may be apart that are decided as of the latest of them."""


class Decider:
    """Decides candidates against the active policies. One object serves all threads."""

    def __init__(  # noqa: PLR0913 - each is a part of its own
        self,
        *,
        snapshot: Callable[[], Compiled],
        transactor: Transactor,
        spool: Spool,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        lease: timedelta,
        keep: timedelta,
        deadline: timedelta,
        links: UnsubscribeLinks | None = None,
        tokens: Callable[[], SendTokens] | None = None,
    ) -> None:
        """An allow is held for `lease`; a decision answers for its candidate for `keep` after its last change.

        `deadline` is how long the stores may take over one candidate, all calls together. `links` is None where
        recipients can't reach the service, `tokens` where there are no keys to sign any with; they are opened with the
        first decision.
        """
        self._snapshot = snapshot
        self._transactor = transactor
        self._outages = Outages(spool, lease=lease)
        self._in_flight = InFlight()
        self._clock = clock
        self._new_id = new_id
        self._lease = lease
        self._keep = keep
        self._deadline = deadline
        self._outward = cache(lambda: Outward(links, None if tokens is None else tokens()))

    def decide(
        self, candidates: Sequence[Candidate], *, now: datetime | None = None, trace_id: str | None = None
    ) -> list[Answer | CandidateError]:
        """Decide candidates in order, each seeing what those before it took; one result a candidate.

        A result is an error where that one candidate can't be decided: its `send_at` is past, or its id was used for
        another body (ConflictError). Where the stores are out of reach, the monetized lane denies and the
        transactional lane allows, degraded, both recorded in the spool. Raises DependencyError where not even the
        spool can be used; then nothing is decided, and SettingsError where its keys can't be opened.
        """
        now, compiled = now or self._clock(), self._snapshot()
        self._outward()  # where the keys can't be opened nothing is decided, and no unit of others fails for it
        results: list[Answer | CandidateError] = []
        for first in range(0, len(candidates), UNIT_CANDIDATES):
            some = candidates[first : first + UNIT_CANDIDATES]
            results.extend(self._decide(some, now=now, compiled=compiled, trace_id=trace_id))
        return results

    def _decide(
        self, candidates: Sequence[Candidate], *, now: datetime, compiled: Compiled, trace_id: str | None
    ) -> list[Answer | CandidateError]:
        """Decide candidates together, once nobody else does."""
        began = time.monotonic()
        asked = tuple([ask(candidate, self._new_id()) for candidate in candidates])
        seconds = self._deadline.total_seconds() * (1 + len(asked) / DEADLINE_CANDIDATES)
        candidate_ids = frozenset([candidate.id for candidate in candidates])
        with self._in_flight.alone(candidate_ids, timeout_seconds=patience_seconds(seconds)) as flight:
            if flight.known.keys() >= candidate_ids:
                return [_repeated(each, flight.known) for each in asked]
            patience = patience_seconds(seconds) - (time.monotonic() - began)
            with self._outages.alone(candidate_ids, timeout_seconds=max(0.0, patience)):
                known = flight.known | self._outages.answered(candidate_ids)
                left = seconds - (time.monotonic() - began)
                request = Request(asked, now, compiled, trace_id, known)
                results = self._answer(request, seconds=max(left, seconds * LEAST_SHARE))
            flight.answers = partial(_answers_by_id, asked, results)
            return results

    def _answer(self, request: Request, *, seconds: float) -> list[Answer | CandidateError]:
        """One call on the stores, or one on the spool."""
        try:
            return self._transactor.call(self._decide_group, request, timeout_seconds=seconds, size=len(request.asked))
        except DependencyError as fault:
            return self._outages.answer(request, fault)

    def _decide_group(self, session: Session, requests: list[Request]) -> list[list[Answer | CandidateError]]:
        """The handler: all requests that arrived together, in one session."""
        return list(chain.from_iterable(self._decide_run(session, run) for run in _runs(requests)))

    def _decide_run(self, session: Session, requests: list[Request]) -> list[list[Answer | CandidateError]]:
        """Requests of one time."""
        try:
            return self._decide_all(session, requests)
        except DependencyError as fault:
            if fault.dependency != "caps":
                raise
            return self._decide_all(session, requests, caps_fault=fault)  # nothing was written yet

    def _decide_all(
        self, session: Session, requests: list[Request], *, caps_fault: DependencyError | None = None
    ) -> list[list[Answer | CandidateError]]:
        now = max(request.now for request in requests)
        known = _answered_before(session, requests)
        opened_all = [_open_all(request, known) for request in requests]
        cases = [each for opened_cases in opened_all for each in opened_cases if isinstance(each, Case)]
        writes = Writes(
            session, now=now, lease=self._lease, keep=self._keep, has_caps=caps_fault is None, outward=self._outward()
        )
        group = _Group(known, gather(session, cases, now, caps_fault=caps_fault), writes)
        results = [group.decide(request, opened) for request, opened in zip(requests, opened_all, strict=True)]
        writes.write()
        for policy_set in {request.compiled.policy_set for request in requests}:  # mostly one
            session.policies.keep(policy_set.revision, policy_set.files, now)
        return results


class _Group(msgspec.Struct, frozen=True):
    """What the candidates that are decided together share; each sees what those before it changed."""

    known: dict[str, Known]
    ledger: Ledger
    writes: Writes

    def decide(self, request: Request, opened_cases: list[Case | Exception]) -> list[Answer | CandidateError]:
        """One result for each candidate of the request."""
        return [self._answer(asked, request, case) for asked, case in zip(request.asked, opened_cases, strict=True)]

    def _answer(
        self, asked: Asked | CandidateError, request: Request, case: Case | Exception
    ) -> Answer | CandidateError:
        if isinstance(asked, CandidateError):
            return asked
        known = self.known.get(asked.candidate.id)
        if known is not None:
            return known.repeat(asked)
        if isinstance(case, CandidateError):
            return case
        answer, self.known[asked.candidate.id] = self.writes.add(decided(asked, request, case, self.ledger))
        return answer


def _runs(requests: list[Request]) -> list[list[Request]]:
    """The requests, in order, those apart whose `now` is another time: a process was frozen, or a clock was set."""
    runs = [[requests[0]]]
    for request in requests[1:]:
        if abs(request.now - runs[-1][0].now) <= ONE_TIME / 2:  # whichever side, so that no two are further apart
            runs[-1].append(request)
        else:
            runs.append([request])
    return runs


def _answered_before(session: Session, requests: list[Request]) -> dict[str, Known]:
    """What is known of the candidates, by id: the first answer of each.

    That is the stored one, unless it is the same decision that was answered from the spool: then it was given up while
    it became durable, and the spooled answer is the one that was given here.
    """
    candidate_ids = [candidate_id for request in requests for candidate_id in request.ids()]
    known = {
        candidate_id: Known(stored.decision_id, stored.body_hash, stored.answer)
        for candidate_id, stored in session.decisions.by_candidate(candidate_ids).items()
    }
    for candidate_id, spooled in chain.from_iterable(request.spooled.items() for request in requests):
        if known.get(candidate_id, spooled).decision_id == spooled.decision_id:
            known[candidate_id] = spooled
    return known


def _repeated(asked: Asked | CandidateError, known: Mapping[str, Known]) -> Answer | CandidateError:
    return asked if isinstance(asked, CandidateError) else known[asked.candidate.id].repeat(asked)


def _answers_by_id(
    asked: Sequence[Asked | CandidateError], results: Sequence[Answer | CandidateError]
) -> dict[str, Known]:
    """What others who wait for the same candidates are answered: the same."""
    return {
        each.candidate.id: Known(result.decision.decision_id, each.body_hash, result.body)
        for each, result in zip(asked, results, strict=True)
        if isinstance(each, Asked) and isinstance(result, Answer)
    }


def _open_all(request: Request, known: Mapping[str, Known]) -> list[Case | Exception]:
    return [
        _NOTHING_TO_OPEN
        if isinstance(asked, CandidateError) or asked.candidate.id in known
        else opened(asked.candidate, request)
        for asked in request.asked
    ]


_NOTHING_TO_OPEN = EngineFault("there is nothing to open")
