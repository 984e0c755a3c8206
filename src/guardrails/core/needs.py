"""What a policy needs beyond the candidate: questions to the rooms, their answers, and the fact they make.

A *need* names one fact. It says which questions to ask (`queries`), turns the answers into the fact's value at an
instant (`value`), and says when that value may next change by time alone (`next_change`). The last two are pure, so
the same answers give the fact at any other instant: that is what makes `retry_at` exact and replay possible.

The rooms answer four kinds of question, in bulk. A need that asks nothing (quiet hours) depends on time only. What
several needs are made of is asked for once: they *share* the answers, as those to what the recipient chose, or to what
was registered of the offer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.conditions import FactType
from guardrails.core.facts import FactValue

__all__ = [
    "OFFER",
    "PREFERENCES",
    "Answer",
    "BenefitTerms",
    "CapCheck",
    "ConsentQuery",
    "ConsentState",
    "ConsentStatus",
    "Need",
    "OfferQuery",
    "OfferStatus",
    "OfferTerms",
    "PreferenceQuery",
    "Preferences",
    "Query",
    "Take",
    "Usage",
    "UsageQuery",
]

PREFERENCES = "preferences"
"""Names the question for what the recipient chose: asked once for all needs that share the answer.

INVARIANT: no fact that a policy reads is called so. Those have three parts: the concern, the policy's id, the fact.
"""

OFFER = "offer"
"""Names the question for what was registered of the candidate's offer: asked once a case. As for `PREFERENCES`."""

ConsentStatus = Literal["granted", "withdrawn", "denied", "expired"]
CountOn = Literal["reserved", "sent", "delivered"]
OfferStatus = Literal["unregistered", "live", "withdrawn", "sold_out", "unpayable"]


# `gc=False`, here and on every value that a decision makes several of: what is frozen can be part of no cycle, so the
# collector need not visit it. It took an eighth of a decision's time.
class _Value(msgspec.Struct, frozen=True, gc=False, tag=True, omit_defaults=True):
    """A question or an answer: immutable, and told apart in the audit entry by its tag."""


class ConsentQuery(_Value, frozen=True):
    """What is the newest consent record of this recipient for this purpose that covers this channel?"""

    recipient: str
    purpose: str
    channel: str


class ConsentState(_Value, frozen=True):
    """The newest consent record, or `status=None` where there is none: silence is never consent.

    `record` is its id. `names_channel`: it is about certain channels, and this is one of them; otherwise it is about
    all. What waits for its confirmation is no record yet.
    """

    status: ConsentStatus | None = None
    at: datetime | None = None
    expires_at: datetime | None = None
    record: str | None = None
    method: str | None = None
    notice_id: str | None = None
    notice_version: str | None = None
    jurisdiction: str | None = None
    names_channel: bool = False


class PreferenceQuery(_Value, frozen=True):
    """What has this recipient chosen?"""

    recipient: str


class Preferences(_Value, frozen=True):
    """What the recipient chose, as far as they ever did.

    `toggles` by name. Until `paused_until` they want nothing that pauses. `limits`, by the id of a cap's policy, are
    how many they want at most where the policy lets them choose. `timezone` is an IANA name.
    """

    toggles: dict[str, bool] = {}
    paused_until: datetime | None = None
    limits: dict[str, int] = {}
    timezone: str | None = None


class OfferQuery(_Value, frozen=True):
    """What was registered of this offer?"""

    offer: str


