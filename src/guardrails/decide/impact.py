"""Blast radius: which decisions a notice, a consent record or a purpose had a part in, from the log alone.

A decision relied on a record where an enforced policy asked for it and got it as its answer: an allow, that it granted;
a deny, that it didn't, or that something else stood in the way. Silence is no record, and nothing relies on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from guardrails.core.candidate import Lane
from guardrails.core.decision import Effect
from guardrails.core.needs import ConsentQuery, ConsentState, Need
from guardrails.core.policy_set import PolicySet
from guardrails.decide.became import with_stored
from guardrails.decide.entry import DecisionEntry, decode_entry
from guardrails.decide.holdings import ReservationState, state_at
from guardrails.decide.ports import StoredDecision, Transactor
from guardrails.errors import PolicyError
from guardrails.policyfile.loader import load_policy_files

__all__ = ["Impact", "OfNotice", "OfPurpose", "OfRecord", "Relying", "Sought"]


class Sought(Protocol):
    """What decisions are looked for."""

    @property
    def needle(self) -> bytes:
        """What an entry's text must hold to be looked at; empty where any may."""

    def is_in(self, consent: ConsentState, purpose: str | None, /) -> bool:
        """Whether this answer is of it; `purpose` is what was asked for, None where that can't be told any more."""


class OfRecord(NamedTuple):
    """Those that relied on one consent record."""

    record: str

    @property
    def needle(self) -> bytes:
        """The id, as JSON."""
        return msgspec.json.encode(self.record)

    def is_in(self, consent: ConsentState, _purpose: str | None, /) -> bool:
        """Whether it is that record."""
        return consent.record == self.record


class OfNotice(NamedTuple):
    """Those that relied on consents given on one notice: of a version or any, and of one with an id or without."""

    notice_id: str | None
    version: str | None

    @property
    def needle(self) -> bytes:
        """The notice's id or else its version, as JSON."""
        return msgspec.json.encode(self.version if self.notice_id is None else self.notice_id)

    def is_in(self, consent: ConsentState, _purpose: str | None, /) -> bool:
        """Whether they were shown that notice."""
        return consent.notice_id == self.notice_id and self.version in {None, consent.notice_version}


class OfPurpose(NamedTuple):
    """Those that relied on any consent record of one purpose."""

    purpose: str

    @property
    def needle(self) -> bytes:
        """An entry doesn't name the purpose: its policies do."""
        return b""

    def is_in(self, _consent: ConsentState, purpose: str | None, /) -> bool:
        """Whether that purpose was asked for."""
        return purpose == self.purpose


class Relying(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that relied on it, with the records that it did rely on, and the policies that asked for them.

    `state` is what became of it by now, None where that is no longer kept; the reservation `is_open` where it may
    still be sent. `records` lacks those of an older release's decisions, which did not name any, `policies` those
    that don't load any more.
    """

    audit_index: int
    decision_id: str
    candidate_id: str
    recipient: str
    lane: Lane
    channel: str
    effect: Effect
    evaluated_at: datetime
    records: tuple[str, ...]
    policies: tuple[str, ...]
    state: ReservationState | None = None
    lease_until: datetime | None = None
    is_open: bool = False


class Impact:
    """Looks through entries of the log. `files_of` gives the files of a policy set by its revision, if they are kept.

    `decisions` counts those that were looked at so far, and `untold` the ones among them that relied on some record
    for a purpose that can't be told: their policies are gone, or don't load any more. `purposes` are those that
    enforced policies of these decisions asked for, whatever the answer.
    """

    def __init__(
        self, transactor: Transactor, *, files_of: Callable[[str], Mapping[str, str] | None], now: datetime
    ) -> None:
        self._transactor = transactor
        self._files_of = files_of
        self._now = now
        self._asking: dict[str, Mapping[str, _Asking] | None] = {}
        self.decisions = 0
        self.untold = 0
        self.purposes: set[str] = set()

    def find(self, sought: Sought, entries: Iterable[tuple[int, bytes]]) -> Iterator[Relying]:
        """Every decision that relied on what is sought, in log order. Raises DependencyError."""
        found = self._found(sought, entries)
        for each, stored in with_stored(found, lambda relying: relying.decision_id, self._transactor):
            yield each if stored is None else self._as_it_is(each, stored)

    def _found(self, sought: Sought, entries: Iterable[tuple[int, bytes]]) -> Iterator[Relying]:
        for index, data in entries:
            self.decisions += data.startswith(_DECISION)
            if sought.needle not in data:
                continue
            entry = decode_entry(data)
            if isinstance(entry, DecisionEntry):
                records = list(self._relied(entry))
                self.untold += any(each.purpose is None for each in records)
                relied = [each for each in records if sought.is_in(each.consent, each.purpose)]
                if relied:
                    yield _relying(index, entry, relied)

    def _relied(self, entry: DecisionEntry) -> Iterator[_Reliance]:
        """Every record that an enforced policy got as its answer."""
        asking = self._asking_of(entry.decision.policy_revision)
        for fact, answers in entry.answers.items():
            asked = None if asking is None else asking.get(fact)
            if asked is not None and not asked.is_enforced:
                continue
            queries = () if asked is None else asked.queries(entry)
            self.purposes.update(query.purpose for query in queries if isinstance(query, ConsentQuery))
            for query, answer in itertools.zip_longest(queries, answers or ()):
                if isinstance(answer, ConsentState) and answer.status is not None:
                    purpose = query.purpose if isinstance(query, ConsentQuery) else None
                    yield _Reliance(None if asked is None else asked.policy, purpose, answer)

    def _asking_of(self, revision: str) -> Mapping[str, _Asking] | None:
        """Who asks for each fact; None where the policies are gone, or don't load any more."""
        if revision not in self._asking:
            files = self._files_of(revision)
            try:
                self._asking[revision] = None if files is None else _asking_in(load_policy_files(files))
            except PolicyError:
                self._asking[revision] = None
        return self._asking[revision]

    def _as_it_is(self, found: Relying, stored: StoredDecision) -> Relying:
        state = state_at(stored.state, stored.lease_until, self._now)
        return msgspec.structs.replace(found, state=state, lease_until=stored.lease_until, is_open=state == "reserved")


_DECISION = b'{"type":"decision"'


class _Reliance(NamedTuple):
    """A policy, the purpose that it asked for, and its answer."""

    policy: str | None
    purpose: str | None
    consent: ConsentState


class _Asking(NamedTuple):
    """A policy with the need that a fact is made by."""

    policy: str
    is_enforced: bool
    queries: Callable[[DecisionEntry], tuple[object, ...]]


def _asking_in(policy_set: PolicySet) -> Mapping[str, _Asking]:
    def asker(need: Need) -> Callable[[DecisionEntry], tuple[object, ...]]:
        return lambda entry: need.queries(entry.candidate, entry.at) or ()

    return {
        need.fact: _Asking(policy.id, policy.mode == "enforce", asker(need))
        for policy in policy_set.policies
        for need in policy.needs
    }


def _relying(index: int, entry: DecisionEntry, relied: Iterable[_Reliance]) -> Relying:
    decision, candidate = entry.decision, entry.candidate
    return Relying(
        audit_index=index,
        decision_id=decision.decision_id,
        candidate_id=decision.candidate_id,
        recipient=candidate.recipient.id,
        lane=candidate.lane,
        channel=candidate.channel,
        effect=decision.effect,
        evaluated_at=decision.evaluated_at,
        records=tuple(sorted({each.consent.record for each in relied if each.consent.record is not None})),
        policies=tuple(sorted({each.policy for each in relied if each.policy is not None})),
    )
