"""A case: one candidate with everything that is known of it, as a pure function of time.

The candidate, the selected policies and the answers of the rooms don't change; facts, verdicts and effect are asked
for at an instant. The decision is the case at its own instant, `retry_at` the first later one at which it allows, and
replay the same case built again from the audit entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from guardrails.core.candidate import Candidate, candidate_facts
from guardrails.core.combine import Combined
from guardrails.core.needs import (
    OFFER,
    PREFERENCES,
    Answer,
    Need,
    OfferQuery,
    OfferTerms,
    PreferenceQuery,
    Preferences,
    Query,
)
from guardrails.core.offer_terms import completed
from guardrails.core.policy import Policy, Verdict
from guardrails.core.policy_set import PolicySet, Selected, scope_set
from guardrails.core.timing import ZONE_FIELD, has_zone, in_chosen_zone
from guardrails.decide.ports import Engine, EngineFactory
from guardrails.decide.remembered import Combining, Concerns, combining, concerns

__all__ = ["Answers", "Case", "Compiled", "Questions", "compile_policies", "open_case", "terms_in", "zone_in"]

Answers = Mapping[str, tuple[Answer, ...] | None]
"""By fact, the rooms' answers; None where the candidate lacks what the questions are made of; absent: unavailable."""

Questions = dict[str, tuple[Query, ...] | None]
"""By fact, what to ask the rooms; None where the candidate lacks what the questions are made of."""


class Compiled(msgspec.Struct, frozen=True):
    """A policy set with its engines: `engine` decides; `native` does the bulk that no answer rests on.

    `scope` says what may concern a candidate (`scope_set`), and `scope_engine` evaluates it. What verdicts come to is
    remembered: `concern` those of the scope, `combining` those of the set.
    """

    policy_set: PolicySet
    engine: Engine
    native: Engine
    scope: PolicySet
    scope_engine: Engine
    concern: Concerns
    combining: Combining


def compile_policies(policy_set: PolicySet, *, engine: EngineFactory, native: EngineFactory) -> Compiled:
    """Everything about a policy set that can be done ahead of a decision."""
    scope = scope_set(policy_set)
    return Compiled(
        policy_set,
        engine(policy_set),
        native(policy_set),
        scope,
        native(scope),
        concern=concerns(scope),
        combining=combining(policy_set),
    )


