"""`disclosure_required`: who pays is said in the notification itself, and the sender must show it.

The text is what the candidate carries in `content.disclosure`. A policy may demand more: on whose behalf it is sent,
who pays by name, a label on the item, and that all of it is seen before the first tap. The decision hands back what is
demanded as an obligation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from guardrails.core.conditions import AllOf, AnyOf, Condition, Exists, FactType, Not, OneOf
from guardrails.core.policy import ObligationRule, Reason
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering
from guardrails.policyfile.kinds._patterns import fits, form_words, patterns_of, patterns_schema

__all__ = ["KIND"]

FIELD = "content.disclosure"
MISSING, WRONG = "disclosure.missing", "disclosure.wrong"
NO_PRINCIPAL, NO_PAYER = "disclosure.no_principal", "disclosure.no_payer"
NO_LABEL, TOO_LATE = "disclosure.no_label", "disclosure.too_late"
BEFORE = "before_first_tap"

Demand = tuple[Condition, str]
"""What must hold, and the reason code where it does not."""


def lower(spec: Mapping[str, Any], _lowering: Lowering) -> Lowered:
    """Satisfied where all that is demanded is disclosed, violated where any of it is not."""
    forms = patterns_of(spec, "matches")
    fields = {"text": FIELD} | {
        name: f"disclosure.{name}"
        for name in ("on_behalf_of", "paid_by", "item_label", "placement")
        if spec.get(name, False) is not False
    }
    demands = tuple(_demands(spec, forms))
    # Last comes the code that stands for itself: what is there, and has none of the forms.
    others = tuple(demand for demand in demands if demand[1] != WRONG)
    return Lowered(
        violated=AnyOf(tuple(Not(demand) for demand, _ in demands)),
        satisfied=AllOf(tuple(demand for demand, _ in demands)),
        reason=Reason(WRONG, _words(spec, forms), cases=tuple((Not(demand), code) for demand, code in others)),
        obligations=(ObligationRule("show_disclosure", fields=fields),),
    )


def _demands(spec: Mapping[str, Any], forms: tuple[str, ...]) -> Iterator[Demand]:
    yield Exists(FIELD), MISSING
    if forms:
        yield fits(FIELD, forms), WRONG
    if spec.get("on_behalf_of", False):
        yield Exists("disclosure.on_behalf_of"), NO_PRINCIPAL
    if spec.get("paid_by", False):
        yield Exists("disclosure.paid_by"), NO_PAYER
    if "item_label" in spec:
        label = "disclosure.item_label"
        yield AllOf((Exists(label), fits(label, patterns_of(spec, "item_label")))), NO_LABEL
    if "placement" in spec:
        yield OneOf("disclosure.placement", FactType.STRING, (BEFORE,)), TOO_LATE


def _words(spec: Mapping[str, Any], forms: tuple[str, ...]) -> str:
    more = [
        *(("on whose behalf it is sent",) if spec.get("on_behalf_of", False) else ()),
        *(("the payer's name",) if spec.get("paid_by", False) else ()),
        *((f"a label on the item{form_words(patterns_of(spec, 'item_label'))}",) if "item_label" in spec else ()),
    ]
    also = f", and also {', '.join(more)}" if more else ""
    seen = "; all of it before the first tap" if "placement" in spec else ""
    return f"the notification must carry a disclosure{form_words(forms)} that says who pays{also}{seen}"


KIND = Kind(
    name="disclosure_required",
    summary="Demands that the notification says who pays for it, and that the sender shows it.",
    properties={
        "matches": patterns_schema("The form that the disclosure must have; without it any text will do."),
        "on_behalf_of": {
            "type": "boolean",
            "default": False,
            "description": "Whether it must say on whose behalf it is sent (`disclosure.on_behalf_of`).",
        },
        "paid_by": {
            "type": "boolean",
            "default": False,
            "description": "Whether it must name who pays (`disclosure.paid_by`).",
        },
        "item_label": patterns_schema("The label that the item itself must carry (`disclosure.item_label`)."),
        "placement": {
            "enum": [BEFORE],
            "description": (
                "Where all of it must be seen (`disclosure.placement`): before the recipient taps for the first time. "
                "Where a candidate doesn't say, `on_missing` decides."
            ),
        },
    },
    reason_codes={
        MISSING: "The candidate carries no `content.disclosure`.",
        WRONG: "`content.disclosure` has none of the forms listed in `matches`.",
        NO_PRINCIPAL: "The candidate doesn't say on whose behalf it is sent.",
        NO_PAYER: "The candidate doesn't name who pays.",
        NO_LABEL: "The candidate carries no label on the item, or one of another form than `item_label` lists.",
        TOO_LATE: "The disclosure is seen only after the first tap.",
    },
    example="""\
- id: say-who-pays
  kind: disclosure_required
  title: Sponsored content says who pays, before the first tap
  applies_to: {content.class: [sponsored, affiliate]}
  matches: ["Sponsored by *", "Anzeige: *"]
  on_behalf_of: true
  paid_by: true
  item_label: [Ad, Anzeige]
  placement: before_first_tap
""",
    lower=lower,
)
