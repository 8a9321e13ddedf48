from __future__ import annotations

import pytest

from holdfast.core.policy import LivePolicy


@pytest.mark.parametrize(("most", "largest"), [(65_536, 16_384), (1_048_576, 262_144)])
def test_several_publications_fit_into_what_may_wait_for_a_connection(most: int, largest: int) -> None:
    assert LivePolicy(max_backlog_bytes=most).max_publication_bytes == largest
