"""Outages: what is answered where the stores are out of reach, and how it stays the answer.

A whole request is judged by what its candidates and the clock say alone, recorded in the spool with one write, and
answered. The monetized lane denies in any case; what the transactional lane allows takes its slots once the spool is
drained (`drain`). A candidate is answered once: again during the outage, or after it while the spool still waits, it
is answered from the spool.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta

from guardrails.core.decision import AuditReference
from guardrails.decide.case import Case
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
    body_hash,
    entry_of,
    recorded,
)
from guardrails.errors import CandidateError, DependencyError

__all__ = ["Outages"]

_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What a process lacks at the moment, and another one, or itself a moment later, does not."""


class Outages:
    """Answers without the stores, and knows what was answered so."""

    def __init__(self, spool: Spool, *, lease: timedelta) -> None:
        self._spool = spool
        self._lease = lease

    @contextmanager
    def alone(self, candidate_ids: Iterable[str], *, timeout_seconds: float) -> Iterator[None]:
        """Decide these candidates while no other process of the machine does.

        Otherwise one that still reaches the stores could decide there what another has just given up and answers from
        the spool. Raises DependencyError where another process does so for longer than `timeout_seconds`.
        """
        with ExitStack() as held:
            try:
                held.enter_context(self._spool.alone(candidate_ids, timeout_seconds=timeout_seconds))
            except TimeoutError as error:
                raise _spool_fault(f"is not to be had: {error}") from error
            except OSError as error:
                if error.errno in _PASSING:
                    raise _spool_fault(f"can't be locked: {error}") from error
                # A disk that takes no locks takes no entries either, so that nobody answers from there.
            yield

    def answered(self, candidate_ids: Iterable[str]) -> dict[str, Known]:
        """The answers that wait in the spool, by candidate id. Raises DependencyError where it can't be read."""
        try:
            return {} if self._spool.is_empty else _known(self._spool.answered(candidate_ids))
        except OSError as error:
            raise _spool_fault(f"can't be read: {error}") from error

    def answer(self, request: Request, fault: DependencyError) -> list[Answer | CandidateError]:
        """Answer all candidates of a request, one result each.

        Raises DependencyError where the spool can't be written: nothing is answered that is recorded nowhere.
        """
        known = dict(request.spooled)
        new: dict[int, Answer | CandidateError] = {}  # by place
        entries: dict[str, bytes] = {}
        for place, asked in enumerate(request.asked):
            if isinstance(asked, CandidateError) or asked.candidate.id in known:
                continue
            case = opened(asked.candidate, request)
            if isinstance(case, CandidateError):
                new[place] = case
                continue
            done = self._decided(asked, request, case, fault)
            new[place] = answer = answer_of(done)
            entries[asked.candidate.id] = entry_of(done, answer)
            known[asked.candidate.id] = Known(asked.decision_id, asked.body_hash, answer.body)
        standing = _known(self._append(entries))  # another process was asked the same, and was first
        known |= standing
        results: list[Answer | CandidateError] = []
        for place, asked in enumerate(request.asked):
            if isinstance(asked, CandidateError):
                results.append(asked)
            elif place in new and asked.candidate.id not in standing:
                results.append(new[place])
            else:
                results.append(known[asked.candidate.id].repeat(asked))
        return results

    def _decided(self, asked: Asked, request: Request, case: Case | Exception, fault: DependencyError) -> Decided:
        """What can be judged from the candidate and the clock alone."""
        done = without_store(decided(asked, request, case, Ledger.unavailable()), fault)
        return recorded(done, AuditReference(spooled=True), lease=self._lease)

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
