"""The HTTP service in this process: the shipped policies, stores in memory, Flask's own client."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from guardrails.audit.spool import FileSpool
from guardrails.bootstrap import Outside, build_application, compiler, open_application, utc_now
from guardrails.decide.active_policies import ActivePolicies
from guardrails.policyfile.loader import load_policies
from guardrails.settings import Settings
from guardrails.signing import Links, SigningKeys
from guardrails.stores import open_stores
from guardrails.web import create_app
from guardrails.web.gauges import gauges_of
from guardrails.web.metrics import Metrics

ONE_POLICY = """
apiVersion: guardrails/v1
policies:
  - id: nothing-by-voice
    kind: rule
    title: Nobody is called
    owner: growth
    deny_when: {channel: voice}
    message: nobody is called
"""

POLICIES = Path(__file__).parents[3] / "policies"


@pytest.fixture
def log_lines():
    """What the service logs, in place of standard error."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture(scope="session")
def compiled():
    """The shipped policies, compiled once for all tests."""
    return compiler("native")(load_policies(POLICIES))


@pytest.fixture
def make_client(tmp_path, log_lines, compiled):
    """A client of a service with its own settings; the stores are in memory unless said otherwise."""
    opened = []

    def make(**given):
        settings = Settings(**({"database_url": "memory:", "state_directory": tmp_path} | given))
        application = build_application(
            ActivePolicies(None, compiled.policy_set, compile_set=lambda _: compiled, clock=utc_now),
            transactor=open_stores(settings.database_url),
            spool=FileSpool(settings.state_directory / "spool.jsonl"),
            clock=utc_now,
            outside=_outside(settings),
        )
        opened.append(application)
        application.make_ready()
        return _client(application, settings)

    yield make
    for application in opened:
        application.close()


def _outside(settings):
    """As `bootstrap` has it, with keys that go with the test."""
    keys = SigningKeys.generate(utc_now())
    links = None if settings.public_url is None else Links(settings.public_url, keys.link_secret)
    return Outside(keys=lambda: keys, links=links, controller=settings.controller)


@pytest.fixture
def watched(tmp_path, log_lines):
    """An application on policy files of its own, which a test may edit, and its client."""
    policies = tmp_path / "policies.yaml"
    policies.write_text(ONE_POLICY, encoding="utf-8")
    settings = Settings(policies=policies, database_url="memory:", state_directory=tmp_path, engine="native")
    application = open_application(settings)
    yield application, _client(application, settings), policies
    application.close()


def _client(application, settings):
    client = create_app(application, settings, Metrics(gauges_of(application))).test_client()
    client.environ_base["HTTP_HOST"] = "127.0.0.1:8080"
    return client


@pytest.fixture
def client(make_client):
    return make_client(replay_clock=True)
