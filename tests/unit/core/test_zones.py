"""Zones: names, files, and the zones of countries and regions."""

import copy
import pickle
import struct
import zoneinfo
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from guardrails.core import zones
from guardrails.core.zone_table import REGIONS_OF_ZONE
from guardrails.core.zones import zone_named, zone_names, zones_in


def names(found):
    return None if found is None else {zone.key for zone in found}


@pytest.mark.parametrize("name", ["Europe/Berlin", "UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "EST"])
def test_an_iana_name_is_a_zone_that_carries_it(name):
    assert name == zone_named(name).key


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "europe/berlin",
        "Europe/Berlin ",
        "Europe",
        "Mars/Olympus",
        "../../etc/passwd",
        "Europe/../Europe/Berlin",
        "/usr/share/zoneinfo/Europe/Berlin",
        "Europe\\Berlin",
        "Europe/Berlin\0",
        "\0",
        "\ud800",
        "A" * 100_000,
        "zone.tab",
        "__init__.py",
        "localtime",
        "Factory",
        "recipient",
    ],
)
def test_any_other_text_is_no_zone(name):
    assert zone_named(name) is None


def test_every_name_can_be_read():
    assert len(zone_names()) > 500
    assert [name for name in sorted(zone_names()) if zone_named(name).utcoffset(datetime(2026, 1, 1)) is None] == []  # noqa: DTZ001


def test_a_zone_is_pickled_and_copied_by_its_name():
    zone = zone_named("Asia/Kathmandu")
    assert zone is pickle.loads(pickle.dumps(zone))  # noqa: S301 - our own bytes
    assert zone is copy.deepcopy(zone)


def test_the_machines_own_zone_files_do_not_matter(tmp_path):
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Berlin").write_bytes(zones._file("Etc/GMT-9").read_bytes())
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    try:
        assert timedelta(hours=9) == noon.astimezone(ZoneInfo.no_cache("Europe/Berlin")).utcoffset()
        assert timedelta(hours=1) == noon.astimezone(zones._load.__wrapped__("Europe/Berlin")).utcoffset()
    finally:
        zoneinfo.reset_tzpath()


@pytest.mark.parametrize(
    ("country", "region", "expected"),
    [
        ("DE", None, {"Europe/Berlin"}),
        ("DE", "DE-BY", {"Europe/Berlin"}),
        (None, "DE-BY", {"Europe/Berlin"}),
        ("US", "US-CA", {"America/Los_Angeles"}),
        (None, "US-TX", {"America/Chicago", "America/Denver"}),
        ("US", "US-AZ", {"America/Denver", "America/Phoenix"}),
        ("US", "US-PR", {"America/Puerto_Rico"}),
        ("PR", "US-PR", {"America/Puerto_Rico"}),
        ("PR", None, {"America/Puerto_Rico"}),
        ("ES", "ES-CN", {"Atlantic/Canary"}),
        ("ES", "ES-MD", {"Europe/Madrid"}),
        ("PT", "PT-20", {"Atlantic/Azores"}),
        ("AU", "AU-NSW", {"Australia/Sydney", "Australia/Broken_Hill", "Australia/Lord_Howe"}),
        ("CD", "CD-KN", {"Africa/Kinshasa"}),
        ("DE", "US-CA", {"America/Los_Angeles", "Europe/Berlin"}),
        ("ZZ", "US-CA", {"America/Los_Angeles"}),
        ("ZZ", None, None),
        (None, "ZZ-1", None),
        (None, None, None),
    ],
)
def test_the_region_and_then_the_country_say_which_zones_may_hold(country, region, expected):
    assert expected == names(zones_in(country, region))


def test_a_region_that_is_not_known_has_all_zones_of_its_country():
    assert zones_in("ES", None) == zones_in("ES", "ES-99")
    assert {"Europe/Madrid", "Atlantic/Canary"} == names(zones_in("ES", None))


def test_zones_that_behave_the_same_count_once():
    assert {
        "America/New_York",
        "America/Chicago",
        "America/Denver",
        "America/Phoenix",
        "America/Los_Angeles",
        "America/Anchorage",
        "America/Adak",
        "Pacific/Honolulu",
    } == names(zones_in("US", None))


def test_zones_that_agree_now_but_parted_after_2020_stay_apart():
    # Kazakhstan's east joined the time of its west on 1 March 2024.
    assert {"Asia/Almaty", "Asia/Qyzylorda"} == names(zones_in("KZ", None))


def test_zones_that_end_alike_but_changed_at_different_times_stay_apart():
    # The Yukon gave up changing its clocks in 2020, British Columbia in 2026.
    assert {"America/Vancouver", "America/Whitehorse"} <= names(zones_in("CA", None))


def zone_file(*, before, after):
    """A zone of `before` hours from UTC until 2024-03-01, and of `after` hours from then on (RFC 9636)."""
    first = b"TZif2" + bytes(15) + struct.pack(">6L", 0, 0, 0, 0, 1, 1) + bytes(7)
    second = b"TZif2" + bytes(15) + struct.pack(">6L", 0, 0, 0, 1, 2, 4)
    change = struct.pack(">qB", int(datetime(2024, 3, 1, tzinfo=UTC).timestamp()), 1)
    types = struct.pack(">lbblbb", before * 3600, 0, 0, after * 3600, 0, 0)
    return first + second + change + types + b"+XX\0" + f"\n<+XX>{-after}\n".encode()


def test_zones_that_changed_at_one_moment_from_different_offsets_stay_apart(tmp_path, monkeypatch):
    (tmp_path / "was-4").write_bytes(zone_file(before=4, after=6))
    (tmp_path / "was-5").write_bytes(zone_file(before=5, after=6))
    (tmp_path / "was-5-too").write_bytes(zone_file(before=5, after=6))
    monkeypatch.setattr(zones, "_file", tmp_path.joinpath)
    four, five, five_too = (zones._behaviour.__wrapped__(name) for name in ("was-4", "was-5", "was-5-too"))
    assert four != five
    assert five == five_too


@pytest.mark.parametrize("country", sorted(REGIONS_OF_ZONE))
def test_the_table_has_every_zone_of_its_countries_and_only_real_ones(country):
    in_table = set(REGIONS_OF_ZONE[country])
    assert set(zones._names_by_country()[country]) <= in_table <= zone_names()


def test_no_region_is_written_twice_for_one_zone():
    rows = [regions.split() for table in REGIONS_OF_ZONE.values() for regions in table.values()]
    assert [row for row in rows if len(row) != len(set(row))] == []
