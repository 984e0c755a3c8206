"""`micro_moment`: a moment that is tied to something in the recipient's life, opens and closes around it, and is rare.

    a booking (`context.at`) at 18:00, opens 24h before, closes 2h before  ->  from 18:00 the day before until 16:00

The window is half-open and told in elapsed time: 24 hours before are 24 hours, whatever clocks do in between. What is
offered in it lives for `lifetime` at most, never beyond the offer itself, nor beyond what it is tied to where the
window closes before that. Each context has one moment: a cap, keyed by recipient and context, of one in `once_within`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.cap_needs import CapNeed
from guardrails.core.cap_rule import CapRule, RollingWindow
from guardrails.core.conditions import AllOf, AnyOf, Compare, FactType, Not, OneOf, Ordering
from guardrails.core.needs import Answer, Query
from guardrails.core.policy import ObligationRule, Reason
from guardrails.core.timing import parse_duration
from guardrails.policyfile.kinds._kind import Doubt, Kind, Lowered, Lowering
from guardrails.policyfile.problems import quote

__all__ = ["KIND", "EndNeed", "MomentNeed"]

WRONG_CONTEXT, HAD_ONE = "moment.wrong_context", "moment.had_one"
TOO_EARLY, TOO_LATE = "moment.too_early", "moment.too_late"

KIND_FIELD = "context.kind"
PER = ("recipient.id", KIND_FIELD, "context.id")
ONCE_WITHIN = "90d"

EDGE = {
    "title": "moment's edge",
    "type": "string",
    "pattern": "^([0-9]{1,9}[smhdw] (before|after)|at)$",
    "patternErrorMessage": "write it like `24h before`, `30m after`, or `at` for the very instant",
}


class MomentNeed(msgspec.Struct, frozen=True):
    """The fact "where the moment stands": `early`, `open`, or `late`, which it is, too, once the offer has ended.

    `opens_seconds` and `closes_seconds` count from `context.at` on; what lies before it is negative.
    """

    fact: str
    opens_seconds: int
    closes_seconds: int
    type: FactType = FactType.STRING
    shares: ClassVar[tuple[str, ...]] = ()
    fields: ClassVar[tuple[str, ...]] = ("context.at",)

    def queries(self, candidate: Candidate, _at: datetime) -> tuple[Query, ...] | None:
        """No question; None where the candidate doesn't say when that takes place which it is tied to."""
        return None if _instant(candidate) is None else ()

    def value(
        self, _answers: tuple[Answer, ...], candidate: Candidate, at: datetime
    ) -> Literal["early", "open", "late"] | None:
        """Where the moment stands at `at`: open from the very instant at which it opens, late from that of its end."""
        window = self._window(candidate)
        if window is None:
            return None
        opens, closes = window
        if at >= closes:
            return "late"
        return "open" if at >= opens else "early"

    def next_change(self, _answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> datetime | None:
        """The instant at which it opens, then that of its end."""
        window = self._window(candidate)
        if window is None:
            return None
        opens, closes = window
        turns = (opens, closes) if opens < closes else (closes,)
        return next((turn for turn in turns if turn > at), None)

    def _window(self, candidate: Candidate) -> tuple[datetime, datetime] | None:
        """From when until when it is open; it never is where the second does not come after the first."""
        instant = _instant(candidate)
        if instant is None:
            return None
        opens, closes = (instant + timedelta(seconds=each) for each in (self.opens_seconds, self.closes_seconds))
        expires = _offer_ends(candidate)
        return opens, closes if expires is None else min(closes, expires)


class EndNeed(msgspec.Struct, frozen=True):
    """The fact "when what is offered in the moment ends", told in UTC.

    No formula reads it: it is for the sender, who sends now.
    """

    fact: str
    lifetime_seconds: int
    outlives_context: bool
    type: FactType = FactType.TIMESTAMP
    shares: ClassVar[tuple[str, ...]] = ()
    fields: ClassVar[tuple[str, ...]] = ("context.at",)

    def queries(self, candidate: Candidate, _at: datetime) -> tuple[Query, ...] | None:
        """No question; None where the candidate doesn't say when that takes place which it is tied to."""
        return None if _instant(candidate) is None else ()

    def value(self, _answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> datetime | None:
        """The first of: `lifetime_seconds` after `at`, the offer's own end, and the context unless it is outlived."""
        instant = _instant(candidate)
        if instant is None:
            return None
        lived, expires = at.astimezone(UTC) + timedelta(seconds=self.lifetime_seconds), _offer_ends(candidate)
        ends = lived if expires is None else min(lived, expires)
        return ends if self.outlives_context else min(ends, instant)

    def next_change(self, _answers: tuple[Answer, ...], _candidate: Candidate, _at: datetime) -> None:
        """Never for any verdict: it moves along with `at`, and none reads it."""


def _instant(candidate: Candidate) -> datetime | None:
    """When that takes place which the moment is tied to, in UTC."""
    context = candidate.context
    return None if context is None or context.at is None else context.at.astimezone(UTC)


def _offer_ends(candidate: Candidate) -> datetime | None:
    offer = candidate.offer
    return None if offer is None or offer.expires_at is None else offer.expires_at.astimezone(UTC)


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Satisfied in the right context while the moment is open and the first; violated where any of that is not so."""
    concern = f"moment.{lowering.policy_id}"
    edges = [_edge(spec, name, lowering) for name in ("opens", "closes")]
    opens, closes = (each or 0 for each in edges)
    if opens >= closes and None not in edges:
        message = f"the moment never opens: {quote(spec['closes'])} does not come after {quote(spec['opens'])}"
        lowering.problem("contradiction", message, ("closes",))
    cap = _cap(spec, lowering)
    timing, used = f"{concern}.timing", CapNeed(f"{concern}.used", cap)
    is_kind = OneOf(KIND_FIELD, FactType.STRING, _kinds(spec))
    is_late, had_one = (
        OneOf(timing, FactType.STRING, ("late",)),
        Compare(used.fact, FactType.NUMBER, Ordering.GTE, cap.limit),
    )
    return Lowered(
        violated=AnyOf((Not(is_kind), OneOf(timing, FactType.STRING, ("early", "late")), had_one)),
        satisfied=AllOf(
            (
                is_kind,
                OneOf(timing, FactType.STRING, ("open",)),
                Compare(used.fact, FactType.NUMBER, Ordering.LT, cap.limit),
            )
        ),
        # What lasts longest is told first.
        reason=Reason(
            TOO_EARLY, _words(spec), cases=((Not(is_kind), WRONG_CONTEXT), (is_late, TOO_LATE), (had_one, HAD_ONE))
        ),
        needs=(
            MomentNeed(timing, opens, closes),
            EndNeed(f"{concern}.ends_at", lowering.duration_seconds(("lifetime",)), outlives_context=closes > 0),
            used,
        ),
        caps=(cap,),
        obligations=(ObligationRule("end_offer", fields={"ends_at": f"{concern}.ends_at"}),),
    )


def _cap(spec: Mapping[str, Any], lowering: Lowering) -> CapRule:
    """One for each recipient and context, of the sends that the policy is about."""
    path = ("once_within",)
    seconds = lowering.duration_seconds(path) if path[0] in spec else parse_duration(ONCE_WITHIN)
    counts = lowering.condition(("applies_to",))
    return CapRule(id=lowering.policy_id, limit=1, window=RollingWindow(seconds), per=PER, counts=counts)


def _edge(spec: Mapping[str, Any], name: str, lowering: Lowering) -> int | None:
    """Seconds from the context's instant to the edge, negative before it; None, which is reported, where too many."""
    duration, _, side = spec[name].partition(" ")
    try:
        return _seconds(duration, side)
    except ValueError:
        hint = "it is `1s` to `3650d`, or `at` for the very instant"
        lowering.problem("out-of-bounds", f"{quote(duration)} is out of bounds", (name,), hint)
        return None


def doubts(written: Mapping[str, Any]) -> Iterator[Doubt]:
    """Of a lifetime that is never lived to its end, and of moments that come again while the first is open."""
    opens, closes = (_seconds(*written[edge].partition(" ")[::2]) for edge in ("opens", "closes"))
    lifetime, once = written["lifetime"], written.get("once_within", ONCE_WITHIN)
    if closes <= 0 and parse_duration(lifetime) > -opens:
        message = f"nothing lives for {quote(lifetime)}: the moment opens {quote(written['opens'])}, and ends with it"
        yield Doubt("long-lifetime", message, ("lifetime",), "shorten it, or open earlier")
    if parse_duration(once) < closes - opens:
        message = f"a context has a second moment {quote(once)} after its first, while that one is still open"
        yield Doubt("repeated-moment", message, ("once_within",), "make it longer than from `opens` to `closes`")


def _seconds(duration: str, side: str) -> int:
    """From the context's instant on, negative before it. Raises ValueError where they are too many."""
    if not side:
        return 0
    seconds = parse_duration(duration)
    return -seconds if side == "before" else seconds


def _kinds(spec: Mapping[str, Any]) -> tuple[str, ...]:
    written = spec["context"]
    return (written,) if isinstance(written, str) else tuple(written)


def _words(spec: Mapping[str, Any]) -> str:
    kinds = " or ".join(f"`{kind}`" for kind in _kinds(spec))
    edges = " until ".join("that instant" if spec[edge] == "at" else f"{spec[edge]} it" for edge in ("opens", "closes"))
    once = spec.get("once_within", ONCE_WITHIN)
    return f"it must be tied to a {kinds}, sent from {edges}, and be the only one for it in {once}"


CONTEXT = {"$ref": "#/$defs/context_kind"}

KIND = Kind(
    name="micro_moment",
    summary="Lets an offer out only in a moment around something in the recipient's life, and only once.",
    properties={
        "context": {
            "anyOf": [
                CONTEXT,
                {"type": "array", "items": CONTEXT, "minItems": 1, "maxItems": 100, "uniqueItems": True},
            ],
            "description": "What it is tied to (`context.kind`): one or several of the project's `contexts`.",
        },
        "opens": EDGE
        | {
            "description": "When the moment opens, seen from `context.at`, such as `24h before`; that instant is in it."
        },
        "closes": EDGE
        | {"description": "When it closes, such as `2h before`, `30m after` or `at`; that instant is no longer in it."},
        "lifetime": {
            "$ref": "#/$defs/duration",
            "description": (
                "How long what is offered lives from the decision on, such as `2h`: never beyond `offer.expires_at` "
                "nor, where the moment closes before `context.at` or then, beyond that."
            ),
        },
        "once_within": {
            "$ref": "#/$defs/duration",
            "default": ONCE_WITHIN,
            "description": (
                "How long after one moment the same recipient gets no other for the same context, `context.id`. What "
                "`applies_to` describes counts, from the decision on."
            ),
        },
    },
    required=("context", "opens", "closes", "lifetime"),
    reason_codes={
        WRONG_CONTEXT: "`context.kind` is none of those that the moment is tied to.",
        TOO_EARLY: "The moment has not opened yet.",
        TOO_LATE: "The moment has closed, or what is offered has ended.",
        HAD_ONE: "The recipient had a moment for this context already, within `once_within`.",
    },
    example="""\
- id: same-day-upgrade
  kind: micro_moment
  title: One upgrade offer, between a day and two hours before a booking
  applies_to: {content.class: sponsored, content.topic: upgrade}
  context: booking
  opens: 24h before
  closes: 2h before
  lifetime: 2h
  once_within: 90d
""",
    lower=lower,
    doubts=doubts,
)
