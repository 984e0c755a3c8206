"""Receipts: what they say of a consent, and that anybody can verify it, with nothing of ours but the published key."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from guardrails.consent import ConsentRequest, ConsentService, NoticeRequest, NoticeService
from guardrails.consent.receipts import EVENTS_MOST, Receipts, verify_receipt
from guardrails.core.controller import Controller
from guardrails.core.purposes import LAWFUL_BASES, Purpose, Sharing
from guardrails.errors import NotFoundError
from guardrails.signing import SignatureError, SigningKeys, sign
from stores import open_stores

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OFFERS = Purpose(
    id="partner_offers",
    title="Offers of partners",
    data=("what you book",),
    shared_with=(Sharing("the partner", "a code for the offer"),),
    benefit="The partner's discount",
    retention_seconds=1095 * 86_400,
)
TIPS = Purpose(id="tips", title="Tips")
ACME = Controller(
    name="Acme Ltd",
    address="1 Main Street, Dublin",
    contact="privacy@acme.example",
    url="https://acme.example",
    withdraw_at="https://acme.example/settings",
    rights_at="https://acme.example/privacy",
    storage_locations=("IE", "DE-BY"),
)
KEYS = SigningKeys.generate(NOW)


class Ledger:
    """The room over one store, with what the active policies declare."""

    def __init__(self, transactor):
        self.declared = {purpose.id: purpose for purpose in (OFFERS, TIPS)}
        self.ids = count(1)
        self.consents = ConsentService(transactor, purposes=lambda: self.declared, new_id=self._new_id)
        self.notices = NoticeService(transactor, purposes=lambda: self.declared)
        self.transactor = transactor

    def _new_id(self):
        return f"new-{next(self.ids)}"

    def record(self, id_, *, now=NOW, **more):
        said = {"recipient": "r-42", "purpose": "partner_offers", "state": "granted", "method": "form"} | more
        return self.consents.record(ConsentRequest(id=id_, **said), now=now)

    def issue(self, id_, *, controller=None, now=NOW):
        receipts = Receipts(
            self.transactor,
            keys=lambda: KEYS,
            purposes=lambda: self.declared,
            controller=controller,
            new_id=lambda: "receipt-1",
        )
        return receipts.issue(id_, now=now)

    def told(self, id_, **more):
        """The consent record that the receipt is a copy of."""
        return self.issue(id_, **more).receipt["dpv:hasRecordOfActivity"]


@pytest.fixture(params=["memory:", "sqlite:///{}/consents.db"], ids=["memory", "sqlite"])
def ledger(request, tmp_path):
    transactor = open_stores(request.param.format(tmp_path))
    yield Ledger(transactor)
    transactor.close()


def test_a_receipt_has_all_that_the_operator_tells(ledger):
    ledger.notices.add(
        NoticeRequest(id="offers", version="3", language="de", purposes=("partner_offers",), text="Ja?"), now=NOW
    )
    notice_hash = ledger.record(
        "consent-1",
        notice_id="offers",
        notice_version="3",
        language="de",
        jurisdiction="DE",
        channels=("push", "email"),
        captured_by="web",
        evidence={"form": "checkout"},
        expires_at=NOW + timedelta(days=365),
    ).notice_hash
    notice = {
        "@type": "dpv:ConsentNotice",
        "dct:identifier": "offers",
        "schema:version": "3",
        "dct:language": "de",
        "schema:sha256": notice_hash.removeprefix("sha256:"),
    }
    code = {"@type": "dpv:PersonalData", "dct:description": "a code for the offer"}
    receipt = ledger.issue("consent-1", controller=ACME, now=NOW + timedelta(hours=1)).receipt
    assert {name: value for name, value in receipt.items() if name not in {"@context", "dpv:hasRecordOfActivity"}} == {
        "@type": "dpv:ConsentReceipt",
        "dct:identifier": "receipt-1",
        "dct:conformsTo": "https://w3id.org/dpv/schema/dpv-27560#receipt-record",
        "dct:created": "2026-11-22T13:00:00Z",
        "dct:publisher": "Acme Ltd",
        "schema:recipient": "dpv:DataSubject",
    }
    assert receipt["dpv:hasRecordOfActivity"] == {
        "@type": "dpv:ConsentRecord",
        "dct:identifier": "consent-1",
        "dct:conformsTo": "https://w3id.org/dpv/schema/dpv-27560#record",
        "dct:created": "2026-11-22T12:00:00Z",
        "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": "r-42"},
        "dpv:hasDataController": {
            "@type": "dpv:DataController",
            "@id": "https://acme.example",
            "dpv:hasIdentifier": "https://acme.example",
            "dpv:hasName": "Acme Ltd",
            "dpv:hasAddress": "1 Main Street, Dublin",
            "dpv:hasContact": "privacy@acme.example",
            "schema:url": "https://acme.example",
        },
        "dpv:hasJurisdiction": "loc:DE",
        "dpv:hasNotice": notice,
        "dpv:hasProcess": {
            "@type": "dpv:Process",
            "dpv:hasPurpose": {
                "@type": "dpv:Purpose",
                "dct:identifier": "partner_offers",
                "dct:title": "Offers of partners",
            },
            "dpv:hasLegalBasis": "dpv:Consent",
            "dpv:hasProcessing": ["dpv:Use", "dpv:Share"],
            "dpv:hasPersonalData": [{"@type": "dpv:PersonalData", "dct:description": "what you book"}, code],
            "dpv:hasRecipient": [
                {"@type": "dpv:ThirdParty", "dpv:hasName": "the partner", "dpv:hasPersonalData": code}
            ],
            "dpv:hasStorageCondition": [
                {"@type": "dpv:StorageLocation", "dpv:hasLocation": ["loc:IE", "loc:DE-BY"]},
            ],
            "dpv:hasImpact": {
                "@type": "dpv:Impact",
                "dct:title": "benefit to the recipient",
                "dct:description": "The partner's discount",
                "dpv:hasImpactOn": "dpv:DataSubject",
            },
        },
        "dpv:hasConsentControl": {
            "@type": "dpv:WithdrawConsent",
            "dpv:isExercisedAt": "https://acme.example/settings",
        },
        "dpv:hasRight": {"@type": "dpv:DataSubjectRight", "dpv:isExercisedAt": "https://acme.example/privacy"},
        "dpv:hasConsentStatus": [
            {
                "@type": ["dpv:ConsentGiven", "dpv:ExpressedConsent"],
                "dct:identifier": "consent-1",
                "dpv:isIndicatedAtTime": "2026-11-22T12:00:00Z",
                "dpv:isIndicatedBy": "dpv:DataSubject",
                "dpv:hasIndicationMethod": "form",
                "dpv:hasDuration": {
                    "@type": "dpv:UntilTimeDuration",
                    "rdf:value": {"@type": "xsd:dateTime", "@value": "2027-11-22T12:00:00Z"},
                },
                "dpv:hasScope": ["channel email", "channel push"],
                "dpv:hasJurisdiction": "loc:DE",
                "dpv:hasNotice": notice,
                "dct:creator": "web",
                "dct:created": "2026-11-22T12:00:00Z",
            }
        ],
    }


def test_what_is_not_known_is_left_out(ledger):
    ledger.declared.clear()
    ledger.record("consent-1", purpose="anything")
    record = ledger.told("consent-1")
    assert set(record) == {
        "@type",
        "dct:identifier",
        "dct:conformsTo",
        "dct:created",
        "dpv:hasDataSubject",
        "dpv:hasProcess",
        "dpv:hasConsentStatus",
    }
    assert record["dpv:hasProcess"] == {
        "@type": "dpv:Process",
        "dpv:hasPurpose": {"@type": "dpv:Purpose", "dct:identifier": "anything"},
        "dpv:hasLegalBasis": "dpv:Consent",
        "dpv:hasProcessing": ["dpv:Use"],
    }


def test_where_nothing_is_shared_the_controller_is_who_gets_the_data(ledger):
    ledger.declared["tips"] = msgspec.structs.replace(TIPS, data=("what you read",))
    ledger.record("consent-1", purpose="tips")
    told = ledger.told("consent-1", controller=ACME)["dpv:hasProcess"]
    assert told["dpv:hasRecipient"] == [{"@type": "dpv:DataController", "dpv:hasName": "Acme Ltd"}]
    assert told["dpv:hasPersonalData"] == [{"@type": "dpv:PersonalData", "dct:description": "what you read"}]
    assert told["dpv:hasProcessing"] == ["dpv:Use"]
    assert "dpv:hasRecipient" not in ledger.told("consent-1")["dpv:hasProcess"], "nobody knows who the controller is"


def test_of_a_purpose_of_which_nothing_is_known_no_recipient_is_made_up(ledger):
    ledger.record("consent-1", purpose="tips")
    del ledger.declared["tips"]
    assert "dpv:hasRecipient" not in ledger.told("consent-1", controller=ACME)["dpv:hasProcess"]


def test_how_long_data_is_stored_is_not_promised(ledger):
    """`retention` is what the operator means to do; nothing here deletes anything."""
    ledger.record("consent-1")
    assert OFFERS.retention_seconds
    assert "StorageDuration" not in json.dumps(ledger.issue("consent-1", controller=ACME).receipt)


def test_a_controller_without_a_place_on_the_web_is_identified_by_its_name(ledger):
    ledger.record("consent-1")
    record = ledger.told("consent-1", controller=Controller(name="Acme", address="Main Street", contact="+353 1"))
    assert record["dpv:hasDataController"] == {
        "@type": "dpv:DataController",
        "dpv:hasIdentifier": "Acme",
        "dpv:hasName": "Acme",
        "dpv:hasAddress": "Main Street",
        "dpv:hasContact": "+353 1",
    }
    assert not {"dpv:hasConsentControl", "dpv:hasRight"} & set(record)


def test_a_receipt_tells_all_that_became_of_the_consent(ledger):
    ledger.record("asked", state="pending", now=NOW)
    ledger.consents.confirm("asked", now=NOW + timedelta(minutes=1))
    ledger.record("stop", state="withdrawn", method="keyword", channels=("sms",), now=NOW + timedelta(days=1))
    ledger.record("no", state="denied", now=NOW + timedelta(days=2))
    ledger.record("over", state="expired", method="job", now=NOW + timedelta(days=3))
    ledger.record("other", purpose="tips", now=NOW + timedelta(days=4))
    states = ledger.told("asked", now=NOW + timedelta(days=9))["dpv:hasConsentStatus"]
    told = [
        (
            each["@type"],
            each["dpv:hasIndicationMethod"],
            each["dpv:isIndicatedBy"],
            each["dpv:hasDuration"]["rdf:value"],
        )
        for each in states
    ]
    assert told == [
        ("dpv:ConsentRequested", "form", "dpv:DataSubject", "confirmation"),
        (["dpv:ConsentGiven", "dpv:ExpressedConsent"], "double_opt_in", "dpv:DataSubject", "withdrawal"),
        ("dpv:ConsentWithdrawn", "keyword", "dpv:DataSubject", "new consent"),
        ("dpv:ConsentRefused", "form", "dpv:DataSubject", "new consent"),
        ("dpv:ConsentExpired", "job", "dpv:DataController", "new consent"),
    ]
    assert states[1]["dct:references"] == "asked"
    assert states[2]["dpv:hasScope"] == ["channel sms"]


def test_it_is_in_the_words_that_the_recipient_was_shown_whatever_is_declared_later(ledger):
    ledger.notices.add(
        NoticeRequest(id="offers", version="1", language="en", purposes=("partner_offers",), text="Yes?"), now=NOW
    )
    ledger.record("consent-1", notice_id="offers", notice_version="1", language="en")
    ledger.declared["partner_offers"] = msgspec.structs.replace(
        OFFERS, title="Ads", benefit=None, data=("all",), shared_with=(Sharing("everybody", "everything"),)
    )
    process = ledger.told("consent-1")["dpv:hasProcess"]
    assert process["dpv:hasPurpose"]["dct:title"] == "Offers of partners"
    assert process["dpv:hasImpact"]["dct:description"] == "The partner's discount"
    assert [each["dpv:hasName"] for each in process["dpv:hasRecipient"]] == ["the partner"]
    assert [each["dct:description"] for each in process["dpv:hasPersonalData"]] == [
        "what you book",
        "a code for the offer",
    ]


def test_the_receipt_of_a_withdrawal_names_the_notice_of_what_is_withdrawn(ledger):
    ledger.record("old", notice_version="1", now=NOW)
    ledger.record("new", notice_version="2", language="de", now=NOW + timedelta(days=1))
    ledger.record("stop", state="withdrawn", now=NOW + timedelta(days=2))
    ledger.record("again", notice_version="3", now=NOW + timedelta(days=3))
    shown = ledger.told("stop", now=NOW + timedelta(days=4))["dpv:hasNotice"]
    assert shown == {"@type": "dpv:ConsentNotice", "schema:version": "2", "dct:language": "de"}
    assert ledger.told("old", now=NOW + timedelta(days=4))["dpv:hasNotice"]["schema:version"] == "1"


@pytest.mark.parametrize("state", ["granted", "pending"])
def test_the_receipt_of_a_yes_on_no_notice_names_none_nor_does_that_of_taking_it_back(ledger, state):
    ledger.record("old", notice_version="1", now=NOW)
    ledger.record("on-the-phone", state=state, now=NOW + timedelta(days=1))
    ledger.record("stop", state="withdrawn", now=NOW + timedelta(days=2))
    for record in ("on-the-phone", "stop"):
        assert "dpv:hasNotice" not in ledger.told(record, now=NOW + timedelta(days=3))


@pytest.mark.parametrize("basis", LAWFUL_BASES)
def test_every_lawful_basis_has_its_word(ledger, basis):
    ledger.declared["tips"] = Purpose(id="tips", title="Tips", lawful_basis=basis)
    ledger.record("consent-1", purpose="tips")
    assert ledger.told("consent-1")["dpv:hasProcess"]["dpv:hasLegalBasis"].startswith("dpv:")


def test_evidence_stays_with_us(ledger):
    ledger.record("consent-1", evidence={"ip": "192.0.2.7"})
    assert "192.0.2.7" not in json.dumps(ledger.issue("consent-1").receipt)


def test_there_is_no_receipt_for_what_is_not_on_record(ledger):
    with pytest.raises(NotFoundError, match="there is no consent `consent-1`"):
        ledger.issue("consent-1")


def test_an_operating_systems_permission_is_no_consent_and_has_no_receipt(ledger):
    ledger.record("permission", method="os_permission")
    ledger.record("consent-1", now=NOW + timedelta(days=1))
    with pytest.raises(NotFoundError, match="which is no consent"):
        ledger.issue("permission")
    states = ledger.told("consent-1", now=NOW + timedelta(days=1))["dpv:hasConsentStatus"]
    assert [each["dct:identifier"] for each in states] == ["consent-1"]


def test_a_receipt_stays_bounded_and_holds_its_own_record(ledger):
    many = [
        ConsentRequest(
            id=f"c-{number}",
            recipient="r-42",
            purpose="tips",
            state="granted",
            method="é" * 100,
            notice_version="é" * 100,
            captured_by="é" * 100,
            at=NOW - timedelta(days=EVENTS_MOST + 2 - number),
        )
        for number in range(EVENTS_MOST + 2)
    ]
    ledger.consents.record_many(many, now=NOW)
    issued = ledger.issue("c-0")
    ids = [each["dct:identifier"] for each in issued.receipt["dpv:hasRecordOfActivity"]["dpv:hasConsentStatus"]]
    assert ids == ["c-0", *(f"c-{number}" for number in range(2, EVENTS_MOST + 2))]
    assert verify_receipt(issued.jws, KEYS.public()) == issued.receipt


def test_what_is_signed_is_the_receipt(ledger):
    ledger.record("consent-1")
    issued = ledger.issue("consent-1", controller=ACME)
    assert verify_receipt(issued.jws, KEYS.public()) == issued.receipt


def test_another_implementation_verifies_a_receipt_by_the_published_key(ledger):
    ledger.record("consent-1")
    issued = ledger.issue("consent-1")
    header, payload, signature = issued.jws.split(".")
    (published,) = KEYS.public().as_jwks()["keys"]
    Ed25519PublicKey.from_public_bytes(_octets(published["x"])).verify(
        _octets(signature), f"{header}.{payload}".encode()
    )
    assert json.loads(_octets(header)) == {"alg": "EdDSA", "kid": published["kid"], "typ": "consent-receipt+jws"}
    assert json.loads(_octets(payload)) == issued.receipt


def _octets(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_nothing_else_that_the_service_signs_is_taken_for_a_receipt():
    with pytest.raises(SignatureError, match="its type is `offer\\+jws`, and not `consent-receipt\\+jws`"):
        verify_receipt(sign({}, "offer+jws", KEYS), KEYS.public())


def test_every_term_is_resolved_by_the_receipt_itself(ledger):
    ledger.record("consent-1", notice_version="1", jurisdiction="US-CA")
    receipt = ledger.issue("consent-1", controller=ACME).receipt
    known = {name for name, value in receipt["@context"].items() if isinstance(value, str)}
    assert _prefixes({name: value for name, value in receipt.items() if name != "@context"}) <= known


def _prefixes(value):
    """The prefix of every term, and of every value that stands for one."""
    if isinstance(value, dict):
        names = {name.partition(":")[0] for name in value if not name.startswith("@")}
        return names.union(*map(_prefixes, value.values()))
    if isinstance(value, list):
        return set().union(*map(_prefixes, value))
    prefix, colon, rest = value.partition(":")
    return {prefix} if colon and rest.replace("-", "_").isidentifier() else set()
