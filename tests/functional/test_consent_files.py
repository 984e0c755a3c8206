"""`guardrails consent import` and `export`: files of consents, whatever is wrong with them."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import pty
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner, Result

from guardrails.cli import main
from guardrails.cli.consent_import import _Import
from guardrails.cli.consent_rows import RowReader
from guardrails.consent.transfer import ConsentTransfer
from guardrails.errors import CandidateError, DependencyError
from service import PATIENCE_SECONDS
from stores import make_database, open_stores

POLICIES = """\
apiVersion: guardrails/v1
purposes:
  - id: offers
    title: Offers that others pay for
    lawful_basis: consent
    benefit: lower prices
    retention: 365d
  - id: letters
    title: Our letters
    lawful_basis: consent
    double_opt_in: true
    retention: 365d
policies:
  - id: ask-first
    kind: consent_required
    applies_to: {lane: monetized}
    purpose: offers
"""
HEADER = "recipient,purpose,state,method,at,channels,evidence,id"
ADD = ["notice", "add", "privacy", "3", "notice.txt", "--language", "en", "--purpose", "letters"]
ROW = "r-1,offers,granted,form,2026-01-01T00:00:00Z,,,k-1"


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "all.yaml").write_text(POLICIES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    make_database("sqlite:///guardrails.db")
    return tmp_path


def call(*arguments: str, **rest) -> Result:
    return CliRunner().invoke(main, ["consent", *arguments], **rest)


def imported(content: bytes | str, *arguments: str) -> Result:
    return call("import", "-", *arguments, input=content)


def exported(*arguments: str) -> list[dict]:
    return [json.loads(line) for line in call("export", *arguments).stdout.splitlines()]


def table(*rows: str, header: str = HEADER, end: str = "\n") -> str:
    return "".join(f"{line}{end}" for line in (header, *rows))


def test_a_csv_and_the_same_as_ndjson_give_the_same_records(here):
    said = {"recipient": "r-1", "purpose": "offers", "state": "granted", "method": "form"}
    said |= {"at": "2026-01-01T00:00:00Z", "channels": ["email", "push"], "evidence": {"seen": ["a", None]}}
    row = 'r-1,offers,granted,form,2026-01-01T00:00:00Z,email|push,"{""seen"": [""a"", null]}",'
    first = imported(table(row))
    assert (first.exit_code, first.output) == (0, "1 consent recorded, 0 known already\n")
    again = imported(json.dumps(said) + "\n")
    assert (again.exit_code, again.output) == (0, "0 consents recorded, 1 known already\n")
    ((record),) = exported()
    assert said == {name: record[name] for name in said}
    assert record["id"].startswith("import-")


@pytest.mark.parametrize(
    "content",
    [
        table(ROW).encode(),
        b"\xef\xbb\xbf" + table(ROW).encode(),
        table(ROW, end="\r\n").encode(),
        table(ROW).rstrip().encode(),
        b"\n" + table("", ROW, "").encode(),
        table(ROW.replace("r-1", '"r-1"')).encode(),
        table(ROW, header=HEADER.replace(",", " , ")).encode(),
    ],
    ids=["plain", "BOM", "CRLF", "no last line end", "blank lines", "quoted", "spaced header"],
)
def test_a_row_is_the_same_however_the_file_is_written(here, content):
    assert imported(content).output == "1 consent recorded, 0 known already\n"
    assert [(record["id"], record["recipient"]) for record in exported()] == [("k-1", "r-1")]


def test_a_quoted_cell_may_hold_line_ends_and_lines_are_still_counted(here):
    evidence = '"{""text"": ""one"",\r\n\r\n""more"": 2}"'
    result = imported(
        table(f"r-1,offers,granted,form,2026-01-01T00:00:00Z,,{evidence},k-1", ROW.replace("offers", "x"))
    )
    assert result.output.splitlines() == [
        "<stdin>:5: id: consent `k-1` is already recorded with another content",
        "1 consent recorded, 0 known already, 1 bad row",
    ]
    assert exported()[0]["evidence"] == {"text": "one", "more": 2}


BAD_ROWS = [
    ("r-2,ofers,granted,form,2026-01-01T00:00:00Z,,,", "purpose", "is not declared by the active policies; did you"),
    ("r-2,letters,granted,form,2026-01-01T00:00:00Z,,,", "state", "is granted by double opt-in"),
    ("r-2,offers,grnted,form,2026-01-01T00:00:00Z,,,", "state", "`grnted` is not one of"),
    ("r-2,offers,granted,form,,,,", "at", "is needed where the row has no `id`"),
    ("r-2,offers,granted,form,,,,k-9", "at", "is needed where the row is `granted`"),
    ("r-2,offers,granted,form,yesterday,,,", "at", "is not an RFC 3339 date"),
    ("r-2,offers,granted,form,2100-01-01T00:00:00Z,,,", "at", "lies in the future"),
    ("r-2,offers,granted,form,2026-01-01T00:00:00Z,push fax,,", "channels", "`fax` is not one of"),
    ("r-2,offers,granted,form,2026-01-01T00:00:00Z, ,,", "channels", "is empty"),
    ("r-2,offers,granted,form,2026-01-01T00:00:00Z,,[],", "evidence", "expected an object, got an array"),
    ("r-2,offers,granted,form,2026-01-01T00:00:00Z,,nonsense,", "evidence", "is no JSON"),
    ("r\0-2,offers,granted,form,2026-01-01T00:00:00Z,,,", "recipient", "holds a control character"),
    ("r\udcff,offers,granted,form,2026-01-01T00:00:00Z,,,", "recipient", "is not UTF-8"),
    (",offers,granted,form,2026-01-01T00:00:00Z,,,", "recipient", "is required"),
    ("r-2,offers,granted", None, "the row has 3 cells; 8 columns are named"),
    ("r-2,offers,granted,form,2026-01-01T00:00:00Z,,,," + "," * 100_000, None, "has 100,009 cells; 8 columns"),
    ('"r-2"x,offers,granted,form,2026-01-01T00:00:00Z,,,', None, "the row can't be read"),
    (f"{'r' * 130_000},offers,granted,form,2026-01-01T00:00:00Z,,,", "recipient", "at most 200 are taken"),
    (f"{'r' * 140_000},offers,granted,form,2026-01-01T00:00:00Z,,,", None, "the row can't be read"),
    ("r-1,offers,denied,form,2026-01-01T00:00:00Z,,,k-1", "id", "already recorded with another content"),
]


@pytest.mark.parametrize(("row", "column", "said"), BAD_ROWS, ids=range(len(BAD_ROWS)))
def test_a_bad_row_is_told_by_line_and_column_and_spoils_no_other(here, row, column, said):
    content = table(ROW, row, ROW.replace("k-1", "k-2")).encode(errors="surrogateescape")
    result = imported(content, "--errors", "bad.ndjson", "--json")
    assert result.exit_code == 1
    told, counts = result.output.splitlines()
    assert json.loads(counts) == {"recorded": 2, "known": 0, "bad": 1}
    assert told.startswith("<stdin>:3: " if column is None else f"<stdin>:3: {column}: ")
    assert said in told
    (line,) = (here / "bad.ndjson").read_text().splitlines()
    assert json.loads(line)["line"] == 3
    assert [problem["column"] for problem in json.loads(line)["problems"]] == [column]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "7",
        '{"recipient": "r"}',
        '{"recipent": 1}',
        "[" * 100_000,
        '{"x": "' + "y" * 1_100_000 + '"}',
        "\xff",
    ],
    ids=range(8),
)
def test_a_bad_line_of_ndjson_spoils_no_other(here, line):
    good = {"recipient": "r-1", "purpose": "offers", "state": "granted", "method": "form", "id": "k-1"}
    good |= {"at": "2026-01-01T00:00:00Z"}
    content = f"{json.dumps(good)}\n{line}\n{json.dumps(good | {'id': 'k-2'})}\n".encode("latin-1")
    result = imported(content, "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"recorded": 2, "known": 0, "bad": 1})
    assert {told.split(" ")[0] for told in result.stderr.splitlines()} == {"<stdin>:2:"}


@pytest.mark.parametrize("name", ["state", "sta\\u0074e"])
def test_a_name_that_stands_twice_in_an_object_is_told_and_no_state_is_picked(here, name):
    row = {"id": "k-1", "recipient": "r-1", "purpose": "offers", "method": "form", "at": "2026-01-01T00:00:00Z"}
    text = json.dumps(row | {"evidence": {"n": 10**30}, "state": "denied"})
    result = imported(f'{text[:-1]}, "{name}": "granted"}}\n{text}\n')
    assert result.stderr == "<stdin>:1: `state` stands there twice\n"
    assert [record["state"] for record in exported()] == ["denied"]


def test_however_deep_its_evidence_is_a_line_is_a_row_or_told(here):
    row = b'{"recipient": "r", "purpose": "offers", "state": "denied", "method": "m", "evidence": {"a": %b%b}}'
    deep = [row % (b"[" * depth, b"]" * depth) for depth in range(800, 1000)]
    rows = list(RowReader(io.BytesIO(b"\n".join(deep))))
    assert [each.line for each in rows] == list(range(1, 201))
    assert {str(each.request) for each in rows if isinstance(each.request, CandidateError)} == {
        "the JSON is nested too deep"
    }


@pytest.mark.parametrize(
    "quoted", ['"never ended\n', '"' + "much\n" * 40_000, '"' + "x" * 1_100_000], ids=["at the end", "long", "one line"]
)
def test_behind_a_cell_that_never_ends_no_text_is_taken_for_a_consent(here, quoted):
    smuggled = ROW.replace("k-1", "smuggled")
    result = imported(table(ROW, f"r-2,offers,granted,form,2026-01-01T00:00:00Z,,{quoted}\n{smuggled}"))
    assert result.exit_code == 1
    assert result.stderr.startswith("<stdin>:3: the row can't be read")
    assert "nothing behind its first line was read" in result.stderr
    assert [record["id"] for record in exported()] == ["k-1"]


def test_with_a_file_for_them_only_the_first_bad_rows_are_shown(here):
    result = imported(table(*["r-1"] * 1_500), "--errors", "bad.ndjson")
    assert len(result.stderr.splitlines()) == 21
    assert result.stdout == "0 consents recorded, 0 known already, 1,500 bad rows\n"
    assert len((here / "bad.ndjson").read_text().splitlines()) == 1_500
    assert len(imported(table(*["r-1"] * 30)).stderr.splitlines()) == 30


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (gzip.compress(b"x"), "is compressed by gzip"),
        (b"PK\x03\x04", "is a ZIP archive, or a spreadsheet"),
        ("recipient,purpose".encode("utf-16"), "is UTF-16"),
        (b'[{"recipient": "r-1"}]', "is a JSON array"),
        (b"recipient;purpose;state;method\n", "columns are separated by commas"),
        (b"recipient,purpose,state\n", "`method` is missing"),
        (b"recipient,purpose,state,method,recipient\n", "the column `recipient` stands there twice"),
        (b"recipient,purpose,state,methd\n", "column 4 of 4 is `methd`, which is none; did you mean `method`?"),
        (b"recipient,\xff\n", "column 2 of 2 is"),
        (b",".join([b"x"] * 400_000), "column 1 of 400,000 is `x`"),
        (b",".join([b"x"] * 1_000_000), "the names of its columns can't be read"),
        (b'"recipient', "the names of its columns can't be read"),
        (random.Random(7).randbytes(3_000_000).replace(b"\n", b"x"), ""),
    ],
    ids=range(15),
)
def test_what_is_no_file_of_consents_is_refused_whole(here, content, said):
    result = imported(content)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("guardrails: <stdin> ")
    assert said in line
    assert len(line) < 500


def test_an_export_may_be_empty_and_is_imported_as_such(here):
    assert (call("export").stdout, call("export", "--format", "csv").stdout.count("\n")) == ("", 1)
    assert imported("", "--format", "ndjson").output == "0 consents recorded, 0 known already\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "."], "Is a directory"),
        (["import", "nowhere.csv"], "No such file"),
        (["import", "x.csv", "--errors", "x.csv"], "is the file to import"),
        (["import", "x.csv", "--database", "memory:"], "`memory:` keeps nothing"),
        (["import", "x.csv", "--database", "sqlite:///other.db"], "there is no database"),
        (["import", "x.csv", "--format", "xml"], "'xml' is not one of"),
        (["export", "--database", "memory:"], "`memory:` keeps no records"),
        (["export", "--as-of", "tomorrow"], "`tomorrow` is no time"),
    ],
)
def test_what_can_not_be_done_says_why_and_exits_2(here, arguments, said):
    (here / "x.csv").write_text(table(ROW), encoding="utf-8")
    result = call(*arguments)
    assert (result.exit_code, result.stdout, said in result.stderr) == (2, "", True)


@pytest.fixture
def recorded(here):
    """A ledger with everything in it that a record can hold: a notice, a confirmation, evidence, ends."""
    (here / "notice.txt").write_text("May we?", encoding="utf-8")
    CliRunner().invoke(main, ADD)
    asked = {"id": "k-1", "recipient": "r,1", "purpose": "letters", "state": "pending", "method": "form"}
    asked |= {"notice_id": "privacy", "notice_version": "3", "language": "en", "jurisdiction": "US-CA"}
    asked |= {"at": "2026-02-01T00:00:00Z"}
    rows = [
        asked | {"captured_by": 'the "app"', "evidence": {"ip": "kept\nas is"}, "expires_at": "2100-01-01T00:00:00Z"},
        asked | {"id": "k-2", "state": "granted", "method": "double_opt_in", "confirms": "k-1"},
        asked | {"id": "k-3", "state": "withdrawn", "at": "2026-01-01T00:00:00.000001Z", "channels": ["sms"]},
    ]
    result = imported("".join(f"{json.dumps(row)}\n" for row in rows))
    assert result.output == "3 consents recorded, 0 known already\n"
    return exported()


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_an_export_imported_where_it_comes_from_changes_nothing(recorded, form):
    result = imported(call("export", "--format", form).stdout_bytes)
    assert result.output == "0 consents recorded, 3 known already\n"
    assert exported() == recorded


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_an_export_imported_elsewhere_gives_the_same_records(recorded, form):
    content = call("export", "--format", form).stdout_bytes
    make_database("sqlite:///other.db")
    other = ("--database", "sqlite:///other.db")
    refused = imported(content, *other)
    assert refused.exit_code == 1
    assert "notice_id: no notice `privacy` of version `3`" in refused.stderr
    CliRunner().invoke(main, [*ADD, *other])
    assert imported(content, *other).output.endswith("0 known already\n")
    there = exported(*other)
    assert [record | {"recorded_at": None} for record in there] == [
        record | {"recorded_at": None} for record in recorded
    ]


def test_an_export_as_of_a_time_holds_what_had_been_said(recorded):
    assert [record["id"] for record in exported("--as-of", "2026-01-01T00:00:01Z")] == ["k-3"]
    assert exported("--as-of", "2026-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"confirms": "nobody"}, "confirms: no consent `nobody` is recorded"),
        ({"confirms": "k-1"}, "confirms: consent `k-2` confirms `k-1` already"),
        ({"confirms": "k-3"}, "confirms: consent `k-3` is no pending one of this recipient and purpose"),
        ({"confirms": "k-1", "recipient": "r-2"}, "confirms: consent `k-1` is no pending one of this recipient"),
        ({"confirms": "k-1", "method": "form"}, "confirms: only a grant by `double_opt_in` confirms another record"),
        (
            {"evidence": {"at": 1}, "notice_hash": "sha256:0"},
            "notice_hash: the notice `privacy` of version `3` that is",
        ),
        (
            {"evidence": {"at": 1}, "notice_hash": "x", "notice_id": None},
            "notice_hash: is of a notice, and `notice_id`",
        ),
        ({"id": "k-2", "notice_hash": "sha256:0"}, "id: consent `k-2` is already recorded with another content"),
    ],
)
def test_a_row_can_not_make_up_what_a_ledger_says(recorded, changes, said):
    row = recorded[1] | {"id": "new", "confirms": None, "notice_hash": None} | changes
    result = imported(json.dumps(row))
    assert result.exit_code == 1
    assert said in result.stderr
    assert exported() == recorded


def test_twice_in_one_file_is_recorded_once(here):
    assert imported(table(ROW, ROW, ROW)).output == "1 consent recorded, 2 known already\n"


def test_killed_and_run_again_it_is_complete_and_nothing_is_twice(here):
    rows = [f"r-{n},offers,granted,form,2026-01-01T00:00:00Z,,," for n in range(6_000)]
    (here / "all.csv").write_text(table(*rows), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "guardrails", "consent", "import", "-"], stdin=subprocess.PIPE, cwd=here
    ) as process:
        process.stdin.write(table(*rows[:4_500]).encode())
        process.stdin.flush()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while count(here) < 2_000:
            assert time.monotonic() < deadline, "nothing was imported"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_SECONDS)
        process.stdin.close()
    before = count(here)
    assert before % 1_000 == 0
    assert call("import", "all.csv").output == f"{6_000 - before:,} consents recorded, {before:,} known already\n"
    assert sorted(record["recipient"] for record in exported()) == sorted(f"r-{n}" for n in range(6_000))


def count(here) -> int:
    connection = sqlite3.connect(here / "guardrails.db", timeout=PATIENCE_SECONDS)
    try:
        return connection.execute("SELECT count(*) FROM consent_events").fetchone()[0]
    finally:
        connection.close()


def test_at_a_terminal_a_bar_is_drawn_and_bad_rows_stand_above_it(here):
    rows = [f"r-{n},offers,granted,form,2026-01-01T00:00:00Z,,," for n in range(3_000)]
    (here / "all.csv").write_text(table(*rows, "r-1"), encoding="utf-8")
    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "guardrails", "consent", "import", "all.csv"],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=child,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},  # noqa: TID251 - the child's
    ) as process:
        os.close(child)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other side of a terminal is closed
            while chunk := os.read(parent, 65_536):
                shown += chunk
        os.close(parent)
        said = process.stdout.read()
    assert (process.returncode, said) == (1, b"3,000 consents recorded, 0 known already, 1 bad row\n")
    assert b"importing" in shown
    assert b"all.csv:3002: the row has 1 cells; 8 columns are named" in shown


def test_a_database_that_does_not_answer_ends_the_import_and_it_is_said_how_to_go_on(here):
    transactor = open_stores("sqlite:///guardrails.db")
    run = _Import(ConsentTransfer(transactor, purposes=dict), "all.csv", None)
    run.carry_out(RowReader(io.BytesIO(table(ROW).encode())), None)
    transactor.close()
    with pytest.raises(DependencyError, match="1 row recorded so far: run again to record the others"):
        run.carry_out(RowReader(io.BytesIO(table(ROW).encode())), None)
