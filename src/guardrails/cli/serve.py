"""`guardrails serve`: the HTTP service, served by Granian until it is told to stop.

This process checks that the service can start, then looks after the workers; each worker is a fresh process that
opens the application for itself. The worker is loaded by name, as every WSGI server loads its application: `cli` and
`web` are side by side and don't know each other.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import http.client
import multiprocessing
import multiprocessing.util
import os
import pkgutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
import structlog
from granian.constants import Interfaces
from granian.log import LogLevels
from sqlalchemy import Connection

from guardrails.bootstrap import MIGRATION_SECONDS, Application, open_application
from guardrails.caps.moving import Filled
from guardrails.cli import exit_codes
from guardrails.cli.documented import Documented
from guardrails.cli.service_options import service_options
from guardrails.cli.workers import Workers
from guardrails.decide.ports import PATIENCE_SECONDS
from guardrails.errors import DependencyError, SettingsError, UnansweredError
from guardrails.settings import CAPS_IN_DATABASE, Settings, read_controller, read_keys, read_webhook_secrets
from guardrails.stores import migrate, take_caps_back

__all__ = ["serve"]

WORKER = "guardrails.web.worker:Worker"
CONFIGURE_LOGS = "guardrails.web.logs:configure_logs"
SERVER_LOG = "guardrails.web.logs:server_log_config"

CONNECTIONS_MOST = 1024
"""Connections that a worker holds at once; more wait in the backlog, which is the backpressure a caller feels."""

STOP_SECONDS = 30
"""How long a worker may take to finish what is in flight before it is killed."""

START_SECONDS = 1.0
"""How long a starting service waits for its database."""

LOOK_SECONDS = 0.02
"""How often a starting service is asked whether it answers."""

TELL_AGAIN_SECONDS = 0.3
"""How soon a worker that has not stopped yet is told to stop once more."""

Wsgi = Callable[..., Any]
File = TypeVar("File")


@click.command(
    cls=Documented,
    examples=(
        "guardrails serve",
        "guardrails serve --policies policies --database sqlite:////var/lib/guardrails.db",
        "GUARDRAILS_KEYS_FILE=keys.jsonl guardrails serve --host 0.0.0.0 --workers 2",
    ),
    exits={0: "it was stopped", 1: "a worker failed", 2: "it could not start"},
)
@service_options
def serve(
    *,
    keys_file: Path | None,
    controller_file: Path | None,
    payments_secret_file: Path | None,
    **flags: Any,  # noqa: ANN401 - one for each option, typed by click
) -> int:
    """Serve decisions over HTTP.

    Everything can also be set by a variable, such as GUARDRAILS_PORT, GUARDRAILS_DATABASE_URL or GUARDRAILS_KEYS_FILE;
    an option wins; docs/operations.md lists them. SIGTERM and Ctrl-C finish what is in flight. A saved policy file is
    live within a second; one that does not load leaves the last good set deciding.
    """
    settings = Settings.load(
        os.environ,  # noqa: TID251 - handed to the one reader
        keys=_read_file("--keys-file", keys_file, read_keys),
        controller=_read_file("--controller-file", controller_file, read_controller),
        payments_secrets=_read_file("--payments-secret-file", payments_secret_file, read_webhook_secrets),
        **flags,
    )
    _make_ready(settings)
    settings = _with_free_port(settings)
    # A fork copies whatever lock another thread holds just then, an import's included, and nobody ever lets go of it.
    multiprocessing.set_start_method("spawn", force=True)
    with _counted_together(settings):
        server = _server(settings)
        server.on_startup(lambda: _attend_in_background(server, settings))
        server.serve(target_loader=functools.partial(_load_worker, settings), wrap_loader=False)
    return exit_codes.FINE


def _make_ready(settings: Settings) -> None:
    """Whatever keeps the service from starting is said here, in one line, and not by a worker.

    A database that is down, hangs or is held by others keeps nobody from starting: transactional content goes on
    meanwhile. But a SQLite file that can't be opened is no outage, and stays so.
    """
    try:
        settings.state_directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=settings.state_directory).close()
    except OSError as error:
        raise SettingsError(f"can't write to the state directory `{settings.state_directory}`: {_why(error)}") from None
    is_migrating = threading.Event()

    def migrate_and_tell(connection: Connection) -> None:
        is_migrating.set()
        migrate(connection)

    application = open_application(settings, on_old_schema=migrate_and_tell)
    with contextlib.ExitStack() as closing:
        closing.callback(application.close)
        try:
            application.signing_keys()
            # The caps can only be taken back now: that is worth more patience.
            patience = PATIENCE_SECONDS if settings.caps_url == CAPS_IN_DATABASE else START_SECONDS
            _reach(application, is_migrating, timeout_seconds=patience)
            _tell(take_caps_back(settings), settings)
            application.make_ready()
            _tell(application.fill_caps(timeout_seconds=START_SECONDS), settings)
        except DependencyError as error:
            if not isinstance(error, UnansweredError) and not settings.database_url.startswith("postgres"):
                raise
            click.echo(f"guardrails: {error}; it is served without until that is over", err=True)
            left_behind = closing.pop_all()  # it waits for whoever it asked last: nobody has to wait for that
            threading.Thread(target=left_behind.close, name="close", daemon=True).start()


def _reach(application: Application, is_migrating: threading.Event, *, timeout_seconds: float) -> None:
    """Reach the database, in time but for a migration, which may take its own. Raises DependencyError."""
    try:
        application.reach(timeout_seconds=timeout_seconds)
    except UnansweredError:
        if not is_migrating.is_set():
            raise
        application.reach(timeout_seconds=MIGRATION_SECONDS)


def _tell(filled: Filled | None, settings: Settings) -> None:
    """Log that the caps were filled, as a worker would."""
    if filled is not None:
        pkgutil.resolve_name(CONFIGURE_LOGS)(settings.log_level)
        structlog.get_logger().info("caps.filled", **filled._asdict())


def _read_file(option: str, path: Path | None, read: Callable[[Path], File]) -> File | None:
    if path is None:
        return None
    try:
        return read(path)
    except ValueError as error:
        raise SettingsError(f"{option}: `{path}` {error}") from None


def _with_free_port(settings: Settings) -> Settings:
    """The settings with the port that will be used. Raises SettingsError where it can't be.

    Granian's workers share their port, so a second service would silently join the first if nobody looked.
    """
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, settings.port))
        except OSError as error:
            raise SettingsError(f"can't listen on `{host}` port {settings.port}: {_why(error)}") from None
        return msgspec.structs.replace(settings, host=host, port=probe.getsockname()[1])


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program does; choose another with --port"
    return (error.strerror or str(error)).lower()


@contextlib.contextmanager
def _counted_together(settings: Settings) -> Iterator[None]:
    """Where several workers serve, a directory in which they count together; prometheus-client asks for a variable."""
    if settings.workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="guardrails-metrics-") as directory:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory  # noqa: TID251 - written, for the library, never read here
        yield


def _server(settings: Settings) -> Workers:
    return Workers(
        WORKER,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=settings.threads,
        backpressure=CONNECTIONS_MOST,
        websockets=False,
        respawn_interval=0.1,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.warning,
        log_dictconfig=pkgutil.resolve_name(SERVER_LOG)(),
    )


def _load_worker(settings: Settings) -> Wsgi:
    """In the worker's process: its WSGI application. What it holds is closed when the process ends."""
    worker = pkgutil.resolve_name(WORKER)(settings)
    multiprocessing.util.Finalize(None, worker.close, exitpriority=100)
    application: Wsgi = worker.app
    return application


