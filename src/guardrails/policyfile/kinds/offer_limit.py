"""`offer_limit`: offers stay small, end soon, and add up to little for one recipient in a month.

Amounts are limits by currency, and nothing is converted: an offer in a currency that is not listed is denied. What a
recipient was offered in a month is counted like a cap counts sends, from the offer's price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple

import msgspec

from guardrails.core.amount_rule import AmountRule, LeftNeed, SpentNeed
from guardrails.core.candidate import Candidate
from guardrails.core.cap_rule import RECIPIENT, CalendarWindow
from guardrails.core.conditions import AllOf, AnyOf, Compare, Condition, Exists, FactType, Not, OneOf, Ordering
from guardrails.core.needs import Answer, Need, Query
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._counting import COUNTING_PROPERTIES, count_condition
from guardrails.policyfile.kinds._kind import Doubt, Kind, Lowered, Lowering
from guardrails.policyfile.kinds._money import AMOUNTS, check_currency, doubts_about, money_words
from guardrails.policyfile.problems import quote

__all__ = ["KIND", "ValidityNeed"]

CURRENCY_FIELD, AMOUNT_FIELD = "offer.currency", "offer.amount_minor"


class ValidityNeed(msgspec.Struct, frozen=True):
    """The fact "the offer is valid for too long": it ends more than `seconds` after the instant."""

    fact: str
    seconds: int
    type: FactType = FactType.BOOLEAN
    fields: ClassVar[tuple[str, ...]] = ("offer.expires_at",)
    shares: ClassVar[tuple[str, ...]] = ()

    def queries(self, candidate: Candidate, _at: datetime) -> tuple[Query, ...] | None:
        """No question; None where the candidate does not say when its offer ends."""
        return None if _expires_at(candidate) is None else ()

    def value(self, _answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> bool | None:
        """Whether it is at `at`."""
        expires_at = _expires_at(candidate)
        return None if expires_at is None else at < expires_at - timedelta(seconds=self.seconds)

    def next_change(self, _answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> datetime | None:
        """When it is just not too long."""
        expires_at = _expires_at(candidate)
        holds_from = None if expires_at is None else expires_at - timedelta(seconds=self.seconds)
        return holds_from if holds_from is not None and at < holds_from else None


def _expires_at(candidate: Candidate) -> datetime | None:
    return None if candidate.offer is None else candidate.offer.expires_at


class _Part(NamedTuple):
    """What one of the limits comes to; `cases` are its violations, each with its reason code."""

    words: str
    cases: tuple[tuple[Condition, str], ...]
    satisfied: tuple[Condition, ...]
    needs: tuple[Need, ...] = ()
    caps: tuple[AmountRule, ...] = ()


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Violated where the offer is beyond one of the limits, satisfied where it is within all of them."""
    monthly = spec.get("per_month", {}).get("amounts", {})
    if "counts" in spec and not monthly:
        message = "`counts` says what `per_month` counts, and there is no `per_month`"
        lowering.problem("missing-property", message, ("counts",), "add `per_month`, or remove this")
    known = [check_currency(code, ("amounts", code), lowering) for code in spec.get("amounts", {})]
    known += [check_currency(code, ("per_month", "amounts", code), lowering) for code in monthly]
    if all(known) and "amounts" in spec and monthly and spec["amounts"].keys() != monthly.keys():
        lowering.problem(
            "contradiction",
            "`amounts` and `per_month` are about different currencies: what is in one of them alone has no limit in "
            "the other",
            ("per_month", "amounts"),
            "list the same currencies in both",
        )
    parts = [part(spec, lowering) for name, part in _PARTS.items() if name in spec]
    cases = tuple(dict.fromkeys(case for part in parts for case in part.cases))
    return Lowered(
        violated=AnyOf(tuple(condition for condition, _ in cases)),
        satisfied=AllOf(tuple(dict.fromkeys(test for part in parts for test in part.satisfied))),
        reason=Reason(cases[-1][1], f"an offer is {', '.join(part.words for part in parts)}", cases=cases[:-1]),
        needs=tuple(need for part in parts for need in part.needs),
        caps=tuple(cap for part in parts for cap in part.caps),
    )


def _amounts(spec: Mapping[str, Any], _lowering: Lowering) -> _Part:
    amounts = spec["amounts"]
    listed, unlisted = _in_currencies(amounts)
    too_much = [AllOf((_in(code), _number(AMOUNT_FIELD, Ordering.GT, most))) for code, most in amounts.items()]
    small = [AllOf((_in(code), _number(AMOUNT_FIELD, Ordering.LTE, most))) for code, most in amounts.items()]
    return _Part(
        f"of at most {_listed(amounts)}",
        (unlisted, (AnyOf(tuple(too_much)), "offer.too_much")),
        (listed, AnyOf(tuple(small))),
    )


def _validity(spec: Mapping[str, Any], lowering: Lowering) -> _Part:
    need = ValidityNeed(f"validity.{lowering.policy_id}.too_long", lowering.duration_seconds(("validity",)))
    too_long, fine = (OneOf(need.fact, FactType.BOOLEAN, (value,)) for value in (True, False))
    return _Part(
        f"valid for at most {spec['validity']}",
        ((too_long, "offer.too_long"),),
        (Exists("offer.expires_at"), fine),
        (need,),
    )


