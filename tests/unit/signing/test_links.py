from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous.encoding import base64_decode, base64_encode

from guardrails.signing import ConfirmationLink, LinkError, Links, PageLink, UnsubscribeLink

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET, OTHER = b"s" * 32, b"o" * 32
LINKS = Links("https://example.org/gate/", SECRET)
KINDS = ("unsubscribe", "preferences", "confirm")


def token_of(url):
    return url.rpartition("/")[2]


def token(kind, links=LINKS):
    url = {
        "unsubscribe": lambda: links.unsubscribe("r-42", ("offers", "tips"), "email", "d-1"),
        "preferences": lambda: links.preferences("r-42", NOW, "de"),
        "confirm": lambda: links.confirmation("consent-1", NOW),
    }[kind]()
    return token_of(url)


def read(kind, text, links=LINKS, now=NOW):
    return {
        "unsubscribe": lambda: links.read_unsubscribe(text),
        "preferences": lambda: links.read_preferences(text, now),
        "confirm": lambda: links.read_confirmation(text, now),
    }[kind]()


def refusal(kind, text, links=LINKS, now=NOW):
    with pytest.raises(LinkError) as refused:
        read(kind, text, links, now)
    return refused.value.reason


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("unsubscribe", UnsubscribeLink("r-42", ("offers", "tips"), "email", "d-1")),
        ("preferences", PageLink("r-42", int(NOW.timestamp()), "de")),
        ("confirm", ConfirmationLink("consent-1", int(NOW.timestamp()))),
    ],
)
def test_a_link_says_when_it_is_read_what_it_was_made_of(kind, expected):
    assert expected == read(kind, token(kind))


@given(
    recipient=st.text(min_size=1, max_size=200), purposes=st.lists(st.text(max_size=20), max_size=5), channel=st.text()
)
def test_any_ids_come_back_from_an_unsubscribe_link(recipient, purposes, channel):
    url = LINKS.unsubscribe(recipient, purposes, channel, "d-1")
    assert UnsubscribeLink(recipient, tuple(purposes), channel, "d-1") == LINKS.read_unsubscribe(token_of(url))


@given(recipient=st.text(min_size=1, max_size=200))
def test_a_url_holds_nothing_that_a_header_or_a_page_would_take_for_its_own(recipient):
    url = LINKS.preferences(recipient, NOW)
    assert url.startswith("https://example.org/gate/preferences/")
    assert set(token_of(url)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_nobody_reads_in_a_token_whose_it_is():
    recipient = "anna@example.org"
    urls = [
        LINKS.preferences(recipient, NOW),
        LINKS.unsubscribe(recipient, ("offers",), "email", "d-1"),
        LINKS.confirmation(recipient, NOW),
    ]
    for url in urls:
        assert b"anna" not in base64_decode(token_of(url)).lower()
        assert "example" not in url.removeprefix("https://example.org/gate/")


def test_the_same_link_is_the_same_text():
    assert token("unsubscribe") == token("unsubscribe") == token("unsubscribe", Links("https://example.org", SECRET))


def test_a_page_link_need_not_name_a_language():
    assert read("preferences", token_of(LINKS.preferences("r-42", NOW))).language is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_no_kind_of_link_passes_for_another(kind, other):
    if kind != other:
        assert refusal(other, token(kind)) == "forged"


ATTEMPTS = {
    "empty": lambda _: "",
    "a dot": lambda _: ".",
    "too short to be sealed": lambda text: text[:12],
    "only the seal": lambda text: base64_encode(base64_decode(text)[:16]).decode(),
    "without its seal": lambda text: base64_encode(base64_decode(text)[16:]).decode(),
    "what it holds, unsealed": lambda _: base64_encode(b'["r-42",1795348800,"de"]').decode(),
    "cut by a letter": lambda text: text[:-1],
    "a letter more": lambda text: text + "A",
    "a padding more": lambda text: text + "=",
    "another last letter": lambda text: text[:-1] + chr(ord(text[-1]) ^ 1),
    "another first letter": lambda text: "X" + text[1:],
    "a letter that base64 passes over": lambda text: text[:8] + "!" + text[8:],
    "a line break": lambda text: text + "\n",
    "letters beyond ASCII": lambda text: text + "é",
    "half a surrogate": lambda text: text + "\ud800",
    "three parts": lambda text: text + "." + text,
    "another's secret": lambda _: token("preferences", Links("https://example.org", OTHER)),
    "very long": lambda text: "A" * 100_000 + text,
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_what_we_did_not_sign_is_refused(attempt):
    assert refusal("preferences", attempt(token("preferences"))) == "forged"


@pytest.mark.parametrize("kind", KINDS)
def test_no_letter_of_a_token_can_be_another(kind):
    text = token(kind)
    for place in range(len(text)):
        for letter in "Aa0-_.":
            if letter != text[place]:
                assert refusal(kind, text[:place] + letter + text[place + 1 :]) == "forged"


@given(text=st.text(max_size=300))
def test_no_text_makes_the_reader_fail_otherwise(text):
    assert refusal("unsubscribe", text) == "forged"


@pytest.mark.parametrize(("kind", "lifetime"), [("preferences", timedelta(days=30)), ("confirm", timedelta(days=7))])
def test_a_link_ends_with_its_lifetime_and_not_before(kind, lifetime):
    text = token(kind)
    assert read(kind, text, now=NOW + lifetime - timedelta(seconds=1))
    assert refusal(kind, text, now=NOW + lifetime) == "expired"


def test_a_shortened_lifetime_ends_the_links_that_are_out():
    shorter = Links("https://example.org", SECRET, page_lifetime=timedelta(hours=1))
    assert refusal("preferences", token("preferences"), shorter, NOW + timedelta(hours=1)) == "expired"


def test_a_clock_that_is_behind_the_one_that_made_it_reads_a_link():
    assert read("preferences", token("preferences"), now=NOW - timedelta(minutes=5))


def test_an_unsubscribe_link_has_no_end():
    assert LINKS.read_unsubscribe(token("unsubscribe")).recipient == "r-42"


def test_links_of_a_former_secret_are_read_as_long_as_it_is_accepted():
    accepted = [OTHER, SECRET]
    rotated = Links("https://example.org", OTHER, accepted=lambda: accepted)
    assert read("unsubscribe", token("unsubscribe"), rotated).recipient == "r-42"
    accepted.remove(SECRET)
    assert refusal("unsubscribe", token("unsubscribe"), rotated) == "forged"


def test_a_process_that_does_not_sign_with_a_new_secret_yet_accepts_it():
    behind = Links("https://example.org", SECRET, accepted=lambda: (OTHER, SECRET))
    ahead = Links("https://example.org", OTHER)
    assert read("confirm", token("confirm", ahead), behind).consent_id == "consent-1"
    assert token("confirm", behind) == token("confirm")


def test_the_longest_ids_still_make_a_link_that_is_read():
    purposes = tuple(f"{number:02}" + "🎁" * 98 for number in range(64))
    url = LINKS.unsubscribe("🎁" * 200, purposes, "email", "🎁" * 200)
    assert LINKS.read_unsubscribe(token_of(url)).purposes == purposes


def test_what_is_longer_than_any_of_ours_is_not_even_looked_at():
    assert refusal("preferences", token_of(LINKS.preferences("r" * 50_000, NOW))) == "forged"


def test_a_refusal_says_why():
    assert [str(LinkError(reason)) for reason in ("forged", "expired")] == [
        "the link is not one of ours",
        "the link has expired",
    ]
