"""Entries that an older release wrote: how to tell them, and what they say in today's terms.

The first release recorded of a slot no owner and no keeping time, told no lease in the answer, and was answered the
sends of a shared calendar cap one by one, where now they are numbers (`Take.is_tallied`), and what the recipient chose
for each toggle by itself. It told in the answer no consents that it relied on. Offers were registered nowhere then.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.decision import Decision
from guardrails.core.needs import OFFER, PREFERENCES, Answer, OfferTerms, Preferences, Query, Take, Usage, UsageQuery

__all__ = ["answers_to", "as_first_recorded", "is_of_first_release", "names_consents", "with_offer", "with_preferences"]


class _Decision(msgspec.Struct):
    lease_until: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Entry(msgspec.Struct):
    decision: _Decision


_decode = msgspec.json.Decoder(_Entry).decode


def is_of_first_release(data: bytes) -> bool:
    """Whether the first release wrote this entry of a decision: its answer does not even say that there is no lease."""
    return _decode(data).decision.lease_until is msgspec.UNSET


def names_consents(decision: Decision) -> bool:
    """Whether a recorded decision tells on which consents it relied, or that it relied on none."""
    return decision.consents is not msgspec.UNSET


def as_first_recorded(take: Take) -> Take:
    """What the first release would have recorded of the slot."""
    return Take(take.cap, take.key, take.count_on, take.countdown_seconds)


def with_preferences(recorded: Mapping[str, tuple[Answer, ...] | None]) -> Mapping[str, tuple[Answer, ...] | None]:
    """The recorded answers, with what the recipient chose where it is looked for now."""
    if PREFERENCES in recorded:
        return recorded
    answers = (answer for answered in recorded.values() for answer in answered or ())
    chosen = next((answer for answer in answers if isinstance(answer, Preferences)), None)
    return recorded if chosen is None else {**recorded, PREFERENCES: (chosen,)}


def with_offer(
    recorded: Mapping[str, tuple[Answer, ...] | None], candidate: Candidate
) -> Mapping[str, tuple[Answer, ...] | None]:
    """The recorded answers, and that the candidate's offer was not registered where nobody asked yet."""
    if candidate.offer is None or OFFER in recorded:
        return recorded
    return {**recorded, OFFER: (OfferTerms("unregistered"),)}


def answers_to(
    questions: Mapping[str, tuple[Query, ...] | None], recorded: Mapping[str, tuple[Answer, ...] | None]
) -> dict[str, tuple[Answer, ...] | None]:
    """The recorded answers, by fact, with sends that were listed in numbers where that is what is asked for now."""
    return {fact: _told(questions.get(fact), answers) for fact, answers in recorded.items()}


def _told(queries: tuple[Query, ...] | None, answers: tuple[Answer, ...] | None) -> tuple[Answer, ...] | None:
    if not queries or not answers or len(queries) % len(answers):
        return answers
    zones = len(queries) // len(answers)  # a key was asked for once, and now is once for each zone
    return tuple([_in_numbers(query, answers[place // zones]) for place, query in enumerate(queries)])


def _in_numbers(query: Query, answer: Answer) -> Answer:
    if not isinstance(query, UsageQuery) or query.split is None:
        return answer
    if not isinstance(answer, Usage) or answer.split is not None:
        return answer
    first, split = (bisect_left(answer.times, instant) for instant in (query.since, query.split))
    unlisted = answer.older if first == 0 else 0  # the oldest, taken to count for as long as they may
    return Usage(older=unlisted + split - first, later=len(answer.times) - split, split=query.split)