def _per_month(spec: Mapping[str, Any], lowering: Lowering) -> _Part:
    written, id_ = spec["per_month"], lowering.policy_id
    window = CalendarWindow("month", lowering.zone(("per_month",)))
    # No policy's id holds a colon. The currency is in the name, so that sums of two are never one.
    rules = tuple(
        AmountRule(
            id=f"{id_}:{code}",
            limit=most,
            window=window,
            per=(RECIPIENT,),
            amount="offer",
            currency=code,
            counts=count_condition(spec, lowering),
            count_on=written.get("count_on", "reserved"),
        )
        for code, most in written["amounts"].items()
    )
    spent = SpentNeed(f"cap.{id_}.used_minor", rules)
    left = LeftNeed(f"cap.{id_}.left_minor", spent)
    listed, unlisted = _in_currencies(written["amounts"])
    place = "the recipient's zone" if window.zone.name == "recipient" else window.zone.name
    return _Part(
        f"one of at most {_listed(written['amounts'])} for a recipient in a calendar month in {place}",
        (unlisted, (_number(left.fact, Ordering.LT, 0), "offer.month_spent")),
        (listed, *(_number(field, Ordering.GTE, 0) for field in (AMOUNT_FIELD, spent.fact, left.fact))),
        (spent, left),
        rules,
    )


_PARTS = {"amounts": _amounts, "validity": _validity, "per_month": _per_month}


def doubts(written: Mapping[str, Any]) -> Iterator[Doubt]:
    """Of amounts that a month leaves no room for, and of currencies that were withdrawn."""
    monthly = written.get("per_month", {}).get("amounts", {})
    for code, most in written.get("amounts", {}).items():
        yield from doubts_about(code, ("amounts", code))
        if most > monthly.get(code, most):
            room, message = money_words(monthly[code], code), f"no offer reaches {quote(money_words(most, code))}"
            hint = "raise what a month allows, or lower this"
            yield Doubt("unreachable-limit", f"{message}: a month has room for {room}", ("amounts", code), hint)
    for code in monthly:
        yield from doubts_about(code, ("per_month", "amounts", code))


def _in_currencies(amounts: Mapping[str, int]) -> tuple[Condition, tuple[Condition, str]]:
    """The test that it is in one of them, and the case that it is not."""
    listed = OneOf(CURRENCY_FIELD, FactType.STRING, tuple(amounts))
    return listed, (Not(listed), "offer.currency_not_allowed")


def _in(code: str) -> Condition:
    return OneOf(CURRENCY_FIELD, FactType.STRING, (code,))


def _number(field: str, ordering: Ordering, bound: int) -> Compare:
    return Compare(field, FactType.NUMBER, ordering, bound)


def _listed(amounts: Mapping[str, int]) -> str:
    return " or ".join(money_words(most, code) for code, most in amounts.items())


KIND = Kind(
    name="offer_limit",
    summary="Demands that an offer is small, ends soon, and adds up to little for its recipient in a month.",
    properties={
        "amounts": {
            **AMOUNTS,
            "description": (
                "The highest price by currency (ISO 4217), in minor units: `{EUR: 5000}` is 50.00 EUR. An offer in a "
                "currency that is not listed is denied: nothing is converted."
            ),
        },
        "validity": {
            "$ref": "#/$defs/duration",
            "description": "How long the offer may be valid at most, from the send until its `expires_at`.",
        },
        "per_month": {
            "type": "object",
            "additionalProperties": False,
            "required": ["amounts", "timezone"],
            "description": "How much a recipient is offered in a calendar month at most.",
            "properties": {
                "amounts": {
                    **AMOUNTS,
                    "description": "By currency, in minor units; the same currencies as in `amounts`, where both are.",
                },
                "timezone": {
                    "$ref": "#/$defs/timezone",
                    "description": "Whose calendar: `recipient`, `project`, or a zone such as `Europe/Berlin`.",
                },
                "fallback": {
                    "$ref": "#/$defs/fallback",
                    "description": "Needed with `timezone: recipient`: the zone where theirs is missing or wrong.",
                },
                "count_on": {
                    **COUNTING_PROPERTIES["count_on"],
                    "description": "From when on an offer counts: see `frequency_cap`. Default: reserved.",
                },
            },
            "allOf": [
                {
                    "if": {"required": ["timezone"], "properties": {"timezone": {"const": "recipient"}}},
                    "then": {"required": ["fallback"]},
                }
            ],
        },
        "counts": {
            **COUNTING_PROPERTIES["counts"],
            "description": (
                "Which offers `per_month` counts, whether or not the policy applies to them. Default: those that "
                "`applies_to` describes."
            ),
        },
    },
    any_of=("amounts", "validity", "per_month"),
    reason_codes={
        "offer.currency_not_allowed": "The offer is in a currency that the policy lists no amount for.",
        "offer.too_much": "The offer's price is higher than `amounts` allows in its currency.",
        "offer.too_long": "The offer ends later after the send than `validity` allows.",
        "offer.month_spent": "The offer's price is more than is left of what `per_month` allows its recipient.",
    },
    example="""\
- id: small-and-short-offers
  kind: offer_limit
  title: Offers of at most 50, for two weeks, and 100 a month
  applies_to: {offer.id: {exists: true}}
  amounts: {EUR: 5000, USD: 5000}
  validity: 14d
  per_month: {amounts: {EUR: 10000, USD: 10000}, timezone: recipient, fallback: strictest}
""",
    lower=lower,
    doubts=doubts,
)
