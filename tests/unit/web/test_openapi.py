"""The OpenAPI document says what the service does, and the docs page says what the document says."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import itertools
import re

import jsonschema
import pytest

from guardrails.settings import Key
from guardrails.web.problems import PROBLEMS

METHODS = {"get", "post", "put"}


@pytest.fixture
def document(client):
    return client.get("/openapi.json").get_json()


def resolve(document, reference):
    part = document
    for step in reference.removeprefix("#/").split("/"):
        part = part[step]
    return part


def references(part):
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def operations(document):
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def test_every_route_is_described_and_everything_described_is_a_route(make_client):
    client = make_client()
    rules = client.application.url_map.iter_rules()
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in rules
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule not in {"/openapi.json", "/docs"}
    }
    document = client.get("/openapi.json").get_json()
    assert {(path, method) for path, method, _ in operations(document)} == served


def test_the_document_has_the_shape_that_openapi_demands(document):
    assert document["openapi"].startswith("3.1.")
    assert set(document) == {"openapi", "info", "servers", "tags", "paths", "components"}
    tags = {tag["name"] for tag in document["tags"]}
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for path, _, operation in operations(document):
        assert set(operation["tags"]) <= tags
        assert operation["summary"]
        in_path = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
        assert in_path == re.findall(r"{(\w+)}", path)
        assert all(re.fullmatch(r"[1-5]\d\d", status) for status in operation["responses"])
        assert all(answer["description"] for answer in operation["responses"].values())


def test_every_reference_leads_somewhere(document):
    found = set(references(document))
    assert {reference for reference in found if resolve(document, reference) is None} == set()
    assert {f"#/components/schemas/{name}" for name in ("Candidate", "Decision", "Problem")} <= found


def test_the_headers_of_an_answer_are_told(document):
    told = {
        (path, method, name)
        for path, method, operation in operations(document)
        for answer in operation["responses"].values()
        for name in answer.get("headers", ())
    }
    assert told == {
        ("/v1/decisions", "post", "Idempotent-Replayed"),
        ("/.well-known/jwks.json", "get", "Cache-Control"),
    }


def test_every_schema_is_a_schema(document):
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_no_name_is_private(document):
    assert [name for name in document["components"]["schemas"] if name.startswith("_")] == []


def validate(document, reference, value):
    schema = {"$ref": reference, "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def example_of(operation):
    return operation.get("requestBody", {}).get("content", {}).get("application/json", {})


OF_OTHER_KEYS = {"/v1/conversions"}
"""Routes whose example holds a token that this service has not signed."""


def test_every_example_is_valid_and_is_taken_by_its_route(client, document):
    tried = 0
    for path, method, operation in operations(document):
        media = example_of(operation)
        if "{" in path or not media:
            continue
        validate(document, media["schema"]["$ref"], media["example"])
        answer = client.open(
            path, method=method.upper(), json=media["example"], headers={"Replay-At": "2026-12-01T11:00:00Z"}
        )
        assert str(answer.status_code) in operation["responses"]
        refused = {422} if path in OF_OTHER_KEYS else {404} if path == SIGNED else set()
        assert answer.status_code in (refused or {200, 201})
        tried += 1
    assert tried >= 6


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/decisions", "example"),
        ("POST", "/v1/decisions/batch", "example"),
        ("POST", "/v1/explain", "example"),
        ("POST", "/v1/consents", "example"),
        ("POST", "/v1/consents/batch", "example"),
        ("POST", "/v1/outcomes", {"outcomes": [{"decision_id": "x", "outcome": "sent"}]}),
        ("POST", "/v1/decisions", {}),
        ("GET", "/v1/policies", None),
        ("GET", "/readyz", None),
    ],
)
def test_what_is_answered_is_what_the_document_says(client, document, method, path, body):
    operation = document["paths"][path][method.lower()]
    sent = example_of(operation)["example"] if body == "example" else body
    answer = client.open(path, method=method, json=sent, headers={"Replay-At": "2026-12-01T11:00:00Z"})
    (media,) = operation["responses"][str(answer.status_code)]["content"].values()
    schema = media["schema"] | {"components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.get_json())


def test_what_is_answered_without_a_store_is_in_the_document_too(make_client, tmp_path):
    client = make_client(database_url=f"sqlite:///{tmp_path}/g.db")
    for path in tmp_path.glob("g.db*"):
        path.write_bytes(b"no database any more " * 1000)
    document = client.get("/openapi.json").get_json()
    answer = client.get("/readyz")
    (media,) = document["paths"]["/readyz"]["get"]["responses"][str(answer.status_code)]["content"].values()
    jsonschema.Draft202012Validator(media["schema"] | {"components": document["components"]}).validate(
        answer.get_json()
    )
    assert answer.status_code == 503


def test_without_keys_every_operation_that_is_not_for_recipients_says_that_other_names_are_refused(document):
    answers_any_name = {path for path, _, operation in operations(document) if "421" not in operation["responses"]}
    assert answers_any_name == {
        "/.well-known/jwks.json",
        "/confirm/{token}",
        "/confirm/{token}/receipt",
        "/page.css",
        "/preferences/{token}",
        "/preferences/{token}/receipts/{consent_id}",
        "/unsubscribe/{token}",
    }


SIGNED = "/v1/payments/events"
"""Whose signature is its key."""


def test_with_keys_every_operation_says_its_scope(make_client):
    key = Key("a", hashlib.sha256(b"a").hexdigest(), frozenset({"decide"}))
    document = make_client(keys=(key,)).get("/openapi.json").get_json()
    assert document["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    for path, _, operation in operations(document):
        assert ("security" in operation) == (path.startswith("/v1/") and path != SIGNED)
        assert ("401" in operation["responses"]) == path.startswith("/v1/")
        assert "421" not in operation["responses"]


# --- the page ---------------------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.headings, self.open = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        given = dict(attrs)
        if "id" in given:
            self.ids.append(given["id"])
        self.links += [given[name] for name in ("href", "src") if name in given]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))


@pytest.fixture
def page(client):
    return Page(client.get("/docs").text)


def test_the_page_needs_no_script_and_nothing_from_elsewhere(page):
    assert "script" not in page.tags
    assert [link for link in page.links if not link.startswith(("#", "/openapi.json", "data:,"))] == []


def test_the_page_allows_its_own_style_and_nothing_else(client):
    answer = client.get("/docs")
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert " style=" not in answer.text


def test_every_link_on_the_page_leads_somewhere(page):
    assert len(page.ids) == len(set(page.ids))
    assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []


def test_every_problem_type_leads_to_its_words(page):
    assert {f"problem-{kind}" for kind in PROBLEMS} <= set(page.ids)


def test_the_page_shows_every_operation_and_schema(page, document):
    wanted = {operation["operationId"] for _, _, operation in operations(document)}
    wanted |= {f"schema-{name}" for name in document["components"]["schemas"]}
    assert wanted <= set(page.ids)


def test_no_backtick_is_left_on_the_page(client):
    assert "`" not in client.get("/docs").text


def test_headings_leave_out_no_level(page):
    main = page.headings[page.headings.index(1) :]
    assert main.count(1) == 1
    assert all(deeper - before <= 1 for before, deeper in itertools.pairwise(main))


def test_the_page_says_its_language_and_width(client):
    text = client.get("/docs").text
    assert '<html lang="en">' in text
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in text
