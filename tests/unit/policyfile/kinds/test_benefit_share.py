from __future__ import annotations

import pytest

from guardrails.core.policy import ObligationRule

PLAIN = "kind: benefit_share\nleast: 500\n"
CREDITS = f"{PLAIN}forms: [credits]\n"
TOLD = f'{PLAIN}matches: ["You get *", "Sie bekommen *"]\n'


@pytest.mark.parametrize(
    ("lines", "share", "form", "text", "expected"),
    [
        (PLAIN, 500, "credits", "Thanks", "satisfied"),
        (PLAIN, 10_000, "discount", "Thanks", "satisfied"),
        (PLAIN, 499, "credits", "Thanks", "benefit.too_small"),
        (PLAIN, 0, None, None, "benefit.too_small"),
        (PLAIN, 500, "credits", None, "benefit.not_told"),
        (PLAIN, None, "credits", None, "benefit.not_told"),
        (PLAIN, None, "credits", "Thanks", "undetermined"),
        (PLAIN, 500, None, "Thanks", "undetermined"),
        (CREDITS, 500, "credits", "Thanks", "satisfied"),
        (CREDITS, 500, "discount", "Thanks", "benefit.wrong_form"),
        (CREDITS, None, "discount", "Thanks", "benefit.wrong_form"),
        (CREDITS, 499, "discount", None, "benefit.too_small"),
        (TOLD, 500, "credits", "You get 5 %", "satisfied"),
        (TOLD, 500, "credits", "Sie bekommen 5 %", "satisfied"),
        (TOLD, 500, "credits", "you get 5 %", "benefit.not_told"),
        (TOLD, 500, "credits", None, "benefit.not_told"),
    ],
)
def test_the_share_is_large_enough_of_an_allowed_form_and_told(policy, outcome, lines, share, form, text, expected):
    known = {"benefit.share_bps": share, "benefit.form": form, "benefit.text": text}
    facts = {name: value for name, value in known.items() if value is not None}
    assert outcome(policy(lines), facts) == expected


def test_the_sender_must_tell_it(policy):
    fields = {"share_bps": "benefit.share_bps", "form": "benefit.form", "text": "benefit.text"}
    assert policy(PLAIN).obligations == (ObligationRule("show_benefit", fields=fields),)


def test_its_words_say_what_is_demanded(policy):
    assert policy(PLAIN).reason.message == (
        "the recipient must get at least 5 % of what it earns as credits or discount, and be told so in a sentence"
    )
    assert policy(f"{CREDITS}matches: You get *\n".replace("500", "1250")).reason.message == (
        "the recipient must get at least 12.5 % of what it earns as credits, and be told so in a sentence of the form "
        "`You get *`"
    )


def test_a_share_may_be_as_little_as_one_basis_point_or_all(policy):
    for least, words in ((1, "0.01"), (10_000, "100")):
        assert f"at least {words} %" in policy(f"kind: benefit_share\nleast: {least}\n").reason.message


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("kind: benefit_share\n", [(0, "missing-property")]),
        ("kind: benefit_share\nleast: 0\n", [(2, "out-of-bounds")]),
        ("kind: benefit_share\nleast: 10001\n", [(2, "out-of-bounds")]),
        ("kind: benefit_share\nleast: 0.05\n", [(2, "wrong-type")]),
        (f"{PLAIN}forms: []\n", [(3, "out-of-bounds")]),
        (f"{PLAIN}forms: [money]\n", [(3, "unknown-value")]),
    ],
)
def test_a_share_is_whole_basis_points_of_what_there_is(problems, lines, found):
    assert found == problems(lines)
