"""`/v1/conversions`: what it answers, what it refuses by which code, and what is counted."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import jsonschema
import pytest

from conversions import FREE, KEYS, NOON, offer, token
from guardrails.audit import MemorySpool
from guardrails.bootstrap import Outside, build_application, utc_now
from guardrails.decide.active_policies import ActivePolicies
from guardrails.settings import Key, Settings
from guardrails.stores import open_stores
from guardrails.web import create_app
from guardrails.web.metrics import Metrics
from stores import run, stored_decision

OPENED = {
    "id": "s-1",
    "decision_id": "d-1",
    "offer": "free",
    "recipient": "r-1",
    "state": "open",
    "steps": ["view", "confirm"],
    "done": [],
    "opened_at": "2026-12-01T12:00:00Z",
    "ends_at": "2026-12-01T12:05:00Z",
    "converted_at": None,
}


@pytest.fixture
def make_service(compiled, log_lines):
    """A client of a service with these keys, whose clock is what each request says."""
    opened = []

    def make(*keys):
        application = build_application(
            ActivePolicies(None, compiled.policy_set, compile_set=lambda _: compiled, clock=utc_now),
            transactor=open_stores("memory:"),
            spool=MemorySpool(),
            clock=utc_now,
            outside=Outside(keys=lambda: KEYS),
        )
        opened.append(application)
        run(application.transactor, lambda session: session.offers.insert([offer(), FREE]))
        run(application.transactor, lambda session: session.decisions.insert([stored_decision(1, recipient="r-1")]))
        client = create_app(application, Settings(keys=keys, replay_clock=True), Metrics()).test_client()
        client.environ_base["HTTP_HOST"] = "127.0.0.1:8080"
        return client, application

    yield make
    for application in opened:
        application.close()


@pytest.fixture
def service(make_service):
    client, _ = make_service()
    return client


def at(seconds: float) -> dict[str, str]:
    return {"Replay-At": instant(seconds).isoformat()}


def instant(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def open_(client, seconds=0.0, **changes):
    body = {"id": "s-1", "token": token(of=FREE), "recipient": "r-1"} | changes
    return client.post("/v1/conversions", json=body, headers=at(seconds))


def step(client, name, seconds=1.0, id_="s-1", **more):
    return client.post(f"/v1/conversions/{id_}/steps", json={"step": name, **more}, headers=at(seconds))


def redeem(client, seconds, of=FREE):
    body = {"recipient": "r-1", "conversion": "s-1"}
    return client.post(f"/v1/offers/{token(of=of)}/redeem", json=body, headers=at(seconds))


def problem(answer):
    return answer.status_code, answer.get_json().get("code")


def counted(client) -> dict[str, float]:
    """What is counted of conversions, but for the buckets of seconds."""
    lines = client.get("/metrics").get_data(as_text=True).splitlines()
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in lines if line.startswith("guardrails_conversion"))
        if not name.startswith("guardrails_conversion_seconds_bucket")
    }


def test_a_session_is_opened_done_step_by_step_and_read(service):
    opened = open_(service)
    assert (opened.status_code, opened.get_json()) == (201, OPENED)
    again = open_(service)
    assert (again.status_code, again.get_json()) == (200, OPENED)
    assert step(service, "view", 1).status_code == 200
    last = step(service, "confirm", 2, number=2)
    done = OPENED | {
        "done": [
            {"step": "view", "at": "2026-12-01T12:00:01Z"},
            {"step": "confirm", "at": "2026-12-01T12:00:02Z"},
        ],
    }
    assert (last.status_code, last.get_json()) == (200, done)
    assert redeem(service, 3).get_json()["state"] == "settled"
    converted = done | {"state": "converted", "converted_at": "2026-12-01T12:00:03Z"}
    assert service.get("/v1/conversions/s-1", headers=at(900)).get_json() == converted


def test_the_promise_of_few_steps_is_measured(service):
    open_(service)
    open_(service)
    step(service, "view", 1)
    step(service, "view", 1)
    step(service, "confirm", 12)
    redeem(service, 12.5)
    redeem(service, 13)
    assert counted(service) == {
        "guardrails_conversions_opened_total": 1,
        'guardrails_conversion_steps_bucket{le="1.0"}': 0,
        'guardrails_conversion_steps_bucket{le="2.0"}': 1,
        'guardrails_conversion_steps_bucket{le="3.0"}': 1,
        'guardrails_conversion_steps_bucket{le="+Inf"}': 1,
        "guardrails_conversion_steps_count": 1,
        "guardrails_conversion_steps_sum": 2,
        "guardrails_conversion_seconds_count": 1,
        "guardrails_conversion_seconds_sum": 12.5,
    }


def test_each_refusal_has_its_code_and_is_counted_and_logged_by_it(service, log_lines):
    open_(service)
    refusals = [
        open_(service, id="s-2"),
        step(service, "confirm"),
        step(service, "share"),
        step(service, "view", number=3),
        step(service, "view", 300),
    ]
    refusals += [
        open_(service, token=token() + "A", id="s-3"),
        open_(service, 3600, id="s-3"),
        open_(service, recipient="r-2", id="s-3"),
        open_(service, recipient="r-2"),
    ]
    codes = [
        "conversion.second_tab",
        "conversion.out_of_order",
        "conversion.unknown_step",
        "conversion.too_many_steps",
        "conversion.late",
        "token.invalid",
        "token.expired",
        "token.other_recipient",
        "conversion.id_taken",
    ]
    statuses = [409, 409, 409, 409, 410, 422, 410, 409, 409]
    assert list(map(problem, refusals)) == list(zip(statuses, codes, strict=True))
    assert {name: value for name, value in counted(service).items() if "refusals" in name} == {
        f'guardrails_conversion_refusals_total{{reason="{code}"}}': 1 for code in codes
    }
    assert [line["refused"] for line in log_lines if "refused" in line] == codes
    assert not any("r-1" in str(line) or token(of=FREE) in str(line) for line in log_lines)


def test_what_converted_is_not_opened_again(service):
    open_(service)
    step(service, "view")
    step(service, "confirm")
    redeem(service, 1)
    assert problem(open_(service, id="s-2")) == (409, "conversion.done")
    assert problem(step(service, "share")) == (409, "conversion.too_many_steps")


def counted_conversions(client) -> tuple[float, float, float]:
    """How many, in how many steps and seconds."""
    told = counted(client)
    names = ("steps_count", "steps_sum", "seconds_sum")
    return tuple(told[f"guardrails_conversion_{name}"] for name in names)


def test_what_is_paid_for_is_converted_and_counted_when_the_payment_settles(service):
    open_(service, token=token())
    assert problem(redeem(service, 1)) == (409, "conversion.out_of_order")
    for name in ("view", "confirm"):
        assert step(service, name).get_json()["state"] == "open"
    assert redeem(service, 2, offer()).get_json()["state"] == "declined"  # nothing is in the wallet
    assert step(service, "pay", 3).get_json()["state"] == "open"
    assert counted_conversions(service) == (0, 0, 0)
    top_up = {"id": "t-1", "recipient": "r-1", "amount_minor": 5000, "currency": "EUR"}
    assert service.post("/v1/wallet/top-ups", json=top_up, headers=at(4)).status_code == 201
    assert redeem(service, 5, offer()).get_json()["state"] == "settled"
    assert service.get("/v1/conversions/s-1", headers=at(6)).get_json()["state"] == "converted"
    assert counted_conversions(service) == (1, 3, 5)


def test_what_costs_nothing_is_counted_where_the_redemption_does_its_last_step(make_service):
    client, application = make_service()
    gift = offer("gift", amount_minor=0, payment="none")
    run(application.transactor, lambda session: session.offers.insert([gift]))
    open_(client, token=token(of=gift))
    step(client, "view", 1)
    step(client, "confirm", 2)
    assert redeem(client, 4, gift).get_json()["state"] == "settled"
    assert counted_conversions(client) == (1, 3, 4)


def test_requests_that_make_no_sense_are_refused_before_anything_is_read(service):
    assert open_(service, id="").status_code == 422
    assert open_(service, token="").status_code == 422
    assert open_(service, token="x" * 4097).status_code == 422
    assert open_(service, more=1).status_code == 422
    assert step(service, "view", number=0).status_code == 422
    assert service.get("/v1/conversions/s-9").status_code == 404
    assert step(service, "view", id_="s-9").status_code == 404
    assert "refusals" not in "".join(counted(service))


@pytest.mark.parametrize("id_", ["a/b", "a//b", "a/steps", "ä b", "r" * 200])
def test_whatever_id_a_session_has_can_stand_in_the_path(service, id_):
    assert open_(service, id=id_).status_code == 201
    assert step(service, "view", id_=id_).get_json()["id"] == id_
    assert service.get(f"/v1/conversions/{id_}", headers=at(1)).get_json()["id"] == id_


def test_only_a_key_with_the_scope_gets_in(make_service):
    keys = [
        Key(name=scope, sha256=hashlib.sha256(scope.encode()).hexdigest(), scopes=frozenset({scope}))
        for scope in ("conversions:write", "decide")
    ]
    client, _ = make_service(*keys)

    def asked(scope):
        headers = {"Authorization": f"Bearer {scope}"}
        body = {"token": token(of=FREE), "recipient": "r-1", "id": "s-1"}
        return [
            client.post("/v1/conversions", json=body, headers=headers | at(0)).status_code,
            client.post("/v1/conversions/s-1/steps", json={"step": "view"}, headers=headers | at(0)).status_code,
            client.get("/v1/conversions/s-1", headers=headers | at(0)).status_code,
        ]

    assert asked("decide") == [403, 403, 403]
    assert asked("conversions:write") == [201, 200, 200]


def test_answers_are_what_the_api_document_says(service):
    document = service.get("/openapi.json").get_json()
    schema = {"$ref": "#/components/schemas/ConversionSession", "components": document["components"]}
    jsonschema.validate(open_(service).get_json(), schema)
    jsonschema.validate(step(service, "view").get_json(), schema)
