from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from guardrails.bootstrap import compiler, in_memory_application
from guardrails.consent import ConsentRequest
from guardrails.core.candidate import Candidate
from guardrails.decide.records import COMPILED_MOST, Records
from guardrails.errors import NotFoundError, PolicyError
from guardrails.policyfile.loader import load_policy_files

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
POLICIES = """\
apiVersion: guardrails/v1
purposes:
  - {id: offers, title: Offers, shared_with: [], benefit: Lower prices}
policies:
  - id: with-a-yes
    kind: consent_required
    title: Only with a yes
    applies_to: {content.class: sponsored}
    purpose: offers
  - id: with-a-young-yes
    kind: consent_required
    applies_to: {content.class: sponsored}
    purpose: offers
    max_age: 365d
  - id: can-be-switched-off
    kind: content_toggle
    applies_to: {content.class: sponsored}
    toggle: sponsored
    default: "on"
  - id: only-watched
    kind: rule
    mode: monitor
    deny_when: {channel: voice}
"""


def candidate(number, **changes):
    fields = {
        "id": f"c-{number}",
        "lane": "monetized",
        "channel": "push",
        "recipient": {"id": "r-1"},
        "content": {"class": "sponsored"},
    }
    return msgspec.convert(fields | changes, Candidate)


def decide(app, asked, **given):
    (answer,) = app.decider.decide([asked], **given)
    return answer.decision


@pytest.fixture
def app(make_application):
    application = make_application(POLICIES, clock=lambda: NOW)
    application.consents.record(
        ConsentRequest(id="yes", recipient="r-1", purpose="offers", state="granted", method="form"), now=NOW
    )
    return application


@pytest.fixture
def make_application():
    opened = []

    def make(policies, **given):
        policy_set = load_policy_files({"policies.yaml": policies})
        opened.append(in_memory_application(policy_set, compiled=compiler("native")(policy_set), **given))
        return opened[-1]

    yield make
    for application in opened:
        application.close()


def test_an_allow_tells_what_spoke_for_it_and_the_consents_that_it_rests_on(app):
    decision = decide(app, candidate(1))
    (record,) = app.records.allowed("r-1", 10)
    assert (record.decision_id, record.state, record.at) == (decision.decision_id, "reserved", NOW)
    assert record.candidate == candidate(1)
    own = [policy.id for policy in record.policies if not policy.builtin]
    assert own == ["with-a-yes", "with-a-young-yes", "can-be-switched-off"]
    (reliance,) = record.consents
    assert (reliance.purpose, reliance.declared.benefit, reliance.record) == ("offers", "Lower prices", "yes")


def test_denies_and_what_others_got_are_none_of_theirs(app):
    decide(app, candidate(1, recipient={"id": "r-2"}))
    decide(app, candidate(2, lane="transactional", content={"class": "transactional"}, recipient={"id": "r-2"}))
    assert app.records.allowed("r-1", 10) == ()
    assert [record.candidate.id for record in app.records.allowed("r-2", 10)] == ["c-2"]


def test_only_so_many_are_told_the_newest(app):
    for number in range(3):
        decide(app, candidate(number), now=NOW + timedelta(minutes=number))
    assert [record.candidate.id for record in app.records.allowed("r-1", 2)] == ["c-2", "c-1"]


def test_an_allow_that_nothing_was_reported_of_has_expired(make_application):
    clock = [NOW]
    app = make_application(POLICIES, clock=lambda: clock[0])
    plain = candidate(1, lane="transactional", content={"class": "transactional"})
    decided = decide(app, plain)
    clock[0] = NOW + timedelta(days=1)
    (record,) = app.records.allowed("r-1", 10)
    assert (record.state, record.consents) == ("expired", ())
    assert app.records.read(decided.decision_id).state == "expired"


def records_that_compile(app, compile_files):
    return Records(app.transactor, compile_files=compile_files, clock=lambda: NOW)


def test_what_is_decided_by_policies_that_do_not_load_any_more_is_told_without_them(app):
    decide(app, candidate(1))

    def refuse(files):
        raise PolicyError("an old word")

    (record,) = records_that_compile(app, refuse).allowed("r-1", 10)
    assert (record.candidate.id, record.policies, record.consents) == ("c-1", (), None)


def test_an_allow_that_was_made_without_its_facts_is_told_without_them(app, monkeypatch):
    plain = candidate(1, lane="transactional", content={"class": "transactional"})

    class Broken:
        def evaluate(self, selection, facts):
            raise ZeroDivisionError

    compiled = app.policies.snapshot
    monkeypatch.setattr(app.policies, "snapshot", msgspec.structs.replace(compiled, engine=Broken(), native=Broken()))
    decision = decide(app, plain)
    assert (decision.effect, decision.degraded) == ("allow", True)
    (record,) = app.records.allowed("r-1", 10)
    assert (record.policies, record.consents) == ((), None)
    assert app.records.read(decision.decision_id).traces == ()


def test_some_policy_sets_stay_compiled_and_the_oldest_goes_first(app):
    compiled = []

    def compile_files(files):
        compiled.append(files)
        return app.policies.snapshot

    records = records_that_compile(app, compile_files)
    for revision in [*range(COMPILED_MOST), 0, COMPILED_MOST, 1, 0]:
        records._compiled_for(str(revision), {"revision": str(revision)})
    assert [each["revision"] for each in compiled] == [*map(str, range(COMPILED_MOST + 1)), "0"]


def test_there_is_no_record_of_what_was_not_decided(app):
    with pytest.raises(NotFoundError):
        app.records.read("d-1")
