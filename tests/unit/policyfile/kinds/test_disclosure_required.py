from __future__ import annotations

import pytest

from guardrails.core.policy import ObligationRule

PLAIN = "kind: disclosure_required\n"
ONE_FORM = f'{PLAIN}matches: "Sponsored by ?*"\n'
TWO_FORMS = f'{PLAIN}matches: ["Sponsored by ?*", "Anzeige: *"]\n'


@pytest.mark.parametrize(
    ("lines", "text", "expected"),
    [
        (PLAIN, "Sponsored by Acme Air", "satisfied"),
        (PLAIN, "anything", "satisfied"),
        (PLAIN, None, "disclosure.missing"),
        (ONE_FORM, "Sponsored by Acme Air", "satisfied"),
        (ONE_FORM, "Sponsored by ", "disclosure.wrong"),
        (ONE_FORM, "sponsored by Acme Air", "disclosure.wrong"),
        (ONE_FORM, None, "disclosure.missing"),
        (TWO_FORMS, "Sponsored by Acme Air", "satisfied"),
        (TWO_FORMS, "Anzeige: Acme Air", "satisfied"),
        (TWO_FORMS, "Acme Air", "disclosure.wrong"),
        (TWO_FORMS, None, "disclosure.missing"),
    ],
)
def test_the_disclosure_is_there_and_has_one_of_the_forms(policy, outcome, lines, text, expected):
    facts = {} if text is None else {"content.disclosure": text}
    assert outcome(policy(lines), facts) == expected


def test_a_disclosure_that_is_no_text_is_undetermined(policy, outcome):
    assert outcome(policy(ONE_FORM), {"content.disclosure": 3}) == "undetermined"


def test_the_sender_must_show_it(policy):
    assert policy(PLAIN).obligations == (ObligationRule("show_disclosure", fields={"text": "content.disclosure"}),)


def test_its_words_say_what_is_demanded(policy):
    assert policy(PLAIN).reason.message == "the notification must carry a disclosure that says who pays"
    assert policy(TWO_FORMS).reason.message == (
        "the notification must carry a disclosure of the form `Sponsored by ?*` or `Anzeige: *` that says who pays"
    )


# --- more than the words


MORE = """\
kind: disclosure_required
matches: "Sponsored by ?*"
on_behalf_of: true
paid_by: true
item_label: [Ad, "Anzeige*"]
placement: before_first_tap
"""
ALL = {
    "content.disclosure": "Sponsored by Acme Air",
    "disclosure.on_behalf_of": "Acme Air",
    "disclosure.paid_by": "Acme Holding",
    "disclosure.item_label": "Ad",
    "disclosure.placement": "before_first_tap",
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "satisfied"),
        ({"disclosure.item_label": "Anzeige von Acme"}, "satisfied"),
        ({"content.disclosure": None}, "disclosure.missing"),
        ({"content.disclosure": "Ad"}, "disclosure.wrong"),
        ({"disclosure.on_behalf_of": None}, "disclosure.no_principal"),
        ({"disclosure.paid_by": None}, "disclosure.no_payer"),
        ({"disclosure.item_label": None}, "disclosure.no_label"),
        ({"disclosure.item_label": "ad"}, "disclosure.no_label"),
        ({"disclosure.placement": "after_first_tap"}, "disclosure.too_late"),
        ({"disclosure.placement": None}, "undetermined"),
        ({"disclosure.placement": None, "disclosure.paid_by": None}, "disclosure.no_payer"),
        ({"content.disclosure": "Ad", "disclosure.placement": "after_first_tap"}, "disclosure.too_late"),
        (dict.fromkeys(ALL), "disclosure.missing"),
    ],
)
def test_all_that_is_demanded_is_disclosed_before_the_first_tap(policy, outcome, change, expected):
    facts = {name: value for name, value in (ALL | change).items() if value is not None}
    assert outcome(policy(MORE), facts) == expected


@pytest.mark.parametrize(
    ("line", "lacking", "code"),
    [
        ("on_behalf_of: true", "disclosure.on_behalf_of", "disclosure.no_principal"),
        ("paid_by: true", "disclosure.paid_by", "disclosure.no_payer"),
        ("item_label: Ad", "disclosure.item_label", "disclosure.no_label"),
        ("placement: before_first_tap", "disclosure.placement", "undetermined"),
    ],
)
def test_each_demand_stands_by_itself(policy, outcome, line, lacking, code):
    only = policy(f"{PLAIN}{line}\n")
    enough = {"content.disclosure": "Ad", lacking: ALL[lacking]}
    assert outcome(only, enough) == "satisfied"
    assert outcome(only, {"content.disclosure": "Ad"}) == code
    told = {"text": "content.disclosure", lacking.partition(".")[2]: lacking}
    assert only.obligations == (ObligationRule("show_disclosure", fields=told),)


def test_a_policy_that_demands_no_more_means_what_it_did(policy):
    no_more = policy(f"{ONE_FORM}on_behalf_of: false\npaid_by: false\n")
    assert no_more == policy(ONE_FORM)


def test_its_words_say_all_that_is_demanded(policy):
    assert policy(MORE).reason.message == (
        "the notification must carry a disclosure of the form `Sponsored by ?*` that says who pays, and also on whose "
        "behalf it is sent, the payer's name, a label on the item of the form `Ad` or `Anzeige*`; all of it before the "
        "first tap"
    )
    assert policy(f"{PLAIN}paid_by: true\n").reason.message == (
        "the notification must carry a disclosure that says who pays, and also the payer's name"
    )


@pytest.mark.parametrize("placement", ["after_first_tap", "somewhere", "true"])
def test_what_may_come_after_the_first_tap_needs_no_policy(problems, placement):
    assert [line for line, _ in problems(f"{PLAIN}placement: {placement}\n")] == [2]


@pytest.mark.parametrize("matches", ["[]", '""', "[7]", "{}"])
def test_forms_are_texts(problems, matches):
    assert [line for line, _ in problems(f"{PLAIN}matches: {matches}\n")] == [2]
