"""Receipts and keys on the command line and over HTTP: one story."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from contextlib import closing
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from guardrails.bootstrap import open_application
from guardrails.cli import main
from guardrails.settings import Settings
from guardrails.signing.keys import SigningKeys

GRANT = {
    "id": "consent-1",
    "recipient": "r-42",
    "purpose": "sponsored_content",
    "state": "granted",
    "method": "settings_screen",
    "at": "2026-11-20T08:30:00Z",
}
POLICIES = """\
apiVersion: guardrails/v1
policies:
  - id: nothing-by-voice
    kind: rule
    title: Nobody is called
    deny_when: {channel: voice}
    message: nobody is called
"""
CONTROLLER = {"name": "Acme Ltd", "address": "1 Main Street", "contact": "privacy@acme.example"}


def run(*arguments, stdin=None):
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working directory, with the policies in it."""
    (tmp_path / "policies.yaml").write_text(POLICIES, encoding="utf-8")
    (tmp_path / "controller.json").write_text(json.dumps(CONTROLLER), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def service(here, start):
    """A service whose files are where the commands look for them."""
    service = start(
        policies=here / "policies.yaml",
        env={
            "GUARDRAILS_STATE_DIRECTORY": "guardrails-state",
            "GUARDRAILS_CONTROLLER_FILE": "controller.json",
            "GUARDRAILS_PUBLIC_URL": "https://notify.example.org",
        },
    )
    assert service.send("POST", "/v1/consents", GRANT).status == 201
    return service


@pytest.fixture
def jwks(service, here):
    path = here / "jwks.json"
    path.write_bytes(service.send("GET", "/.well-known/jwks.json").body)
    return path


def receipt_command():
    return run("consent", "receipt", "consent-1", "--policies", "policies.yaml", "--controller-file", "controller.json")


def test_both_receipts_hold_by_the_published_keys(service, here, jwks):
    (here / "http.json").write_bytes(service.send("GET", "/v1/consents/consent-1/receipt").body)
    issued = receipt_command()
    assert issued.exit_code == 0
    (here / "cli.json").write_text(issued.stdout, encoding="utf-8")
    for name in ("http.json", "cli.json"):
        verified = run("consent", "verify", name, "--jwks", jwks)
        assert verified.exit_code == 0
        holds, consent, event = verified.stdout.splitlines()
        assert holds.startswith("holds: issued ")
        assert holds.endswith(" by Acme Ltd")
        assert consent == "consent consent-1 of r-42, sponsored_content"
        assert event == "  2026-11-20T08:30:00Z  ConsentGiven  settings_screen"


def test_the_jws_alone_is_enough_and_keys_may_be_fetched(service, jwks):
    issued = json.loads(receipt_command().stdout)
    url = f"http://127.0.0.1:{service.port}/.well-known/jwks.json"
    verified = run("consent", "verify", "-", "--jwks", url, "--json", stdin=issued["jws"] + "\n")
    assert (verified.exit_code, json.loads(verified.stdout)) == (0, {"holds": True, "receipt": issued["receipt"]})


def test_what_does_not_hold_is_a_finding(service, jwks):
    issued = receipt_command().stdout
    altered = run("consent", "verify", "-", "--jwks", jwks, stdin=issued.replace("r-42", "r-43"))
    assert (altered.exit_code, altered.stdout) == (
        1,
        "does not hold: the receipt in the file is not the one that was signed\n",
    )
    no_jws = run("consent", "verify", "-", "--jwks", jwks, "--json", stdin=b"\xff")
    assert (no_jws.exit_code, json.loads(no_jws.stdout)["holds"]) == (1, False)


def test_a_new_key_is_published_by_the_running_service_before_it_signs_with_it(service, jwks):
    before = service.send("GET", "/v1/consents/consent-1/receipt").body
    listed = json.loads(run("keys", "rotate", "--json").stdout)["keys"]
    assert [(key["use"], key["state"]) for key in listed] == [
        ("receipts", "signs"),
        ("links", "signs"),
        ("receipts", "retired"),
        ("links", "retired"),
    ]
    published = service.send("GET", "/.well-known/jwks.json").json()["keys"]
    assert [key["kid"] for key in published] == [listed[0]["kid"], listed[2]["kid"]]
    url = f"http://127.0.0.1:{service.port}/.well-known/jwks.json"
    for issued in (before, service.send("GET", "/v1/consents/consent-1/receipt").body, receipt_command().stdout):
        assert run("consent", "verify", "-", "--jwks", url, stdin=issued).exit_code == 0
    removed = run("keys", "remove", listed[2]["kid"])
    assert [line.split()[0] for line in removed.stdout.splitlines()] == [
        each["kid"] for each in listed if each is not listed[2]
    ]
    assert run("consent", "verify", "-", "--jwks", url, stdin=before).exit_code == 1


def test_no_secret_is_printed(service, here):
    secrets = [
        key.get("d") or key["k"]
        for key in json.loads((here / "guardrails-state/signing-keys.json").read_text(encoding="utf-8"))["keys"]
    ]
    printed = run("keys", "list").output + run("keys", "list", "--json").output + run("keys", "rotate").output
    assert not any(secret in printed for secret in secrets)


def test_keys_are_looked_for_where_the_service_of_the_same_variables_has_them(here, monkeypatch):
    SigningKeys.open(here / "guardrails-state" / "signing-keys.json", now=datetime(2026, 12, 1, tzinfo=UTC))
    kept = [line.split()[0] for line in run("keys", "list").stdout.splitlines()]
    (here / "guardrails-state").rename(here / "elsewhere")
    assert run("keys", "list").exit_code == 2
    monkeypatch.setenv("GUARDRAILS_STATE_DIRECTORY", "elsewhere")
    assert [line.split()[0] for line in run("keys", "list").stdout.splitlines()] == kept
    monkeypatch.setenv("GUARDRAILS_STATE_DIRECTORY", "nowhere")
    monkeypatch.setenv("GUARDRAILS_SIGNING_KEYS", "elsewhere/signing-keys.json")
    assert [line.split()[0] for line in run("keys", "list").stdout.splitlines()] == kept
    assert "nowhere/none.json" in run("keys", "rotate", "--signing-keys", "nowhere/none.json").stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("keys", "list"), "there are no signing keys at `guardrails-state/signing-keys.json`"),
        (("keys", "rotate", "--signing-keys", "x/keys.json"), "there are no signing keys at `x/keys.json`"),
        (("consent", "receipt", "c", "--database", "memory:"), "`memory:` keeps no records"),
        (("consent", "receipt", "c", "--database", "sqlite:///no.db"), "there is no database at `sqlite:///no.db`"),
        (("consent", "verify", "-", "--jwks", "jwks.json"), "jwks.json: no such file or directory"),
        (("consent", "verify", "-", "--jwks", "controller.json"), "this is no JWK set to verify by"),
        (("consent", "verify", "-", "--jwks", "http://example.org/x"), "must be https"),
        (("consent", "verify", "-", "--jwks", "ftp://localhost/x"), "must be https"),
        (("consent", "verify", "-", "--jwks", "http://127.0.0.1:1/x"), "the keys can't be fetched"),
    ],
)
def test_a_command_that_can_not_run_says_why(here, arguments, said):
    failed = run(*arguments, stdin="")
    assert failed.exit_code == 2
    assert said in failed.stderr


