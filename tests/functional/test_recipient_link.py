"""Links to a recipient's page, from the command line and over HTTP, and that they open it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from guardrails.cli import main

BASE = "https://notify.example.org"


def run(*arguments):
    return CliRunner().invoke(main, ["recipient", "link", *map(str, arguments)])


@pytest.fixture
def service(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return start(env={"GUARDRAILS_STATE_DIRECTORY": "guardrails-state", "GUARDRAILS_PUBLIC_URL": BASE})


def opened(service, url, **headers):
    assert url.startswith(f"{BASE}/preferences/")
    return service.send("GET", url.removeprefix(BASE), headers=headers)


def test_a_link_of_the_command_opens_the_page(service):
    made = run("r-42", "--public-url", f"{BASE}/")
    assert (made.exit_code, made.stderr) == (0, "")
    page = opened(service, made.stdout.strip())
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"<h1>Your notification settings</h1>" in page.body


def test_it_greets_in_the_language_that_was_asked_for(service):
    made = json.loads(run("r-42", "--public-url", BASE, "--language", "de-AT", "--json").stdout)
    assert b'<html lang="de">' in opened(service, made["url"], **{"Accept-Language": "en"}).body


def test_a_link_over_http_opens_the_page_until_it_says(service):
    answer = service.send("POST", "/v1/recipients/r%2F1/preference-link?language=de")
    made = answer.json()
    assert (answer.status, made.keys()) == (201, {"url", "expires_at"})
    assert opened(service, made["url"]).status == 200
    assert service.send("POST", "/v1/recipients/r%2F1/preference-link?language=English").status == 422


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["", "--public-url", BASE], "no id can be like this"),
        (["r-42", "--public-url", "http://notify.example.org"], "must be https"),
        (["r-42", "--public-url", BASE, "--language", "English"], "no language can be called this"),
        (["r-42", "--public-url", BASE, "--signing-keys", "none.json"], "there are no signing keys at `none.json`"),
        (["r-42"], "--public-url"),
    ],
)
def test_what_makes_no_link_says_why(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    refused = run(*arguments)
    assert (refused.exit_code, said in refused.stderr) == (2, True)


def test_a_service_that_recipients_can_not_reach_makes_no_links(service, start, tmp_path):
    (tmp_path / "inside").mkdir()
    inside = start(env={"GUARDRAILS_STATE_DIRECTORY": str(tmp_path / "inside")})
    refused = inside.send("POST", "/v1/recipients/r-42/preference-link")
    assert (refused.status, "GUARDRAILS_PUBLIC_URL" in refused.json()["detail"]) == (404, True)
    made = run("r-42", "--public-url", BASE).stdout.strip()
    assert opened(inside, made).status == 404
