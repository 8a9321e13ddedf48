"""Every row of the table at the top of `core.rotation`, and what holds however they follow on one another."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from holdfast.core.rotation import Decision, Family, Outcome, advance, confirm, decide

NOW = 1_800_000_000.0
W = 10.0
IDLE = 1_000.0
DAY = 86_400.0


def family(**given: object) -> Family:
    """A session in its fifth generation, handed out long ago and proved since."""
    usual = Family(
        active=True,
        ended_reason=None,
        user_disabled=False,
        epoch_current=True,
        generation=5,
        confirmed_generation=5,
        confirmed_at=NOW - 600,
        issued_at=NOW - 600,
        replay_count=3,
        idle_expires_at=NOW + IDLE,
        absolute_expires_at=NOW + 5 * IDLE,
    )
    return replace(usual, **given)  # type: ignore[arg-type]  # keyword for keyword


def refreshed(row: Family, presented: int, now: float = NOW) -> tuple[Decision, Family]:
    decision = decide(row, presented, now, window=W)
    return decision, advance(row, decision, now=now, idle_lifetime=IDLE)


class TestRow1Ended:
    @pytest.mark.parametrize("presented", [1, 3, 4, 5, 6])
    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (family(active=False, ended_reason="signed_out"), "signed_out"),
            (family(active=False), "ended"),
            (family(user_disabled=True), "disabled"),
            (family(epoch_current=False), "revoked"),
        ],
    )
    def test_an_ended_session_is_denied_whatever_is_presented(
        self, row: Family, reason: str, presented: int
    ) -> None:
        assert refreshed(row, presented) == (Decision(Outcome.DENY, reason), row)

    @pytest.mark.parametrize(
        ("limit", "reason"), [("idle_expires_at", "idle"), ("absolute_expires_at", "too_old")]
    )
    def test_a_limit_is_over_on_the_second(self, limit: str, reason: str) -> None:
        row = family(**{limit: NOW})
        assert refreshed(row, 5, NOW - 1)[0].outcome is Outcome.ROTATE
        for now in (NOW, NOW + 1):
            decision, after = refreshed(row, 5, now)
            assert decision == Decision(Outcome.DENY, reason)
            assert after == replace(row, active=False, ended_reason=reason)

    def test_a_theft_of_an_ended_session_is_only_denied(self) -> None:
        row = family(active=False, ended_reason="signed_out")
        assert refreshed(row, 1)[0] == Decision(Outcome.DENY, "signed_out")


class TestRow2Rotate:
    @pytest.mark.parametrize("age", [W, W + 1, 900 * DAY])
    def test_the_newest_generation_gets_the_next_once_the_window_is_over(self, age: float) -> None:
        row = family(issued_at=NOW - age, confirmed_generation=4)
        decision, after = refreshed(row, 5)
        assert decision == Decision(Outcome.ROTATE)
        assert after == replace(
            row,
            generation=6,
            confirmed_generation=5,
            confirmed_at=NOW,
            issued_at=NOW,
            replay_count=0,
            idle_expires_at=NOW + IDLE,
        )

    def test_a_proof_that_was_known_keeps_its_time(self) -> None:
        assert refreshed(family(), 5)[1].confirmed_at == NOW - 600

    def test_idle_never_passes_the_absolute_limit(self) -> None:
        assert refreshed(family(absolute_expires_at=NOW + 7), 5)[1].idle_expires_at == NOW + 7


class TestRow3Coalesce:
    @pytest.mark.parametrize("age", [-1, 0, W - 1])
    def test_within_the_window_the_newest_comes_again(self, age: float) -> None:
        row = family(issued_at=NOW - age, confirmed_generation=4)
        decision, after = refreshed(row, 5)
        assert decision == Decision(Outcome.COALESCE)
        assert after == replace(row, confirmed_generation=5, confirmed_at=NOW)

    def test_asking_again_and_again_does_not_put_off_the_rotation(self) -> None:
        row = family(issued_at=NOW)
        for age in range(int(W)):
            row = refreshed(row, 5, NOW + age)[1]
        assert refreshed(row, 5, NOW + W)[0].outcome is Outcome.ROTATE

    def test_repeating_the_newest_does_not_hold_the_door_for_the_one_before(self) -> None:
        row = family(issued_at=NOW, confirmed_at=NOW - 2)
        row = refreshed(row, 5, NOW + W - 1)[1]
        assert refreshed(row, 4, NOW + W - 1)[0].outcome is Outcome.REUSE


class TestRow4LostAnswer:
    @pytest.mark.parametrize("age", [0, W - 1, W, W + 1, 13 * DAY])
    def test_what_was_never_proved_is_handed_out_again_at_any_age(self, age: float) -> None:
        row = family(issued_at=NOW - age, confirmed_generation=4, confirmed_at=NOW - age)
        decision, after = refreshed(row, 4)
        assert decision == Decision(Outcome.REPLAY)
        assert after == replace(row, issued_at=NOW, replay_count=4, idle_expires_at=NOW + IDLE)

    def test_the_window_counts_from_the_last_hand_out(self) -> None:
        row = refreshed(family(confirmed_generation=4), 4)[1]
        assert refreshed(row, 5, NOW + W - 1)[0].outcome is Outcome.COALESCE
        assert refreshed(row, 5, NOW + W)[0].outcome is Outcome.ROTATE

    def test_replaying_never_passes_the_absolute_limit(self) -> None:
        row = family(confirmed_generation=4, absolute_expires_at=NOW + 7)
        assert refreshed(row, 4)[1].idle_expires_at == NOW + 7


class TestRow5LateTab:
    @pytest.mark.parametrize(
        ("age", "outcome"),
        [(0, Outcome.REPLAY), (W - 1, Outcome.REPLAY), (W, Outcome.REPLAY), (W + 1, Outcome.REUSE)],
    )
    def test_the_one_before_is_good_for_a_window_after_the_proof(self, age: float, outcome: Outcome) -> None:
        row = family(confirmed_at=NOW - age)
        decision, after = refreshed(row, 4)
        assert decision.outcome is outcome
        if outcome is Outcome.REPLAY:
            assert after == replace(row, issued_at=NOW, replay_count=4, idle_expires_at=NOW + IDLE)


class TestRow6Reuse:
    @pytest.mark.parametrize("presented", [0, 1, 2, 3])
    @pytest.mark.parametrize("confirmed", [4, 5])
    def test_two_generations_back_is_a_theft_at_any_time(self, presented: int, confirmed: int) -> None:
        row = family(confirmed_generation=confirmed, confirmed_at=NOW, issued_at=NOW)
        decision, after = refreshed(row, presented)
        assert decision == Decision(Outcome.REUSE, "reuse")
        assert after == replace(row, active=False, ended_reason="reuse")


class TestRow7Ahead:
    @pytest.mark.parametrize("presented", [6, 7, 10**9])
    def test_a_generation_that_the_store_never_gave_is_refused_and_harms_nothing(
        self, presented: int
    ) -> None:
        row = family()
        assert refreshed(row, presented) == (Decision(Outcome.AHEAD, "ahead"), row)


class TestConfirm:
    def test_the_first_proof_is_written_with_its_time(self) -> None:
        row = family(confirmed_generation=4)
        assert confirm(row, 5, now=NOW) == replace(row, confirmed_generation=5, confirmed_at=NOW)

    @pytest.mark.parametrize(
        ("row", "generation"),
        [
            (family(), 5),
            (family(confirmed_generation=4), 4),
            (family(confirmed_generation=4), 6),
            (family(confirmed_generation=4, active=False), 5),
        ],
        ids=["no news", "an older one", "one never given", "an ended session"],
    )
    def test_nothing_else_is_news(self, row: Family, generation: int) -> None:
        assert confirm(row, generation, now=NOW) == row


def test_an_unknown_session_writes_nothing() -> None:
    row = family()
    assert advance(row, Decision(Outcome.UNKNOWN), now=NOW, idle_lifetime=IDLE) == row


def test_who_is_handed_tokens() -> None:
    assert {outcome for outcome in Outcome if outcome.hands_out} == {"rotated", "coalesced", "replayed"}
    assert {outcome for outcome in Outcome if outcome.replaces} == {"rotated", "replayed"}


def test_a_slow_coalesced_answer_would_put_a_proved_cookie_back() -> None:
    """Why `replaces` exists: the story that ends in a false theft if every answer sets the cookie."""
    row = family(generation=2, confirmed_generation=1, issued_at=NOW)
    coalesced, row = refreshed(row, 2, NOW + W - 0.1)
    _, row = refreshed(row, 2, NOW + W)
    row = confirm(row, 3, now=NOW + W)
    assert not coalesced.outcome.replaces
    assert refreshed(row, 3, NOW + 4 * W)[0].outcome is Outcome.ROTATE
    assert refreshed(row, 2, NOW + 4 * W)[0].outcome is Outcome.REUSE


@dataclass
class Tab:
    """Where a tab's refresh is: not under way, on the way to the server, or on the way back."""

    sent: tuple[int, float] | None = None
    answer: tuple[int, float] | None = None


