"""What every route has in common: keys, the replay clock, host names, problem details, headers, faults."""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import datetime

import pytest

from guardrails.settings import Key
from guardrails.web.exchange import Exchange
from guardrails.web.front import Admission, Front
from guardrails.web.metrics import Metrics
from guardrails.web.route import Route
from service import CANDIDATE

SENDER, READER, NOBODY = "sender-key-0123456789", "reader-key-0123456789", "nobody-key-0123456789"


def key_of(name, secret, *scopes):
    return Key(name, hashlib.sha256(secret.encode()).hexdigest(), frozenset(scopes))


@pytest.fixture
def with_keys(make_client):
    keys = (
        key_of("sender", SENDER, "decide", "consent:write"),
        key_of("reader", READER, "audit:read", "consent:read", "policy:read"),
    )
    return make_client(keys=keys)


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


# --- problems ---------------------------------------------------------------------------------------------------


def problem_of(answer):
    assert answer.content_type == "application/problem+json"
    problem = answer.get_json()
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert problem["title"]
    assert "Traceback" not in answer.text
    return answer.status_code, problem["type"]


JSON = {"Content-Type": "application/json"}
DEEP = (
    b'{"id":"c","lane":"monetized","channel":"push","recipient":{"id":"r"},'
    b'"content":{"class":"sponsored"},"attributes":%s}'
)


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "expected"),
    [
        ("POST", "/v1/decisions", JSON, b"", (400, "malformed")),
        ("POST", "/v1/decisions", JSON, b"{", (400, "malformed")),
        ("POST", "/v1/decisions", JSON, b"[" * 200_000, (400, "malformed")),
        ("POST", "/v1/decisions", JSON, DEEP % (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), (400, "malformed")),
        ("POST", "/v1/decisions", JSON, DEEP % (b'{"a":' + b"[" * 500 + b"]" * 500 + b"}"), (422, "invalid")),
        ("POST", "/v1/decisions", JSON, DEEP % (b'{"a":' * 200 + b"1" + b"}" * 200), (422, "invalid")),
        ("POST", "/v1/decisions", JSON, DEEP % b'{"a": 1e999}', (422, "invalid")),
        ("POST", "/v1/decisions", JSON, DEEP % (b'{"a": ' + b"9" * 10_000 + b"}"), (422, "invalid")),
        ("POST", "/v1/decisions", JSON, DEEP % b'{"a": "\\ud800"}', (400, "malformed")),
        ("POST", "/v1/decisions", JSON, b'{"id": "\xff"}', (400, "malformed")),
        ("POST", "/v1/decisions", JSON, b"null", (422, "invalid")),
        ("POST", "/v1/decisions", JSON, b" " * (256 * 1024 + 1), (413, "too-large")),
        ("POST", "/v1/decisions/batch", JSON, b" " * (8 * 1024 * 1024 + 1), (413, "too-large")),
        ("POST", "/v1/decisions/batch", JSON, b'{"candidates": [' + b"[" * 100_000, (400, "malformed")),
        ("POST", "/v1/decisions/batch", JSON, b'{"candidates": [{}, {]}', (400, "malformed")),
        ("POST", "/v1/decisions", {"Content-Type": "text/plain"}, b"{}", (415, "unsupported-media-type")),
        ("POST", "/v1/decisions", {}, b"{}", (415, "unsupported-media-type")),
        ("POST", "/v1/decision", JSON, b"{}", (404, "not-found")),
        ("POST", "/v1/decisions/", JSON, b"{}", (404, "not-found")),
        ("GET", "/v1/decisions/../../etc/passwd", {}, b"", (404, "not-found")),
        ("GET", "/v1/decisions", {}, b"", (405, "method-not-allowed")),
        ("DELETE", "/v1/recipients/r-1/consents", {}, b"", (405, "method-not-allowed")),
        ("BREW", "/v1/decisions", {}, b"", (405, "method-not-allowed")),
        ("GET", "/", {}, b"", (404, "not-found")),
    ],
)
def test_what_is_wrong_is_a_problem(client, method, path, headers, body, expected):
    status, type_ = problem_of(client.open(path, method=method, headers=headers, data=body))
    assert (status, type_) == (expected[0], f"/docs#problem-{expected[1]}")


def test_a_wrong_method_says_which_are_right(client):
    assert set(client.delete("/v1/recipients/r-1/preferences").headers["Allow"].split(", ")) >= {"GET", "PUT"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_lies_below_a_decision_is_no_part_of_its_id(client, method):
    answer = client.open("/v1/decisions/x/outcome", method=method)
    assert problem_of(answer) == (405, "/docs#problem-method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/decisions/batch", {"POST", "OPTIONS"}),
        ("/v1/consents/batch", {"POST", "OPTIONS"}),
        ("/v1/consents/k-1/confirmation", {"POST", "OPTIONS"}),
        ("/v1/consents", {"POST", "OPTIONS"}),
        ("/v1/outcomes", {"POST", "OPTIONS"}),
        ("/v1/recipients/r-1/preference-link", {"POST", "OPTIONS"}),
    ],
)
def test_what_can_only_be_posted_to_says_so_to_who_reads(client, path, allowed):
    for method in ("GET", "HEAD"):
        answer = client.open(path, method=method)
        assert (answer.status_code, set(answer.headers["Allow"].split(", "))) == (405, allowed)
    assert client.get("/v1/consents/batches").status_code == 404


