"""A small payment service in a process of its own, with its own books in a file, that misbehaves when it is told to.

    with PaymentService(directory) as service:
        service.misbehave("lost_after", "slow")       # the next two requests, in this order
        service.misbehave_by_chance({"error_before": 0.2, "event_twice": 0.5}, seed=1)
        service.books()                               # {payment: (standing, amount, currency)}, as it knows them

It speaks what docs/payments.md asks for, verifies and signs by the reference implementation of Standard Webhooks, and
keeps every step in one transaction of its own, so that it survives being killed at any time. Recipients are of three
kinds, by their names: `poor...` are declined, `lapsed...` are authorised and then can't be captured, all others pay; of
`kept...` the first refund that is asked for is refused.
"""

from __future__ import annotations

import argparse
import http.client
import http.server
import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of tests
PATIENCE_SECONDS = 20.0
SLOW_SECONDS = 1.0

MOODS = (
    "slow",  # it does it, and answers late
    "lost_before",  # never does it, never answers
    "lost_after",  # does it, never answers
    "error_before",
    "error_after",
    "closed_before",
    "closed_after",
    "busy",  # 429 with Retry-After
    "nonsense",  # does it, and answers what is no answer
    "event_twice",
    "event_late",  # after those that come later
    "event_lost",
)
_TABLES = """
CREATE TABLE IF NOT EXISTS payments
    (id TEXT PRIMARY KEY, amount INTEGER, currency TEXT, standing TEXT NOT NULL, reason TEXT, recipient TEXT);
CREATE TABLE IF NOT EXISTS captures (payment TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS refusals (payment TEXT PRIMARY KEY, request TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS requests (id TEXT NOT NULL, type TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events
    (seq INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL, due REAL NOT NULL, times INTEGER NOT NULL);
"""


