"""What a command works on: the application, over a database or over nothing but the policies, or the records alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection

from guardrails.bootstrap import Application, compiler, in_memory_application, open_application
from guardrails.decide.ports import Transactor
from guardrails.errors import SettingsError
from guardrails.policyfile.loader import load_policies
from guardrails.settings import EngineName, Settings
from guardrails.stores import migrate, open_stores, refuse_to_migrate

__all__ = ["opened", "opened_records", "require_records"]

_SQLITE = "sqlite:///"


@contextmanager
def opened(
    *,
    policies: Path,
    database: str | None,
    caps: str | None,
    engine: EngineName,
    on_old_schema: Callable[[Connection], None] = migrate,
) -> Iterator[Application]:
    """The application, closed afterwards; without a database it knows of no consent and no earlier send.

    `caps` is the URL of the Redis or Valkey that the caps live in, None where they live in the database. Whoever only
    reads says `refuse_to_migrate` for `on_old_schema`. Offers are taken to be payable: how the service takes payments
    is not known here. Raises PolicyError where the policies don't load, SettingsError or DependencyError where the
    stores don't open.
    """
    if database is None:
        policy_set = load_policies(policies)
        application = in_memory_application(policy_set, compiled=compiler(engine)(policy_set))
    else:
        _require_database(database)
        settings = Settings(policies=policies, database_url=database, caps_url=caps, engine=engine)
        application = open_application(settings, on_old_schema=on_old_schema, unpayable=frozenset())
    try:
        application.make_ready()
        yield application
    finally:
        application.close()


@contextmanager
def opened_records(
    url: str, *, on_old_schema: Callable[[Connection], None] = refuse_to_migrate
) -> Iterator[Transactor]:
    """The records that a service keeps there, closed afterwards; whoever writes says `migrate` for `on_old_schema`.

    Raises SettingsError where there can be none, DependencyError where they don't open.
    """
    require_records(url)
    with closing(open_stores(url, on_old_schema=on_old_schema)) as transactor:
        yield transactor


def require_records(url: str) -> None:
    """Refuse to look for records where there can be none. Raises SettingsError."""
    if url == "memory:":
        raise SettingsError("`memory:` keeps no records; name the database that a service records in")
    _require_database(url)


def _require_database(url: str) -> None:
    """Refuse to make a new, empty database where one was named that isn't there. Raises SettingsError."""
    if url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).is_file():
        raise SettingsError(f"there is no database at `{url}`; `guardrails serve` makes one")
