"""What the pages about offers show to be typed is typed, in order, and the service answers what they show.

A `$` begins a command, which a shell runs; what follows it is its answer. A page may leave out members of an answer. It
writes `…` for what differs each time, and any instant for any other.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from service import POLICIES, Service

DOCS = Path(__file__).parents[2] / "docs"
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")
END = "\x1e"

# The `curl` of the pages: `-s`, `-H`, `-d` and an address, and it fails where the service refuses.
CURL = f"""\
#!{sys.executable}
import os, sys, urllib.error, urllib.request
headers, body, url, words = {{}}, None, None, iter(sys.argv[1:])
for word in words:
    if word == "-H":
        name, _, value = next(words).partition(": ")
        headers[name] = value
    elif word == "-d":
        text = next(words)
        body = open(text[1:], "rb").read() if text.startswith("@") else text.encode()
    elif word != "-s":
        url = word.replace("127.0.0.1:8080", "127.0.0.1:" + os.environ["SERVICE_PORT"])
try:
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        sys.stdout.write(answer.read().decode())
except urllib.error.HTTPError as refusal:
    sys.exit(refusal.read().decode())
"""


def commands_of(page: str) -> list[tuple[str, str]]:
    """Every command of a page, with the answer that the page shows."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        lines = iter(block.splitlines())
        for line in lines:
            if line.startswith("$ "):
                command = line.removeprefix("$ ")
                while not is_whole(command):
                    command += "\n" + next(lines)
                found.append((command, ""))
            else:
                command, answer = found.pop()
                found.append((command, f"{answer}{line}\n"))
    return found


def is_whole(command: str) -> bool:
    """Whether no quote, here-document or backslash is left open."""
    marker = re.search(r"<<'(\w+)'", command)
    if marker is not None:
        return command.endswith(f"\n{marker[1]}")
    try:
        shlex.split(command)
    except ValueError:
        return False
    return not command.endswith("\\")


def shown(value, answered):
    """What an answer looks like in a page that shows `value`: without what that leaves out."""
    if isinstance(value, str) and isinstance(answered, str):
        return value if "…" in value or (INSTANT.fullmatch(value) and INSTANT.fullmatch(answered)) else answered
    if isinstance(value, dict) and isinstance(answered, dict):
        return {key: shown(each, answered[key]) for key, each in value.items() if key in answered}
    if isinstance(value, list) and isinstance(answered, list) and len(value) == len(answered):
        return [shown(*pair) for pair in zip(value, answered, strict=True)]
    return answered


def lines_of(text: str) -> list[str]:
    return [INSTANT.sub("…", " ".join(line.split())) for line in text.splitlines() if line.strip()]


def as_pattern(line: str) -> str:
    return re.escape(line).replace("…", ".*")


def check(command: str, wanted: str, answered: str) -> None:
    if not wanted:  # the page leaves all of it out
        return
    if wanted.startswith("{"):
        expected = json.loads(wanted)
        assert expected == shown(expected, json.loads(answered)), command
    elif wanted.strip() != "…":
        lines = lines_of(answered)
        assert len(lines_of(wanted)) == len(lines), (command, answered)
        for expected, line in zip(lines_of(wanted), lines, strict=True):
            assert re.fullmatch(as_pattern(expected), line), (command, expected, line)


@pytest.fixture
def shell(tmp_path):
    """Run commands one after the other in one shell beside a service with the sample policies; their outputs."""
    service = Service(tmp_path)
    (tmp_path / "policies").symlink_to(POLICIES)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "curl").write_text(CURL, encoding="utf-8")
    (tmp_path / "bin" / "curl").chmod(0o755)
    path = os.pathsep.join((str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]))  # noqa: TID251

    def run(commands):
        script = "\n".join(["set -eo pipefail", *(f"{command}\nprintf '{END}'" for command in commands)])
        environ = {**os.environ, "PATH": path, "SERVICE_PORT": str(service.port), "TZ": "Europe/Berlin"}  # noqa: TID251
        ran = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
        return ran.stdout.split(END)[:-1]

    yield run
    assert service.stop() == 0


FIRST_OFFER = [command for command, _ in commands_of("first-offer.md")]
OPENED, PAID = (FIRST_OFFER.index(next(each for each in FIRST_OFFER if word in each)) for word in ("s-77", "redeem"))
BEFORE = {"conversions.md": FIRST_OFFER[:OPENED], "http-api.md": FIRST_OFFER[:OPENED], "offers.md": FIRST_OFFER[:PAID]}
"""What leads to where a page begins: `$TOKEN`, and for what is redeemed, the session."""


@pytest.mark.parametrize(
    "page", ["first-offer.md", "http-api.md", "offers.md", "conversions.md", "wallet.md", "revenue.md"]
)
def test_what_a_page_shows_is_answered_with_the_sample_policies(page, shell):
    before = BEFORE.get(page, [])
    commands = commands_of(page)[: 1 if page == "http-api.md" else None]  # its others: tests/unit/web/test_documents.py
    assert commands
    answers = shell([*before, *(command for command, _ in commands)])[len(before) :]
    for (command, wanted), answered in zip(commands, answers, strict=True):
        check(command, wanted, answered)
