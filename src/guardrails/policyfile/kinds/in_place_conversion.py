"""`in_place_conversion`: it converts inside the notification, soon, and says that somebody earns from it.

Nothing leads out of it but to the hosts that the policy lists; by default, nothing does. Hosts are compared as hosts
(`core.hosts`): capitals, a dot at the end and the way beyond-ASCII names are written make no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.conditions import AllOf, AnyOf, Compare, Exists, FactType, Not, OneOf, Ordering
from guardrails.core.hosts import canonical_pattern, is_somebodys, matches_host
from guardrails.core.needs import Answer, Query
from guardrails.core.policy import ObligationRule, Reason
from guardrails.policyfile.kinds._kind import Doubt, Kind, Lowered, Lowering
from guardrails.policyfile.kinds._patterns import fits, form_words, patterns_of, patterns_schema
from guardrails.policyfile.problems import quote

__all__ = ["IN_PLACE", "KIND", "LeavesNeed"]

IN_PLACE = "in_place"
"""What the fact is where nothing leads out of the notification; no host is called so."""

DURATION, TEXT = "conversion.max_seconds", "content.disclosure"
LEAVES, TOO_LONG = "conversion.leaves", "conversion.too_long"
MISSING, WRONG = "disclosure.missing", "disclosure.wrong"


class LeavesNeed(msgspec.Struct, frozen=True):
    """The fact "where it leads to": the first host that is not listed, else `IN_PLACE`. `hosts` are canonical."""

    fact: str
    hosts: tuple[str, ...]
    type: FactType = FactType.STRING
    shares: ClassVar[tuple[str, ...]] = ()
    fields: ClassVar[tuple[str, ...]] = ("conversion.hosts",)

    def queries(self, candidate: Candidate, _at: datetime) -> tuple[Query, ...] | None:
        """No question; None where the candidate doesn't say where it leads to."""
        return None if _hosts(candidate) is None else ()

    def value(self, _answers: tuple[Answer, ...], candidate: Candidate, _at: datetime) -> str | None:
        """The first host that no pattern of the policy means; `IN_PLACE` where there is none."""
        hosts = _hosts(candidate)
        if hosts is None:
            return None
        return next((host for host in hosts if not self._is_listed(host)), IN_PLACE)

    def next_change(self, _answers: tuple[Answer, ...], _candidate: Candidate, _at: datetime) -> None:
        """Never."""

    def _is_listed(self, host: str) -> bool:
        return any(matches_host(pattern, host) for pattern in self.hosts)


def _hosts(candidate: Candidate) -> tuple[str, ...] | None:
    return None if candidate.conversion is None else candidate.conversion.hosts


def lower(spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Satisfied where it stays, is done in time and discloses; violated where any of that is not so."""
    fact = f"conversion.{lowering.policy_id}.leads_to"
    seconds, forms = lowering.duration_seconds(("max_duration",)), patterns_of(spec, "disclosure")
    hosts = _read(spec.get("hosts", ()), lowering)
    stays = OneOf(fact, FactType.STRING, (IN_PLACE,))
    too_long = Compare(DURATION, FactType.NUMBER, Ordering.GT, seconds)
    told = (Exists(TEXT), fits(TEXT, forms))
    return Lowered(
        violated=AnyOf((Not(stays), too_long, *(Not(demand) for demand in told))),
        satisfied=AllOf((stays, Compare(DURATION, FactType.NUMBER, Ordering.LTE, seconds), *told)),
        reason=Reason(
            WRONG,
            f"it must convert inside the notification{_beside(hosts)}, within {spec['max_duration']}, and carry a "
            f"disclosure{form_words(forms)}",
            cases=((Not(stays), LEAVES), (too_long, TOO_LONG), (Not(Exists(TEXT)), MISSING)),
        ),
        needs=(LeavesNeed(fact, hosts),),
        obligations=(
            ObligationRule("convert_in_place", values={"hosts": hosts, "max_seconds": seconds}),
            ObligationRule("show_disclosure", fields={"text": TEXT}),
        ),
    )


def _read(written: list[str] | tuple[str, ...], lowering: Lowering) -> tuple[str, ...]:
    """The patterns in their one form, without those that are none, which are reported."""
    hosts: dict[str, str] = {}
    for place, text in enumerate(written):
        try:
            pattern = canonical_pattern(text)
        except ValueError as error:
            hint = "`*.example.com` means all that is below `example.com`" if "*" in text else ""
            lowering.problem("bad-host", f"{quote(text)} {error}", ("hosts", place), hint)
            continue
        if pattern in hosts:
            message = f"{quote(text)} is the host {quote(hosts[pattern])}, which stands in the list already"
            lowering.problem("duplicate-item", message, ("hosts", place))
        hosts.setdefault(pattern, text)
    return tuple(hosts)


def doubts(written: Mapping[str, Any]) -> Iterator[Doubt]:
    """Of hosts that anybody may have one of."""
    for place, text in enumerate(written.get("hosts", ())):
        pattern = canonical_pattern(text)
        if not is_somebodys(pattern):
            message = f"{quote(text)} lets anybody in: {_whose(pattern)}"
            yield Doubt("open-host", message, ("hosts", place), "name the hosts of those whom you mean")


def _whose(pattern: str) -> str:
    if pattern.startswith("*."):
        return f"whoever registers a name below {quote(pattern.removeprefix('*.'))} has such a host"
    return "it is no name below a domain, and means another machine to everybody"


def _beside(hosts: tuple[str, ...]) -> str:
    return f" or lead to {' or '.join(f'`{host}`' for host in hosts)} alone" if hosts else ""


KIND = Kind(
    name="in_place_conversion",
    summary="Demands that it converts inside the notification, within a time, and says that somebody earns from it.",
    properties={
        "hosts": {
            "type": "array",
            "items": {"type": "string"},
            "maxItems": 100,
            "uniqueItems": True,
            "default": [],
            "description": (
                "The hosts that it may lead to (`conversion.hosts`), such as `pay.example.com`; `*.example.com` means "
                "every host below `example.com`, and not that itself. Without any, nothing leaves the notification."
            ),
        },
        "max_duration": {
            "$ref": "#/$defs/duration",
            "description": "How long converting may take at most (`conversion.max_seconds`), such as `3m`.",
        },
        "disclosure": patterns_schema(
            "The form of the disclosure (`content.disclosure`) that says who earns what from it."
        ),
    },
    required=("max_duration", "disclosure"),
    reason_codes={
        LEAVES: "It leads to a host that is not listed in `hosts`.",
        TOO_LONG: "Converting may take longer than `max_duration`.",
        MISSING: "The candidate carries no `content.disclosure`.",
        WRONG: "`content.disclosure` has none of the forms listed in `disclosure`.",
    },
    example="""\
- id: affiliates-convert-in-place
  kind: in_place_conversion
  title: An affiliate offer converts in the notification, within three minutes
  applies_to: {content.class: affiliate}
  hosts: [pay.example.com, "*.partner.example"]
  max_duration: 3m
  disclosure: ["*commission*", "*Provision*"]
""",
    lower=lower,
    doubts=doubts,
)
