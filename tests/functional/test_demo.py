"""The demo as people run it: it decides real candidates, shows what came of it, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
import urllib.request
from pathlib import Path

import pytest

from service import GUARDRAILS, PATIENCE_SECONDS

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
LIMIT = 1500
OFFERS = 2
"""Decisions on offers that are played through after that."""
EVENTS = 15
"""What their conversions, redemptions and revenue put into the log."""


def run_demo(state, *options):
    return subprocess.Popen(
        [sys.executable, DEMO, "--state", state, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def answers(port):
    """Whether anybody answers there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def port_in(said):
    return int(re.search(r"http://127\.0\.0\.1:(\d+)", said)[1])


def rows_in(said):
    """The lines of the table: decision (or none), reason, policy, count."""
    pattern = re.compile(r"^(\w+)? +([\w.]+)? +([\w-]+)? +([\d,]+) +[\d.]+%$", re.MULTILINE)
    return [(row[1], row[2], row[3], int(row[4].replace(",", ""))) for row in pattern.finditer(said)]


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """What a demo of some hours said, with its exit code and where it left its state."""
    state = tmp_path_factory.mktemp("demo")
    demo = run_demo(state, "--once", "--limit", str(LIMIT))
    said, _ = demo.communicate(timeout=10 * PATIENCE_SECONDS)
    assert demo.returncode == 0, said
    return said, state


def test_what_was_decided_adds_up(once):
    said, _ = once
    effects = {decision: count for decision, _, _, count in rows_in(said) if decision in {"allow", "deny"}}
    assert set(effects) == {"allow", "deny"}
    assert sum(effects.values()) == LIMIT
    assert all(0 < count <= effects["deny"] for decision, _, _, count in rows_in(said) if decision is None)


def test_an_allow_and_a_deny_are_shown_in_full(once):
    said, _ = once
    for effect in ("allow", "deny"):
        shown = said.partition(f"one {effect}: the candidate, and the decision\n")[2]
        candidate, end = json.JSONDecoder(strict=False).raw_decode(shown)
        decision, _ = json.JSONDecoder(strict=False).raw_decode(shown[end:].lstrip())
        assert (decision["effect"], decision["candidate_id"]) == (effect, candidate["id"])
        assert set(decision) >= {"reasons", "obligations", "monitored", "retry_at", "policy_revision", "audit"}


def test_without_a_terminal_there_is_no_bar_and_no_line_is_wider_than_80_columns(once):
    said, _ = once
    assert "\x1b" not in said
    assert [line for line in said.splitlines() if len(line) > 80] == []
    assert "━" not in said


def test_the_service_is_gone_when_the_demo_ends(once):
    said, _ = once
    assert not answers(port_in(said))


def test_every_decision_of_the_demo_comes_out_the_same_again(once):
    _, state = once
    replay = subprocess.run(
        [GUARDRAILS, "replay", "--json", "--database", f"sqlite:///{state / 'guardrails.db'}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (replay.returncode, json.loads(replay.stdout)) == (
        0,
        {"decisions": LIMIT + OFFERS, "skipped": 0, "older": 0, "events": EVENTS, "differences": []},
    )


def test_two_offers_go_from_registration_to_the_statements_of_their_month(once):
    said, _ = once
    _, _, story = said.partition("two offers, from registration to revenue\n")
    assert re.findall(r"^converted +(.*?) *$", story, re.MULTILINE) == [
        "in 3 steps and 60 s; settled by wallet",
        "in 2 steps and 40 s; settled by wallet",
    ]
    statements = re.findall(r"^(sponsor|affiliate|benefit|platform) +(.*?) +([\d.]+) EUR *$", story, re.MULTILINE)
    assert statements == [
        ("sponsor", "city-cabs", "25.20"),
        ("sponsor", "hotel-meridian", "16.15"),
        ("affiliate", "cab-network", "0.84"),
        ("benefit", "airport-transfer", "0.28"),
        ("benefit", "sea-view-tonight", "0.29"),
        ("platform", "its share", "4.24"),
    ]
    assert story.rstrip().endswith("r-anna has 13.57 EUR left; statements and ledger agree")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda each: each.name)
def test_without_once_the_service_stays_until_the_demo_is_ended(tmp_path, ending):
    demo = run_demo(tmp_path, "--limit", "100")
    said = said_until(demo, "Ctrl-C")
    curl = next(line for line in said.splitlines() if line.startswith("curl "))
    port = port_in(curl)
    decision = asked_as_by(curl)
    demo.send_signal(ending)
    demo.communicate(timeout=2 * PATIENCE_SECONDS)
    assert (decision["candidate_id"], decision["effect"]) == ("try-1", "deny")
    assert "consent.missing" in {reason["code"] for reason in decision["reasons"]}
    assert demo.returncode == (0 if ending == signal.SIGINT else 128 + ending)
    assert not answers(port)


def asked_as_by(curl):
    """What the service answers to a `curl` line, which need not be there."""
    command, silent, url, header_flag, header, data_flag, body = shlex.split(curl)
    assert (command, silent, header_flag, data_flag) == ("curl", "-s", "-H", "-d")
    name, _, value = header.partition(": ")
    request = urllib.request.Request(url, body.encode(), {name: value})  # noqa: S310 - a port of this machine
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - as above
        return json.load(answer)


def said_until(demo, words):
    """What the demo says up to the line that holds `words`."""
    said = ""
    for line in demo.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it never said {words}: {said}")


def test_at_a_terminal_the_bar_moves_while_candidates_are_decided(tmp_path):
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    clean = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "COLUMNS"}}  # noqa: TID251 - the child's
    command = [sys.executable, DEMO, "--state", tmp_path, "--port", "0", "--once", "--limit", str(LIMIT)]
    demo = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=child, stderr=child, env=clean | {"TERM": "xterm-256color"}
    )
    os.close(child)
    said = b""
    with contextlib.suppress(OSError):  # how Linux says that the other side of a terminal is closed
        while chunk := os.read(parent, 65536):
            said += chunk
    os.close(parent)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode())
    counts = [int(count) for count in re.findall(rf"(\d+)/{LIMIT} ", plain)]
    assert demo.wait(PATIENCE_SECONDS) == 0
    assert counts == sorted(counts)
    assert set(counts) == set(range(0, LIMIT + 1, 100))
    assert [line for line in re.split(r"[\r\n]+", plain) if len(line) > 80] == []


def test_two_demos_do_not_share_their_state(tmp_path):
    first = run_demo(tmp_path, "--limit", "100")
    said_until(first, "service answers")
    second = run_demo(tmp_path, "--once", "--limit", "100")
    said, _ = second.communicate(timeout=PATIENCE_SECONDS)
    first.terminate()
    first.communicate(timeout=2 * PATIENCE_SECONDS)
    assert second.returncode == 2
    assert "another demo runs in" in said
