from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SECRET = "s" * 40


@pytest.fixture
def kept(command: Any) -> Any:
    """Keys in a data directory, as a first start leaves them."""
    added = command("users", "add", "ann", "--password-stdin", stdin="correct horse battery staple")
    assert added.code == 0
    return json.loads(command("keys", "list", "--json").out)


def test_a_key_is_listed_by_name_and_state_and_never_shown(command: Any, kept: Any, tmp_path: Path) -> None:
    (key,) = kept
    assert (key["algorithm"], key["state"]) == ("HS256", "signing")
    stored = json.loads((tmp_path / "data" / "keys.json").read_text())
    listed = command("keys", "list")
    assert key["kid"] in listed.out
    assert stored["keys"][0]["text"] not in listed.text


def test_a_rotation_puts_a_new_key_beside_the_old_one(command: Any, kept: Any) -> None:
    assert command("keys", "rotate").code == 0
    old, new = json.loads(command("keys", "list", "--json").out)
    assert old["kid"] == kept[0]["kid"]
    assert new["state"] == "published"
    assert old["retires_at"] - new["signs_from"] == pytest.approx(86_400)


def test_after_a_leak_the_old_key_is_worth_nothing_within_seconds(command: Any, kept: Any) -> None:
    assert command("keys", "rotate", "--leaked").code == 0
    *old, new = json.loads(command("keys", "list", "--json").out)
    assert new["state"] == "signing"
    assert new["kid"] != kept[0]["kid"]
    for key in old:
        assert key["retires_at"] - new["created_at"] < 10


def test_a_secret_of_the_environment_is_rotated_there(command: Any) -> None:
    done = command("keys", "rotate", SECRET_KEY=SECRET)
    assert (done.code, done.out) == (2, "")
    assert "HOLDFAST_PREVIOUS_SECRET_KEYS" in done.err
    assert SECRET not in done.text


def test_listing_keys_makes_none(command: Any, tmp_path: Path) -> None:
    done = command("keys", "list")
    assert (done.code, done.out) == (2, "")
    assert "error: " in done.err
    assert not (tmp_path / "data").exists()


def test_the_first_key_comes_from_rotating_too(command: Any, tmp_path: Path) -> None:
    """For apps that use the library alone, with an asymmetric algorithm: `serve` would make one on its first start."""
    assert command("keys", "rotate", "--algorithm", "EdDSA").code == 0
    (key,) = json.loads(command("keys", "list", "--algorithm", "EdDSA", "--json").out)
    assert (key["algorithm"], key["state"]) == ("EdDSA", "signing")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
