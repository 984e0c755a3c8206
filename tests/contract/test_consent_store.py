from __future__ import annotations

import pytest

from guardrails.consent import ConsentEvent, ConsentRequest, ConsentService, SqlConsents
from guardrails.core.needs import ConsentQuery, ConsentState
from guardrails.errors import CandidateError
from guardrails.storage.connections import Database
from round_trips import statements
from stores import instant, sql_session, sqlite_url


def event(number: int, **changes) -> ConsentEvent:
    fields = {
        "id": f"e-{number}",
        "recipient": "r-1",
        "purpose": "sponsored_content",
        "state": "granted",
        "at": instant(9),
        "method": "settings_screen",
        "recorded_at": instant(10),
    }
    return ConsentEvent(**(fields | changes))


QUERY = ConsentQuery("r-1", "sponsored_content", "push")


def read(do, query=QUERY) -> ConsentState:
    return do(lambda session: session.consents.read([query]))[query]


def append(do, *events) -> None:
    do(lambda session: session.consents.append(events))


def test_without_a_record_there_is_no_status(do):
    assert ConsentState() == read(do)


def test_a_record_answers_with_its_state_time_expiry_and_id(do):
    append(do, event(1, at=instant(9, 0, 0, 1), expires_at=instant(23)))
    assert ConsentState("granted", instant(9, 0, 0, 1), instant(23), "e-1", "settings_screen") == read(do)


def test_the_newest_by_time_speaks_whatever_arrived_last(do):
    append(do, event(1, at=instant(9), state="withdrawn"), event(2, at=instant(8)))
    assert ConsentState("withdrawn", instant(9), None, "e-1", "settings_screen") == read(do)


def test_of_records_of_the_same_instant_the_last_to_arrive_speaks(do):
    append(do, event(1), event(2, state="denied"))
    append(do, event(3), event(4, state="withdrawn"))
    assert read(do).record == "e-4"


def test_recipients_and_purposes_are_kept_apart(do):
    append(do, event(1), event(2, recipient="r-2", state="denied"), event(3, purpose="other", state="withdrawn"))
    queries = [
        QUERY,
        ConsentQuery("r-2", "sponsored_content", "push"),
        ConsentQuery("r-1", "other", "push"),
        ConsentQuery("r-2", "other", "push"),
    ]
    states = do(lambda session: session.consents.read(queries))
    assert [states[query].status for query in queries] == ["granted", "denied", "withdrawn", None]


def test_many_questions_are_answered_at_once(do):
    append(do, *(event(number, recipient=f"r-{number}") for number in range(1500)))
    queries = [ConsentQuery(f"r-{number}", "sponsored_content", "push") for number in range(3000)]
    states = do(lambda session: session.consents.read(queries))
    assert sum(state.status == "granted" for state in states.values()) == 1500
    assert set(queries) == set(states)


@pytest.mark.parametrize(
    "text", ["Ünïcode 🙂", "o'clock", '"quoted" \\ back', "line\nbreak", "\\u0000 spelt out", "[1]"]
)
def test_ids_are_taken_as_they_are(do, text):
    append(do, event(1, recipient=text, purpose=text))
    assert read(do, ConsentQuery(text, text, "push")).record == "e-1"


def test_an_id_with_nul_never_reads_as_another(do):
    append(do, event(1))
    query = ConsentQuery("r-1\0other", "sponsored_content", "push")
    try:
        state = read(do, query)
    except CandidateError:
        return
    assert ConsentState() == state


def test_history_is_in_order_of_time_then_arrival(do):
    append(do, event(1, at=instant(9)), event(2, at=instant(8)), event(3, at=instant(9)), event(4, recipient="r-2"))
    history = do(lambda session: session.consents.history("r-1"))
    assert [each.id for each in history] == ["e-2", "e-1", "e-3"]
    assert do(lambda session: session.consents.history("r-3")) == ()


def test_every_field_comes_back_as_it_was_recorded(do):
    whole = event(
        1,
        channels=("email", "in_app"),
        notice_id="partner-offers",
        notice_version="2026-03",
        notice_hash="sha256:00",
        language="de-DE",
        evidence={"screen": "settings", "boxes": [1, 2.5, None, {"ticked": True}]},
        jurisdiction="US-CA",
        captured_by="app 4.2",
        confirms="e-0",
        expires_at=instant(23, 59, 59, 999_999),
    )
    append(do, whole, event(2))
    assert {"e-1": whole, "e-2": event(2)} == dict(do(lambda session: session.consents.by_id(["e-1", "e-2", "e-3"])))


def test_a_decision_learns_what_the_record_says_of_its_proof(do):
    append(
        do, event(1, channels=("push",), notice_id="offers", notice_version="3", jurisdiction="DE", method="keyword")
    )
    assert read(do) == ConsentState(
        "granted", instant(9), None, "e-1", "keyword", "offers", "3", "DE", names_channel=True
    )


def test_a_record_speaks_on_its_channels_only(do):
    append(
        do,
        event(1),
        event(2, at=instant(10), state="withdrawn", channels=("email", "in_app")),
        event(3, at=instant(11), channels=("chat",)),
    )
    channels = ["push", "email", "in_app", "web_push", "chat"]
    queries = [ConsentQuery("r-1", "sponsored_content", channel) for channel in channels]
    states = do(lambda session: session.consents.read(queries))
    assert [states[query].record for query in queries] == ["e-1", "e-2", "e-2", "e-1", "e-3"]
    assert [states[query].names_channel for query in queries] == [False, True, True, False, True]


@pytest.mark.parametrize("channel", ["inXapp", "push%", "app", "", '","', "p_sh"])
def test_a_channel_is_compared_to_the_letter(do, channel):
    append(do, event(1, channels=("in_app", "push")))
    assert read(do, ConsentQuery("r-1", "sponsored_content", channel)) == ConsentState()


