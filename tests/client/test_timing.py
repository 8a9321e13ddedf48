import pytest

from holdfast.client.timing import Moment, Now, after, backoff


@pytest.mark.parametrize(
    ("wall", "mono", "reached"),
    [(9.999, 9.999, False), (10, 0, True), (0, 10, True), (10.001, 0, True), (0, 0, False), (10, 10, True)],
)
def test_a_moment_has_come_when_either_clock_says_so(wall: float, mono: float, reached: bool) -> None:
    assert Moment(10, 10).reached(Now(wall, mono)) is reached


def test_what_is_left_is_by_the_clock_that_says_less() -> None:
    moment = after(Now(1000, 50), 30)
    assert moment.left(Now(1010, 51)) == 20
    assert moment.left(Now(1001, 60)) == 20
    assert moment.left(Now(5000, 51)) == 0


@pytest.mark.parametrize(
    ("failures", "ceiling"),
    [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 60), (7, 60), (10_000, 60)],
)
def test_the_backoff_doubles_up_to_a_minute(failures: int, ceiling: float) -> None:
    assert backoff(failures, 0.0) == 0
    assert backoff(failures, 0.5) == ceiling / 2
    assert backoff(failures, 0.999) < ceiling
