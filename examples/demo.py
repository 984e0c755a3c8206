"""The demo: a week of real candidates, decided by the running service over HTTP.

    make demo                  decide the week, then leave the service running
    make demo ARGS=--once      end when the week is decided
    make demo ARGS='--limit 5000 --once'

It starts `guardrails serve` on a fresh SQLite file with the shipped policies and the replay clock switched on, records
consents and preferences, sends the candidates in time order, each planned for its own instant, and reports each allow
as sent. Everything goes through the HTTP API, as any sender would do it.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.syntax import Syntax
from rich.table import Table
from sample import Impression, candidate, consent_changes, impressions, preferences

ROOT = Path(__file__).parent.parent
STATE = ROOT / "build" / "demo"
BATCH = 100
START_SECONDS = 20
ROWS = 60_000

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
        self.codes: Counter[str] = Counter()
        self.policies: Counter[str] = Counter()
        self.shown: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    def add(self, asked: dict[str, Any], decision: dict[str, Any]) -> None:
        """Count one decision, and keep the first of each effect to be shown whole."""
        self.effects[decision["effect"]] += 1
        self.codes.update({reason["code"] for reason in decision["reasons"]})
        self.policies.update({reason["policy"] or "the route" for reason in decision["reasons"]})
        if decision["effect"] == "allow" or decision["retry_at"]:
            self.shown.setdefault(decision["effect"], (asked, decision))


def main() -> int:
    """Run the demo; the exit code."""
    options = _options()
    console = Console()
    # A terminal ends what it started by SIGTERM or by closing; the service must not outlive the demo either way.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with _service(console) as (process, service):
            _decide_week(service, console, options.limit)
            if not options.once:
                _leave_running(process, service, console)
    except KeyboardInterrupt:
        console.print("\nstopped")
    except (RuntimeError, OSError) as error:
        console.print(f"[red]the demo could not go on:[/red] {error}", highlight=False)
        return 2
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Decide a week of real candidates through the running service.")
    parser.add_argument("--once", action="store_true", help="end when the week is decided")
    parser.add_argument("--limit", type=int, default=ROWS, help="decide only so many candidates")
    return parser.parse_args()


@contextlib.contextmanager
def _service(console: Console) -> Iterator[tuple[subprocess.Popen[bytes], Service]]:
    """The service, started on a fresh store, and stopped at the end."""
    shutil.rmtree(STATE, ignore_errors=True)
    STATE.mkdir(parents=True)
    port = _free_port(8080)
    settings = {
        "GUARDRAILS_POLICIES": str(ROOT / "policies"),
        "GUARDRAILS_DATABASE_URL": f"sqlite:///{STATE / 'guardrails.db'}",
        "GUARDRAILS_PORT": str(port),
        "GUARDRAILS_REPLAY_CLOCK": "on",
        "GUARDRAILS_LOG_LEVEL": "warning",
    }
    command = [Path(sys.executable).with_name("guardrails"), "serve"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GUARDRAILS_")}  # noqa: TID251
    with (STATE / "service.log").open("wb") as log:
        process = subprocess.Popen(command, env=inherited | settings, stdout=log, stderr=log)
    try:
        service = Service(port)
        seconds = _wait_until_ready(process, service)
        console.print(f"service answers on http://127.0.0.1:{port} after {seconds:.1f} s", highlight=False)
        yield process, service
    finally:
        process.terminate()
        process.wait(timeout=30)


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], service: Service) -> float:
    started = time.monotonic()
    while time.monotonic() - started < START_SECONDS:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError, http.client.HTTPException, RuntimeError):
            service.send("GET", "/readyz")
            return time.monotonic() - started
        service.close()
        time.sleep(0.05)
    raise RuntimeError(f"the service did not start:\n{(STATE / 'service.log').read_text()}")


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
        f"{len(recipients)} recipients, {len(before)} consent records, {len(toggles)} with sponsored content switched "
        f"off; {len(during)} withdrawals come in the course of the week",
        highlight=False,
    )
    tally = Tally()
    started = time.monotonic()
    columns = (
        TextColumn("deciding"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[day]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("deciding", total=len(week), day="")
        for batch in _batches(week, during, service):
            _decide(service, batch, tally)
            progress.update(task, advance=len(batch), day=f"{batch[-1].at:%a %d %b %H:%M}")
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


def _report(console: Console, tally: Tally, seconds: float) -> None:
    decided = tally.effects.total()
    console.print()
    for title, counts in (("effect", tally.effects), ("reason", tally.codes), ("policy that denied", tally.policies)):
        table = Table(title_justify="left", box=None, pad_edge=False, header_style="bold")
        table.add_column(title, min_width=32)
        table.add_column("candidates", justify="right")
        table.add_column("share", justify="right")
        for name, count in counts.most_common():
            table.add_row(name, f"{count:,}", f"{count / decided:.1%}")
        console.print(table)
        console.print()
    console.print("[dim]a denied candidate may have several reasons[/dim]")
    rate = f"{decided:,} candidates in {seconds:.1f} s: {decided / seconds:,.0f} a second"
    console.print(f"{rate}, each audited before it was answered\n", highlight=False)
    for effect, (asked, decision) in sorted(tally.shown.items()):
        console.print(f"[bold]one {effect}[/bold]")
        shown = json.dumps({"candidate": asked, "decision": decision}, indent=1)
        console.print(Syntax(shown, "json", background_color="default", word_wrap=True))


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
    console.print(f"\nThe service runs on: {url}/docs shows its API. Decide one candidate:\n", highlight=False)
    print(f"curl -s {url}/v1/decisions -H 'Content-Type: application/json' -d '{body}'\n")
    console.print("[dim]Ctrl-C ends it.[/dim]")
    process.wait()


if __name__ == "__main__":
    sys.exit(main())
