from __future__ import annotations

import json
import logging
import subprocess
import sys

import jwt
import pytest

from holdfast.errors import ConfigurationError
from holdfast.settings import Settings
from holdfast.tokens.keyfile import KeyFile
from holdfast.tokens.keys import RELOAD_SECONDS, KeyRing, KeyState

LIFETIME = 900.0
CACHE = 300.0
SESSION = 86_400.0

OTHER = "another-secret-of-this-suite-which-is-long-enough"


@pytest.fixture(params=["HS256", "ES256"])
def ring(tmp_path, now, request):
    """A ring of a data directory; the mechanism is one, whatever the algorithm."""
    return KeyRing.from_directory(tmp_path, now=now, algorithm=request.param)


def states(ring, at):
    return [row.state for row in ring.keys(at)]


def rotate(ring, at):
    return ring.rotate(at, cache_seconds=CACHE, token_lifetime=LIFETIME, session_lifetime=SESSION)


# Where keys come from


def test_a_given_secret_signs_with_its_very_bytes(secret, now):
    assert KeyRing.from_secret(secret).signing(now).material.private == secret.encode()


def test_previous_secrets_verify_and_never_sign(secret, now):
    old, new = KeyRing.from_secret(OTHER), KeyRing.from_secret(secret, previous=[OTHER])
    former = old.signing(now).kid
    assert new.signing(now).kid == KeyRing.from_secret(secret).signing(now).kid != former
    assert new.verifying(former, now).kid == former
    assert [(row.state, row.created_at, row.signs_from, row.retires_at) for row in new.keys(now)] == [
        (KeyState.RETIRING, None, None, None),
        (KeyState.SIGNING, None, None, None),
    ]


def test_a_secret_that_is_also_among_the_previous_ones_still_signs(secret, now):
    ring = KeyRing.from_secret(secret, previous=[secret, OTHER, OTHER])
    assert ring.signing(now).material.private == secret.encode()
    assert len(ring.keys(now)) == 2


def test_a_short_previous_secret_is_refused(secret):
    with pytest.raises(ConfigurationError, match="shorter than 32 bytes"):
        KeyRing.from_secret(secret, previous=["short"])


def test_keys_of_a_directory_are_made_once_and_found_again(tmp_path, now):
    for algorithm in ("HS256", "ES256", "EdDSA"):
        first = KeyRing.from_directory(tmp_path, now=now, algorithm=algorithm)
        again = KeyRing.from_directory(tmp_path, now=now + 1, algorithm=algorithm, create=False)
        assert first.signing(now).kid == again.signing(now + 1).kid
        assert first.master_kid == again.master_kid


def test_a_first_key_signs_at_once(ring, now):
    row = ring.keys(now)[-1]
    assert (row.state, row.created_at, row.signs_from, row.retires_at) == (KeyState.SIGNING, now, now, None)


def test_a_first_key_signs_even_if_the_clock_is_set_back(ring, now):
    assert ring.signing(now - 1000).kid == ring.signing(now).kid


@pytest.mark.parametrize(
    ("algorithm", "advice"), [("HS256", "set SECRET_KEY"), ("ES256", "holdfast keys rotate")]
)
def test_without_leave_to_make_keys_a_missing_one_is_told_with_what_to_do(
    tmp_path, now, algorithm, advice, secret
):
    given = secret if algorithm == "ES256" else None
    with pytest.raises(ConfigurationError, match=advice):
        KeyRing.from_directory(tmp_path, now=now, algorithm=algorithm, create=False, secret=given)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_algorithm_is_refused(tmp_path, now):
    with pytest.raises(ConfigurationError, match="'none'"):
        KeyRing.from_directory(tmp_path, now=now, algorithm="none")


def test_keys_that_are_no_keys_are_told_apart_from_none(tmp_path, now):
    KeyRing.from_directory(tmp_path, now=now, algorithm="ES256")
    path = tmp_path / "keys.json"
    path.write_text(path.read_text().replace("BEGIN", "BEGUN"))
    with pytest.raises(ConfigurationError, match="cannot be used"):
        KeyRing.from_directory(tmp_path, now=now, algorithm="ES256")


