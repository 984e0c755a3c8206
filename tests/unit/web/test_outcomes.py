"""What became of decisions, told over HTTP: one report and many, what is refused and in which words."""

from __future__ import annotations

import pytest

NOW = "2026-03-10T12:00:00Z"
ALLOWED = {
    "id": "c-1",
    "lane": "transactional",
    "channel": "email",
    "recipient": {"id": "r-1"},
    "content": {"class": "transactional"},
}
DENIED = ALLOWED | {"lane": "monetized", "content": {"class": "sponsored"}}
OUTCOMES = ["sent", "delivered", "failed", "cancelled", "bounced", "complained"]


@pytest.fixture
def post(client):
    def post(path, value, now=NOW):
        return client.post(path, json=value, headers={"Replay-At": now})

    return post


@pytest.fixture
def decide(post):
    def decide(candidate_id="c-1", candidate=ALLOWED) -> str:
        return post("/v1/decisions", candidate | {"id": candidate_id}).get_json()["decision_id"]

    return decide


@pytest.fixture
def report(post):
    def report(decision_id, outcome, **rest):
        return post(f"/v1/decisions/{decision_id}/outcome", {"outcome": outcome, **rest})

    return report


def status_or_state(answer) -> list[object]:
    assert answer.status_code == 200
    return [result.get("status", result.get("state")) for result in answer.get_json()["results"]]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_settles_a_decision_and_is_safe_to_repeat(client, decide, report, outcome):
    decision_id = decide()
    for _ in range(2):
        answer = report(decision_id, outcome, at=None)
        assert (answer.status_code, answer.get_json()) == (200, {"decision_id": decision_id, "state": outcome})
    assert client.get(f"/v1/decisions/{decision_id}").get_json()["state"] == outcome


def test_reports_that_are_taken_are_counted(client, decide, report):
    decision_id = decide()
    for outcome in ("sent", "sent", "delivered", "cancelled"):  # the last contradicts the others
        report(decision_id, outcome)
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith("guardrails_outcomes_total")]
    assert lines == [
        'guardrails_outcomes_total{outcome="sent"} 2.0',
        'guardrails_outcomes_total{outcome="delivered"} 1.0',
    ]


def test_a_report_that_comes_late_is_answered_with_the_state_that_was_reached(decide, report):
    decision_id = decide()
    report(decision_id, "complained")
    assert report(decision_id, "sent", at="2026-03-10T11:59:59.999999+00:00").get_json()["state"] == "complained"


def test_what_contradicts_the_record_is_a_conflict_that_names_both_states(decide, report):
    decision_id = decide()
    report(decision_id, "cancelled")
    answer = report(decision_id, "delivered")
    problem = answer.get_json()
    assert (answer.status_code, problem["type"]) == (409, "/docs#problem-conflict")
    assert problem["detail"] == f"decision `{decision_id}` is `cancelled` and can't become `delivered`"


def test_a_deny_has_no_outcome(decide, report):
    decision_id = decide(candidate=DENIED)
    answer = report(decision_id, "sent")
    assert answer.status_code == 409
    assert "is `none` and can't become `sent`: it was a deny" in answer.get_json()["detail"]


@pytest.mark.parametrize("decision_id", ["nobody", "crm%2F42", "%F0%9F%8E%89", "a%20b", "'%3B--"])
def test_what_nobody_decided_is_not_found(report, decision_id):
    answer = report(decision_id, "sent")
    assert (answer.status_code, answer.get_json()["type"]) == (404, "/docs#problem-not-found")


def test_what_is_not_in_the_database_yet_after_an_outage_is_told_as_that(report, tmp_path):
    (tmp_path / "spool.jsonl").write_bytes(b"{}\n")
    answer = report("nobody", "sent")
    said = "what was decided without the database is still being taken into it"
    assert (answer.status_code, answer.get_json()["detail"], answer.headers["Retry-After"]) == (503, said, "1")


@pytest.mark.parametrize("decision_id", ["a%00b", "a%0Ab", "x" * 201])
def test_what_is_no_id_is_not_found_either(report, decision_id):
    assert report(decision_id, "sent").status_code == 404


