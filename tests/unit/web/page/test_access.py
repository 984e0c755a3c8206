"""Who may see a page, and that looking at it changes nothing."""

from __future__ import annotations

import json

import pytest

from page_answers import NOW, title_of

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
}


def altered(path):
    """The link to the page with what it holds changed in one place, as if for somebody else."""
    from itsdangerous.encoding import base64_decode, base64_encode  # noqa: PLC0415

    sealed = bytearray(base64_decode(path.rpartition("/")[2]))
    sealed[-1] ^= 1
    return f"/preferences/{base64_encode(bytes(sealed)).decode()}"


ATTEMPTS = {
    "nothing": (lambda _: "/preferences/A", 404),
    "a letter less": (lambda site: site.link()[:-1], 404),
    "another recipient": (lambda site: altered(site.link()), 404),
    "nonsense": (lambda site: "/preferences/x", 404),
    "a long one": (lambda site: f"/preferences/{'x' * 70_000}", 404),
    "no letters": (lambda site: "/preferences/%ff%00.%f0%9f%8e%89", 404),
    "an unsubscribe link": (
        lambda site: site.application.links.unsubscribe("r-1", ["offers"], "email", "d-1").replace(
            "https://notify.example.org/unsubscribe", "/preferences"
        ),
        404,
    ),
    "a confirmation": (
        lambda site: site.application.links.confirmation("consent-1", NOW).replace(
            "https://notify.example.org/confirm", "/preferences"
        ),
        404,
    ),
    "one that has run out": (lambda site: site.link(at="2026-10-21T12:00:00Z"), 410),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_gets_in_by_a_token_that_is_not_ours_or_has_run_out(site, attempt, method):
    site.consent()
    make, status = ATTEMPTS[attempt]
    answer = site.send(method, make(site), data={"do": "withdraw_all"} if method == "POST" else None)
    assert (answer.status_code, answer.content_type) == (status, "text/html; charset=utf-8")
    assert "Lower prices" not in answer.text
    assert [event.state for event in site.history()] == ["granted"]


def test_the_last_second_of_a_link_still_opens_it(site):
    assert site.send("GET", site.link(at="2026-10-21T12:00:01Z")).status_code == 200


def test_a_service_without_links_knows_no_page(site, make_site):
    assert make_site(public_url=None).send("GET", site.link()).status_code == 404


def test_a_page_shows_nothing_of_others(site):
    site.consent(recipient="r-2")
    receipt = site.history("r-2")[0].id
    assert "You have not agreed to anything" in site.send("GET", site.link()).text
    assert site.send("GET", f"{site.link()}/receipts/{receipt}").status_code == 404
    assert site.send("GET", f"{site.link('r-2')}/receipts/{receipt}").status_code == 200


@pytest.mark.parametrize("path", ["", "/receipts/none"])
@pytest.mark.parametrize("token", ["ours", "forged"])
def test_every_page_has_the_headers_that_keep_it_to_the_recipient(site, path, token):
    link = site.link() if token == "ours" else "/preferences/x"  # noqa: S105 - which one, not one
    answer = site.send("GET", link + path)
    assert {name: answer.headers.getlist(name) for name in HEADERS} == {name: [text] for name, text in HEADERS.items()}
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("query", ["", "?do=withdraw_all", "?done=all_withdrawn", "?days=7&do=pause"])
def test_a_scanner_that_follows_the_link_changes_nothing(site, method, query):
    site.consent()
    assert site.send(method, site.link() + query).status_code == 200
    assert [event.state for event in site.history()] == ["granted"]
    assert (site.chosen().toggles, site.chosen().paused_until) == ({}, None)


@pytest.mark.parametrize("where", ["cross-site", "same-site"])
def test_a_form_of_another_site_is_refused(site, where):
    site.consent()
    answer = site.post("withdraw_all", headers={"Sec-Fetch-Site": where})
    assert (answer.status_code, title_of(answer)) == (403, "This came from another site")
    assert [event.state for event in site.history()] == ["granted"]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (json.dumps({"do": "withdraw_all"}), "application/json", 415),
        ("do=withdraw_all", "text/plain", 415),
        (b"do=withdraw_all&x=%ff", "application/x-www-form-urlencoded", 400),
        ("do=withdraw_all&x=" + "x" * 70_000, "application/x-www-form-urlencoded", 413),
        ("&".join(f"x{number}=1" for number in range(2000)), "application/x-www-form-urlencoded", 400),
    ],
)
def test_what_is_no_form_of_ours_changes_nothing(site, body, content_type, status):
    site.consent()
    answer = site.send("POST", site.link(), data=body, content_type=content_type)
    assert (answer.status_code, answer.content_type) == (status, "text/html; charset=utf-8")
    assert [event.state for event in site.history()] == ["granted"]


def test_the_log_never_holds_the_token(site):
    import structlog  # noqa: PLC0415

    token = site.link().rpartition("/")[2]
    with structlog.testing.capture_logs() as lines:
        site.send("GET", f"/preferences/{token}")
        site.send("GET", f"/preferences/{token}x")
    assert [line["route"] for line in lines] == ["/preferences/{token}"] * 2
    assert token not in json.dumps(lines, default=str)
