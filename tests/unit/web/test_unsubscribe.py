"""One-click unsubscribe as a mailbox does it (RFC 8058), as a scanner and a person follow it, and as it is forged."""

from __future__ import annotations

import hashlib
import re

import pytest

from guardrails.settings import Key

NOW = "2026-03-10T12:00:00Z"
LATER = "2036-03-10T12:00:00Z"
AT = {"Replay-At": NOW}
GRANT = {"id": "k-1", "recipient": "r-1", "purpose": "sponsored_content", "state": "granted", "method": "banner"}
EMAIL = {
    "id": "c-1",
    "lane": "monetized",
    "channel": "email",
    "recipient": {"id": "r-1", "timezone": "Europe/Berlin", "age": 40},
    "campaign": {"id": "spring"},
    "content": {"class": "sponsored", "disclosure": "Sponsored by Acme Air", "steps": 2},
}
BODY = "List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"
MULTIPART = (
    b'--b1\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b1--\r\n',
    "multipart/form-data; boundary=b1",
)


class Mailbox:
    """A client of the service, the link of an e-mail that it allowed, and what is recorded of its reader."""

    def __init__(self, client) -> None:
        self.client = client
        client.post("/v1/consents", json=GRANT, headers=AT)
        self.answer = self.decide("c-1")
        self.values = self.answer["obligations"][-1]["values"]
        self.path = self.values["List-Unsubscribe"].removeprefix("<https://notify.example.org").removesuffix(">")

    def decide(self, candidate_id, **headers):
        return self.client.post("/v1/decisions", json=EMAIL | {"id": candidate_id}, headers=AT | headers).get_json()

    def refusals(self, candidate_id):
        """Why the consent stands in the way of another e-mail, if it does."""
        codes = [reason["code"] for reason in self.decide(candidate_id)["reasons"]]
        return [code for code in codes if code.startswith("consent.")]

    def post(self, body=BODY, content_type=FORM, *, path=None, **headers):
        return self.client.post(
            path or self.path, data=body, content_type=content_type, headers={"Replay-At": NOW} | headers
        )

    def records(self):
        return self.client.get("/v1/recipients/r-1/consents").get_json()["consents"]


@pytest.fixture
def mailbox(make_client):
    return Mailbox(make_client(replay_clock=True, public_url="https://notify.example.org"))


def test_the_headers_of_the_answer_are_those_of_the_rfc(mailbox):
    assert mailbox.answer["effect"] == "allow"
    assert mailbox.values["List-Unsubscribe-Post"] == BODY
    assert re.fullmatch(r"<https://notify\.example\.org/unsubscribe/[\w.-]+>", mailbox.values["List-Unsubscribe"])


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (BODY, FORM),
        (BODY, FORM + "; charset=UTF-8"),
        (BODY + "\r\n", FORM),
        MULTIPART,
        (MULTIPART[0], "Multipart/Form-Data; Boundary=b1"),
        (BODY + "&source=button", FORM),
    ],
    ids=["form", "charset", "newline", "multipart", "letters", "more"],
)
def test_one_click_withdraws_and_the_next_decision_denies(mailbox, body, content_type):
    answer = mailbox.post(body, content_type)
    assert (answer.status_code, answer.headers.getlist("Set-Cookie"), answer.headers.get("Location")) == (200, [], None)
    (*_, withdrawn) = mailbox.records()
    assert (withdrawn["state"], withdrawn["method"], withdrawn["channels"]) == ("withdrawn", "one_click", ["email"])
    assert withdrawn["evidence"] == {"decision": mailbox.answer["decision_id"]}
    assert mailbox.refusals("c-2") == ["consent.withdrawn"]


def test_again_it_is_as_well_and_adds_nothing(mailbox):
    assert [mailbox.post().status_code for _ in range(3)] == [200] * 3
    assert [record["state"] for record in mailbox.records()] == ["granted", "withdrawn"]


def test_it_works_years_later(mailbox):
    assert mailbox.post(**{"Replay-At": LATER}).status_code == 200
    assert mailbox.records()[-1]["at"] == LATER


def test_the_same_candidate_again_has_the_same_link(mailbox):
    assert mailbox.decide("c-1") == mailbox.answer


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "notify.example.org"},
        {"Host": "10.0.0.7:8080"},
        {"Authorization": "Basic bm9ib2R5"},
        {"Cookie": "session=1"},
        {"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=["public name", "address", "authorization", "cookie", "cross-site"],
)
def test_nothing_but_the_link_matters(mailbox, headers):
    assert mailbox.post(**headers).status_code == 200
    assert mailbox.records()[-1]["state"] == "withdrawn"


