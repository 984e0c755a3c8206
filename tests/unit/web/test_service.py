"""What operators and machines ask: liveness, readiness, the active policies, metrics, the watcher."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import replace
from types import SimpleNamespace

import pytest

from disks import bounded
from guardrails.audit import MemoryDecisions
from guardrails.errors import DependencyError
from guardrails.settings import Key, Settings
from guardrails.storage.memory import Journal
from guardrails.web import create_app
from guardrails.web.gauges import gauges_of
from guardrails.web.metrics import Metrics
from guardrails.web.upkeep import Periodic, PolicyReload
from service import CANDIDATE

BROKEN = "apiVersion: guardrails/v1\npolicies:\n  - id: broken\n    kind: ruel\n"


def test_a_service_is_alive(client):
    assert client.get("/livez").get_json() == {"status": "alive"}


def test_a_service_is_ready_with_its_revision(client, compiled):
    ready = client.get("/readyz").get_json()
    assert (ready["status"], ready["store"], ready["policies"]["ok"]) == ("ready", {"ok": True}, True)
    assert ready["policies"]["revision"] == compiled.policy_set.revision
    assert "problems" not in ready["policies"]


def test_a_service_whose_store_does_not_answer_is_not_ready(make_client, tmp_path):
    client = make_client(database_url=f"sqlite:///{tmp_path}/g.db")
    for path in tmp_path.glob("g.db*"):
        path.write_bytes(b"no database any more " * 1000)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "unavailable")
    assert client.get("/livez").status_code == 200


def test_a_broken_edit_is_told_while_the_last_good_set_decides(watched):
    application, client, policies = watched
    revision = client.get("/v1/policies").get_json()["revision"]
    policies.write_text(BROKEN, encoding="utf-8")
    application.policies.reload_if_changed()
    answer = client.get("/readyz")
    told = answer.get_json()["policies"]
    assert (answer.status_code, told["ok"], told["revision"]) == (200, False, revision)
    assert told["pending_problems"] == len(told["problems"]) > 0
    assert any(problem.startswith(f"{policies}:4:") and "`ruel`" in problem for problem in told["problems"])
    assert "guardrails_policies_broken_edit 1.0" in client.get("/metrics").text


def test_with_keys_only_their_number_is_told_to_whom_may_not_read_policies(watched):
    application, _, policies = watched
    presented = "a-key-to-read-policies"
    key = Key("reader", hashlib.sha256(presented.encode()).hexdigest(), frozenset({"policy:read"}))
    client = create_app(application, Settings(keys=(key,)), Metrics()).test_client()
    policies.write_text(BROKEN, encoding="utf-8")
    application.policies.reload_if_changed()
    anybody = client.get("/readyz").get_json()["policies"]
    reader = client.get("/readyz", headers={"Authorization": f"Bearer {presented}"}).get_json()["policies"]
    assert anybody["pending_problems"] == reader["pending_problems"] == len(reader["problems"])
    assert "problems" not in anybody


def test_the_active_policies_are_listed(watched):
    _, client, _ = watched
    answer = client.get("/v1/policies").get_json()
    (policy,) = [policy for policy in answer["policies"] if not policy["builtin"]]
    assert policy == {
        "id": "nothing-by-voice",
        "kind": "rule",
        "mode": "enforce",
        "title": "Nobody is called",
        "owner": "growth",
        "tags": [],
        "valid_from": None,
        "valid_until": None,
        "builtin": False,
    }


def save(path, text):
    """As editors save: the file is whole at every moment."""
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def told_of_policies(log_lines):
    """Without what the log counts for a second and then tells, of whatever was served before."""
    return [line for line in log_lines if line["event"].startswith("policies.")]


@pytest.fixture
def watcher(watched):
    application, _, _ = watched
    metrics = Metrics()
    watcher = Periodic("policies", PolicyReload(application.policies, metrics), seconds=0.005)
    watcher.start()
    yield metrics
    watcher.stop()


def test_the_watcher_makes_good_edits_active_and_tells_of_broken_ones(watched, watcher, log_lines):
    application, _, policies = watched
    first = application.policies.status.revision
    good = policies.read_text(encoding="utf-8")
    save(policies, BROKEN)
    until(lambda: application.policies.status.error is not None)
    save(policies, good.replace("voice", "sms"))
    until(lambda: application.policies.status.revision != first)
    until(lambda: len(told_of_policies(log_lines)) > 1)
    assert [line["event"] for line in told_of_policies(log_lines)] == ["policies.broken_edit", "policies.reloaded"]
    assert told_of_policies(log_lines)[0]["active_revision"] == first
    assert 'guardrails_policy_reloads_total{result="active"} 1.0' in watcher.render().decode()
    assert 'guardrails_policy_reloads_total{result="broken"} 1.0' in watcher.render().decode()


def test_the_watcher_tells_of_an_edit_that_ends_in_a_fault_as_of_a_broken_one_with_its_trace(
    watched, watcher, log_lines, monkeypatch
):
    application, client, policies = watched
    fault = KeyError("lane")

    def crash(_path):
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr("guardrails.decide.active_policies.load_policies", crash)
        save(policies, policies.read_text(encoding="utf-8").replace("voice", "sms"))
        until(lambda: application.policies.status.error is not None)
        ready = client.get("/readyz").get_json()["policies"]
        assert (ready["ok"], ready["pending_problems"]) == (False, 1)
        assert samples(client, "guardrails_policies_broken_edit") == {"": 1.0}
    until(lambda: application.policies.status.error is None)  # without another edit: the fault has passed
    until(lambda: len(told_of_policies(log_lines)) > 1)
    assert [(line["event"], line.get("exc_info")) for line in told_of_policies(log_lines)] == [
        ("policies.broken_edit", fault),
        ("policies.reloaded", None),
    ]


def test_the_watcher_outlives_what_it_can_not_foresee(watched, watcher, log_lines):
    application, _, policies = watched
    first = application.policies.status.revision
    application.policies._path = 3  # no path at all: looking raises
    until(lambda: any(line["event"] == "upkeep.failed" for line in log_lines))
    application.policies._path = policies
    save(policies, policies.read_text(encoding="utf-8").replace("voice", "sms"))
    until(lambda: application.policies.status.revision != first)


def test_a_decision_without_the_store_is_answered_and_its_cause_is_in_the_log(make_client, tmp_path, log_lines):
    client = make_client(database_url=f"sqlite:///{tmp_path}/g.db")
    for path in tmp_path.glob("g.db*"):
        path.write_bytes(b"no database any more " * 1000)
    receipt = {
        "id": "c-1",
        "lane": "transactional",
        "channel": "email",
        "recipient": {"id": "r-1"},
        "content": {"class": "transactional"},
    }
    decision = client.post("/v1/decisions", json=receipt).get_json()
    assert (decision["effect"], decision["degraded"], decision["audit"]) == ("allow", True, {"spooled": True})
    id_ = decision["decision_id"]
    (line,) = [line for line in log_lines if (line["event"], line.get("decision_id")) == ("decision.degraded", id_)]
    assert line["log_level"] == "error"
    assert line["fault"].startswith("DependencyError: ")


# --- what a scrape reads ------------------------------------------------------------------------------------------


def samples(client, name):
    """The values of a metric, by what stands between its braces."""
    found = re.findall(rf"^{name}(?:{{(.*)}})? (.*)$", client.get("/metrics").text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def test_the_stores_and_the_spool_are_told_of_before_and_in_an_outage(make_client, tmp_path):
    client = make_client(database_url=f"sqlite:///{tmp_path}/g.db")
    assert samples(client, "guardrails_store_up") == {'store="database"': 1.0, 'store="caps"': 1.0}
    assert samples(client, "guardrails_spool_entries") == {"": 0.0}
    for path in tmp_path.glob("g.db*"):
        path.write_bytes(b"no database any more " * 1000)
    for number in range(3):
        client.post("/v1/decisions", json=CANDIDATE | {"id": f"c-{number}"})
    assert samples(client, "guardrails_store_up") == {'store="database"': 0.0}
    assert samples(client, "guardrails_spool_entries") == {"": 3.0}
    assert samples(client, "guardrails_spool_bytes") == {"": (tmp_path / "spool.jsonl").stat().st_size}


def test_a_full_disk_is_told_of_until_there_is_room_again(make_client, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with bounded(disk, 512 * 1024) as make_room:
        client = make_client(database_url=f"sqlite:///{disk}/g.db")
        assert client.get("/readyz").get_json()["status"] == "ready"
        with suppress(OSError):
            (disk / "filler").write_bytes(bytes(512 * 1024))
        until(lambda: client.get("/readyz").status_code == 503)  # each look needs some room of the rest
        assert samples(client, "guardrails_store_up") == {'store="database"': 0.0}
        make_room()
        until(lambda: client.get("/readyz").get_json()["status"] == "ready")
        assert samples(client, "guardrails_store_up") == {'store="database"': 1.0, 'store="caps"': 1.0}


def test_a_look_leaves_nothing_behind(make_client, tmp_path):
    client = make_client(database_url=f"sqlite:///{tmp_path}/g.db")
    assert [client.get("/readyz").status_code for _ in range(2)] == [200, 200]
    with closing(sqlite3.connect(tmp_path / "g.db")) as connection:
        assert connection.execute("SELECT count(*) FROM decisions").fetchone() == (0,)


def test_caps_that_are_out_of_reach_by_themselves_are_told_of(watched):
    application, _, _ = watched

    class WithoutCaps:
        def call(self, handler, item, **_):
            return handler(SimpleNamespace(decisions=MemoryDecisions(Journal()), caps=self), [item])[0]

        def probe(self):
            raise DependencyError("connection refused", dependency="caps")

    up = next(gauge for gauge in gauges_of(replace(application, transactor=WithoutCaps())) if gauge.label == "store")
    assert up.read() == {"database": 1.0, "caps": 0.0}


def test_a_spool_that_can_not_be_read_spoils_no_scrape(watched):
    application, client, _ = watched
    application.spool._path.mkdir(parents=True)  # a directory in its place
    assert samples(client, "guardrails_spool_entries") == {}
    assert samples(client, "guardrails_policies_broken_edit") == {"": 0.0}
