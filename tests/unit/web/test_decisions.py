from __future__ import annotations

import pytest

NOW = "2026-03-10T12:00:00Z"
RECIPIENT = {"id": "r-1", "timezone": "Europe/Berlin", "country": "DE", "age": 34}
SPONSORED = {
    "id": "c-1",
    "lane": "monetized",
    "channel": "push",
    "recipient": RECIPIENT,
    "content": {"class": "sponsored", "topic": "upgrade", "disclosure": "Sponsored by Acme Air", "steps": 2},
    "sponsor": {"id": "acme-air"},
    "campaign": {"id": "cmp-7"},
}
TRANSACTIONAL = {
    "id": "c-2",
    "lane": "transactional",
    "channel": "email",
    "recipient": RECIPIENT,
    "content": {"class": "transactional"},
}
HEADERS = {"Replay-At": NOW}


@pytest.fixture
def post(client):
    def post(path, value, **extra):
        return client.post(path, json=value, headers=HEADERS | extra)

    return post


@pytest.fixture
def consented(post):
    answer = post(
        "/v1/consents",
        {"recipient": "r-1", "purpose": "sponsored_content", "state": "granted", "method": "settings_screen"},
    )
    assert answer.status_code == 201


def test_a_deny_is_an_answer(post):
    answer = post("/v1/decisions", SPONSORED)
    decision = answer.get_json()
    assert answer.status_code == 200
    assert decision["effect"] == "deny"
    assert [reason["code"] for reason in decision["reasons"]] == ["consent.missing"]
    assert decision["evaluated_at"] == NOW


def test_consent_opens_the_way(post, consented):
    assert post("/v1/decisions", SPONSORED).get_json()["effect"] == "allow"


def test_the_same_candidate_again_gets_the_same_bytes_and_a_header_says_that_it_is_a_repeat(post):
    first, again = (post("/v1/decisions", SPONSORED) for _ in range(2))
    assert first.data == again.data
    assert [answer.headers.get_all("Idempotent-Replayed") for answer in (first, again)] == [[], ["true"]]


def test_a_repeat_is_the_first_answer_also_where_they_withdrew_since_and_a_new_id_is_told_of_it(post, consented):
    first = post("/v1/decisions", SPONSORED)
    post(
        "/v1/consents",
        {"recipient": "r-1", "purpose": "sponsored_content", "state": "withdrawn", "method": "settings_screen"},
    )
    again = post("/v1/decisions", SPONSORED)
    anew = post("/v1/decisions", SPONSORED | {"id": "c-9"}).get_json()
    assert (first.get_json()["effect"], again.data, again.headers["Idempotent-Replayed"]) == (
        "allow",
        first.data,
        "true",
    )
    assert "consent.withdrawn" in [reason["code"] for reason in anew["reasons"]]


def test_a_repeat_after_the_lease_is_the_same_answer_whose_lease_until_is_over(post, client, consented):
    first = post("/v1/decisions", SPONSORED)
    later = "2026-03-10T12:10:00Z"
    again = client.post("/v1/decisions", json=SPONSORED, headers={"Replay-At": later})
    assert (again.data, again.get_json()["lease_until"]) == (first.data, later)


def test_the_same_id_with_another_body_is_a_conflict(post):
    post("/v1/decisions", SPONSORED)
    answer = post("/v1/decisions", SPONSORED | {"channel": "email"})
    assert (answer.status_code, answer.content_type) == (409, "application/problem+json")


@pytest.mark.parametrize("send_at", ["2026-03-10T11:59:59Z", "3000-01-01T00:00:00Z"])
def test_a_planned_time_in_the_past_or_beyond_the_calendar_is_refused_by_pointer(post, send_at):
    answer = post("/v1/decisions", SPONSORED | {"send_at": send_at})
    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/send_at")


