"""A consent receipt as a document: the fields of ISO/IEC TS 27560:2023, in JSON-LD, in the words of W3C's DPV.

The mapping is that of the Data Privacy Vocabularies group's guide, https://w3id.org/dpv/guides/consent-27560: a
`dpv:ConsentReceipt` around a copy of one `dpv:ConsentRecord`. What is not known is left out, never made up: of what the
standard demands a receipt has as much as the operator tells, who names the controller (docs/operations.md) and the data
that each purpose uses. It says nothing of how long data is stored, which nothing here sees to. The context stands in
the document itself, so that it can be read, and verified, without asking anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from guardrails.consent.checks import GIVING
from guardrails.consent.notices import Notice
from guardrails.consent.values import ConsentEvent, State
from guardrails.core.controller import Controller
from guardrails.core.purposes import LawfulBasis, Purpose, Sharing

__all__ = ["Grounds", "receipt_document", "shown_with"]

Json = dict[str, Any]

SCHEMA = "https://w3id.org/dpv/schema/dpv-27560"

CONTEXT: Mapping[str, object] = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "loc": "https://w3id.org/dpv/loc#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "schema": "https://schema.org/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dct:conformsTo": {"@type": "@id"},
    "dct:created": {"@type": "xsd:dateTime"},
    "dpv:hasJurisdiction": {"@type": "@id"},
    "dpv:hasLegalBasis": {"@type": "@id"},
    "dpv:hasLocation": {"@type": "@id"},
    "dpv:hasImpactOn": {"@type": "@id"},
    "dpv:hasProcessing": {"@type": "@id"},
    "dpv:isExercisedAt": {"@type": "@id"},
    "dpv:isIndicatedAtTime": {"@type": "xsd:dateTime"},
    "dpv:isIndicatedBy": {"@type": "@id"},
    "schema:recipient": {"@type": "@id"},
    "schema:url": {"@type": "@id"},
}

STATES: Mapping[State, str] = {
    "granted": "dpv:ConsentGiven",
    "withdrawn": "dpv:ConsentWithdrawn",
    "denied": "dpv:ConsentRefused",
    "expired": "dpv:ConsentExpired",
    "pending": "dpv:ConsentRequested",
}
BASES: Mapping[LawfulBasis, str] = {
    "consent": "dpv:Consent",
    "contract": "dpv:Contract",
    "legal_obligation": "dpv:LegalObligation",
    "vital_interests": "dpv:VitalInterest",
    "public_task": "dpv:PublicInterest",
    "legitimate_interests": "dpv:LegitimateInterest",
}


class Grounds(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a receipt is made of.

    `history` holds what is recorded of the recipient under the record's purpose, oldest first, the record included;
    `shown` is the one of them that names what the recipient was shown when they spoke, and `notice` that notice, where
    it is registered. `declared` is the purpose as it is declared today, None where it isn't.
    """

    record: ConsentEvent
    history: Sequence[ConsentEvent]
    shown: ConsentEvent
    notice: Notice | None
    declared: Purpose | None
    controller: Controller | None


def receipt_document(grounds: Grounds, *, receipt_id: str, now: datetime) -> Json:
    """The receipt for one record, with all that became of the consent until `now`."""
    controller = grounds.controller
    return {
        "@context": dict(CONTEXT),
        "@type": "dpv:ConsentReceipt",
        "dct:identifier": receipt_id,
        "dct:conformsTo": f"{SCHEMA}#receipt-record",
        "dct:created": _instant(now),
        **_known("dct:publisher", controller and controller.name),
        "schema:recipient": "dpv:DataSubject",
        "dpv:hasRecordOfActivity": _record(grounds),
    }


def shown_with(record: ConsentEvent, history: Iterable[ConsentEvent]) -> ConsentEvent:
    """The record itself where it names a notice or gives a consent, else the last one before it that does.

    A yes that names no notice was given on none that is known, and what takes it back names none either.
    """
    shown = record
    for event in history:
        if event.notice_version is not None or event.state in GIVING:
            shown = event
        if event.id == record.id:
            break
    return shown


def _record(grounds: Grounds) -> Json:
    record, controller = grounds.record, grounds.controller
    return {
        "@type": "dpv:ConsentRecord",
        "dct:identifier": record.id,
        "dct:conformsTo": f"{SCHEMA}#record",
        "dct:created": _instant(record.recorded_at),
        "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": record.recipient},
        **_known("dpv:hasDataController", controller and _controller(controller)),
        **_known("dpv:hasJurisdiction", _location(record.jurisdiction)),
        **_known("dpv:hasNotice", _notice(grounds.shown)),
        "dpv:hasProcess": _process(grounds),
        **_known("dpv:hasConsentControl", controller and _exercised("dpv:WithdrawConsent", controller.withdraw_at)),
        **_known("dpv:hasRight", controller and _exercised("dpv:DataSubjectRight", controller.rights_at)),
        "dpv:hasConsentStatus": [_status(event) for event in grounds.history],
    }