class PaymentService:
    """The process, as tests see it. `url` stays the same over restarts."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._books = directory / "payments.db"
        self._said = directory / "payments.said"
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/payments"

    def start(self) -> None:
        command = [sys.executable, __file__, str(self._books), str(self._port)]
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=said)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (said := self._said.read_text()).startswith("port "):
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, "the payment service did not start"
            time.sleep(0.01)
        self._port = int(said.split()[1])

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def tell_events_to(self, url: str | None) -> None:
        self._control({"events_url": url})

    def misbehave(self, *moods: str) -> None:
        """The next requests, one mood each; a mood that is none is good behaviour."""
        self._control({"next": moods})

    def misbehave_by_chance(self, chances: Mapping[str, float], *, seed: int = 0) -> None:
        self._control({"chances": chances, "seed": seed})

    def charge_back(self, payment: str) -> None:
        """Somebody's bank takes a captured payment back."""
        self._control({"charge_back": payment})

    def books(self) -> dict[str, tuple[str, int | None, str | None]]:
        rows = self._read("SELECT id, standing, amount, currency FROM payments")
        return {row[0]: tuple(row[1:]) for row in rows}

    def captures(self, payment: str) -> int:
        """How often money was taken for a payment."""
        return len(self._read("SELECT 1 FROM captures WHERE payment = ?", payment))

    def asked(self, type_: str) -> list[str]:
        """The ids of requests of a type that arrived, in order."""
        return [row[0] for row in self._read("SELECT id FROM requests WHERE type = ? ORDER BY rowid", type_)]

    def has_untold_events(self) -> bool:
        return bool(self._read("SELECT 1 FROM events LIMIT 1"))

    def _read(self, statement: str, *values: str) -> list[Any]:
        with closing(_open(str(self._books))) as books:
            return books.execute(statement, values).fetchall()

    def _control(self, value: Mapping[str, Any]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        with closing(connection):
            connection.request("POST", "/control", json.dumps(value))
            assert connection.getresponse().status == 200

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


# --- the process


def _open(path: str) -> sqlite3.Connection:
    books = sqlite3.connect(path, timeout=PATIENCE_SECONDS, isolation_level=None)
    books.execute("PRAGMA synchronous = FULL")
    return books


class _Service:
    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._next: list[str] = []
        self._chances: dict[str, float] = {}
        self._chance = random.Random(0)
        self.events_url: str | None = None
        with closing(_open(path)) as books:
            books.execute("PRAGMA journal_mode = WAL")
            books.executescript(_TABLES)
        threading.Thread(target=self._tell, daemon=True).start()

    def control(self, value: Mapping[str, Any]) -> None:
        with self._lock:
            if "events_url" in value:
                self.events_url = value["events_url"]
            self._next += value.get("next", ())
            if "chances" in value:
                self._chances = value["chances"]
                self._chance = random.Random(value["seed"])
        if "charge_back" in value:
            with closing(_open(self._path)) as books:
                books.execute("BEGIN IMMEDIATE")
                self._move(books, value["charge_back"], "charged_back", None, {"captured"}, set())
                books.execute("COMMIT")

    def moods(self) -> set[str]:
        with self._lock:
            drawn = {mood for mood, share in self._chances.items() if self._chance.random() < share}
            return {self._next.pop(0)} if self._next else drawn

    def serve(self, id_: str, request: Mapping[str, Any], moods: set[str]) -> Any:
        kind = request["type"].removeprefix("payment.")
        with closing(_open(self._path)) as books:
            books.execute("BEGIN IMMEDIATE")
            try:
                books.execute("INSERT INTO requests VALUES (?, ?)", (id_, request["type"]))
                answer = (
                    self._list(books, request["data"])
                    if kind == "list"
                    else self._step(books, kind, id_, request["data"], moods)
                )
            except BaseException:
                books.execute("ROLLBACK")
                raise
            books.execute("COMMIT")
        return answer

    def _step(
        self, books: sqlite3.Connection, kind: str, request: str, data: Mapping[str, Any], moods: set[str]
    ) -> Any:
        id_ = data["payment"]
        if kind == "authorise":
            books.execute(
                "INSERT INTO payments VALUES (?, ?, ?, 'none', NULL, ?) ON CONFLICT DO NOTHING",
                (id_, data["amount_minor"], data["currency"], data["recipient"]),
            )
            if data["recipient"].startswith("poor"):
                self._move(books, id_, "declined", "payment.insufficient_funds", {"none"}, moods)
            else:
                self._move(books, id_, "authorised", None, {"none"}, moods)
        elif kind == "capture":
            if data["recipient"].startswith("lapsed"):
                books.execute("UPDATE payments SET reason = 'payment.lapsed' WHERE standing = 'authorised'")
            elif self._move(books, id_, "captured", None, {"authorised"}, moods):
                books.execute("INSERT INTO captures VALUES (?, ?)", (id_, time.time()))  # noqa: TID251 - its own clock
        elif kind == "void":
            books.execute(
                "INSERT INTO payments VALUES (?, ?, ?, 'none', NULL, ?) ON CONFLICT DO NOTHING",
                (id_, data["amount_minor"], data["currency"], data["recipient"]),
            )  # what arrives later finds it voided
            self._move(books, id_, "voided", None, {"none", "authorised"}, moods)
        elif kind == "refund" and data["recipient"].startswith("kept") and self._refuses(books, id_, request):
            books.execute("UPDATE payments SET reason = 'payment.refund_refused' WHERE id = ?", (id_,))
        elif kind == "refund":
            self._move(books, id_, "refunded", None, {"captured"}, moods)
        found = books.execute("SELECT * FROM payments WHERE id = ?", (id_,)).fetchone()
        return {"payment": id_, "standing": "none"} if found is None else _said(found)

    def _refuses(self, books: sqlite3.Connection, id_: str, request: str) -> bool:
        """Whether this refund is the first that is asked for, told by the id of the request."""
        books.execute("INSERT INTO refusals VALUES (?, ?) ON CONFLICT DO NOTHING", (id_, request))
        ((refused,),) = books.execute("SELECT request FROM refusals WHERE payment = ?", (id_,))
        return bool(refused == request)

    def _move(
        self,
        books: sqlite3.Connection,
        id_: str,
        to: str,
        reason: str | None,
        since: set[str],
        moods: set[str],
    ) -> bool:
        found = books.execute("SELECT * FROM payments WHERE id = ?", (id_,)).fetchone()
        if found is None or found[3] not in since:
            return False
        books.execute("UPDATE payments SET standing = ?, reason = ? WHERE id = ?", (to, reason, id_))
        if "event_lost" not in moods:
            data = {key: value for key, value in _said((*found[:3], to, reason)).items() if key != "standing"}
            body = {"type": f"payment.{to}", "timestamp": _now().isoformat(), "data": data}
            due = time.time() + (0.5 if "event_late" in moods else 0.0)  # noqa: TID251 - its own clock
            times = 2 if "event_twice" in moods else 1
            books.execute("INSERT INTO events (body, due, times) VALUES (?, ?, ?)", (json.dumps(body), due, times))
        return True

    def _list(self, books: sqlite3.Connection, data: Mapping[str, Any]) -> Any:
        rows = books.execute(
            "SELECT * FROM payments WHERE id > ? ORDER BY id LIMIT ?", (data["after"] or "", data["most"])
        ).fetchall()
        return {
            "payments": [_said(row) for row in rows],
            "next_after": rows[-1][0] if len(rows) == data["most"] else None,
        }

    def _tell(self) -> None:
        """Tell events until each was answered with 2xx, so many times."""
        while True:
            time.sleep(0.02)
            url = self.events_url
            if url is None:
                continue
            with closing(_open(self._path)) as books, suppress(sqlite3.Error):  # told again
                now = time.time()  # noqa: TID251 - its own clock
                rows = books.execute("SELECT seq, body, times FROM events WHERE due <= ?", (now,)).fetchall()
                for seq, body, times in rows:
                    with suppress(OSError, http.client.HTTPException):
                        if 200 <= _post(url, f"evt_{seq}", body) < 300:
                            if times == 1:
                                books.execute("DELETE FROM events WHERE seq = ?", (seq,))
                            else:
                                books.execute("UPDATE events SET times = times - 1 WHERE seq = ?", (seq,))


def _said(row: Sequence[Any]) -> dict[str, Any]:
    return {
        "payment": row[0],
        "amount_minor": row[1],
        "currency": row[2],
        "standing": row[3],
        "reason": row[4],
        "reference": f"ref-{row[0]}",
    }


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - its own clock


def _post(url: str, id_: str, body: str) -> int:
    to = urlsplit(url)
    now = _now().replace(microsecond=0)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(id_, now, body),
    }
    connection = http.client.HTTPConnection(to.hostname or "", to.port, timeout=5)
    with closing(connection):
        connection.request("POST", to.path, body, headers)
        return connection.getresponse().status


