"""`guardrails recipient record`: everything that a service recorded of one recipient, and of nobody else."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from guardrails.cli import main

POLICIES = """\
apiVersion: guardrails/v1
purposes:
  - {id: offers, title: Offers, lawful_basis: consent, benefit: lower prices, retention: 365d}
policies:
  - {id: ask-first, kind: consent_required, applies_to: {lane: monetized}, purpose: offers}
  - {id: one-a-day, kind: frequency_cap, applies_to: {lane: monetized}, limit: 1, per: [recipient],
     window: {rolling: 24h}}
"""


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["recipient", "record", *arguments, "--policies", "policies.yaml"])


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "policies.yaml").write_text(POLICIES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def service(here, start):
    service = start(policies=here / "policies.yaml")
    notice = {"id": "privacy", "version": "3", "language": "en", "purposes": ["offers"], "text": "May we?"}
    assert service.send("POST", "/v1/notices", notice).status == 201
    return service


def live(service, recipient: str) -> str:
    """A recipient who consents, chooses, and is sent something; returns the decision's id."""
    consent = {"id": f"k-{recipient}", "recipient": recipient, "purpose": "offers", "state": "granted"}
    consent |= {"method": "form", "notice_id": "privacy", "notice_version": "3"}
    assert service.send("POST", "/v1/consents", consent).status == 201
    path = f"/v1/recipients/{recipient.replace('/', '%2F')}/preferences"
    assert service.send("PUT", path, {"toggles": {"sponsored": True}}).status == 200
    candidate = {"id": f"c-{recipient}", "lane": "monetized", "channel": "push"}
    candidate |= {"recipient": {"id": recipient}, "content": {"class": "sponsored"}}
    decision_id = service.send("POST", "/v1/decisions", candidate).json()["decision_id"]
    assert service.send("POST", f"/v1/decisions/{decision_id}/outcome", {"outcome": "sent"}).status == 200
    return decision_id


def test_a_record_is_all_that_is_recorded_of_a_recipient_and_nothing_of_others(service):
    live(service, "crm/41")
    decision_id = live(service, "crm/42")
    result = call("crm/42")
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads(result.stdout)
    assert list(told) == [
        "recipient",
        "as_of",
        "standings",
        "consents",
        "notices",
        "preferences",
        "preference_events",
        "usage",
        "balances",
        "transactions",
        "conversions",
        "redemptions",
        "revenue",
        "decisions",
        "outcomes",
        "events",
    ]
    assert (told["recipient"], "crm/41" in result.stdout) == ("crm/42", False)
    path = "/v1/recipients/crm%2F42/consents"
    assert told["consents"] == service.send("GET", path).json()["consents"]
    assert [each["state"] for each in told["standings"]] == ["granted"]
    assert [each["text"] for each in told["notices"]] == ["May we?"]
    chosen = service.send("GET", "/v1/recipients/crm%2F42/preferences").json()
    assert (told["preferences"], chosen["toggles"]) == (chosen, {"sponsored": True})
    assert [each["value"] for each in told["preference_events"]] == [True]
    assert [(each["policy"], each["used"]) for each in told["usage"]["caps"]] == [("one-a-day", 1)]
    assert [(each["state"], each["entry"]["decision"]["decision_id"]) for each in told["decisions"]] == [
        ("sent", decision_id)
    ]
    assert [(each["entry"]["decision_id"], each["entry"]["outcome"]) for each in told["outcomes"]] == [
        (decision_id, "sent")
    ]


def test_the_service_answers_the_same(service):
    live(service, "crm/42")
    answer = service.send("GET", "/v1/recipients/crm%2F42/record")
    printed, answered = json.loads(call("crm/42").stdout), answer.json()
    moments = [(told.pop("as_of"), told["usage"].pop("as_of")) for told in (printed, answered)]
    for told in (printed, answered):
        for each in told["usage"]["caps"]:
            each.pop("next_slot_at")  # now, where there is room
    assert (answer.status, answered, len(moments)) == (200, printed, 2)


def test_of_nobody_it_is_empty(service):
    told = json.loads(call("nobody").stdout)
    assert [told[name] for name in ("standings", "consents", "notices", "preference_events", "decisions")] == [[]] * 5
    nothing = {"toggles": {}, "paused_until": None, "limits": {}, "timezone": None}
    assert told["preferences"] == {"recipient": "nobody"} | nothing


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a\nb"], "Invalid value for RECIPIENT"),
        (["r-1"], "there is no database"),
        (["r-1", "--database", "memory:"], "`memory:` keeps no records"),
    ],
)
def test_what_can_not_be_told_says_why_and_exits_2(here, arguments, said):
    result = call(*arguments)
    assert (result.exit_code, result.stdout, said in result.stderr) == (2, "", True)
