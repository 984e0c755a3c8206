"""Requests as they come over the wire, hostile ones included: through a real server, byte by byte where it matters."""

from __future__ import annotations

import json
import socket

import pytest

from service import CANDIDATE


def wire(service, data, *, hang_up=False):
    """Everything that comes back for these bytes; `hang_up` where the server would wait for more of them."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(data)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65_536):
            received += part
    return received


def post(path, body, *, length=None, extra=b""):
    declared = len(body) if length is None else length
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {declared}\r\n"
    )
    return head.encode() + extra + b"\r\n" + body


def test_a_candidate_is_decided_reported_and_read_back(service):
    candidate = CANDIDATE | {"id": "wire-1"}
    decision = service.send("POST", "/v1/decisions", candidate).json()
    decision_id = decision["decision_id"]
    assert decision["effect"] == "allow"
    outcome = service.send("POST", f"/v1/decisions/{decision_id}/outcome", {"outcome": "delivered"})
    assert outcome.json() == {"decision_id": decision_id, "state": "delivered"}
    record = service.send("GET", f"/v1/decisions/{decision_id}").json()
    assert (record["decision"], record["state"]) == (decision, "delivered")


def test_consent_opens_the_way_and_its_withdrawal_closes_it(service):
    sponsored = {
        "lane": "monetized",
        "channel": "in_app",
        "recipient": {"id": "wire-r", "timezone": "Europe/Berlin", "country": "DE", "age": 40},
        "content": {"class": "sponsored", "topic": "upgrade", "disclosure": "Sponsored by Acme Air", "steps": 2},
        "sponsor": {"id": "acme-air"},
        "campaign": {"id": "cmp-1"},
    }
    consent = {"recipient": "wire-r", "purpose": "sponsored_content", "method": "banner"}

    def codes(candidate_id):
        decision = service.send("POST", "/v1/explain", sponsored | {"id": candidate_id}).json()["decision"]
        return {reason["code"] for reason in decision["reasons"]}

    assert "consent.missing" in codes("wire-2")
    assert service.send("POST", "/v1/consents", consent | {"state": "granted"}).status == 201
    assert not {code for code in codes("wire-3") if code.startswith("consent.")}
    assert service.send("POST", "/v1/consents", consent | {"state": "withdrawn"}).status == 201
    assert "consent.withdrawn" in codes("wire-4")


def test_many_requests_share_one_connection(service):
    connection = service.connect()
    for number in range(20):
        connection.request("GET", f"/v1/recipients/wire-{number}/preferences")
        answer = connection.getresponse()
        assert (answer.status, b"toggles" in answer.read()) == (200, True)
    connection.close()


def get(target, *, method="GET", host=b"localhost"):
    return f"{method} {target} HTTP/1.1\r\nConnection: close\r\nHost: ".encode() + host + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (post("/v1/decisions", b"{}"), 422),
        (post("/v1/decisions", b"\x00\xff\x00"), 400),
        (post("/v1/decisions", b"[" * 100_000), 400),
        (post("/v1/decisions", b"", length=10**12), 413),
        (post("/v1/decisions", b" " * 300_000), 413),
        (post("/v1/decisions", b"{}", extra=b"X-Request-Id: a\x7fb\r\n"), 400),
        (post("/v1/decisions", b"{}", extra=b"Authorization: Bearer \xff\xfe\r\n"), 422),
        (post("/v1/decisions", b"{}", extra=b"Content-Length: 1\r\n"), 400),
        (post("/v1/recipients/%00%ff/preferences", b"{}"), 400),
        (post("/v1/" + "x" * 5000, b"{}"), 404),
        (get("/v1/policies", host=b"evil.example"), 421),
        (get("/v1/policies", host=b"\xff"), 421),
        (get("/v1/recipients/%E2%82/consents"), 400),
        (get("/v1/recipients/%00/consents"), 404),
        (get("/v1/policies", method="OPTIONS"), 200),
        (get("/v1/policies", method="TRACE"), 405),
        (get("*", method="OPTIONS"), 404),
        (b"NONSENSE\r\n\r\n", 400),
    ],
    ids=[
        "empty", "binary", "deep", "huge-declared", "large", "control-character", "high-bytes", "two-lengths", "nul-id",
        "long-path", "other-host", "broken-host", "broken-utf8", "nul", "options", "trace", "asterisk", "nonsense",
    ],
)  # fmt: skip
def test_no_request_brings_it_down_or_shows_its_inside(service, request_bytes, status):
    received = wire(service, request_bytes)
    assert received.partition(b"\r\n")[0].split(b" ")[:2] == [b"HTTP/1.1", str(status).encode()]
    assert b"Traceback" not in received
    assert b"<html" not in received
    assert service.send("GET", "/livez").status == 200


@pytest.mark.parametrize(
    "data", [b"", b"\x16\x03\x01\x02\x00\x01\x00", b"GET /livez HT"], ids=["nothing", "tls", "cut"]
)
def test_what_is_no_request_is_let_go(service, data):
    assert b"Traceback" not in wire(service, data, hang_up=True)
    assert service.send("GET", "/livez").status == 200


def test_a_chunked_body_is_taken(service):
    body = json.dumps(CANDIDATE | {"id": "wire-9"}).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:50], body[50:])) + b"0\r\n\r\n"
    head = (
        b"POST /v1/decisions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    received = wire(service, head + chunks)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b'"candidate_id":"wire-9"' in received


def test_a_client_that_goes_away_in_the_middle_harms_nobody(service):
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(post("/v1/decisions", b'{"id": "wire-10"', length=200))
    assert service.send("POST", "/v1/decisions", CANDIDATE | {"id": "wire-11"}).status == 200
