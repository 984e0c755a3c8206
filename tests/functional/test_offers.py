"""Offers on the command line and through HTTP: the same offers, told alike by both."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from guardrails.cli import main
from stores import make_database, sqlite_url

UPGRADE = {"id": "upgrade", "title": "Sea view", "amount_minor": 1900, "currency": "EUR", "sponsor": {"id": "hotel"}}
FULL = UPGRADE | {
    "id": "bottle",
    "title": "A bottle",
    "amount_minor": 500,
    "currency": "JPY",
    "stock": 3,
    "ends_at": "2099-12-24T18:00:00Z",
    "campaign": {"id": "winter"},
    "affiliate": {"id": "guide", "share_bps": 1250},
    "benefit": {"share_bps": 2000, "text": "You get a fifth."},
    "commission_bps": 1000,
}


@pytest.fixture
def guardrails(tmp_path):
    """Run a command on a database."""
    url = sqlite_url(tmp_path / "guardrails.db")
    make_database(url)

    def run(*arguments, given=None):
        said = None if given is None else json.dumps(given)
        return CliRunner().invoke(main, ["offers", *arguments, "--database", url], input=said)

    return run


def test_what_is_registered_here_is_read_over_http_and_the_other_way_round(start, tmp_path):
    service = start()
    url = sqlite_url(tmp_path / "guardrails.db")
    assert service.send("POST", "/v1/offers", UPGRADE).status == 201
    (tmp_path / "bottle.json").write_text(json.dumps(FULL), encoding="utf-8")
    added = CliRunner().invoke(main, ["offers", "add", str(tmp_path / "bottle.json"), "--database", url])
    assert (added.exit_code, added.stdout) == (0, "bottle  500 JPY  live, 3 left\n")
    listed = CliRunner().invoke(main, ["offers", "list", "--json", "--database", url])
    told = service.send("GET", "/v1/offers").json()["offers"]
    assert [json.loads(line) for line in listed.stdout.splitlines()] == told
    assert [each["id"] for each in told] == ["bottle", "upgrade"]


def test_offers_are_listed_with_what_is_left(guardrails):
    assert guardrails("list").stdout == "there is no offer\n"
    guardrails("add", given=[UPGRADE, FULL])
    lines = [line.split() for line in guardrails("list").stdout.splitlines()]
    assert lines == [
        ["offer", "price", "sponsor", "stands", "left", "held", "settled"],
        ["bottle", "500", "JPY", "hotel", "live", "3", "0", "0"],
        ["upgrade", "19.00", "EUR", "hotel", "live", "any", "0", "0"],
    ]


def test_an_offer_is_shown_in_words(guardrails):
    guardrails("add", given=FULL)
    *lines, registered = guardrails("show", "bottle").stdout.splitlines()
    assert lines == [
        "bottle  A bottle",
        "  500 JPY by wallet, 1 a recipient",
        "  live: 3 of 3 left, 0 held, 0 settled",
        "  to be had until 2099-12-24 18:00:00+00:00",
        "  sponsor hotel, campaign winter, commission 10 % of the price",
        "  affiliate guide has 12.50 % of the revenue",
        "  the recipient has 20 % of the revenue, as credits: You get a fifth.",
        "  view, confirm, pay within 300 s; a token lives 86400 s at most",
    ]
    assert registered.startswith("  registered at ")


def test_what_can_not_be_registered_is_told_and_spoils_no_other(guardrails):
    added = guardrails("add", given=[UPGRADE | {"stock": 0}, UPGRADE, UPGRADE | {"amount_minor": 1}])
    assert (added.exit_code, added.stdout) == (1, "upgrade  19.00 EUR  live, any left\n")
    first, second = added.stderr.splitlines()
    assert first == "guardrails: offer 1/stock: `0` is less than 1"
    assert second.startswith("guardrails: offer 3/id: offer `upgrade` is registered with other terms")
    assert guardrails("add", given="no offer").exit_code == 1


def test_what_is_no_json_is_told(guardrails, tmp_path):
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    added = guardrails("add", str(tmp_path / "broken.json"))
    assert added.exit_code == 2
    assert "is no JSON" in added.stderr


def test_an_offer_is_withdrawn_for_good(guardrails):
    guardrails("add", given=UPGRADE)
    assert guardrails("withdraw", "upgrade").stdout == "upgrade  19.00 EUR  withdrawn, any left\n"
    assert json.loads(guardrails("show", "upgrade", "--json").stdout)["status"] == "withdrawn"


@pytest.mark.parametrize("command", ["show", "withdraw"])
def test_what_there_is_none_of_is_told(guardrails, command):
    told = guardrails(command, "nothing")
    assert (told.exit_code, told.stderr) == (1, "guardrails: there is no offer `nothing`\n")
