"""What is recorded and what is refused: purposes, double opt-in, notices, and where a record without a time goes."""

from __future__ import annotations

import itertools
from datetime import timedelta

import msgspec
import pytest

from guardrails.consent import ConsentRequest, ConsentService, NoticeRequest, NoticeService
from guardrails.core.purposes import Purpose
from guardrails.errors import CandidateError, ConflictError, GoneError, NotFoundError
from guardrails.storage.memory import Journal, MemoryTransactor
from stores import instant, memory_session

NOW = instant(12)
WEEK = timedelta(days=7)
TICK = timedelta(microseconds=1)


class Ledger:
    """Both services over one store, and what is declared."""

    def __init__(self) -> None:
        self.declared = {
            "offers": Purpose(id="offers", title="Offers"),
            "partners": Purpose(id="partners", title="Partners", double_opt_in=True),
        }
        numbers = itertools.count(1)
        transactor = MemoryTransactor(memory_session)
        self.consents = ConsentService(
            transactor, purposes=lambda: self.declared, new_id=lambda: f"new-{next(numbers)}", confirm_within=WEEK
        )
        self.notices = NoticeService(transactor, purposes=lambda: self.declared)

    def record(self, *, now=NOW, **fields):
        base = {"recipient": "r-1", "purpose": "offers", "state": "granted", "method": "form"}
        return self.consents.record(ConsentRequest(**(base | fields)), now=now)

    def problems(self, **fields):
        with pytest.raises(CandidateError) as caught:
            self.record(**fields)
        assert type(caught.value) is CandidateError
        return list(caught.value.problems)

    def pointers(self, **fields):
        return [pointer for pointer, _ in self.problems(**fields)]

    def keep(self, version="3", language="de", purposes=("offers",)):
        request = NoticeRequest(id="n", version=version, language=language, purposes=purposes, text=f"{language}?")
        return self.notices.add(request, now=NOW)

    def states(self, channel="push", **bounds):
        """State by purpose, of those that hold on the channel."""
        found = self.consents.standings("r-1", now=bounds.pop("now", NOW), **bounds)
        return {each.purpose: each.state for each in found if channel in each.channels}


@pytest.fixture
def ledger():
    return Ledger()


# --- purposes ---------------------------------------------------------------------------------------------------


def test_a_purpose_that_is_not_declared_is_refused_with_the_nearest(ledger):
    assert ledger.problems(purpose="ofers") == [
        ("/purpose", "`ofers` is not declared by the active policies; did you mean `offers`?")
    ]
    assert ledger.consents.history("r-1") == ()


def test_where_none_is_declared_any_purpose_goes(ledger):
    ledger.declared = {}
    assert ledger.record(purpose="whatever").purpose == "whatever"


@pytest.mark.parametrize("state", ["withdrawn", "denied", "expired"])
def test_what_is_declared_no_more_can_still_be_ended(ledger, state):
    ledger.record()
    del ledger.declared["offers"]
    assert ledger.record(state=state).state == state
    assert ledger.pointers(state="granted") == ["/purpose"]
    assert ledger.pointers(state="pending") == ["/purpose"]
    assert ledger.pointers(state=state, recipient="r-2") == ["/purpose"], "a slip of the pen ends nothing"


def test_what_is_wrong_is_told_all_at_once_in_the_order_of_the_request(ledger):
    assert ledger.pointers(
        purpose="x", at=instant(14), notice_id="n", expires_at=instant(13)
    ) == ["/purpose", "/at", "/notice_version", "/expires_at"]  # fmt: skip


def test_the_same_request_again_returns_the_first_record_whatever_is_declared_by_then(ledger):
    first = ledger.record(id="c-1", expires_at=instant(13))
    ledger.declared = {"other": Purpose(id="other", title="Other")}
    assert ledger.record(id="c-1", expires_at=instant(13), now=instant(20)) == first


