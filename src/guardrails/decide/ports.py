"""What the route needs from the rooms, as protocols named by behaviour.

INVARIANT: all that one `Session` reads and writes is one atomic, serializable, durable unit: no interleaving of
sessions lets one more send through a cap, and nothing of a unit that failed is kept.

A *handler* is a function of a session and a list of items; `Transactor.call` runs it for one item, together with
whatever others arrived for the same handler, and returns that item's result once the unit is durable. A handler may
be run more than once for the same items (after a conflict or a failed neighbour), so it must touch nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from guardrails.core.claims import AttributionClaims, OfferClaims
from guardrails.core.facts import Facts
from guardrails.core.index import Selection
from guardrails.core.needs import (
    ConsentQuery,
    ConsentState,
    OfferQuery,
    OfferTerms,
    PreferenceQuery,
    Preferences,
    Take,
    Usage,
    UsageQuery,
)
from guardrails.core.policy import Verdict
from guardrails.core.policy_set import PolicySet
from guardrails.decide.holdings import HOLDING_STATES, Holding, Reservation, ReservationState, Settlement, last_needed

__all__ = [
    "PATIENCE_SECONDS",
    "AuditLog",
    "CapStore",
    "ConsentReader",
    "DecisionStore",
    "Engine",
    "EngineFactory",
    "Handler",
    "OfferReader",
    "PolicyArchive",
    "PreferenceReader",
    "SendTokens",
    "Session",
    "Span",
    "StoredDecision",
    "Transactor",
    "UnsubscribeLinks",
]

Item = TypeVar("Item")
Result = TypeVar("Result")


class StoredDecision(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A decision as it was answered, byte for byte, with what its later life needs.

    `evaluated_at` is the instant it was for. `due_at` is when housekeeping looks at it next: the end of its lease while
    it is `reserved`, otherwise the end of its keeping. `is_caps_pending` says that the caps were out of reach when it
    changed last, so that its slots still have to be brought up to date there. `owns_candidate` is False where another
    decision answers for the candidate: it was asked for again while the stores were out of reach. `recipient` is None
    of what was decided before recipients were kept. Until `needed_until` it is kept at least, where its offer's token
    or its attribution may come back.
    """

    decision_id: str
    candidate_id: str
    body_hash: bytes
    answer: bytes
    evaluated_at: datetime
    audit_index: int
    state: ReservationState
    due_at: datetime
    lease_until: datetime | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    takes: tuple[Take, ...] = ()
    is_caps_pending: bool = False
    owns_candidate: bool = True
    recipient: str | None = None
    needed_until: datetime | None = None

    def holding(self) -> Holding | None:
        """What it holds of the caps in its state; None where that is nothing."""
        if not self.takes or self.state not in HOLDING_STATES:
            return None
        return Holding(
            decision_id=self.decision_id,
            takes=self.takes,
            at=self.evaluated_at,
            lease_until=self.lease_until if self.state == "reserved" else None,
            sent_at=self.sent_at,
            delivered_at=self.delivered_at,
        )

    def due(self, now: datetime, keep: timedelta) -> datetime:
        """What `due_at` is after a change at `now`: `keep` later, or once its slots no longer matter, if later."""
        if self.state == "reserved" and self.lease_until is not None:
            return self.lease_until
        kept_until = max(now, self.evaluated_at) + keep
        if self.needed_until is not None:
            kept_until = max(kept_until, self.needed_until)
        holding = self.holding()
        return kept_until if holding is None else max(kept_until, last_needed(holding))


class Span(NamedTuple):
    """A recipient, and the instants later than `after` and not later than `until`."""

    recipient: str
    after: datetime
    until: datetime


class ConsentReader(Protocol):
    """Answers consent questions, in one round trip for all."""

    def read(self, queries: Sequence[ConsentQuery], /) -> Mapping[ConsentQuery, ConsentState]:
        """The newest record for each question; every question is answered. Raises DependencyError."""


