"""validate, lint, schema, decide and explain on files and pipes, through the command line."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from commands import EVERY_COMMAND
from guardrails.cli import COMMANDS, main
from guardrails.policyfile.schema import policy_schema
from guardrails.policytest.schema import policy_test_schema
from old_database import DECISIONS, old_database
from stores import make_database

POLICIES = """\
apiVersion: guardrails/v1
purposes:
  - {id: sponsored_content, title: Offers, benefit: Lower prices}
policies:
  - id: sponsored-needs-opt-in
    kind: consent_required
    owner: legal
    applies_to: {content.class: [sponsored, affiliate]}
    purpose: sponsored_content
  - id: let-people-sleep
    kind: quiet_hours
    owner: growth
    applies_to: {lane: monetized}
    spans: [{from: "22:00", to: "08:00"}]
    timezone: recipient
    fallback: strictest
  - id: two-editorials-a-day
    kind: frequency_cap
    owner: growth
    applies_to: {content.class: editorial}
    limit: 2
    window: {calendar: day, timezone: recipient, fallback: strictest}
    per: [recipient]
"""
NOON, NIGHT = "2026-12-01T12:00:00Z", "2026-12-01T23:00:00Z"


def candidate(number: int, content_class: str = "editorial", **more: object) -> dict[str, object]:
    return {
        "id": f"c-{number}",
        "lane": "monetized",
        "channel": "push",
        "recipient": {"id": "r-42", "timezone": "Europe/Berlin"},
        "content": {"class": content_class},
        **more,
    }


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """The working directory, with a policy set in `policies`."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "all.yaml").write_text(POLICIES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=given)


