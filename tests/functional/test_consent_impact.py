"""`guardrails consent impact`, over what a service recorded."""

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
"""


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["consent", "impact", *arguments])


def started_in(directory, start):
    (directory / "policies.yaml").write_text(POLICIES, encoding="utf-8")
    return start(policies=directory / "policies.yaml")


@pytest.fixture(scope="module")
def recorded(shared_directory, start_shared) -> dict[str, str]:
    """The decisions on three recipients, of whom the first two were shown version 3, and what nobody relied on."""
    service = started_in(shared_directory, start_shared)
    ids = {}
    for recipient, version in (("r-1", "3"), ("r-2", "3"), ("r-3", "4")):
        consent = {"recipient": recipient, "purpose": "offers", "state": "granted", "method": "form"}
        assert service.send("POST", "/v1/consents", consent | {"notice_version": version}).status == 201
        candidate = {"id": f"c-{recipient}", "lane": "monetized", "channel": "push"}
        candidate |= {"recipient": {"id": recipient}, "content": {"class": "sponsored"}}
        ids[recipient] = service.send("POST", "/v1/decisions", candidate).json()["decision_id"]
    assert service.send("POST", f"/v1/decisions/{ids['r-1']}/outcome", {"outcome": "sent"}).status == 200
    notice = {"id": "privacy", "version": "2026-03", "language": "en", "purposes": ["offers"], "text": "May we?"}
    assert service.send("POST", "/v1/notices", notice).status == 201
    unused = {"id": "k-9", "recipient": "r-9", "purpose": "offers", "state": "granted", "method": "form"}
    assert service.send("POST", "/v1/consents", unused).status == 201
    return ids


@pytest.fixture
def decided(recorded, shared_directory, monkeypatch) -> dict[str, str]:
    """What is `recorded`, where the command looks by itself."""
    monkeypatch.chdir(shared_directory)
    return recorded


def test_every_decision_that_relied_on_a_notice_is_listed_with_what_became_of_it(decided):
    result = call("--notice", "@3")
    assert (result.exit_code, result.stderr) == (0, "")
    first, second, summary = result.stdout.splitlines()
    assert (first.split()[0], first.split()[3:]) == ("0", ["allow", decided["r-1"], "r-1", "sent"])
    assert second.split()[3:8] == ["allow", decided["r-2"], "r-2", "reserved", "until"]
    assert summary == "2 of 3 decisions relied on it: 2 allows, 0 denies; 1 reservation still open"


def test_json_is_a_line_for_each_decision(decided):
    lines = [json.loads(line) for line in call("--purpose", "offers", "--json").stdout.splitlines()]
    assert [line["decision_id"] for line in lines] == list(decided.values())
    assert [(line["audit_index"], line["state"], line["is_open"]) for line in lines] == [
        (0, "sent", False),
        (1, "reserved", True),
        (2, "reserved", True),
    ]
    (record,) = lines[2]["records"]
    (only,) = [json.loads(line) for line in call("--record", record, "--json").stdout.splitlines()]
    assert only == lines[2]


@pytest.mark.usefixtures("decided")
def test_none_is_said_so():
    said = "0 of 3 decisions relied on it: 0 allows, 0 denies; 0 reservations still open\n"
    for arguments in ("--notice privacy", "--notice privacy@2026-03", "--notice @9", "--record k-9"):
        result = call(*arguments.split())
        assert (result.exit_code, result.output) == (0, said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--notice", "privcy"], "no notice `privcy` is kept; did you mean `privacy`?"),
        (["--notice", "privcy@3"], "no notice `privcy` is kept; did you mean `privacy`?"),
        (["--notice", "imprint@3"], "no notice `imprint` is kept\n"),
        (["--notice", "privacy@2026-3"], "no version `2026-3` of notice `privacy` is kept; did you mean `2026-03`?"),
        (["--record", "nope"], "no consent `nope` is recorded"),
        (["--purpose", "ofers"], "asked for a consent to `ofers`; did you mean `offers`?"),
    ],
)
@pytest.mark.usefixtures("decided")
def test_what_is_not_there_was_not_meant_and_exits_2(arguments, said):
    result = call(*arguments)
    assert (result.exit_code, result.stdout, said in result.stderr) == (2, "", True)


def test_in_an_empty_log_nothing_relied_on_any_purpose(tmp_path, monkeypatch, start):
    started_in(tmp_path, start)
    monkeypatch.chdir(tmp_path)
    result = call("--purpose", "anything")
    assert (result.exit_code, result.stdout.startswith("0 of 0 decisions")) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say one of --notice, --record and --purpose"),
        (["--record", "k", "--purpose", "p"], "say one of --notice, --record and --purpose"),
        (["--notice", "@"], "names no notice"),
        (["--record", "k"], "there is no database"),
        (["--record", "k", "--database", "memory:"], "`memory:` keeps no records"),
    ],
)
def test_what_can_not_be_told_says_why_and_exits_2(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert (result.exit_code, result.stdout, said in result.stderr) == (2, "", True)
