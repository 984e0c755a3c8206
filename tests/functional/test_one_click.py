"""One-click unsubscribe over the wire, byte by byte as a mailbox provider sends it (RFC 8058), to a real service."""

from __future__ import annotations

import socket

import pytest

from service import PATIENCE_SECONDS, Service

POLICIES = """\
apiVersion: guardrails/v1
purposes:
  - {id: offers, title: Offers, benefit: Lower prices}
policies:
  - {id: opted-in, kind: consent_required, applies_to: {lane: monetized}, purpose: offers}
"""
PUBLIC_URL = "https://notify.example.org"
URL_ENCODED = b"List-Unsubscribe=One-Click"
MULTIPART = b'--c0ffee\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--c0ffee--\r\n'
EXCHANGES = {
    "url-encoded": (
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 26\r\n",
        URL_ENCODED,
    ),
    "multipart": (
        b"Content-Type: multipart/form-data; boundary=c0ffee\r\nContent-Length: %d\r\n" % len(MULTIPART),
        MULTIPART,
    ),
    "chunked": (
        b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n",
        b"10\r\nList-Unsubscribe\r\na\r\n=One-Click\r\n0\r\n\r\n",
    ),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    directory = tmp_path_factory.mktemp("one-click")
    policies = directory / "policies.yaml"
    policies.write_text(POLICIES, encoding="utf-8")
    service = Service(directory, policies=policies, env={"GUARDRAILS_PUBLIC_URL": PUBLIC_URL})
    yield service
    service.stop()


def decide(service, recipient, candidate_id):
    candidate = {
        "id": candidate_id,
        "lane": "monetized",
        "channel": "email",
        "recipient": {"id": recipient},
        "content": {"class": "sponsored"},
    }
    return service.send("POST", "/v1/decisions", candidate).json()


def exchange(service, request: bytes) -> tuple[bytes, bytes]:
    """What comes back for the bytes of one request: head and body."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize("form", EXCHANGES)
def test_a_mailbox_provider_unsubscribes_with_nothing_but_the_link(service, form):
    recipient = f"r-{form}"
    grant = {"recipient": recipient, "purpose": "offers", "state": "granted", "method": "form"}
    assert service.send("POST", "/v1/consents", grant).status == 201
    allowed = decide(service, recipient, f"{form}-1")
    headers = allowed["obligations"][-1]["values"]
    assert headers["List-Unsubscribe-Post"].encode() == URL_ENCODED
    path = headers["List-Unsubscribe"].removeprefix(f"<{PUBLIC_URL}").removesuffix(">")
    said, body = EXCHANGES[form]
    # Under the public name, though the service has no keys and answers its own API to loopback names only.
    request = b"POST %s HTTP/1.1\r\nHost: notify.example.org\r\nConnection: close\r\n%s\r\n%s" % (
        path.encode(),
        said,
        body,
    )
    for _ in range(2):
        head, _ = exchange(service, request)
        assert head.split(b"\r\n")[0] == b"HTTP/1.1 200 OK"
        assert b"set-cookie" not in head.lower()
        assert b"location" not in head.lower()
    assert decide(service, recipient, f"{form}-2")["reasons"][0]["code"] == "consent.withdrawn"
    history = service.send("GET", f"/v1/recipients/{recipient}/consents").json()["consents"]
    assert [(record["state"], record["method"]) for record in history] == [
        ("granted", "form"),
        ("withdrawn", "one_click"),
    ]
    assert history[-1]["evidence"] == {"decision": allowed["decision_id"]}


def test_the_api_itself_is_still_not_reached_under_that_name(service):
    request = b"GET /v1/policies HTTP/1.1\r\nHost: notify.example.org\r\nConnection: close\r\n\r\n"
    assert exchange(service, request)[0].startswith(b"HTTP/1.1 421")


def test_the_page_and_its_style_are_reached_under_it(service):
    grant = {"recipient": "r-page", "purpose": "offers", "state": "granted", "method": "form"}
    service.send("POST", "/v1/consents", grant)
    allowed = decide(service, "r-page", "page-1")
    path = allowed["obligations"][-1]["values"]["List-Unsubscribe"].removeprefix(f"<{PUBLIC_URL}").removesuffix(">")
    for each in (path, "/page.css"):
        head, _ = exchange(
            service, b"GET %s HTTP/1.1\r\nHost: notify.example.org\r\nConnection: close\r\n\r\n" % each.encode()
        )
        assert head.startswith(b"HTTP/1.1 200")