def lines(result: Result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


# --- what all commands have in common ------------------------------------------------------------------------------


def test_without_a_command_the_help_lists_them_all():
    result = run()
    assert result.exit_code == 2
    assert [name for name in COMMANDS if f"\n  {name}" in result.output] == list(COMMANDS)


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_each_command_has_help_with_examples_and_exit_codes(name):
    result = run(*name.split(), "--help")
    assert result.exit_code == 0
    assert f"  guardrails {name}" in result.stdout
    assert "Exit codes:\n  0  " in result.stdout


def test_version():
    result = run("--version")
    assert (result.exit_code, result.stdout.split()[0]) == (0, "guardrails")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command 'nonsense'."),
        (["decide", "--at", "tomorrow"], "`tomorrow` is no time; write it like `2026-12-01T12:00:00Z`"),
        (["decide", "--at", "2026-12-01T12:00:00"], "has no offset"),
        (["decide", "--at", "2026-10-25T02:30 Europe/Berlin"], "comes twice in `Europe/Berlin`"),
        (["decide", "--engine", "magic"], "'magic' is not one of 'paired', 'native', 'durable'."),
        (["decide", "missing.json"], "'missing.json': No such file or directory"),
        (["explain", "missing.json"], "'missing.json': No such file or directory"),
        (["test", "missing"], "'missing' does not exist."),
        (["test", "policies"], "there is no `*_test.yaml` at policies"),
        (["replay", "--from", "-1"], "-1 is not in the range x>=0."),
        (["replay"], "there is no database at `sqlite:///guardrails.db`; `guardrails serve` makes one"),
        (["replay", "--database", "mysql://x/y"], "mysql"),
        (["decide", "--database", "sqlite:///none.db"], "there is no database at `sqlite:///none.db`"),
        (["decide", "--policies", "nowhere"], "nowhere:1:1: [unreadable-file]"),
        (["explain", "--policies", "nowhere"], "nowhere:1:1: [unreadable-file]"),
        (["schema", "--output", "no/such/place.json"], "no/such/place.json: no such file or directory"),
    ],
)
def test_what_can_not_run_says_why_on_standard_error_and_exits_2(here, arguments, said):
    result = run(*arguments, given="{}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in here.iterdir()) == ["policies"], "nothing was made on the way"


# --- validate, lint, schema ----------------------------------------------------------------------------------------


def test_validate_counts_policies_and_files_and_names_the_revision(here):
    result = run("validate")
    assert result.exit_code == 0
    assert result.stdout.startswith("3 policies and 1 purpose in 1 file, revision sha256:")


def test_validate_does_not_count_purposes_where_there_are_none(here):
    (here / "policies" / "all.yaml").write_text(POLICIES.replace("purposes:\n  - {id", "#{id"), encoding="utf-8")
    assert run("validate").stdout.startswith("3 policies in 1 file, revision sha256:")


def test_validate_as_json(here):
    said = json.loads(run("validate", "--json", "policies/all.yaml").stdout)
    assert (said["policies"], said["purposes"], said["files"], said["problems"]) == (3, 1, 1, [])
    assert said["revision"] in run("validate").stdout


def test_validate_reports_every_problem_by_place(here):
    (here / "policies" / "broken.yaml").write_text(
        POLICIES.replace("kind: quiet_hours", "kind: quiet_ours").replace("limit: 2", "limit: two"), encoding="utf-8"
    )
    result = run("validate")
    assert result.exit_code == 1
    assert (
        "policies/broken.yaml:11:11: [unknown-kind] unknown kind `quiet_ours`; did you mean `quiet_hours`?"
        in result.stdout
    )
    assert "policies/broken.yaml:21:12: [wrong-type]" in result.stdout
    said = json.loads(run("validate", "--json").stdout)
    problems = said.pop("problems")
    assert said == {"revision": None, "policies": None, "purposes": None, "files": None}
    assert len(problems) == len(result.stdout.splitlines()) - 1
    assert {"file", "line", "column", "code", "message", "hint"} == set(problems[0])


def test_lint_finds_nothing_in_a_sound_set(here):
    result = run("lint")
    assert (result.exit_code, result.stdout) == (0, "nothing found\n")


def test_lint_warns(here):
    (here / "policies" / "all.yaml").write_text(POLICIES.replace("    owner: legal\n", ""), encoding="utf-8")
    result = run("lint")
    assert result.exit_code == 1
    assert "policies/all.yaml:5:5: [no-owner]" in result.stdout
    assert result.stdout.endswith("1 finding\n")
    assert [each["code"] for each in json.loads(run("lint", "--json").stdout)["problems"]] == ["no-owner"]


def test_lint_of_what_does_not_load_shows_the_problems(here):
    (here / "policies" / "all.yaml").write_text("apiVersion: guardrails/v1\n", encoding="utf-8")
    result = run("lint")
    assert result.exit_code == 1
    assert "policies:1:1: [no-policies] there is no policy here" in result.stdout


def test_schema_prints_either_schema(here):
    assert json.loads(run("schema").stdout) == policy_schema()
    assert json.loads(run("schema", "--tests").stdout) == policy_test_schema()


def test_schema_writes_a_file(here):
    result = run("schema", "--output", "policy.schema.json")
    assert (result.exit_code, result.output) == (0, "")
    assert json.loads((here / "policy.schema.json").read_text(encoding="utf-8")) == policy_schema()


# --- decide --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["lines", "array", "indented"])
def test_decide_reads_lines_an_array_or_objects(here, layout):
    candidates = [candidate(1), candidate(2)]
    given = {
        "lines": "\n".join(json.dumps(each) for each in candidates),
        "array": json.dumps(candidates),
        "indented": json.dumps(candidates, indent=2),
    }[layout]
    result = run("decide", "--at", NOON, given=given)
    assert result.exit_code == 0
    assert [(each["candidate_id"], each["effect"]) for each in lines(result)] == [("c-1", "allow"), ("c-2", "allow")]


def test_a_deny_is_not_a_finding(here):
    result = run("decide", "--at", NOON, given=json.dumps(candidate(1, "sponsored")))
    assert result.exit_code == 0
    (decision,) = lines(result)
    assert decision["effect"] == "deny"
    assert [reason["code"] for reason in decision["reasons"]] == ["consent.missing"]


def test_candidates_see_what_those_before_them_took_across_batches(here):
    given = "\n".join(json.dumps(candidate(number)) for number in range(150))
    effects = [each["effect"] for each in lines(run("decide", "--at", NOON, given=given))]
    assert effects == ["allow"] * 2 + ["deny"] * 148


def test_a_broken_candidate_spoils_no_other(here):
    given = "\n".join(
        [
            json.dumps(candidate(1)),
            json.dumps(candidate(2, channel="pigeon")),
            "{oops",
            json.dumps(candidate(3, send_at="2026-11-30T12:00:00Z")),
            json.dumps(candidate(1, channel="email")),
            json.dumps(candidate(4)),
        ]
    )
    result = run("decide", "--at", NOON, given=given)
    assert result.exit_code == 1
    said = lines(result)
    assert [each.get("effect", each.get("candidate")) for each in said] == ["allow", 2, 3, 4, 5, "allow"]
    assert said[1]["problems"] == [
        {
            "pointer": "/channel",
            "message": "`pigeon` is not one of `chat`, `email`, `in_app`, `push`, `sms`, `voice`, `web_push`",
        }
    ]
    assert [each["pointer"] for each in said[3]["problems"]] == ["/send_at"]
    assert "decided before with another body" in said[4]["error"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "the input is empty; a candidate is a JSON object"),
        ("effect: allow", "the input is not JSON: JSON is malformed"),
        (b"\xff\xfe", "the input is not JSON"),
        ("[" * 100_000, "the input is not JSON: the JSON is nested too deep"),
        ('[{"id": "c-1"}', "the input is not JSON: the JSON is cut short"),
    ],
)
def test_input_that_is_not_json_can_not_run(here, given, said):
    result = run("decide", given=given)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"guardrails: {said}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("at", "effect"), [(NOON, "allow"), (NIGHT, "deny"), ("2026-12-01T21:59 Europe/Berlin", "allow")]
)
def test_at_says_what_time_it_is(here, at, effect):
    (here / "c.json").write_text(json.dumps(candidate(1)), encoding="utf-8")
    assert lines(run("decide", "c.json", "--at", at))[0]["effect"] == effect