def test_what_waits_for_its_confirmation_says_nothing(do):
    append(do, event(1, state="pending"))
    assert read(do) == ConsentState()
    append(do, event(2, at=instant(8), state="denied"))
    assert read(do).record == "e-2"


def test_a_devices_permission_says_nothing_and_hides_nothing(do):
    append(do, event(1, at=instant(10), method="os_permission"))
    assert read(do) == ConsentState()
    append(do, event(2, at=instant(8), state="denied"))
    assert read(do).record == "e-2"
    assert do(lambda session: session.consents.read_at([QUERY], instant(11)))[QUERY].record == "e-2"


def test_a_permission_that_is_taken_back_speaks(do):
    append(do, event(1), event(2, at=instant(10), state="withdrawn", method="os_permission"))
    assert read(do).record == "e-2"


def test_a_point_in_time_sees_what_had_been_said_by_then(do):
    append(do, event(1, at=instant(9)), event(2, at=instant(10), state="withdrawn"), event(3, at=instant(10)))
    instants = [instant(8), instant(9), instant(9, 59, 59, 999_999), instant(10), instant(23)]
    found = [do(lambda session, at=at: session.consents.read_at([QUERY], at))[QUERY].record for at in instants]
    assert found == [None, "e-1", "e-1", "e-3", "e-3"]


def test_what_confirms_a_record_is_found_by_it(do):
    append(do, event(1, state="pending"), event(2, state="pending"), event(3, confirms="e-1"))
    found = do(lambda session: session.consents.confirmations(["e-1", "e-2", "e-3"]))
    assert dict(found) == {"e-1": event(3, confirms="e-1")}


def test_the_newest_instant_of_a_recipient_and_purpose_is_found_whatever_its_channel_or_state(do):
    append(
        do,
        event(1, at=instant(11), channels=("push",)),
        event(2, at=instant(12, 0, 0, 1), state="pending"),
        event(3, at=instant(13), purpose="other"),
        event(4, at=instant(14), recipient="r-2"),
    )
    pairs = [("r-1", "sponsored_content"), ("r-1", "other"), ("r-2", "sponsored_content"), ("r-2", "other")]
    assert dict(do(lambda session: session.consents.newest(pairs))) == {
        ("r-1", "sponsored_content"): instant(12, 0, 0, 1),
        ("r-1", "other"): instant(13),
        ("r-2", "sponsored_content"): instant(14),
    }


def test_purposes_are_those_of_which_anything_is_recorded(do):
    append(do, event(1, purpose="b"), event(2, purpose="a", state="pending"), event(3, purpose="b"))
    append(do, event(4, purpose="c", recipient="r-2"))
    assert do(lambda session: session.consents.purposes("r-1")) == ("a", "b")
    assert do(lambda session: session.consents.purposes("nobody")) == ()


def test_a_history_is_read_in_parts(do):
    append(
        do,
        event(1, at=instant(9)),
        event(2, at=instant(8)),
        event(3, at=instant(9), purpose="other"),
        event(4, at=instant(10)),
        event(5, at=instant(9)),
        event(6, at=instant(7), recipient="r-2"),
    )

    def history(**bounds):
        return [each.id for each in do(lambda session: session.consents.history("r-1", **bounds))]

    assert history() == ["e-2", "e-1", "e-3", "e-5", "e-4"]
    assert history(most=2) == ["e-2", "e-1"]
    assert history(after="e-1", most=2) == ["e-3", "e-5"]
    assert history(after="e-5") == ["e-4"]
    assert history(after="e-4") == []
    assert history(after="no record") == []
    assert history(as_of=instant(9), purpose="sponsored_content", after="e-2") == ["e-1", "e-5"]
    assert history(as_of=instant(8, 59)) == ["e-2"]
    for most, wanted in ((2, ["e-5", "e-4"]), (9, ["e-2", "e-1", "e-3", "e-5", "e-4"]), (0, [])):
        assert [each.id for each in do(lambda session, most=most: session.consents.latest("r-1", most=most))] == wanted


# --- round trips ------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    url = sqlite_url(tmp_path / "g.db") if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    database = Database(url)
    yield database
    database.close()


def test_the_consents_of_a_thousand_candidates_are_read_in_one_round_trip(database):
    with database.unit() as connection:
        consents = SqlConsents(connection)
        consents.append([event(number, recipient=f"r-{number}") for number in range(0, 1000, 2)])
        queries = [ConsentQuery(f"r-{number}", "sponsored_content", "push") for number in range(1000)]
        with statements(connection.engine) as said:
            states = consents.read(queries)
    assert len(said) == 1
    assert [states[query].record for query in queries] == [
        f"e-{number}" if number % 2 == 0 else None for number in range(1000)
    ]


class OneUnit:
    """A transactor whose calls all are part of one unit."""

    def __init__(self, connection) -> None:
        self._session = sql_session(connection)

    def call(self, handler, item, **_):
        (result,) = handler(self._session, [item])
        return result


def test_a_batch_is_recorded_in_as_many_round_trips_as_one(database):
    def request(number):
        return ConsentRequest(recipient=f"r-{number}", purpose="sponsored_content", state="withdrawn", method="import")

    counts = []
    with database.unit() as connection:
        numbers = iter(range(2000))
        service = ConsentService(OneUnit(connection), purposes=dict, new_id=lambda: f"new-{next(numbers)}")
        for batch in ([request(0)], [request(number) for number in range(1000)]):
            with statements(connection.engine) as said:
                service.record_many(batch, now=instant(12))
            counts.append(len(said))
    assert counts == [3, 3]
