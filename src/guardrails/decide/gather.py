"""Gather: one read a room for all cases together, then each case's answers, with what its forerunners took.

Cases that are decided together are decided in order, and each sees the slots of those before it: `Ledger` keeps the
answers of the rooms and adds what was taken since.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from guardrails.core.needs import Answer, ConsentQuery, PreferenceQuery, Query, Take, Usage, UsageQuery
from guardrails.decide.case import Answers, Case
from guardrails.decide.ports import Session

__all__ = ["Ledger", "gather"]


class Ledger:
    """The rooms' answers for a group of cases, and the slots taken within the group."""

    def __init__(self, answers: Mapping[Query, Answer]) -> None:
        self._answers = answers
        self._taken: dict[tuple[str, str], list[tuple[datetime, datetime | None]]] = {}

    @classmethod
    def unavailable(cls) -> Ledger:
        """The ledger where no room answered: what needs one stays unanswered."""
        return cls({})

    def answers_for(self, case: Case) -> Answers:
        """The answers to the case's questions as of now: with everything that was taken before it."""
        return {
            fact: None if queries is None else tuple(self._answer(query) for query in queries)
            for fact, queries in case.questions.items()
            if queries is None or all(query in self._answers for query in queries)
        }

    def take(self, takes: Iterable[Take], at: datetime) -> None:
        """Let the cases that follow see these slots, which count from `at` on where they count when reserved."""
        for take in takes:
            if take.count_on != "reserved":
                continue
            seconds = take.countdown_seconds
            until = None if seconds is None else at + timedelta(seconds=seconds)
            self._taken.setdefault((take.cap, take.key), []).append((at, until))

    def _answer(self, query: Query) -> Answer:
        answer = self._answers[query]
        if not isinstance(query, UsageQuery) or not isinstance(answer, Usage):
            return answer
        taken = self._taken.get((query.cap, query.key))
        return answer if taken is None else _with_taken(query, answer, taken)


def gather(session: Session, cases: Iterable[Case], now: datetime) -> Ledger:
    """Ask each room once for all that the cases need. Raises DependencyError where a room does not answer."""
    consents: dict[ConsentQuery, None] = {}
    preferences: dict[PreferenceQuery, None] = {}
    usages: dict[UsageQuery, None] = {}
    for case in cases:
        for queries in case.questions.values():
            for query in queries or ():
                if isinstance(query, UsageQuery):
                    usages[query] = None
                elif isinstance(query, ConsentQuery):
                    consents[query] = None
                else:
                    preferences[query] = None
    answers: dict[Query, Answer] = {}
    if consents:
        answers.update(session.consents.read(tuple(consents)).items())
    if preferences:
        answers.update(session.preferences.read(tuple(preferences)).items())
    if usages:
        answers.update(session.caps.read(tuple(usages), now).items())
    return Ledger(answers)


def _with_taken(query: UsageQuery, usage: Usage, taken: Iterable[tuple[datetime, datetime | None]]) -> Usage:
    times = list(usage.times)
    for counted_at, until in taken:
        instant = counted_at if query.by == "counted_at" else until
        if instant is not None and instant >= query.since:
            bisect.insort(times, instant)
    excess = max(0, len(times) - query.newest)
    return Usage(usage.older + excess, tuple(times[excess:]))