@pytest.mark.parametrize("engine", ["paired", "native", "durable"])
def test_every_engine_decides_alike(here, engine):
    (decision,) = lines(run("decide", "--engine", engine, "--at", NIGHT, given=json.dumps(candidate(1))))
    assert [reason["code"] for reason in decision["reasons"]] == ["quiet_hours"]


def test_a_database_keeps_decisions_and_replay_finds_no_difference(here):
    make_database("sqlite:///guardrails.db")
    arguments = ("--database", "sqlite:///guardrails.db", "--at", NOON)
    first = run("decide", *arguments, given=json.dumps(candidate(1)))
    again = run("decide", *arguments, given=json.dumps(candidate(1)))
    assert first.stdout == again.stdout, "the same candidate gets the same answer"
    rest = lines(run("decide", *arguments, given="\n".join(json.dumps(candidate(each)) for each in (2, 3))))
    assert [each["effect"] for each in rest] == ["allow", "deny"]
    result = run("replay")
    assert (result.exit_code, result.stdout) == (0, "3 decisions replayed, 0 differences\n")
    said = json.loads(run("replay", "--json", "--from", "1", "--to", "2").stdout)
    assert said == {"decisions": 1, "skipped": 0, "older": 0, "events": 0, "differences": []}
    assert run("replay", "--from", "7").stdout == "0 decisions replayed, 0 differences\n"


def test_the_database_of_a_service_is_looked_into_and_never_written_to_by_its_variable(here, monkeypatch):
    make_database("sqlite:///service.db")
    monkeypatch.setenv("GUARDRAILS_DATABASE_URL", "sqlite:///service.db")
    monkeypatch.setenv("GUARDRAILS_POLICIES", "nowhere")
    assert run("decide", "--at", NOON, given=json.dumps(candidate(1))).exit_code == 0
    assert run("replay").stdout == "0 decisions replayed, 0 differences\n"
    arguments = ("--database", "sqlite:///service.db", "--at", NOON)
    assert run("decide", *arguments, given=json.dumps(candidate(1))).exit_code == 0
    assert run("replay").stdout == "1 decision replayed, 0 differences\n"


def test_where_nothing_is_kept_there_is_nothing_to_replay(here):
    result = run("replay", "--database", "memory:")
    said = "guardrails: `memory:` keeps no records; name the database that a service records in\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", said)