def test_a_batch_answers_each_candidate_in_its_place(post):
    post("/v1/decisions", SPONSORED)
    wrong = TRANSACTIONAL | {"id": 7}
    conflicting = SPONSORED | {"channel": "email"}
    answer = post("/v1/decisions/batch", {"candidates": [wrong, TRANSACTIONAL, conflicting, SPONSORED, 3]})
    results = answer.get_json()["results"]
    assert answer.status_code == 200
    assert [result.get("status", result.get("effect")) for result in results] == [422, "allow", 409, "deny", 422]
    assert results[0]["errors"] == [{"pointer": "/id", "detail": "expected a string, got an integer"}]


def test_a_batch_gives_the_bytes_of_the_single_answers(post):
    single = post("/v1/decisions", SPONSORED).data
    assert post("/v1/decisions/batch", {"candidates": [SPONSORED]}).data == b'{"results":[' + single + b"]}"


def test_candidates_of_a_batch_see_what_those_before_them_took(post, consented):
    batch = [SPONSORED | {"id": f"c-{number}", "channel": "in_app"} for number in range(5)]
    results = post("/v1/decisions/batch", {"candidates": batch}).get_json()["results"]
    assert results[0]["effect"] == "allow"
    assert {result["effect"] for result in results[1:]} == {"deny"}


@pytest.mark.parametrize(
    "value", [{"candidates": []}, {"candidates": [TRANSACTIONAL] * 1001}, {}, [], {"candidates": [], "x": 1}]
)
def test_a_batch_of_none_or_too_many_is_refused_as_a_whole(post, value):
    assert post("/v1/decisions/batch", value).status_code == 422


def test_a_decision_is_read_back_with_its_trace(client, post):
    decision = post("/v1/decisions", SPONSORED).get_json()
    record = client.get(f"/v1/decisions/{decision['decision_id']}").get_json()
    assert record["decision"] == decision
    assert record["state"] == "none"
    violated = [trace["policy"] for trace in record["traces"] if trace["verdict"] == "violated"]
    assert violated == [reason["policy"] for reason in decision["reasons"]]


def test_explain_decides_and_leaves_nothing(client, post):
    explained = post("/v1/explain", SPONSORED).get_json()
    assert explained["decision"]["effect"] == "deny"
    assert explained["decision"]["audit"] is None
    assert {trace["verdict"] for trace in explained["traces"]} >= {"violated", "satisfied"}
    assert post("/v1/decisions", SPONSORED | {"channel": "email"}).status_code == 200  # the id was not taken
    assert client.get(f"/v1/decisions/{explained['decision']['decision_id']}").status_code == 404


def test_a_decision_nobody_made_is_not_found(client):
    answer = client.get("/v1/decisions/nobody")
    assert (answer.status_code, answer.get_json()["type"]) == (404, "/docs#problem-not-found")


def test_the_log_line_names_the_decision_and_never_the_recipient(post, log_lines):
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    decision = post("/v1/decisions", SPONSORED, traceparent=f"00-{trace_id}-b7ad6b7169203331-01").get_json()
    (line,) = [line for line in log_lines if line["event"] == "request"]
    ms = line.pop("ms")
    assert ms > 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "route": "/v1/decisions",
        "status": 200,
        "request_id": line["request_id"],
        "trace_id": trace_id,
        "decision_id": decision["decision_id"],
        "effect": "deny",
    }


def test_decisions_are_counted_by_effect_lane_and_reason(client, post):
    for _ in range(2):  # a repeated answer is no second decision
        post("/v1/decisions", SPONSORED)
    post("/v1/decisions", TRANSACTIONAL)
    lines = client.get("/metrics").text.splitlines()
    assert 'guardrails_decisions_total{degraded="no",effect="deny",lane="monetized"} 1.0' in lines
    assert 'guardrails_decisions_total{degraded="no",effect="allow",lane="transactional"} 1.0' in lines
    assert 'guardrails_reasons_total{code="consent.missing"} 1.0' in lines
    assert 'guardrails_requests_total{route="/v1/decisions",status="200"} 3.0' in lines
    assert 'guardrails_request_seconds_count{route="/v1/decisions"} 3.0' in lines
