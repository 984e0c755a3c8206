"""Gather: one read a room for all cases together, then each case's answers, with what its forerunners took.

Offers are read first: their terms complete the candidates, and which policies there are to ask for hangs on that. Then
preferences: where a candidate brings no zone, what is asked of the caps hangs on the one that the recipient chose.

Cases that are decided together are decided in order, and each sees the slots of those before it: `Ledger` keeps the
answers of the rooms and adds to them what is taken since.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from guardrails.core.needs import (
    PREFERENCES,
    Answer,
    ConsentQuery,
    OfferQuery,
    OfferTerms,
    PreferenceQuery,
    Preferences,
    Query,
    Take,
    Usage,
    UsageQuery,
)
from guardrails.decide.case import Answers, Case, zone_in
from guardrails.decide.ports import Session
from guardrails.errors import DependencyError

__all__ = ["Ledger", "complete", "gather"]


class Ledger:
    """The rooms' answers for a group of cases, kept up to date with the slots taken within the group.

    `caps_fault` says why nothing is known of the caps, where that is so.
    """

    def __init__(self, answers: Mapping[Query, Answer], *, caps_fault: DependencyError | None = None) -> None:
        self.caps_fault = caps_fault
        self._answers = dict(answers)
        self._usages: dict[tuple[str, str], list[UsageQuery]] = {}
        for query in self._answers:
            if type(query) is UsageQuery:
                self._usages.setdefault((query.cap, query.key), []).append(query)

    @classmethod
    def unavailable(cls) -> Ledger:
        """The ledger where no room answered: what needs one stays unanswered."""
        return cls({})

    def answers_for(self, case: Case) -> Answers:
        """The answers to the case's questions as of now: with everything that was taken before it."""
        known = self._answers
        answers: dict[str, tuple[Answer, ...] | None] = {}
        for fact, queries in case.questions.items():
            try:
                answers[fact] = None if queries is None else tuple([known[query] for query in queries])
            except KeyError:  # the room did not answer
                continue
        chosen = None if case.shares_preferences else answers.get(PREFERENCES)
        if chosen is not None:  # of all that they chose, the entry is to hold no more than was asked for
            answers[PREFERENCES] = (Preferences(timezone=zone_in(chosen)),)
        return answers

    def take(self, takes: Iterable[Take], at: datetime) -> None:
        """Let the cases that follow see these slots, which count from `at` on where they count when reserved."""
        for take in takes:
            if take.count_on != "reserved":
                continue
            instant = at if take.countdown_seconds is None else at + timedelta(seconds=take.countdown_seconds)
            for query in self._usages.get((take.cap, take.key), ()):
                usage = self._answers[query]
                if isinstance(usage, Usage) and instant >= query.since:
                    self._answers[query] = _with_more(query, usage, instant, take)


def gather(
    session: Session, cases: Sequence[Case], now: datetime, *, caps_fault: DependencyError | None = None
) -> Ledger:
    """Ask each room once for all that the cases need; the caps only where no `caps_fault` is known of them.

    Completes the cases that carry an offer, and locates those that ask for a zone. Raises DependencyError where a room
    does not answer.
    """
    consents: dict[ConsentQuery, None] = {}  # each question once, in order
    preferences: dict[PreferenceQuery, None] = {}
    usages: dict[UsageQuery, None] = {}
    answers: dict[Query, Answer] = {}
    answers.update(complete(session, cases).items())
    unlocated = [case for case in cases if case.is_unlocated]
    for case in cases:
        _sort(case, consents, preferences, {} if case.is_unlocated else usages)
    if preferences:
        answers.update(session.preferences.read(tuple(preferences)).items())
    for case in unlocated:
        case.locate(zone_in((answers[PreferenceQuery(case.candidate.recipient.id)],)))
        _sort(case, consents, preferences, usages)
    if consents:
        answers.update(session.consents.read(tuple(consents)).items())
    if usages and caps_fault is None:
        answers.update(session.caps.read(tuple(usages), now).items())
    return Ledger(answers, caps_fault=caps_fault)


def complete(session: Session, cases: Sequence[Case]) -> Mapping[OfferQuery, OfferTerms]:
    """Complete those cases that carry an offer with what was registered of it, and return that; one read for all."""
    asked = [(case, OfferQuery(offer.id)) for case in cases if (offer := case.candidate.offer) is not None]
    if not asked:
        return {}
    registered = session.offers.read(tuple(dict.fromkeys(query for _, query in asked)))
    for case, query in asked:
        case.complete(registered[query])
    return registered


def _sort(
    case: Case,
    consents: dict[ConsentQuery, None],
    preferences: dict[PreferenceQuery, None],
    usages: dict[UsageQuery, None],
) -> None:
    """Add the case's questions to those for each room."""
    for queries in case.questions.values():
        for query in queries or ():
            kind = type(query)
            if kind is UsageQuery:
                usages[query] = None  # type: ignore[index]  # mypy does not follow the type to the query
            elif kind is PreferenceQuery:
                preferences[query] = None  # type: ignore[index]
            elif kind is ConsentQuery:
                consents[query] = None  # type: ignore[index]


def _with_more(query: UsageQuery, usage: Usage, instant: datetime, take: Take) -> Usage:
    if query.split is not None:
        before, after = (take.amount, 0) if instant < query.split else (0, take.amount)
        return Usage(usage.older + before, later=usage.later + after, split=usage.split)
    times = list(usage.times)
    insort(times, instant)
    excess = max(0, len(times) - query.newest)
    return Usage(usage.older + excess, tuple(times[excess:]))
