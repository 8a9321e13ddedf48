from __future__ import annotations

from typing import Any

import pytest

from holdfast.core.policy import Renewal
from holdfast.errors import ConfigurationError
from holdfast.settings import MIN_SECRET_BYTES, Settings, env_name, load

GOOD_SECRET = "s" * MIN_SECRET_BYTES


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine sets is none of these tests' business."""
    for field in Settings.model_fields:
        monkeypatch.delenv(env_name(field), raising=False)


def test_an_access_token_lives_a_day_unless_told_otherwise() -> None:
    assert load().access_token_expire_minutes == 1440
    assert load().access_lifetime == 24 * 3600


def test_the_lifetime_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCESS_TOKEN_EXPIRE_MINUTES", "30")
    assert load().access_lifetime == 1800


@pytest.mark.parametrize(("minutes", "seconds"), [("0.1", 6), ("0.025", 2), ("0.02", 1), ("1.5", 90)])
def test_a_fraction_of_a_minute_makes_whole_seconds(
    monkeypatch: pytest.MonkeyPatch, minutes: str, seconds: float
) -> None:
    monkeypatch.setenv("ACCESS_TOKEN_EXPIRE_MINUTES", minutes)
    assert load().access_lifetime == seconds


def test_a_keyword_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCESS_TOKEN_EXPIRE_MINUTES", "30")
    monkeypatch.setenv("HOLDFAST_PORT", "9000")
    settings = load(access_token_expire_minutes=2, port=9001)
    assert (settings.access_lifetime, settings.port) == (120, 9001)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("secret_key", "SECRET_KEY"),
        ("algorithm", "ALGORITHM"),
        ("access_token_expire_minutes", "ACCESS_TOKEN_EXPIRE_MINUTES"),
        ("port", "HOLDFAST_PORT"),
        ("live_grace_seconds", "HOLDFAST_LIVE_GRACE_SECONDS"),
    ],
)
def test_the_names_are_those_people_know(field: str, name: str) -> None:
    assert env_name(field) == name


def test_every_setting_is_read_from_the_name_that_is_documented_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: dict[str, tuple[str, Any]] = {
        "secret_key": (GOOD_SECRET, GOOD_SECRET),
        "previous_secret_keys": ("a" * 40, ("a" * 40,)),
        "algorithm": ("EdDSA", "EdDSA"),
        "access_token_expire_minutes": ("5", 5.0),
        "issuer": ("us", "us"),
        "audience": ("them", "them"),
        "host": ("0.0.0.0", "0.0.0.0"),
        "port": ("0", 0),
        "data_dir": ("elsewhere", "elsewhere"),
        "database_url": ("sqlite:///x", "sqlite:///x"),
        "admin_username": ("root", "root"),
        "admin_password": ("correct horse", "correct horse"),
        "allowed_origins": ("https://a.example", ("https://a.example",)),
        "trusted_proxies": ("10.0.0.0/8", ("10.0.0.0/8",)),
        "metrics_networks": ("10.1.0.0/16,::1", ("10.1.0.0/16", "::1")),
        "live_grace_seconds": ("0", 0.0),
        "refresh_lead_seconds": ("60", 60.0),
        "rotation_window_seconds": ("5", 5.0),
        "session_idle_days": ("1", 1.0),
        "session_max_days": ("2", 2.0),
        "renewal": ("connection", Renewal.CONNECTION),
        "handshake": ("http", "http"),
        "proof_timeout_seconds": ("3", 3.0),
        "max_frame_bytes": ("2048", 2048),
        "max_frames_per_second": ("7", 7),
        "max_connections_per_user": ("3", 3),
        "max_backlog_bytes": ("131072", 131_072),
        "max_channels_per_connection": ("8", 8),
        "history_size": ("50", 50),
        "history_seconds": ("60", 60.0),
        "history_bytes": ("2097152", 2_097_152),
        "channels": ("room:*", ("room:*",)),
        "publishers": ("everyone", "everyone"),
        "ping_interval_seconds": ("9", 9.0),
        "drain_seconds": ("1", 1.0),
        "oidc_issuer": ("https://id.example", "https://id.example"),
        "oidc_jwks_url": ("https://id.example/jwks", "https://id.example/jwks"),
        "oidc_audience": ("us", "us"),
        "oidc_algorithms": ("ES256", ("ES256",)),
        "oidc_cache_seconds": ("20", 20.0),
        "log_format": ("json", "json"),
        "log_level": ("debug", "debug"),
    }
    assert set(told) == set(Settings.model_fields), "a new setting needs its line here"
    for field, (text, _) in told.items():
        monkeypatch.setenv(env_name(field), text)
    settings = load()
    for field, (_, value) in told.items():
        assert _plain(getattr(settings, field)) == value, field


def test_lists_are_separated_by_commas_and_spaces_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_ALLOWED_ORIGINS", " https://a.example , http://localhost:5173,, ")
    assert load().allowed_origins == ("https://a.example", "http://localhost:5173")


def test_an_empty_list_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_TRUSTED_PROXIES", "")
    assert load().trusted_proxies == ()