class PreferenceReader(Protocol):
    """Answers preference questions, in one round trip for all."""

    def read(self, queries: Sequence[PreferenceQuery], /) -> Mapping[PreferenceQuery, Preferences]:
        """The recipient's toggles for each question; every question is answered. Raises DependencyError."""


class OfferReader(Protocol):
    """Answers what was registered of offers, in one round trip for all."""

    def read(self, queries: Sequence[OfferQuery], /) -> Mapping[OfferQuery, OfferTerms]:
        """The terms for each question; every question is answered: `unregistered` is one. Raises DependencyError."""


class CapStore(Protocol):
    """Counts sends under keys, exactly.

    Every method raises DependencyError (`dependency="caps"`) where the caps live in a store of their own that is out of
    reach; what it had to write is not written then, or at most until the lease ends.
    """

    @property
    def is_serial(self) -> bool:
        """Whether what was read in the unit still holds when slots are taken: then nothing has to be checked."""

    def read(self, queries: Sequence[UsageQuery], now: datetime, /) -> Mapping[UsageQuery, Usage]:
        """The usage for each question; a slot whose lease ended at or before `now` does not count."""

    def reserve(self, reservations: Sequence[Reservation], now: datetime, /) -> None:
        """Take all slots of all reservations.

        Raises CapsMoved where a check no longer holds, and takes nothing then. A store that `is_serial` gets no checks.
        """

    def settle(self, settlements: Sequence[Settlement], /) -> None:
        """Bring slots up to date with what became of their decisions, in order.

        `before` is what the store has of the decision. Where it is not, as where the same is settled again, the slots
        still end up as `after` says, but the count of a tallied key may be wrong.
        """

    def keys_of(self, owner: str, tallied: Collection[str] = (), /) -> Sequence[tuple[str, str]]:
        """Cap and key, in this order, of everything that is kept for a recipient.

        A tallied key tells nobody but the recipient that it begins with: `tallied` are the caps to look through.
        """

    def probe(self) -> None:
        """Find out whether slots could be taken now, wherever they are kept, by a write that changes nothing."""

    def sweep(self, now: datetime, most: int, /) -> int:
        """Remove at most `most` counts that no question can ask for any more; returns how many it removed."""


class DecisionStore(Protocol):
    """Decisions as answered: for idempotency, outcomes, reading back and housekeeping."""

    def by_candidate(self, candidate_ids: Sequence[str], /) -> Mapping[str, StoredDecision]:
        """The stored decision that answers for each candidate id, where there is one."""

    def by_id(self, decision_ids: Sequence[str], /) -> Mapping[str, StoredDecision]:
        """The stored decision for each id that has one."""

    def insert(self, decisions: Sequence[StoredDecision], /) -> None:
        """Keep new decisions."""

    def update(self, decisions: Sequence[StoredDecision], /) -> None:
        """Record `state`, `sent_at`, `delivered_at`, `due_at` and `is_caps_pending` of decisions that are kept."""

    def due(self, now: datetime, most: int, /) -> Sequence[StoredDecision]:
        """At most `most` decisions whose `due_at` is at or before `now`, the longest due first."""

    def remove(self, decision_ids: Sequence[str], /) -> None:
        """Forget decisions; the audit log keeps what was decided."""

    def caps_pending(self, most: int, /) -> Sequence[StoredDecision]:
        """At most `most` decisions with `is_caps_pending`."""

    def holding(self, after: str, most: int, /) -> Sequence[StoredDecision]:
        """At most `most` decisions whose slots count or will, and are in the caps, whose id is greater than `after`.

        They stand in the order of their ids.
        """

    def of_recipient(self, recipient: str, most: int, /) -> Sequence[StoredDecision]:
        """At most `most` allows for a recipient, the newest first: by `evaluated_at`, then by id."""

    def allows_within(self, spans: Sequence[Span], most: int, /) -> Mapping[Span, Sequence[StoredDecision]]:
        """At most `most` allows for the recipient of each span that were for an instant in it, the newest first."""