def _attend_in_background(server: Workers, settings: Settings) -> None:
    threading.Thread(target=_attend, args=(server, settings), name="attend", daemon=True).start()


def _attend(server: Workers, settings: Settings) -> None:
    """Say where the service is, and when it is told to stop, see to it that every worker hears it."""
    _announce(server, settings)
    while True:
        # A signal that comes while a worker starts, or just as its main thread falls asleep, is lost on it: it would
        # serve on until it is killed. One that has heard it already takes no notice of the next.
        time.sleep(TELL_AGAIN_SECONDS)
        for worker in tuple(server.wrks) if server.interrupt_signal else ():
            worker.terminate()  # type: ignore[no-untyped-call]


def _announce(server: Workers, settings: Settings) -> None:
    """Say where the service is, once it answers and not before."""
    while not _answers(settings):
        if server.interrupt_signal:
            return
        time.sleep(LOOK_SECONDS)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    note = " · no keys are configured, so only this machine can reach it" if settings.is_open else ""
    clock = " · the replay clock is on" if settings.replay_clock else ""
    address = f"http://{host}:{settings.port}"
    click.echo(f"guardrails listens on {address} · docs at {address}/docs{note}{clock}")


def _answers(settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - asked, not bound
    connection = http.client.HTTPConnection(host, settings.port, timeout=1)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
