"""Whoever comes at the same time with one token, or with one step: one has it, and everyone is answered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import conversion_worker
from conversions import FREE, NOON, conversions_over, token_by
from guardrails.decide.entry import decode_entry
from guardrails.signing import SigningKeys, Tokens
from stores import open_stores, run, sqlite_url

WORKER = Path(conversion_worker.__file__)
PROCESSES = THREADS = 8
ALL = PROCESSES * THREADS


class Load:
    """Clients in other processes, or in threads of this one where the stores are in memory."""

    def __init__(self, ask) -> None:
        self._ask = ask

    def __call__(self, **what) -> Counter[str]:
        """What all were told who did this together."""
        return Counter(self._ask(what))


@contextmanager
def in_processes(url: str, keys: Path) -> Iterator[Load]:
    told = {"url": url, "keys": str(keys), "threads": THREADS}
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, WORKER, json.dumps(told)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(PROCESSES)
        ]
        assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * PROCESSES

        def ask(what):
            for worker in workers:
                worker.stdin.write(json.dumps(what) + "\n")
                worker.stdin.flush()
            return [each for worker in workers for each in json.loads(worker.stdout.readline())]

        yield Load(ask)
        for worker in workers:
            worker.stdin.close()


def in_threads(transactor, keys: SigningKeys) -> Load:
    conversions = conversion_worker.service(transactor, keys)
    return Load(lambda what: conversion_worker.outcomes(conversion_worker.action(conversions, what), ALL))


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def load(request, tmp_path):
    """The load, its keys, and the stores it works on."""
    path = tmp_path / "keys.json"
    keys = SigningKeys.open(path, now=NOON)
    if request.param == "memory":
        transactor = open_stores("memory:")
        conversions_over(transactor)
        yield in_threads(transactor, keys), Tokens(keys), transactor
    else:
        is_sqlite = request.param == "sqlite"
        url = sqlite_url(tmp_path / "g.db") if is_sqlite else request.getfixturevalue("postgres_url")
        transactor = open_stores(url)
        conversions_over(transactor)
        with in_processes(url, path) as clients:
            yield clients, Tokens(keys), transactor
    transactor.close()


def events(transactor) -> Counter[str]:
    entries = run(transactor, lambda session: list(session.audit.read(0, 1000)))
    return Counter(decode_entry(entry).event for _, entry in entries)


def test_of_all_who_come_together_one_has_it_and_everyone_is_answered(load):
    clients, tokens, transactor = load
    tabs = clients(token=token_by(tokens, "d-1", FREE))
    assert tabs == {"new": 1, "conversion.second_tab": ALL - 1}
    retries = clients(token=token_by(tokens, "d-2", FREE), id="mine")
    assert retries == {"new": 1, "again": ALL - 1}
    assert clients(id="mine", step="view", number=1) == {"new": 1, "again": ALL - 1}
    assert clients(id="mine", step="confirm") == {"new": 1, "again": ALL - 1}
    assert clients(id="mine", step="view") == {"conversion.too_many_steps": ALL}
    assert clients(token=token_by(tokens, "d-2", FREE)) == {"conversion.second_tab": ALL}
    assert events(transactor) == {"conversion.opened": 2, "conversion.step": 2}