@pytest.mark.parametrize(("word", "near"), [("posted", ""), ("deliverd", "delivered"), ("", ""), ("none", "")])
def test_a_foreign_outcome_is_told_what_there_is(decide, report, word, near):
    answer = report(decide(), word)
    ((error,),) = (answer.get_json()["errors"],)
    assert (answer.status_code, error["pointer"]) == (422, "/outcome")
    assert all(f"`{outcome}`" in error["detail"] for outcome in OUTCOMES)
    assert f"`{word}`" in error["detail"]
    assert (f"did you mean `{near}`?" in error["detail"]) is bool(near)


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({}, "/outcome"),
        ({"outcome": None}, "/outcome"),
        ({"outcome": 3}, "/outcome"),
        ({"outcome": "sent", "at": "today"}, "/at"),
        ({"outcome": "sent", "at": "2026-03-10T12:00:00"}, "/at"),
        ({"outcome": "sent", "when": NOW}, "/when"),
        ([], ""),
    ],
)
def test_a_report_that_is_none_is_refused_and_changes_nothing(client, post, decide, value, pointer):
    decision_id = decide()
    answer = post(f"/v1/decisions/{decision_id}/outcome", value)
    assert (answer.status_code, [error["pointer"] for error in answer.get_json()["errors"]]) == (422, [pointer])
    assert client.get(f"/v1/decisions/{decision_id}").get_json()["state"] in {"reserved", "expired"}


def test_outcomes_of_many_are_answered_in_their_places(post, decide):
    allowed, denied = decide("c-1"), decide("c-2", DENIED)
    reports = [{"decision_id": id_, "outcome": "sent"} for id_ in (denied, allowed, "nobody")]
    assert status_or_state(post("/v1/outcomes", {"outcomes": reports})) == [409, "sent", 404]


def test_a_report_of_a_batch_sees_those_before_it(post, decide):
    decision_id = decide()
    reports = [{"decision_id": decision_id, "outcome": outcome} for outcome in ("sent", "bounced", "sent", "failed")]
    assert status_or_state(post("/v1/outcomes", {"outcomes": reports})) == ["sent", "bounced", "bounced", 409]


def test_what_one_report_does_wrong_is_no_fault_of_the_others(post, decide):
    first, second = decide("c-1"), decide("c-2")
    reports = [
        {"decision_id": first, "outcome": "sent"},
        {"decision_id": first, "outcome": "posted"},
        {"outcome": "sent"},
        "sent",
        {"decision_id": "a\nb", "outcome": "sent"},
        {"decision_id": second, "outcome": "delivered", "at": NOW},
    ]
    answer = post("/v1/outcomes", {"outcomes": reports})
    assert status_or_state(answer) == ["sent", 422, 422, 422, 422, "delivered"]
    wrong = [[error["pointer"] for error in result["errors"]] for result in answer.get_json()["results"][1:5]]
    assert wrong == [["/outcome"], ["/decision_id"], [""], ["/decision_id"]]


def test_where_every_report_is_wrong_each_is_told(post):
    assert status_or_state(post("/v1/outcomes", {"outcomes": [{}, 3]})) == [422, 422]


def test_a_thousand_are_one_batch_and_more_are_refused_as_a_whole(post, decide):
    decision_id = decide()
    reports = [{"decision_id": decision_id, "outcome": "sent"}] * 1000
    assert status_or_state(post("/v1/outcomes", {"outcomes": reports})) == ["sent"] * 1000
    assert post("/v1/outcomes", {"outcomes": [*reports, reports[0]]}).status_code == 422


@pytest.mark.parametrize("value", [{}, {"outcomes": []}, {"outcomes": {}}, {"outcomes": None}, []])
def test_what_is_no_batch_is_refused_as_a_whole(post, value):
    assert post("/v1/outcomes", value).status_code == 422


def test_a_send_reported_after_its_lease_counts(client, post, decide):
    decision_id = decide()
    lease = "2026-03-10T13:00:00Z"
    assert post(f"/v1/decisions/{decision_id}/outcome", {"outcome": "sent"}, now=lease).get_json()["state"] == "sent"


def test_the_log_line_says_how_many_were_reported(post, log_lines):
    post("/v1/outcomes", {"outcomes": [{"decision_id": "nobody", "outcome": "sent"}] * 3})
    (line,) = [line for line in log_lines if line["event"] == "request"]
    assert (line["outcomes"], line["status"]) == (3, 200)


def test_the_api_describes_every_outcome(client):
    document = client.get("/openapi.json").get_json()
    for schema in ("OutcomeOf", "OutcomeOfOne"):
        assert document["components"]["schemas"][schema]["properties"]["outcome"]["enum"] == sorted(OUTCOMES)
    described = document["paths"]["/v1/decisions/{decision_id}/outcome"]["post"]
    assert all(f"`{outcome}`" in described["description"] for outcome in OUTCOMES)
    assert {"404", "409", "422", "503"} <= set(described["responses"])