STARTER = """
import sys
from pathlib import Path
from holdfast.tokens.keys import KeyRing
sys.stdin.readline()
ring = KeyRing.from_directory(Path(sys.argv[1]), now=1.0, algorithm=sys.argv[2])
print(ring.signing(1.0).kid, ring.master_kid)
"""


@pytest.mark.parametrize("algorithm", ["HS256", "ES256"])
def test_processes_that_start_at_once_agree_on_the_keys(tmp_path, algorithm):
    command = [sys.executable, "-c", STARTER, str(tmp_path / "new" / "data"), algorithm]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = {process.communicate()[0] for process in processes}
    assert len(answers) == 1
    assert all(process.returncode == 0 for process in processes)


def test_who_is_overtaken_while_starting_takes_the_keys_of_the_other(tmp_path, now, monkeypatch):
    update, others = KeyFile.update, []

    def overtaken(self, change):
        monkeypatch.undo()
        others.append(KeyRing.from_directory(tmp_path, now=now))
        return update(self, change)

    monkeypatch.setattr(KeyFile, "update", overtaken)
    ring = KeyRing.from_directory(tmp_path, now=now)
    assert ring.keys(now) == others[0].keys(now)


# Settings


def settings(tmp_path, **given):
    return Settings(**{"data_dir": tmp_path / "data", "secret_key": None, **given})


def test_settings_with_a_secret_touch_no_disk(tmp_path, secret, now):
    ring = KeyRing.load(settings(tmp_path, secret_key=secret, previous_secret_keys=(OTHER,)), now)
    assert ring.signing(now).material.private == secret.encode()
    assert len(ring.keys(now)) == 2
    assert list(tmp_path.iterdir()) == []


def test_settings_without_a_secret_use_the_data_directory(tmp_path, now):
    with pytest.raises(ConfigurationError, match="SECRET_KEY is not set"):
        KeyRing.load(settings(tmp_path), now)
    made = KeyRing.load(settings(tmp_path), now, create=True)
    assert KeyRing.load(settings(tmp_path), now).signing(now).kid == made.signing(now).kid


def test_previous_secrets_are_accepted_beside_a_kept_one_too(tmp_path, now):
    before = KeyRing.from_secret(OTHER)
    ring = KeyRing.load(settings(tmp_path, previous_secret_keys=(OTHER,)), now, create=True)
    assert ring.verifying(before.signing(now).kid, now) is not None
    assert ring.signing(now).kid != before.signing(now).kid
    assert ring.signing(now - 1000).kid != before.signing(now).kid
    assert ring.master(before.master_kid) == before.master(before.master_kid)
    assert ring.master_kid != before.master_kid


def test_a_given_secret_makes_the_master_keys_of_an_asymmetric_ring(tmp_path, secret, now):
    ring = KeyRing.load(settings(tmp_path, secret_key=secret, algorithm="EdDSA"), now, create=True)
    assert ring.master_kid == KeyRing.from_secret(secret).master_kid
    assert [key["algorithm"] for key in json.loads((tmp_path / "data/keys.json").read_text())["keys"]] == [
        "EdDSA"
    ]


# Master keys


def test_a_master_key_is_neither_the_secret_nor_told_by_anything_public(secret):
    ring = KeyRing.from_secret(secret)
    master = ring.master(ring.master_kid)
    assert len(master) == 32
    assert master not in secret.encode()
    assert ring.master_kid.encode() not in master
    assert secret not in repr(vars(ring))
    assert repr(master) not in repr(vars(ring))


def test_an_unknown_master_is_none(ring):
    assert ring.master("nobody-knows-this") is None


