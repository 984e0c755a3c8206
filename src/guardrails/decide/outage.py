"""Outages: what is answered where the stores are out of reach, and how it stays the answer.

A whole request is judged by what its candidates and the clock say alone, recorded in the spool with one write, and
answered. The monetized lane denies in any case; what the transactional lane allows takes its slots once the spool is
drained (`drain`). A candidate is answered once: again during the outage, or after it while the spool still waits, it
is answered from the spool.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from guardrails.core.candidate import Candidate
from guardrails.core.decision import AuditReference
from guardrails.decide.entry import encode_entry
from guardrails.decide.faults import decided, opened, without_store
from guardrails.decide.gather import Ledger
from guardrails.decide.spool import Spool, Unreadable, read_spooled
from guardrails.decide.writes import (
    Answer,
    Asked,
    Decided,
    Known,
    Request,
    answer_of,
    ask,
    body_hash,
    entry_of,
    recorded,
)
from guardrails.errors import CandidateError, DependencyError

__all__ = ["Outages"]


class Outages:
    """Answers without the stores, and knows what was answered so."""

    def __init__(self, spool: Spool, *, lease: timedelta) -> None:
        self._spool = spool
        self._lease = lease

    def answered(self, candidates: Iterable[Candidate]) -> dict[str, Known]:
        """The answers that wait in the spool, by candidate id. Raises DependencyError where it can't be read."""
        try:
            if self._spool.is_empty:
                return {}
            return _known(self._spool.answered([candidate.id for candidate in candidates]))
        except OSError as error:
            raise _spool_fault(f"can't be read: {error}") from error

    def answer(self, request: Request, fault: DependencyError) -> list[Answer | CandidateError]:
        """Answer all candidates of a request, one result each.

        Raises DependencyError where the spool can't be written: nothing is answered that is recorded nowhere.
        """
        known = dict(request.spooled)
        new: dict[str, Answer] = {}
        entries: dict[str, bytes] = {}
        refused: dict[int, CandidateError] = {}
        for place, (candidate, decision_id) in enumerate(zip(request.candidates, request.decision_ids, strict=True)):
            if candidate.id in known:
                continue
            try:
                done = self._decide(ask(candidate, decision_id, request), fault)
            except CandidateError as error:
                refused[place] = error
                continue
            new[candidate.id] = answer = answer_of(done)
            entries[candidate.id] = encode_entry(entry_of(done))
            known[candidate.id] = Known(decision_id, done.asked.body_hash, answer.body)
        for candidate_id, standing in _known(self._append(entries)).items():  # asked elsewhere too, and answered there
            del new[candidate_id]
            known[candidate_id] = standing
        return [
            refused.get(place) or new.pop(candidate.id, None) or known[candidate.id].repeat(candidate)
            for place, candidate in enumerate(request.candidates)
        ]

    def _decide(self, asked: Asked, fault: DependencyError) -> Decided:
        """What can be judged from the candidate and the clock alone."""
        done = decided(asked, opened(asked.candidate, asked.request), Ledger.unavailable())
        return recorded(without_store(done, fault), AuditReference(spooled=True), lease=self._lease)

    def _append(self, entries: Mapping[str, bytes]) -> Mapping[str, bytes]:
        try:
            return self._spool.append(entries)
        except OSError as error:
            raise _spool_fault(f"can't be written: {error}") from error


def _known(lines: Mapping[str, bytes]) -> dict[str, Known]:
    try:
        spooled = {candidate_id: read_spooled(line) for candidate_id, line in lines.items()}
    except Unreadable as error:
        raise _spool_fault(f"holds what can't be read: {error}") from error
    return {
        candidate_id: Known(each.entry.decision.decision_id, body_hash(each.entry.candidate), each.answer)
        for candidate_id, each in spooled.items()
    }


def _spool_fault(message: str) -> DependencyError:
    return DependencyError(f"the audit spool {message}", dependency="spool")