class Browsers(RuleBasedStateMachine):
    """One honest person with three tabs over one cookie, on a network that loses and delays.

    Requests and answers are each under way for less than W/2: a round trip that is over within W is what rotation
    promises to survive. Time stands still while they move, and passes in `wait`; what would arrive too late is lost.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.row = family(
            generation=1,
            confirmed_generation=1,
            confirmed_at=NOW,
            issued_at=NOW,
            idle_expires_at=NOW + 90 * DAY,
            absolute_expires_at=NOW + 400 * DAY,
        )
        self.jar = 1
        self.tabs = [Tab(), Tab(), Tab()]
        self.honest = True
        self.made = {1}

    @precondition(lambda self: self.row.active)
    @rule(which=st.integers(0, 2), lost=st.sampled_from([False] * 9 + [True]))
    def move(self, which: int, lost: bool) -> None:
        """A tab sends what is in the jar; or its request arrives; or its answer comes back."""
        tab = self.tabs[which]
        if tab.answer is not None:
            generation, sent_at = tab.answer
            if self.now - sent_at < W / 2 and not lost:
                self.jar = generation  # a browser keeps the last cookie that it was given, newer or not
            tab.answer = None
        elif tab.sent is not None:
            presented, sent_at = tab.sent
            tab.sent = None
            if self.now - sent_at < W / 2 and not lost:
                decision = self.present(presented)
                assert decision.outcome.hands_out or not self.honest, f"an honest tab was refused: {decision}"
                tab.answer = (self.row.generation, self.now) if decision.outcome.replaces else None
        else:
            tab.sent = (self.jar, self.now)

    @rule()
    def prove(self) -> None:
        self.row = confirm(self.row, self.jar, now=self.now)

    @rule(seconds=st.sampled_from([0.1, 0.2, W / 2 - 0.1, W / 2 - 0.2, W - 0.1, W, W + 0.1, 2 * DAY]))
    def wait(self, seconds: float) -> None:
        if self.now + seconds < NOW + 89 * DAY:
            self.now += seconds

    def present(self, presented: int) -> Decision:
        before = self.row
        decision = decide(before, presented, self.now, window=W)
        self.row = advance(before, decision, now=self.now, idle_lifetime=90 * DAY)
        if decision.outcome is Outcome.ROTATE:
            assert self.row.generation not in self.made, "a generation was made twice"
            self.made.add(self.row.generation)
        elif decision.outcome.hands_out:
            assert self.row.generation == before.generation
        return decision

    @invariant()
    def the_row_makes_sense(self) -> None:
        row = self.row
        assert row.generation == max(self.made)
        assert row.confirmed_generation in (row.generation - 1, row.generation)
        assert row.idle_expires_at <= row.absolute_expires_at
        if self.honest:
            assert row.active
            assert self.jar <= row.generation


class Thieves(Browsers):
    """The same, until somebody else comes who has copied a cookie."""

    @precondition(lambda self: self.row.active and self.row.generation > 1)
    @rule(back=st.integers(0, 3))
    def steal(self, back: int) -> None:
        """Somebody has copied a cookie that this person has or once had, and presents it."""
        presented = max(1, self.row.generation - back)
        before = self.row
        decision = self.present(presented)
        self.honest = False
        replaced = presented < before.confirmed_generation
        in_time = presented == before.generation - 1 and self.now - before.confirmed_at <= W
        if replaced and not in_time:
            assert decision.outcome is Outcome.REUSE
            assert not self.row.active


TestBrowsers = Browsers.TestCase
TestThieves = Thieves.TestCase
TestBrowsers.settings = TestThieves.settings = settings(
    max_examples=200, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
