"""A service that has just started answers every kind of route.

A worker that was forked while another thread imported something waited for ever on that import: two of five starts.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from guardrails.bootstrap import open_application
from guardrails.cli import main
from guardrails.cli.serve import _reach
from guardrails.errors import UnansweredError
from guardrails.settings import Settings
from guardrails.stores import migrate
from service import CANDIDATE, POLICIES, Service

STARTS = 6


@pytest.mark.parametrize("start_number", range(STARTS))
def test_a_service_that_just_started_answers_routes_with_parameters(tmp_path, start_number):
    service = Service(tmp_path)
    try:
        answer = service.send("PUT", "/v1/recipients/r-1/preferences", {"toggles": {"sponsored": True}})
        assert answer.status == 200
    finally:
        assert service.stop() == 0


def test_workers_end_with_the_process_that_looks_after_them(tmp_path):
    service = Service(tmp_path)
    service.process.kill()
    service.process.wait()
    service.until(lambda: not answers(service))
    again = Service(tmp_path, env={"GUARDRAILS_PORT": str(service.port)})
    assert again.send("GET", "/livez").status == 200
    assert again.stop() == 0


def test_a_fault_in_loading_the_policies_is_one_line_and_no_trace(tmp_path, monkeypatch):
    def crash(_path):
        raise KeyError("lane")

    monkeypatch.setattr("guardrails.decide.active_policies.load_policies", crash)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["serve", "--database", "memory:", "--state-directory", "state"])
    said = "guardrails: the policies don't load, by a fault that is not theirs: KeyError: 'lane'\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", said)


def workers(service) -> list[int]:
    """The processes that serve, by id."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text(encoding="ascii")
    return [int(pid) for pid in children.split() if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_worker_that_dies_as_it_is_born_is_replaced_however_often(tmp_path):
    service = Service(tmp_path)
    killed: list[int] = []
    for _ in range(5):
        (born,) = service.until(lambda: [pid for pid in workers(service) if pid not in killed])
        os.kill(born, signal.SIGKILL)
        killed.append(born)
    service.until(lambda: answers(service))
    assert service.send("POST", "/v1/decisions", CANDIDATE).json()["effect"] == "allow"
    assert (service.stop(), len(set(killed))) == (0, 5)


def test_workers_that_die_at_the_same_time_are_all_replaced(tmp_path):
    service = Service(tmp_path, env={"GUARDRAILS_WORKERS": "2"})
    killed: set[int] = set()
    for _ in range(3):
        born = service.until(lambda: len(pids := [pid for pid in workers(service) if pid not in killed]) == 2 and pids)
        for pid in born:
            os.kill(pid, signal.SIGKILL)
        killed.update(born)
    service.until(lambda: answers(service) and len(workers(service)) == 2)
    assert service.stop() == 0


def answers(service) -> bool:
    try:
        return service.send("GET", "/livez").status == 200
    except OSError:
        return False


def test_a_file_that_others_hold_is_served_without_until_they_let_go(tmp_path):
    with closing(sqlite3.connect(tmp_path / "guardrails.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")  # as a backup may
        service = Service(tmp_path)
        assert "it is served without until that is over" in service.log
        assert service.send("POST", "/v1/decisions", CANDIDATE).json()["degraded"] is True
        other.execute("ROLLBACK")
    service.until(lambda: service.send("GET", "/readyz").status == 200)
    assert service.stop() == 0


def test_a_file_that_is_no_database_keeps_the_service_from_starting(tmp_path):
    (tmp_path / "guardrails.db").write_bytes(b"no database " * 1000)
    with pytest.raises(RuntimeError, match="file is not a database"):
        Service(tmp_path)


@pytest.fixture
def slow_migration(tmp_path):
    """An application whose database takes its time to be migrated, and what says that it is at it."""
    begun = threading.Event()

    def migrate_slowly(connection):
        begun.set()
        time.sleep(0.5)
        migrate(connection)

    url = f"sqlite:///{tmp_path / 'guardrails.db'}"
    settings = Settings(policies=POLICIES, database_url=url, state_directory=tmp_path, engine="native")
    with closing(open_application(settings, on_old_schema=migrate_slowly)) as application:
        yield application, begun


def test_a_migration_is_waited_for_longer_than_a_database_that_does_not_answer(slow_migration):
    application, begun = slow_migration
    with pytest.raises(UnansweredError):
        _reach(application, threading.Event(), timeout_seconds=0.1)
    assert begun.wait(30)
    _reach(application, begun, timeout_seconds=0.1)
    application.make_ready()
