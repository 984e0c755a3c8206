"""A month settled through HTTP and the command line: one ledger, told alike by both, as files and on a page."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from guardrails.attribution.settlement_files import FORMATS
from guardrails.cli import main
from guardrails.storage.connections import Database
from stores import sqlite_url

REVENUE = {"amount_minor": 1250, "currency": "EUR", "recipient": "r-42", "sponsor": "acme-air"}


@pytest.fixture(scope="module")
def service(shared_directory, start_shared):
    policies = shared_directory / "policies.yaml"
    policies.write_text(
        "apiVersion: guardrails/v1\nproject: {timezone: Europe/Berlin}\n"
        "policies: [{id: p, kind: rule, deny_when: {channel: voice}, message: nobody is called}]\n",
        encoding="utf-8",
    )
    service = start_shared(policies=policies)
    for number in range(3):
        assert service.send("POST", "/v1/revenue", REVENUE | {"id": f"order-{number}"}).status == 201
    assert service.send("POST", "/v1/revenue/order-2/reverse", {"id": "back-2"}).status == 201
    return service


@pytest.fixture
def settle(shared_directory):
    def run(month, *arguments, database=shared_directory / "guardrails.db"):
        policies = str(shared_directory / "policies.yaml")
        typed = ["settle", "--month", month, "--database", sqlite_url(database), "--policies", policies, *arguments]
        return CliRunner().invoke(main, typed)

    return run


@pytest.fixture
def month():
    """This one, in the project's zone."""
    return datetime.now(ZoneInfo("Europe/Berlin")).strftime("%Y-%m")  # noqa: TID251 - what the service takes for now


def test_a_month_is_told_alike_by_http_and_on_the_command_line(service, settle, month):
    printed = settle(month, "--format", "json")
    assert printed.exit_code == 0, printed.stderr
    told = service.send("GET", f"/v1/settlements/{month}").json()
    (statement,), (by_http,) = json.loads(printed.stdout)["statements"], told["statements"]
    assert (statement["party"], statement["total"], by_http["total_minor"]) == ("acme-air", "-25.00", -2500)
    assert [line["reference"] for line in by_http["lines"]] == ["order-0", "order-1", "order-2", "back-2"]
    assert [line["reference"] for line in statement["lines"]] == ["order-0", "order-1", "order-2", "back-2"]
    assert (told["zone"], told["differences"]) == ("Europe/Berlin", [])


@pytest.mark.usefixtures("service")
def test_a_summary_says_that_every_sum_agrees(settle, month):
    shown = settle(month)
    assert shown.exit_code == 0
    assert "sponsor" in shown.stdout
    assert "-25.00" in shown.stdout
    assert "every sum agrees with the ledger" in shown.stdout


@pytest.mark.usefixtures("service")
def test_files_are_written_of_all_statements_and_of_each(settle, month, tmp_path):
    written = settle(month, "--output", str(tmp_path / "out"))
    assert written.exit_code == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    stems = (f"settlement-{month}", f"settlement-{month}-sponsor-id-acme-air-EUR")
    assert names == {f"{stem}.{extension}" for stem in stems for extension in ("csv", "html", "json")}
    csv_file = (tmp_path / "out" / f"settlement-{month}.csv").read_bytes()
    assert csv_file.count(b"\r\n") == 5
    assert b"\r\r" not in csv_file


@pytest.mark.usefixtures("service")
def test_the_entries_that_prove_a_line_are_printed_by_their_index(settle, month, shared_directory):
    with sqlite3.connect(shared_directory / "guardrails.db") as connection:
        written = dict(connection.execute('SELECT "index", entry FROM audit_entries'))
    connection.close()
    (statement,) = json.loads(settle(month, "--format", "json").stdout)["statements"]
    last = statement["lines"][-1]
    proof = [last["audit_index"], last["reverses_audit_index"]]
    missing = [len(written), 10**20]
    asked = map(str, (missing[0], *proof, missing[1]))
    database = sqlite_url(shared_directory / "guardrails.db")
    printed = CliRunner().invoke(main, ["audit", "show", *asked, "--database", database])
    assert printed.exit_code == 1
    holds = f"the log holds {len(written)}, from 0 on"
    assert printed.stderr.splitlines() == [f"guardrails: there is no entry {index}; {holds}" for index in missing]
    assert printed.stdout_bytes == b"".join(written[index] + b"\n" for index in proof)
    reversal, revenue = map(json.loads, printed.stdout.splitlines())
    assert (reversal["event"], revenue["event"]) == ("revenue.reversed", "revenue.booked")


@pytest.mark.usefixtures("service")
def test_where_the_ledger_differs_it_is_said_and_is_a_finding(settle, month, shared_directory, tmp_path):
    copied = tmp_path / "guardrails.db"
    with sqlite3.connect(shared_directory / "guardrails.db") as source, sqlite3.connect(copied) as target:
        source.backup(target)
    source.close()
    target.close()
    database = Database(sqlite_url(copied))
    with database.unit() as connection:
        connection.execute(text("DROP TRIGGER ledger_postings_no_update"))
        changed = text("UPDATE ledger_postings SET amount = amount - 1 WHERE amount = -1250 AND seq = 1")
        connection.execute(changed)
        other = text("UPDATE ledger_postings SET amount = amount + 1 WHERE amount = 1250 AND seq = 1")
        connection.execute(other)
    database.close()
    found = settle(month, database=copied)
    assert found.exit_code == 1
    assert "sponsor `acme-air`: -25.00 EUR in the statements, -25.01 in the ledger" in found.stderr
    assert "every sum agrees" not in found.stdout


@pytest.mark.usefixtures("service")
def test_what_can_not_be_written_leaves_the_files_that_were_there(settle, month, tmp_path, monkeypatch):
    settle(month, "--output", str(tmp_path / "out"))
    before = {path.name: path.name.encode() for path in (tmp_path / "out").iterdir()}
    for name, written in before.items():
        (tmp_path / "out" / name).write_bytes(written)

    def full_disk(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setitem(FORMATS, "html", full_disk)
    failed = settle(month, "--output", str(tmp_path / "out"))
    assert (failed.exit_code, failed.stderr) == (2, "guardrails: no space left on device\n")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize("month", ["2026-13", "", "nov", "2026-1", "\udcff"])
def test_what_is_no_month_is_said_before_policies_or_records_are_looked_for(tmp_path, month):
    typed = [
        "settle",
        "--month",
        month,
        "--database",
        f"sqlite:///{tmp_path}/none.db",
        "--policies",
        f"{tmp_path}/none",
    ]
    refused = CliRunner().invoke(main, typed)
    assert refused.exit_code == 2
    assert "Invalid value for '--month'" in refused.stderr


@pytest.mark.parametrize("month", ["2026-13", "soon", "2199-01"])
def test_what_is_no_month_that_has_begun_is_refused(service, settle, month):
    refused = settle(month)
    assert (refused.exit_code, "--month" in refused.stderr) == (2, True)
    assert service.send("GET", f"/v1/settlements/{month}").status == 422