class _Handler(http.server.BaseHTTPRequestHandler):
    service: _Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/control":
            self.service.control(json.loads(body))
            self._answer(200, {})
            return
        try:
            request = Webhook(SECRET).verify(body, dict(self.headers))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it
            self._answer(401, {"detail": str(error)})
            return
        self._serve(request, self.service.moods())

    def _serve(self, request: Mapping[str, Any], moods: set[str]) -> None:
        if "lost_before" in moods:
            time.sleep(60)
            return
        if "closed_before" in moods:
            return
        if "error_before" in moods:
            self._answer(500, {})
            return
        if "busy" in moods:
            self._answer(429, {}, ("Retry-After", "1"))
            return
        answer = self.service.serve(self.headers["webhook-id"], request, moods)
        if "slow" in moods:
            time.sleep(SLOW_SECONDS)
        if "lost_after" in moods:
            time.sleep(60)
        elif "error_after" in moods:
            self._answer(500, {})
        elif "nonsense" in moods:
            self._answer(200, {"ok": True})
        elif "closed_after" not in moods:
            self._answer(200, answer)

    def _answer(self, status: int, value: Any, *headers: tuple[str, str]) -> None:
        data = json.dumps(value).encode()
        with suppress(OSError):  # whoever asked may be gone
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            for name, said in headers:
                self.send_header(name, said)
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def main() -> None:
    """Serve until killed."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("books")
    arguments.add_argument("port", type=int)
    given = arguments.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    handler = type("Handler", (_Handler,), {"service": _Service(given.books)})
    server = _Server(("127.0.0.1", given.port), handler)
    sys.stdout.write(f"port {server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
