"""Double opt-in: the link in the answer to a pending consent, the page behind it, and the button that confirms."""

from __future__ import annotations

import re

import pytest

NOW = "2026-03-10T12:00:00Z"
SOON = "2026-03-10T13:00:00Z"
TOO_LATE = "2026-03-17T12:00:00Z"
PENDING = {"id": "k-1", "recipient": "r-1", "purpose": "partner_offers", "state": "pending", "method": "form"}
PUBLIC = "https://notify.example.org"
DO = {"do": "confirm"}


class Reader:
    """Somebody who was sent the link of a pending consent."""

    def __init__(self, client, **consent) -> None:
        self.client = client
        self.consent = PENDING | consent
        self.asked = self.ask()
        self.path = self.asked["confirm_url"].removeprefix(PUBLIC)

    def ask(self):
        return self.client.post("/v1/consents", json=self.consent, headers={"Replay-At": NOW}).get_json()

    def follow(self, *, at=SOON, **headers):
        return self.client.get(self.path, headers={"Replay-At": at} | headers)

    def press(self, *, at=SOON, form=DO, **headers):
        return self.client.post(self.path, data=form, headers={"Replay-At": at} | headers)

    def say(self, state, **fields):
        said = {"recipient": "r-1", "purpose": "partner_offers", "state": state, "method": "call"}
        return self.client.post("/v1/consents", json=said | fields, headers={"Replay-At": SOON})

    def records(self):
        return self.client.get("/v1/recipients/r-1/consents").get_json()["consents"]

    def states(self):
        return [record["state"] for record in self.records()]


def heading(answer):
    return re.search(r"<h1>(.*?)</h1>", answer.get_data(as_text=True))[1]


@pytest.fixture
def make_reader(make_client):
    return lambda **consent: Reader(make_client(replay_clock=True, public_url=PUBLIC), **consent)


@pytest.fixture
def reader(make_reader):
    return make_reader()


def test_a_pending_consent_is_answered_with_the_link_that_confirms_it(reader):
    assert re.fullmatch(PUBLIC + r"/confirm/[\w.-]+", reader.asked["confirm_url"])
    assert reader.asked["confirm_before"] == TOO_LATE
    assert reader.ask() == reader.asked


def test_the_link_is_for_the_caller_and_no_part_of_the_record(reader):
    (record,) = reader.records()
    assert record == {name: value for name, value in reader.asked.items() if not name.startswith("confirm_")}


def test_a_batch_answers_with_links_as_well(reader):
    batch = {"consents": [PENDING | {"id": "k-2"}, PENDING | {"id": "k-3", "state": "denied"}]}
    answer = reader.client.post("/v1/consents/batch", json=batch, headers={"Replay-At": NOW}).get_json()
    assert ["confirm_url" in each for each in answer["results"]] == [True, False]


def test_without_a_public_url_there_is_no_link(client):
    answer = client.post("/v1/consents", json=PENDING, headers={"Replay-At": NOW}).get_json()
    assert ("confirm_url" in answer, answer["confirm_before"]) == (False, TOO_LATE)
    assert client.get("/confirm/a.b").status_code == 404


def test_following_the_link_shows_what_is_agreed_to_and_changes_nothing(reader):
    page = reader.follow()
    assert (page.status_code, heading(page)) == (200, "Do you agree?")
    text = page.get_data(as_text=True)
    assert "Offers of partners who pay us a commission" in text
    assert "taken off without a voucher" in text
    assert "the partner whose offer you open" in text
    assert reader.client.head(reader.path, headers={"Replay-At": SOON}).status_code == 200
    assert reader.states() == ["pending"]


def test_the_button_confirms(reader):
    form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)">', reader.follow().text))
    assert (form, heading(reader.press(form=form))) == (DO, "Thank you, you agreed")
    granted = reader.records()[-1]
    assert (granted["state"], granted["method"], granted["confirms"]) == ("granted", "double_opt_in", "k-1")
    assert granted["at"] == SOON


def test_pressed_twice_it_is_the_same_grant(reader):
    reader.press()
    assert (heading(reader.press()), heading(reader.follow())) == ("You had confirmed this already",) * 2
    assert reader.states() == ["pending", "granted"]


def test_one_that_was_confirmed_says_when_and_what(reader):
    reader.press()
    for answer in (reader.follow(), reader.press()):
        assert ("10 March 2026" in answer.text, "Offers of partners who pay us" in answer.text) == (True, True)
    late = reader.press(at=TOO_LATE)
    assert (late.status_code, heading(late)) == (410, "This link has run out")


def receipt_of(reader, **headers):
    return reader.client.get(f"{reader.path}/receipt", headers={"Replay-At": SOON} | headers)


def test_what_was_agreed_to_is_named_with_its_receipt(reader):
    said = reader.press(**{"Accept-Language": "de"}).text
    assert "Angebote von Partnern, die uns eine Provision zahlen" in said
    token = reader.path.rpartition("/")[2]
    assert f'href="{token}/receipt"' in said
    receipt = receipt_of(reader)
    granted = reader.records()[-1]["id"]
    assert (receipt.status_code, receipt.content_type) == (200, "application/json")
    assert receipt.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''consent-receipt-{granted}.json"
    assert granted in receipt.get_json()["receipt"]["dpv:hasRecordOfActivity"]["dct:identifier"]


