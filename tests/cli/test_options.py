from __future__ import annotations

import pytest

from holdfast.cli.options import GROUPS, Given, Source, default_text, flag, flagged, is_secret, kind
from holdfast.errors import ConfigurationError
from holdfast.settings import Settings, env_name


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(env_name(field), raising=False)


def test_every_setting_is_in_one_group() -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(Settings.model_fields)


def test_secrets_have_no_flag() -> None:
    """Arguments are seen by everybody on the machine."""
    secrets = {name for name in Settings.model_fields if is_secret(name)}
    assert secrets == {"secret_key", "previous_secret_keys", "database_url", "admin_password"}
    assert set(flagged()) == set(Settings.model_fields) - secrets


def test_a_flag_wins_over_the_environment_and_that_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_PORT", "9000")
    monkeypatch.setenv("HOLDFAST_LOG_LEVEL", "debug")
    given = Given({"port": "9001"})
    settings = given.settings()
    assert (settings.port, settings.log_level, settings.host) == (9001, "debug", "127.0.0.1")
    assert [given.source(name) for name in ("port", "log_level", "host")] == [
        Source.FLAG,
        Source.ENVIRONMENT,
        Source.DEFAULT,
    ]


def test_an_error_names_the_flag_where_the_value_came_from_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_LOG_LEVEL", "loud")
    with pytest.raises(ConfigurationError) as caught:
        Given({"port": "x"}).settings()
    assert "--port: " in str(caught.value)
    assert "HOLDFAST_PORT" not in str(caught.value)
    assert "HOLDFAST_LOG_LEVEL: " in str(caught.value)


@pytest.mark.parametrize(
    ("field", "words", "default"),
    [
        ("port", "WHOLE NUMBER", "8000"),
        ("access_token_expire_minutes", "NUMBER", "1440"),
        ("algorithm", "HS256|RS256|ES256|EdDSA", "HS256"),
        ("renewal", "auto|connection|session", "auto"),
        ("allowed_origins", "LIST", ""),
        ("oidc_algorithms", "LIST", "RS256,ES256"),
        ("data_dir", "PATH", "data"),
        ("oidc_issuer", "TEXT", ""),
        ("max_frame_bytes", "WHOLE NUMBER", "65536"),
    ],
)
def test_help_says_what_a_flag_takes_and_what_holds_without_it(field: str, words: str, default: str) -> None:
    assert (kind(field), default_text(field)) == (words, default)


def test_every_default_is_shown_as_one_would_type_it() -> None:
    """What help shows can be copied back into a flag."""
    for name in flagged():
        text = default_text(name)
        if text:
            assert getattr(Given({name: text}).settings(), name) == Settings.model_fields[name].default


def test_a_flag_is_the_field_with_dashes() -> None:
    assert flag("live_grace_seconds") == "--live-grace-seconds"