class AuditLog(Protocol):
    """The append-only log: index 0, 1, 2 ... without a gap."""

    def next_index(self) -> int:
        """The index that the next entry will get."""

    def append(self, entries: Sequence[bytes], /) -> None:
        """Add entries (JSON, UTF-8) at `next_index()` and on, in order."""

    def read(self, start: int, stop: int, /) -> Iterable[tuple[int, bytes]]:
        """Index and entry of `start <= index < stop`, in order, as many as there are."""


class PolicyArchive(Protocol):
    """The text of every policy set that ever decided, by revision."""

    def keep(self, revision: str, files: Mapping[str, str], at: datetime, /) -> None:
        """Keep the files of a revision; nothing happens where it is kept already."""

    def read(self, revision: str, /) -> Mapping[str, str] | None:
        """The files of a revision, or None where it never decided."""


class Session(Protocol):
    """One atomic unit of work over all rooms."""

    consents: ConsentReader
    preferences: PreferenceReader
    caps: CapStore
    decisions: DecisionStore
    audit: AuditLog
    policies: PolicyArchive

    @property
    def offers(self) -> OfferReader:
        """Only read here: that is as much as is asked of a store of offers."""


Handler = Callable[[Any, list[Item]], list[Result]]
"""(session, items) -> one result an item, in order; a result that is an exception is raised at its caller."""


PATIENCE_SECONDS = 5.0
"""How long a call waits where nothing else is said."""


class Transactor(Protocol):
    """Runs handlers inside sessions."""

    def call(
        self,
        handler: Handler[Item, Result],
        item: Item,
        *,
        timeout_seconds: float = PATIENCE_SECONDS,
        size: int = 1,
    ) -> Result:
        """Run `handler` for `item` in a session and return its result after the session is durable.

        `size` says how much work the item is: a batch of so many. Raises DependencyError where the stores can't be
        reached, did not answer within `timeout_seconds` or don't answer anybody at present, and whatever the handler
        raised, or returned as an exception. Of a call that raised nothing is kept, unless the error says `in_doubt`:
        it was given up, or the store was lost, while its unit was being committed; or the handler returned it.
        CapsMoved, raised by a handler, has the whole unit run again.
        """

    def close(self) -> None:
        """Finish what was accepted and is still waited for, then stop. Calls that come later are refused."""


class UnsubscribeLinks(Protocol):
    """Makes the links by which recipients unsubscribe from a message."""

    def unsubscribe(self, recipient: str, purposes: Sequence[str], channel: str, decision_id: str, /) -> str:
        """The URL that withdraws these purposes on this channel; the decision is the one that allowed the message."""


class SendTokens(Protocol):
    """Makes the signed tokens that an allow carries. Signing takes some 20 us; the rest is made ahead."""

    def pseudonym(self, recipient: str, /) -> str:
        """What tokens call the recipient."""

    def token_id(self, decision_id: str, /) -> str:
        """The id of the decision's offer token."""

    def offer(self, claims: OfferClaims, /) -> str:
        """The token by which the offer is redeemed."""

    def attribution(self, claims: AttributionClaims, /) -> str:
        """The token by which revenue is attributed."""


class Engine(Protocol):
    """One compiled policy set that gives verdicts. Safe to call from several threads."""

    def evaluate(self, selection: Selection, facts: Facts) -> Sequence[Verdict]:
        """One verdict for each of `selection.places`, in that order. Raises EngineFault where it has fewer."""


class EngineFactory(Protocol):
    """Compiles a policy set into an engine; everything that can be done ahead of a decision is done here."""

    def __call__(self, policy_set: PolicySet, /) -> Engine:
        """The engine for `policy_set`. Raises PolicyError where the set is beyond what the engine can hold."""