# JWKS


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_c12_the_jwks_has_public_parts_only_and_another_library_verifies_with_it(tmp_path, now, algorithm):
    ring = KeyRing.from_directory(tmp_path, now=now, algorithm=algorithm)
    (published,) = ring.jwks(now)["keys"]
    assert published.keys() <= {"kty", "kid", "use", "alg", "n", "e", "crv", "x", "y"}
    assert (published["use"], published["alg"], published["kid"]) == ("sig", algorithm, ring.signing(now).kid)
    token = jwt.encode({"sub": "x"}, ring.signing(now).material.private, algorithm=algorithm)
    assert jwt.decode(token, jwt.PyJWK(published), algorithms=[algorithm]) == {"sub": "x"}


def test_the_jwks_of_secrets_is_empty(secret, tmp_path, now):
    assert KeyRing.from_secret(secret).jwks(now) == {"keys": []}
    assert KeyRing.from_directory(tmp_path, now=now).jwks(now) == {"keys": []}


# Rotation (C12)


def test_c12_a_rotation_goes_through_its_states_second_by_second(ring, now):
    old = ring.keys(now)[0].kid
    new = rotate(ring, now).kid
    signs, retires = now + CACHE, now + CACHE + LIFETIME
    for at, signing, of_states in (
        (now, old, [KeyState.SIGNING, KeyState.PUBLISHED]),
        (signs - 1, old, [KeyState.SIGNING, KeyState.PUBLISHED]),
        (signs, new, [KeyState.RETIRING, KeyState.SIGNING]),
        (signs + 1, new, [KeyState.RETIRING, KeyState.SIGNING]),
        (retires - 1, new, [KeyState.RETIRING, KeyState.SIGNING]),
        (retires, new, [KeyState.RETIRED, KeyState.SIGNING]),
        (retires + 1, new, [KeyState.RETIRED, KeyState.SIGNING]),
    ):
        assert ring.signing(at).kid == signing, at
        assert states(ring, at) == of_states, at
        assert {ring.verifying(kid, at).kid for kid in (old, new)} == {old, new}, at


def test_c12_the_jwks_shows_the_new_key_at_once_and_the_old_one_until_it_retires(tmp_path, now):
    ring = KeyRing.from_directory(tmp_path, now=now, algorithm="ES256")
    old = ring.signing(now).kid
    new = rotate(ring, now).kid
    retires = now + CACHE + LIFETIME

    def published(at):
        return [key["kid"] for key in ring.jwks(at)["keys"]]

    assert published(now) == published(retires - 1) == [old, new]
    assert published(retires) == published(retires + 1) == [new]


def test_c12_the_old_key_is_there_until_the_last_token_that_it_may_have_signed_has_expired(ring, now):
    """A process that has not noticed yet signs with it for `RELOAD_SECONDS`, however short the cache time."""
    ring.rotate(now, cache_seconds=0, token_lifetime=LIFETIME)
    assert ring.keys(now)[0].retires_at == now + RELOAD_SECONDS + LIFETIME


def test_a_second_rotation_while_the_first_waits_ends_with_the_newest_key(ring, now):
    first = rotate(ring, now).kid
    second = rotate(ring, now + 10).kid
    assert ring.signing(now + CACHE).kid == first
    assert ring.signing(now + CACHE + 10).kid == second
    assert states(ring, now + CACHE + 10)[-2:] == [KeyState.RETIRING, KeyState.SIGNING]
    assert ring.keys(now)[0].retires_at == now + CACHE + LIFETIME


def test_after_a_leak_every_older_key_is_worthless_in_seconds_even_one_that_was_waiting(ring, now):
    before, old = ring.master_kid, ring.keys(now)[0].kid
    waiting = rotate(ring, now).kid
    masters = [before, ring.master_kid]
    new = ring.rotate(now + 10, cache_seconds=0, token_lifetime=0, session_lifetime=0).kid
    gone = now + 10 + RELOAD_SECONDS
    assert ring.signing(now + 10).kid == ring.signing(now + CACHE).kid == new
    for kid in (old, waiting):
        assert ring.verifying(kid, gone).retires_at == gone
    assert ring.signing(gone).kid == new
    assert [ring.master(kid) for kid in masters] == [None, None]
    assert ring.master(ring.master_kid) is not None