# --- where a record without a time goes -------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["withdrawn", "denied"])
def test_a_withdrawal_is_not_outrun_by_a_clock_that_is_ahead(ledger, ending):
    granted = ledger.record(now=instant(12, 4))
    ended = ledger.record(state=ending, now=NOW)
    assert ended.at == granted.at
    assert ended.recorded_at == NOW
    assert ledger.states() == {"offers": ending}


def test_whoever_agrees_again_has_agreed_whatever_the_clocks(ledger):
    ledger.record(state="withdrawn", now=instant(12, 4))
    ledger.record(now=NOW)
    assert ledger.states() == {"offers": "granted"}


def test_a_grant_by_a_clock_that_is_ahead_is_told_with_the_instant_from_which_on_it_counts(ledger):
    ledger.record(now=instant(12, 4))
    (standing,) = ledger.consents.standings("r-1", now=NOW)
    assert (standing.state, standing.since) == ("granted", instant(12, 4))


def test_what_comes_in_one_instant_stands_in_the_order_of_its_arrival(ledger):
    states = ["granted", "withdrawn", "granted", "denied"]
    requests = [ConsentRequest(recipient="r-1", purpose="offers", state=state, method="form") for state in states]
    results = ledger.consents.record_many(requests, now=NOW)
    assert ledger.consents.history("r-1") == tuple(results)
    assert {each.at for each in results} == {NOW}
    assert ledger.states() == ledger.states(as_of=NOW) == {"offers": "denied"}


class Together:
    """A transactor that runs all that is asked of it in one unit, in the order in which it was asked."""

    def __init__(self) -> None:
        self.waiting = []

    def call(self, handler, item, **_):
        self.waiting.append((handler, item))
        return [None] * len(item)

    def run(self):
        handler = self.waiting[0][0]
        results = handler(memory_session(Journal()), [item for _, item in self.waiting])
        return [each for of_one_call in results for each in of_one_call]


def test_what_several_callers_record_in_one_unit_stands_in_the_order_of_its_arrival_too():
    together = Together()
    service = ConsentService(together, purposes=dict, new_id=iter("abc").__next__)
    for state, now in [("granted", instant(12, 4)), ("withdrawn", NOW), ("denied", instant(12, 2))]:
        request = ConsentRequest(recipient="r-1", purpose="offers", state=state, method="form")
        service.record_many([request], now=now)
    assert [each.at for each in together.run()] == [instant(12, 4)] * 3


def test_only_records_of_the_same_recipient_and_purpose_are_stood_behind(ledger):
    ledger.record(now=instant(12, 4))
    assert ledger.record(purpose="partners", state="pending").at == NOW
    assert ledger.record(recipient="r-2").at == NOW


def test_a_pending_record_is_stood_behind_too(ledger):
    ledger.record(state="pending", now=instant(12, 4))
    assert ledger.record(state="withdrawn").at == instant(12, 4)


def test_a_time_that_was_said_stays_as_it_was_said(ledger):
    ledger.record(now=instant(12, 4))
    assert ledger.record(state="withdrawn", at=instant(11)).at == instant(11)
    assert ledger.states() == {"offers": "granted"}


def test_a_withdrawal_that_was_moved_is_the_same_when_repeated(ledger):
    ledger.record(now=instant(12, 4))
    first = ledger.record(id="w", state="withdrawn")
    assert ledger.record(id="w", state="withdrawn", now=instant(13)) == first


@pytest.mark.parametrize("ending", ["withdrawn", "denied"])
@pytest.mark.parametrize("said", [NOW, NOW - timedelta(minutes=5), NOW + timedelta(minutes=5)], ids=str)
def test_a_refusal_of_as_long_ago_as_clocks_differ_is_not_outrun_by_a_clock_that_is_ahead(ledger, ending, said):
    ledger.record(now=instant(12, 4))
    assert ledger.record(state=ending, at=said).at == instant(12, 4)
    assert ledger.states(now=instant(12, 4)) == {"offers": ending}


