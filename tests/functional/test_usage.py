"""A recipient's usage through HTTP and the command line: one story, and the one that decisions tell."""

from __future__ import annotations

import json
from datetime import datetime
from urllib.parse import quote

import pytest
from click.testing import CliRunner, Result

from guardrails.cli import main
from servers import start_redis
from stores import make_database

POLICIES = """\
apiVersion: guardrails/v1
policies:
  - id: two-a-day
    kind: frequency_cap
    title: Two editorials a day
    applies_to: {content.class: editorial}
    limit: 2
    window: {calendar: day, timezone: recipient, fallback: deny}
    per: [recipient]
  - id: by-topic
    kind: frequency_cap
    applies_to: {content.class: editorial}
    limit: 5
    window: {rolling: 24h}
    per: [recipient, topic]
    count_on: sent
  - id: budget
    kind: frequency_cap
    mode: monitor
    applies_to: {lane: monetized}
    limit: 1
    window: {calendar: month, timezone: Europe/Berlin}
    per: []
"""
NOON, NIGHT, LATER = "2026-12-01T12:00:00Z", "2026-12-01T23:00:00Z", "2026-12-01T12:10:00Z"
RECIPIENT = "crm/42 ä"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory, with the policies in it."""
    (tmp_path / "policies.yaml").write_text(POLICIES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def service(here, start):
    return start(policies=here / "policies.yaml", env={"GUARDRAILS_REPLAY_CLOCK": "on"})


def decide(service, number, **more):
    candidate = {
        "id": f"c-{number}",
        "lane": "monetized",
        "channel": "push",
        "recipient": {"id": RECIPIENT, "timezone": "Europe/Berlin"},
        "content": {"class": "editorial", "topic": "news"},
    }
    return service.send("POST", "/v1/decisions", candidate | more, headers={"Replay-At": NOON}).json()


def report(service, decision, outcome):
    path = f"/v1/decisions/{decision['decision_id']}/outcome"
    assert service.send("POST", path, {"outcome": outcome}, headers={"Replay-At": NOON}).status == 200


def usage(service, *, at=NOON, query="?timezone=Europe/Berlin"):
    path = f"/v1/recipients/{quote(RECIPIENT, safe='')}/usage{query}"
    answer = service.send("GET", path, headers={"Replay-At": at})
    assert answer.status == 200
    return answer.json()


def told(usage):
    return {cap["policy"]: (cap["used"], cap["next_slot_at"]) for cap in usage["caps"]}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["usage", *arguments])


def test_usage_and_a_denied_decision_name_the_same_instant(service):
    assert told(usage(service)) == {"two-a-day": (0, NOON), "budget": (0, NOON)}
    assert [decide(service, number)["effect"] for number in (1, 2)] == ["allow", "allow"]
    denied = decide(service, 3)
    (reason,) = denied["reasons"]
    assert {datetime.fromisoformat(denied["retry_at"]), datetime.fromisoformat(reason["holds_from"])} == {
        datetime.fromisoformat(NIGHT)
    }
    assert told(usage(service)) == {"two-a-day": (2, NIGHT), "budget": (2, "2026-12-31T23:00:00Z")}
    assert usage(service)["unused"] == ["by-topic"]
    assert told(usage(service, at=NIGHT))["two-a-day"] == (0, NIGHT)


def test_usage_follows_outcomes_and_the_end_of_leases(service):
    sent, failed = decide(service, 1), decide(service, 2)
    report(service, sent, "sent")
    report(service, failed, "failed")
    assert decide(service, 4)["effect"] == "allow"
    month = "2026-12-31T23:00:00Z"
    assert told(usage(service)) == {"two-a-day": (2, NIGHT), "by-topic": (1, NOON), "budget": (2, month)}
    assert told(usage(service, at=LATER)) == {"two-a-day": (1, LATER), "by-topic": (1, LATER), "budget": (1, month)}


def test_the_command_line_tells_the_same(service, here):
    decision = decide(service, 1)
    report(service, decision, "delivered")
    over_http = usage(service)
    arguments = [RECIPIENT, "--policies", "policies.yaml", "--database", "sqlite:///guardrails.db", "--at", NOON]
    result = run(*arguments, "--timezone", "Europe/Berlin", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, over_http)
    lines = run(*arguments, "--country", "DE").stdout.splitlines()
    assert lines[0] == f"{RECIPIENT}  as of 2026-12-01 13:00:00+01:00, times in Europe/Berlin"
    assert [line.split("  ")[0] for line in lines[1:5]] == ["policy", "two-a-day", "by-topic", "budget"]
    assert lines[5:] == ["two-a-day: the recipient's zone is not known: a `timezone` is needed to say what counts"]


def test_it_is_told_from_postgresql_too(here, start, postgres_url):
    env = {"GUARDRAILS_REPLAY_CLOCK": "on", "GUARDRAILS_DATABASE_URL": postgres_url}
    service = start(policies=here / "policies.yaml", env=env)
    decide(service, 1)
    over_http = usage(service)
    assert told(over_http)["two-a-day"] == (1, NOON)
    arguments = [RECIPIENT, "--policies", "policies.yaml", "--database", postgres_url, "--at", NOON]
    assert json.loads(run(*arguments, "--timezone", "Europe/Berlin", "--json").stdout) == over_http


def test_it_is_told_from_the_redis_that_the_caps_live_in_and_from_no_other(here, start, redis_server):
    redis_server.flush()
    env = {"GUARDRAILS_REPLAY_CLOCK": "on", "GUARDRAILS_CAPS_URL": redis_server.url}
    service = start(policies=here / "policies.yaml", env=env)
    service.until(lambda: service.send("GET", "/readyz").json()["status"] == "ready")
    decide(service, 1)
    over_http = usage(service)
    assert told(over_http)["two-a-day"] == (1, NOON)
    arguments = [RECIPIENT, "--policies", "policies.yaml", "--at", NOON, "--timezone", "Europe/Berlin", "--json"]
    assert json.loads(run(*arguments, "--caps", redis_server.url).stdout) == over_http
    with start_redis() as other:
        result = run(*arguments, "--caps", other.url)
        assert (result.exit_code, result.stdout, other.connect().dbsize()) == (2, "", 0)
        assert result.stderr.startswith("guardrails: ")
    assert usage(service) == over_http, "to look is not to change"


def test_where_it_is_told_from_is_also_said_by_the_variables_of_the_service(here, start, redis_server, monkeypatch):
    redis_server.flush()
    env = {
        "GUARDRAILS_POLICIES": str(here / "policies.yaml"),
        "GUARDRAILS_DATABASE_URL": f"sqlite:///{here / 'elsewhere.db'}",
        "GUARDRAILS_CAPS_URL": redis_server.url,
    }
    service = start(policies=here / "policies.yaml", env=env | {"GUARDRAILS_REPLAY_CLOCK": "on"})
    service.until(lambda: service.send("GET", "/readyz").json()["status"] == "ready")
    decide(service, 1)
    for variable, value in env.items():
        monkeypatch.setenv(variable, value)
    arguments = [RECIPIENT, "--at", NOON, "--timezone", "Europe/Berlin", "--json"]
    assert json.loads(run(*arguments).stdout) == usage(service)
    assert "there is no database at `sqlite:///other.db`" in run(*arguments, "--database", "sqlite:///other.db").stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument 'RECIPIENT'."),
        (["r-1"], "there is no database at `sqlite:///guardrails.db`; `guardrails serve` makes one"),
        (["r-1", "--database", "memory:"], "`memory:` keeps no records; name the database that a service records in"),
        (["r-1", "--policies", "policies.yaml", "--database", "mysql://x/y"], "mysql"),
        (["r-1", "--country", "de"], "Invalid value for --country: `de` is not two capital letters"),
        (["r-1", "--region", "Berlin"], "Invalid value for --region"),
        (["r" * 201], "Invalid value for RECIPIENT: is 201 characters long; at most 200 are taken"),
        (["r-1", "--timezone", "x" * 65], "Invalid value for --timezone: is 65 characters long; at most 64 are taken"),
        ([""], "Invalid value for RECIPIENT: is empty"),
        (["a\nb"], "Invalid value for RECIPIENT"),
        (["r-1", "--at", "tomorrow"], "`tomorrow` is no time"),
    ],
)
def test_what_can_not_be_told_says_why_on_standard_error_and_exits_2(here, arguments, said):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in here.iterdir()] == ["policies.yaml"], "nothing was made on the way"


def test_a_zone_that_does_not_exist_is_told_by_the_option(here):
    make_database("sqlite:///guardrails.db")
    result = run("r-1", "--policies", "policies.yaml", "--timezone", "Mars/Phobos")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Invalid value for --timezone: there is no zone `Mars/Phobos`; a zone is named like" in result.stderr


def test_a_store_that_is_none_is_told_in_one_line(here):
    (here / "guardrails.db").write_bytes(b"no database " * 1000)
    result = run("r-1", "--policies", "policies.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("guardrails: the database `sqlite:///guardrails.db` failed: ")
    assert len(result.stderr.splitlines()) == 1
