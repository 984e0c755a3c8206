from __future__ import annotations

import pytest

from guardrails.core.needs import ConsentState
from guardrails.policyfile.kinds._consent_demands import (
    ByMethod,
    Confirmed,
    IsConsent,
    NamesChannel,
    OfNotice,
    SinceVersion,
    UnderLaw,
)

IN_GERMANY, IN_CALIFORNIA = UnderLaw(("DE", "AT")), UnderLaw(("US-CA",))


@pytest.mark.parametrize(
    ("demand", "record", "expected"),
    [
        (IsConsent(), {"method": "form"}, True),
        (IsConsent(), {}, True),
        (IsConsent(), {"method": "os_permission"}, False),
        (Confirmed(), {"method": "double_opt_in"}, True),
        (Confirmed(), {"method": "form"}, False),
        (Confirmed(), {}, False),
        (ByMethod(("form", "api")), {"method": "api"}, True),
        (ByMethod(("form", "api")), {"method": "import"}, False),
        (ByMethod(("form", "api")), {}, False),
        (OfNotice("marketing"), {"notice_id": "marketing"}, True),
        (OfNotice("marketing"), {"notice_id": "marketing-2"}, False),
        (OfNotice("marketing"), {}, False),
        (SinceVersion("3"), {"notice_version": "3"}, True),
        (SinceVersion("3"), {"notice_version": "10"}, True),
        (SinceVersion("3"), {"notice_version": "2"}, False),
        (SinceVersion("3"), {}, False),
        (IN_GERMANY, {"jurisdiction": "DE"}, True),
        (IN_GERMANY, {"jurisdiction": "AT"}, True),
        (IN_GERMANY, {"jurisdiction": "DE-BY"}, True),
        (IN_GERMANY, {"jurisdiction": "FR"}, False),
        (IN_GERMANY, {}, False),
        (IN_CALIFORNIA, {"jurisdiction": "US-CA"}, True),
        (IN_CALIFORNIA, {"jurisdiction": "US"}, False),
        (IN_CALIFORNIA, {"jurisdiction": "US-CO"}, False),
        (NamesChannel(), {"names_channel": True}, True),
        (NamesChannel(), {}, False),
    ],
)
def test_a_record_is_as_demanded_or_not(demand, record, expected):
    assert demand.holds(ConsentState("granted", **record)) is expected


@pytest.mark.parametrize(
    ("demand", "words"),
    [
        (IsConsent(), ""),
        (Confirmed(), "confirmed by double opt-in"),
        (ByMethod(("form", "api")), "given by `form` or `api`"),
        (OfNotice("marketing"), "given on the notice `marketing`"),
        (SinceVersion("3"), "given on version `3` of the notice or later"),
        (IN_GERMANY, "given under the law of `DE` or `AT`"),
        (NamesChannel(), "given for the channel by name"),
    ],
)
def test_a_demand_has_words(demand, words):
    assert demand.words == words


def test_demands_are_values():
    assert ByMethod(("form",)) == ByMethod(("form",))
    assert Confirmed() != NamesChannel()
