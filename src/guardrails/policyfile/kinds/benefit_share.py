"""`benefit_share`: the recipient gets at least so much of what the notification earns, and is told so.

The share is in basis points of the revenue (10000 is all of it). The sentence that tells the recipient is what the
candidate carries in `benefit.text`; the decision hands it back as an obligation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from guardrails.core.conditions import AllOf, AnyOf, Compare, Condition, Exists, FactType, Not, OneOf, Ordering
from guardrails.core.facts import BENEFIT_FORMS
from guardrails.core.policy import ObligationRule, Reason
from guardrails.policyfile.kinds._kind import Doubt, Kind, Lowered, Lowering
from guardrails.policyfile.kinds._patterns import fits, form_words, patterns_of, patterns_schema
from guardrails.policyfile.problems import quote

__all__ = ["KIND"]

ONE_PERCENT = 100
"""In basis points."""

SHARE, FORM, TEXT = "benefit.share_bps", "benefit.form", "benefit.text"
TOO_SMALL, WRONG_FORM, NOT_TOLD = "benefit.too_small", "benefit.wrong_form", "benefit.not_told"


def lower(spec: Mapping[str, Any], _lowering: Lowering) -> Lowered:
    """Satisfied where the share is large enough, of an allowed form and told; violated where any of it is not."""
    forms, patterns = tuple(spec.get("forms", BENEFIT_FORMS)), patterns_of(spec, "matches")
    is_form = OneOf(FORM, FactType.STRING, forms)
    is_told: tuple[Condition, ...] = (Exists(TEXT), *((fits(TEXT, patterns),) if patterns else ()))
    too_small = Compare(SHARE, FactType.NUMBER, Ordering.LT, spec["least"])
    return Lowered(
        violated=AnyOf((too_small, Not(is_form), *(Not(demand) for demand in is_told))),
        satisfied=AllOf((Compare(SHARE, FactType.NUMBER, Ordering.GTE, spec["least"]), is_form, *is_told)),
        reason=Reason(
            NOT_TOLD,
            f"the recipient must get at least {_percent(spec['least'])} of what it earns as {' or '.join(forms)}, and "
            f"be told so in a sentence{form_words(patterns)}",
            cases=((too_small, TOO_SMALL), (Not(is_form), WRONG_FORM)),
        ),
        obligations=(ObligationRule("show_benefit", fields={"share_bps": SHARE, "form": FORM, "text": TEXT}),),
    )


def _percent(bps: int) -> str:
    """`500` as `5 %`, `1250` as `12.5 %`."""
    return f"{bps / 100:g} %"


def doubts(written: Mapping[str, Any]) -> Iterator[Doubt]:
    """Of a share so small that percent were meant."""
    least = written["least"]
    if least < ONE_PERCENT:
        message = f"{quote(least)} is {_percent(least)} of what it earns: shares are in basis points"
        yield Doubt("tiny-share", message, ("least",), f"{least} % is {quote(least * ONE_PERCENT)}")


KIND = Kind(
    name="benefit_share",
    summary="Demands that the recipient gets a share of what the notification earns, and is told so.",
    properties={
        "least": {
            "type": "integer",
            "minimum": 1,
            "maximum": 10_000,
            "errorMessage": "shares are whole basis points: `500` is 5 %, `10000` is all of it",
            "description": "The smallest share of the revenue (`benefit.share_bps`), in basis points: `500` is 5 %.",
        },
        "forms": {
            "type": "array",
            "items": {"enum": list(BENEFIT_FORMS)},
            "minItems": 1,
            "uniqueItems": True,
            "default": list(BENEFIT_FORMS),
            "description": "What the recipient may get it as: credits, a discount, or either.",
        },
        "matches": patterns_schema("The form of the sentence (`benefit.text`); without it any text will do."),
    },
    required=("least",),
    reason_codes={
        TOO_SMALL: "`benefit.share_bps` is less than `least`.",
        WRONG_FORM: "`benefit.form` is none of `forms`.",
        NOT_TOLD: "The candidate carries no `benefit.text`, or one of another form than `matches` lists.",
    },
    example="""\
- id: share-what-it-earns
  kind: benefit_share
  title: Recipients get a twentieth of what a paid-for notification earns
  applies_to: {content.class: [sponsored, affiliate]}
  least: 500
  forms: [credits, discount]
  matches: ["You get *"]
""",
    lower=lower,
    doubts=doubts,
)
