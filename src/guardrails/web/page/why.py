"""Why a recipient got what they got: who paid, which policies said yes, by which consent, and what they have of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from guardrails.core.purposes import Purpose
from guardrails.decide.records import AllowedRecord, RestsOn

__all__ = ["ALLOWS_MOST", "Why", "met_in", "whys_of"]

ALLOWS_MOST = 10
"""Notifications that the page tells of."""

NEVER_CAME = frozenset({"failed", "cancelled", "bounced"})


class Consented(NamedTuple):
    """A consent that it rests on. `record` has a receipt; `language` is what title and benefit are in, if known."""

    title: str
    benefit: str | None
    record: str | None
    language: str | None


class Why(NamedTuple):
    """One notification. `is_sent`: its sender says so; `rules` are the policies that said yes, in their own words.

    `benefit` is the sentence that told the recipient what they get of what it earns.

    `consents` is None where it can't be told any more on which it rests.
    """

    at: datetime
    channel: str
    content_class: str
    sponsor: str | None
    disclosure: str | None
    benefit: str | None
    is_sent: bool
    rules: tuple[str, ...]
    consents: tuple[Consented, ...] | None


def whys_of(allowed: Iterable[AllowedRecord], declared: Mapping[str, Purpose], language: str) -> tuple[Why, ...]:
    """What is told of each allow in a language; those that never reached anybody are left out."""
    return tuple(_why(record, declared, language) for record in allowed if record.state not in NEVER_CAME)


def met_in(allowed: Iterable[AllowedRecord]) -> Mapping[str, frozenset[str]]:
    """The topics and sponsors that a recipient knows from what they got, by the sort of toggle."""
    candidates = [record.candidate for record in allowed]
    return {
        "topic": frozenset(each.content.topic for each in candidates if each.content.topic is not None),
        "sponsor": frozenset(each.sponsor.id for each in candidates if each.sponsor is not None),
    }


def _why(record: AllowedRecord, declared: Mapping[str, Purpose], language: str) -> Why:
    candidate, consents = record.candidate, record.consents
    return Why(
        at=record.at,
        channel=candidate.channel,
        content_class=candidate.content.class_,
        sponsor=None if candidate.sponsor is None else candidate.sponsor.id,
        disclosure=candidate.content.disclosure,
        benefit=None if candidate.benefit is None else candidate.benefit.text,
        is_sent=record.state in {"sent", "delivered", "complained"},
        rules=tuple(policy.title or policy.id for policy in record.policies if not policy.builtin),
        consents=None if consents is None else tuple(_consented(each, declared, language) for each in consents),
    )


def _consented(rests_on: RestsOn, declared: Mapping[str, Purpose], language: str) -> Consented:
    purpose = rests_on.declared or declared.get(rests_on.purpose)
    if purpose is None:
        return Consented(rests_on.purpose.replace("_", " "), None, rests_on.record, None)
    words = purpose.words_in(language)
    return Consented(words.title, words.benefit, rests_on.record, words.language)
