from typing import Any

import pytest

from holdfast.core.lease import refresh_in

VECTORS = "timing.json"


def test_a_refresh_is_due_when_the_vector_says(vector: dict[str, Any]) -> None:
    due = refresh_in(vector["lifetime"], lead=vector["lead"], jitter=vector["jitter"])
    assert due == pytest.approx(vector["refresh_in"], abs=1e-6)
