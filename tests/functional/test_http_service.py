"""The life of a running service: start, reload, stop, restart, and who may reach it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from service import CANDIDATE, GUARDRAILS, POLICIES, Service

BROKEN = "apiVersion: guardrails/v1\npolicies:\n  - id: broken\n    kind: ruel\n"
NO_EMAIL = """
apiVersion: guardrails/v1
policies:
  - id: no-email
    kind: rule
    title: No email
    owner: growth
    deny_when: {channel: email}
    message: no email today
"""


@pytest.fixture
def policies(tmp_path):
    directory = tmp_path / "policies"
    shutil.copytree(POLICIES, directory)
    return directory


def save(directory, text):
    """As editors save: the file is whole at every moment."""
    beside = directory / "edited.new"
    beside.write_text(text, encoding="utf-8")
    beside.replace(directory / "edited.yaml")


def test_it_says_where_it_listens_and_that_it_is_open_to_this_machine_only(service):
    address = f"http://127.0.0.1:{service.port}"
    assert service.said == (
        f"guardrails listens on {address} · docs at {address}/docs"
        " · no keys are configured, so only this machine can reach it\n"
    )


def test_it_writes_nothing_but_json_lines_to_its_log(service):
    request_id = "look-for-me"
    service.send("GET", "/v1/policies", headers={"X-Request-Id": request_id})
    lines = service.until(lambda: [line for line in service.log.splitlines() if request_id in line])
    assert [json.loads(line)["status"] for line in lines] == [200]
    assert {json.loads(line)["level"] for line in service.log.splitlines()} <= {"info"}


def test_a_decision_is_durable_and_the_same_after_a_restart(tmp_path):
    first = Service(tmp_path)
    decided = first.send("POST", "/v1/decisions", CANDIDATE)
    assert (decided.status, decided.json()["effect"]) == (200, "allow")
    assert first.stop() == 0
    second = Service(tmp_path)
    try:
        assert second.send("POST", "/v1/decisions", CANDIDATE).body == decided.body
    finally:
        second.stop()


def test_a_saved_policy_is_live_and_a_broken_one_leaves_the_last_good_set(start, policies):
    service = start(policies=policies)
    revision = service.send("GET", "/v1/policies").json()["revision"]
    save(policies, NO_EMAIL)
    edited = service.until(lambda: (now := service.send("GET", "/v1/policies").json())["revision"] != revision and now)
    assert "no-email" in [policy["id"] for policy in edited["policies"]]
    assert service.send("POST", "/v1/decisions", CANDIDATE).json()["effect"] == "deny"
    save(policies, BROKEN)
    told = service.until(lambda: not (now := service.send("GET", "/readyz").json())["policies"]["ok"] and now)
    assert (told["status"], told["policies"]["revision"]) == ("ready", edited["revision"])
    assert any("edited.yaml:4:" in problem for problem in told["policies"]["problems"])
    assert service.send("POST", "/v1/decisions", CANDIDATE | {"id": "c-2"}).json()["effect"] == "deny"
    assert '"event":"policies.broken_edit"' in service.log
    (policies / "edited.yaml").unlink()
    service.until(lambda: service.send("GET", "/readyz").json()["policies"]["revision"] == revision)
    assert service.send("POST", "/v1/decisions", CANDIDATE | {"id": "c-3"}).json()["effect"] == "allow"


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_flight_is_finished_before_it_stops(tmp_path, by):
    service = Service(tmp_path)
    batch = {"candidates": [CANDIDATE | {"id": f"c-{number}"} for number in range(1000)]}
    connection = service.connect()
    body = json.dumps(batch).encode()
    # the request has begun for sure: its head and most of its body are with the server
    connection.putrequest("POST", "/v1/decisions/batch")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:-10])
    exit_code: list[int] = []
    stopping = threading.Thread(target=lambda: exit_code.append(service.stop(by=by)))
    connection.send(body[-10:])
    stopping.start()
    results = json.loads(connection.getresponse().read())["results"]
    connection.close()
    stopping.join()
    assert [result["effect"] for result in results] == ["allow"] * 1000
    assert exit_code == [0]
    assert service.log.count('"event":"worker.stopped"') == 1
    with pytest.raises(OSError, match=r"."):
        service.send("GET", "/livez")


@pytest.mark.parametrize("heard", ["listens on", "worker.started"])
def test_it_stops_at_once_however_early_it_is_told(tmp_path, heard):
    command = [GUARDRAILS, "serve", "--policies", POLICIES, "--database", "memory:", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path
    ) as process:
        assert any(heard in line for line in process.stdout)
        process.terminate()
        assert "Traceback" not in process.communicate(timeout=20)[0]
    assert process.returncode == 0


def test_several_workers_share_one_store_and_count_together(start):
    service = start(env={"GUARDRAILS_WORKERS": "2"})
    service.until(lambda: service.log.count('"event":"worker.started"') == 2)
    answers = {service.send("POST", "/v1/decisions", CANDIDATE).body for _ in range(20)}
    assert len(answers) == 1
    wanted = b'guardrails_requests_total{route="/v1/decisions",status="200"} 20.0'
    service.until(lambda: wanted in service.send("GET", "/metrics").body)


def test_with_keys_it_asks_for_one(start, tmp_path):
    presented = "a-key-of-the-sender"
    keys = tmp_path / "keys.jsonl"
    hashed = hashlib.sha256(presented.encode()).hexdigest()
    keys.write_text(json.dumps({"name": "sender", "sha256": hashed, "scopes": ["decide"]}), encoding="utf-8")
    service = start(env={"GUARDRAILS_KEYS_FILE": str(keys)})
    assert "no keys" not in service.said
    assert service.send("POST", "/v1/decisions", CANDIDATE).status == 401
    headers = {"Authorization": f"Bearer {presented}"}
    assert service.send("POST", "/v1/decisions", CANDIDATE, headers=headers).status == 200


def run(tmp_path, *arguments, **env):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GUARDRAILS_")}  # noqa: TID251
    given = {
        "GUARDRAILS_POLICIES": str(POLICIES),
        "GUARDRAILS_DATABASE_URL": f"sqlite:///{tmp_path / 'g.db'}",
        "GUARDRAILS_STATE_DIRECTORY": str(tmp_path),
        "GUARDRAILS_PORT": "0",
    }
    return subprocess.run(
        [GUARDRAILS, "serve", *arguments],
        env=inherited | given | env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        ended = run(tmp_path, "--port", str(port))
    expected = (
        f"guardrails: can't listen on `127.0.0.1` port {port}: another program does; choose another with --port\n"
    )
    assert (ended.returncode, ended.stderr, ended.stdout) == (2, expected, "")


def test_a_port_that_another_service_has_is_taken_too(service, tmp_path):
    ended = run(tmp_path, "--port", str(service.port))
    assert (ended.returncode, "another program does" in ended.stderr) == (2, True)


def test_policies_that_do_not_load_are_said_by_line(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text(BROKEN, encoding="utf-8")
    ended = run(tmp_path, "--policies", str(broken))
    assert ended.returncode == 2
    assert f"{broken}:4:" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"GUARDRAILS_HOST": "0.0.0.0"}, "no keys are configured"),  # noqa: S104 - refused, never bound
        ({"GUARDRAILS_PROT": "1"}, "did you mean `GUARDRAILS_PORT`?"),
        ({"GUARDRAILS_POLICIES": "nowhere"}, "nowhere"),
        ({"GUARDRAILS_DATABASE_URL": "sqlite:////nowhere/at/all.db"}, "nowhere/at/all.db"),
        ({"GUARDRAILS_DATABASE_URL": "mysql://x"}, "mysql"),
        ({"GUARDRAILS_HOST": "127.0.0.1", "GUARDRAILS_KEYS_FILE": "nowhere"}, "can't be read"),
        ({"GUARDRAILS_HOST": "::1", "GUARDRAILS_PORT": "x"}, "is not a whole number"),
    ],
    ids=["host", "unknown", "policies", "database", "vendor", "keys", "port"],
)
def test_what_keeps_it_from_starting_is_said_shortly(tmp_path, env, said):
    ended = run(tmp_path, **env)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert ("Traceback" in ended.stderr, ended.stderr.count("\n") <= 2, ended.stdout) == (False, True, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lease", "10"], "`10` is not a duration"),
        (["--keys-file", "nowhere"], "--keys-file: `nowhere` can't be read"),
        (["--port", "70000"], "70000"),
        (["--engine", "regex"], "regex"),
        (["--host", "192.0.2.1"], "no keys are configured"),
        (["--database", "memory:", "--workers", "2"], "with `memory:` each of the 2 workers"),
    ],
    ids=["lease", "keys", "port", "engine", "host", "memory"],
)
def test_a_wrong_option_is_said_by_name(tmp_path, arguments, said):
    ended = run(tmp_path, *arguments)
    assert (ended.returncode, said in ended.stderr, ended.stdout) == (2, True, "")


def test_an_option_wins_over_its_variable(tmp_path):
    ended = run(tmp_path, "--database", "sqlite:////nowhere/option.db", GUARDRAILS_DATABASE_URL="memory:")
    assert (ended.returncode, "option.db" in ended.stderr) == (2, True)