@pytest.mark.parametrize("consent_id", ["batch", "k-1/confirmation"])
def test_a_record_is_read_though_its_id_looks_like_another_route(client, consent_id):
    consent = {"recipient": "r-1", "purpose": "sponsored_content", "state": "granted", "method": "form"}
    client.post("/v1/consents", json=consent | {"id": consent_id})
    assert client.get(f"/v1/consents/{consent_id}").get_json()["id"] == consent_id


def test_every_wrong_method_is_told_with_the_right_ones(client):
    rules = [rule for rule in client.application.url_map.iter_rules() if "<" not in rule.rule]
    methods = {rule.rule: set() for rule in rules}
    for rule in rules:
        methods[rule.rule] |= rule.methods
    for path, allowed in methods.items():
        wrong = next(method for method in ("DELETE", "PATCH") if method not in allowed)
        answer = client.open(path, method=wrong)
        assert (path, answer.status_code) == (path, 405)
        assert set(answer.headers["Allow"].split(", ")) >= allowed


def test_a_slash_in_an_id_may_also_stand_as_it_is(client):
    assert client.get("/v1/recipients/crm/42/preferences").get_json()["recipient"] == "crm/42"


def test_the_last_of_doubled_names_counts(client):
    body = json.dumps(CANDIDATE)[:-1] + ', "id": "c-2"}'
    assert client.post("/v1/decisions", data=body, headers=JSON).get_json()["candidate_id"] == "c-2"


def test_a_fault_of_ours_is_told_without_its_cause_and_logged_with_it(make_client, log_lines, tmp_path):
    client = make_client(database_url=f"sqlite:///{tmp_path}/g.db")
    for path in tmp_path.glob("g.db*"):
        path.write_bytes(b"no database any more " * 1000)
    answer = client.get("/v1/recipients/r-1/consents")
    assert problem_of(answer) == (503, "/docs#problem-unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert str(tmp_path) not in answer.text
    # What another test's outage left untold may be told here, a second after it.
    asked = answer.headers["X-Request-Id"]
    assert [line["event"] for line in log_lines if line.get("request_id") == asked] == ["fault", "request"]


def test_what_nobody_foresaw_is_logged_with_its_trace_each_time(log_lines):
    front = Front(lambda *_: [], admission=Admission(keyring=None, replay_clock=False), metrics=Metrics())

    def fail(_):
        raise RuntimeError("the inside")

    route = Route(method="GET", path="/x", handler=fail, name="x", summary="x", tag="x", scope=None)
    assert [front.answer(route, Exchange({}), {}).status for _ in range(3)] == [500] * 3
    told = [line for line in log_lines if line.get("error") == "the inside"]
    assert [(line["event"], type(line["exc_info"])) for line in told] == [("fault", RuntimeError)] * 3


def test_a_store_that_is_out_of_reach_is_not_told_of_with_every_request(make_client, log_lines, tmp_path):
    client = make_client(database_url=f"sqlite:///{tmp_path}/g.db")
    for path in tmp_path.glob("g.db*"):
        path.write_bytes(b"no database any more " * 1000)
    for _ in range(20):
        assert client.get("/v1/recipients/r-1/consents").status_code == 503
        assert client.post("/v1/decisions", json=CANDIDATE | {"id": secrets.token_hex(8)}).status_code == 200
    events = [line["event"] for line in log_lines if line["log_level"] == "error"]
    assert 1 <= events.count("fault") < 20
    assert 1 <= events.count("decision.degraded") < 20


# --- headers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/livez", "/v1/policies", "/nowhere", "/v1/recipients/r-1/preferences", "/docs"])
def test_every_answer_carries_its_request_id_and_is_not_cached(client, path):
    headers = client.get(path, headers={"X-Request-Id": "mine"}).headers
    assert (headers["X-Request-Id"], headers["Cache-Control"]) == ("mine", "no-store")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert [name for name, _ in headers].count("Content-Type") == 1


def test_head_is_get_without_a_body(client):
    answer = client.head("/livez")
    assert (answer.status_code, answer.data) == (200, b"")


# --- the replay clock -------------------------------------------------------------------------------------------


def test_the_replay_clock_sets_the_time_of_one_request(client):
    at = "2025-01-02T03:04:05+01:00"
    replayed = client.post("/v1/decisions", json=CANDIDATE, headers={"Replay-At": at}).get_json()
    assert datetime.fromisoformat(replayed["evaluated_at"]) == datetime.fromisoformat(at)
    now = client.post("/v1/decisions", json=CANDIDATE | {"id": "c-2"}).get_json()
    assert now["evaluated_at"] > replayed["evaluated_at"]


@pytest.mark.parametrize(
    "at",
    [
        "",
        "yesterday",
        "2025-01-02T03:04:05",
        "1735786800",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "1969-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
    ],
)
def test_a_replay_time_that_is_none_is_refused(client, at):
    answer = client.post("/v1/decisions", json=CANDIDATE, headers={"Replay-At": at})
    assert problem_of(answer) == (400, "/docs#problem-malformed")


def test_the_replay_header_is_refused_where_the_clock_is_off(make_client):
    answer = make_client().post("/v1/decisions", json=CANDIDATE, headers={"Replay-At": "2025-01-02T03:04:05Z"})
    assert problem_of(answer) == (400, "/docs#problem-malformed")


# --- who may call -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:9", "localhost", "localhost:8080", "[::1]:8080", "127.1.2.3:1"]
)
def test_without_keys_loopback_names_are_answered(client, host):
    assert client.get("/v1/policies", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8080", "192.0.2.1", "127.0.0.1.evil.example"])
def test_without_keys_no_other_name_is_answered(client, host):
    answer = client.get("/v1/policies", headers={"Host": host})
    assert problem_of(answer) == (421, "/docs#problem-misdirected")


def test_with_keys_any_name_is_answered(with_keys):
    answer = with_keys.get("/v1/policies", headers={"Host": "guardrails.example"} | bearer(READER))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": ""}, {"Authorization": "Bearer "}, {"Authorization": f"Basic {SENDER}"}, bearer(NOBODY),
     bearer(SENDER[:-1]), bearer("ä"), bearer("x" * 5000)],
    ids=["none", "empty", "no-key", "basic", "unknown", "prefix", "not-ascii", "long"],
)  # fmt: skip
def test_without_a_known_key_nothing_is_answered(with_keys, headers):
    answer = with_keys.post("/v1/decisions", json=CANDIDATE, headers=headers)
    assert problem_of(answer) == (401, "/docs#problem-unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="guardrails"'


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/decisions", SENDER),
        ("POST", "/v1/decisions/batch", SENDER),
        ("POST", "/v1/explain", SENDER),
        ("POST", "/v1/decisions/x/outcome", SENDER),
        ("POST", "/v1/outcomes", SENDER),
        ("POST", "/v1/consents", SENDER),
        ("POST", "/v1/consents/batch", SENDER),
        ("PUT", "/v1/recipients/r-1/preferences", SENDER),
        ("GET", "/v1/decisions/x", READER),
        ("GET", "/v1/recipients/r-1/consents", READER),
        ("GET", "/v1/recipients/r-1/preferences", READER),
        ("GET", "/v1/policies", READER),
    ],
)
def test_a_key_does_what_its_scopes_say_and_nothing_else(with_keys, method, path, allowed):
    refused = READER if allowed == SENDER else SENDER
    assert with_keys.open(path, method=method, json={}, headers=bearer(refused)).status_code == 403
    assert with_keys.open(path, method=method, json={}, headers=bearer(allowed)).status_code not in {401, 403}


