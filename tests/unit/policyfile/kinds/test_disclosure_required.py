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


@pytest.mark.parametrize("matches", ["[]", '""', "[7]", "{}"])
def test_forms_are_texts(problems, matches):
    assert [line for line, _ in problems(f"{PLAIN}matches: {matches}\n")] == [2]
