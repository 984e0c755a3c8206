"""The truth about the workload, written out by hand: plain Python, policy by policy, with nothing of the engines.

Kleene's rules with `None` for unknown. What a fact of the wrong type is worth is said once more, here, in full.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from benchmarks.engines.workload import COUNTRIES, EMBARGOED, GENERAL, MARKETS, SPECIFIC_EACH

__all__ = ["verdicts", "violated"]

Facts = Mapping[str, object]
Truth = bool | None

EVERYWHERE: Truth = True
"""What a policy without `applies_to` applies to."""


def verdicts(facts: Facts, size: int) -> dict[str, str]:
    """`satisfied`, `violated` or `undetermined` by policy id; policies that don't apply are left out."""
    found = dict(_general(facts))
    for number in range((size - GENERAL) // SPECIFIC_EACH):
        found.update(_specific(facts, number))
    return {policy: verdict for policy, verdict in found.items() if verdict != "not_applicable"}


def violated(facts: Facts, size: int) -> frozenset[str]:
    """The ids of the policies that are violated."""
    return frozenset(policy for policy, verdict in verdicts(facts, size).items() if verdict == "violated")


def _general(facts: Facts) -> Iterator[tuple[str, str]]:
    lane, channel, content_class = (_text(facts, field) for field in ("lane", "channel", "content.class"))
    paid, monetized = _in(content_class, "sponsored", "affiliate"), _in(lane, "monetized")
    tags = _texts(facts, "content.tags")
    age, steps, amount = (_number(facts, field) for field in ("recipient.age", "content.steps", "offer.amount_minor"))
    euros = _in(_text(facts, "offer.currency"), "EUR")

    consent = _text(facts, "consent.sponsored-needs-opt-in.state")
    refused = _in(consent, "missing", "withdrawn", "denied", "expired")
    yield "sponsored-needs-opt-in", _verdict(paid, violated=refused, satisfied=_in(consent, "granted"))

    steps_fine = None if steps is None else 1 <= steps <= 3
    yield "convert-in-three-steps", _denied_when(monetized, _not(steps_fine))

    capped = _and(_in(content_class, "sponsored"), _in(channel, "push", "email"))
    yield "one-sponsored-a-day", _denied_when(capped, _at_least(facts, "cap.one-sponsored-a-day.used", 1))
    pressure = _number(facts, "attributes.pressure")
    pushy = _or(None if pressure is None else pressure > 7, _in(_text(facts, "attributes.tone"), "alarm", "scarcity"))
    yield "no-hard-sell", _denied_when(EVERYWHERE, pushy)
    yield "an-hour-between", _denied_when(monetized, _at_least(facts, "gap.an-hour-between.used", 1))

    toggle = _text(facts, "toggle.sponsored-is-on.state")
    yield "sponsored-is-on", _verdict(paid, violated=_in(toggle, "off"), satisfied=_in(toggle, "on"))

    quiet = facts.get("quiet.no-night-calls.active")
    it_is_quiet = quiet if isinstance(quiet, bool) else None
    yield "no-night-calls", _denied_when(_in(channel, "push", "web_push", "sms"), it_is_quiet)

    yield "paid-content-says-so", _denied_when(paid, facts.get("content.disclosure") is None)

    transactional = _in(content_class, "transactional")
    strays = _and(_in(lane, "transactional"), _not(transactional))
    yield "lanes-stay-apart", _denied_when(EVERYWHERE, _or(strays, _and(monetized, transactional)))

    yield "no-paid-content-for-minors", _denied_when(paid, None if age is None else age < 18)

    dear_in_euros = _and(euros, None if amount is None else amount > 5_000)
    dear_otherwise = _and(_not(euros), None if amount is None else amount > 4_000)
    yield "small-offers-only", _denied_when(monetized, _or(dear_in_euros, dear_otherwise))

    gambling = None if tags is None else "gambling" in tags
    alcohol_for_the_young = _and(None if tags is None else "alcohol" in tags, None if age is None else age < 21)
    embargoed = _in(_text(facts, "recipient.country"), *EMBARGOED)
    yield "nothing-touchy", _denied_when(monetized, _or(gambling, alcohol_for_the_young, embargoed))


def _specific(facts: Facts, number: int) -> Iterator[tuple[str, str]]:
    campaign = _in(_text(facts, "campaign.id"), f"campaign-{number}")
    sponsor = _in(_text(facts, "sponsor.id"), f"sponsor-{number}")
    if campaign is False and sponsor is False:
        return
    if number % 3 == 0:
        first = number % len(COUNTRIES)
        markets = (COUNTRIES * 2)[first : first + MARKETS]
        at_home = _in(_text(facts, "recipient.country"), *markets)
        yield f"campaign-{number}-markets", _denied_when(campaign, _not(at_home))
    if number % 3 == 1:
        capped = _and(campaign, _in(_text(facts, "channel"), "push", "email"))
        used_up = _at_least(facts, f"cap.campaign-{number}-cap.used", 1 + number % 4)
        yield f"campaign-{number}-cap", _denied_when(capped, used_up)
    if number % 3 == 2:
        sponsored = _and(campaign, _in(_text(facts, "content.class"), "sponsored"))
        age = _number(facts, "recipient.age")
        yield f"campaign-{number}-audience", _denied_when(sponsored, None if age is None else age < 18 + number % 10)
    amount = _number(facts, "offer.amount_minor")
    too_dear = None if amount is None else amount > 2_000 + 100 * (number % 40)
    yield f"sponsor-{number}-price", _denied_when(sponsor, too_dear)


def _verdict(applies: Truth, *, violated: Truth, satisfied: Truth) -> str:
    if applies is False:
        return "not_applicable"
    if applies is None:
        return "undetermined"
    if violated:
        return "violated"
    return "satisfied" if satisfied else "undetermined"


def _denied_when(applies: Truth, condition: Truth) -> str:
    return _verdict(applies, violated=condition, satisfied=_not(condition))


def _and(*truths: Truth) -> Truth:
    if False in truths:
        return False
    return None if None in truths else True


def _or(*truths: Truth) -> Truth:
    if True in truths:
        return True
    return None if None in truths else False


def _not(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _in(text: str | None, *values: str) -> Truth:
    return None if text is None else text in values


def _at_least(facts: Facts, field: str, bound: int) -> Truth:
    number = _number(facts, field)
    return None if number is None else number >= bound


def _text(facts: Facts, field: str) -> str | None:
    value = facts.get(field)
    return value if isinstance(value, str) else None


def _number(facts: Facts, field: str) -> int | float | None:
    value = facts.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and abs(value) <= 2**53 else None


def _texts(facts: Facts, field: str) -> tuple[str, ...] | None:
    value = facts.get(field)
    if not isinstance(value, tuple):
        return None
    return value if all(isinstance(member, str) for member in value) else None