def test_a_refusal_in_whole_seconds_is_not_outrun_by_a_grant_of_the_same_second(ledger):
    ledger.record(now=NOW + timedelta(milliseconds=300))
    ledger.record(state="withdrawn", at=NOW, now=NOW + timedelta(milliseconds=800))
    assert ledger.states() == {"offers": "withdrawn"}


def test_a_refusal_of_longer_ago_stays_where_it_was_said(ledger):
    ledger.record()
    assert (
        ledger.record(state="withdrawn", at=NOW - timedelta(minutes=5) - TICK).at == NOW - timedelta(minutes=5) - TICK
    )
    assert ledger.states() == {"offers": "granted"}


@pytest.mark.parametrize("state", ["granted", "pending", "expired"])
def test_what_is_no_refusal_stays_where_it_was_said(ledger, state):
    ledger.record(state="withdrawn")
    assert ledger.record(state=state, at=NOW - TICK).at == NOW - TICK
    assert ledger.states() == {"offers": "withdrawn"}


@pytest.mark.parametrize("state", ["granted", "withdrawn"])
@pytest.mark.parametrize("ahead", [timedelta(minutes=5), timedelta(seconds=5)], ids=str)
def test_the_same_request_again_is_the_same_where_the_callers_clock_is_ahead(ledger, state, ahead):
    ledger.record(now=instant(12, 4))
    first = ledger.record(id="c-1", state=state, at=NOW + ahead)
    for wait in (timedelta(seconds=2), timedelta(seconds=8), timedelta(days=1)):
        assert ledger.record(id="c-1", state=state, at=NOW + ahead, now=NOW + wait) == first


@pytest.mark.parametrize("state", ["granted", "withdrawn"])
def test_another_time_under_the_same_id_is_a_conflict_though_clocks_differ_by_less(ledger, state):
    ledger.record(id="c-1", state=state, at=NOW - timedelta(seconds=9))
    with pytest.raises(ConflictError):
        ledger.record(id="c-1", state=state, at=NOW - timedelta(seconds=8))


def test_what_was_moved_is_the_same_when_it_comes_back_with_the_time_that_it_was_given(ledger):
    """As the rows of an export do."""
    ledger.record(state="denied", now=instant(12, 4))
    moved = ledger.record(id="c-1")
    assert moved.at == instant(12, 4)
    assert ledger.record(id="c-1", at=moved.at, now=instant(20)) == moved


# --- double opt-in ----------------------------------------------------------------------------------------------


def pending(ledger, **fields):
    return ledger.record(**({"id": "p", "purpose": "partners", "state": "pending"} | fields))


def test_a_purpose_with_double_opt_in_takes_no_direct_grant(ledger):
    (problem,) = ledger.problems(purpose="partners")
    assert problem == (
        "/state",
        "`partners` is granted by double opt-in: record it as `pending`, and have it confirmed",
    )


@pytest.mark.parametrize("purpose", ["partners", "offers"])
def test_what_was_confirmed_elsewhere_is_taken_with_its_evidence(ledger, purpose):
    """Whatever the purpose demands: a policy may demand it too."""
    assert ledger.pointers(purpose=purpose, method="double_opt_in") == ["/evidence"]
    ledger.record(purpose=purpose, method="double_opt_in", evidence={"mail": "m-7"})
    assert ledger.states() == {purpose: "granted"}


def test_what_ends_a_consent_by_a_method_of_that_name_needs_no_evidence(ledger):
    ledger.record(method="double_opt_in", state="withdrawn")
    assert ledger.states() == {"offers": "withdrawn"}


def test_where_nothing_is_declared_a_confirmed_grant_needs_its_evidence_too(ledger):
    ledger.declared = {}
    assert ledger.pointers(method="double_opt_in") == ["/evidence"]


def test_what_waits_counts_for_nothing_and_what_is_confirmed_does(ledger):
    pending(ledger)
    assert ledger.states() == {}
    ledger.consents.confirm("p", now=instant(13))
    assert ledger.states() == {"partners": "granted"}


