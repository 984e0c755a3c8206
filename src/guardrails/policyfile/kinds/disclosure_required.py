"""`disclosure_required`: who pays is said in the notification itself, and the sender must show it.

The text is what the candidate carries in `content.disclosure`; the decision hands it back as an obligation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guardrails.core.conditions import AllOf, AnyOf, Condition, Exists, Matches, Not
from guardrails.core.policy import ObligationRule, Reason
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering

__all__ = ["KIND"]

FIELD = "content.disclosure"
MISSING, WRONG = "disclosure.missing", "disclosure.wrong"

PATTERN = {"type": "string", "minLength": 1, "maxLength": 500}


def lower(spec: Mapping[str, Any], _lowering: Lowering) -> Lowered:
    """Satisfied where there is a disclosure that matches one of the patterns, if there are any."""
    patterns = _patterns(spec.get("matches", ()))
    demands: tuple[Condition, ...] = (Exists(FIELD),)
    form = ""
    if patterns:
        demands += (AnyOf(tuple(Matches(FIELD, pattern) for pattern in patterns)),)
        form = f" of the form {' or '.join(f'`{pattern}`' for pattern in patterns)}"
    return Lowered(
        violated=AnyOf(tuple(Not(demand) for demand in demands)),
        satisfied=AllOf(demands),
        reason=Reason(
            WRONG,
            f"the notification must carry a disclosure{form} that says who pays",
            cases=((Not(Exists(FIELD)), MISSING),),
        ),
        obligations=(ObligationRule("show_disclosure", fields={"text": FIELD}),),
    )


def _patterns(matches: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (matches,) if isinstance(matches, str) else tuple(matches)


KIND = Kind(
    name="disclosure_required",
    summary="Demands that the notification says who pays for it, and that the sender shows it.",
    properties={
        "matches": {
            "anyOf": [
                PATTERN,
                {"type": "array", "items": PATTERN, "minItems": 1, "maxItems": 100, "uniqueItems": True},
            ],
            "description": (
                "The form that the disclosure must have: one pattern or a list of which one must fit. `*` stands for "
                "any run of characters, `?` for any one; capitals matter. Without it any text will do."
            ),
        },
    },
    reason_codes={
        MISSING: "The candidate carries no `content.disclosure`.",
        WRONG: "`content.disclosure` has none of the forms listed in `matches`.",
    },
    example="""\
- id: say-who-pays
  kind: disclosure_required
  title: Sponsored content says who pays
  applies_to: {content.class: [sponsored, affiliate]}
  matches: ["Sponsored by *", "Anzeige: *"]
""",
    lower=lower,
)