@pytest.fixture
def recorded(here) -> Path:
    """A database in which three decisions are recorded, two allows and a deny."""
    make_database("sqlite:///guardrails.db")
    given = "\n".join(json.dumps(candidate(number)) for number in (1, 2, 3))
    assert run("decide", "--database", "sqlite:///guardrails.db", "--at", NOON, given=given).exit_code == 0
    return here / "guardrails.db"


def tamper(database: Path, old: str, new: str) -> None:
    """Change what the log says behind the back of the software, which would refuse to."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        change = "UPDATE audit_entries SET entry = CAST(replace(CAST(entry AS TEXT), ?, ?) AS BLOB)"
        connection.execute(change, (old, new))


def test_replay_reports_every_difference(recorded):
    tamper(recorded, '"effect":"deny"', '"effect":"allow"')
    result = run("replay")
    assert result.exit_code == 1
    said = result.stdout.splitlines()
    assert said[0].startswith("entry 2  decision ")
    assert said[0].endswith("  effect")
    assert said[1:] == ['  recorded  "allow"', '  computed  "deny"', "3 decisions replayed, 1 difference"]
    (difference,) = json.loads(run("replay", "--json").stdout)["differences"]
    assert (difference["index"], difference["what"]) == (2, "effect")
    assert (difference["recorded"], difference["computed"]) == ("allow", "deny")


def test_replay_reports_policies_that_are_not_kept_and_skips_faults(recorded):
    with contextlib.closing(sqlite3.connect(recorded)) as connection, connection:
        (revision,) = connection.execute("SELECT revision FROM policy_sets").fetchone()
    tamper(recorded, revision, "sha256:gone")
    differences = json.loads(run("replay", "--json").stdout)["differences"]
    assert [(each["index"], each["computed"]) for each in differences] == [(index, "not kept") for index in range(3)]
    tamper(recorded, '"fault":null', '"fault":"EngineFault: gone"')
    result = run("replay")
    assert (result.exit_code, result.stdout) == (0, "3 decisions replayed, 0 differences, 3 skipped\n")


# --- a database that an older release left ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay",),
        ("usage", "r-1"),
        ("explain", "--database", "sqlite:///guardrails.db"),
        ("consent", "history", "r-1"),
        ("consent", "export"),
        ("consent", "impact", "--notice", "privacy@1"),
        ("notice", "list"),
        ("notice", "show", "privacy@1"),
        ("offers", "list"),
        ("offers", "show", "upgrade"),
        ("wallet", "show", "r-1"),
        ("ledger", "check"),
        ("settle", "--month", "2026-11"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("schema", ["older", "none"])
def test_who_only_reads_migrates_nothing(here, arguments, schema):
    database = here / "guardrails.db"
    if schema == "older":
        old_database(database)
    else:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
    before = database.read_bytes()
    result = run(*arguments, given=json.dumps(candidate(1)))
    said = "has the schema of an older release (revision `0001`)" if schema == "older" else "holds no schema"
    line = f"guardrails: the database {said}, and is only read here; `guardrails serve` brings it up to date\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", line)
    assert database.read_bytes() == before


def test_who_only_reads_makes_no_schema_on_a_server_either(here, empty_postgres_url):
    for arguments in (["replay"], ["usage", "r-1"]):
        result = run(*arguments, "--database", empty_postgres_url)
        assert (result.exit_code, "holds no schema" in result.stderr, result.stdout) == (2, True, "")
    with psycopg.connect(empty_postgres_url) as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert connection.execute(tables).fetchone() == (0,)


def test_replay_tells_how_many_decisions_an_older_release_recorded(here):
    make_database(old_database(here / "guardrails.db"))  # brought up to date
    result = run("replay")
    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            f"{DECISIONS} decisions replayed, 0 differences",
            (
                f"{DECISIONS} decisions recorded by an older release, which wrote less of leases, slots and consents: "
                "all that it wrote was compared"
            ),
        ],
    )
    assert json.loads(run("replay", "--json").stdout)["older"] == DECISIONS


# --- explain -------------------------------------------------------------------------------------------------------


def test_explain_shows_each_policy_and_condition_with_its_fact(here):
    result = run("explain", "--at", NOON, given=json.dumps(candidate(1, "sponsored")))
    assert result.exit_code == 0
    said = result.stdout
    assert said.splitlines()[0] == "DENY   c-1  monetized"
    assert "waiting won't help: blocked by sponsored-needs-opt-in" in said
    assert "sponsored-needs-opt-in: violated, consent.missing" in said
    assert 'applies to      true  content.class in [sponsored, affiliate] (is "sponsored")' in said
    assert 'in [missing, withdrawn, denied, expired, not_a_consent] (is "missing")' in said
    assert "let-people-sleep: satisfied" in said
    assert said.splitlines()[-1].endswith("not applicable: two-editorials-a-day, guardrails-offer-terms")


def test_explain_says_when_to_try_again(here):
    result = run("explain", "--at", NIGHT, given=json.dumps(candidate(1)))
    assert "try again at 2026-12-02 08:00:00+01:00" in result.stdout


def test_explain_says_what_is_unknown(here):
    (here / "policies" / "all.yaml").write_text(
        POLICIES.replace("{content.class: editorial}", "{content.topic: news}"), encoding="utf-8"
    )
    result = run("explain", "--at", NOON, given=json.dumps(candidate(1)))
    assert "two-editorials-a-day: undetermined, facts.missing" in result.stdout
    assert "applies to      unknown  content.topic = news (is missing)" in result.stdout


def test_no_line_is_folded_in_a_pipe(here):
    text = "long " * 200
    (here / "policies" / "all.yaml").write_text(
        POLICIES.replace("{content.class: editorial}", "{attributes.text: {matches: 'long*'}}"), encoding="utf-8"
    )
    result = run("explain", "--at", NOON, given=json.dumps([candidate(1, attributes={"text": text})]))
    assert f'applies to      true  attributes.text matches "long*" (is "{text}")\n' in result.stdout


def test_explain_reserves_nothing(here):
    given = "\n".join(json.dumps(candidate(number)) for number in range(5))
    said = lines(run("explain", "--json", "--at", NOON, given=given))
    assert [each["decision"]["effect"] for each in said] == ["allow"] * 5


@pytest.mark.parametrize("command", ["explain", "decide"])
def test_an_offer_is_payable_as_far_as_a_command_can_know(here, command):
    url = f"sqlite:///{here / 'payable.db'}"
    make_database(url)
    offer = {"id": "upgrade", "title": "Sea view", "amount_minor": 1900, "currency": "EUR", "sponsor": {"id": "hotel"}}
    terms = "apiVersion: guardrails/v1\npolicies:\n  - {id: terms, kind: offer_terms, registered: true}\n"
    (here / "terms.yaml").write_text(terms)
    assert run("offers", "add", "--database", url, given=json.dumps(offer | {"payment": "provider"})).exit_code == 0
    told = run(
        *(command, "--database", url, "--policies", "terms.yaml", "--at", NOON, "--json"),
        given=json.dumps(candidate(1, "sponsored", offer={"id": "upgrade"})),
    )
    (said,) = lines(told)
    assert said.get("decision", said)["effect"] == "allow"
    assert "offer.no_payment" not in told.stdout


def test_explain_as_json(here):
    (said,) = lines(run("explain", "--json", "--at", NOON, given=json.dumps(candidate(1, "sponsored"))))
    assert said["decision"]["effect"] == "deny"
    verdicts = {each["policy"]: each["verdict"] for each in said["traces"]}
    assert verdicts["sponsored-needs-opt-in"] == "violated"
    assert verdicts["let-people-sleep"] == "satisfied"
    assert said["not_applicable"] == ["two-editorials-a-day", "guardrails-offer-terms"]
    assert said["traces"][0]["violated"]["result"] is True


def test_explain_goes_on_after_a_broken_candidate(here):
    given = "\n".join(["{}", json.dumps(candidate(1)), json.dumps(candidate(2, send_at="2026-11-30T12:00:00Z"))])
    result = run("explain", "--at", NOON, given=given)
    assert result.exit_code == 1
    assert "ERROR  candidate 1\n       `/id`: is required\n       `/lane`: is required: one of" in result.stdout
    assert "ALLOW  c-1" in result.stdout
    assert "ERROR  candidate 3" in result.stdout
    said = lines(run("explain", "--json", "--at", NOON, given=given))
    assert [each.get("candidate") for each in said] == [1, None, 3]