class BenefitTerms(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What of the revenue goes to the recipient: `share_bps` of 10,000, the form, and the sentence that says so."""

    share_bps: int
    form: Literal["credits", "discount"]
    text: str | None = None


class OfferTerms(_Value, frozen=True):
    """The registered terms of an offer; `status` alone where there are none.

    `amount_minor` is in minor units of `currency` (ISO 4217). It can be had from `begins_at` on and until `ends_at`
    (half-open; None: no such bound), which `status` says nothing of: it changes by what people do, not by time.
    `commission_bps` of the price, and `affiliate_bps` of the revenue, are of 10,000. `steps` are the names of those
    from opening to conversion, `session_seconds` how long these may take, and `lifetime_seconds` how long a token of
    the offer lives at most.
    """

    status: OfferStatus
    amount_minor: int | None = None
    currency: str | None = None
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    title: str | None = None
    sponsor: str | None = None
    campaign: str | None = None
    affiliate: str | None = None
    affiliate_bps: int | None = None
    commission_bps: int | None = None
    steps: tuple[str, ...] | None = None
    session_seconds: int | None = None
    lifetime_seconds: int | None = None
    benefit: BenefitTerms | None = None


class UsageQuery(_Value, frozen=True, cache_hash=True):
    """Which sends count under `key` of the cap `cap`, from `since` on?

    `owner` is the recipient whose key it is, None where recipients share it. `by` says which instant of a send is
    compared and returned: when it counted (`counted_at`), or when the countdown it started ends (`until`). The `newest`
    latest are returned one by one; older ones only as a number. Of a key that recipients share that number may stop at
    `LISTED_TIMES`, which no limit of such a cap exceeds: a busy key is not to cost more than others.

    Where `split` is set, the key is tallied (`Take.is_tallied`) and only two numbers are asked for: how many count
    before `split`, and how many from it on. A quarter of an hour that is asked for in part may count whole. Of a key
    that `sums` amounts (`Take.amount_minor`), both numbers are minor units.
    """

    cap: str
    key: str
    since: datetime
    newest: int
    by: Literal["counted_at", "until"] = "counted_at"
    owner: str | None = None
    split: datetime | None = None
    sums: bool = False


class Usage(_Value, frozen=True):
    """`older` sends at or after `since`, and then `times`, the newest ones, ascending.

    Of a tallied key: `older` sends at or after `since` and before `split`, and `later` ones from `split` on; of one
    that sums amounts, so many minor units.

    A reservation whose lease runs counts like a send: what is promised is taken.
    """

    older: int = 0
    times: tuple[datetime, ...] = ()
    later: int = 0
    split: datetime | None = None


Query = ConsentQuery | PreferenceQuery | OfferQuery | UsageQuery
Answer = ConsentState | Preferences | OfferTerms | Usage


class Take(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One slot that an allow takes from a cap.

    It counts from the moment `count_on` names; `countdown_seconds`, where set, fixes when it stops to count. `owner` is
    the recipient whose key it is, None where recipients share it. `keep_seconds` after the instant that questions
    compare it by, no question of the cap can ask for it any more. A key `is_tallied` where it is shared and its windows
    are calendar ones: it may hold millions of sends, and no question asks for more than their number.

    `amount_minor` is how much is taken of a cap that sums amounts, whose keys are all tallied and sum nothing else;
    None is one send. INVARIANT: another send of the same decision never takes another amount under the same key.
    """

    cap: str
    key: str
    count_on: CountOn = "reserved"
    countdown_seconds: int | None = None
    owner: str | None = None
    keep_seconds: int = 0
    is_tallied: bool = False
    amount_minor: int | None = None

    @property
    def amount(self) -> int:
        """By how much a tally grows: minor units, or one send."""
        return 1 if self.amount_minor is None else self.amount_minor


class CapCheck(msgspec.Struct, frozen=True, gc=False):
    """What must still hold when an allow takes its slots: fewer than `limit` sends count in `start <= instant < end`.

    `query` is the question whose answer the allow rests on; where that `sums`, fewer minor units than `limit` count.
    """

    query: UsageQuery
    start: datetime
    end: datetime
    limit: int


class Need(Protocol):
    """One fact that a policy needs and the candidate does not carry. Implementations are frozen values."""

    @property
    def fact(self) -> str:
        """The fact's name, such as `cap.one-a-day.used`; begins with the concern and the policy's id."""

    @property
    def type(self) -> FactType:
        """The fact's type."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The candidate's fields without which the fact is missing; what a sender is told to send."""

    @property
    def shares(self) -> tuple[str, ...]:
        """Whose answers it is made of instead of its own: `PREFERENCES`, `OFFER`, or facts of the same policy.

        Mostly empty.
        """

    def queries(self, candidate: Candidate, at: datetime) -> tuple[Query, ...] | None:
        """The questions to ask; None where the candidate lacks what they need.

        Empty where time alone decides, and of whoever shares others' answers.
        """

    def value(self, answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> FactValue | None:
        """The fact at the instant `at`, or None: missing.

        `answers` stand in the order of the questions; those that are shared, in the order of `shares`.
        """

    def next_change(self, answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> datetime | None:
        """The first instant after `at` when `value` may differ if nothing but time passes, or None: never."""