class Case:
    """One candidate and its answers. Open it, ask its `questions`, and set `answers` before the rest.

    Where it carries an offer, what was registered of it (`OFFER`) is asked before anything else: `complete` opens the
    case again with the completed candidate, which is what all that follows is about.
    Where a policy goes by the recipient's zone and the candidate brings none, the case `is_unlocated`: what they chose
    (`PREFERENCES`) is asked first, and `locate` takes their zone before the rest is. `located` is the candidate there.
    `counting` are the caps that count a send of it, or may.
    Conditions on `recipient.timezone` read what the sender brought, whatever the recipient chose.
    """

    __slots__ = (
        "_answers",
        "_changes",
        "_combined",
        "_made_of",
        "_verdicts",
        "at",
        "candidate",
        "candidate_facts",
        "compiled",
        "counting",
        "is_unlocated",
        "located",
        "needs",
        "offer",
        "questions",
        "selected",
        "shares_preferences",
    )

    def __init__(
        self, compiled: Compiled, candidate: Candidate, at: datetime, selected: Selected, facts: dict[str, object]
    ) -> None:
        self.compiled = compiled
        self.at = at
        self.offer: OfferTerms | None = None
        self._open(candidate, selected, facts)

    def _open(self, candidate: Candidate, selected: Selected, facts: dict[str, object]) -> None:
        compiled, at = self.compiled, self.at
        self.candidate = candidate
        self.selected = selected
        self.candidate_facts = facts
        scope = compiled.scope.select(facts)
        verdicts = compiled.scope_engine.evaluate(scope.selection, facts)  # `applies_to` reads the candidate only
        concern = compiled.concern(scope.selection.places, tuple(verdicts))
        self.needs = concern.needs
        self._made_of = concern.made_of
        self.counting = concern.counting
        self.located = candidate
        self.questions: Questions = {need.fact: need.queries(candidate, at) for need in concern.asking}
        self.is_unlocated = concern.goes_by_zone and not has_zone(candidate.recipient)
        self.shares_preferences = concern.shares_preferences
        if self.shares_preferences or self.is_unlocated:
            self.questions[PREFERENCES] = (PreferenceQuery(candidate.recipient.id),)
        if candidate.offer is not None:
            self.questions[OFFER] = (OfferQuery(candidate.offer.id),)
        self.answers = {}

    def complete(self, terms: OfferTerms) -> None:
        """Let what was registered of its offer complete the candidate; `offer` is what that was.

        INVARIANT: before `locate`, and before anything else is asked: what policies ask for hangs on the candidate.
        """
        self.offer = terms
        candidate = completed(self.candidate, terms)
        if candidate is not self.candidate:
            facts = candidate_facts(candidate)
            self._open(candidate, self.compiled.policy_set.select(facts), facts)

    def locate(self, chosen: str | None) -> None:
        """Let the zone that the recipient chose stand in for the one that the candidate does not bring."""
        candidate = self.candidate
        recipient = in_chosen_zone(candidate.recipient, chosen)
        if recipient is candidate.recipient:
            return
        self.located = msgspec.structs.replace(candidate, recipient=recipient)
        for need in self.needs:
            if ZONE_FIELD in need.fields and not need.shares:
                self.questions[need.fact] = need.queries(self.located, self.at)

    def recall(self, answers: Answers) -> None:
        """Set the answers that an audit entry holds.

        One that was written before recipients could choose a zone holds none on it: it was not asked for then.
        """
        registered = answers.get(OFFER)
        if registered is not None:
            self.complete(terms_in(registered))
        chosen = answers.get(PREFERENCES)
        if chosen is not None and self.is_unlocated:
            self.locate(zone_in(chosen))
        elif chosen is None and not self.shares_preferences:
            self.questions.pop(PREFERENCES, None)
        self.answers = answers

    @property
    def answers(self) -> Answers:
        """The rooms' answers to the questions; setting them forgets all that was found by others."""
        return self._answers

    @answers.setter
    def answers(self, answers: Answers) -> None:
        self._answers = answers
        self._verdicts: dict[datetime, tuple[dict[str, object], Sequence[Verdict]]] = {}
        self._combined: dict[datetime, Combined] = {}
        self._changes: dict[tuple[str, datetime], datetime | None] = {}

    def facts_at(self, at: datetime) -> dict[str, object]:
        """All facts at an instant; the missing have no key."""
        facts = self.candidate_facts.copy()
        candidate = self.located
        answered = self._answers
        for need, made_of in self._made_of:
            answers = self.answers_to(need) if made_of is None else answered.get(made_of)
            if answers is not None and (value := need.value(answers, candidate, at)) is not None:
                facts[need.fact] = value
        return facts

    def answers_to(self, need: Need) -> tuple[Answer, ...] | None:
        """What the need's fact is made of: its own answers, or those that it shares; None where any is missing."""
        answered, facts = self._answers, need.shares or (need.fact,)
        if len(facts) == 1:
            return answered.get(facts[0])
        parts = [answered.get(fact) for fact in facts]
        return None if None in parts else tuple([answer for part in parts if part is not None for answer in part])

    def unavailable(self, policy: Policy) -> bool:
        """Whether a room did not answer what this policy needs."""
        return any(map(self._is_unanswered, policy.needs))

    @property
    def is_degraded(self) -> bool:
        """Whether a room did not answer what the case needs."""
        unanswered = self.questions.keys() - self._answers.keys()
        if not unanswered:
            return False
        return (self.is_unlocated and PREFERENCES in unanswered) or any(map(self._is_unanswered, self.needs))

    def _is_unanswered(self, need: Need) -> bool:
        """Whether a room owes an answer; none does where the candidate lacks a part, though others ask the same."""
        if need.shares and need.queries(self.located, self.at) is None:
            return False
        asked = [fact for fact in need.shares or (need.fact,) if fact in self.questions]
        if any(self.questions[fact] is None for fact in asked):
            return False
        return any(fact not in self._answers for fact in asked)

    def decide(self) -> tuple[dict[str, object], Combined]:
        """The facts at the case's own instant, and what the deciding engine makes of them."""
        facts = self.facts_at(self.at)
        verdicts = self.compiled.engine.evaluate(self.selected.selection, facts)
        self._verdicts[self.at] = (facts, verdicts)
        self._combined.pop(self.at, None)
        return facts, self.combined_at(self.at)

    def verdicts_at(self, at: datetime) -> tuple[dict[str, object], Sequence[Verdict]]:
        """Facts and verdicts at an instant, by the native engine where it is not the case's own instant."""
        known = self._verdicts.get(at)
        if known is None:
            facts = self.facts_at(at)
            known = self._verdicts[at] = (facts, self.compiled.native.evaluate(self.selected.selection, facts))
        return known

    def verdict_at(self, policy: Policy, at: datetime) -> Verdict:
        """The verdict of one of the selected policies at an instant."""
        verdicts = self.verdicts_at(at)[1]
        return next(verdict for each, verdict in zip(self.selected.policies, verdicts, strict=True) if each is policy)

    def combined_at(self, at: datetime) -> Combined:
        """The effect at an instant, and what it rests on."""
        known = self._combined.get(at)
        if known is None:
            verdicts = self.verdicts_at(at)[1]
            known = self._combined[at] = self.compiled.combining(self.selected, verdicts, self.candidate.lane, at)
        return known

    def next_change(self, policy: Policy, at: datetime) -> datetime | None:
        """The first instant after `at` at which a fact of the policy or its validity may change, or None: never."""
        key = (policy.id, at)
        if key not in self._changes:
            self._changes[key] = min(self._next_changes(policy, at), default=None)
        return self._changes[key]

    def _next_changes(self, policy: Policy, at: datetime) -> list[datetime]:
        changes = policy.bounds_after(at)
        for need in policy.needs:
            answers = self.answers_to(need)
            change = None if answers is None else need.next_change(answers, self.located, at)
            if change is not None:
                changes.append(change)
        return changes


def zone_in(answers: tuple[Answer, ...]) -> str | None:
    """The zone that the recipient chose, from the answer to `PREFERENCES`."""
    (chosen,) = answers
    assert isinstance(chosen, Preferences)  # noqa: S101 - the question was for preferences
    return chosen.timezone


def terms_in(answers: tuple[Answer, ...]) -> OfferTerms:
    """What was registered, from the answer to `OFFER`."""
    (terms,) = answers
    assert isinstance(terms, OfferTerms)  # noqa: S101 - the question was for terms
    return terms


def open_case(compiled: Compiled, candidate: Candidate, at: datetime) -> Case:
    """The case of `candidate` at the instant `at`, with its questions not yet answered."""
    facts = candidate_facts(candidate)
    return Case(compiled, candidate, at, compiled.policy_set.select(facts), facts)
