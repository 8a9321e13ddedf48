from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.lease import Phase, grant, refresh_in


def a_lease(grace: float = 30.0):
    return grant(now=1000.0, expires_at=1100.0, lead=20.0, grace=grace, jitter=0.5)


@pytest.mark.parametrize(
    ("now", "phase"),
    [
        (1000.0, Phase.HELD),
        (1079.0, Phase.HELD),
        (1080.0, Phase.DUE),
        (1081.0, Phase.DUE),
        (1099.0, Phase.DUE),
        (1100.0, Phase.GRACE),
        (1101.0, Phase.GRACE),
        (1129.0, Phase.GRACE),
        (1130.0, Phase.OVER),
        (1131.0, Phase.OVER),
    ],
)
def test_every_edge_belongs_to_the_phase_after_it(now, phase):
    assert a_lease().phase(now) is phase


def test_without_grace_a_lease_is_over_at_exp_itself():
    lease = a_lease(grace=0)
    assert [lease.phase(1100.0 + d) for d in (-1, 0, 1)] == [Phase.DUE, Phase.OVER, Phase.OVER]


def test_the_next_change_is_the_next_edge_and_none_when_over():
    lease = a_lease()
    assert [lease.next_change(t) for t in (1000.0, 1080.0, 1100.0, 1130.0)] == [1080.0, 1100.0, 1130.0, None]


def test_a_day_long_token_is_refreshed_five_minutes_before_it_expires():
    assert refresh_in(86_400, lead=300, jitter=0.5) == 86_100


def test_a_short_token_is_refreshed_at_half_its_life_and_not_all_the_time():
    assert refresh_in(6, lead=300, jitter=0.5) == 3


@given(lifetime=st.floats(0, 1e7), lead=st.floats(0.1, 1e5), jitter=st.floats(0, 1, exclude_max=True))
def test_a_refresh_never_falls_before_now_nor_after_expiry(lifetime, lead, jitter):
    assert 0 <= refresh_in(lifetime, lead=lead, jitter=jitter) <= lifetime


def test_the_spread_is_a_tenth_of_the_lead_each_way():
    assert refresh_in(1000, lead=100, jitter=0.0) == pytest.approx(910)
    assert refresh_in(1000, lead=100, jitter=0.999999) == pytest.approx(890, abs=0.01)
