"""`spend_budget`: what the sends of a campaign or a sponsor cost in a calendar window stays within its money.

A send takes what the candidate's `spend` says, when it is allowed, and gives it back where it does not take place: as a
cap does, and as exactly. Nothing is converted: a budget is in one currency, and a send in another is denied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from guardrails.core.amount_rule import AmountRule, LeftNeed, SpentNeed
from guardrails.core.cap_needs import CapNeed
from guardrails.core.cap_rule import CalendarWindow, CapRule
from guardrails.core.conditions import AllOf, AnyOf, Compare, Condition, FactType, Not, OneOf, Ordering
from guardrails.core.needs import Need
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._counting import (
    COUNTING_PROPERTIES,
    HIGHEST_LIMIT,
    count_condition,
    key_fields,
    key_words,
    retry_advice,
)
from guardrails.policyfile.kinds._kind import Doubt, Kind, Lowered, Lowering
from guardrails.policyfile.kinds._money import AMOUNT, CURRENCY, check_currency, doubts_about, money_words
from guardrails.policyfile.kinds._windows import WINDOW_SCHEMA, in_window, window_of

__all__ = ["KIND"]


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Violated where the send does not fit into the money or the sends that are left, satisfied where it does."""
    window = window_of(spec["window"], lowering)
    if not isinstance(window, CalendarWindow):
        lowering.problem(
            "bad-value",
            "a budget has a calendar window: what was spent is kept as sums, not send by send",
            ("window",),
            "`calendar: day`, `week` or `month`; a `frequency_cap` counts sends in any window",
        )
    most: dict[str, Any] = {
        "window": window,
        "per": key_fields(spec),
        "counts": count_condition(spec, lowering),
        "count_on": spec.get("count_on", "reserved"),
    }
    parts = [part(spec, lowering, most) for name, part in _PARTS.items() if name in spec]
    words = " and ".join(part.words for part in parts)
    codes = tuple(case for part in parts for case in part.cases)
    return Lowered(
        violated=AnyOf(tuple(condition for condition, _ in codes)),
        satisfied=AllOf(tuple(test for part in parts for test in part.satisfied)),
        reason=Reason(
            codes[-1][1],
            f"at most {words} {in_window(window, spec['window'])}, {key_words(spec)}",
            cases=codes[:-1],
        ),
        needs=tuple(need for part in parts for need in part.needs),
        caps=tuple(part.cap for part in parts),
        retry=retry_advice(spec, lowering),
    )


class _Part(NamedTuple):
    """What one of the two limits comes to; `cases` are its violations, each with its reason code."""

    words: str
    cap: CapRule
    needs: tuple[Need, ...]
    cases: tuple[tuple[Condition, str], ...]
    satisfied: tuple[Condition, ...]


def _money(spec: Mapping[str, Any], lowering: Lowering, most: Mapping[str, Any]) -> _Part:
    limit, currency, id_ = spec["money"]["amount_minor"], spec["money"]["currency"], lowering.policy_id
    check_currency(currency, ("money", "currency"), lowering)
    # No policy's id holds a colon. The currency is in the name, so that sums of two are never one.
    rule = AmountRule(id=f"{id_}:{currency}", limit=limit, amount="spend", currency=currency, **most)
    spent = SpentNeed(f"cap.{id_}.used_minor", (rule,))
    left = LeftNeed(f"cap.{id_}.left_minor", spent)
    fits_currency = OneOf("spend.currency", FactType.STRING, (currency,))
    known = tuple(_number(field, Ordering.GTE, 0) for field in ("spend.amount_minor", spent.fact))
    return _Part(
        money_words(limit, currency),
        rule,
        (spent, left),
        cases=((Not(fits_currency), "budget.currency"), (_number(left.fact, Ordering.LT, 0), "budget.spent")),
        satisfied=(fits_currency, *known, _number(left.fact, Ordering.GTE, 0)),
    )


def _sends(spec: Mapping[str, Any], lowering: Lowering, most: Mapping[str, Any]) -> _Part:
    limit, id_ = spec["sends"], lowering.policy_id
    rule = CapRule(id=id_, limit=limit, **most)
    used = CapNeed(f"cap.{id_}.used", rule)
    return _Part(
        f"{limit} sends",
        rule,
        (used,),
        cases=((_number(used.fact, Ordering.GTE, limit), "budget.sends"),),
        satisfied=(_number(used.fact, Ordering.LT, limit),),
    )


_PARTS = {"money": _money, "sends": _sends}


def doubts(written: Mapping[str, Any]) -> Iterator[Doubt]:
    """Of a currency that was withdrawn."""
    if "money" in written:
        yield from doubts_about(written["money"]["currency"], ("money", "currency"))


def _number(field: str, ordering: Ordering, bound: int) -> Compare:
    return Compare(field, FactType.NUMBER, ordering, bound)


# The other windows stay in the schema, so that who writes one is told why it can't be, and not that it is unknown.
_WINDOW: Mapping[str, Any] = {
    **WINDOW_SCHEMA,
    "errorMessage": "write it like `{calendar: month, timezone: project}`",
    "description": "The window that the budget is for: `calendar`, with `timezone`.",
    "properties": {
        name: {**schema, "description": "Not for a budget: its window is a calendar's."}
        if name in ("rolling", "countdown")
        else schema
        for name, schema in WINDOW_SCHEMA["properties"].items()
    },
}

KIND = Kind(
    name="spend_budget",
    summary="Allows sends as long as what they cost, or how many they are, stays within a budget.",
    properties={
        "money": {
            "type": "object",
            "additionalProperties": False,
            "required": ["amount_minor", "currency"],
            "errorMessage": "write it like `{amount_minor: 500000, currency: EUR}`, which is 5,000.00 EUR",
            "description": "The most that all sends in one window may cost together, by their `spend`.",
            "properties": {
                "amount_minor": {**AMOUNT, "description": "In minor units: `500000` is 5,000.00 EUR, or 500,000 JPY."},
                "currency": {
                    **CURRENCY,
                    "description": "ISO 4217. A send in another currency is denied: nothing is converted.",
                },
            },
        },
        "sends": {
            "type": "integer",
            "minimum": 1,
            "maximum": HIGHEST_LIMIT,
            "description": "The most sends in one window.",
        },
        "window": _WINDOW,
        **COUNTING_PROPERTIES,
    },
    required=("window", "per"),
    any_of=("money", "sends"),
    reason_codes={
        "budget.spent": "The send costs more than is left of the budget's money in the window.",
        "budget.sends": "As many sends as the budget pays for took place in the window.",
        "budget.currency": "The send costs money in another currency than the budget's.",
    },
    example="""\
- id: campaign-budget
  kind: spend_budget
  title: What a campaign may cost in a month
  applies_to: {content.class: sponsored}
  money: {amount_minor: 500000, currency: EUR}
  sends: 20000
  window: {calendar: month, timezone: project}
  per: [campaign]
""",
    lower=lower,
    doubts=doubts,
)