def test_a_confirmed_grant_says_what_the_pending_record_said(ledger):
    said = {
        "channels": ("email", "push"),
        "notice_version": "3",
        "language": "de",
        "evidence": {"form": 7},
        "jurisdiction": "DE",
        "captured_by": "app",
        "expires_at": instant(12) + 2 * WEEK,
        "at": instant(11),
    }
    waiting = pending(ledger, **said)
    granted = ledger.consents.confirm("p", now=instant(13))
    assert granted == msgspec.structs.replace(
        waiting,
        id=granted.id,
        state="granted",
        at=instant(13),
        method="double_opt_in",
        recorded_at=instant(13),
        confirms="p",
    )
    assert granted.expires_at == instant(12) + 2 * WEEK
    assert ledger.consents.history("r-1") == (waiting, granted)


def test_confirmed_again_it_is_the_same_grant_whenever_that_is(ledger):
    pending(ledger)
    granted = ledger.consents.confirm("p", now=instant(13))
    ledger.record(purpose="partners", state="withdrawn", at=instant(12), method="late_arrival", now=instant(14))
    ledger.record(purpose="partners", state="expired", now=instant(14))
    assert ledger.consents.confirm("p", now=NOW + 2 * WEEK) == granted
    assert ledger.states(now=instant(15)) == {"partners": "expired"}


@pytest.mark.parametrize("method", ["form", "gpc"])
@pytest.mark.parametrize("ending", ["withdrawn", "denied"])
def test_confirmed_again_after_a_later_withdrawal_it_is_void(ledger, ending, method):
    pending(ledger)
    ledger.consents.confirm("p", now=instant(13))
    ledger.record(id="w", purpose="partners", state=ending, method=method, now=instant(14))
    for look in (ledger.consents.awaiting, ledger.consents.confirm):
        with pytest.raises(ConflictError, match=f"`p` can't be confirmed any more: `w` has {ending} it later"):
            look("p", now=instant(15))
    ledger.record(purpose="partners", state="granted", method="double_opt_in", evidence={"by": "call"}, now=instant(16))
    with pytest.raises(ConflictError):
        ledger.consents.confirm("p", now=instant(17))


@pytest.mark.parametrize("ending", ["withdrawn", "denied"])
def test_a_later_withdrawal_makes_a_pending_record_void(ledger, ending):
    pending(ledger)
    ledger.record(id="w", purpose="partners", state=ending)
    with pytest.raises(ConflictError, match=f"`p` can't be confirmed any more: `w` has {ending} it later"):
        ledger.consents.confirm("p", now=instant(13))
    assert ledger.states(now=instant(13)) == {"partners": ending}


@pytest.mark.parametrize(
    ("waiting", "ending", "is_void"),
    [
        (None, ("email",), True),
        (("email",), None, True),
        (("email", "push"), ("push", "sms"), True),
        (("email",), ("push",), False),
    ],
)
def test_what_was_withdrawn_on_other_channels_does_not_void_it(ledger, waiting, ending, is_void):
    pending(ledger, channels=waiting)
    ledger.record(purpose="partners", state="withdrawn", channels=ending)
    if is_void:
        with pytest.raises(ConflictError):
            ledger.consents.confirm("p", now=instant(13))
    else:
        assert ledger.consents.confirm("p", now=instant(13)).channels == waiting


def test_a_withdrawal_before_it_does_not_void_it(ledger):
    ledger.record(purpose="partners", state="withdrawn")
    pending(ledger)
    ledger.record(purpose="partners", state="withdrawn", at=instant(11), method="late_arrival")
    ledger.record(purpose="partners", state="expired")
    ledger.consents.confirm("p", now=instant(13))
    assert ledger.states(now=instant(13)) == {"partners": "granted"}


def test_a_confirmation_is_not_outrun_by_the_clock_of_what_it_confirms(ledger):
    pending(ledger, now=instant(12, 4))
    assert ledger.consents.confirm("p", now=NOW).at == instant(12, 4)
    assert ledger.states() == {"partners": "granted"}