def test_old_master_keys_last_as_long_as_a_session_may_and_new_ones_serve_at_once(ring, now):
    before = ring.master_kid
    rotate(ring, now)
    assert ring.master_kid != before
    end = now + RELOAD_SECONDS + SESSION
    for at, known in ((end - 1, True), (end, False), (end + 1, False)):
        ring.signing(at)
        assert (ring.master(before) is not None) is known


def test_what_nothing_can_depend_on_any_more_leaves_the_file_at_the_next_rotation(ring, now):
    first = ring.keys(now)[0].kid
    rotate(ring, now)
    end = now + RELOAD_SECONDS + SESSION
    rotate(ring, end - 1)
    assert ring.keys(end - 1)[0].kid == first
    rotate(ring, end)
    assert first not in [row.kid for row in ring.keys(end)]


def test_keys_of_the_environment_are_rotated_there(secret, now):
    with pytest.raises(ConfigurationError, match="HOLDFAST_PREVIOUS_SECRET_KEYS"):
        KeyRing.from_secret(secret).rotate(now, token_lifetime=LIFETIME)


def test_a_rotation_leaves_the_keys_of_another_algorithm_alone(tmp_path, now):
    KeyRing.from_directory(tmp_path, now=now, algorithm="EdDSA")
    rotate(KeyRing.from_directory(tmp_path, now=now, algorithm="ES256"), now)
    assert states(KeyRing.from_directory(tmp_path, now=now, algorithm="EdDSA"), now) == [KeyState.SIGNING]


# Other processes


@pytest.fixture
def other(ring, tmp_path, now):
    """The same keys in another process, say the CLI."""
    return KeyRing.from_directory(tmp_path, now=now, algorithm=ring.algorithm, create=False)


def test_a_running_process_notices_a_rotation_within_seconds(ring, other, now):
    new = rotate(other, now).kid
    assert [row.kid for row in ring.keys(now + RELOAD_SECONDS - 1)] != [row.kid for row in other.keys(now)]
    assert ring.keys(now + RELOAD_SECONDS)[-1].kid == new


def test_a_running_process_finds_a_new_key_at_once_when_a_token_names_it(ring, other, now):
    assert ring.verifying(rotate(other, now).kid, now) is not None


def test_a_running_process_finds_a_new_master_key_at_once_when_a_refresh_token_names_it(ring, other, now):
    rotate(other, now)
    assert ring.master_kid != other.master_kid
    assert ring.master(other.master_kid) == other.master(other.master_kid) is not None


def test_a_file_that_was_damaged_meanwhile_leaves_a_running_process_with_its_keys(
    ring, tmp_path, now, caplog
):
    before = ring.keys(now)
    path = tmp_path / "keys.json"
    path.write_text("damaged")
    path.chmod(0o600)
    with caplog.at_level(logging.WARNING):
        for passed in range(1, 4):
            assert ring.keys(now + passed * RELOAD_SECONDS) == before
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["keys.reload_failed"]


def test_a_file_that_lost_its_keys_leaves_a_running_process_with_its_own(ring, tmp_path, now, caplog):
    before = ring.keys(now)
    path = tmp_path / "keys.json"
    path.write_text('{"version": 1, "keys": []}')
    assert ring.keys(now + RELOAD_SECONDS) == before
    path.unlink()
    assert ring.keys(now + 2 * RELOAD_SECONDS) == before
    assert len(caplog.records) == 1


def test_a_file_that_is_mended_is_read_again(ring, other, tmp_path, now):
    new = rotate(other, now).kid
    path = tmp_path / "keys.json"
    path.chmod(0o644)
    assert ring.verifying(new, now) is None
    path.chmod(0o600)
    assert ring.verifying(new, now) is not None
