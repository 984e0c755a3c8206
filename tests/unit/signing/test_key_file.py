from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest

from guardrails.errors import SettingsError
from guardrails.signing.jwk import KeySet
from guardrails.signing.key_file import change_keys, open_keys, read_keys

NOW = datetime(2026, 11, 22, tzinfo=UTC)
OPEN = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from guardrails.signing import SigningKeys
sys.stdin.readline()
print(SigningKeys.open(Path(sys.argv[1]), now=datetime(2026, 11, 22, tzinfo=UTC)).current.kid)
"""


def new():
    return KeySet.generate(NOW)


def rotated(keys):
    return keys.rotated(NOW)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "signing-keys.json"


def files_in(directory):
    return sorted(each.name for each in directory.iterdir())


def test_the_first_use_makes_a_file_that_only_its_owner_reads(path):
    keys = open_keys(path, new)
    assert keys == open_keys(path, new) == read_keys(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files_in(path.parent) == ["signing-keys.json"]


def test_the_file_is_a_jwk_set(path):
    open_keys(path, new)
    assert [key["kty"] for key in json.loads(path.read_text(encoding="utf-8"))["keys"]] == ["OKP", "oct"]


def test_threads_that_start_at_once_agree_on_the_keys(path):
    barrier = Barrier(8)

    def start(_):
        barrier.wait()
        return open_keys(path, new)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(start, range(8)))
    assert found == [read_keys(path)] * 8
    assert files_in(path.parent) == ["signing-keys.json"]


def test_processes_that_start_at_once_agree_on_the_keys(path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        for _ in range(3)
    ]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate()[0].strip() for process in processes]
    assert said == [read_keys(path).pairs[0].kid] * 3


def test_whoever_comes_second_to_make_it_reads_what_the_first_has_made(path):
    first = new()

    def overtaken():
        open_keys(path, lambda: first)
        return new()

    assert open_keys(path, overtaken) == first


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_file_that_others_may_open_is_refused(path, mode):
    open_keys(path, new)
    path.chmod(mode)
    with pytest.raises(SettingsError) as refused:
        open_keys(path, new)
    assert str(refused.value) == (
        f"{path}: the signing keys are open to others than their owner (mode {mode:04o}); run `chmod 600 {path}`, "
        "and `guardrails keys rotate` if somebody may have read them"
    )


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_its_owner_alone_is_read(path, mode):
    keys = open_keys(path, new)
    path.chmod(mode)
    assert open_keys(path, new) == keys


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"keys": []}', b'{"keys": [], "more": 1}'])
def test_a_damaged_file_is_refused_by_its_name_and_left_alone(path, content):
    open_keys(path, new)
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="this is no file of signing keys") as refused:
        open_keys(path, new)
    assert str(refused.value).startswith(f"{path}: ")
    assert path.read_bytes() == content


def test_no_secret_gets_into_the_message_about_a_damaged_file(path):
    keys = open_keys(path, new)
    path.write_bytes(path.read_bytes().replace(b'"crv"', b'"curve"').replace(b"Ed25519", b"P-256"))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(SettingsError) as refused:
        read_keys(path)
    assert keys.link_secrets[0].k not in str(refused.value)


def test_a_directory_in_its_place_is_refused(path):
    path.mkdir(parents=True)
    with pytest.raises(SettingsError, match="the signing keys can't be read: Is a directory"):
        open_keys(path, new)


def test_a_place_where_none_can_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    path = tmp_path / "file" / "keys.json"
    with pytest.raises(SettingsError, match=r"keys.json: the signing keys can't be (read|made): Not a directory"):
        open_keys(path, new)


def test_a_directory_that_can_not_be_made_is_refused(tmp_path):
    (tmp_path / "nowhere").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SettingsError, match="the signing keys can't be"):
        open_keys(tmp_path / "nowhere" / "keys.json", new)


def test_a_disk_that_takes_no_file_is_refused(path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(SettingsError, match="the signing keys can't be made: No space left on device"):
        open_keys(path, new)
    assert files_in(path.parent) == []


def test_a_change_is_put_in_place_whole(path):
    keys = open_keys(path, new)
    changed = change_keys(path, rotated)
    assert changed == read_keys(path)
    assert changed.pairs[1].kid == keys.pairs[0].kid
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files_in(path.parent) == ["signing-keys.json"]


def test_two_changes_never_cross(path):
    open_keys(path, new)

    def meanwhile(keys):
        with pytest.raises(SettingsError, match=r"somebody else is changing .*: then remove `.*signing-keys.json.new`"):
            change_keys(path, rotated)
        return rotated(keys)

    assert change_keys(path, meanwhile) == read_keys(path)
    assert len(read_keys(path).keys) == 4


def test_a_change_that_fails_leaves_everything_as_it_was(path):
    keys = open_keys(path, new)

    def fails(_):
        raise SettingsError("no")

    with pytest.raises(SettingsError, match="no"):
        change_keys(path, fails)
    assert read_keys(path) == keys
    assert files_in(path.parent) == ["signing-keys.json"]


def test_there_is_nothing_to_change_where_there_are_no_keys(path):
    path.parent.mkdir()
    with pytest.raises(FileNotFoundError):
        change_keys(path, rotated)
    assert files_in(path.parent) == []


def test_a_change_where_no_file_can_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="the signing keys can't be changed: Not a directory"):
        change_keys(tmp_path / "file" / "keys.json", rotated)