def _process(grounds: Grounds) -> Json:
    """What is done under the purpose: in the words of the notice that was shown, else in those of today."""
    purpose, declared = grounds.record.purpose, grounds.declared
    shown = grounds.notice and next((each for each in grounds.notice.purposes if each.id == purpose), None)
    said = shown or declared
    data, shared_with = (said.data, said.shared_with) if said else ((), ())
    return {
        "@type": "dpv:Process",
        "dpv:hasPurpose": {
            "@type": "dpv:Purpose",
            "dct:identifier": purpose,
            **_known("dct:title", said and said.title),
        },
        "dpv:hasLegalBasis": BASES[declared.lawful_basis if declared else "consent"],
        "dpv:hasProcessing": ["dpv:Use", "dpv:Share"] if shared_with else ["dpv:Use"],
        **_known(
            "dpv:hasPersonalData", [_personal_data(each) for each in (*data, *(other.what for other in shared_with))]
        ),
        **_known("dpv:hasRecipient", [_third_party(each) for each in shared_with] or (said and _nobody_else(grounds))),
        **_known("dpv:hasStorageCondition", _storage(grounds.controller)),
        **_known("dpv:hasImpact", said and said.benefit and _benefit(said.benefit)),
    }


def _third_party(sharing: Sharing) -> Json:
    return {"@type": "dpv:ThirdParty", "dpv:hasName": sharing.whom, "dpv:hasPersonalData": _personal_data(sharing.what)}


def _nobody_else(grounds: Grounds) -> list[Json]:
    """Who gets the data where nothing is shared: the controller, where it is known."""
    controller = grounds.controller
    return [] if controller is None else [{"@type": "dpv:DataController", "dpv:hasName": controller.name}]


def _personal_data(what: str) -> Json:
    return {"@type": "dpv:PersonalData", "dct:description": what}


def _benefit(text: str) -> Json:
    return {
        "@type": "dpv:Impact",
        "dct:title": "benefit to the recipient",
        "dct:description": text,
        "dpv:hasImpactOn": "dpv:DataSubject",
    }


def _storage(controller: Controller | None) -> list[Json]:
    if controller is None or not controller.storage_locations:
        return []
    return [
        {"@type": "dpv:StorageLocation", "dpv:hasLocation": [_location(each) for each in controller.storage_locations]}
    ]


def _controller(controller: Controller) -> Json:
    return {
        "@type": "dpv:DataController",
        **_known("@id", controller.url),
        "dpv:hasIdentifier": controller.url or controller.name,
        "dpv:hasName": controller.name,
        "dpv:hasAddress": controller.address,
        "dpv:hasContact": controller.contact,
        **_known("schema:url", controller.url),
    }


def _exercised(type_: str, at: str | None) -> Json | None:
    return {"@type": type_, "dpv:isExercisedAt": at} if at else None


def _notice(event: ConsentEvent) -> Json | None:
    """What the recipient was shown, as the record names it; `schema:sha256` is of the registered notice's content."""
    if event.notice_version is None:
        return None
    return {
        "@type": "dpv:ConsentNotice",
        **_known("dct:identifier", event.notice_id),
        "schema:version": event.notice_version,
        **_known("dct:language", event.language),
        **_known("schema:sha256", event.notice_hash and event.notice_hash.removeprefix("sha256:")),
    }


def _status(event: ConsentEvent) -> Json:
    spoke = "dpv:DataController" if event.state == "expired" else "dpv:DataSubject"
    return {
        "@type": [STATES[event.state], "dpv:ExpressedConsent"] if event.state == "granted" else STATES[event.state],
        "dct:identifier": event.id,
        "dpv:isIndicatedAtTime": _instant(event.at),
        "dpv:isIndicatedBy": spoke,
        "dpv:hasIndicationMethod": event.method,
        "dpv:hasDuration": _validity(event),
        **_known("dpv:hasScope", event.channels and [f"channel {channel}" for channel in event.channels]),
        **_known("dpv:hasJurisdiction", _location(event.jurisdiction)),
        **_known("dpv:hasNotice", _notice(event)),
        **_known("dct:creator", event.captured_by),
        **_known("dct:references", event.confirms),
        "dct:created": _instant(event.recorded_at),
    }


def _validity(event: ConsentEvent) -> Json:
    if event.expires_at is not None:
        return {
            "@type": "dpv:UntilTimeDuration",
            "rdf:value": {"@type": "xsd:dateTime", "@value": _instant(event.expires_at)},
        }
    until = {"granted": "withdrawal", "pending": "confirmation"}.get(event.state, "new consent")
    return {"@type": "dpv:UntilEventDuration", "rdf:value": until}


def _known(name: str, value: object) -> Json:
    """The field, where there is something to say."""
    return {name: value} if value else {}


def _location(code: str | None) -> str | None:
    return code and f"loc:{code}"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
