"""docs/http-api.md and docs/operations.md leave nothing out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from guardrails.settings import _VARIABLES, Scope, Settings
from guardrails.web.problems import PROBLEMS, problem_type
from service import CANDIDATE

DOCS = Path(__file__).parents[3] / "docs"
HTTP_API = (DOCS / "http-api.md").read_text(encoding="utf-8")
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")


def test_every_route_is_in_the_http_docs_with_its_scope(make_client):
    document = make_client().get("/openapi.json").get_json()
    rows = dict(re.findall(r"^\| `([A-Z]+ /\S*)` \| (?:`([a-z:]+)`)?", HTTP_API, re.MULTILINE))
    served = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert served - rows.keys() == set()
    assert set(rows.values()) - {""} <= set(get_args(Scope))


def test_every_problem_is_in_the_http_docs_with_its_status():
    rows = dict(re.findall(r"^\| `(/docs#problem-[a-z-]+)` \| (\d+)", HTTP_API, re.MULTILINE))
    assert rows == {problem_type(kind): str(problem.status) for kind, problem in PROBLEMS.items()}


def test_every_setting_is_in_the_operations_docs_with_its_default():
    rows = dict(re.findall(r"^\| `(GUARDRAILS_[A-Z_]+)` \| `--[a-z-]+` \| (\S+)", OPERATIONS, re.MULTILINE))
    assert rows.keys() == _VARIABLES.keys()
    assert Settings.load({name: text.strip("`") for name, text in rows.items() if text != "none"}) == Settings()


def test_every_metric_is_in_the_operations_docs(watched):
    _, client, _ = watched
    families = set(re.findall(r"^# TYPE (\w+?) \w+$", client.get("/metrics").text, re.MULTILINE))
    families = {family for family in families if not family.endswith("_created")}
    assert families == set(re.findall(r"^\| `(guardrails_\w+)", OPERATIONS, re.MULTILINE))


@pytest.mark.parametrize("scope", get_args(Scope))
def test_every_scope_is_in_the_operations_docs(scope):
    assert f"`{scope}`" in OPERATIONS


def test_the_reports_by_example_are_answered_as_the_http_docs_say(make_client):
    client = make_client()
    decision_id = client.post("/v1/decisions", json=CANDIDATE).get_json()["decision_id"]
    section = HTTP_API.partition("## Reports by example")[2].partition("\n## ")[0]
    section = re.sub("01a203770aac6c3954203ce78a7ceb70", decision_id, section)
    ((path, body, answer),) = re.findall(r"8080(\S+) .*?-d '(.*?)'\n(.*?)\n```", section, re.DOTALL)
    conflict, unknown, batch, results = map(json.loads, re.findall(r"```json\n(.*?)```", section, re.DOTALL))

    def without_request_ids(value):
        return json.loads(re.sub(r'"request_id": "\w+"', '"request_id": "?"', json.dumps(value)))

    def said(path, report):
        return without_request_ids(client.post(path, json=report).get_json())

    assert said(path, json.loads(body)) == json.loads(answer)
    assert said(path, {"outcome": "cancelled"}) == without_request_ids(conflict)
    assert said("/v1/decisions/nobody/outcome", {"outcome": "sent"}) == without_request_ids(unknown)
    assert said("/v1/outcomes", batch) == without_request_ids(results)
