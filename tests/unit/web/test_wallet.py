"""Wallets over HTTP: what is answered, what is safe to repeat, and what is refused."""

from __future__ import annotations

import hashlib

import jsonschema
import pytest

from guardrails.policyfile.currencies import currency_words
from guardrails.settings import Key
from guardrails.web.wallet import EXAMPLE, TRIAL_BALANCE_EXAMPLE, WALLET_EXAMPLE

HEADERS = {"Replay-At": "2026-12-01T12:00:00Z"}


@pytest.fixture
def top_up(client):
    """Add to a wallet; what is given is said instead of, or besides, the example."""

    def top_up(**said):
        return client.post("/v1/wallet/top-ups", json=EXAMPLE | said, headers=HEADERS)

    return top_up


@pytest.fixture
def wallet(client):
    def wallet(recipient="r-42", **query):
        return client.get(f"/v1/recipients/{recipient}/wallet", query_string=query)

    return wallet


def test_a_top_up_is_answered_as_it_was_booked_and_stands_in_the_wallet(top_up, wallet):
    answer, again = top_up(memo="gift card"), top_up(memo="gift card")
    assert (answer.status_code, again.status_code, again.data) == (201, 200, answer.data)
    assert answer.get_json() == EXAMPLE | {"memo": "gift card", "amount": "25.00", "at": "2026-12-01T12:00:00Z"}
    amount = {"unit": "EUR", "amount_minor": 2500, "amount": "25.00"}
    assert wallet().get_json() == {
        "recipient": "r-42",
        "balances": [amount],
        "transactions": [
            {
                "id": "top_up:gift-card-7",
                "kind": "top_up",
                "at": "2026-12-01T12:00:00Z",
                "changes": [amount],
                "memo": {"text": "gift card"},
            }
        ],
    }


def test_a_top_up_is_safe_to_repeat_and_another_body_is_a_conflict(top_up, wallet):
    assert top_up().get_json() == top_up().get_json()
    conflict = top_up(amount_minor=2501)
    assert (conflict.status_code, conflict.get_json()["code"]) == (409, "ledger.other_body")
    assert conflict.get_json()["errors"][0]["pointer"] == "/id"
    assert wallet().get_json()["balances"] == [{"unit": "EUR", "amount_minor": 2500, "amount": "25.00"}]


@pytest.mark.parametrize(
    ("said", "pointer", "detail"),
    [
        ({"amount_minor": 0}, "/amount_minor", "`0` is less than 1"),
        ({"amount_minor": -5}, "/amount_minor", "`-5` is less than 1"),
        ({"amount_minor": 2**53 + 1}, "/amount_minor", f"`{2**53 + 1}` is more than {2**53}"),
        ({"amount_minor": 12.5}, "/amount_minor", "expected an integer, got a number"),
        ({"amount_minor": "25"}, "/amount_minor", "expected an integer, got a string"),
        ({"currency": "XTS"}, "/currency", "`XTS` is not a currency in use: in ISO 4217 it stands for tests"),
        (
            {"currency": "eur"},
            "/currency",
            currency_words("eur"),
        ),
        ({"recipient": ""}, "/recipient", "is empty"),
        ({"id": "a\0b"}, "/id", "`a\\x00b` holds a control character"),
        ({"memo": ""}, "/memo", "is empty"),
        ({"amout": 5}, "/amout", "unknown field `amout`"),
    ],
)
def test_what_is_no_top_up_is_refused_with_the_place(top_up, said, pointer, detail):
    answer = top_up(**said)
    assert answer.status_code == 422
    (error,) = answer.get_json()["errors"]
    assert error["pointer"] == pointer
    assert error["detail"].startswith(detail)


def test_the_most_of_one_top_up_is_told_exactly(top_up):
    assert top_up(amount_minor=2**53).get_json()["amount"] == "90071992547409.92"


def test_a_wallet_is_empty_of_whom_nothing_is_recorded(wallet):
    assert wallet("nobody").get_json() == {"recipient": "nobody", "balances": [], "transactions": []}


def test_a_wallet_is_read_page_by_page(top_up, wallet, monkeypatch):
    for number in range(101):
        assert top_up(id=f"t-{number}", amount_minor=1).status_code == 201
    first = wallet().get_json()
    assert (len(first["transactions"]), first["next"]) == (100, "top_up:t-1")
    second = wallet(after=first["next"]).get_json()
    assert [each["id"] for each in second["transactions"]] == ["top_up:t-0"]
    assert "next" not in second
    assert second["balances"] == [{"unit": "EUR", "amount_minor": 101, "amount": "1.01"}]


def test_a_page_follows_on_the_longest_id_too(top_up, wallet):
    for number in range(101):
        assert top_up(id=f"{number:0200}", amount_minor=1).status_code == 201
    second = wallet(after=wallet().get_json()["next"]).get_json()
    assert [each["id"] for each in second["transactions"]] == [f"top_up:{0:0200}"]


def test_a_page_follows_on_a_transaction_of_that_recipient_only(top_up, wallet):
    top_up()
    answer = wallet("r-1", after="top_up:gift-card-7")
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "/after"


def test_the_trial_balance_agrees(client, top_up):
    assert client.get("/v1/ledger/trial-balance").get_json() == {"agrees": True, "units": []}
    top_up()
    assert client.get("/v1/ledger/trial-balance").get_json() == {
        "agrees": True,
        "units": [
            {
                "unit": "EUR",
                "agrees": True,
                "debits_minor": 2500,
                "credits_minor": 2500,
                "kinds": [
                    {"kind": "outside", "side": "debit", "total_minor": 2500, "total": "25.00"},
                    {"kind": "recipient", "side": "credit", "total_minor": 2500, "total": "25.00"},
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("name", "example"),
    [("Wallet", WALLET_EXAMPLE), ("TrialBalance", TRIAL_BALANCE_EXAMPLE), ("TopUpRequest", EXAMPLE)],
)
def test_the_examples_are_what_the_document_says(client, name, example):
    document = client.get("/openapi.json").get_json()
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(example)


@pytest.mark.parametrize(
    ("scope", "written", "read"), [("wallet:write", 201, 403), ("wallet:read", 403, 200), ("decide", 403, 403)]
)
def test_writing_and_reading_have_scopes_of_their_own(make_client, scope, written, read):
    key = Key(name="app", sha256=hashlib.sha256(b"key").hexdigest(), scopes=frozenset({scope}))
    client = make_client(keys=(key,))
    headers = {"Authorization": "Bearer key"}
    assert client.post("/v1/wallet/top-ups", json=EXAMPLE, headers=headers).status_code == written
    for path in ("/v1/recipients/r-42/wallet", "/v1/ledger/trial-balance"):
        assert client.get(path, headers=headers).status_code == read