def test_a_receipt_needs_keys_that_the_service_has_and_a_controller_that_can_be_read(here):
    with closing(open_application(Settings(policies=here / "policies.yaml"))) as application:
        application.make_ready()
    failed = receipt_command()
    assert (failed.exit_code, failed.stdout) == (2, "")
    assert "there are no signing keys" in failed.stderr
    with closing(
        open_application(Settings(policies=here / "policies.yaml", public_url="https://example.org"))
    ) as application:
        assert application.links is not None
    (here / "controller.json").write_text("{}", encoding="utf-8")
    assert "--controller-file: `controller.json` Object missing" in receipt_command().stderr
    missing = run("consent", "receipt", "c", "--policies", "policies.yaml")
    assert (missing.exit_code, missing.stderr) == (2, "guardrails: there is no consent `c`\n")


def test_a_running_service_reads_links_that_another_has_signed_with_a_newer_key(here):
    settings = Settings(policies=here / "policies.yaml", public_url="https://example.org")
    with closing(open_application(settings)) as running:
        run("keys", "rotate")
        with closing(open_application(settings)) as started_anew:
            for maker, reader in ((started_anew, running), (running, started_anew)):
                url = maker.links.unsubscribe("r-42", ("offers",), "email", "d-1")
                assert url.startswith("https://example.org/unsubscribe/")
                assert reader.links.read_unsubscribe(url.rpartition("/")[2]).recipient == "r-42"


def test_what_signs_can_not_be_removed(here):
    open_application(Settings(policies=here / "policies.yaml", public_url="https://example.org")).close()
    kid = json.loads(run("keys", "list", "--json").stdout)["keys"][0]["kid"]
    failed = run("keys", "remove", kid)
    assert (failed.exit_code, "signs now; rotate first" in failed.stderr) == (2, True)


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    """Sends everybody elsewhere."""

    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *_):
        """Nothing to say."""


def test_keys_are_not_fetched_from_where_somebody_else_points_to(here):
    with http.server.HTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        failed = run("consent", "verify", "-", "--jwks", f"http://127.0.0.1:{server.server_port}/jwks", stdin="x")
        server.shutdown()
    assert (failed.exit_code, "HTTP Error 302" in failed.stderr) == (2, True)


def test_a_service_does_not_start_with_keys_that_others_can_read(here):
    open_application(Settings(policies=here / "policies.yaml", public_url="https://example.org")).close()
    (here / "guardrails-state/signing-keys.json").chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as taken:  # or it would start, and this would never end
        port = taken.getsockname()[1]
        failed = run("serve", "--policies", "policies.yaml", "--database", "memory:", "--port", port)
    assert failed.exit_code == 2
    assert "run `chmod 600" in failed.stderr