def test_there_is_no_receipt_before_it_is_confirmed_nor_by_another_link(reader):
    assert (receipt_of(reader).status_code, reader.states()) == (404, ["pending"])
    reader.press()
    reader.path = "/confirm/x"
    assert receipt_of(reader).status_code == 404


@pytest.mark.parametrize("step", ["follow", "press"])
def test_one_that_was_confirmed_does_not_undo_a_later_no_nor_says_that_it_holds(reader, step):
    reader.press()
    reader.say("withdrawn")
    again = getattr(reader, step)()
    assert (again.status_code, heading(again)) == (409, "This can't be confirmed any more")
    assert reader.states() == ["pending", "granted", "withdrawn"]


@pytest.mark.parametrize("state", ["withdrawn", "denied"])
@pytest.mark.parametrize("step", ["follow", "press"])
def test_after_a_no_it_is_void(reader, state, step):
    reader.say(state)
    answer = getattr(reader, step)()
    assert (answer.status_code, heading(answer)) == (409, "This can't be confirmed any more")
    assert reader.states() == ["pending", state]


@pytest.mark.parametrize("step", ["follow", "press"])
def test_after_its_time_it_is_too_late(reader, step):
    answer = getattr(reader, step)(at=TOO_LATE)
    assert (answer.status_code, heading(answer)) == (410, "This link has run out")
    assert reader.states() == ["pending"]


@pytest.mark.parametrize("step", ["follow", "press"])
def test_a_grant_that_would_have_ended_by_itself_is_too_late_before_its_link_is(make_reader, step):
    reader = make_reader(expires_at="2026-03-10T12:30:00Z")
    assert getattr(reader, step)().status_code == 410


@pytest.mark.parametrize("form", [{"x": "y"}, {"do": "nothing"}, {"List-Unsubscribe": "One-Click"}], ids=str)
def test_another_form_confirms_nothing(reader, form):
    assert reader.press(form=form).status_code == 400
    assert reader.states() == ["pending"]


def test_a_form_of_another_site_confirms_nothing(reader):
    assert reader.press(**{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert reader.states() == ["pending"]


@pytest.mark.parametrize("step", ["follow", "press"])
def test_a_link_that_is_not_ours_is_told_so(reader, step):
    for token in ("x.y", reader.path.rpartition("/")[2][:-2], reader.path.rpartition("/")[2] + "A"):
        reader.path = f"/confirm/{token}"
        answer = getattr(reader, step)()
        assert (answer.status_code, answer.content_type) == (404, "text/html; charset=utf-8")
    assert reader.states() == ["pending"]


def test_the_link_confirms_and_nothing_else(reader):
    token = reader.path.rpartition("/")[2]
    assert [reader.client.get(f"/{kind}/{token}").status_code for kind in ("preferences", "unsubscribe")] == [404, 404]


def test_it_is_reached_under_any_name_and_sets_no_cookie(reader):
    answer = reader.press(Host="notify.example.org", Authorization="Bearer nobody")
    assert (answer.status_code, answer.headers.getlist("Set-Cookie")) == (200, [])


@pytest.mark.parametrize(("header", "said"), [("de", "Sind Sie einverstanden?"), ("fr", "Do you agree?")])
def test_it_speaks_the_languages_of_the_browser(reader, header, said):
    assert heading(reader.follow(**{"Accept-Language": header})) == said


def test_it_speaks_the_language_in_which_they_were_asked(make_reader):
    reader = make_reader(language="de-AT")
    assert heading(reader.follow(**{"Accept-Language": "en"})) == "Sind Sie einverstanden?"
    assert heading(reader.press(**{"Accept-Language": "en"})) == "Danke, Sie haben zugestimmt"


def test_the_notice_that_they_were_shown_is_on_the_page_and_its_words_count(make_client):
    client = make_client(replay_clock=True, public_url=PUBLIC)
    notice = {"id": "n", "version": "1", "language": "en", "purposes": ["partner_offers"], "text": "All <of> it."}
    client.post("/v1/notices", json=notice)
    reader = Reader(client, notice_id="n", notice_version="1", channels=["email"])
    assert "All &lt;of&gt; it." in reader.follow().text
    assert "E-mail" in reader.follow().text
    assert '<div class="notice" lang="en">' in reader.follow(**{"Accept-Language": "de"}).text


def test_words_are_in_the_language_of_the_page_where_the_policies_have_them(make_reader):
    german = make_reader().follow(**{"Accept-Language": "de"}).text
    assert '<h2 id="purpose">Angebote von Partnern' in german
    assert "<dd lang" not in german


# --- the browser's signal ---------------------------------------------------------------------------------------


def test_the_signal_is_recorded_and_whoever_presses_the_button_agrees_in_spite_of_it(reader):
    signal = {"Sec-GPC": "1"}
    assert "Global Privacy Control). We took it as your no to: Offers of partners" in reader.follow(**signal).text
    assert "Global Privacy Control" not in reader.follow(**signal).text
    assert [record["method"] for record in reader.records()] == ["form", "gpc"]
    assert reader.press(**signal).status_code == 200
    assert [record["method"] for record in reader.records()] == ["form", "gpc", "double_opt_in"]
    reader.follow(**signal)
    assert reader.states() == ["pending", "withdrawn", "granted"]


def test_the_signal_with_the_button_alone_comes_before_the_grant(reader):
    reader.press(**{"Sec-GPC": "1"})
    assert [record["method"] for record in reader.records()] == ["form", "gpc", "double_opt_in"]