@pytest.mark.parametrize(
    ("said", "until"),
    [
        ({}, NOW + WEEK),
        ({"expires_at": NOW + timedelta(days=1)}, NOW + timedelta(days=1)),
        ({"at": instant(8)}, instant(8) + WEEK),
        ({"at": NOW + timedelta(minutes=4)}, NOW + WEEK),
    ],
    ids=["as recorded", "its own end", "asked earlier", "a clock ahead"],
)
def test_it_can_be_confirmed_until_its_time_is_over(ledger, said, until):
    waiting = pending(ledger, **said)
    assert ledger.consents.confirm_by(waiting) == until
    with pytest.raises(GoneError, match="`p` was to be confirmed before"):
        ledger.consents.confirm("p", now=until)
    ledger.consents.confirm("p", now=until - TICK)


def test_what_stands_behind_a_clock_that_is_ahead_waits_no_longer(ledger):
    ledger.record(purpose="partners", state="denied", now=instant(12, 4))
    waiting = pending(ledger)
    assert (waiting.at, ledger.consents.confirm_by(waiting)) == (instant(12, 4), NOW + WEEK)


def test_what_was_asked_long_before_it_was_recorded_can_not_be_confirmed_any_more(ledger):
    pending(ledger, at=NOW - timedelta(days=700))
    with pytest.raises(GoneError):
        ledger.consents.confirm("p", now=instant(13))


def test_what_is_declared_no_more_can_not_be_confirmed(ledger):
    pending(ledger)
    partners = ledger.declared.pop("partners")
    message = "`p` can't be confirmed any more: `partners` is not declared by the active policies"
    for look in (ledger.consents.awaiting, ledger.consents.confirm):
        with pytest.raises(ConflictError, match=message):
            look("p", now=instant(13))
    ledger.declared["partners"] = partners
    granted = ledger.consents.confirm("p", now=instant(13))
    ledger.declared = {"other": Purpose(id="other", title="Other")}
    assert ledger.consents.confirm("p", now=instant(14)) == granted


def test_where_nothing_is_declared_whatever_waits_can_be_confirmed(ledger):
    pending(ledger)
    ledger.declared = {}
    assert ledger.consents.confirm("p", now=instant(13)).state == "granted"


def test_what_is_not_there_or_not_pending_can_not_be_confirmed(ledger):
    ledger.record(id="g")
    with pytest.raises(ConflictError, match="`g` is `granted`: there is nothing to confirm"):
        ledger.consents.confirm("g", now=NOW)
    with pytest.raises(NotFoundError, match="no consent `nothing` is recorded"):
        ledger.consents.confirm("nothing", now=NOW)


# --- an operating system's permission ---------------------------------------------------------------------------

NEAR_MISSES = [
    "OS_PERMISSION",
    "os-permission",
    "os_permission ",
    "osPermission",
    "OS permission",
    "\uff4fs_permission",
]


@pytest.mark.parametrize("method", NEAR_MISSES)
@pytest.mark.parametrize("state", ["granted", "pending"])
def test_a_permission_by_nearly_its_name_is_not_taken_for_a_consent(ledger, method, state):
    assert ledger.problems(method=method, state=state) == [
        ("/method", "write `os_permission`, as it is: by any other name it would count as a consent")
    ]


def test_whatever_takes_one_back_is_taken_by_any_name(ledger):
    assert ledger.record(method="OS_PERMISSION", state="denied").method == "OS_PERMISSION"


def test_a_permission_by_its_name_is_recorded_and_no_consent(ledger):
    ledger.record(method="os_permission")
    assert ledger.states() == {}


# --- notices ----------------------------------------------------------------------------------------------------


def test_a_consent_carries_the_hash_of_the_notice_that_it_names(ledger):
    german, english = ledger.keep(), ledger.keep(language="en")
    recorded = ledger.record(notice_id="n", notice_version="3", language="en")
    assert (recorded.notice_hash, recorded.notice_hash == german.hash) == (english.hash, False)


