"""The command line as a process of its own: at a terminal, in a pipe, interrupted."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

POLICIES = """\
apiVersion: guardrails/v1
policies:
  - id: needs-opt-in
    kind: consent_required
    applies_to: {content.class: [sponsored, affiliate]}
    purpose: sponsored_content
    message: nobody has agreed to this
  - id: editorial-is-fine
    kind: rule
    applies_to: {content.class: editorial}
    deny_when: {content.topic: war}
    message: not now
"""
CASES = """\
apiVersion: guardrails/v1
defaults:
  at: 2026-12-01T12:00:00Z
  candidate: {lane: monetized, channel: push, recipient: {id: r-42}, content: {class: sponsored}}
cases:
  - name: silence is no consent
    expect: {effect: allow}
"""
GUARDRAILS = [sys.executable, "-m", "guardrails"]
COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def candidate(number: int, content_class: str = "editorial") -> str:
    recipient, content = {"id": "r-42"}, {"class": content_class, "topic": "news"}
    said = {"id": f"c-{number}", "lane": "monetized", "channel": "push", "recipient": recipient, "content": content}
    return json.dumps(said)


@pytest.fixture
def here(tmp_path) -> Path:
    """A directory with policies, cases and candidates."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policy_tests").mkdir()
    (tmp_path / "policies" / "all.yaml").write_text(POLICIES, encoding="utf-8")
    (tmp_path / "policy_tests" / "x_test.yaml").write_text(CASES, encoding="utf-8")
    lines = [candidate(1), candidate(2, "sponsored"), "{}"]
    (tmp_path / "c.ndjson").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def at_terminal(here: Path, *arguments: str, columns: int = 80, **environment: str) -> tuple[int, str]:
    """Exit code and output of a command whose standard output and error are a terminal so wide."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    clean = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "COLUMNS"}}  # noqa: TID251 - the child's
    process = subprocess.Popen(
        [*GUARDRAILS, *arguments],
        cwd=here,
        stdin=subprocess.DEVNULL,
        stdout=child,
        stderr=child,
        env={**clean, "TERM": "xterm-256color", **environment},
    )
    os.close(child)
    said = b""
    with contextlib.suppress(OSError):  # how Linux says that the other side of a terminal is closed
        while chunk := os.read(parent, 65_536):
            said += chunk
    os.close(parent)
    return process.wait(timeout=60), re.sub(r"[ \r]+\n", "\n", said.decode())


def in_pipe(here: Path, *arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GUARDRAILS, *arguments], cwd=here, capture_output=True, text=True, timeout=60, check=False, **more
    )


# --- at a terminal -------------------------------------------------------------------------------------------------


def test_decide_shows_decisions_with_their_reasons_and_totals(here):
    code, said = at_terminal(here, "decide", "c.ndjson", "--at", "2026-12-01T12:00:00Z")
    assert code == 1
    assert COLOUR.search(said)
    assert COLOUR.sub("", said).splitlines() == [
        "ALLOW  c-1  monetized",
        "",
        "DENY   c-2  monetized",
        "       consent.missing  by needs-opt-in",
        "         nobody has agreed to this",
        '         consent.needs-opt-in.state: "missing"',
        "       waiting won't help: blocked by needs-opt-in",
        "",
        "ERROR  candidate 3",
        "       `/id`: is required",
        "       `/lane`: is required: one of `monetized`, `transactional`",
        "       `/channel`: is required",
        "       `/recipient`: is required",
        "       `/content`: is required",
        "",
        "3 candidates: 1 allow, 1 deny, 1 broken",
        "decided on what the candidates say alone, and not kept: there is no --database",
    ]


def test_nothing_is_wider_than_the_terminal(here):
    for arguments in (["decide", "c.ndjson"], ["explain", "c.ndjson"], ["test", "--coverage"], ["lint"], ["validate"]):
        _, said = at_terminal(here, *arguments, columns=40)
        assert [line for line in COLOUR.sub("", said).splitlines() if len(line) > 40] == [], arguments


def test_help_fits_the_terminal(here):
    _, said = at_terminal(here, "decide", "--help", columns=40)
    options = said[: said.index("Examples:")]
    assert [line for line in options.splitlines() if len(line) > 40] == []


def test_explain_draws_a_tree(here):
    (here / "c.json").write_text(candidate(2, "sponsored"), encoding="utf-8")
    code, said = at_terminal(here, "explain", "c.json", "--at", "2026-12-01T12:00:00Z", columns=60)
    assert code == 0
    assert COLOUR.sub("", said).splitlines()[:10] == [
        "DENY   c-2  monetized",
        "├── as of 2026-12-01 12:00:00+00:00",
        "├── waiting won't help: blocked by needs-opt-in",
        "├── needs-opt-in: violated, consent.missing",
        "│   ├── applies to      true  content.class in [sponsored,",
        '│   │   affiliate] (is "sponsored")',
        "│   └── violated when   true  consent.needs-opt-in.state in",
        "│       [missing, withdrawn, denied, expired, not_a_consent]",
        '│       (is "missing")',
        "├── guardrails-lane-separation: satisfied",
    ]


def test_validate_shows_the_line_and_marks_the_place(here):
    (here / "policies" / "all.yaml").write_text(POLICIES.replace("purpose:", "porpoise:"), encoding="utf-8")
    code, said = at_terminal(here, "validate")
    assert code == 1
    plain = COLOUR.sub("", said)
    assert (
        "policies/all.yaml:6:5  unknown-property\n"
        "  unknown property `porpoise`\n"
        "    6 |     porpoise: sponsored_content\n"
        "      |     ^\n"
        "  hint: did you mean `purpose`?\n"
    ) in plain
    assert plain.endswith("\n2 problems\n")


def test_a_problem_in_a_file_that_can_not_be_shown_is_still_told(here):
    (here / "policies" / "all.yaml").write_bytes(b"\xff")
    code, said = at_terminal(here, "validate")
    assert code == 1
    assert "policies/all.yaml:1:1  bad-encoding\n" in COLOUR.sub("", said)


def test_coverage_is_a_table_where_it_fits_and_a_list_where_not(here):
    _, wide = at_terminal(here, "test", "--coverage", columns=80)
    _, narrow = at_terminal(here, "test", "--coverage", columns=40)
    assert "policy             satisfied  violated   n/a  unclear\n" in COLOUR.sub("", wide)
    assert "needs-opt-in\n  none satisfied, 1 violated, none n/a\n" in COLOUR.sub("", narrow)


def test_no_color_is_respected(here):
    _, said = at_terminal(here, "explain", "c.ndjson", NO_COLOR="1")
    assert "\x1b[3" not in said


def test_json_is_json_at_a_terminal_too(here):
    code, said = at_terminal(here, "decide", "c.ndjson", "--json")
    assert code == 1
    assert [json.loads(line).get("effect") for line in said.splitlines()] == ["allow", "deny", None]
    _, validated = at_terminal(here, "validate", "--json")
    assert json.loads(validated)["policies"] == 2


# --- in a pipe -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["explain", "c.ndjson"], ["test", "--coverage"], ["lint"], ["validate", "none"]])
def test_in_a_pipe_there_are_no_colours_and_lines_are_not_folded(here, arguments):
    done = in_pipe(here, *arguments)
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stdout


def test_answers_leave_a_pipe_as_candidates_arrive(here):
    with subprocess.Popen(
        [*GUARDRAILS, "explain", "--json"], cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(candidate(number) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["decision"]["candidate_id"] == f"c-{number}"
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_a_reader_that_stops_reading_is_no_error(here):
    (here / "many.ndjson").write_text("\n".join(candidate(number) for number in range(5000)), encoding="utf-8")
    with subprocess.Popen(
        [*GUARDRAILS, "decide", "--engine", "native", "many.ndjson"],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


def test_an_interrupt_ends_quietly(here):
    with subprocess.Popen(
        [*GUARDRAILS, "explain", "--json"],
        cwd=here,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(candidate(1) + "\n")
        process.stdin.flush()
        process.stdout.readline()  # it runs, and now waits for the next candidate
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read().strip() == ""


def test_help_imports_no_command_and_nothing_heavy(here):
    program = (
        "import sys; from guardrails.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'rich', 'sqlalchemy', 'flask', 'granian', 'jsonschema', 'yaml', 'durable', 'alembic', 'msgspec'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "[]\n"


def test_the_installed_command_is_the_module(here):
    installed = Path(sys.executable).parent / "guardrails"
    done = subprocess.run([installed, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == in_pipe(here, "--version").stdout


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
@pytest.mark.parametrize("typed", ["offers add --database sqlite:///none.db", "settle --month 2026-11", "--version"])
def test_a_standard_stream_that_is_closed_ends_in_no_traceback(here, typed, closed):
    command = f"{' '.join(GUARDRAILS)} {typed} {closed}"
    ended = subprocess.run(["/bin/sh", "-c", command], cwd=here, capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0 if typed == "--version" else 2, False)