def test_whoever_may_decide_may_report_on_what_others_decided(make_client):
    keys = (key_of("sender", SENDER, "decide"), key_of("gateway", READER, "decide"))
    client = make_client(keys=keys)
    decided = client.post("/v1/decisions", json=CANDIDATE, headers=bearer(SENDER)).get_json()
    path = f"/v1/decisions/{decided['decision_id']}/outcome"
    answer = client.post(path, json={"outcome": "delivered"}, headers=bearer(READER))
    assert (answer.status_code, answer.get_json()["state"]) == (200, "delivered")


def test_the_log_names_the_key_and_never_holds_it(with_keys, log_lines):
    with_keys.post("/v1/decisions", json=CANDIDATE, headers=bearer(SENDER))
    assert log_lines[-1]["key"] == "sender"
    assert SENDER not in repr(log_lines)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/docs", "/openapi.json"])
def test_what_machines_ask_is_open(with_keys, path):
    assert with_keys.get(path).status_code == 200


def test_a_wrong_key_is_refused_even_where_none_is_needed(with_keys):
    assert with_keys.get("/livez", headers=bearer(NOBODY)).status_code == 401


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
@pytest.mark.parametrize(
    "path", [b"/v1/recipients/\xff/usage", b"/v1/decisions/a\xc3", b"/v1/recipients/\xed\xa0\x80/preferences", b"/\xff"]
)
def test_a_path_that_is_not_utf8_is_no_id_that_it_might_look_like(client, method, path):
    as_servers_say_it = {"PATH_INFO": path.decode("latin-1")}
    answer = client.open(method=method, json={"toggles": {"sponsored": True}}, environ_overrides=as_servers_say_it)
    assert (answer.status_code, answer.get_json()["detail"]) == (400, "the path is not UTF-8, percent-encoded")
    replaced = client.get("/v1/recipients/%EF%BF%BD/preferences").get_json()
    assert (replaced["recipient"], replaced["toggles"]) == ("\ufffd", {})