def test_it_needs_no_key_where_all_else_does(make_client):
    secret = "a-key-that-is-long-enough"  # noqa: S105 - of this test
    digest = hashlib.sha256(secret.encode()).hexdigest()
    key = Key("sender", digest, frozenset({"decide", "consent:write", "consent:read"}))
    client = make_client(replay_clock=True, public_url="https://notify.example.org", keys=(key,))
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    mailbox = Mailbox(client)
    del client.environ_base["HTTP_AUTHORIZATION"]
    assert client.get("/v1/recipients/r-1/consents").status_code == 401
    assert mailbox.post().status_code == 200


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("", FORM),
        ("", None),
        (BODY, None),
        (BODY, "text/plain"),
        ('{"List-Unsubscribe": "One-Click"}', "application/json"),
        ("List-Unsubscribe=one-click", FORM),
        ("list-unsubscribe=One-Click", FORM),
        ("List-Unsubscribe=", FORM),
        (BODY + "&List-Unsubscribe=No", FORM),
        (BODY + "&x=" + "y" * 5000, FORM),
        (MULTIPART[0], "multipart/form-data"),
        (MULTIPART[0], "multipart/form-data; boundary=other"),
        (MULTIPART[0][:40], MULTIPART[1]),
        (MULTIPART[0].replace(b'"\r\n\r\n', b'"; filename="f"\r\n\r\n'), MULTIPART[1]),
        (b"\xff\xfe", FORM),
    ],
)
def test_any_other_body_is_a_400_and_changes_nothing(mailbox, body, content_type):
    assert mailbox.post(body, content_type).status_code == 400
    assert [record["state"] for record in mailbox.records()] == ["granted"]


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_scanner_that_follows_the_link_changes_nothing(mailbox, method):
    for _ in range(3):
        assert getattr(mailbox.client, method)(mailbox.path, headers={"User-Agent": "scanner"}).status_code == 200
    assert [record["state"] for record in mailbox.records()] == ["granted"]
    assert mailbox.refusals("c-2") == []


def test_a_person_finds_a_button_that_does_it_and_reads_what_about(mailbox):
    page = mailbox.client.get(mailbox.path, headers={"Accept-Language": "de"}).get_data(as_text=True)
    assert "Abbestellen" in page
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)">', page))
    assert fields == {"List-Unsubscribe": "One-Click"}
    assert 'action="?lang=de"' in page
    done = mailbox.client.post(mailbox.path + "?lang=de", data=fields)
    assert (done.status_code, "Sie haben abbestellt" in done.get_data(as_text=True)) == (200, True)
    assert mailbox.records()[-1]["state"] == "withdrawn"


def test_who_has_unsubscribed_already_is_told_so_and_since_when(mailbox):
    mailbox.post()
    page = mailbox.client.get(mailbox.path).get_data(as_text=True)
    assert "Since 10 March 2026 we send you no more e-mails about this:" in page
    assert ("Offers in our notifications" in page, "<form" in page) == (True, False)
    assert [record["state"] for record in mailbox.records()] == ["granted", "withdrawn"]


@pytest.mark.parametrize(
    ("said", "has_button"),
    [
        ({"state": "granted"}, True),
        ({"state": "pending"}, True),
        ({"state": "withdrawn", "channels": ["push"]}, True),
        ({"state": "denied"}, False),
        ({"state": "denied", "purpose": "partner_offers"}, True),
    ],
    ids=str,
)
def test_the_button_is_there_as_long_as_it_would_record_anything(mailbox, said, has_button):
    mailbox.client.post("/v1/consents", json=GRANT | {"id": "k-2"} | said, headers=AT)
    assert ("<form" in mailbox.client.get(mailbox.path).get_data(as_text=True)) is has_button


def test_titles_are_told_in_the_language_of_the_page(mailbox):
    page = mailbox.client.get(mailbox.path, headers={"Accept-Language": "de"}).get_data(as_text=True)
    assert "<li>Angebote in unseren Benachrichtigungen, für die uns andere Unternehmen bezahlen</li>" in page


