"""`guardrails consent history` and `guardrails notice`: what the service recorded, told at the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from guardrails.cli import main
from stores import make_database

POLICIES = """\
apiVersion: guardrails/v1
purposes:
  - id: offers
    title: Offers that others pay for
    lawful_basis: consent
    benefit: lower prices
    data: [what you book]
    shared_with: [{whom: Acme, what: a code}]
    retention: 365d
  - id: letters
    title: Our letters
    lawful_basis: consent
    retention: 365d
policies:
  - id: ask-first
    kind: consent_required
    applies_to: {lane: monetized}
    purpose: offers
"""
NOON, LATER = "2026-12-01T12:00:00Z", "2026-12-01T13:00:00Z"
GRANT = {"id": "k-1", "recipient": "crm/42", "purpose": "offers", "state": "granted", "method": "form"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "policies.yaml").write_text(POLICIES, encoding="utf-8")
    (tmp_path / "notice.txt").write_text("Dürfen wir?\nJa oder nein.\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def service(here, start):
    return start(policies=here / "policies.yaml", env={"GUARDRAILS_REPLAY_CLOCK": "on"})


def run(*arguments: str, **rest) -> Result:
    return CliRunner().invoke(main, list(arguments), **rest)


def add(*arguments: str, **rest) -> Result:
    return run("notice", "add", *arguments, "--policies", "policies.yaml", **rest)


def record(service, at=NOON, **changes):
    assert service.send("POST", "/v1/consents", GRANT | changes, headers={"Replay-At": at}).status == 201


def test_a_history_is_what_the_service_recorded(service):
    record(service, channels=["push", "email"], notice_version="3", jurisdiction="DE", captured_by="app")
    record(service, LATER, id="k-2", state="withdrawn", channels=["email"], method="one_click")
    result = run("consent", "history", "crm/42")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("crm/42  as of ")
    assert [line.split() for line in lines[1:4]] == [
        ["purpose", "channels", "state", "since", "until", "record"],
        ["offers", "push", "granted", "2026-12-01", "12:00:00+00:00", "k-1"],
        ["offers", "email", "withdrawn", "2026-12-01", "13:00:00+00:00", "k-2"],
    ]
    assert [" ".join(line.split()) for line in lines[5:]] == [
        "2026-12-01 12:00:00+00:00 granted offers email, push, by form, notice 3, in DE, captured by app, record k-1",
        "2026-12-01 13:00:00+00:00 withdrawn offers email, by one_click, record k-2",
    ]


def test_json_is_what_the_http_api_answers_as_of_any_time(service):
    record(service)
    record(service, LATER, id="k-2", state="withdrawn")
    as_of = "2026-12-01T12:30:00Z"
    told = json.loads(run("consent", "history", "crm/42", "--as-of", as_of, "--json").stdout)
    path = "/v1/recipients/crm%2F42/consents"
    assert told["standings"] == service.send("GET", f"{path}/state?as_of={as_of}").json()["standings"]
    assert told["consents"] == service.send("GET", f"{path}?as_of={as_of}").json()["consents"]
    assert (told["recipient"], told["as_of"], len(told["consents"])) == ("crm/42", as_of, 1)


def test_a_history_of_several_pages_is_shown_whole(service):
    many = [GRANT | {"id": f"k-{number}"} for number in range(501)]
    assert service.send("POST", "/v1/consents/batch", {"consents": many}, headers={"Replay-At": NOON}).status == 200
    told = json.loads(run("consent", "history", "crm/42", "--json").stdout)
    assert [each["id"] for each in told["consents"]] == [each["id"] for each in many]


def test_of_nobody_nothing_is_recorded(service):
    result = run("consent", "history", "nobody")
    assert (result.exit_code, result.stdout.splitlines()[1]) == (
        0,
        "nothing is recorded: there is no consent to anything",
    )


def test_a_notice_that_was_added_at_the_command_line_is_the_services(service):
    result = add("privacy", "3", "notice.txt", "--language", "de", "--purpose", "offers", "--purpose", "letters")
    ((kept,),) = [service.send("GET", "/v1/notices/privacy").json()["notices"]]
    assert (result.exit_code, result.stdout) == (0, f"privacy 3 in de  {kept['hash']}\n")
    assert (kept["text"], [each["id"] for each in kept["purposes"]]) == (
        "Dürfen wir?\nJa oder nein.\n",
        ["offers", "letters"],
    )
    record(service, notice_id="privacy", notice_version="3")
    assert service.send("GET", "/v1/consents/k-1").json()["notice_hash"] == kept["hash"]


def test_notices_are_listed_and_shown(service):
    first = json.loads(add("privacy", "3", "notice.txt", "--language", "de", "--purpose", "offers", "--json").stdout)
    add("privacy", "3", "-", "--language", "en", "--purpose", "letters", input="May we?")
    listed = run("notice", "list").stdout.splitlines()
    assert [line.split()[:4] for line in listed[1:]] == [
        ["privacy", "3", "de", "offers"],
        ["privacy", "3", "en", "letters"],
    ]
    lines = run("notice", "list", "--json").stdout.splitlines()
    assert [json.loads(line)["language"] for line in lines] == ["de", "en"]
    assert json.loads(lines[0]) == first
    shown = run("notice", "show", "privacy", "--language", "de")
    assert shown.stdout == run("notice", "show", first["hash"]).stdout
    assert (
        "  offers  Offers that others pay for\n    benefit: lower prices\n    uses what you book\n"
        "    shared with Acme: a code\n" in shown.stdout
    )
    assert shown.stdout.endswith("\n\nDürfen wir?\nJa oder nein.\n\n")
    assert "shared with nobody" in run("notice", "show", "privacy", "--language", "en").stdout
    assert json.loads(run("notice", "show", first["hash"], "--json").stdout) == first
    missing = run("notice", "show", "privacy", "--version", "4")
    assert (missing.exit_code, missing.stdout, missing.stderr) == (
        1,
        "",
        "guardrails: no notice `privacy` like that is kept\n",
    )


def test_notices_move_to_another_database_as_they_are_whatever_is_declared_there(service, here):
    add("privacy", "3", "notice.txt", "--language", "de", "--purpose", "offers")
    add("privacy", "3", "-", "--language", "en", "--purpose", "letters", input="May we?")
    listed = run("notice", "list", "--json").stdout
    make_database("sqlite:///other.db")
    elsewhere = ["--database", "sqlite:///other.db"]
    moved, again = (run("notice", "import", "-", *elsewhere, input=f"{listed}\n") for _ in range(2))
    assert (moved.exit_code, moved.output, again.output) == (0, "2 notices kept\n", "2 notices kept\n")
    there = [json.loads(line) for line in run("notice", "list", "--json", *elsewhere).stdout.splitlines()]
    assert [each | {"recorded_at": None} for each in there] == [
        json.loads(line) | {"recorded_at": None} for line in listed.splitlines()
    ]


def test_a_notice_that_does_not_say_what_its_hash_is_of_is_told_and_the_others_are_kept(service, here):
    add("privacy", "3", "notice.txt", "--language", "de", "--purpose", "offers")
    listed = run("notice", "list", "--json").stdout
    make_database("sqlite:///other.db")
    lines = f'{listed.replace("Ja oder", "Ja und")}no notice\n{listed.replace(""""version":"3",""", "")}{listed}'
    result = run("notice", "import", "-", "--database", "sqlite:///other.db", input=lines)
    assert (result.exit_code, result.stdout) == (1, "1 notice kept, 3 not\n")
    wrong, garbage, without = result.stderr.splitlines()
    assert wrong.startswith("<stdin>:1: hash: is not of what the notice says: that is `sha256:")
    assert garbage.startswith("<stdin>:2: JSON is malformed")
    assert without == "<stdin>:3: version: is required"


def test_without_notices_the_list_says_so(service):
    assert run("notice", "list").stdout == "no notice is kept\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--purpose", "ofers"], "--purpose: `ofers` is not declared by the active policies; did you mean `offers`?"),
        (["--purpose", "letters"], "VERSION: notice `privacy` `3` in `de` is already kept with another content"),
        (["--purpose", "offers", "--language", "d"], "--language: `d` is not the tag of a language"),
    ],
)
def test_what_can_not_be_kept_is_said_and_exits_1(service, arguments, said):
    add("privacy", "3", "notice.txt", "--language", "de", "--purpose", "offers")
    result = add("privacy", "3", "notice.txt", "--language", "de", *arguments)
    assert (result.exit_code, result.stdout, said in result.stderr) == (1, "", True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["consent", "history"], "Missing argument 'RECIPIENT'."),
        (["consent", "history", "a\nb"], "Invalid value for RECIPIENT"),
        (["consent", "history", "r-1"], "there is no database at `sqlite:///guardrails.db`"),
        (["consent", "history", "r-1", "--database", "memory:"], "`memory:` keeps no records"),
        (["consent", "history", "r-1", "--as-of", "tomorrow"], "`tomorrow` is no time"),
        (["consent", "nonsense"], "No such command 'nonsense'"),
        (["notice", "list"], "there is no database at `sqlite:///guardrails.db`"),
        (["notice", "show", "n"], "there is no database at `sqlite:///guardrails.db`"),
        (["notice", "add", "n", "1", "notice.txt"], "Missing option '--language'"),
        (
            ["notice", "add", "n", "1", "latin.txt", "--language", "de", "--purpose", "offers"],
            "Invalid value for FILE: is not UTF-8 (byte 1)",
        ),
    ],
)
def test_what_can_not_be_told_says_why_on_standard_error_and_exits_2(here, arguments, said):
    (here / "latin.txt").write_bytes("fühlen".encode("latin-1"))
    result = run(*arguments)
    assert (result.exit_code, result.stdout, said in result.stderr) == (2, "", True)
    assert not (here / "guardrails.db").exists()
