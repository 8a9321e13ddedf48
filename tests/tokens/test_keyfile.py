from __future__ import annotations

import json
import os
import stat
import threading

import pytest

from holdfast.errors import ConfigurationError
from holdfast.tokens.keyfile import KeyFile, KeyRecord


def record(text="some-secret", at=1.0):
    return KeyRecord(algorithm="HS256", text=text, created_at=at, signs_from=at)


@pytest.fixture
def file(tmp_path):
    return KeyFile(tmp_path / "data")


def test_no_file_is_no_keys(file):
    assert file.read() == ((), None)
    assert file.stamp() is None


def test_what_is_kept_is_read_again_with_its_times(file):
    kept = KeyRecord(
        algorithm="ES256", text="pem", created_at=1.5, signs_from=2.0, retires_at=3.0, forget_at=4.0
    )
    file.update(lambda _: (kept,))
    assert KeyFile(file.directory).read() == ((kept,), file.stamp())


def test_file_and_directory_are_for_their_owner_only_whatever_the_umask(file):
    before = os.umask(0)
    try:
        file.update(lambda _: (record(),))
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.directory.stat().st_mode) == 0o700


def test_a_file_that_others_can_read_is_refused_with_what_to_do(file):
    file.update(lambda _: (record(),))
    file.path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        file.read()


def test_the_stamp_changes_with_each_change_and_only_then(file):
    file.update(lambda _: (record(),))
    first = file.stamp()
    file.update(lambda present: present)
    assert file.stamp() == first
    file.update(lambda present: (*present, record("other")))
    assert file.stamp() != first


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(file, monkeypatch):
    file.update(lambda _: (record(),))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ConfigurationError, match=r"cannot keep keys in .*: No space left on device"):
            file.update(lambda _: (record("other"),))
    assert file.read()[0] == (record(),)
    assert sorted(path.name for path in file.directory.iterdir()) == ["keys.json", "keys.lock"]


def test_changes_at_once_are_made_one_after_another(file):
    start = threading.Barrier(8)

    def add(number):
        start.wait()
        file.update(lambda present: (*present, record(f"secret-{number}")))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.text for each in file.read()[0]} == {f"secret-{number}" for number in range(8)}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"version": 2, "keys": []}',
        b'{"version": 1}',
        b'{"version": 1, "keys": [7]}',
        b'{"version": 1, "keys": [{"algorithm": "HS256"}]}',
        b'{"version": 1, "keys": [{"algorithm": "HS256", "text": "s", "created_at": "x", "signs_from": 1}]}',
        b'{"version": 1, "keys": [{"algorithm": "HS256", "text": "s", "created_at": null, "signs_from": 1}]}',
        b'{"version": 1, "keys": [{"algorithm": "HS256", "text": 7, "created_at": 1, "signs_from": 1}]}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_refused_with_what_to_do_and_is_not_replaced(file, body):
    file.directory.mkdir()
    file.path.write_bytes(body)
    file.path.chmod(0o600)
    for use in (file.read, lambda: file.update(lambda _: (record(),))):
        with pytest.raises(ConfigurationError, match="restore it from a backup") as caught:
            use()
        assert caught.value.__context__ is None
    assert file.path.read_bytes() == body


def test_a_file_that_cannot_be_opened_is_refused_with_the_reason(file):
    file.path.mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"cannot read .*: Is a directory"):
        file.read()


def test_the_file_is_plain_json_so_that_a_secret_can_move_to_the_environment(file):
    file.update(lambda _: (record("the-secret"),))
    assert json.loads(file.path.read_text())["keys"][0]["text"] == "the-secret"


def test_no_repr_shows_a_key():
    assert "some-secret" not in repr(record())
