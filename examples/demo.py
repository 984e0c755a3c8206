"""The demo: a week of real candidates, decided by the running service over HTTP.

    make demo                  decide the week, then leave the service running
    make demo ARGS=--once      end when the week is decided
    make demo ARGS='--limit 5000 --once'

It starts `guardrails serve` on a fresh SQLite file with the shipped policies and the replay clock switched on, records
consents and preferences, sends the candidates in time order, each planned for its own instant, and reports each allow
as sent. Then it plays two offers through, from registration to revenue (`moments`). Everything goes through the HTTP
API, as any sender would do it.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moments import run as run_moments
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.syntax import Syntax
from rich.table import Table
from sample import Impression, candidate, consent_changes, impressions, preferences

ROOT = Path(__file__).parent.parent
BATCH = 100
START_SECONDS = 20
STOP_SECONDS = 40
"""A little longer than the service itself gives its workers."""

ROWS = 60_000
WIDTH = 80

Json = Any
"""What `json` reads and writes."""


class Service:
    """A connection to the service, kept open."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def close(self) -> None:
        """Let go of a connection that failed; the next request opens another."""
        self._connection.close()

    def send(self, method: str, path: str, body: Json = None, *, at: str | None = None) -> Json:
        """One request, at the replay clock's `at`; the decoded answer. Raises RuntimeError where it is a problem."""
        headers = {"Content-Type": "application/json"} | ({"Replay-At": at} if at else {})
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status >= http.client.BAD_REQUEST:
            raise RuntimeError(f"{method} {path}: {response.status} {answer.decode()}")
        return json.loads(answer)


class Tally:
    """What the week came to."""

    def __init__(self) -> None:
        self.effects: Counter[str] = Counter()
        self.denied: Counter[tuple[str, str]] = Counter()
        self.monitored: Counter[tuple[str, str]] = Counter()
        self.shown: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    def add(self, asked: dict[str, Any], decision: dict[str, Any]) -> None:
        """Count one decision, and keep the first of each effect to be shown whole."""
        self.effects[decision["effect"]] += 1
        self.denied.update((reason["code"], reason["policy"] or "the route") for reason in decision["reasons"])
        self.monitored.update((reason["code"], reason["policy"]) for reason in decision["monitored"])
        if decision["effect"] == "allow" or decision["retry_at"]:
            self.shown.setdefault(decision["effect"], (asked, decision))

    def rows(self) -> Iterator[tuple[str, str, str, int]]:
        """Decision, reason, policy, count: first the effects, then what denied, then what only would have."""
        for effect, count in sorted(self.effects.items()):
            yield effect, "", "", count
        for decision, reasons in (("", self.denied), ("monitored", self.monitored)):
            for (code, policy), count in reasons.most_common():
                yield decision, code, policy, count


def main() -> int:
    """Run the demo; the exit code."""
    options = _options()
    console = Console()
    # A terminal ends what it started by SIGTERM or by closing; the service must not outlive the demo either way.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    try:
        with _alone_in(options.state), _service(options.state, options.port, console) as (process, service):
            _decide_week(service, console, options.limit)
            run_moments(service, console)
            if not options.once:
                _leave_running(process, service, console)
    except KeyboardInterrupt:
        console.print("\nstopped")
    except (RuntimeError, OSError) as error:
        console.print(f"[red]the demo could not go on:[/red] {error}", highlight=False, soft_wrap=True)
        return 2
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Decide a week of real candidates through the running service.")
    parser.add_argument("--once", action="store_true", help="end when the week is decided")
    parser.add_argument("--limit", type=_count, default=ROWS, help="decide only so many candidates")
    parser.add_argument("--port", type=int, default=8080, help="where the service listens, if it is free (8080)")
    parser.add_argument(
        "--state", type=Path, default=ROOT / "build" / "demo", help="where database and log go (build/demo)"
    )
    return parser.parse_args()