def test_pages_are_neither_kept_nor_framed_nor_told_to_others(mailbox):
    for answer in (mailbox.client.get(mailbox.path), mailbox.post()):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_what_was_not_signed_for_this_is_refused(make_client, mailbox, method):
    token = mailbox.path.rpartition("/")[2]
    links = mailbox.client.post("/v1/recipients/r-1/preference-link", headers=AT).get_json()["url"]
    elsewhere = Mailbox(make_client(replay_clock=True, public_url="https://notify.example.org"))
    attempts = {
        "empty": ".",
        "half of it": token[: len(token) // 2],
        "turned round": token[::-1],
        "one letter off": ("A" if token[0] != "A" else "B") + token[1:],
        "cut short": token[:-1],
        "longer": token + "A",
        "padded": token + "=",
        "the link of a page": links.rpartition("/")[2],
        "another service's": elsewhere.path.rpartition("/")[2],
        "no letters of ours": "%00%ff.x",
        "huge": "A" * 70_000,
    }
    for name, attempt in attempts.items():
        path = f"/unsubscribe/{attempt}"
        answer = mailbox.client.get(path) if method == "get" else mailbox.post(path=path)
        assert (name, answer.status_code) == (name, 404)
    assert [record["state"] for record in mailbox.records()] == ["granted"]


def test_the_link_opens_nothing_else(mailbox):
    token = mailbox.path.rpartition("/")[2]
    assert [mailbox.client.get(f"/{kind}/{token}").status_code for kind in ("preferences", "confirm")] == [404, 404]


def test_the_token_is_not_in_the_log(mailbox, log_lines):
    mailbox.post()
    assert mailbox.path.rpartition("/")[2] not in str(log_lines)
    (line,) = [line for line in log_lines if line.get("route") == "/unsubscribe/{token}"]
    assert (line["status"], line["withdrawn"]) == (200, 1)


def test_without_a_public_url_there_are_no_links_and_no_pages(make_client):
    client = make_client(replay_clock=True)
    client.post("/v1/consents", json=GRANT, headers=AT)
    decision = client.post("/v1/decisions", json=EMAIL, headers=AT).get_json()
    assert decision["obligations"][-1]["values"] == {"purposes": ["sponsored_content"]}
    assert client.get("/unsubscribe/a.b").status_code == 404


# --- the browser's signal ---------------------------------------------------------------------------------------


PARTNERS = {
    "recipient": "r-1",
    "purpose": "partner_offers",
    "state": "granted",
    "method": "double_opt_in",
    "evidence": {"confirmed": "elsewhere"},
}


def signals(mailbox):
    return [record["purpose"] for record in mailbox.records() if record["method"] == "gpc"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_signal_on_the_page_is_recorded_once_as_an_opt_out_of_sharing(mailbox, method):
    signal = {"Sec-GPC": "1"}
    for _ in range(2):
        mailbox.client.get(mailbox.path, headers=AT | signal) if method == "get" else mailbox.post(**signal)
    assert signals(mailbox) == ["partner_offers"]


def test_the_page_says_that_it_heard_the_signal_and_only_where_it_did(mailbox):
    pages = [mailbox.client.get(mailbox.path, headers=AT | {"Sec-GPC": "1"}).get_data(as_text=True) for _ in range(2)]
    wanted = "We took it as your no to: Offers of partners who pay us a commission if you book with them."
    assert [wanted in page for page in pages] == [True, False]


@pytest.mark.parametrize("value", ["0", "true", "1 ", " 1", "1, 1", "11", "", "yes"])
def test_only_the_very_value_is_the_signal(mailbox, value):
    mailbox.client.get(mailbox.path, headers=AT, environ_overrides={"HTTP_SEC_GPC": value})
    assert signals(mailbox) == []


def test_whoever_agrees_in_spite_of_the_signal_has_agreed(mailbox):
    def holds():
        held = mailbox.client.get("/v1/recipients/r-1/consents/state").get_json()["standings"]
        return {each["purpose"]: each["state"] for each in held}

    signal = AT | {"Sec-GPC": "1"}
    mailbox.client.post("/v1/consents", json=PARTNERS, headers=AT)
    mailbox.client.get(mailbox.path, headers=signal)
    assert holds() == {"sponsored_content": "granted", "partner_offers": "withdrawn"}
    mailbox.client.post("/v1/consents", json=PARTNERS, headers=AT)
    mailbox.client.get(mailbox.path, headers=signal)
    assert holds() == {"sponsored_content": "granted", "partner_offers": "granted"}


def test_the_recipients_own_page_heeds_the_signal_too(mailbox):
    url = mailbox.client.post("/v1/recipients/r-1/preference-link", headers=AT).get_json()["url"]
    mailbox.client.get(url.removeprefix("https://notify.example.org"), headers=AT | {"Sec-GPC": "1"})
    assert signals(mailbox) == ["partner_offers"]