@pytest.mark.parametrize("short", ["", "x", "s" * (MIN_SECRET_BYTES - 1)])
def test_c10_a_weak_secret_is_refused_with_the_way_to_a_good_one(short: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^SECRET_KEY: .*32 bytes.*token_urlsafe") as caught:
        load(secret_key=short)
    assert not short or f"{short!r}" not in str(caught.value)


def test_a_secret_of_exactly_the_least_length_is_taken() -> None:
    assert load(secret_key=GOOD_SECRET).secret_key is not None


def test_a_secret_is_measured_in_bytes_not_letters() -> None:
    assert load(secret_key="щ" * (MIN_SECRET_BYTES // 2)).secret_key is not None


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("access_token_expire_minutes", "forever-and-a-day"),
        ("access_token_expire_minutes", "0"),
        ("access_token_expire_minutes", "-5"),
        ("access_token_expire_minutes", "nan"),
        ("algorithm", "none"),
        ("algorithm", "HS512-but-wrong"),
        ("port", "65536"),
        ("port", "eighty-eighty"),
        ("live_grace_seconds", "-1"),
        ("allowed_origins", "app.example.com"),
        ("allowed_origins", "https://*.example.com"),
        ("allowed_origins", "https://a.example/path"),
        ("trusted_proxies", "not-a-network"),
        ("renewal", "whenever"),
        ("handshake", "politely"),
        ("max_frame_bytes", "12"),
        ("log_level", "loud"),
    ],
)
def test_a_bad_value_is_refused_and_its_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, field: str, bad: str
) -> None:
    monkeypatch.setenv(env_name(field), bad)
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert str(caught.value).startswith(f"{env_name(field)}: ")


@pytest.mark.parametrize(
    ("channels", "told"),
    [
        ("job:{a}{b}", "side by side"),
        ("public:*, job id", "no channel may have such a name"),
        ("job:{id}", "write [*] instead"),
        ("public:*,job:*,public:*", "is there twice"),
    ],
)
def test_a_channel_that_the_server_could_not_open_is_found_before_it_starts(channels: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"HOLDFAST_CHANNELS: .*{told}"):
        load(secret_key=GOOD_SECRET, channels=channels)
    good = load(secret_key=GOOD_SECRET, channels="news,public:*,log:*:x")
    assert good.channels == ("news", "public:*", "log:*:x")


@pytest.mark.parametrize("field", ["secret_key", "admin_password", "previous_secret_keys", "database_url"])
def test_no_error_and_no_repr_shows_a_secret(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    monkeypatch.setenv(env_name(field), "hunter2-and-long-enough-to-be-accepted-anywhere")
    monkeypatch.setenv("HOLDFAST_PORT", "nowhere")
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__
    monkeypatch.delenv("HOLDFAST_PORT")
    assert "hunter2" not in repr(load())


def test_a_weak_secret_is_not_shown_in_the_error_about_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(secret_key="hunter2")
    assert "hunter2" not in str(caught.value)


def test_every_problem_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_PORT", "x")
    monkeypatch.setenv("HOLDFAST_LOG_LEVEL", "loud")
    monkeypatch.setenv("SECRET_KEY", "short")
    with pytest.raises(ConfigurationError) as caught:
        load()
    for name in ("HOLDFAST_PORT", "HOLDFAST_LOG_LEVEL", "SECRET_KEY"):
        assert name in str(caught.value)


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        load(prot=8000)


def test_idle_may_not_be_longer_than_the_whole() -> None:
    assert load(session_idle_days=3, session_max_days=3)
    with pytest.raises(ConfigurationError, match="HOLDFAST_SESSION_IDLE_DAYS"):
        load(session_idle_days=3.1, session_max_days=3)


def test_an_outside_issuer_is_told_whole_or_not_at_all() -> None:
    assert load(oidc_issuer="https://i", oidc_jwks_url="https://i/jwks", oidc_audience="us")
    with pytest.raises(ConfigurationError, match="HOLDFAST_OIDC_JWKS_URL"):
        load(oidc_issuer="https://i")


def test_settings_do_not_change_once_read() -> None:
    settings = load()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


def test_the_policies_carry_the_numbers_of_the_settings() -> None:
    settings = load(
        access_token_expire_minutes=1,
        live_grace_seconds=3,
        refresh_lead_seconds=20,
        renewal="session",
        rotation_window_seconds=4,
        session_idle_days=1,
        session_max_days=2,
        max_frames_per_second=5,
    )
    live, session = settings.live_policy, settings.session_policy
    assert (live.grace, live.refresh_lead, live.renewal, live.max_frames_per_second) == (
        3,
        20,
        Renewal.SESSION,
        5,
    )
    assert (
        session.access_lifetime,
        session.rotation_window,
        session.idle_lifetime,
        session.absolute_lifetime,
    ) == (60, 4, 86_400, 172_800)


def test_every_setting_says_what_it_is_for_in_a_sentence() -> None:
    for name, field in Settings.model_fields.items():
        text = field.description
        assert text, name
        assert text.endswith("."), name


def _plain(value: Any) -> Any:
    """A setting as text would say it."""
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    return value if isinstance(value, str | int | float) else str(value)