def _count(text: str) -> int:
    if not 1 <= int(text) <= ROWS:
        raise argparse.ArgumentTypeError(f"there are 1 to {ROWS} candidates")
    return int(text)


@contextlib.contextmanager
def _alone_in(state: Path) -> Iterator[None]:
    """Make the directory, and refuse to share it with a demo that still runs."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"another demo runs in {state}; end it, or choose another with --state") from None
        yield


@contextlib.contextmanager
def _service(state: Path, port: int, console: Console) -> Iterator[tuple[subprocess.Popen[bytes], Service]]:
    """The service, started on a fresh store, and stopped at the end."""
    database = state / "guardrails.db"
    for suffix in ("", "-shm", "-wal"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    settings = {
        "GUARDRAILS_POLICIES": str(ROOT / "policies"),
        "GUARDRAILS_DATABASE_URL": f"sqlite:///{database}",
        "GUARDRAILS_STATE_DIRECTORY": str(state),
        "GUARDRAILS_PORT": str(port if _is_free(port) else 0),
        "GUARDRAILS_REPLAY_CLOCK": "on",
        "GUARDRAILS_LOG_LEVEL": "warning",
    }
    command = [Path(sys.executable).with_name("guardrails"), "serve"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GUARDRAILS_")}  # noqa: TID251
    log = state / "service.log"
    with log.open("wb") as said:
        # A session of its own: Ctrl-C is for the demo, which then stops the service.
        process = subprocess.Popen(command, env=inherited | settings, stdout=said, stderr=said, start_new_session=True)
    service = None
    try:
        started = time.monotonic()
        service = Service(_announced_port(process, log))
        seconds = time.monotonic() - started
        console.print(f"service answers on http://127.0.0.1:{service.port} after {seconds:.1f} s", highlight=False)
        yield process, service
    finally:
        if service is not None:
            service.close()
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _announced_port(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port that the service names once it answers. Raises RuntimeError where it ends, or never does."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"listens on http://127\.0\.0\.1:(\d+) ", log.read_text(encoding="utf-8"))
        if found is not None:
            return int(found[1])
        time.sleep(0.02)
    raise RuntimeError(f"the service did not start:\n{log.read_text(encoding='utf-8')}")


def _decide_week(service: Service, console: Console, limit: int) -> None:
    week = list(impressions(limit))
    recipients = sorted({impression.recipient for impression in week})
    changes = consent_changes(recipients)
    before = [change for change in changes if change["at"] < week[0].at.isoformat()]
    during = changes[len(before) :]
    toggles = preferences(recipients)
    start = week[0].at.isoformat()
    service.send("POST", "/v1/consents/batch", {"consents": before}, at=start)
    for recipient, set_to in toggles.items():
        service.send("PUT", f"/v1/recipients/{recipient}/preferences", {"toggles": set_to}, at=start)
    console.print(
        f"{len(week):,} candidates for {len(recipients):,} recipients; {len(before):,} consent records\n"
        f"{len(toggles):,} switched sponsored content off; {len(during):,} withdraw in the course of the week",
        highlight=False,
    )
    tally = Tally()
    started = time.monotonic()
    columns = (
        TextColumn("deciding"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[day]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("deciding", total=len(week), day=_day(week[0]))
        for batch in _batches(week, during, service):
            _decide(service, batch, tally)
            progress.update(task, advance=len(batch), day=_day(batch[-1]), refresh=True)
    _report(console, tally, time.monotonic() - started)


def _batches(week: list[Impression], changes: list[dict[str, Any]], service: Service) -> Iterator[list[Impression]]:
    """The week in batches; a withdrawal is recorded between the batches, when its time has come."""
    waiting = iter(changes)
    change = next(waiting, None)
    for start in range(0, len(week), BATCH):
        batch = week[start : start + BATCH]
        while change is not None and change["at"] <= batch[0].at.isoformat():
            service.send("POST", "/v1/consents", change, at=batch[0].at.isoformat())
            change = next(waiting, None)
        yield batch


def _decide(service: Service, batch: list[Impression], tally: Tally) -> None:
    at = batch[0].at.isoformat()
    candidates = [candidate(impression) for impression in batch]
    decisions = service.send("POST", "/v1/decisions/batch", {"candidates": candidates}, at=at)["results"]
    for asked, decision in zip(candidates, decisions, strict=True):
        tally.add(asked, decision)
    sent = [
        {"decision_id": decision["decision_id"], "outcome": "sent", "at": asked["send_at"]}
        for asked, decision in zip(candidates, decisions, strict=True)
        if decision["effect"] == "allow"
    ]
    if sent:
        service.send("POST", "/v1/outcomes", {"outcomes": sent}, at=batch[-1].at.isoformat())


def _day(impression: Impression) -> str:
    return f"{impression.at:%a %d %b %H:%M}"


def _report(console: Console, tally: Tally, seconds: float) -> None:
    """What an answer looks like, and then what the week came to: that is what stays on the screen."""
    for effect, (asked, decision) in sorted(tally.shown.items()):
        console.print(f"\n[bold]one {effect}[/bold]: the candidate, and the decision")
        for value in (asked, decision):
            console.print(Syntax(_as_json(value), "json", background_color="default", word_wrap=True))
    decided = tally.effects.total()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("decision", "reason", "policy"):
        table.add_column(title, overflow="fold")
    for title in ("count", "share"):
        table.add_column(title, justify="right")
    for decision, code, policy, count in tally.rows():
        table.add_row(decision, code, policy, f"{count:,}", f"{count / decided:.1%}")
    console.print()
    console.print(table)
    console.print("[dim]one candidate may be denied for several reasons; `monitored` denies none[/dim]\n")
    rate = f"{decided:,} candidates in {seconds:.1f} s: {decided / seconds:,.0f} a second"
    console.print(f"{rate}, each audited before it was answered", highlight=False)


def _as_json(value: Json, *, indent: int = 0, used: int = 0) -> str:
    """JSON in which whatever fits on a line stands on one; `used` columns of the first are taken already."""
    line = json.dumps(value, ensure_ascii=False)
    if not value or not isinstance(value, dict | list) or max(indent, used) + len(line) < WIDTH:
        return line
    indent += 2
    if isinstance(value, dict):
        keys = [f"{json.dumps(key)}: " for key in value]
        opening, closing = "{}"
    else:
        keys = [""] * len(value)
        opening, closing = "[]"
    members = value.values() if isinstance(value, dict) else value
    lines = [
        f"{' ' * indent}{key}{_as_json(member, indent=indent, used=indent + len(key))}"
        for key, member in zip(keys, members, strict=True)
    ]
    body = ",\n".join(lines)
    return f"{opening}\n{body}\n{' ' * (indent - 2)}{closing}"


def _leave_running(process: subprocess.Popen[bytes], service: Service, console: Console) -> None:
    body = json.dumps(
        {
            "id": "try-1",
            "lane": "monetized",
            "channel": "push",
            "recipient": {"id": "r-42", "timezone": "Europe/Berlin", "country": "DE", "age": 34},
            "content": {"class": "sponsored", "topic": "upgrade", "disclosure": "Sponsored by Acme Air", "steps": 2},
            "campaign": {"id": "cmp-7"},
            "sponsor": {"id": "acme-air"},
        }
    )
    url = f"http://127.0.0.1:{service.port}"
    console.print(f"\nThe service goes on; its API is at {url}/docs\nDecide one candidate:\n", highlight=False)
    print(f"curl -s {url}/v1/decisions -H 'Content-Type: application/json' -d '{body}'\n")
    console.print("[dim]Ctrl-C ends it.[/dim]")
    raise RuntimeError(f"the service ended by itself, with {process.wait()}")


if __name__ == "__main__":
    sys.exit(main())