def test_a_notice_in_one_language_need_not_say_which(ledger):
    kept = ledger.keep()
    recorded = ledger.record(id="c", notice_id="n", notice_version="3")
    assert (recorded.notice_hash, recorded.language) == (kept.hash, None)
    ledger.keep(language="en")
    assert ledger.record(id="c", notice_id="n", notice_version="3") == recorded


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ({"notice_id": "m", "notice_version": "3"}, ("/notice_id", "no notice `m` of version `3` is kept")),
        ({"notice_id": "n", "notice_version": "4"}, ("/notice_id", "no notice `n` of version `4` is kept")),
        (
            {"notice_id": "n", "notice_version": "3", "language": "de-DE"},
            ("/notice_id", "no notice `n` of version `3` in `de-DE` is kept"),
        ),
        ({"notice_id": "n"}, ("/notice_version", "is needed beside `notice_id`")),
        ({"notice_id": "n", "notice_version": "3"}, ("/language", "the notice is kept in `de`, `en`")),
        (
            {"notice_id": "n", "notice_version": "3", "language": "de", "purpose": "partners", "state": "pending"},
            ("/notice_id", "the notice `n` tells of `offers`, not of `partners`"),
        ),
    ],
)
def test_a_notice_that_says_nothing_of_it_is_refused(ledger, named, problem):
    ledger.keep()
    ledger.keep(language="en")
    ((pointer, message),) = ledger.problems(**named)
    assert (pointer, message[: len(problem[1])]) == problem


def test_a_withdrawal_may_name_a_notice_of_something_else(ledger):
    kept = ledger.keep()
    withdrawn = ledger.record(purpose="partners", state="withdrawn", notice_id="n", notice_version="3")
    assert withdrawn.notice_hash == kept.hash


def test_a_version_without_an_id_is_taken_as_it_is(ledger):
    recorded = ledger.record(notice_version="from the old system")
    assert (recorded.notice_version, recorded.notice_hash) == ("from the old system", None)


# --- reading ----------------------------------------------------------------------------------------------------


def test_one_record_is_read_by_its_id(ledger):
    recorded = ledger.record(id="c")
    assert ledger.consents.read("c") == recorded
    with pytest.raises(NotFoundError):
        ledger.consents.read("d")


def test_a_long_history_is_read_page_by_page(ledger):
    recorded = [ledger.record(now=instant(9, minute)) for minute in range(5)]
    first = ledger.consents.page("r-1", most=2)
    second = ledger.consents.page("r-1", most=2, after=first.next)
    third = ledger.consents.page("r-1", most=2, after=second.next)
    assert [*first.consents, *second.consents, *third.consents] == recorded
    assert (first.next, second.next, third.next) == (recorded[1].id, recorded[3].id, None)
    assert ledger.consents.page("r-1", as_of=instant(9, 1), most=2) == (tuple(recorded[:2]), None)
    assert ledger.consents.page("nobody") == ((), None)


@pytest.mark.parametrize("after", ["nothing", "other"])
def test_a_page_follows_on_a_record_of_the_same_recipient_only(ledger, after):
    ledger.record(id="other", recipient="r-2")
    with pytest.raises(CandidateError) as caught:
        ledger.consents.page("r-1", after=after)
    assert list(caught.value.problems) == [("/after", f"`{after}` is no record of this recipient")]


def test_standings_are_told_by_purpose_as_of_any_time(ledger):
    ledger.record(at=instant(8), expires_at=instant(11))
    ledger.record(purpose="partners", state="denied", at=instant(9), channels=("email",))
    assert ledger.states("email", as_of=instant(7)) == {}
    assert ledger.states("email", as_of=instant(8)) == {"offers": "granted"}
    assert ledger.states("email", as_of=instant(10)) == {"offers": "granted", "partners": "denied"}
    assert ledger.states("email") == {"offers": "expired", "partners": "denied"}
    assert ledger.states("push") == {"offers": "expired"}
