from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from holdfast.core.connection import Connection, Proof
from holdfast.core.effects import Record
from holdfast.core.policy import LivePolicy
from holdfast.protocol import endings
from holdfast.protocol.endings import Ending
from holdfast.server.metrics import Exposition, Meter


def exposed(meter: Meter, live: int = 0) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of the exposition by name and labels, as a Prometheus server reads them."""
    text = Exposition(meter, lambda: live).text().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def one(meter: Meter, name: str, **labels: str) -> float:
    return exposed(meter)[name, tuple(sorted(labels.items()))]


def test_live_connections_are_counted_when_asked() -> None:
    assert exposed(Meter(), live=3)["holdfast_connections", ()] == 3


def test_connections_are_counted_by_where_the_token_was() -> None:
    meter = Meter()
    for carrier in ("query", "query", "frame"):
        meter.connection("proven", detail=carrier, seconds=60.0)
    assert one(meter, "holdfast_connections_opened_total", carrier="query") == 2
    assert one(meter, "holdfast_connections_opened_total", carrier="frame") == 1


def test_renewals_are_counted_by_how_and_healed_ones_apart() -> None:
    meter = Meter()
    meter.connection("renewed", detail="in band", seconds=5.0)
    meter.connection("renewed", detail="through the session", seconds=5.0)
    meter.connection("healed", detail="in band", seconds=-2.0)
    assert one(meter, "holdfast_renewals_total", how="in_band") == 2
    assert one(meter, "holdfast_renewals_total", how="session") == 1
    assert one(meter, "holdfast_renewals_healed_total") == 1


@pytest.mark.parametrize(
    ("ending", "code", "reason"),
    [
        (endings.TOKEN_EXPIRED, "4003", "token_expired"),
        (endings.TOKEN_INVALID, "4003", "token_invalid"),
        (endings.SIGNED_OUT, "4001", "signed_out"),
        (endings.FINISHED, "1000", "finished"),
        (endings.RESTARTING.after(250), "1012", "restarting"),
        (endings.revoked("banned for spam"), "4001", "revoked"),
        (Ending(4321, "the app's own", endings.Action.STOP), "4321", "other"),
    ],
)
def test_closes_are_counted_by_code_and_the_name_of_the_ending(
    ending: Ending, code: str, reason: str
) -> None:
    """Through the core, so that a change of its wording shows here."""
    meter = Meter()
    connection = Connection(id="c", policy=LivePolicy(), controlled=False, jitter=0.5, now=0.0)
    connection.proven(Proof(user="u", name="u", issuer="i", expires_at=60.0), 0.0)
    for effect in connection.end(ending):
        if isinstance(effect, Record):
            meter.connection(effect.what, detail=effect.detail, seconds=effect.seconds)
    assert one(meter, "holdfast_closes_total", by="server", code=code, reason=reason) == 1


def test_a_peer_cannot_make_new_labels_with_close_codes_of_its_own() -> None:
    meter = Meter()
    for code in (1001, 1006, *range(3000, 3100)):
        connection = Connection(id="c", policy=LivePolicy(), controlled=False, jitter=0.5, now=0.0)
        for effect in connection.disconnected(code):
            assert isinstance(effect, Record)
            meter.connection(effect.what, detail=effect.detail)
    assert set(meter.closes) == {
        ("peer", "1001", "peer"),
        ("peer", "1006", "peer"),
        ("peer", "other", "peer"),
    }
    assert one(meter, "holdfast_closes_total", by="peer", code="other", reason="peer") == 100


def test_words_of_an_operator_do_not_become_labels() -> None:
    meter = Meter()
    for why in ("banned", "spam", 'quote " and \n newline'):
        ending = endings.revoked(why)
        meter.connection("ended", detail=f"{ending.code} {ending.reason}")
    assert meter.closes == {("server", "4001", "revoked"): 3}


def test_refreshes_and_sign_ins_are_counted_by_outcome() -> None:
    meter = Meter()
    for what in ("refresh.rotated", "refresh.rotated", "refresh.reuse", "user.signed_in", "user.throttled"):
        meter.session(what)
    assert one(meter, "holdfast_refreshes_total", outcome="rotated") == 2
    assert one(meter, "holdfast_refreshes_total", outcome="reuse") == 1
    assert one(meter, "holdfast_sign_ins_total", outcome="ok") == 1
    assert one(meter, "holdfast_sign_ins_total", outcome="throttled") == 1
    assert one(meter, "holdfast_sign_ins_total", outcome="refused") == 0


def test_refused_handshakes_are_counted_by_reason() -> None:
    meter = Meter()
    meter.connection("refused", detail="foreign origin")
    assert one(meter, "holdfast_handshakes_refused_total", reason="foreign_origin") == 1


def test_what_is_only_told_for_the_timeline_is_not_counted() -> None:
    meter = Meter()
    for what in ("due", "in grace"):
        meter.connection(what, seconds=1.0)
    assert not meter.connections
    assert not meter.renewals
    assert not meter.closes


def test_channels_are_counted_and_those_that_are_open_now() -> None:
    meter = Meter()
    for what, count in (("opened", 2), ("closed", 1), ("subscribed", 5), ("left", 2), ("published", 1)):
        meter.channel(what, count)
    meter.channel("delivered", 1_000)
    meter.channel("delivered")
    meter.channel("recovered", 7)
    assert one(meter, "holdfast_channels") == 1
    assert one(meter, "holdfast_subscriptions") == 3
    assert one(meter, "holdfast_publications_total") == 1
    assert one(meter, "holdfast_deliveries_total", how="live") == 1_001
    assert one(meter, "holdfast_deliveries_total", how="recovered") == 7


def test_two_expositions_do_not_share_a_registry() -> None:
    """An app that is built twice in one process, as tests do, must not clash with itself."""
    assert exposed(Meter(), live=1)["holdfast_connections", ()] == 1
    assert exposed(Meter(), live=2)["holdfast_connections", ()] == 2


def test_the_process_itself_is_exposed_too() -> None:
    assert ("process_cpu_seconds_total", ()) in exposed(Meter())
