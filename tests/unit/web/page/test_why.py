"""Why did I get this? Who paid, what allowed it, the consent it rests on, and what the recipient has of it."""

from __future__ import annotations

import msgspec
import pytest

from guardrails.core.purposes import Purpose
from guardrails.web.page.why import Consented, whys_of

POLICIES = """\
apiVersion: guardrails/v1
purposes:
  - {id: deals, title: Deals of partners, benefit: "{benefit}", shared_with: []}
policies:
  - {id: deals-need-a-yes, kind: consent_required, title: Deals only with a yes, applies_to: {content.class: sponsored},
     purpose: deals}
  - {id: not-by-voice, kind: rule, deny_when: {channel: voice}}
"""
CANDIDATE = {
    "id": "c-1",
    "lane": "monetized",
    "channel": "push",
    "recipient": {"id": "r-1"},
    "content": {"class": "sponsored", "disclosure": "Sponsored by Acme"},
    "sponsor": {"id": "Acme"},
}
PLAIN = {"id": "c-2", "lane": "transactional", "content": {"class": "transactional"}}
LOCAL = {"Host": "localhost"}


@pytest.fixture
def dealing(make_site, tmp_path):
    """A site whose policies say what the recipient gets for deals: 5 % off."""
    site = make_site()
    declare(site, tmp_path, "5 % off")
    return site


def declare(site, tmp_path, benefit):
    (tmp_path / "policies.yaml").write_text(POLICIES.replace("{benefit}", benefit), encoding="utf-8")
    site.application.policies.reload_if_changed()


def sent(site, **changes):
    """Decide a candidate, and report it sent."""
    answer = site.send("POST", "/v1/decisions", json=CANDIDATE | changes, headers=LOCAL).get_json()
    assert answer["effect"] == "allow", answer
    path = f"/v1/decisions/{answer['decision_id']}/outcome"
    site.send("POST", path, json={"outcome": "sent"}, headers=LOCAL)
    return answer


def whys(site):
    declared = site.application.policies.snapshot.policy_set.purposes
    return whys_of(site.application.records.allowed("r-1", 10), declared, "en")


def test_it_tells_the_sponsor_and_the_benefit_that_were_registered_of_the_offer(dealing):
    dealing.consent("deals")
    terms = {
        "id": "upgrade",
        "title": "Sea view",
        "amount_minor": 1900,
        "currency": "EUR",
        "sponsor": {"id": "hotel"},
        "benefit": {"share_bps": 500, "text": "5 % of it are yours <b>"},
    }
    assert dealing.send("POST", "/v1/offers", json=terms, headers=LOCAL).status_code == 201
    sent(dealing, sponsor=None, offer={"id": "upgrade"})
    (why,) = whys(dealing)
    assert (why.sponsor, why.benefit) == ("hotel", "5 % of it are yours <b>")
    assert "5 % of it are yours &lt;b&gt;" in dealing.send("GET", dealing.link()).text


def test_it_tells_who_paid_what_allowed_it_the_consent_and_the_benefit(dealing):
    record = dealing.consent("deals")
    answer = sent(dealing)
    (why,) = whys(dealing)
    assert (why.sponsor, why.disclosure, why.is_sent) == ("Acme", "Sponsored by Acme", True)
    assert why.rules == ("Deals only with a yes", "not-by-voice")
    assert why.consents == (Consented("Deals of partners", "5 % off", record, "en"),)
    assert answer["consents"] == [record]
    page = dealing.send("GET", dealing.link()).text
    section = page[page.index('id="why"') :]
    for told in ("Acme", "Deals only with a yes", "not-by-voice", "Deals of partners", "5 % off", f"receipts/{record}"):
        assert told in section


def test_the_benefit_is_the_one_that_was_promised_when_it_was_sent(dealing, tmp_path):
    dealing.consent("deals")
    sent(dealing)
    declare(dealing, tmp_path, "1 % off")
    sent(dealing, id="c-3")
    benefits = {consent.benefit for why in whys(dealing) for consent in why.consents}
    assert benefits == {"5 % off", "1 % off"}


def test_what_needed_no_consent_says_so(dealing):
    sent(dealing, **PLAIN)
    assert [why.consents for why in whys(dealing)] == [()]
    assert "It needed no agreement." in dealing.send("GET", dealing.link()).text


def test_where_it_can_not_be_told_any_more_it_does_not_claim_that_none_was_needed(dealing):
    dealing.consent("deals")
    sent(dealing)
    (record,) = dealing.application.records.allowed("r-1", 10)
    (why,) = whys_of([msgspec.structs.replace(record, consents=None)], {}, "en")
    assert why.consents is None


def test_the_page_does_not_claim_it_either(dealing, monkeypatch):
    class Broken:
        def evaluate(self, selection, facts):
            raise ZeroDivisionError

    with monkeypatch.context() as patched:
        compiled = dealing.application.policies.snapshot
        broken = msgspec.structs.replace(compiled, engine=Broken(), native=Broken())
        patched.setattr(dealing.application.policies, "snapshot", broken)
        assert sent(dealing, **PLAIN)["degraded"] is True
    page = dealing.send("GET", dealing.link()).text
    assert ("be told any more." in page, "It needed no agreement." in page) == (True, False)


@pytest.mark.parametrize("declared", [{}, {"deals": Purpose(id="deals", title="Deals", benefit="More")}])
def test_a_purpose_that_was_not_declared_then_is_told_as_it_is_now_or_by_its_name(dealing, declared):
    dealing.consent("deals")
    sent(dealing)
    (record,) = dealing.application.records.allowed("r-1", 10)
    (rests_on,) = record.consents
    undeclared = msgspec.structs.replace(rests_on, declared=None)
    (why,) = whys_of([msgspec.structs.replace(record, consents=(undeclared,))], declared, "en")
    wanted = ("Deals", "More", rests_on.record, "en") if declared else ("deals", None, rests_on.record, None)
    assert why.consents == (Consented(*wanted),)


@pytest.mark.parametrize("outcome", ["failed", "cancelled", "bounced", None])
def test_what_never_came_is_not_told(dealing, outcome):
    dealing.consent("deals")
    came = sent(dealing, **PLAIN)
    answer = dealing.send("POST", "/v1/decisions", json=CANDIDATE, headers=LOCAL).get_json()
    path = f"/v1/decisions/{answer['decision_id']}/outcome"
    for reported in filter(None, ("sent" if outcome == "bounced" else None, outcome)):
        assert dealing.send("POST", path, json={"outcome": reported}, headers=LOCAL).status_code == 200
    told = sorted(why.content_class for why in whys(dealing))
    assert (came["effect"], told) == ("allow", ["transactional"] if outcome else ["sponsored", "transactional"])


def test_titles_are_marked_as_what_they_are_written_in_where_the_page_is_not(dealing):
    dealing.consent("deals")
    sent(dealing)
    page = dealing.send("GET", dealing.link(language="de")).text
    section = page[page.index('id="why"') :]
    for marked in (
        '<span lang="en">Deals of partners</span>',
        '<dd lang="en">5 % off</dd>',
        '<ul class="rules" lang="en">',
    ):
        assert marked in section
    assert ' lang="' not in dealing.send("GET", dealing.link()).text.partition("</nav>")[2]
